//! Pauses between tries of a read that goes on for ever (a watch, a list that must succeed in the end).

use std::time::Duration;

use super::news::{Listener, News};
use crate::engine::backoff::Backoff;

/// From failure to failure: doubling from 200 ms to 30 s, each taken between half and the whole of it.
const PAUSES: Backoff =
    Backoff { initial: Duration::from_millis(200), factor: 2, max: Duration::from_secs(30), jitter: 50 };
/// The longest wish of a server (`Retry-After`) that is honoured.
const LONGEST_WISH: Duration = Duration::from_secs(300);

/// Ends the pauses of readers early, because what they read is needed now. Cheap to clone; clones speak to the same
/// readers.
#[derive(Clone, Debug, Default)]
pub struct Hurry(News);

impl Hurry {
    /// Try again now, wherever a pause is under way; the next failure counts as the first.
    pub fn now(&self) {
        self.0.tell();
    }
}

/// Growing pauses. The jitter comes from a seed, so that a simulated run repeats.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    seed: u64,
    failures: u32,
    /// How many times were shortened: each takes another point of the jitter.
    taken: u32,
    hurry: Option<Listener>,
}

impl Retry {
    /// Pauses whose jitter follows from `seed`.
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, failures: 0, taken: 0, hurry: None }
    }

    /// The same with pauses that `hurry` ends.
    pub(super) fn hurried(seed: u64, hurry: &Hurry) -> Self {
        Self { hurry: Some(hurry.0.subscribe()), ..Self::new(seed) }
    }

    /// Waits for the next try, as [`Retry::pause`] says.
    pub(super) async fn wait(&mut self, wish: Option<Duration>) {
        let pause = tokio::time::sleep(self.pause(wish));
        let Some(hurry) = &mut self.hurry else { return pause.await };
        tokio::select! {
            // In a fixed order, so that a simulation can be repeated.
            biased;
            () = hurry.changed() => self.reset(),
            () = pause => {}
        }
    }

    /// The pause before the next try, at least what the server wished.
    pub(super) fn pause(&mut self, wish: Option<Duration>) -> Duration {
        let pause = PAUSES.delay(self.failures, self.seed);
        self.failures = self.failures.saturating_add(1);
        pause.max(wish.unwrap_or_default().min(LONGEST_WISH))
    }

    /// It worked: the next failure begins with the first pause again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// `time`, shortened at random by up to `jitter` hundredths; by something else at each call.
    pub(super) fn shorten(&mut self, time: Duration, jitter: u8) -> Duration {
        self.taken = self.taken.wrapping_add(1);
        Backoff { initial: time, factor: 1, max: time, jitter }.delay(self.taken, self.seed)
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
            let whole = PAUSES.initial.saturating_mul(1 << index.min(16)).min(PAUSES.max);
            assert!(*pause >= whole / 2 && *pause <= whole, "{index}: {pause:?}");
        }
        let mut again = Retry::new(7);
        assert_eq!(pauses, (0..40).map(|_| again.pause(None)).collect::<Vec<_>>());
        assert_ne!(pauses.first(), Some(&Retry::new(8).pause(None)));
        let minute = Duration::from_secs(60);
        let times = [retry.shorten(minute, 20), retry.shorten(minute, 20)];
        assert!(
            times.iter().all(|time| *time >= minute * 4 / 5 && *time <= minute) && times[0] != times[1],
            "{times:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_when_there_is_a_hurry() {
        let hurry = Hurry::default();
        let mut retry = Retry::hurried(1, &hurry);
        let begun = tokio::time::Instant::now();
        let minute = Some(Duration::from_secs(60));
        retry.wait(minute).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(60));
        hurry.now();
        retry.wait(minute).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(60));
        retry.wait(minute).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(120), "each hurry counts once");
    }

    #[test]
    fn wishes_of_the_server_are_honoured_within_bounds() {
        let mut retry = Retry::new(1);
        assert_eq!(retry.pause(Some(Duration::from_secs(60))), Duration::from_secs(60));
        assert_eq!(retry.pause(Some(Duration::from_secs(86_400))), LONGEST_WISH);
        retry.reset();
        assert!(retry.pause(None) <= PAUSES.initial);
    }
}
