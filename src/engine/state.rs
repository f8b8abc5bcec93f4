//! The engine's memory: applications, objects, repositories, watches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::application::{Automated, ObservedApplication, Operation, Source, SyncResource};
use super::contest::Contest;
use super::desired::{DesiredObject, Stage};
use super::hash::Hash;
use super::health::HealthCode;
use super::ids::{AppKey, GroupKind, Gvk, ObjectKey, RepoKey, Revision};
use super::live::LiveObject;
use super::options::AppOptions;
use super::record::{ApplicationRecord, ObjectRecord};
use super::status::{ApplicationStatus, Condition, HistoryEntry, OperationState};
use super::time::{Instant, Timestamp};

/// How one object stands towards Git.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// It can't be told yet: the watch has not listed, or a look or comparison is under way.
    #[default]
    Unknown,
    /// As Git wants it.
    Synced,
    /// Not in the cluster.
    Missing,
    /// Git wants something else than what was last applied, or it never was.
    OutOfSync,
    /// Git wants what was applied, and the cluster was changed since.
    Drifted,
    /// It left Git.
    Extra,
    /// It exists and belongs to someone else; it is not touched.
    Foreign,
}

impl Verdict {
    /// Every verdict, in order.
    pub(super) const ALL: [Self; 7] =
        [Self::Unknown, Self::Synced, Self::Missing, Self::OutOfSync, Self::Drifted, Self::Extra, Self::Foreign];

    /// The word for `status.resources`.
    pub(super) const fn sync_code(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Synced => "Synced",
            _ => "OutOfSync",
        }
    }
}

/// How the text about drift begins that was reverted: it stays when the object is as it should be.
pub(super) const REVERTED: &str = "reverted: ";

/// Whose an object is, by its live metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Owner {
    /// Our instance label and the tracking id of the application that desires it.
    #[default]
    Ours,
    /// Nobody's: no tracking id, no instance label. It may be adopted.
    Untracked,
    /// Its tracking id names another Application, or another object (a copy).
    OtherApplication,
    /// Another installation of Driftless labelled it.
    OtherInstallation,
}

/// The one request that is under way for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flight {
    /// An apply, for a sync or a heal.
    Apply {
        /// What is applied.
        desired: Hash,
        /// Whether it takes a place of the heals.
        heal: bool,
    },
    /// A delete.
    Delete,
    /// A read.
    Look,
    /// A comparison without a request, or a dry run.
    Inspect,
}

/// What is known of an object beyond its durable record, where there is anything to know.
#[derive(Debug, Default)]
pub(super) struct Volatile {
    /// Whose it is.
    pub owner: Owner,
    /// The Application of this installation that its tracking id names, if that is not the one that has it.
    pub tracked: Option<Box<str>>,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Why its health is what it is.
    pub health_message: Option<Box<str>>,
    /// Managed fields of the drifted object, for blame, until a heal or comparison has used them.
    pub managed_fields: Option<Box<str>>,
    /// An inspection at this resource version found our fields changed.
    pub found_drifted: Option<u64>,
    /// A dry run found the object at this resource version to have the values of this manifest, which we never applied.
    pub equal: Option<(Hash, u64)>,
    /// The manifest and the resource version (0: none was known) for which such a dry run was asked, or need not be.
    pub compared: Option<(Hash, u64)>,
    /// The last inspection found every field of the manifest to be ours: values differ, and no manager explains it.
    pub covered: bool,
    /// Who changed what, for people.
    pub drift: Option<Box<str>>,
    /// The drift was counted and told.
    pub drift_told: bool,
    /// Why it can't be applied or deleted.
    pub error: Option<Box<str>>,
    /// What stays on the object although it left Git.
    pub leftover: Option<Box<str>>,
    /// Limits heals.
    pub contest: Option<Contest>,
    /// Not to be touched before.
    pub not_before: Option<Instant>,
    /// Failed requests in a row.
    pub failures: u32,
    /// It left the watch: a delete, or only the label went. Look before concluding.
    pub lost: bool,
    /// It does not carry our label, so no watch shows what becomes of it.
    pub unwatched: bool,
    /// When it is to be looked at, because no watch shows it.
    pub look_at: Option<Instant>,
    /// A delete was accepted; it is on its way out.
    pub delete_accepted: bool,
}

/// One object of an inventory.
#[derive(Debug)]
pub(super) struct Object {
    /// What the store keeps.
    pub record: ObjectRecord,
    /// Its record is on disk, or in a transaction that is written before any later effect.
    pub stored: bool,
    /// Number of the list in which it was last seen.
    pub seen: u32,
    /// The request under way.
    pub flight: Option<Flight>,
    /// Cached; `Engine::reassess` keeps it and the application's tally.
    pub verdict: Verdict,
    /// The health under which the tally counts it.
    pub counted: Option<HealthCode>,
    /// The rest.
    pub volatile: Option<Box<Volatile>>,
}

impl Object {
    /// An object that is in no store and was never seen.
    pub(super) fn new(record: ObjectRecord) -> Self {
        Self { record, stored: false, seen: 0, flight: None, verdict: Verdict::Unknown, counted: None, volatile: None }
    }

    /// The volatile part, made if there is none.
    pub(super) fn volatile(&mut self) -> &mut Volatile {
        self.volatile.get_or_insert_default()
    }

    /// Whose it is; ours unless something else was found.
    pub(super) fn owner(&self) -> Owner {
        match (&self.volatile, &self.record.live) {
            (Some(volatile), Some(_)) if volatile.owner != Owner::Ours => volatile.owner,
            (_, Some(live)) if !live.ours => Owner::Untracked,
            _ => Owner::Ours,
        }
    }

    /// Whether it is on its way out.
    pub(super) fn deleting(&self) -> bool {
        self.volatile.as_ref().is_some_and(|volatile| volatile.deleting)
    }

    /// Health, where the kind has any; `Missing` if it should be there and is not.
    pub(super) fn health(&self) -> Option<HealthCode> {
        match &self.record.live {
            Some(live) => live.health,
            None if self.record.desired.is_some() && self.verdict == Verdict::Missing => Some(HealthCode::Missing),
            None => None,
        }
    }

    /// A dry run found it as Git wants it, though not all of it is ours.
    pub(super) fn is_equal(&self) -> bool {
        let now = self.record.desired.zip(self.record.live.as_ref().map(|live| live.resource_version));
        now.is_some() && self.volatile.as_ref().and_then(|volatile| volatile.equal) == now
    }

    /// Whether a sync has to apply it.
    pub(super) fn is_wanted(&self) -> bool {
        matches!(self.verdict, Verdict::Missing | Verdict::OutOfSync | Verdict::Drifted)
            || self.verdict == Verdict::Synced && self.is_equal()
    }

    /// Who changed what, as long as it is worth telling.
    pub(super) fn drift(&self) -> Option<&str> {
        let drift = self.volatile.as_ref()?.drift.as_deref()?;
        (self.verdict != Verdict::Synced || drift.starts_with(REVERTED)).then_some(drift)
    }

    /// Whether this manifest was applied before, so that a difference is drift and not news from Git.
    pub(super) fn was_applied(&self) -> bool {
        self.record.desired.is_some() && self.record.expected.map(|expected| expected.desired) == self.record.desired
    }
}

/// How many objects of an application stand how. Kept up to date object by object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    verdicts: [u32; 7],
    healths: [u32; 6],
}

impl Tally {
    /// Counts an object in (`+1`) or out (`-1`).
    pub(super) fn count(&mut self, verdict: Verdict, health: Option<HealthCode>, by: i32) {
        if let Some(slot) = self.verdicts.get_mut(verdict as usize) {
            *slot = slot.saturating_add_signed(by);
        }
        if let Some(slot) = health.and_then(|code| self.healths.get_mut(code as usize)) {
            *slot = slot.saturating_add_signed(by);
        }
    }

    /// How many objects have this verdict.
    pub(super) fn of(&self, verdict: Verdict) -> u32 {
        self.verdicts.get(verdict as usize).copied().unwrap_or_default()
    }

    /// How many objects have this health.
    pub(super) fn health(&self, code: HealthCode) -> u32 {
        self.healths.get(code as usize).copied().unwrap_or_default()
    }
}

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
    /// Hash of source and destination: what a revision is rendered with.
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
    pub todo: BTreeSet<(Stage, ObjectKey)>,
    /// The stage that is being applied.
    pub stage: Stage,
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
    /// What the API server said, redacted.
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

/// The watch that serves an object.
pub(super) fn watch_of(key: &ObjectKey, version: &Arc<str>) -> Gvk {
    Gvk { group: key.group.clone(), version: version.clone(), kind: key.kind.clone() }
}

/// Whose a live object is, seen from the application `instance_name`.
pub(super) fn owner_of(live: &LiveObject, installation: &str, instance_name: &str) -> Owner {
    let labelled = live.instance.as_deref();
    match &live.tracking {
        _ if labelled.is_some_and(|label| label != installation) => Owner::OtherInstallation,
        Some(tracking) if &*tracking.instance == instance_name && tracking.object == live.key => Owner::Ours,
        Some(_) => Owner::OtherApplication,
        None => Owner::Untracked,
    }
}
