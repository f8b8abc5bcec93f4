//! Pauses between tries of a read that goes on for ever (a watch, a list that must succeed in the end).

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest wish of a server (`Retry-After`) that is honoured.
const LONGEST_WISH: Duration = Duration::from_secs(300);

/// Exponential pauses with jitter: doubling from 200 ms to 30 s, each taken between half and the whole of it. The jitter
/// comes from a seed, so that a simulated run repeats.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    seed: u64,
    failures: u32,
}

impl Retry {
    /// Pauses whose jitter follows from `seed`.
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, failures: 0 }
    }

    /// The pause before the next try, at least what the server wished.
    pub(super) fn pause(&mut self, wish: Option<Duration>) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let pause = self.jitter(doubled.min(LONGEST), 0.5);
        pause.max(wish.unwrap_or_default().min(LONGEST_WISH))
    }

    /// It worked: the next failure begins with the first pause again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// A time between `least × time` and `time`; another one at each call.
    pub(super) fn jitter(&mut self, time: Duration, least: f64) -> Duration {
        // SplitMix64: a step of the golden ratio, then mixed.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let share = (mixed >> 11) as f64 / (1u64 << 53) as f64;
        time.mul_f64(least + (1.0 - least) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_repeat_by_seed() {
        let mut retry = Retry::new(7);
        let pauses: Vec<_> = (0..40).map(|_| retry.pause(None)).collect();
        for (index, pause) in pauses.iter().enumerate() {
            let whole = FIRST.saturating_mul(1 << index.min(16)).min(LONGEST);
            assert!(*pause >= whole / 2 && *pause <= whole, "{index}: {pause:?}");
        }
        let mut again = Retry::new(7);
        assert_eq!(pauses, (0..40).map(|_| again.pause(None)).collect::<Vec<_>>());
        assert_ne!(pauses.last(), Some(&Retry::new(8).pause(None)));
    }

    #[test]
    fn wishes_of_the_server_are_honoured_within_bounds() {
        let mut retry = Retry::new(1);
        assert_eq!(retry.pause(Some(Duration::from_secs(60))), Duration::from_secs(60));
        assert_eq!(retry.pause(Some(Duration::from_secs(86_400))), LONGEST_WISH);
        retry.reset();
        assert!(retry.pause(None) <= FIRST);
    }
}
