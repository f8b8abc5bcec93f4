//! The two clocks of a replica.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
        let clock = SystemClock::new();
        let wall = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { monotonic: Arc::new(move || clock.now()), wall: Arc::new(wall) }
    }
}

/// `std`'s monotonic clock, which stops while the machine sleeps (`CLOCK_MONOTONIC`), plus the time that it slept, which
/// `/proc/uptime` (`CLOCK_BOOTTIME`, in steps of 10 ms) shows. Where that can't be read only the former counts.
struct SystemClock {
    origin: std::time::Instant,
    uptime: Option<Duration>,
    /// Longest time slept that was ever seen, in nanoseconds; it never shrinks, so that the clock never goes back.
    slept: AtomicU64,
}

impl SystemClock {
    /// Differences up to this are the steps of `/proc/uptime`.
    const STEPS: Duration = Duration::from_millis(50);

    fn new() -> Self {
        Self { origin: std::time::Instant::now(), uptime: uptime(), slept: AtomicU64::new(0) }
    }

    fn now(&self) -> Instant {
        let awake = self.origin.elapsed();
        let slept = match (self.uptime, uptime()) {
            (Some(start), Some(now)) => slept(awake, now.saturating_sub(start)),
            _ => 0,
        };
        let slept = self.slept.fetch_max(slept, Ordering::Relaxed).max(slept);
        Instant::from_origin(awake.saturating_add(Duration::from_nanos(slept)))
    }
}

/// By how many nanoseconds the machine ran longer than it was awake.
fn slept(awake: Duration, ran: Duration) -> u64 {
    let slept = ran.saturating_sub(awake);
    if slept <= SystemClock::STEPS { 0 } else { u64::try_from(slept.as_nanos()).unwrap_or(u64::MAX) }
}

fn uptime() -> Option<Duration> {
    parse_uptime(&std::fs::read_to_string("/proc/uptime").ok()?)
}

/// `350735.47 234388.90`: seconds since boot, and seconds idle.
fn parse_uptime(text: &str) -> Option<Duration> {
    let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    let hundredths: u64 = hundredths.parse().ok().filter(|hundredths| *hundredths < 100)?;
    Some(Duration::from_secs(seconds.parse().ok()?) + Duration::from_millis(hundredths * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_counts_and_steps_do_not() {
        let second = Duration::from_secs(1);
        assert_eq!(slept(second, second * 61), 60_000_000_000);
        assert_eq!(slept(second, second + Duration::from_millis(30)), 0);
        assert_eq!(slept(second, Duration::ZERO), 0);
    }

    #[test]
    fn uptimes_are_read() {
        assert_eq!(parse_uptime("350735.47 234388.90\n"), Some(Duration::from_millis(350_735_470)));
        for bad in ["", "12", "a.b", "1.999", "-1.00"] {
            assert_eq!(parse_uptime(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_clock_never_goes_back() {
        let clock = SystemClock::new();
        clock.slept.store(5_000_000_000, Ordering::Relaxed);
        let first = clock.now();
        assert!(first.since(Instant::default()) >= Duration::from_secs(5));
        assert_eq!(first.since(clock.now()), Duration::ZERO);
    }
}
