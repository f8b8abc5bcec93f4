//! One object at a time: what an object that is not as Git wants it needs, and what came of it.

use super::contest::Contest;
use super::diff::tells_absence;
use super::effect::{Apply, Effect, ManifestRef, Precondition, Purpose};
use super::hash::Hash;
use super::ids::ObjectKey;
use super::live::Blame;
use super::state::{App, Flight, Owner, REVERTED, Timer, Verdict, WatchState};
use super::step::{Engine, Step};

/// A delete leaves nothing that says whose it was.
pub(super) const DELETED: &str = "deleted from the cluster, by whom is unknown";

impl Engine {
    /// Does for one object what its verdict asks for, unless the running sync does it.
    pub(super) fn attend(&mut self, app: &mut App, key: &ObjectKey, step: &mut Step<'_>) {
        let now = step.now.instant;
        let Some(object) = self.objects.get_mut(key) else { return };
        if object.flight.is_some() || app.sync.as_ref().is_some_and(|sync| sync.has(object.record.turn(), key)) {
            return;
        }
        if let Some(at) = object.volatile.as_ref().and_then(|volatile| volatile.not_before).filter(|at| *at > now) {
            self.at(at, Timer::Object(key.clone()));
            return;
        }
        let lost = object.volatile.as_ref().is_some_and(|volatile| volatile.lost);
        // What left Git and is not pruned asks for nothing.
        if (object.verdict != Verdict::Extra || object.deleting()) && self.look_in_turn(key, step) {
            return;
        }
        let Some(object) = self.objects.get_mut(key) else { return };
        let watch = super::state::watch_of(key, &object.record.version);
        let absence = self.watches.get(&watch).is_some_and(tells_absence);
        let told = self.watches.get(&watch).is_some_and(|watch| !watch.listing && watch.state != WatchState::Pending);
        let heals = app.heals;
        let was_applied = object.was_applied() || app.deployed();
        let differs = matches!(object.verdict, Verdict::Drifted | Verdict::Missing | Verdict::OutOfSync) || lost;
        if differs && was_applied {
            self.want_heal(app);
        }
        let Some(object) = self.objects.get_mut(key) else { return };
        match object.verdict {
            // Equal is not ours: one apply, as soon as it may be written.
            Verdict::Synced if heals && object.is_equal() => self.drifted(app, key, heals, step),
            Verdict::Synced => object.calm(),
            Verdict::Unknown if lost && heals && object.was_applied() && !object.deleting() => {
                self.recreate(app, key, step);
            }
            Verdict::Unknown | Verdict::Extra if lost => self.look(key, step),
            // What its list will tell in a moment need not be read object by object.
            Verdict::Unknown
                if !told && object.volatile.as_ref().is_none_or(|known| known.managed_fields.is_none()) => {}
            Verdict::Unknown => self.inspect(app, key, step),
            Verdict::Drifted => self.drifted(app, key, heals, step),
            Verdict::Missing | Verdict::OutOfSync if was_applied => {
                self.drifted(app, key, heals, step);
            }
            Verdict::Missing | Verdict::OutOfSync => self.compare(app, key, step),
            // What was never seen may be another replica's latest apply, which the watch is still to show: it is not asked
            // for that any more once the object is forgotten.
            Verdict::Extra if object.record.live.is_none() && absence && object.record.expected.is_some() => {
                self.forget(app, key, step);
            }
            Verdict::Extra if object.record.live.is_none() => self.look(key, step),
            Verdict::Extra | Verdict::Foreign => {}
        }
    }

    /// The object left our watch and is wanted: an apply that only creates finds out what happened and undoes it.
    fn recreate(&mut self, app: &mut App, key: &ObjectKey, step: &mut Step<'_>) {
        if let Some(object) = self.objects.get_mut(key) {
            object.record.live = None;
        }
        self.drifted(app, key, true, step);
    }

    fn drifted(&mut self, app: &mut App, key: &ObjectKey, heals: bool, step: &mut Step<'_>) {
        let Some(object) = self.objects.get_mut(key) else { return };
        if object.deleting() {
            return;
        }
        if !object.volatile().drift_told {
            object.volatile().drift_told = true;
            self.counters.drift_detected += 1;
        }
        if !heals {
            return self.explain(app, key, step);
        }
        if self.lanes.healing >= self.settings.apply_concurrency {
            self.lanes.to_heal.push(app.key());
            app.attention.insert(key.clone());
            return;
        }
        let limits = self.settings.contest;
        let Some(object) = self.objects.get_mut(key) else { return };
        let volatile = object.volatile();
        let contest = volatile.contest.get_or_insert_with(Contest::default);
        if let Err(not_before) = contest.allow(step.now.instant, &limits) {
            volatile.not_before = Some(not_before);
            let told = volatile.error.is_some();
            let who = volatile.drift.as_deref().unwrap_or("another writer changes it back each time").to_owned();
            let message = format!("{key} is contested, heals are slowed down: {who}");
            volatile.error = Some(message.as_str().into());
            if !told {
                step.emit(app.notice(true, "Contested", message));
            }
            self.at(not_before, Timer::Object(key.clone()));
            return;
        }
        let managed_fields = volatile.managed_fields.take();
        self.send(app, key, Purpose::Heal { managed_fields }, true, step);
    }

    /// Drift that is only reported: finds out who changed what, once.
    fn explain(&mut self, app: &mut App, key: &ObjectKey, step: &mut Step<'_>) {
        let Some(object) = self.objects.get_mut(key) else { return };
        let version = live_version(object);
        if version.is_none() {
            if object.volatile().drift.as_deref() != Some(DELETED) {
                object.volatile().drift = Some(DELETED.into());
                self.tell_drift(app, key, DELETED, step);
            }
        } else if object.volatile().found_drifted == version {
            // Whose our fields are is known. Their values may be as Git wants them: edited and edited back. Where a heal
            // is only waited for, that makes no difference to it.
            if !app.plan.as_ref().is_ok_and(|plan| plan.self_heal()) {
                self.weigh(app, key, step);
            }
        } else if object.volatile().managed_fields.is_some() {
            self.inspect(app, key, step);
        } else {
            self.look(key, step);
        }
    }

    /// Compares the manifest with the object's managed fields, without a request if they are at hand.
    fn inspect(&mut self, app: &mut App, key: &ObjectKey, step: &mut Step<'_>) {
        let Some(object) = self.objects.get_mut(key) else { return };
        let (Some(hash), Some(live)) = (object.record.desired, &object.record.live) else { return };
        let resource_version = live.resource_version;
        if matches!(object.owner(), Owner::OtherApplication | Owner::OtherInstallation) {
            return;
        }
        // A heal that follows needs them as well.
        let kept = object.verdict == Verdict::Unknown || app.plan.as_ref().is_ok_and(|plan| plan.self_heal());
        let volatile = object.volatile();
        let managed_fields = if kept { volatile.managed_fields.clone() } else { volatile.managed_fields.take() };
        let Some(managed_fields) = managed_fields else {
            return self.look(key, step);
        };
        let Some(manifest) = app.manifest(hash) else { return };
        object.flight = Some(Flight::Inspect);
        step.emit(Effect::Inspect { manifest, key: key.clone(), resource_version, managed_fields });
    }

    /// An object that was never applied, of an application that only reports: one dry run per manifest says whether it has
    /// the manifest's values.
    fn compare(&mut self, app: &mut App, key: &ObjectKey, step: &mut Step<'_>) {
        if app.plan.as_ref().is_ok_and(|plan| plan.automated.is_none()) {
            self.weigh(app, key, step);
        }
    }

    /// Asks by a dry run whether the object has the manifest's values, once for each state of it and not more often than
    /// it might be healed.
    fn weigh(&mut self, app: &mut App, key: &ObjectKey, step: &mut Step<'_>) {
        let Some(object) = self.objects.get_mut(key) else { return };
        let this = object.record.desired.map(|desired| (desired, live_version(object).unwrap_or_default()));
        if self.epoch.is_none() || object.volatile().compared == this {
            return;
        }
        if self.lanes.healing >= self.settings.apply_concurrency {
            self.lanes.to_heal.push(app.key());
            app.attention.insert(key.clone());
            return;
        }
        let limits = self.settings.contest;
        let volatile = object.volatile();
        if let Err(not_before) = volatile.contest.get_or_insert_default().allow(step.now.instant, &limits) {
            self.at(not_before, Timer::Object(key.clone()));
            return;
        }
        volatile.compared = this;
        self.send(app, key, Purpose::Compare, true, step);
    }

    /// Looks from time to time at an object that no watch shows, for it does not carry our label. Says whether it does now.
    pub(super) fn look_in_turn(&mut self, key: &ObjectKey, step: &mut Step<'_>) -> bool {
        let now = step.now.instant;
        let next = now + self.settings.poll_interval;
        let Some(volatile) = self.objects.get_mut(key).and_then(|object| object.volatile.as_mut()) else {
            return false;
        };
        if !volatile.unwatched {
            volatile.look_at = None;
            return false;
        }
        let due = *volatile.look_at.get_or_insert(next);
        if due > now {
            self.at(due, Timer::Object(key.clone()));
            return false;
        }
        volatile.look_at = None;
        self.look(key, step);
        true
    }

    pub(super) fn look(&mut self, key: &ObjectKey, step: &mut Step<'_>) {
        if let Some(object) = self.objects.get_mut(key)
            && object.flight.is_none()
        {
            object.flight = Some(Flight::Look);
            step.emit(Effect::Look { key: key.clone(), version: object.record.version.clone() });
        }
    }

    /// Sends an apply of what is desired, conditional on what is known of the object. `heal`: it takes a place of the heals,
    /// and is told as one.
    pub(super) fn send(&mut self, app: &App, key: &ObjectKey, purpose: Purpose, heal: bool, step: &mut Step<'_>) {
        let epoch = self.epoch;
        let Some(object) = self.objects.get_mut(key) else { return };
        let Some(desired) = object.record.desired else { return };
        let Some(manifest) = app.manifest(desired) else { return };
        let precondition = match &object.record.live {
            None => Precondition::Absent,
            Some(live) => Precondition::Exactly { uid: live.uid.clone(), resource_version: live.resource_version },
        };
        object.flight = Some(Flight::Apply { desired, heal, creates: precondition == Precondition::Absent });
        if heal {
            self.lanes.healing += 1;
        } else {
            self.lanes.syncing += 1;
        }
        let version = object.record.version.clone();
        step.emit(Effect::Apply(Box::new(Apply { key: key.clone(), version, manifest, precondition, purpose, epoch })));
    }

    /// An object that left Git and is not in the cluster leaves the inventory, or goes to who inherits it.
    pub(super) fn forget(&mut self, app: &mut App, key: &ObjectKey, step: &mut Step<'_>) {
        let Some(object) = self.objects.get(key) else { return };
        app.tally.count(object.verdict, object.counted, -1);
        app.inventory.remove(key);
        app.attention.remove(key);
        app.drop_from_sync(key);
        app.status.dirty = true;
        self.hand_over_or_forget(key, step);
    }
}

impl super::state::Object {
    /// It is as Git wants it: what was held against it is forgotten; the limiter of its heals is not, nor what was told of
    /// fields that others still hold.
    fn calm(&mut self) {
        let equal = self.is_equal();
        if let Some(volatile) = &mut self.volatile {
            volatile.drift_told &= equal;
            volatile.error = None;
            volatile.failures = 0;
            volatile.not_before = None;
            volatile.managed_fields = None;
            volatile.found_drifted = None;
            if !equal && volatile.drift.as_deref().is_some_and(|drift| !drift.starts_with(REVERTED)) {
                volatile.drift = None;
            }
        }
        // Most objects have nothing to remember.
        self.volatile.take_if(|volatile| **volatile == Default::default());
    }
}

impl App {
    /// How to get at the body of a manifest of what is installed.
    pub(super) fn manifest(&self, hash: Hash) -> Option<ManifestRef> {
        let plan = self.plan.as_ref().ok()?;
        Some(ManifestRef {
            hash,
            app: self.key().clone(),
            repo: plan.repo.clone(),
            source: plan.source.clone(),
            namespace: plan.namespace.clone(),
            project: plan.project.clone(),
            revision: self.record.revision.clone()?,
        })
    }

    /// The revision of the running or last operation.
    pub(super) fn synced_revision(&self) -> Option<&str> {
        let result = self.operation.as_ref()?.sync_result.as_ref()?;
        Some(result.revision.as_str()).filter(|revision| !revision.is_empty())
    }
}

/// Resource version of the object as it was last seen.
fn live_version(object: &super::state::Object) -> Option<u64> {
    object.record.live.as_ref().map(|live| live.resource_version)
}

/// Who changed what, as a sentence: `kubectl-edit (Update, 2026-11-23T10:00:00Z) changed .spec.replicas`.
pub(super) fn describe(blame: &[Blame]) -> String {
    if blame.is_empty() {
        return "changed, by whom is unknown".into();
    }
    let one = |blame: &Blame| {
        let paths = blame.paths.join(", ");
        match &blame.manager {
            Some(manager) => {
                let time = blame.time.as_deref().map(|time| format!(", {time}")).unwrap_or_default();
                format!("{manager} ({}{time}) changed {paths}", blame.operation)
            }
            None => format!("{paths} removed, by whom is unknown"),
        }
    };
    super::redact::truncate(blame.iter().map(one).collect::<Vec<_>>().join("; "))
}
