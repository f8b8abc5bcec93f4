//! The clocks as the engine reads them.

use std::time::Duration;

use crate::cluster::clock::Read;
use crate::engine::time::{Instant, Now, Timestamp};

/// The clocks of this process. The monotonic one (tokio's, which is `std`'s) stands still while the machine sleeps; leadership is therefore
/// checked against the Lease again after every gap, by the API server's own answer.
#[derive(Clone)]
pub(super) struct Clock {
    origin: tokio::time::Instant,
    wall: Read<Duration>,
}

impl Clock {
    /// A clock whose origin is now. `wall` reads the wall clock: the time since 1970.
    pub(super) fn start(wall: Read<Duration>) -> Self {
        Self { origin: tokio::time::Instant::now(), wall }
    }

    /// Both clocks.
    pub(super) fn now(&self) -> Now {
        let wall = (self.wall)().as_secs();
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
