//! The engine's memory: applications, objects, repositories, watches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::application::{Automated, ObservedApplication, Operation, Source, SyncResource};
use super::descent::Descent;
use super::desired::{DesiredObject, Stage};
use super::hash::Hash;
use super::health::HealthCode;
use super::ids::{AppKey, GroupKind, ObjectKey, RepoKey, Revision};
use super::options::AppOptions;
use super::record::ApplicationRecord;
use super::status::{ApplicationStatus, Condition, HistoryEntry, OperationState};
use super::time::{Instant, Timestamp};
use super::wave::{Turn, Wave};

pub(super) use super::object::{Flight, Object, Owner, REVERTED, Tally, Verdict, owner_of, watch_of};

/// What the rendering of an application is up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum RenderState {
    /// Nothing to do, or waiting for a free place.
    #[default]
    Idle,
    /// Under way.
    Running {
        /// Number of the request.
        request: u64,
        /// What is rendered.
        revision: Revision,
        /// Source and destination that it is rendered with ([`Plan::hash`]).
        source: Hash,
    },
}

/// What an application's spec comes down to, if it can be worked with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// Repository.
    pub repo: RepoKey,
    /// Source as written.
    pub source: Arc<Source>,
    /// Namespace of the objects that name none.
    pub namespace: Arc<str>,
    /// Argo CD project.
    pub project: Arc<str>,
    /// Hash of source, destination and project: what a revision is rendered with.
    pub hash: Hash,
    /// Automated sync, where it is on.
    pub automated: Option<Automated>,
    /// Sync options.
    pub options: AppOptions,
}

/// A sync under way.
#[derive(Debug)]
pub(super) struct Sync {
    /// What was asked, as it stands in the status.
    pub operation: Operation,
    /// Started by the agent itself.
    pub automated: bool,
    /// What is synced.
    pub revision: Revision,
    /// When it started.
    pub started_at: Timestamp,
    /// How far it is.
    pub phase: SyncPhase,
    /// How often it was tried again.
    pub retries: u32,
    /// How often making the namespace failed for a passing reason.
    pub namespace_tries: u32,
    /// Delete what left Git.
    pub prune: bool,
    /// Objects that wait to be applied, in order.
    pub todo: BTreeSet<(Turn, ObjectKey)>,
    /// The stage of the wave that is being applied.
    pub stage: Stage,
    /// Waves that are not done; the first is under way.
    pub waves: BTreeSet<Wave>,
    /// There is more than one wave: the next one waits until what this one brought is healthy.
    pub waits: bool,
    /// What of the first wave is applied and not healthy yet, once all of it is applied.
    pub unhealthy: Option<BTreeSet<ObjectKey>>,
    /// Objects with a request of this sync under way.
    pub flying: BTreeSet<ObjectKey>,
    /// Only these objects, where a person chose.
    pub selected: Option<Vec<SyncResource>>,
    /// What was done to each object.
    pub results: BTreeMap<ObjectKey, ObjectResult>,
}

/// How far a sync is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncPhase {
    /// Its start is being written into the status; nothing is applied before that is confirmed.
    Recording,
    /// How every object stands has to be known first.
    Observing,
    /// The namespace is being made.
    Namespace,
    /// Applies.
    Applying,
    /// Deletes of what left Git.
    Pruning,
    /// It failed and is tried again then.
    Backoff(Instant),
}

/// What a sync did to one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectResult {
    /// `Synced`, `SyncFailed`, `Pruned` or `PruneSkipped`.
    pub status: &'static str,
    /// It was applied, and then found to be degraded.
    pub degraded: bool,
    /// What the API server said, redacted, or why it is degraded.
    pub message: Option<Box<str>>,
}

/// One application.
#[derive(Debug)]
pub(super) struct App {
    /// As watched.
    pub observed: Box<ObservedApplication>,
    /// What the spec comes down to; `Err` says what is wrong with it.
    pub plan: Result<Plan, String>,
    /// What the store keeps.
    pub record: ApplicationRecord,
    /// The commit that the target revision names, with the number of the listing that said so.
    pub target: Option<(Revision, u64)>,
    /// The ref that named the target.
    pub reference: Option<Arc<str>>,
    /// The target was confirmed by a listing made while this replica leads.
    pub fresh: bool,
    /// Number of the last listing whose revision was rendered, or failed to.
    pub tried: u64,
    /// How the installed revision came about.
    pub descent: Descent,
    /// Rendering.
    pub render: RenderState,
    /// The next rendering ignores what is known.
    pub render_anew: bool,
    /// The rendering that failed last, and when it is worth trying again; `None`: only something else.
    pub render_failed: Option<(Revision, Hash, Option<Instant>)>,
    /// The last rendering failed for want of a kind: try again when kinds change.
    pub wants_kinds: bool,
    /// Objects that it owns, in the engine's object map.
    pub inventory: BTreeSet<ObjectKey>,
    /// Objects that it desires and another application owns.
    pub claims: BTreeMap<ObjectKey, DesiredObject>,
    /// How its objects stand.
    pub tally: Tally,
    /// Objects that may need something done.
    pub attention: BTreeSet<ObjectKey>,
    /// Drift is put back, as of the last look: it is wanted and this replica may.
    pub heals: bool,
    /// What is installed was named by the repository while this replica leads.
    pub caught_up: bool,
    /// The sync under way.
    pub sync: Option<Sync>,
    /// The running or last operation. While this replica leads, its own memory counts; else what the status says.
    pub operation: Option<Arc<OperationState>>,
    /// What was deployed, oldest first; kept as `operation` is.
    pub history: Vec<HistoryEntry>,
    /// Conditions by type.
    pub conditions: BTreeMap<&'static str, Condition>,
    /// A refresh was asked for and is not done: number of the listing that must be seen.
    pub refresh: Option<u64>,
    /// How far the status on the cluster is behind.
    pub status: StatusState,
    /// Failed requests in a row (renderings, writes).
    pub failures: u32,
    /// Since when a prune waits for the repository's other applications.
    pub prune_since: Option<Instant>,
    /// The namespace is being made for heals.
    pub ensuring: bool,
    /// Last health code and when it began.
    pub health_since: Option<(HealthCode, Timestamp)>,
    /// What it waits for, for people.
    pub waiting: Option<String>,
}

/// Writing of a status.
#[derive(Debug, Default)]
pub(super) struct StatusState {
    /// Something may have changed since it was last built.
    pub dirty: bool,
    /// Since when.
    pub since: Option<Instant>,
    /// Somebody or something waits for it: no gathering of changes.
    pub urgent: bool,
    /// A write failed: not before.
    pub not_before: Option<Instant>,
    /// The resource version that the last write met a conflict with.
    pub conflict: Option<u64>,
    /// The write under way.
    pub in_flight: Option<StatusWrite>,
    /// Hash of the status that the cluster has.
    pub seen: Option<Hash>,
    /// Kinds of the objects that it names: a store that was lost does not know them.
    pub kinds: BTreeSet<GroupKind>,
    /// `.operation` is taken over and to be removed.
    pub clear_operation: bool,
    /// The refresh annotation is served and to be removed.
    pub clear_refresh: bool,
    /// Every object of the deleted Application is gone: remove our finalizers.
    pub release: bool,
    /// A write of this replica was accepted since it leads: what it has observed of the Application was the newest state.
    pub proven: bool,
    /// That proof is wanted: write even if there is nothing to say.
    pub prove: bool,
}

/// A write of an Application under way.
#[derive(Debug)]
pub(super) struct StatusWrite {
    /// Number of the request.
    pub request: u64,
    /// The resource version that it was decided on.
    pub resource_version: u64,
    /// It records the start of the sync, which goes on when it is confirmed.
    pub recording: bool,
    /// It removes `.operation`.
    pub clear_operation: bool,
    /// It removes the refresh annotation.
    pub clear_refresh: bool,
    /// What is written, without the objects; `None`: the status stays as it is.
    pub status: Option<(Hash, ApplicationStatus)>,
}

/// One repository.
#[derive(Debug, Default)]
pub(super) struct Repo {
    /// URL as one of its applications spells it.
    pub url: Arc<str>,
    /// Applications that read it.
    pub apps: BTreeSet<AppKey>,
    /// Number of the last listing that was asked for.
    pub asked: u64,
    /// A listing is under way.
    pub listing: bool,
    /// It has to be listed again as soon as the one under way is done.
    pub again: bool,
    /// Number of the last listing that was answered well.
    pub listed: u64,
    /// Next poll.
    pub due: Instant,
    /// Failures in a row.
    pub failures: u32,
    /// Why the last listing failed.
    pub error: Option<String>,
}

/// State of a kind's watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WatchState {
    /// Not listed yet.
    Pending,
    /// Listed, or resumed.
    Synced,
    /// The kind is not served: nothing of it can exist.
    Unserved,
    /// It fails for a passing reason, and is tried again: the storage of a new kind is not ready, a server is busy.
    Retrying(String),
    /// It does not work.
    Failed(String),
}

/// One watch.
#[derive(Debug)]
pub(super) struct Watch {
    /// How many objects need it.
    pub users: usize,
    /// Its state.
    pub state: WatchState,
    /// A list is under way.
    pub listing: bool,
    /// Number of the current or last list.
    pub list: u32,
}

/// Something that is due at an instant. Firing one too often does no harm: every handler looks at the state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Poll a repository.
    Poll(RepoKey),
    /// Look after an application.
    App(AppKey),
    /// Look after an object.
    Object(ObjectKey),
    /// Sweep again.
    Sweep,
}
