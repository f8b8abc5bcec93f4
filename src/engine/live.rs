//! An object as the cluster shows it, cut down to what decisions need.

use std::sync::Arc;

use super::hash::Hash;
use super::health::Health;
use super::ids::{ObjectKey, TrackingId};

/// One watched or answered object. The body is dropped where it is decoded; only `managed_fields` keeps text, and only
/// until the engine has looked at it.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveObject {
    /// Which object.
    pub key: ObjectKey,
    /// API version in which it was read; hashes of different versions never compare.
    pub version: Arc<str>,
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.resourceVersion`, comparable within one resource (KEP-5504).
    pub resource_version: u64,
    /// Whose it says it is (annotation `argocd.argoproj.io/tracking-id`).
    pub tracking: Option<TrackingId>,
    /// Label `driftless.dev/instance`.
    pub instance: Option<Box<str>>,
    /// Annotation `driftless.dev/manifest`: hash of the manifest that was last applied.
    pub stamp: Option<Hash>,
    /// Hash of what our own Apply entry owns, with its values; `None` if we have no such entry.
    pub footprint: Option<Hash>,
    /// Health, where the kind has any.
    pub health: Option<Health>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Number of the wave that it was applied in (annotation `argocd.argoproj.io/sync-wave`); 0 where that can't be read.
    pub wave: i32,
    /// Live annotations and finalizer that forbid deletes.
    pub protection: Protection,
    /// `metadata.managedFields` as JSON text: whose fields are whose, for blame and coverage.
    pub managed_fields: Option<Box<str>>,
}

/// What the live object itself says about being deleted; read from the cluster, never from Git.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// `argocd.argoproj.io/sync-options: Prune=false` (or `confirm`, until confirming is supported).
    pub no_prune: bool,
    /// `argocd.argoproj.io/sync-options: Delete=false` (or `confirm`), or `helm.sh/resource-policy: keep`.
    pub no_delete: bool,
    /// `argocd.argoproj.io/sync-options: Prune=true`: lets a kind be pruned that never is by default.
    pub prune_allowed: bool,
}

/// Who holds fields that were ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// Field manager; `None` where nobody holds the field (it was removed).
    pub manager: Option<Box<str>>,
    /// `Apply` or `Update`.
    pub operation: Box<str>,
    /// When the manager last wrote, RFC 3339.
    pub time: Option<Box<str>>,
    /// Field paths, e.g. `.spec.replicas`; never values. At most [`Blame::MAX_PATHS`].
    pub paths: Vec<String>,
}

impl Blame {
    /// How many paths one entry names.
    pub const MAX_PATHS: usize = 8;
}
