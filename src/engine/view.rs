//! What readers see: an immutable snapshot, published after a step that changed it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::AppKey;
use super::status::{Condition, HealthStatus, OperationState, SyncStatus};

/// The state of one replica. Cheap to clone: applications are shared.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Whether this replica leads.
    pub leader: bool,
    /// Whether the Lease's state is known (held by us, or observed to be held by another).
    pub lease_known: bool,
    /// Epoch of the Lease.
    pub epoch: Option<i32>,
    /// Whether the Applications were listed once.
    pub applications_listed: bool,
    /// Kinds whose watch has never delivered its first list, with the reason where there is one. A kind that is forbidden
    /// or not served counts as answered.
    pub watches_pending: Vec<String>,
    /// Kinds watched.
    pub watches: usize,
    /// Whether the inventory is complete.
    pub inventory_complete: bool,
    /// All applications.
    pub applications: Arc<BTreeMap<AppKey, Arc<ApplicationView>>>,
    /// What has been counted since the process started.
    pub counters: Counters,
}

/// One application, without its objects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationView {
    /// Namespace of the Application.
    pub namespace: String,
    /// Name of the Application.
    pub name: String,
    /// Argo CD project.
    pub project: String,
    /// Repository as the spec spells it, without credentials.
    pub repo_url: String,
    /// Folder in the repository.
    pub path: String,
    /// Revision that the spec asks for.
    pub target_revision: String,
    /// Namespace of the destination.
    pub destination_namespace: String,
    /// `status.sync`.
    pub sync: SyncStatus,
    /// `status.health`.
    pub health: HealthStatus,
    /// `status.conditions`.
    pub conditions: Vec<Condition>,
    /// `status.operationState`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_state: Option<Arc<OperationState>>,
    /// What it waits for and since when, where it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// How many objects it has.
    pub objects: usize,
    /// How many of them are not as Git wants them.
    pub out_of_sync: usize,
}

/// One object of an application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectView {
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `Synced`, `OutOfSync`, `Missing` or `Unknown`.
    pub sync: String,
    /// Health, where the kind has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthStatus>,
    /// Who changed what, while it drifts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<String>,
    /// Why it can't be applied or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// It left Git and waits to be pruned.
    pub requires_pruning: bool,
    /// Hash of the manifest that Git wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_hash: Option<String>,
}

/// Counters of the engine; they only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Objects found to differ from what was applied.
    pub drift_detected: u64,
    /// Drifted objects put back.
    pub drift_healed: u64,
    /// Applies that the API server took.
    pub applied: u64,
    /// Applies that failed.
    pub apply_failed: u64,
    /// Objects deleted because they left Git.
    pub pruned: u64,
    /// Syncs that ended well.
    pub syncs_succeeded: u64,
    /// Syncs that ended badly.
    pub syncs_failed: u64,
    /// Renderings that were asked for.
    pub renders: u64,
    /// Renderings whose inputs had not changed.
    pub render_hits: u64,
    /// Renderings that failed.
    pub render_failed: u64,
}
