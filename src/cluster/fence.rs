//! The last check before a write: whether this replica still leads, in the epoch that the decision was made in.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::event::{RequestError, RequestErrorReason};
use crate::engine::ids::Epoch;

/// Says whether a write may be started now. Asked directly before every mutating request, so it must be cheap.
pub trait Fence: Send + Sync {
    /// Whether a write decided under `epoch` may be started, if its request ends within `timeout`: this replica leads in
    /// that very epoch, and its leadership outlasts the request.
    fn may_start(&self, epoch: Epoch, timeout: Duration) -> bool;
}

/// What every mutating request needs beside its content.
#[derive(Clone)]
pub struct WriteContext {
    /// Asked before each mutating request.
    pub fence: Arc<dyn Fence>,
    /// Longest time that one request may take, sent to the API server as well. A request that takes longer is given up,
    /// but may still be carried out.
    pub timeout: Duration,
}

impl WriteContext {
    /// Whether a write decided under `epoch` may be started now. Without an epoch never.
    pub(super) fn may_start(&self, epoch: Option<Epoch>) -> bool {
        epoch.is_some_and(|epoch| self.fence.may_start(epoch, self.timeout))
    }
}

/// The error of a write that was not sent because leadership was lost, for answers that have no word of their own for it.
pub(super) fn fenced() -> RequestError {
    RequestError {
        reason: RequestErrorReason::Transient { retry_after: None },
        message: "not sent: this replica does not lead any more, the next leader decides anew".to_owned(),
    }
}

/// Counts the writes that were started and have not ended. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct InFlight(Arc<watch::Sender<usize>>);

impl Default for InFlight {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl InFlight {
    /// Counts one write, from before the fence is asked until the guard is dropped.
    pub fn enter(&self) -> InFlightGuard {
        self.0.send_modify(|count| *count += 1);
        InFlightGuard(self.0.clone())
    }

    /// Whether there is none.
    pub fn is_idle(&self) -> bool {
        *self.0.borrow() == 0
    }

    /// Ends when there is none.
    pub async fn idle(&self) {
        // It can't be closed while `self` has a sender.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

/// One write in flight.
#[must_use]
pub struct InFlightGuard(Arc<watch::Sender<usize>>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
