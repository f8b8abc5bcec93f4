//! One object at a time: what an object that is not as Git wants it needs, and what came of it.

use super::contest::Contest;
use super::effect::{Apply, Effect, ManifestRef, Precondition, Purpose};
use super::event::{ApplyOutcome, Inspection, RequestError, RequestErrorReason};
use super::hash::Hash;
use super::ids::ObjectKey;
use super::live::{Blame, LiveObject};
use super::record::{AuditEntry, Expected, StoreOp};
use super::diff::tells_absence;
use super::state::{App, Flight, Owner, Timer, Verdict, watch_of};
use super::step::{Engine, Step};

/// After this many conflicts or failures in a row an object waits before it is tried again.
const IMMEDIATE_TRIES: u32 = 3;

impl Engine {
    /// Does for one object what its verdict asks for, unless the running sync does it.
    pub(super) fn attend(&mut self, app: &mut App, key: &ObjectKey, step: &mut Step<'_>) {
        let now = step.now.instant;
        let Some(object) = self.objects.get_mut(key) else { return };
        if object.flight.is_some() || app.sync.as_ref().is_some_and(|sync| sync.has(object.record.stage, key)) {
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
        let heals = app.plan.as_ref().is_ok_and(|plan| plan.self_heal()) && self.may_heal(app);
        let Some(object) = self.objects.get_mut(key) else { return };
        match object.verdict {
            Verdict::Synced => object.calm(),
            Verdict::Unknown if lost && heals && object.was_applied() && !object.deleting() => {
                self.recreate(app, key, step);
            }
            Verdict::Unknown | Verdict::Extra if lost => self.look(key, step),
            Verdict::Unknown => self.inspect(app, key, step),
            Verdict::Drifted => self.drifted(app, key, heals, step),
            Verdict::Missing | Verdict::OutOfSync if object.was_applied() || app.deployed() => {
                self.drifted(app, key, heals, step);
            }
            Verdict::Missing | Verdict::OutOfSync => self.compare(app, key, step),
            Verdict::Extra if object.record.live.is_none() => {
                let watch = self.watches.get(&watch_of(key, &object.record.version));
                if watch.is_some_and(tells_absence) { self.forget(app, key, step) } else { self.look(key, step) }
            }
            Verdict::Extra | Verdict::Foreign => {}
        }
    }

    /// Whether this replica may put objects of the application back to what is installed: it leads, and either the
    /// repository named that revision during its own epoch, or a leader recorded it in the status (DESIGN section 7).
    pub(super) fn may_heal(&self, app: &App) -> bool {
        let Some(installed) = &app.record.revision else { return false };
        let confirmed = app.fresh && app.target.as_ref().is_some_and(|(target, _)| target == installed);
        let recorded = app.observed.status.sync.revision.as_deref() == Some(installed.as_str())
            || app.synced_revision() == Some(installed.as_str());
        self.epoch.is_some() && app.left_alone().is_none() && !app.observed.deleting && (confirmed || recorded)
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
            self.lanes.hungry.join(app.key());
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
        self.send(app, key, Purpose::Heal { managed_fields }, step);
    }

    /// Drift that is only reported: finds out who changed what, once.
    fn explain(&mut self, app: &mut App, key: &ObjectKey, step: &mut Step<'_>) {
        let Some(object) = self.objects.get_mut(key) else { return };
        if object.record.live.is_none() {
            let deleted = "deleted from the cluster, by whom is unknown";
            if object.volatile().drift.as_deref() != Some(deleted) {
                object.volatile().drift = Some(deleted.into());
                self.tell_drift(app, key, deleted, step);
            }
        } else if object.volatile().managed_fields.is_some() {
            self.inspect(app, key, step);
        } else if object.volatile().drift.is_none() {
            self.look(key, step);
        }
    }

    /// Compares the manifest with the object's managed fields, without a request if they are at hand.
    fn inspect(&mut self, app: &mut App, key: &ObjectKey, step: &mut Step<'_>) {
        let Some(object) = self.objects.get_mut(key) else { return };
        let (Some(hash), Some(live)) = (object.record.desired, &object.record.live) else { return };
        let resource_version = live.resource_version;
        if object.owner() != Owner::Ours {
            return;
        }
        let Some(managed_fields) = object.volatile().managed_fields.take() else {
            return self.look(key, step);
        };
        let Some(manifest) = app.manifest(hash) else { return };
        object.flight = Some(Flight::Inspect);
        step.emit(Effect::Inspect { manifest, key: key.clone(), resource_version, managed_fields });
    }

    /// An object that was never applied, of an application that only reports: one dry run per manifest says whether it has
    /// the manifest's values.
    fn compare(&mut self, app: &mut App, key: &ObjectKey, step: &mut Step<'_>) {
        let automated = app.plan.as_ref().map_or(true, |plan| plan.automated.is_some());
        if automated || self.epoch.is_none() || self.lanes.healing >= self.settings.apply_concurrency {
            return;
        }
        let Some(object) = self.objects.get_mut(key) else { return };
        let desired = object.record.desired;
        if std::mem::replace(&mut object.volatile().compared, desired) == desired {
            return;
        }
        self.send(app, key, Purpose::Compare, step);
    }

    /// Looks from time to time at an object that no watch shows, for it does not carry our label. Says whether it does now.
    pub(super) fn look_in_turn(&mut self, key: &ObjectKey, step: &mut Step<'_>) -> bool {
        let now = step.now.instant;
        let next = now + self.settings.poll_interval;
        let Some(volatile) = self.objects.get_mut(key).and_then(|object| object.volatile.as_mut()) else { return false };
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

    /// Sends an apply of what is desired, conditional on what is known of the object.
    pub(super) fn send(&mut self, app: &App, key: &ObjectKey, purpose: Purpose, step: &mut Step<'_>) {
        let epoch = self.epoch;
        let Some(object) = self.objects.get_mut(key) else { return };
        let Some(desired) = object.record.desired else { return };
        let Some(manifest) = app.manifest(desired) else { return };
        let heal = !matches!(purpose, Purpose::Sync { .. });
        let precondition = match &object.record.live {
            None => Precondition::Absent,
            Some(live) => Precondition::Exactly { uid: live.uid.clone(), resource_version: live.resource_version },
        };
        object.flight = Some(Flight::Apply { desired, heal });
        if heal {
            self.lanes.healing += 1;
        } else {
            self.lanes.syncing += 1;
        }
        let version = object.record.version.clone();
        step.emit(Effect::Apply(Box::new(Apply { key: key.clone(), version, manifest, precondition, purpose, epoch })));
    }

    /// Ends the request under way for an object, and gives its place back.
    pub(super) fn land(&mut self, key: &ObjectKey) -> Option<Flight> {
        let flight = self.objects.get_mut(key)?.flight.take()?;
        match flight {
            Flight::Apply { heal: true, .. } => self.lanes.healing = self.lanes.healing.saturating_sub(1),
            Flight::Apply { heal: false, .. } | Flight::Delete => {
                self.lanes.syncing = self.lanes.syncing.saturating_sub(1);
            }
            Flight::Look | Flight::Inspect => {}
        }
        Some(flight)
    }

    /// Answer to an apply.
    pub(super) fn applied(&mut self, key: &ObjectKey, desired: Hash, outcome: ApplyOutcome, step: &mut Step<'_>) {
        let Some(Flight::Apply { desired: sent, heal }) = self.objects.get(key).and_then(|object| object.flight) else {
            return;
        };
        if sent != desired {
            return;
        }
        self.land(key);
        let Some(owner) = self.objects.get(key).map(|object| object.record.app.clone()) else { return };
        match outcome {
            ApplyOutcome::Applied { live, blame, leftover } => {
                self.counters.applied += 1;
                self.took(key, desired, *live, leftover, step);
                if let Some(mut app) = self.apps.remove(&owner) {
                    if heal {
                        self.healed(&mut app, key, &blame, step);
                    } else {
                        app.landed(key, "Synced", None);
                    }
                    self.apps.insert(owner, app);
                }
                self.reassess(key);
            }
            ApplyOutcome::Compared { live, equal } => self.compared(key, desired, live.map(|live| *live), equal, step),
            ApplyOutcome::Conflict { live } => {
                let failures = self.objects.get_mut(key).map_or(0, |object| {
                    object.volatile().failures += 1;
                    object.volatile().failures
                });
                self.settle_look(key, live.map(|live| *live), step);
                if failures > IMMEDIATE_TRIES
                    && let Some(object) = self.objects.get_mut(key)
                {
                    object.volatile().failures = failures;
                    let again = step.now.instant + self.retry_delay(failures - IMMEDIATE_TRIES);
                    if let Some(object) = self.objects.get_mut(key) {
                        object.volatile().not_before = Some(again);
                    }
                    self.at(again, Timer::Object(key.clone()));
                }
                self.requeue(&owner, key);
            }
            ApplyOutcome::Fenced => self.requeue(&owner, key),
            ApplyOutcome::Failed(error) => {
                self.counters.apply_failed += 1;
                self.apply_failed(&owner, key, heal, &error, step);
            }
        }
    }

    /// The API server took the manifest: its answer is what is expected from now on.
    fn took(
        &mut self,
        key: &ObjectKey,
        desired: Hash,
        live: LiveObject,
        leftover: Option<String>,
        step: &mut Step<'_>,
    ) {
        let Some(app) = self.objects.get(key).map(|object| object.record.app.clone()) else { return };
        let owner = self.owner_of(&live, &app);
        let Some(object) = self.objects.get_mut(key) else { return };
        object.record.expected = live.footprint.map(|footprint| Expected { desired, footprint });
        object.see(live, owner);
        if let Some(volatile) = &mut object.volatile {
            volatile.failures = 0;
            volatile.not_before = None;
            volatile.error = None;
            volatile.found_drifted = None;
            volatile.lost = false;
        }
        if leftover.is_some() || object.volatile.is_some() {
            object.volatile().leftover = leftover.map(Into::into);
        }
        step.store(StoreOp::PutObject(key.clone(), Box::new(object.record.clone())));
        if &*key.group == "apiextensions.k8s.io" && &*key.kind == "CustomResourceDefinition" {
            step.emit(Effect::Discover);
        }
    }

    fn healed(&mut self, app: &mut App, key: &ObjectKey, blame: &[Blame], step: &mut Step<'_>) {
        self.counters.drift_healed += 1;
        let what = describe(blame);
        if let Some(object) = self.objects.get_mut(key) {
            object.volatile().drift = Some(format!("reverted: {what}").into());
            object.volatile().drift_told = false;
        }
        step.emit(app.notice(false, "DriftReverted", format!("{key}: {what}")));
        self.audit(app, Some(key), "healed", what, step);
        app.status.dirty = true;
    }

    pub(super) fn audit(&self, app: &App, key: Option<&ObjectKey>, action: &str, detail: String, step: &mut Step<'_>) {
        let entry = AuditEntry {
            at: step.now.wall,
            app: app.key().clone(),
            object: key.map(|key| key.to_string()).unwrap_or_default(),
            action: action.into(),
            detail,
        };
        step.store(StoreOp::Audit(entry));
    }

    fn tell_drift(&mut self, app: &mut App, key: &ObjectKey, what: &str, step: &mut Step<'_>) {
        app.status.dirty = true;
        if self.epoch.is_some() {
            step.emit(app.notice(true, "DriftDetected", format!("{key}: {what}")));
            self.audit(app, Some(key), "drifted", what.to_owned(), step);
        }
    }

    /// A dry run said whether the live object has the manifest's values.
    fn compared(&mut self, key: &ObjectKey, desired: Hash, live: Option<LiveObject>, equal: bool, step: &mut Step<'_>) {
        let seen = live.as_ref().map(|live| (live.resource_version, live.footprint));
        self.settle_look(key, live, step);
        let Some(object) = self.objects.get_mut(key) else { return };
        if let (true, Some((resource_version, footprint))) = (equal, seen) {
            match (object.owner(), footprint) {
                // Ours in every field, with the values that Git wants: whatever made the difference, it is no drift.
                (Owner::Ours, Some(footprint))
                    if object.record.live.as_ref().and_then(|live| live.stamp) == Some(desired) =>
                {
                    object.record.expected = Some(Expected { desired, footprint });
                    object.volatile().found_drifted = None;
                    step.store(StoreOp::PutObject(key.clone(), Box::new(object.record.clone())));
                }
                _ => object.volatile().equal = Some((desired, resource_version)),
            }
        }
        self.reassess(key);
    }

    fn apply_failed(
        &mut self,
        owner: &super::ids::AppKey,
        key: &ObjectKey,
        heal: bool,
        error: &RequestError,
        step: &mut Step<'_>,
    ) {
        self.retry_object(key, error, step);
        let Some(mut app) = self.apps.remove(owner) else { return };
        if heal {
            step.emit(app.notice(true, "HealFailed", format!("{key}: {}", error.message)));
            app.status.dirty = true;
            if error.reason == RequestErrorReason::NamespaceUnavailable {
                self.ensure_namespace(&mut app, step);
            }
        } else {
            self.sync_failed(&mut app, key, error, step);
        }
        self.apps.insert(owner.clone(), app);
        self.dirty.insert(owner.clone());
    }

    /// A heal found that the namespace was deleted: it is made anew if the application makes it. The heal is tried again
    /// by itself.
    fn ensure_namespace(&mut self, app: &mut App, step: &mut Step<'_>) {
        let (Ok(plan), Some(epoch), false) = (&app.plan, self.epoch, app.ensuring) else { return };
        if plan.options.create_namespace && !plan.namespace.is_empty() {
            app.ensuring = true;
            step.emit(Effect::EnsureNamespace { app: app.key().clone(), namespace: plan.namespace.clone(), epoch });
        }
    }

    /// Answer to a comparison with the managed fields.
    pub(super) fn inspected(
        &mut self,
        key: &ObjectKey,
        desired: Hash,
        resource_version: u64,
        result: Result<Inspection, RequestError>,
        step: &mut Step<'_>,
    ) {
        let Some(object) = self.objects.get_mut(key) else { return };
        if object.flight != Some(Flight::Inspect) {
            return;
        }
        object.flight = None;
        let inspection = match result {
            Ok(inspection) => inspection,
            Err(error) => return self.retry_object(key, &error, step),
        };
        let owner = object.record.app.clone();
        let current = object.record.live.as_ref().filter(|live| live.resource_version == resource_version);
        if let (Some(live), true) = (current, object.record.desired == Some(desired)) {
            if inspection.covered && live.stamp == Some(desired) && !object.was_applied() {
                object.record.expected = live.footprint.map(|footprint| Expected { desired, footprint });
                step.store(StoreOp::PutObject(key.clone(), Box::new(object.record.clone())));
            } else {
                object.volatile().found_drifted = Some(resource_version);
                let what = describe(&inspection.blame);
                if object.volatile().drift.as_deref() != Some(what.as_str()) {
                    object.volatile().drift = Some(what.as_str().into());
                    if let Some(mut app) = self.apps.remove(&owner) {
                        if !app.plan.as_ref().is_ok_and(|plan| plan.self_heal()) {
                            self.tell_drift(&mut app, key, &what, step);
                        }
                        self.apps.insert(owner, app);
                    }
                }
            }
        }
        self.reassess(key);
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
    /// It is as Git wants it: what was held against it is forgotten; the limiter of its heals is not.
    fn calm(&mut self) {
        if let Some(volatile) = &mut self.volatile {
            volatile.drift_told = false;
            volatile.error = None;
            volatile.failures = 0;
            volatile.not_before = None;
            volatile.managed_fields = None;
            volatile.found_drifted = None;
            if volatile.drift.as_deref().is_some_and(|drift| !drift.starts_with("reverted: ")) {
                volatile.drift = None;
            }
        }
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
            revision: self.record.revision.clone()?,
        })
    }

    /// The revision of the running or last operation.
    pub(super) fn synced_revision(&self) -> Option<&str> {
        let result = self.operation.as_ref()?.sync_result.as_ref()?;
        Some(result.revision.as_str()).filter(|revision| !revision.is_empty())
    }
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
