//! Deleting what left Git. Every rule that forbids a prune is here.
//!
//! The rules are those of the prune-safety list of the API server reference (3.3) and of DESIGN sections 5 and 7; each has
//! a test in `tests/engine/prune.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::application::{ALLOW_PRUNE, RESOURCES_FINALIZER_BACKGROUND};
use super::descent::Hold;
use super::effect::{Delete, Effect};
use super::event::{DeleteOutcome, RequestErrorReason};
use super::ids::{AppKey, ObjectKey};
use super::live::Protection;
use super::options::Propagation;
use super::record::StoreOp;
use super::state::{App, Flight, Object, Owner, SyncPhase, Timer, Verdict, Watch, WatchState, watch_of};
use super::step::{Engine, Step};
use super::wave::Wave;

/// Kinds that a prune leaves alone unless the live object says `Prune=true`: a mistake there takes much more with it than
/// one object.
const KEPT_KINDS: [(&str, &str); 5] = [
    ("", "Namespace"),
    ("", "PersistentVolume"),
    ("", "PersistentVolumeClaim"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("storage.k8s.io", "StorageClass"),
];

/// Why an object that left Git is not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spared {
    /// For good, or until somebody changes the object: the reason for `PruneSkipped`.
    Kept(&'static str),
    /// Not now: something is under way or unknown.
    NotYet,
}

/// Whether the object itself may be pruned. `desired_uids` are the uids of what the application desires.
pub(super) fn spared(
    key: &ObjectKey,
    object: &Object,
    watch: Option<&Watch>,
    desired_uids: &BTreeSet<Arc<str>>,
    no_prune: bool,
) -> Option<Spared> {
    let Some(live) = &object.record.live else { return Some(Spared::NotYet) };
    let protection = Protection::from_bits(live.protection);
    if object.owner() != Owner::Ours || !live.ours {
        return Some(Spared::Kept("it does not carry this application's tracking id"));
    }
    if no_prune || object.record.no_prune || protection.no_prune {
        return Some(Spared::Kept("Prune=false"));
    }
    if desired_uids.contains(&live.uid) {
        return Some(Spared::Kept("it is desired under another kind"));
    }
    let kept = KEPT_KINDS.iter().any(|(group, kind)| *group == &*key.group && *kind == &*key.kind);
    if kept && !protection.prune_allowed {
        return Some(Spared::Kept(
            "kinds like this are never pruned by default: annotate the object with \
             argocd.argoproj.io/sync-options: Prune=true, or delete it by hand",
        ));
    }
    let watched = watch.is_some_and(|watch| watch.state == WatchState::Synced && !watch.listing);
    let lost = object.volatile.as_ref().is_some_and(|volatile| volatile.lost);
    (!watched || lost || object.flight.is_some() || object.deleting()).then_some(Spared::NotYet)
}

impl App {
    /// A person has let the prune of the installed revision through.
    pub(super) fn is_prune_allowed(&self) -> bool {
        let (Some(revision), Some(allowed)) = (&self.record.revision, self.observed.annotations.get(ALLOW_PRUNE))
        else {
            return false;
        };
        allowed.len() >= revision.short().len() && revision.as_str().starts_with(&**allowed)
    }
}

impl Engine {
    /// The last stage of a sync: what left Git is deleted, if nothing speaks against it.
    pub(super) fn advance_pruning(&mut self, app: &mut App, step: &mut Step<'_>) {
        let extras = self.extras(app);
        let wanted = app.sync.as_ref().is_some_and(|sync| sync.prune);
        if wanted && extras.is_empty() && self.rewrite_holds(app) == Some(Hold::Asking) {
            // There may be more than are known.
            app.waiting = Some(HISTORY_ASKED.into());
            return;
        }
        if extras.is_empty() || !wanted {
            app.prune_since = None;
            app.waiting = None;
            app.condition(PRUNE_HELD, None, step.now.wall);
            return self.finish_if_landed(app, step);
        }
        if let Err(held) = self.prune_allowed(app, &extras, step) {
            return match held {
                Held::Told => {
                    app.condition(PRUNE_HELD, None, step.now.wall);
                    self.finish_if_landed(app, step);
                }
                Held::Wait(why) => app.waiting = Some(why),
                Held::Stop(why) => {
                    app.condition(PRUNE_HELD, Some(why), step.now.wall);
                    self.finish_if_landed(app, step);
                }
            };
        }
        app.condition(PRUNE_HELD, None, step.now.wall);
        self.prune_waves(app, extras, step);
    }

    /// Argo CD's order: the last wave goes first, and the one before it when all of that is gone.
    fn prune_waves(&mut self, app: &mut App, extras: Vec<ObjectKey>, step: &mut Step<'_>) {
        let mut waves: BTreeMap<Wave, Vec<ObjectKey>> = BTreeMap::new();
        for key in extras {
            let wave = self.objects.get(&key).map(|object| object.record.wave).unwrap_or_default();
            waves.entry(wave).or_default().push(key);
        }
        let uids = self.desired_uids(app);
        while let Some((wave, keys)) = waves.pop_last() {
            let fates: Vec<Pruned> = keys.iter().map(|key| self.prune_one(app, key, &uids, step)).collect();
            if fates.contains(&Pruned::Waits) {
                app.waiting = None;
                return;
            }
            let going = fates.iter().filter(|fate| **fate == Pruned::Going).count();
            if going > 0 && !waves.is_empty() {
                let what = format!("waiting for deletion of {going} objects of wave {}", wave.number);
                return self.show_waiting(app, what);
            }
        }
        app.waiting = None;
        self.finish_if_landed(app, step);
    }

    /// Prunes one object, unless that was tried already.
    fn prune_one(
        &mut self,
        app: &mut App,
        key: &ObjectKey,
        desired_uids: &BTreeSet<Arc<str>>,
        step: &mut Step<'_>,
    ) -> Pruned {
        let Some(object) = self.objects.get(key) else { return Pruned::Done };
        if let Some(result) = app.sync.as_ref().and_then(|sync| sync.results.get(key)) {
            return if result.status == "Pruned" { Pruned::Going } else { Pruned::Done };
        }
        if self.claimed(key) {
            self.forget(app, key, step);
            return Pruned::Done;
        }
        let watch = self.watches.get(&watch_of(key, &object.record.version));
        let no_prune = app.plan.as_ref().is_ok_and(|plan| plan.options.no_prune);
        match spared(key, object, watch, desired_uids, no_prune) {
            Some(Spared::Kept(why)) => {
                app.record_result(key, "PruneSkipped", Some(why.into()));
                Pruned::Done
            }
            Some(Spared::NotYet) if object.deleting() => {
                app.record_result(key, "Pruned", None);
                Pruned::Going
            }
            Some(Spared::NotYet) => Pruned::Waits,
            None if self.delete(app, key, step) => Pruned::Going,
            None => Pruned::Waits,
        }
    }

    fn finish_if_landed(&mut self, app: &mut App, step: &mut Step<'_>) {
        if app.sync.as_ref().is_some_and(|sync| sync.flying.is_empty() && sync.phase == SyncPhase::Pruning) {
            let failed = app
                .sync
                .as_ref()
                .map_or(0, |sync| sync.results.values().filter(|result| result.status == "SyncFailed").count());
            self.finish(app, (failed > 0).then(|| format!("{failed} objects could not be pruned")), step);
        }
    }

    /// What left Git.
    fn extras(&self, app: &App) -> Vec<ObjectKey> {
        let left = |key: &&ObjectKey| self.objects.get(*key).is_some_and(|object| object.verdict == Verdict::Extra);
        app.inventory.iter().filter(left).cloned().collect()
    }

    /// Whether the application may prune these objects now.
    fn prune_allowed(&mut self, app: &mut App, extras: &[ObjectKey], step: &mut Step<'_>) -> Result<(), Held> {
        if app.plan.is_err() {
            return Err(Held::Wait("the spec is invalid".into()));
        }
        // First, for whatever else holds it, the sync may end with that, and what was synced before is not known any more.
        match self.rewrite_holds(app) {
            Some(Hold::Asking) => return Err(Held::Wait(HISTORY_ASKED.into())),
            Some(Hold::Person) => return Err(Held::Told),
            None => {}
        }
        if self.store_failed {
            return Err(Held::Stop("nothing is pruned, because the store can't be written; the log says why".into()));
        }
        if !self.applications_listed {
            // One that was not seen yet may desire what this one dropped.
            return Err(Held::Wait("a prune waits until the Applications have been listed".into()));
        }
        if !self.inventory_complete {
            return Err(Held::Wait(self.searching("a prune")));
        }
        if let Some(why) = self.prune_held(app, extras.len()) {
            return Err(Held::Stop(why));
        }
        self.others_tried(app, step)
    }

    /// Why `count` objects are not pruned until somebody says that it is meant.
    pub(super) fn prune_held(&self, app: &App, count: usize) -> Option<String> {
        if app.plan.as_ref().is_ok_and(|plan| plan.allow_empty()) {
            return None;
        }
        let known = app.inventory.len();
        if count == known {
            return Some(format!(
                "nothing is left in Git: a sync would delete all {count} objects. Nothing is deleted; set \
                 spec.syncPolicy.automated.allowEmpty if that is meant"
            ));
        }
        let revision = app.record.revision.as_ref();
        let short = revision.map(|revision| revision.short().to_owned()).unwrap_or_default();
        let large =
            known >= self.settings.prune_share_minimum && count * 100 > known * self.settings.prune_share_percent;
        let held = large && !app.is_prune_allowed();
        held.then(|| {
            format!(
                "{short} would delete {count} of {known} objects. Nothing is deleted; annotate the Application with \
                 {ALLOW_PRUNE}={short} if that is meant"
            )
        })
    }

    /// A prune, or an error of a sync, that has become pointless is not told any longer.
    pub(super) fn clear_sync_errors(&self, app: &mut App, step: &Step<'_>) {
        if app.tally.of(Verdict::Extra) == 0 {
            app.condition(PRUNE_HELD, None, step.now.wall);
        }
        let synced = app.tally.of(Verdict::Synced) as usize == app.inventory.len();
        if app.sync.is_none() && app.at_target() && synced {
            app.condition("SyncError", None, step.now.wall);
        }
    }

    /// A prune waits, for a bounded time, until every application that reads the repository has tried the revision: what
    /// moved to another application is handed over, not deleted.
    fn others_tried(&mut self, app: &mut App, step: &mut Step<'_>) -> Result<(), Held> {
        let (Ok(plan), Some((_, listing))) = (&app.plan, &app.target) else { return Ok(()) };
        let behind: Vec<&AppKey> = self
            .repos
            .get(&plan.repo)
            .into_iter()
            .flat_map(|repo| &repo.apps)
            .filter(|key| self.apps.get(*key).is_some_and(|other| other.tried < *listing && other.plan.is_ok()))
            .collect();
        let Some(first) = behind.first().map(|key| key.to_string()) else {
            app.prune_since = None;
            return Ok(());
        };
        let count = behind.len();
        let since = *app.prune_since.get_or_insert(step.now.instant);
        let until = since + self.settings.prune_wait;
        if until <= step.now.instant {
            return Ok(());
        }
        self.at(until, Timer::App(app.key().clone()));
        Err(Held::Wait(format!("a prune waits for {count} applications of this repository, {first} first")))
    }

    /// Why something waits for a sweep.
    pub(super) fn searching(&self, what: &str) -> String {
        let why =
            self.sweep_error.as_ref().map(|error| format!("; the last search failed: {error}")).unwrap_or_default();
        format!("{what} waits until every kind was searched for objects of this installation{why}")
    }

    pub(super) fn desired_uids(&self, app: &App) -> BTreeSet<Arc<str>> {
        let desired = app.inventory.iter().filter_map(|key| self.objects.get(key));
        desired
            .filter(|object| object.record.desired.is_some())
            .filter_map(|object| object.record.live.as_ref().map(|live| live.uid.clone()))
            .collect()
    }

    /// Sends a delete. `false`: there is no place for it now.
    pub(super) fn delete(&mut self, app: &mut App, key: &ObjectKey, step: &mut Step<'_>) -> bool {
        let now = step.now.instant;
        let (Some(object), Some(epoch)) = (self.objects.get_mut(key), self.epoch) else { return false };
        if object.flight.is_some() {
            return false;
        }
        if let Some(at) = object.volatile.as_ref().and_then(|volatile| volatile.not_before).filter(|at| *at > now) {
            self.at(at, Timer::App(app.key().clone()));
            return false;
        }
        if self.lanes.syncing >= self.settings.apply_concurrency {
            self.lanes.to_sync.push(app.key());
            return false;
        }
        let Some(live) = &object.record.live else { return false };
        let background = app.observed.deleting
            && app.observed.finalizers.iter().any(|finalizer| finalizer == RESOURCES_FINALIZER_BACKGROUND);
        let propagation = match &app.plan {
            _ if background => Propagation::Background,
            Ok(plan) => plan.options.propagation,
            Err(_) => Propagation::default(),
        };
        let delete = Delete {
            app: app.key().clone(),
            key: key.clone(),
            version: object.record.version.clone(),
            uid: live.uid.clone(),
            resource_version: live.resource_version,
            propagation,
            epoch,
        };
        // Found by a watch, its record may still wait for a transaction: what is deleted is in the durable inventory.
        step.store_first(StoreOp::PutObject(key.clone(), Box::new(object.record.clone())));
        object.flight = Some(Flight::Delete);
        self.lanes.syncing += 1;
        if let Some(sync) = &mut app.sync {
            sync.flying.insert(key.clone());
        }
        step.emit(Effect::Delete(Box::new(delete)));
        true
    }

    /// Answer to a delete.
    pub(super) fn deleted(&mut self, key: &ObjectKey, outcome: DeleteOutcome, step: &mut Step<'_>) {
        if self.objects.get(key).is_none_or(|object| object.flight != Some(Flight::Delete)) {
            return;
        }
        self.land(key);
        let Some(owner) = self.objects.get(key).map(|object| object.record.app.clone()) else { return };
        let Some(mut app) = self.apps.remove(&owner) else { return };
        if let Some(sync) = &mut app.sync {
            sync.flying.remove(key);
        }
        let sent = !matches!(outcome, DeleteOutcome::Fenced);
        match outcome {
            DeleteOutcome::Accepted => {
                self.counters.pruned += 1;
                if let Some(object) = self.objects.get_mut(key) {
                    let volatile = object.volatile();
                    volatile.delete_accepted = true;
                    volatile.deleting = true;
                    volatile.failures = 0;
                }
                app.record_result(key, "Pruned", None);
                let reason = if app.observed.deleting { "deleted with its Application" } else { "left Git" };
                step.emit(app.notice(false, "Pruned", format!("{key} was deleted: it {reason}")));
                self.audit(&app, Some(key), "pruned", reason.to_owned(), step);
            }
            DeleteOutcome::NotFound => app.record_result(key, "Pruned", None),
            DeleteOutcome::Conflict => {}
            DeleteOutcome::Fenced => self.fenced(key, step),
            DeleteOutcome::Failed(error) => {
                let passing = matches!(error.reason, RequestErrorReason::Transient { .. });
                self.apps.insert(owner.clone(), app);
                self.retry_object(key, &error, step);
                let Some(taken) = self.apps.remove(&owner) else { return };
                app = taken;
                if !passing {
                    app.record_result(key, "SyncFailed", Some(error.message.as_str().into()));
                }
            }
        }
        self.apps.insert(owner.clone(), app);
        if let Some(object) = self.objects.get_mut(key)
            && sent
            && !object.volatile().delete_accepted
        {
            // Gone or changed: what it is now has to be seen before anything else is done to it.
            object.volatile().lost = true;
        }
        self.reassess(key);
        self.dirty.insert(owner);
    }
}

/// How far the prune of one object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pruned {
    /// It can't be sent yet.
    Waits,
    /// It was sent; the object is on its way out.
    Going,
    /// It is gone, or stays.
    Done,
}

/// Condition of a prune that waits for a person.
pub(super) const PRUNE_HELD: &str = "SyncError/prune";

const HISTORY_ASKED: &str = "a prune waits until it is known whether the branch was rewritten";

/// Why an application does not prune.
enum Held {
    /// It goes on by itself.
    Wait(String),
    /// The same as [`Self::Stop`], and a condition of its own says so.
    Told,
    /// Somebody has to say that it is meant.
    Stop(String),
}
