//! HTTP: health, metrics, and the read-only API, on axum. Reads the published view; knows neither store nor cluster.
//!
//! Two listeners: health checks and metrics for the cluster, and the API for this machine only, since it asks nobody who
//! they are. Nothing here waits for the loop but the objects of one application, which the loop alone knows.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::ids::AppKey;
use crate::engine::view::{ObjectView, View};

mod applications;
mod connection;
mod health;
mod limits;
mod metrics;
mod server;
#[cfg(test)]
mod tests;

pub use health::{HealthState, STALL_LIMIT};
pub use metrics::Metrics;
pub use server::{ListenError, Server};

/// How many requests for objects may wait for the loop; more are refused with 503. For the channel's owner.
pub const OBJECTS_QUEUE: usize = 16;

/// Asks the loop for the objects of an application, which the view leaves out.
#[derive(Debug)]
pub struct ObjectsRequest {
    /// Application.
    pub app: AppKey,
    /// Where the answer goes: the objects ordered by group, kind, namespace and name; `None` if there is no such application.
    pub reply: oneshot::Sender<Option<Vec<ObjectView>>>,
}

/// What the HTTP side reads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiState {
    /// The published view.
    pub view: watch::Receiver<Arc<View>>,
    /// The loop, for what the view leaves out.
    pub objects: mpsc::Sender<ObjectsRequest>,
    /// How the process is.
    pub health: HealthState,
    /// What it has counted.
    pub metrics: Arc<Metrics>,
}
