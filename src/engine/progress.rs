//! How a sync goes through its waves: what of one is sent, when it is done, and when the next begins.

use super::desired::Stage;
use super::health::HealthCode;
use super::ids::ObjectKey;
use super::state::{App, ObjectResult, Sync, SyncPhase};
use super::step::{Engine, Step};
use super::wave::Wave;

impl ObjectResult {
    /// The object could not be applied or deleted.
    pub(super) const fn failed(message: Box<str>) -> Self {
        Self { status: "SyncFailed", degraded: false, message: Some(message) }
    }

    /// Whether it makes the sync fail.
    pub(super) fn is_failure(&self) -> bool {
        self.degraded || self.status == "SyncFailed"
    }

    /// Argo CD's `hookPhase`, which it gives every object.
    pub(super) fn phase(&self) -> &'static str {
        if self.is_failure() { "Failed" } else { "Succeeded" }
    }
}

impl Engine {
    /// Everything that is not in order waits for its turn, wave by wave. A wave in which all is in order is still waited
    /// for: what comes next relies on its health.
    pub(super) fn begin_waves(&mut self, app: &mut App) {
        let Some(sync) = &mut app.sync else { return };
        sync.phase = SyncPhase::Applying;
        sync.stage = Stage::Namespace;
        sync.unhealthy = None;
        let desired = app.inventory.iter().filter(|key| sync.selects(key)).filter_map(|key| self.objects.get(key));
        let desired = desired.filter(|object| object.record.desired.is_some());
        sync.waves = desired.map(|object| object.record.wave).collect();
        // Argo CD's rule: a sync of one wave is done when all is applied.
        sync.waits = sync.waves.len() > 1;
        self.gather(app);
    }

    pub(super) fn advance_applying(&mut self, app: &mut App, step: &mut Step<'_>) {
        if app.sync.as_ref().is_none_or(|sync| sync.phase != SyncPhase::Applying) {
            return;
        }
        while let Some(wave) = app.sync.as_ref().and_then(|sync| sync.waves.first().copied()) {
            if !self.advance_wave(app, wave, step) {
                return;
            }
            let Some(sync) = &mut app.sync else { return };
            if sync.failed() > 0 {
                // What comes needs what failed.
                sync.todo.clear();
                break;
            }
            sync.waves.pop_first();
            sync.stage = Stage::Namespace;
            sync.unhealthy = None;
        }
        let Some(sync) = &mut app.sync else { return };
        let (failed, total) = (sync.failed(), sync.results.len());
        if failed > 0 {
            let message = failure(sync, failed, total);
            return self.finish(app, Some(message), step);
        }
        app.waiting = None;
        sync.phase = SyncPhase::Pruning;
        self.advance_pruning(app, step);
    }

    /// Takes the wave as far as it goes. `true`: it is done, or has failed.
    fn advance_wave(&mut self, app: &mut App, wave: Wave, step: &mut Step<'_>) -> bool {
        if app.sync.as_ref().is_some_and(|sync| sync.unhealthy.is_some()) {
            return self.is_healthy(app, wave);
        }
        while let Some((turn, key)) = app.sync.as_ref().and_then(|sync| sync.todo.first().cloned()) {
            let Some(sync) = &mut app.sync else { return false };
            if turn.wave > wave {
                break;
            }
            if turn.stage != sync.stage {
                if !sync.flying.is_empty() {
                    return false;
                }
                let early =
                    |key: &ObjectKey| self.objects.get(key).is_some_and(|one| one.record.stage <= Stage::Definition);
                if turn.stage > Stage::Definition && sync.stage <= Stage::Definition && sync.failed_among(early) {
                    return true;
                }
                sync.stage = turn.stage;
            }
            if !self.advance_object(app, &key, step) {
                return false;
            }
        }
        if app.sync.as_ref().is_none_or(|sync| !sync.flying.is_empty()) || !self.all_told(app, wave) {
            return false;
        }
        if app.sync.as_ref().is_some_and(|sync| sync.failed() > 0) {
            return true;
        }
        // What has come up meanwhile belongs to the wave as well.
        self.gather(app);
        if app.sync.as_ref().and_then(|sync| sync.todo.first()).is_some_and(|(turn, _)| turn.wave <= wave) {
            self.dirty.insert(app.key().clone());
            return false;
        }
        app.sync.as_ref().is_none_or(|sync| !sync.waits) || self.is_healthy(app, wave)
    }

    /// Whether what the wave brought is healthy, or has failed to become it. What has no health is done when it is applied;
    /// what was healthy once is not looked at again (Argo CD's rules).
    fn is_healthy(&mut self, app: &mut App, wave: Wave) -> bool {
        let Some(sync) = &mut app.sync else { return false };
        let selected = |sync: &Sync, key: &ObjectKey| {
            let record = self.objects.get(key).map(|object| &object.record);
            record.is_some_and(|record| record.desired.is_some() && record.wave == wave) && sync.selects(key)
        };
        let mut open = match sync.unhealthy.take() {
            Some(open) => open,
            None => app.inventory.iter().filter(|key| selected(sync, key)).cloned().collect(),
        };
        open.retain(|key| match self.objects.get(key).map(|object| (object.health(), object)) {
            None | Some((None | Some(HealthCode::Healthy), _)) => false,
            Some((Some(HealthCode::Degraded), object)) => {
                let why = object.volatile.as_ref().and_then(|volatile| volatile.health_message.clone());
                let message = Some(why.unwrap_or_else(|| "it is degraded".into()));
                sync.results.insert(key.clone(), ObjectResult { status: "Synced", degraded: true, message });
                false
            }
            Some(_) => true,
        });
        let first = open.first().cloned();
        let more = open.len().saturating_sub(1);
        sync.unhealthy = Some(open);
        let Some(first) = first else { return true };
        let more = if more > 0 { format!(" and {more} more resources") } else { String::new() };
        let what = format!("waiting for healthy state of {}/{}/{}{more}", first.group, first.kind, first.name);
        self.show_waiting(app, what);
        false
    }

    /// Says what the running sync waits for.
    pub(super) fn show_waiting(&mut self, app: &mut App, what: String) {
        if app.waiting.as_ref() != Some(&what) {
            self.show_operation(app, "Running", Some(what.clone()), None);
            app.waiting = Some(what);
        }
    }
}

/// Why the sync failed, for people.
fn failure(sync: &Sync, failed: usize, total: usize) -> String {
    let degraded = sync.results.iter().find(|(_, result)| result.degraded);
    match degraded {
        Some((key, result)) if sync.results.values().all(|result| result.status != "SyncFailed") => {
            let why = result.message.as_deref().unwrap_or_default();
            format!("{failed} of {total} objects are degraded, {key} first: {why}")
        }
        _ => format!("{failed} of {total} objects could not be applied"),
    }
}
