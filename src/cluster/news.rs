//! Something that changes now and then, for many tasks that wait for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Tells all who wait that something has changed, in the order in which they began to wait. (tokio's `watch` wakes them in
/// an order that it draws, and a simulation could not be repeated.) Cheap to clone; clones tell the same.
#[derive(Clone, Debug, Default)]
pub(super) struct News(Arc<Mutex<CancellationToken>>);

impl News {
    /// Something has changed.
    pub(super) fn tell(&self) {
        let told = std::mem::take(&mut *self.next());
        told.cancel();
    }

    /// One who is told of what changes from now on.
    pub(super) fn subscribe(&self) -> Listener {
        Listener { next: self.next().clone(), news: self.clone() }
    }

    fn next(&self) -> MutexGuard<'_, CancellationToken> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who is told.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    next: CancellationToken,
    news: News,
}

impl Listener {
    /// Ends when something has changed since this was made, or since it last ended.
    pub(super) async fn changed(&mut self) {
        self.next.cancelled().await;
        self.next = self.news.next().clone();
    }
}
