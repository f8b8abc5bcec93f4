//! Everything that the engine can ask for. The runtime performs effects in order; a [`Effect::Store`] batch is durable
//! before the effects after it are performed if it says so.

use std::sync::Arc;

use super::application::Source;
use super::desired::RenderInputs;
use super::hash::Hash;
use super::ids::{AppKey, Epoch, Gvk, ObjectKey, RepoKey, Revision};
use super::options::Propagation;
use super::record::StoreOp;
use super::status::ApplicationStatus;

/// One output of [`super::Engine::step`].
#[derive(Clone, Debug)]
#[must_use]
pub enum Effect {
    /// Write to the store.
    Store {
        /// The write.
        op: StoreOp,
        /// It must be on disk before any later effect is performed (write before act).
        before_next: bool,
    },
    /// List the refs of a repository. Answered by `Event::Refs`.
    ListRefs {
        /// Repository.
        repo: RepoKey,
        /// The URL as the Application spells it.
        url: Arc<str>,
    },
    /// Fetch a commit if need be, render it, and tell what it desires. Answered by `Event::Rendered`.
    Render(Box<Render>),
    /// Find out how a commit stands to an older one, asking the server if need be. Answered by `Event::Traced`.
    Trace(Box<Trace>),
    /// Watch a kind from a stored position, or from a full list.
    Watch {
        /// Kind and version.
        watch: Gvk,
        /// Resource version to resume from.
        from: Option<u64>,
    },
    /// Stop the watch of a kind.
    Unwatch {
        /// Kind and version.
        watch: Gvk,
    },
    /// Read the served kinds anew. Answered by `Event::Discovered`.
    Discover,
    /// Apply a manifest. Answered by `Event::Applied`.
    Apply(Box<Apply>),
    /// Delete an object, with uid and resource version as preconditions. Answered by `Event::Deleted`.
    Delete(Box<Delete>),
    /// Read one object. Answered by `Event::Looked`.
    Look {
        /// Object.
        key: ObjectKey,
        /// API version to read it in.
        version: Arc<str>,
    },
    /// Compare a manifest with managed fields. No request. Answered by `Event::Inspected`.
    Inspect {
        /// Manifest.
        manifest: ManifestRef,
        /// Object.
        key: ObjectKey,
        /// Its resource version.
        resource_version: u64,
        /// `metadata.managedFields` as JSON text.
        managed_fields: Box<str>,
    },
    /// Create a namespace if there is none. Answered by `Event::NamespaceEnsured`.
    EnsureNamespace {
        /// Application that asks.
        app: AppKey,
        /// Namespace.
        namespace: Arc<str>,
        /// Fencing.
        epoch: Epoch,
    },
    /// Write an Application's status and metadata. Answered by `Event::ApplicationWritten`.
    WriteApplication(Box<WriteApplication>),
    /// List the metadata of everything that carries our instance label. Answered by `Event::Swept`.
    Sweep,
    /// Tell people, as a Kubernetes Event on the Application and in the log.
    Notify(Box<Notice>),
}

impl Effect {
    /// Name of the effect, for metrics and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Store { .. } => "store",
            Self::ListRefs { .. } => "list_refs",
            Self::Render(_) => "render",
            Self::Trace(_) => "trace",
            Self::Watch { .. } => "watch",
            Self::Unwatch { .. } => "unwatch",
            Self::Discover => "discover",
            Self::Apply(_) => "apply",
            Self::Delete(_) => "delete",
            Self::Look { .. } => "look",
            Self::Inspect { .. } => "inspect",
            Self::EnsureNamespace { .. } => "ensure_namespace",
            Self::WriteApplication(_) => "write_application",
            Self::Sweep => "sweep",
            Self::Notify(_) => "notify",
        }
    }
}

/// A rendering to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Render {
    /// Application.
    pub app: AppKey,
    /// Number of the request.
    pub request: u64,
    /// Repository.
    pub repo: RepoKey,
    /// Source as the spec has it.
    pub source: Source,
    /// Namespace of the objects that name none.
    pub namespace: Arc<str>,
    /// Argo CD project.
    pub project: Arc<str>,
    /// Commit.
    pub revision: Revision,
    /// Full name of the ref that named the commit, from which it can be fetched; `None`: only by its id.
    pub reference: Option<Arc<str>>,
    /// Inputs of the rendering whose result the engine has; `None`: it has none, or wants a fresh one.
    pub previous: Option<Arc<RenderInputs>>,
    /// The commit that the application was synced to, if the same ref named it: how the new one stands to it is told with
    /// the result, if that is at hand.
    pub since: Option<Revision>,
}

/// A question about the history of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Application.
    pub app: AppKey,
    /// The URL as the Application spells it.
    pub url: Arc<str>,
    /// The older commit.
    pub since: Revision,
    /// The newer one.
    pub revision: Revision,
    /// Full name of the ref that names the newer one.
    pub reference: Option<Arc<str>>,
}

/// How to get a manifest's body: from the store by its hash; for a Secret, by rendering again.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestRef {
    /// Hash of the manifest.
    pub hash: Hash,
    /// Application that desires it.
    pub app: AppKey,
    /// Repository to render it from.
    pub repo: RepoKey,
    /// Source to render it from.
    pub source: Arc<Source>,
    /// Namespace of the objects that name none.
    pub namespace: Arc<str>,
    /// Argo CD project.
    pub project: Arc<str>,
    /// Commit.
    pub revision: Revision,
}

/// An apply to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Apply {
    /// Object.
    pub key: ObjectKey,
    /// API version of the manifest.
    pub version: Arc<str>,
    /// What to apply.
    pub manifest: ManifestRef,
    /// What must hold at the API server.
    pub precondition: Precondition,
    /// Why, and what the executor does beyond the plain apply.
    pub purpose: Purpose,
    /// Fencing.
    pub epoch: Option<Epoch>,
}

/// Condition of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The object must not exist (`resourceVersion: "1"`).
    Absent,
    /// The object must be exactly this one.
    Exactly {
        /// `metadata.uid`.
        uid: Arc<str>,
        /// `metadata.resourceVersion`.
        resource_version: u64,
    },
}

/// Why an apply is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    /// Git changed, or the object was never applied. What of the manifest `previous` is not in the new one and stays on
    /// the object is looked after.
    Sync {
        /// Hash of the manifest applied before, where one is known.
        previous: Option<Hash>,
    },
    /// The cluster changed. Blame is taken from these managed fields; what the other manager put beside our fields (edited
    /// list keys, swapped union arms) is removed once; a difference that nobody explains is settled by a dry run first.
    Heal {
        /// `metadata.managedFields` of the drifted object as JSON text.
        managed_fields: Option<Box<str>>,
    },
    /// Only compare, by a dry run. Sent by standbys and for applications that only report; needs no epoch.
    Compare,
}

/// A delete to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Application that owned it.
    pub app: AppKey,
    /// Object.
    pub key: ObjectKey,
    /// API version.
    pub version: Arc<str>,
    /// `metadata.uid` that the decision was made on.
    pub uid: Arc<str>,
    /// `metadata.resourceVersion` that the decision was made on.
    pub resource_version: u64,
    /// What becomes of its dependents.
    pub propagation: Propagation,
    /// Fencing.
    pub epoch: Epoch,
}

/// A write of an Application, conditional on its resource version.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteApplication {
    /// Application.
    pub app: AppKey,
    /// Number of the write.
    pub request: u64,
    /// Its `metadata.uid`.
    pub uid: String,
    /// Its `metadata.resourceVersion`.
    pub resource_version: u64,
    /// The whole new status, if it changed.
    pub status: Option<Box<ApplicationStatus>>,
    /// Remove `.operation`: it is in the status now.
    pub clear_operation: bool,
    /// Remove this annotation (the refresh that was served).
    pub remove_annotation: Option<&'static str>,
    /// Remove our finalizers: the objects are gone.
    pub remove_finalizers: bool,
    /// After a conflict, read the Application: the last write met one as well, and no watch has shown anything newer since.
    pub reread: bool,
    /// Fencing.
    pub epoch: Epoch,
}

/// Something to tell people about an Application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Application.
    pub app: AppKey,
    /// Its `metadata.uid`.
    pub uid: String,
    /// Whether it is bad news.
    pub warning: bool,
    /// CamelCase word for machines: `Synced`, `DriftReverted`, ….
    pub reason: &'static str,
    /// Sentence for people, redacted, at most 1,024 bytes.
    pub message: String,
}
