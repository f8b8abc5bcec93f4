//! Writing the store: one thread, transactions in the order in which the engine asked for them.
//!
//! What an effect relies on is committed before the effect is performed; everything else (what the watches showed) is
//! gathered for a moment, so that a burst of events costs one fsync and not one each.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::engine::hash::Hash;
use crate::engine::record::StoreOp;
use crate::store::Store;

/// How long writes that nothing waits for are gathered.
const GATHER: Duration = Duration::from_millis(200);
/// Writes that nothing waits for are committed early when there are so many.
const MOST_GATHERED: usize = 4096;
/// Transactions that wait for the thread.
const QUEUE: usize = 8;
/// How often manifests that nothing refers to are removed.
const COLLECT: Duration = Duration::from_secs(3600);

/// The loop's side of the store. Not cloned: the order of the writes is the order of the calls.
pub(super) struct Journal {
    gathered: Vec<StoreOp>,
    since: Option<tokio::time::Instant>,
    collected: tokio::time::Instant,
    hand: Hand,
}

/// Who writes.
enum Hand {
    Thread(mpsc::Sender<Work>),
    Here(Writer),
}

struct Writer {
    store: Arc<Store>,
    recent: RecentManifests,
    /// Is told the first error.
    failed: Option<Box<dyn Fn(String) + Send>>,
}

impl Writer {
    fn perform(&mut self, work: Work) {
        let (result, done) = match work {
            Work::Commit(ops, done) => (self.store.commit(&ops), done),
            Work::Collect => {
                let keep = std::mem::take(&mut *self.recent.lock().unwrap_or_else(PoisonError::into_inner));
                (self.store.collect_manifests(&keep).map(|_| ()), None)
            }
        };
        if let Err(error) = &result
            && let Some(failed) = self.failed.take()
        {
            failed(error.to_string());
        }
        if let Some(done) = done {
            // Whoever waited may have been stopped meanwhile.
            let _ = done.send(result.is_ok());
        }
    }
}

enum Work {
    Commit(Vec<StoreOp>, Option<oneshot::Sender<bool>>),
    Collect,
}

/// Manifests that were put since the last collection: their records may still be on the way.
pub(super) type RecentManifests = Arc<Mutex<BTreeSet<Hash>>>;

impl Journal {
    /// A journal of `store`, and the work of its thread, which ends when the journal is dropped. `failed` is told the
    /// first error, after which nothing is written any more.
    pub(super) fn on_thread(
        store: Arc<Store>,
        recent: RecentManifests,
        failed: impl Fn(String) + Send + 'static,
    ) -> (Self, impl FnOnce() + Send + 'static) {
        let (work, mut queue) = mpsc::channel(QUEUE);
        let mut writer = Writer { store, recent, failed: Some(Box::new(failed)) };
        let thread = move || {
            while let Some(work) = queue.blocking_recv() {
                writer.perform(work);
            }
        };
        (Self::with(Hand::Thread(work)), thread)
    }

    /// A journal of `store` that writes on the task that asks.
    pub(super) fn here(store: Arc<Store>, recent: RecentManifests, failed: impl Fn(String) + Send + 'static) -> Self {
        Self::with(Hand::Here(Writer { store, recent, failed: Some(Box::new(failed)) }))
    }

    fn with(hand: Hand) -> Self {
        Self { gathered: Vec::new(), since: None, collected: tokio::time::Instant::now(), hand }
    }

    /// Takes the writes of one batch of steps. With `must_precede`, returns when they, and all before them, are on disk;
    /// `false` if they are not.
    pub(super) async fn write(&mut self, mut ops: Vec<StoreOp>, must_precede: bool) -> bool {
        self.gathered.append(&mut ops);
        if must_precede {
            return self.flush().await;
        }
        if !self.gathered.is_empty() {
            self.since.get_or_insert_with(tokio::time::Instant::now);
        }
        if self.gathered.len() >= MOST_GATHERED {
            self.send(None).await;
        }
        true
    }

    /// When [`Journal::due`] has something to do.
    pub(super) fn wake(&self) -> Option<tokio::time::Instant> {
        self.since.map(|since| since + GATHER)
    }

    /// Commits what was gathered if its time has come, and collects garbage now and then.
    pub(super) async fn due(&mut self) {
        if self.wake().is_some_and(|wake| wake <= tokio::time::Instant::now()) {
            self.send(None).await;
        }
        if self.collected.elapsed() >= COLLECT {
            self.collected = tokio::time::Instant::now();
            match &mut self.hand {
                // With a full queue there is a next time.
                Hand::Thread(work) => drop(work.try_send(Work::Collect)),
                Hand::Here(writer) => writer.perform(Work::Collect),
            }
        }
    }

    /// Commits everything. `false` if that failed.
    pub(super) async fn flush(&mut self) -> bool {
        if self.gathered.is_empty() {
            return true;
        }
        let (done, answer) = oneshot::channel();
        self.send(Some(done)).await;
        answer.await.unwrap_or(false)
    }

    async fn send(&mut self, done: Option<oneshot::Sender<bool>>) {
        self.since = None;
        let ops = std::mem::take(&mut self.gathered);
        match &mut self.hand {
            // The thread ends only when this sender is dropped.
            Hand::Thread(work) => drop(work.send(Work::Commit(ops, done)).await),
            Hand::Here(writer) => writer.perform(Work::Commit(ops, done)),
        }
    }
}
