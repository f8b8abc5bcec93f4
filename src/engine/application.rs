//! Argo CD's `Application` (`argoproj.io/v1alpha1`) as Driftless reads it.
//!
//! Field names and meanings are those of Argo CD's CRD. What Driftless does not support yet is kept as raw JSON, so that
//! its presence can be refused by name instead of being read as something else.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ids::AppKey;
use super::status::ApplicationStatus;

/// Annotation by which a person or `argocd app get --refresh` asks for a comparison now: `normal` or `hard`.
pub const REFRESH: &str = "argocd.argoproj.io/refresh";
/// Finalizer with which a deleted Application deletes its objects first, in the foreground.
pub const RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
/// The same with background propagation.
pub const RESOURCES_FINALIZER_BACKGROUND: &str = "resources-finalizer.argocd.argoproj.io/background";
/// Annotation on an Application that lets a held prune through: the revision whose prune was held.
pub const ALLOW_PRUNE: &str = "driftless.dev/allow-prune";
/// Annotation (`true`) on an Application whose status Argo CD's controller wrote: Driftless takes it over.
pub const TAKE_OVER: &str = "driftless.dev/take-over";

/// `spec` of an Application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationSpec {
    /// Argo CD project; kept and shown, not enforced.
    pub project: String,
    /// Where the manifests come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Several sources; not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<Source>>,
    /// Where the objects go.
    pub destination: Destination,
    /// How the application is synced. Absent: only on request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_policy: Option<SyncPolicy>,
    /// Fields to leave alone; not supported yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore_differences: Vec<Value>,
    /// Free information for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub info: Vec<Info>,
    /// How many entries `status.history` keeps; 10 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i64>,
    /// Rendered-manifest pattern; not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_hydrator: Option<Value>,
}

/// A name and a value for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Info {
    /// What it is.
    pub name: String,
    /// Its text.
    pub value: String,
}

/// A source of manifests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Source {
    /// URL of the Git repository: https, http, ssh, `user@host:path`, or a local path.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Folder in the repository; the root if empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Branch, tag, full ref, commit id, `HEAD` or a semver range over tags; `HEAD` if empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_revision: Option<String>,
    /// Options for a plain directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<Directory>,
    /// Helm chart name; not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart: Option<String>,
    /// Name of this source for `$ref` in another one; not supported yet.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Helm options; not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helm: Option<Value>,
    /// What is changed in the kustomization before it is built, as `kustomize edit` would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<Value>,
    /// Config management plugin; not supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<Value>,
}

impl Source {
    /// `targetRevision`; `HEAD` if empty.
    pub fn target(&self) -> &str {
        self.target_revision.as_deref().filter(|target| !target.is_empty()).unwrap_or("HEAD")
    }
}

/// Options of a plain directory of manifests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Directory {
    /// Read the folders below as well.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recurse: bool,
    /// Glob (or `{a,b}` of globs) on the path below the source's: only these files are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<String>,
    /// Glob of files that are left out; wins over `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<String>,
    /// Jsonnet options; not supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsonnet: Option<Value>,
}

/// The cluster and namespace that an application is deployed to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Destination {
    /// URL of the cluster's API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Name of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace of the namespaced objects that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// `spec.syncPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncPolicy {
    /// Present: commits are synced without being asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automated: Option<Automated>,
    /// `Name=value` options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_options: Vec<String>,
    /// When a failed sync is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Labels and annotations of the namespace that `CreateNamespace=true` makes; not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_namespace_metadata: Option<Value>,
}

/// `spec.syncPolicy.automated`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Automated {
    /// `false` turns automated sync off with everything else kept; absent means on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Delete what left Git.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune: Option<bool>,
    /// Revert changes made in the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_heal: Option<bool>,
    /// Allow a sync that prunes every object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_empty: Option<bool>,
}

/// `retry` of a sync.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Retry {
    /// How often a failed sync is tried again; negative: without limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// How long to wait between tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Resolve the revision anew on each try; Driftless always does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<bool>,
}

/// `retry.backoff`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Backoff {
    /// First wait, as a Go duration (`5s`) or plain seconds; 5 s if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Multiplier from wait to wait; 2 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<i64>,
    /// Longest wait; 3 min if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<String>,
}

/// `.operation`: a sync that a person or another controller asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Operation {
    /// What to sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncOperation>,
    /// Who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiated_by: Option<InitiatedBy>,
    /// Free information for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub info: Vec<Info>,
    /// Retries of this operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

/// `.operation.sync`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncOperation {
    /// Revision to sync; the application's target revision if empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Delete what left Git.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub prune: bool,
    /// Only say what would happen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Only these objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<SyncResource>,
    /// Options in place of the application's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_options: Vec<String>,
    /// Strategy; only its presence is known, hooks and force are not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_strategy: Option<Value>,
}

/// One object of a selective sync.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SyncResource {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace; any if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Who started an operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct InitiatedBy {
    /// User name, where a person asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Started by the agent itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub automated: bool,
}

/// An Application as it was watched, with what the engine needs of its metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedApplication {
    /// Namespace and name.
    pub key: AppKey,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`; every write of the Application is conditional on it.
    pub resource_version: u64,
    /// The spec, or why it can't be read.
    pub spec: Result<ApplicationSpec, String>,
    /// Annotations that begin with `argocd.argoproj.io/` or `driftless.dev/`.
    pub annotations: BTreeMap<String, String>,
    /// `metadata.finalizers`.
    pub finalizers: Vec<String>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `.operation`, or why it can't be read.
    pub operation: Option<Result<Operation, String>>,
    /// What the status records; fields that can't be read are as if absent.
    pub status: ApplicationStatus,
    /// Another controller whose `managedFields` entry holds `status` (Argo CD's own), if any.
    pub status_writer: Option<String>,
}
