//! The one place that reads the clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::engine::time::{Instant, Now, Timestamp};

/// The clocks of this process. `std`'s monotonic clock stands still while the machine sleeps; leadership is therefore
/// checked against the Lease again after every gap, by the API server's own answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: tokio::time::Instant,
}

impl Clock {
    /// A clock whose origin is now.
    pub(super) fn start() -> Self {
        Self { origin: tokio::time::Instant::now() }
    }

    /// Both clocks.
    pub(super) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Now { instant: self.instant(), wall: Timestamp(i64::try_from(wall).unwrap_or(i64::MAX)) }
    }

    /// The monotonic clock.
    pub(super) fn instant(&self) -> Instant {
        Instant::from_origin(self.origin.elapsed())
    }

    /// Where [`Self::instant`] begins.
    pub(super) const fn origin(&self) -> tokio::time::Instant {
        self.origin
    }

    /// When `at` is on tokio's clock.
    pub(super) fn tokio(&self, at: Instant) -> tokio::time::Instant {
        self.origin + at.since(Instant::from_origin(Duration::ZERO))
    }
}
