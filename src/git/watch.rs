//! The deadline of one operation, and the wish to stop it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::fault::Fault;

/// How often the cancel flag is looked at while waiting.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// Bounds one operation in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch<'a> {
    started: Instant,
    limit: Duration,
    cancel: &'a AtomicBool,
}

impl<'a> Watch<'a> {
    /// An operation that begins now, may take `limit`, and ends early when `cancel` is set.
    pub(super) fn new(limit: Duration, cancel: &'a AtomicBool) -> Self {
        Self { started: Instant::now(), limit, cancel }
    }

    /// When the operation began.
    pub(super) const fn started(&self) -> Instant {
        self.started
    }

    /// An error if the operation has to end now.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(Fault::Cancelled);
        }
        if self.remaining().is_zero() {
            return Err(Fault::Timeout(self.limit));
        }
        Ok(())
    }

    /// Time left.
    pub(super) fn remaining(&self) -> Duration {
        self.limit.saturating_sub(self.started.elapsed())
    }

    /// How long to wait before [`Self::check`] is due again.
    pub(super) fn pause(&self) -> Duration {
        self.remaining().min(POLL)
    }

    /// Runs `work` with a flag that is set when the operation has to end, for code that knows no deadline.
    pub(super) fn interrupting<T>(&self, work: impl FnOnce(&AtomicBool) -> Result<T, Fault>) -> Result<T, Fault> {
        let stop = AtomicBool::new(false);
        let (done, finished) = channel::<()>();
        let guard = |finished: Receiver<()>| {
            while finished.recv_timeout(self.pause()) == Err(RecvTimeoutError::Timeout) {
                if self.check().is_err() {
                    stop.store(true, Ordering::Relaxed);
                    return;
                }
            }
        };
        std::thread::scope(|scope| {
            std::thread::Builder::new().spawn_scoped(scope, || guard(finished)).map_err(|error| no_thread(&error))?;
            let result = work(&stop);
            drop(done);
            result
        })
    }
}

/// The machine has no thread for us.
pub(super) fn no_thread(error: &std::io::Error) -> Fault {
    Fault::Disk(format!("no thread could be started: {error}; raise the limit of processes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_flag_or_a_past_deadline_ends_the_operation() {
        let cancel = AtomicBool::new(false);
        let watch = Watch::new(Duration::from_secs(3600), &cancel);
        assert_eq!(watch.check(), Ok(()));
        cancel.store(true, Ordering::Relaxed);
        assert_eq!(watch.check(), Err(Fault::Cancelled));
        let never = AtomicBool::new(false);
        assert_eq!(Watch::new(Duration::ZERO, &never).check(), Err(Fault::Timeout(Duration::ZERO)));
    }

    #[test]
    fn work_without_a_deadline_is_interrupted() {
        let cancel = AtomicBool::new(false);
        let watch = Watch::new(Duration::from_secs(3600), &cancel);
        let ended = watch.interrupting(|stop| {
            cancel.store(true, Ordering::Relaxed);
            while !stop.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            Ok(3)
        });
        assert_eq!(ended, Ok(3));
        let idle = AtomicBool::new(false);
        assert_eq!(Watch::new(Duration::from_secs(3600), &idle).interrupting(|_| Ok(7)), Ok(7));
    }
}
