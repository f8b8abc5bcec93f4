//! Bringing an application to a revision: when a sync starts, how it goes, how it ends.

use super::effect::{Effect, Purpose};
use super::event::{RequestError, RequestErrorReason};
use super::ids::{AppKey, ObjectKey};
use super::state::{App, ObjectResult, Sync, SyncPhase, Timer, Verdict, WatchState, watch_of};
use super::status::OperationState;
use super::step::{Engine, Step};
use super::wave::{Turn, Wave};

/// How often a request of a sync that failed for a passing reason is sent again before the sync calls it failed.
const PASSING_TRIES: u32 = 5;

impl Sync {
    /// Whether this sync is about to touch the object.
    pub(super) fn has(&self, turn: Turn, key: &ObjectKey) -> bool {
        self.flying.contains(key) || self.todo.contains(&(turn, key.clone()))
    }

    pub(super) fn selects(&self, key: &ObjectKey) -> bool {
        self.selected.as_ref().is_none_or(|selected| {
            selected.iter().any(|one| {
                *one.group == *key.group
                    && *one.kind == *key.kind
                    && *one.name == *key.name
                    && one.namespace.as_deref().is_none_or(|namespace| namespace == &*key.namespace)
            })
        })
    }

    pub(super) fn failed_among(&self, which: impl Fn(&ObjectKey) -> bool) -> bool {
        self.results.iter().any(|(key, result)| result.is_failure() && which(key))
    }

    pub(super) fn failed(&self) -> usize {
        self.results.values().filter(|result| result.is_failure()).count()
    }
}

impl App {
    /// Notes what a sync did to an object, if one is running.
    pub(super) fn record_result(&mut self, key: &ObjectKey, status: &'static str, message: Option<Box<str>>) {
        if let Some(sync) = &mut self.sync {
            sync.flying.remove(key);
            sync.results.insert(key.clone(), ObjectResult { status, degraded: false, message });
        }
    }

    /// Notes what a request of the running sync did. One of a sync that is over says nothing about this one.
    pub(super) fn landed(&mut self, key: &ObjectKey, status: &'static str, message: Option<Box<str>>) {
        if self.sync.as_mut().is_some_and(|sync| sync.flying.remove(key)) {
            self.record_result(key, status, message);
        }
    }

    /// The running sync has nothing more to do with the object.
    pub(super) fn drop_from_sync(&mut self, key: &ObjectKey) {
        if let Some(sync) = &mut self.sync {
            sync.flying.remove(key);
            sync.todo.retain(|(_, todo)| todo != key);
        }
    }

    /// The installed revision, if it is the one that the target names.
    pub(super) fn at_target(&self) -> bool {
        let target = self.target.as_ref().map(|(target, _)| target);
        target.is_some()
            && target == self.record.revision.as_ref()
            && self.plan.as_ref().is_ok_and(|plan| self.record.source == Some(plan.hash))
    }

    /// Whether the last operation was for what is installed now: one that failed is not begun again for it.
    pub(super) fn attempted(&self) -> Option<&OperationState> {
        let operation = self.operation.as_deref()?;
        let result = operation.sync_result.as_ref()?;
        let plan = self.plan.as_ref().ok()?;
        let same = self.record.revision.as_ref().is_some_and(|revision| revision.as_str() == result.revision)
            && result.source.as_ref() == Some(&*plan.source);
        same.then_some(operation)
    }

    /// Whether what is installed was brought to the cluster as a whole before, by this replica or another. What differs then
    /// is drift and no news from Git, even if a store that was lost can't tell.
    pub(super) fn deployed(&self) -> bool {
        let whole = |state: &&OperationState| {
            state.phase == "Succeeded" && state.operation.sync.as_ref().is_some_and(|sync| sync.resources.is_empty())
        };
        self.settled() || self.attempted().filter(whole).is_some()
    }

    /// Whether the status says that everything was in sync with what is installed.
    pub(super) fn settled(&self) -> bool {
        let status = &self.observed.status.sync;
        let source = status.compared_to.as_ref().and_then(|compared| compared.source.as_ref());
        status.status == "Synced"
            && self.plan.as_ref().is_ok_and(|plan| source == Some(&*plan.source))
            && status.revision.as_deref() == self.record.revision.as_ref().map(|revision| revision.as_str())
    }
}

impl Engine {
    /// Whether the application may be synced by this replica: it leads, and the repository named the installed revision
    /// during its own epoch, or the spec does.
    pub(super) fn may_sync(&self, app: &App) -> bool {
        self.epoch.is_some() && app.left_alone().is_none() && app.fresh && app.at_target()
    }

    /// Starts a sync where one is due, and takes the running one as far as it goes.
    pub(super) fn advance_sync(&mut self, app: &mut App, step: &mut Step<'_>) {
        if self.epoch.is_none() {
            return;
        }
        self.take_operation(app, step);
        if !self.may_sync(app) {
            return;
        }
        if app.sync.is_none() {
            self.resume_or_start(app, step);
        }
        let Some(phase) = app.sync.as_ref().map(|sync| sync.phase) else { return };
        match phase {
            SyncPhase::Recording | SyncPhase::Namespace => {}
            SyncPhase::Observing => {
                self.begin_applying(app, step);
                self.advance_applying(app, step);
            }
            SyncPhase::Applying => self.advance_applying(app, step),
            SyncPhase::Pruning => self.advance_pruning(app, step),
            SyncPhase::Backoff(until) if until <= step.now.instant => self.begin_applying(app, step),
            SyncPhase::Backoff(until) => self.at(until, Timer::App(app.key().clone())),
        }
    }

    /// The start of the sync stands in the status: what follows may be done.
    pub(super) fn recorded(&mut self, app: &mut App, step: &mut Step<'_>) {
        if let Some(sync) = app.sync.as_ref().filter(|sync| sync.phase == SyncPhase::Recording) {
            step.emit(app.notice(false, "SyncStarted", format!("syncing to {}", sync.revision.short())));
            self.begin_applying(app, step);
        }
    }

    /// Begins a run, once it is known how every object stands: the order of the stages is that of all of them.
    fn begin_applying(&mut self, app: &mut App, step: &mut Step<'_>) {
        let (Ok(plan), Some(epoch)) = (&app.plan, self.epoch) else { return };
        let (namespace, creates) = (plan.namespace.clone(), plan.options.create_namespace);
        let Some(sync) = &mut app.sync else { return };
        sync.results.clear();
        sync.phase = SyncPhase::Observing;
        if !self.all_told(app, Wave::LAST) {
            return;
        }
        let own = ObjectKey::new("", "Namespace", "", namespace.clone());
        let missing = app.tally.of(Verdict::Missing) > 0;
        let needed = creates && missing && !namespace.is_empty() && !app.inventory.contains(&own);
        let Some(sync) = &mut app.sync else { return };
        if needed {
            sync.phase = SyncPhase::Namespace;
            step.emit(Effect::EnsureNamespace { app: app.key().clone(), namespace, epoch });
        } else {
            self.begin_waves(app);
        }
    }

    pub(super) fn namespace_ensured(&mut self, key: &AppKey, result: Result<(), RequestError>, step: &mut Step<'_>) {
        let Some(mut app) = self.apps.remove(key) else { return };
        app.ensuring = false;
        if app.sync.as_ref().is_some_and(|sync| sync.phase == SyncPhase::Namespace) {
            match result {
                Ok(()) => self.begin_waves(&mut app),
                Err(error) => self.namespace_failed(&mut app, &error, step),
            }
        }
        self.apps.insert(key.clone(), app);
        self.dirty.insert(key.clone());
    }

    /// A passing fault is tried again a few times; anything else fails the sync.
    fn namespace_failed(&mut self, app: &mut App, error: &RequestError, step: &mut Step<'_>) {
        let Some(sync) = &mut app.sync else { return };
        let passing = matches!(error.reason, RequestErrorReason::Transient { .. });
        if passing && sync.namespace_tries < PASSING_TRIES {
            sync.namespace_tries += 1;
            let until = step.now.instant + self.retry_delay(sync.namespace_tries);
            sync.phase = SyncPhase::Backoff(until);
            return self.at(until, Timer::App(app.key().clone()));
        }
        self.finish(app, Some(format!("the namespace can't be made: {}", error.message)), step);
    }

    /// Everything that is not as Git wants it and was not tried in this run is to be applied.
    pub(super) fn gather(&mut self, app: &mut App) {
        let Some(sync) = &mut app.sync else { return };
        for key in &app.inventory {
            let Some(object) = self.objects.get_mut(key) else { continue };
            if object.is_wanted() && !object.deleting() && sync.selects(key) && !sync.results.contains_key(key) {
                if let Some(volatile) = &mut object.volatile {
                    volatile.failures = 0;
                    volatile.not_before = None;
                }
                sync.todo.insert((object.record.turn(), key.clone()));
            }
        }
    }

    /// Sends the next object of a sync. `false`: nothing more can be sent now.
    pub(super) fn advance_object(&mut self, app: &mut App, key: &ObjectKey, step: &mut Step<'_>) -> bool {
        let Some(object) = self.objects.get_mut(key) else {
            app.sync.as_mut().map(|sync| sync.todo.pop_first());
            return true;
        };
        if object.flight.is_some() {
            return false;
        }
        let wanted = object.is_wanted();
        if wanted {
            let not_before = object.volatile.as_ref().and_then(|volatile| volatile.not_before);
            if let Some(at) = not_before.filter(|at| *at > step.now.instant) {
                self.at(at, Timer::App(app.key().clone()));
                return false;
            }
            if self.lanes.syncing >= self.settings.apply_concurrency {
                self.lanes.to_sync.push(app.key());
                return false;
            }
        }
        let purpose = match object.verdict {
            // What was done to it by hand may need more than an apply.
            Verdict::Drifted => Purpose::Heal { managed_fields: object.volatile().managed_fields.take() },
            _ => Purpose::Sync { previous: object.record.live.as_ref().and_then(|live| live.stamp) },
        };
        if let Some(sync) = &mut app.sync {
            sync.todo.pop_first();
            if wanted {
                sync.flying.insert(key.clone());
            }
        }
        if wanted {
            self.send(app, key, purpose, false, step);
        } else {
            // It left the watch meanwhile, or is in order: not this sync's work any more.
            app.attention.insert(key.clone());
        }
        true
    }

    /// Whether the state of every selected object up to this wave is known; one whose watch does not work fails the sync.
    pub(super) fn all_told(&mut self, app: &mut App, last: Wave) -> bool {
        let Some(sync) = &mut app.sync else { return true };
        if app.tally.of(Verdict::Unknown) == 0 && app.tally.of(Verdict::Foreign) == 0 {
            return true;
        }
        let mut told = true;
        for key in &app.inventory {
            let Some(object) = self.objects.get(key).filter(|_| sync.selects(key)) else { continue };
            let message = match object.verdict {
                _ if object.record.wave > last => None,
                Verdict::Foreign => Some("it belongs to another application or installation".to_owned()),
                Verdict::Unknown => {
                    match self.watches.get(&watch_of(key, &object.record.version)).map(|watch| &watch.state) {
                        Some(WatchState::Failed(error)) => Some(format!("its kind can't be watched: {error}")),
                        _ => {
                            told = false;
                            None
                        }
                    }
                }
                _ => None,
            };
            if let Some(message) = message {
                sync.results.insert(key.clone(), ObjectResult::failed(message.into()));
            }
        }
        told
    }

    /// An object goes back into the queue of the running sync, or to attention.
    pub(super) fn requeue(&mut self, owner: &AppKey, key: &ObjectKey) {
        let turn = self.objects.get(key).map(|object| object.record.turn());
        if let (Some(app), Some(turn)) = (self.apps.get_mut(owner), turn) {
            if let Some(sync) = &mut app.sync
                && sync.flying.remove(key)
            {
                sync.todo.insert((turn, key.clone()));
            }
            app.attention.insert(key.clone());
            self.dirty.insert(owner.clone());
        }
    }

    /// An apply of a sync failed: a passing fault is tried again a few times, anything else is the object's result.
    pub(super) fn sync_failed(&mut self, app: &mut App, key: &ObjectKey, error: &RequestError, _step: &mut Step<'_>) {
        let Some(object) = self.objects.get_mut(key) else { return };
        let passing = matches!(
            error.reason,
            RequestErrorReason::Transient { .. }
                | RequestErrorReason::UnknownKind
                | RequestErrorReason::NamespaceUnavailable
        );
        let turn = object.record.turn();
        if passing && object.volatile().failures < PASSING_TRIES {
            if let Some(sync) = &mut app.sync
                && sync.flying.remove(key)
            {
                sync.todo.insert((turn, key.clone()));
            }
        } else {
            app.landed(key, "SyncFailed", Some(error.message.as_str().into()));
        }
    }
}
