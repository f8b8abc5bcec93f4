//! Something that changes, for many tasks that wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Tells all who wait that something has changed, in the order in which they began to wait: tokio's `watch` wakes them in an
/// order that it draws, and a simulation could not be repeated.
#[derive(Debug, Default)]
pub(super) struct News(Mutex<CancellationToken>);

impl News {
    /// Something has changed.
    pub(super) fn tell(&self) {
        let told = std::mem::take(&mut *self.lock());
        told.cancel();
    }

    /// Is cancelled with the next change.
    pub(super) fn next(&self) -> CancellationToken {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, CancellationToken> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
