//! What came of a request for one object.

use super::effect::Effect;
use super::event::{ApplyOutcome, Inspection, RequestError, RequestErrorReason};
use super::hash::Hash;
use super::heal::{DELETED, describe};
use super::ids::ObjectKey;
use super::live::LiveObject;
use super::record::{AuditEntry, Expected, StoreOp};
use super::state::{App, Flight, Owner, REVERTED, Timer, Verdict};
use super::step::{Engine, Step};

/// After this many conflicts or failures in a row an object waits before it is tried again.
const IMMEDIATE_TRIES: u32 = 3;
/// How long an object waits whose write was not sent for want of time as leader.
const FENCED_PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

impl Engine {
    /// Gives the place of an answered request back.
    pub(super) fn land(&mut self, key: &ObjectKey) -> Option<Flight> {
        let flight = self.objects.get_mut(key)?.flight.take()?;
        self.lanes.leave(flight);
        Some(flight)
    }

    /// Answer to an apply.
    pub(super) fn applied(&mut self, key: &ObjectKey, desired: Hash, outcome: ApplyOutcome, step: &mut Step<'_>) {
        let waited = |flight| matches!(flight, Flight::Apply { desired: sent, .. } if sent == desired);
        if !self.objects.get(key).and_then(|object| object.flight).is_some_and(waited) {
            return;
        }
        let Some(Flight::Apply { heal, creates, .. }) = self.land(key) else { return };
        let Some(owner) = self.objects.get(key).map(|object| object.record.app.clone()) else { return };
        match outcome {
            ApplyOutcome::Applied { live, blame, leftover } => {
                self.counters.applied += 1;
                self.took(key, desired, *live, leftover, step);
                if let Some(mut app) = self.apps.remove(&owner) {
                    if heal {
                        let what = if creates { DELETED.to_owned() } else { describe(&blame) };
                        self.healed(&mut app, key, what, step);
                    } else {
                        app.landed(key, "Synced", None);
                    }
                    self.apps.insert(owner, app);
                }
                self.reassess(key);
            }
            ApplyOutcome::Compared { live, equal } => {
                self.compared(key, desired, live.map(|live| *live), equal, step);
                self.requeue(&owner, key);
            }
            ApplyOutcome::Conflict { live } => {
                self.conflicted(key, live.map(|live| *live), step);
                self.requeue(&owner, key);
            }
            ApplyOutcome::Fenced => {
                self.fenced(key, step);
                self.requeue(&owner, key);
            }
            ApplyOutcome::Failed(error) => {
                self.counters.apply_failed += 1;
                self.apply_failed(&owner, key, heal, &error, step);
            }
        }
    }

    /// A write was not sent because leadership was about to end. It either goes on in a moment or is lost in one: until
    /// then nothing is tried, or the two would chase each other.
    pub(super) fn fenced(&mut self, key: &ObjectKey, step: &Step<'_>) {
        let again = step.now.instant + FENCED_PAUSE;
        if let Some(object) = self.objects.get_mut(key) {
            object.volatile().not_before = Some(again);
        }
        self.at(again, Timer::Object(key.clone()));
    }

    /// The object is not as the decision assumed: again at once, but not endlessly.
    fn conflicted(&mut self, key: &ObjectKey, live: Option<LiveObject>, step: &mut Step<'_>) {
        let failures = self.objects.get_mut(key).map_or(0, |object| object.volatile().failures.saturating_add(1));
        self.settle_look(key, live, step);
        let wait = failures.checked_sub(IMMEDIATE_TRIES).filter(|beyond| *beyond > 0);
        let again = wait.map(|beyond| step.now.instant + self.retry_delay(beyond));
        let Some(object) = self.objects.get_mut(key) else { return };
        // What was asked of the object was not answered.
        object.volatile().compared = None;
        object.volatile().failures = failures;
        if let Some(again) = again {
            object.volatile().not_before = Some(again);
            self.at(again, Timer::Object(key.clone()));
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
        let Some(object) = self.objects.get(key) else { return };
        let (owner, tracked) = self.judge(&live, &object.record.app, object.record.desired);
        let Some(object) = self.objects.get_mut(key) else { return };
        object.record.expected = live.footprint.map(|footprint| Expected { desired, footprint });
        object.see(live, owner);
        if let Some(volatile) = &mut object.volatile {
            volatile.tracked = tracked;
        }
        if let Some(volatile) = &mut object.volatile {
            volatile.failures = 0;
            volatile.not_before = None;
            volatile.error = None;
            volatile.found_drifted = None;
            volatile.equal = None;
            volatile.lost &= volatile.absent_at.take().is_some();
        }
        if leftover.is_some() || object.volatile.is_some() {
            object.volatile().leftover = leftover.map(Into::into);
        }
        step.store(StoreOp::PutObject(key.clone(), Box::new(object.record.clone())));
        if &*key.group == "apiextensions.k8s.io" && &*key.kind == "CustomResourceDefinition" {
            step.emit(Effect::Discover);
        }
    }

    fn healed(&mut self, app: &mut App, key: &ObjectKey, what: String, step: &mut Step<'_>) {
        self.counters.drift_healed += 1;
        if let Some(object) = self.objects.get_mut(key) {
            object.volatile().drift = Some(format!("{REVERTED}{what}").into());
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

    pub(super) fn tell_drift(&mut self, app: &mut App, key: &ObjectKey, what: &str, step: &mut Step<'_>) {
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
        let Some((resource_version, footprint)) = seen else { return };
        let ours =
            object.owner() == Owner::Ours && object.record.live.as_ref().and_then(|live| live.stamp) == Some(desired);
        let drifted = object.verdict == Verdict::Drifted;
        let volatile = object.volatile();
        let lost = volatile.found_drifted == Some(resource_version) && !volatile.covered;
        volatile.compared = Some((desired, resource_version));
        match footprint.filter(|_| ours && !lost) {
            // Ours in every field, with the values that Git wants: whatever made the difference, it is no drift.
            Some(footprint) if equal => {
                volatile.found_drifted = None;
                object.record.expected = Some(Expected { desired, footprint });
                step.store(StoreOp::PutObject(key.clone(), Box::new(object.record.clone())));
            }
            _ if equal => volatile.equal = Some((desired, resource_version)),
            _ if drifted && volatile.drift.is_none() => {
                let what = describe(&[]);
                volatile.drift = Some(what.as_str().into());
                let owner = object.record.app.clone();
                if let Some(mut app) = self.apps.remove(&owner) {
                    self.tell_drift(&mut app, key, &what, step);
                    self.apps.insert(owner, app);
                }
            }
            _ => {}
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
                let volatile = object.volatile();
                volatile.found_drifted = Some(resource_version);
                volatile.covered = inspection.covered;
                let what = describe(&inspection.blame);
                // What no manager explains is told after a dry run.
                if !inspection.covered && volatile.drift.as_deref() != Some(what.as_str()) {
                    volatile.drift = Some(what.as_str().into());
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
}
