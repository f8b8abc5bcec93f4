//! Everything that can happen to the engine.

use std::sync::Arc;
use std::time::Duration;

use super::application::ObservedApplication;
use super::desired::{DesiredSet, RenderInputs};
use super::hash::Hash;
use super::ids::{AppKey, Epoch, GroupKind, Gvk, ObjectKey, RepoKey, Revision};
use super::live::{Blame, LiveObject};
use super::revision::{Ancestry, Refs};
use super::time::Instant;

/// One input of [`super::Engine::step`].
#[derive(Clone, Debug)]
pub enum Event {
    /// An Application as watched: new, changed, or unchanged after a relist.
    Application(Box<ObservedApplication>),
    /// An Application is gone.
    ApplicationGone(AppKey),
    /// The Applications that exist, after a list: others are gone.
    ApplicationsListed(Vec<AppKey>),
    /// The Lease was won or lost.
    Leadership(Leadership),
    /// Answer to [`super::effect::Effect::ListRefs`].
    Refs {
        /// Repository that was asked.
        repo: RepoKey,
        /// Its refs, or why they can't be had.
        result: Result<Arc<Refs>, SourceError>,
    },
    /// Answer to [`super::effect::Effect::Render`].
    Rendered {
        /// Application.
        app: AppKey,
        /// Number of the request; answers to superseded requests are dropped.
        request: u64,
        /// What came out.
        result: Result<Rendered, RenderFailure>,
    },
    /// Answer to [`super::effect::Effect::Trace`].
    Traced {
        /// Application.
        app: AppKey,
        /// The older commit.
        since: Revision,
        /// The newer one.
        revision: Revision,
        /// How they stand to each other, or why the repository can't be asked.
        result: Result<Ancestry, SourceError>,
    },
    /// The kinds that the API server serves were read anew.
    Discovered {
        /// Hash over all served kinds: changed when a kind came or went.
        kinds: Hash,
    },
    /// Something on a watch.
    Watch {
        /// Kind and version of the watch.
        watch: Gvk,
        /// What.
        event: WatchEvent,
        /// When its bytes arrived, where it is of an object on the stream: for those who measure.
        arrived: Option<Instant>,
    },
    /// Answer to [`super::effect::Effect::Apply`].
    Applied {
        /// Object.
        key: ObjectKey,
        /// Hash of the manifest that was to be applied.
        desired: Hash,
        /// What came of it.
        outcome: ApplyOutcome,
    },
    /// Answer to [`super::effect::Effect::Delete`].
    Deleted {
        /// Object.
        key: ObjectKey,
        /// What came of it.
        outcome: DeleteOutcome,
    },
    /// Answer to [`super::effect::Effect::Look`].
    Looked {
        /// Object.
        key: ObjectKey,
        /// The object, `None` if there is none, or why it can't be told.
        result: Result<Option<Box<LiveObject>>, RequestError>,
    },
    /// Answer to [`super::effect::Effect::Inspect`].
    Inspected {
        /// Object.
        key: ObjectKey,
        /// Hash of the manifest that was compared.
        desired: Hash,
        /// Resource version of the object that was compared.
        resource_version: u64,
        /// What was found, or why the manifest can't be had.
        result: Result<Inspection, RequestError>,
    },
    /// Answer to [`super::effect::Effect::EnsureNamespace`].
    NamespaceEnsured {
        /// Application that asked.
        app: AppKey,
        /// Whether the namespace is there now.
        result: Result<(), RequestError>,
    },
    /// Answer to [`super::effect::Effect::WriteApplication`].
    ApplicationWritten {
        /// Application.
        app: AppKey,
        /// Number of the write.
        request: u64,
        /// The new resource version, or why it was refused.
        result: Result<u64, RequestError>,
    },
    /// Answer to [`super::effect::Effect::Sweep`].
    Swept {
        /// What carries our instance label, or why that can't be told for every kind.
        result: Result<Sweep, RequestError>,
    },
    /// The store can't be written any more.
    StoreFailed,
    /// Nothing but time has passed.
    Tick,
}

/// What a search of every kind has found.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    /// What carries our instance label; metadata only.
    pub found: Vec<LiveObject>,
    /// Kinds that may not be listed: whether anything of them is ours is not known.
    pub forbidden: Vec<GroupKind>,
}

/// Whether this replica may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Another replica holds the Lease, or nobody, or it can't be told.
    Standby,
    /// This replica holds it.
    Leader {
        /// `leaseTransitions` under which it was acquired.
        epoch: Epoch,
        /// `metadata.uid` of the Lease: epochs of different Leases don't compare.
        lease_uid: String,
    },
}

/// What a watch delivers, in order.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// A full list begins: what it does not name is absent.
    ListStarted,
    /// An object of the list or of the stream: added or modified.
    Live(Box<LiveObject>),
    /// The object left the watch: deleted, or only its label went.
    Gone {
        /// Object.
        key: ObjectKey,
        /// Its `metadata.uid`.
        uid: Arc<str>,
        /// Resource version of the removal.
        resource_version: u64,
    },
    /// The list ended at this resource version.
    ListDone {
        /// Resource version of the list.
        resource_version: u64,
    },
    /// Everything up to this resource version was delivered.
    Bookmark {
        /// That resource version.
        resource_version: u64,
    },
    /// The watch does not work; it is tried again with back-off.
    Failed {
        /// Why.
        error: RequestError,
    },
}

/// Answer to a render request.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The commit.
    pub revision: Revision,
    /// `None`: every input was as in the previous rendering, so what is desired is, too.
    pub desired: Option<Arc<DesiredSet>>,
    /// What was read.
    pub inputs: Arc<RenderInputs>,
    /// How the commit stands to the one that [`super::effect::Render::since`] named, as far as that was at hand.
    pub since: Option<(Revision, Ancestry)>,
}

/// Why a rendering has no result. Nothing is deleted or applied because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderFailure {
    /// Which kind of failure.
    pub reason: RenderFailureReason,
    /// What is wrong, where, and what to do.
    pub message: String,
}

/// Kinds of render failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderFailureReason {
    /// The spec asks for something that is not supported or contradicts itself: wait for a change of the spec.
    InvalidSpec,
    /// The content of this revision is at fault: wait for another one.
    Content,
    /// A manifest's kind is not served by the API server: wait for discovery to change.
    UnknownKind,
    /// Git or the local disk failed: try again.
    Source,
}

/// Why refs can't be listed or a commit can't be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// What is wrong and what to do, without credentials.
    pub message: String,
}

/// What came of an apply.
#[derive(Clone, Debug)]
pub enum ApplyOutcome {
    /// The API server took it.
    Applied {
        /// The answer.
        live: Box<LiveObject>,
        /// Who had changed it, for a heal.
        blame: Vec<Blame>,
        /// What stays on the object although it left Git, and why.
        leftover: Option<String>,
    },
    /// A dry run: whether the live object has the values that an apply would give it. Nothing was written.
    Compared {
        /// The live object as read for the comparison, `None` if there is none.
        live: Option<Box<LiveObject>>,
        /// Equal on every field that the manifest sets.
        equal: bool,
    },
    /// The precondition failed: the object is not as the decision assumed, or exists although it was to be created.
    Conflict {
        /// The object as it is now; `None`: it is gone.
        live: Option<Box<LiveObject>>,
    },
    /// It was not sent: leadership was lost or is about to be.
    Fenced,
    /// It failed.
    Failed(RequestError),
}

/// What came of a delete.
#[derive(Clone, Debug)]
pub enum DeleteOutcome {
    /// Accepted; the object may live on until its finalizers are done.
    Accepted,
    /// It was not there any more.
    NotFound,
    /// Uid or resource version had changed.
    Conflict,
    /// It was not sent: leadership was lost or is about to be.
    Fenced,
    /// It failed.
    Failed(RequestError),
}

/// What a comparison of a manifest with an object's managed fields says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Our Apply entry covers every field of the manifest.
    pub covered: bool,
    /// Who holds what we lost.
    pub blame: Vec<Blame>,
}

/// A failed request, sorted by what it asks of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestError {
    /// What to do about it.
    pub reason: RequestErrorReason,
    /// The API server's message with values redacted, and what to do.
    pub message: String,
}

/// Kinds of request errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestErrorReason {
    /// The object or the request is wrong: the same request will fail again (400, 422, 500 "typed patch").
    Invalid,
    /// Not allowed (401, 403).
    Forbidden,
    /// The kind is not served.
    UnknownKind,
    /// The namespace does not exist, or is being deleted.
    NamespaceUnavailable,
    /// Conditional write lost (409).
    Conflict,
    /// The object is not there (404).
    NotFound,
    /// Try again, not before `retry_after` where the server says so (429, 5xx, time-outs, broken connections).
    Transient {
        /// Server's wish.
        retry_after: Option<Duration>,
    },
}
