//! What people see: the Application's status, the published view, and when either is written.

use std::collections::BTreeMap;
use std::time::Duration;

use super::application::REFRESH;
use super::apps::{RECORDED_ERROR, RECORDED_SHARING};
use super::effect::{Effect, WriteApplication};
use super::event::{RequestError, RequestErrorReason};
use super::health::HealthCode;
use super::ids::{AppKey, ObjectKey};
use super::state::{App, Object, ObjectResult, StatusWrite, SyncPhase, Timer, Verdict, WatchState, watch_of};
use super::status::{ApplicationStatus, ComparedTo, HealthStatus, ResourceResult, ResourceStatus, SyncStatus};
use super::step::{Engine, Step};

/// How much longer a status waits while some of its objects are being applied or looked into.
const OPEN_FACTOR: u32 = 20;

impl Engine {
    /// Does for one application whatever its state asks for.
    pub(super) fn advance(&mut self, app: &mut App, step: &mut Step<'_>) {
        if app.left_alone().is_some() {
            return;
        }
        if app.observed.deleting {
            self.advance_teardown(app, step);
        } else {
            let invalid = app.plan.as_ref().err().cloned();
            if let Some(message) = invalid {
                app.condition("InvalidSpecError", Some(message), step.now.wall);
                app.sync = None;
            } else {
                self.advance_rendering(app, step);
                self.advance_descent(app, step);
                self.advance_sync(app, step);
                self.advance_healing(app);
                let attention = std::mem::take(&mut app.attention);
                for key in &attention {
                    self.attend(app, key, step);
                }
                self.clear_sync_errors(app, step);
            }
            Self::finish_refresh(app);
        }
        self.write_status(app, step);
    }

    /// A refresh is done when a listing that began after it was asked for has been rendered, or has failed to.
    fn finish_refresh(app: &mut App) {
        let Some(wanted) = app.refresh else { return };
        let idle = app.render == super::state::RenderState::Idle && !app.render_anew;
        let done = app.plan.is_err() || (idle && (app.tried >= wanted || app.is_pinned()));
        // What the refresh brought is applied first: one write tells it all.
        if done && app.sync.is_none() {
            app.refresh = None;
            app.status.clear_refresh = true;
            app.status.urgent = true;
            app.status.dirty = true;
        }
    }

    /// Kinds that can't be watched are told.
    fn watch_conditions(&mut self, app: &mut App, step: &mut Step<'_>) {
        let mut failed: BTreeMap<String, String> = BTreeMap::new();
        if app.tally.of(Verdict::Unknown) > 0 {
            for key in &app.inventory {
                let Some(object) = self.objects.get(key).filter(|object| object.verdict == Verdict::Unknown) else {
                    continue;
                };
                let watch = watch_of(key, &object.record.version);
                if let Some(WatchState::Failed(error) | WatchState::Retrying(error)) =
                    self.watches.get(&watch).map(|watch| &watch.state)
                {
                    failed.insert(watch.to_string(), error.clone());
                }
            }
        }
        let text = failed.iter().map(|(kind, error)| format!("{kind} can't be watched: {error}"));
        let text: Vec<String> = text.collect();
        let message = (!text.is_empty()).then(|| super::redact::truncate(text.join("; ")));
        if message.is_some() {
            app.condition(RECORDED_ERROR, None, step.now.wall);
        }
        app.condition("ComparisonError/watch", message, step.now.wall);
        let foreign = app.tally.of(Verdict::Foreign) as usize + app.claims.len();
        let first = app.claims.keys().next().cloned().or_else(|| {
            let foreign =
                |key: &&ObjectKey| self.objects.get(*key).is_some_and(|object| object.verdict == Verdict::Foreign);
            app.inventory.iter().find(foreign).cloned()
        });
        let message = first.filter(|_| foreign > 0).map(|first| {
            format!(
                "{foreign} objects belong to another application or installation and are not applied, {first} first"
            )
        });
        if message.is_some() || (app.record.revision.is_some() && app.tally.of(Verdict::Unknown) == 0) {
            app.condition(RECORDED_SHARING, None, step.now.wall);
        }
        app.condition("SharedResourceWarning/owner", message, step.now.wall);
    }

    /// Writes the status if it changed: at once where somebody waits for it, else after a moment in which changes gather.
    fn write_status(&mut self, app: &mut App, step: &mut Step<'_>) {
        let Some(epoch) = self.epoch.filter(|_| app.status.dirty && app.status.in_flight.is_none()) else { return };
        let now = step.now.instant;
        // While objects are being applied or looked into, what could be said now would be said otherwise in a moment. The
        // start and the end of a sync are urgent.
        let applying = |sync: &super::state::Sync| {
            matches!(sync.phase, SyncPhase::Namespace | SyncPhase::Applying) && sync.unhealthy.is_none()
        };
        let open = app.sync.as_ref().is_some_and(applying)
            || app.tally.of(Verdict::Unknown) > 0
            || app.record.revision.is_none() && app.conditions.is_empty()
            || self.is_behind(app);
        let delay = self.settings.status_delay * if open { OPEN_FACTOR } else { 1 };
        let since = *app.status.since.get_or_insert(now);
        let due = if app.status.urgent { now } else { since + delay };
        let due = app.status.not_before.map_or(due, |not_before| due.max(not_before));
        if due > now {
            self.at(due, Timer::App(app.key().clone()));
            return;
        }
        app.status.urgent = false;
        app.status.since = None;
        app.status.not_before = None;
        self.watch_conditions(app, step);
        app.status.dirty = false;
        let status = self.status(app, step);
        let hash = status_hash(&status);
        let changed = app.status.prove || app.status.seen != Some(hash);
        let clear_operation = app.status.clear_operation && app.observed.operation.is_some();
        let clear_refresh = app.status.clear_refresh && app.observed.annotations.contains_key(REFRESH);
        app.status.clear_operation &= clear_operation;
        app.status.clear_refresh &= clear_refresh;
        let recording = app.sync.as_ref().is_some_and(|sync| sync.phase == SyncPhase::Recording);
        if !(changed || clear_operation || clear_refresh || app.status.release) {
            if recording {
                self.recorded(app, step);
                self.dirty.insert(app.key().clone());
            }
            return;
        }
        let request = self.next_number();
        let kept = changed.then(|| (hash, ApplicationStatus { resources: Vec::new(), ..status.clone() }));
        app.status.in_flight = Some(StatusWrite {
            request,
            resource_version: app.observed.resource_version,
            recording,
            status: kept,
            clear_operation,
            clear_refresh,
        });
        step.emit(Effect::WriteApplication(Box::new(WriteApplication {
            app: app.key().clone(),
            request,
            uid: app.observed.uid.clone(),
            resource_version: app.observed.resource_version,
            status: changed.then(|| Box::new(status)),
            clear_operation,
            remove_annotation: clear_refresh.then_some(REFRESH),
            remove_finalizers: app.status.release,
            reread: app.status.conflict == Some(app.observed.resource_version),
            epoch,
        })));
    }

    /// Answer to a write of an Application.
    pub(super) fn application_written(
        &mut self,
        key: &AppKey,
        request: u64,
        result: Result<u64, RequestError>,
        step: &mut Step<'_>,
    ) {
        let Some(mut app) = self.apps.remove(key) else { return };
        if app.status.in_flight.as_ref().is_some_and(|write| write.request == request)
            && let Some(write) = app.status.in_flight.take()
        {
            match result {
                Ok(resource_version) => {
                    // What was observed since may say otherwise, and ask for something anew.
                    let newer = app.observed.resource_version > resource_version;
                    if let Some((hash, status)) = write.status.filter(|_| !newer) {
                        app.status.seen = Some(hash);
                        app.observed.status = status;
                    }
                    app.observed.resource_version = app.observed.resource_version.max(resource_version);
                    app.failures = 0;
                    app.status.proven = true;
                    app.status.prove = false;
                    if write.clear_operation {
                        app.status.clear_operation = false;
                        app.observed.operation = app.observed.operation.take().filter(|_| newer);
                    }
                    if write.clear_refresh {
                        app.status.clear_refresh = false;
                        if !newer {
                            app.observed.annotations.remove(REFRESH);
                        }
                        self.take_refresh(&mut app, step);
                    }
                    if write.recording {
                        self.recorded(&mut app, step);
                    }
                }
                Err(error) => {
                    self.write_failed(&mut app, write.resource_version, &error, step);
                    if write.clear_refresh && error.reason == RequestErrorReason::Conflict {
                        // It may have been asked for again.
                        app.status.clear_refresh = false;
                        self.take_refresh(&mut app, step);
                    }
                }
            }
        }
        self.apps.insert(key.clone(), app);
        self.dirty.insert(key.clone());
    }

    fn write_failed(&mut self, app: &mut App, decided_on: u64, error: &RequestError, step: &mut Step<'_>) {
        app.status.dirty = true;
        if error.reason == RequestErrorReason::NotFound {
            // The Application is gone; its watch will say so.
            app.status.dirty = false;
            return;
        }
        if !app.status.proven {
            app.adopt_status();
        }
        app.failures = app.failures.saturating_add(1);
        let wait = match error.reason {
            // The watch has brought the newer state already.
            RequestErrorReason::Conflict if app.observed.resource_version > decided_on => Duration::ZERO,
            // It will, mostly before this wait is over, and that ends it.
            RequestErrorReason::Conflict => {
                app.status.conflict = Some(decided_on);
                self.settings.status_delay.min(self.retry_delay(app.failures))
            }
            _ => self.retry_delay(app.failures),
        };
        app.status.not_before = Some(step.now.instant + wait);
        self.at(step.now.instant + wait, Timer::App(app.key().clone()));
    }

    /// The status as it is to be shown.
    fn status(&self, app: &mut App, step: &Step<'_>) -> ApplicationStatus {
        let now = step.now.wall;
        let code = self.health(app);
        let since = match app.health_since {
            Some((known, since)) if known == code => since.to_string(),
            _ => {
                let before = &app.observed.status.health;
                let since = match &before.last_transition_time {
                    Some(since) if before.status == code.as_str() => since.clone(),
                    _ => now.to_string(),
                };
                app.health_since = Some((code, super::time::Timestamp::parse(&since).unwrap_or(now)));
                since
            }
        };
        let sync = self.sync_status(app);
        let behind = self.is_behind(app);
        let before = &app.observed.status;
        let compared_anew = before.sync.revision != sync.revision || app.status.clear_refresh;
        let reconciled_at = if compared_anew { Some(now.to_string()) } else { before.reconciled_at.clone() };
        let health = HealthStatus { status: code.as_str().into(), message: None, last_transition_time: Some(since) };
        let resource = |key| {
            let known = resource(key, self.objects.get(key)?);
            // What it should be is not known.
            let unsaid =
                |known| ResourceStatus { status: "Unknown".into(), requires_pruning: false, drift: None, ..known };
            Some(if behind { unsaid(known) } else { known })
        };
        ApplicationStatus {
            // What the leader before has said holds until there is something newer to say.
            health: if behind { before.health.clone() } else { health },
            conditions: app.conditions.values().cloned().collect(),
            resources: app.inventory.iter().filter_map(resource).collect(),
            operation_state: app.operation.clone(),
            history: app.history.clone(),
            reconciled_at,
            source_type: app.record.inputs.as_ref().and_then(|inputs| inputs.renderer.as_deref()).map(str::to_owned),
            resource_health_source: None,
            controller_namespace: before.controller_namespace.clone(),
            sync,
        }
    }

    pub(super) fn sync_status(&self, app: &App) -> SyncStatus {
        if self.is_behind(app) {
            return SyncStatus { status: "Unknown".into(), ..app.observed.status.sync.clone() };
        }
        let broken = app.plan.is_err() || app.conditions.keys().any(|kind| kind.starts_with("ComparisonError"));
        let invalid = app.conditions.contains_key("InvalidSpecError");
        let open = app.tally.of(Verdict::Unknown) > 0 || app.record.revision.is_none();
        let differing = [Verdict::Missing, Verdict::OutOfSync, Verdict::Drifted, Verdict::Extra, Verdict::Foreign];
        let differs = differing.iter().any(|verdict| app.tally.of(*verdict) > 0) || !app.claims.is_empty();
        let status = if broken || invalid || open {
            "Unknown"
        } else if differs {
            "OutOfSync"
        } else {
            "Synced"
        };
        let compared_to = match (&app.plan, &app.observed.spec) {
            (Ok(plan), Ok(spec)) => {
                Some(ComparedTo { source: Some((*plan.source).clone()), destination: spec.destination.clone() })
            }
            _ => None,
        };
        SyncStatus {
            status: status.into(),
            revision: app.record.revision.as_ref().map(|revision| revision.to_string()),
            compared_to,
        }
    }

    /// The worst health of the objects; missing ones count only if nothing is there (Argo CD's rule).
    pub(super) fn health(&self, app: &App) -> HealthCode {
        let has = |code| app.tally.health(code) > 0;
        let any_live = app.inventory.len() > app.tally.health(HealthCode::Missing) as usize;
        let otherwise = if has(HealthCode::Missing) && !any_live { HealthCode::Missing } else { HealthCode::Healthy };
        [HealthCode::Unknown, HealthCode::Degraded, HealthCode::Progressing, HealthCode::Suspended]
            .into_iter()
            .find(|code| has(*code))
            .unwrap_or(otherwise)
    }
}

pub(super) fn health_status(object: &Object) -> Option<HealthStatus> {
    let message = object.volatile.as_ref().and_then(|volatile| volatile.health_message.as_deref());
    Some(HealthStatus {
        status: object.health()?.as_str().into(),
        message: message.map(str::to_owned),
        last_transition_time: None,
    })
}

fn drift_text(object: &Object) -> Option<String> {
    let volatile = object.volatile.as_ref()?;
    let parts = [
        object.drift(),
        volatile.leftover.as_deref(),
        volatile.error.as_deref().filter(|_| object.verdict != Verdict::Synced),
    ];
    let text: Vec<&str> = parts.into_iter().flatten().collect();
    (!text.is_empty()).then(|| text.join("; "))
}

fn resource(key: &ObjectKey, object: &Object) -> ResourceStatus {
    ResourceStatus {
        group: key.group.to_string(),
        version: object.record.version.to_string(),
        kind: key.kind.to_string(),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        status: object.verdict.sync_code().into(),
        health: health_status(object),
        requires_pruning: object.verdict == Verdict::Extra,
        drift: drift_text(object),
    }
}

/// One line of a sync's result.
pub(super) fn resource_result(key: &ObjectKey, object: &Object, result: &ObjectResult) -> ResourceResult {
    ResourceResult {
        group: key.group.clone(),
        version: object.record.version.clone(),
        kind: key.kind.clone(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        status: result.status.into(),
        message: result.message.as_deref().map(str::to_owned),
        hook_phase: result.phase().into(),
        sync_phase: "Sync".into(),
    }
}

/// Hash of all that a status says. Two of them are compared with each other only, so that the order in which the type has
/// its fields will do.
pub(super) fn status_hash(status: &ApplicationStatus) -> super::hash::Hash {
    super::hash::Hash::of(&serde_json::to_vec(status).unwrap_or_default())
}
