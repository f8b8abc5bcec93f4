//! What Git wants of the cluster: rendered manifests with their namespace, tracking metadata and hash.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hash::Hash;
use super::ids::ObjectKey;

/// A manifest as a renderer made it, before anything of Driftless is on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The object. Always a map with `apiVersion`, `kind` and `metadata.name`.
    pub value: Value,
    /// Where it was read, for errors.
    pub origin: Origin,
}

/// Where a manifest stands in Git. Displays as `path:line (document n)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// File, relative to the repository's root.
    pub path: Arc<str>,
    /// Number of the document in the file, counted from 1.
    pub document: u32,
    /// First line of the document, counted from 1.
    pub line: u32,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{} (document {})", self.path, self.line, self.document)
    }
}

/// One object that an application desires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredObject {
    /// Which object; the namespace is filled in.
    pub key: ObjectKey,
    /// API version of the manifest.
    pub version: Arc<str>,
    /// Hash of the canonical manifest with tracking metadata, without the stamp.
    pub hash: Hash,
    /// When it is applied relative to the others.
    pub stage: Stage,
    /// `argocd.argoproj.io/sync-options: Prune=false` in the manifest.
    pub no_prune: bool,
}

/// Order of a sync: a stage begins when the one before has been applied. Within a stage objects go in parallel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Namespaces: what is in them needs them.
    Namespace,
    /// CustomResourceDefinitions: custom resources need them.
    Definition,
    /// Accounts, roles, configuration, storage: workloads refer to them.
    Base,
    /// Everything else.
    #[default]
    Workload,
    /// Admission webhooks and API services, which answer only when what serves them is there.
    Extension,
}

/// What one rendering of an application desires.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DesiredSet {
    /// The objects, ordered by key, without duplicates.
    pub objects: Vec<DesiredObject>,
    /// What is worth telling and stops nothing (condition type, message).
    pub warnings: Vec<(String, String)>,
}

/// What a rendering read: the look-ups it made in the tree, with what they found. Two trees that agree on all of them
/// render alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderInputs {
    /// Hash over everything else that goes in: source options, destination, application, renderer version, scopes of the
    /// kinds that were used.
    #[serde(rename = "o")]
    pub options: Option<Hash>,
    /// Path in the repository, and the id of the blob or tree found there; `None`: nothing was there.
    #[serde(rename = "r")]
    pub reads: Vec<(Arc<str>, Option<Arc<str>>)>,
}
