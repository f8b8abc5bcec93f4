//! The two clocks of a replica.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::time::Instant;

/// Reads a clock.
pub type Read<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// The clocks that the Lease needs; a simulation passes its own.
#[derive(Clone)]
pub struct Clocks {
    /// Monotonic, and running on while the machine sleeps: a leader that was suspended must not think that no time passed.
    pub monotonic: Read<Instant>,
    /// Wall clock, only to be shown: time since 1970 in UTC.
    pub wall: Read<Duration>,
}

impl Clocks {
    /// The machine's clocks.
    pub fn system() -> Self {
        let wall = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { monotonic: Arc::new(since_boot), wall: Arc::new(wall) }
    }
}

/// The time since boot, in which the machine's sleep counts (`CLOCK_BOOTTIME`; `std`'s clock stops meanwhile). Read for
/// every write, so a system call that is none (vDSO).
#[cfg(target_os = "linux")]
fn since_boot() -> Instant {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Instant::from_origin(Duration::new(seconds, nanoseconds))
}

/// Where there is no such clock: the time since the first call.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Instant {
    static ORIGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    Instant::from_origin(ORIGIN.get_or_init(std::time::Instant::now).elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back() {
        let clock = Clocks::system().monotonic;
        let mut last = clock();
        for _ in 0..1000 {
            let now = clock();
            assert!(now >= last);
            last = now;
        }
    }
}
