//! How often one object may be healed. Whoever edits by hand is reverted at once, every time; a controller that keeps
//! changing an object back must not become a hot loop (DESIGN section 4, "contested"). The limit is per object: nothing
//! else of its application is slowed.

use std::time::Duration;

use super::time::Instant;

/// Limits of [`Contest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContestLimits {
    /// Heals that are free within one `window`; after them the object is contested. 0 counts as 1.
    pub burst: u16,
    /// Time for which heals are counted, from the first one on.
    pub window: Duration,
    /// Wait between the first two heals of a contested object; it doubles with each further heal.
    pub interval: Duration,
    /// Longest wait between two heals.
    pub max_interval: Duration,
    /// A contested object for which no heal is wanted for this long after one is allowed is contested no more, and the
    /// whole `burst` is free again.
    pub calm: Duration,
}

impl Default for ContestLimits {
    /// 20 in a minute, then one every 10 s, doubling up to 5 min, until it was calm for 5 min.
    fn default() -> Self {
        Self {
            burst: 20,
            window: Duration::from_secs(60),
            interval: Duration::from_secs(10),
            max_interval: Duration::from_secs(300),
            calm: Duration::from_secs(300),
        }
    }
}

/// The heals of one object. Made with `default` when an object is first healed; may be dropped once [`Self::is_calm`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contest {
    /// While free: when the window began. While contested: the next heal is not allowed before.
    at: Instant,
    /// Heals in the window; the whole burst means contested.
    heals: u16,
    /// How many heals were made while contested.
    slowed: u8,
}

// One for every object that ever drifted: it must stay small.
const _: () = assert!(size_of::<Contest>() <= 32);

impl Contest {
    /// Asks for a heal now, and counts it if it is allowed.
    ///
    /// # Errors
    /// The instant before which it is not allowed.
    pub fn allow(&mut self, now: Instant, limits: &ContestLimits) -> Result<(), Instant> {
        if self.heals == 0 || self.is_calm(now, limits) {
            *self = Self { at: now, heals: 0, slowed: 0 };
        }
        if !self.is_contested(limits) {
            self.heals += 1;
            if self.is_contested(limits) {
                self.at = now + limits.interval.min(limits.max_interval);
            }
            return Ok(());
        }
        if now < self.at {
            return Err(self.at);
        }
        self.slowed = self.slowed.saturating_add(1);
        let doubled = 2u32.checked_pow(u32::from(self.slowed)).unwrap_or(u32::MAX);
        self.at = now + limits.interval.saturating_mul(doubled).min(limits.max_interval);
        Ok(())
    }

    /// Whether the free heals are used up, so that heals are slowed: time to name the other side.
    pub fn is_contested(&self, limits: &ContestLimits) -> bool {
        self.heals >= limits.burst.max(1)
    }

    /// Whether nothing is left to remember: the window is over, or a contested object was left alone for long enough.
    pub fn is_calm(&self, now: Instant, limits: &ContestLimits) -> bool {
        let quiet = if self.is_contested(limits) { limits.calm } else { limits.window };
        now >= self.at + quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ContestLimits = ContestLimits {
        burst: 20,
        window: Duration::from_secs(60),
        interval: Duration::from_secs(10),
        max_interval: Duration::from_secs(300),
        calm: Duration::from_secs(300),
    };

    const fn at(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(1_000_000 + millis))
    }

    /// Heals an object that is changed again `pause` after each heal, and returns when it was healed, in milliseconds.
    fn fight(contest: &mut Contest, from: u64, pause: u64, until: u64) -> Vec<u64> {
        let (mut now, mut healed) = (from, Vec::new());
        while now < until {
            match contest.allow(at(now), &LIMITS) {
                Ok(()) => {
                    healed.push(now);
                    now += pause;
                }
                Err(not_before) => {
                    assert!(not_before > at(now), "a refusal names a later instant");
                    assert_eq!(contest.allow(at(now), &LIMITS), Err(not_before), "asking changes nothing");
                    now += u64::try_from(not_before.since(at(now)).as_millis()).unwrap();
                }
            }
        }
        healed
    }

    #[test]
    fn the_defaults_are_those_of_the_design() {
        assert_eq!(ContestLimits::default(), LIMITS);
    }

    #[test]
    fn a_persons_edits_are_all_reverted_at_once() {
        let mut contest = Contest::default();
        for edit in 0..5 {
            assert_eq!(contest.allow(at(edit), &LIMITS), Ok(()), "edit {edit}");
        }
        assert!(!contest.is_contested(&LIMITS));
        // And so for ever at a person's pace: 19 edits in each minute.
        let healed = fight(&mut Contest::default(), 0, 3_200, 3_600_000);
        assert!(healed.windows(2).all(|pair| pair[1] - pair[0] == 3_200), "{healed:?}");
    }

    #[test]
    fn a_fighting_controller_ends_at_one_heal_in_five_minutes() {
        let mut contest = Contest::default();
        let healed = fight(&mut contest, 0, 1, 3_600_000);
        let waits: Vec<u64> = healed.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(waits[..19], [1; 19], "20 are free");
        assert_eq!(waits[19..25], [10_000, 20_000, 40_000, 80_000, 160_000, 300_000]);
        assert!(waits[25..].iter().all(|wait| *wait == 300_000), "{waits:?}");
        assert!(waits.len() > 30, "it goes on: {waits:?}");
        assert!(contest.is_contested(&LIMITS));
    }

    #[test]
    fn calm_gives_the_whole_burst_back() {
        // Contested since 0, the next heal is allowed at 10 s: calm begins there.
        for (pause, free) in [(309_999, 1), (310_000, 20), (10_000_000, 20)] {
            let mut contest = Contest::default();
            assert_eq!(fight(&mut contest, 0, 0, 1).len(), 20);
            let healed = fight(&mut contest, pause, 1, pause + 1_000);
            assert_eq!(healed.len(), free, "after {pause} ms");
        }
    }

    #[test]
    fn the_longest_wait_is_not_calm() {
        let mut contest = Contest::default();
        let healed = fight(&mut contest, 0, 1, 100_000_000);
        let in_last_hour = healed.iter().filter(|time| **time > 96_400_000).count();
        assert_eq!(in_last_hour, 12, "one in five minutes, also after a day");
    }

    #[test]
    fn what_is_calm_may_be_forgotten() {
        let mut contest = Contest::default();
        contest.allow(at(0), &LIMITS).unwrap();
        assert!(!contest.is_calm(at(59_999), &LIMITS) && contest.is_calm(at(60_000), &LIMITS));
    }

    #[test]
    fn the_window_begins_with_the_first_heal() {
        let mut contest = Contest::default();
        let start = Instant::default() + Duration::from_secs(50);
        for heal in 0..20 {
            assert_eq!(contest.allow(start + Duration::from_secs(heal), &LIMITS), Ok(()));
        }
        assert!(contest.is_contested(&LIMITS));
    }

    #[test]
    fn odd_limits_do_no_harm() {
        let none = ContestLimits { burst: 0, ..LIMITS };
        let mut contest = Contest::default();
        assert_eq!(contest.allow(Instant::default(), &none), Ok(()));
        assert_eq!(contest.allow(Instant::default(), &none), Err(Instant::default() + LIMITS.interval));
        let zero = ContestLimits {
            burst: 1,
            window: Duration::ZERO,
            interval: Duration::ZERO,
            max_interval: Duration::ZERO,
            calm: Duration::ZERO,
        };
        for time in 0..1000 {
            assert_eq!(contest.allow(at(10_000_000 + time), &zero), Ok(()));
        }
        let long = ContestLimits { interval: Duration::MAX, max_interval: Duration::MAX, burst: 1, ..LIMITS };
        let mut contest = Contest::default();
        assert_eq!(contest.allow(at(0), &long), Ok(()));
        assert!(contest.allow(at(1_000_000), &long).is_err());
    }
}
