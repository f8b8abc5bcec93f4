//! `status` of an Application, with Argo CD's names, in the part that Driftless writes and reads back.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::application::{Destination, InitiatedBy, Operation, Source};

/// `status` of an Application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationStatus {
    /// Whether the cluster equals Git.
    pub sync: SyncStatus,
    /// The worst health of the application's objects.
    pub health: HealthStatus,
    /// What is wrong, by type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The application's objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceStatus>,
    /// The running or last operation. Shared with the engine and its view: it names every object that a sync applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_state: Option<Arc<OperationState>>,
    /// What was deployed, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
    /// When Git was last compared with the cluster and something was found to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciled_at: Option<String>,
    /// `Directory` for plain manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
    /// Where per-object health is found; empty: in `resources`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_health_source: Option<String>,
    /// Namespace of the agent that writes this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller_namespace: Option<String>,
}

/// `status.sync`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncStatus {
    /// `Synced`, `OutOfSync` or `Unknown`.
    pub status: String,
    /// The commit that the cluster was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Source and destination of that comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared_to: Option<ComparedTo>,
}

/// `status.sync.comparedTo`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ComparedTo {
    /// Source that was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Destination that was compared.
    pub destination: Destination,
}

/// `status.health`, of an application or of one object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthStatus {
    /// One of Argo CD's health codes.
    pub status: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the code last changed (applications only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
}

/// One condition of an Application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// `InvalidSpecError`, `ComparisonError`, `SyncError`, `DeletionError`, `SharedResourceWarning`, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// What is wrong and what to do.
    pub message: String,
    /// When it appeared or changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
}

/// One object in `status.resources`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceStatus {
    /// API group; absent for the core group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; absent for a cluster-scoped object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `Synced`, `OutOfSync` or `Unknown`.
    pub status: String,
    /// Health, where the kind has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthStatus>,
    /// It left Git and waits to be pruned.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub requires_pruning: bool,
    /// Who changed it in the cluster, where that is known (Driftless' own field; Argo CD ignores it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<String>,
}

/// `status.operationState`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationState {
    /// What was asked.
    pub operation: Operation,
    /// `Running`, `Succeeded`, `Failed` or `Error`.
    pub phase: String,
    /// What happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Revision and result of each object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_result: Option<SyncResult>,
    /// When it started.
    pub started_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// How often it was tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_count: Option<i64>,
}

/// `status.operationState.syncResult`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncResult {
    /// The commit that was synced.
    pub revision: String,
    /// Its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What happened to each object that was touched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceResult>,
}

// There are as many of these as there are objects: they share the names with the objects' keys.
/// What a sync did to one object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceResult {
    /// API group.
    pub group: Arc<str>,
    /// API version.
    pub version: Arc<str>,
    /// Kind.
    pub kind: Arc<str>,
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// `Synced`, `SyncFailed`, `Pruned` or `PruneSkipped`.
    pub status: Cow<'static, str>,
    /// Server's message, redacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What came of it: `Running`, `Succeeded` or `Failed`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub hook_phase: Cow<'static, str>,
    /// Always `Sync` until hooks are supported.
    pub sync_phase: Cow<'static, str>,
}

/// One entry of `status.history`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HistoryEntry {
    /// Number, counting up.
    pub id: i64,
    /// Commit.
    pub revision: String,
    /// Source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// When the sync started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy_started_at: Option<String>,
    /// When it was done.
    pub deployed_at: String,
    /// Who started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiated_by: Option<InitiatedBy>,
}
