//! How fast an election may send requests.

use std::time::Duration;

use crate::engine::time::Instant;

/// Requests that may follow each other without a pause.
const BURST: u32 = 4;

/// A token bucket: [`BURST`] at once, then one in each pause. With a pause of half a renew period a leader needs half of
/// that, so that contention costs a bounded number of requests and no renewal waits.
#[derive(Debug)]
pub(super) struct Rate {
    pause: Duration,
    free: u32,
    since: Instant,
}

impl Rate {
    /// A full bucket.
    pub(super) fn new(pause: Duration) -> Self {
        Self { pause, free: BURST, since: Instant::default() }
    }

    /// From when on a request is free.
    pub(super) fn free_at(&mut self, now: Instant) -> Instant {
        let refilled = now.since(self.since).as_nanos() / self.pause.as_nanos().max(1);
        let refilled = u32::try_from(refilled).unwrap_or(u32::MAX);
        if self.free.saturating_add(refilled) >= BURST {
            (self.free, self.since) = (BURST, now);
        } else {
            self.free += refilled;
            self.since = self.since + self.pause * refilled;
        }
        if self.free > 0 { now } else { self.since + self.pause }
    }

    /// Counts a request.
    pub(super) fn take(&mut self) {
        self.free = self.free.saturating_sub(1);
    }
}
