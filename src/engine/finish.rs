//! How a sync ends, and what of it is shown.

use super::backoff::RetryPolicy;
use super::state::{App, SyncPhase, Timer};
use super::status::{HistoryEntry, OperationState, SyncResult};
use super::step::{Engine, Step};
use super::time::Timestamp;
use std::sync::Arc;

/// Entries that `status.history` keeps if the spec does not say.
const HISTORY_LIMIT: usize = 10;
/// Entries that it keeps in any case: what was deployed last has to be known to tell a push from a rewritten history.
const HISTORY_LEAST: usize = 1;

impl Engine {
    /// Ends the sync, or has it tried again if it failed and its policy says so.
    pub(super) fn finish(&mut self, app: &mut App, failure: Option<String>, step: &mut Step<'_>) {
        let now = step.now;
        let Some(sync) = &mut app.sync else { return };
        let revision = sync.revision.clone();
        app.waiting = None;
        if let Some(message) = failure {
            let policy = RetryPolicy::from_spec(sync.operation.retry.as_ref(), sync.automated).ok();
            if let Some(delay) = policy.and_then(|policy| policy.next_delay(sync.retries.into())) {
                sync.retries += 1;
                let until = now.instant + delay;
                sync.phase = SyncPhase::Backoff(until);
                sync.todo.clear();
                let retries = sync.retries;
                let text = format!("{message}; retry {retries} in {} s", delay.as_secs());
                self.show_operation(app, "Running", Some(text), None);
                self.at(until, Timer::App(app.key().clone()));
                app.status.urgent = true;
                return;
            }
            self.counters.syncs_failed += 1;
            self.show_operation(app, "Failed", Some(message.clone()), Some(now.wall));
            app.condition("SyncError", Some(format!("sync to {} failed: {message}", revision.short())), now.wall);
            step.emit(app.notice(true, "SyncFailed", format!("{}: {message}", revision.short())));
        } else {
            self.counters.syncs_succeeded += 1;
            self.show_operation(app, "Succeeded", Some("successfully synced (all tasks run)".into()), Some(now.wall));
            app.condition("SyncError", None, now.wall);
            self.add_history(app, step);
            step.emit(app.notice(false, "Synced", format!("synced to {}", revision.short())));
        }
        let action =
            if app.operation.as_ref().is_some_and(|state| state.phase == "Succeeded") { "synced" } else { "failed" };
        let message = app.operation.as_ref().and_then(|state| state.message.clone()).unwrap_or_default();
        self.audit(app, None, action, format!("{revision}: {message}"), step);
        app.sync = None;
        app.attention = app.inventory.clone();
        app.status.urgent = true;
        self.dirty.insert(app.key().clone());
    }

    fn add_history(&mut self, app: &mut App, step: &mut Step<'_>) {
        let Some(sync) = &app.sync else { return };
        if sync.selected.is_some() {
            return;
        }
        let limit = match &app.observed.spec {
            Ok(spec) => spec.revision_history_limit.map_or(HISTORY_LIMIT, |limit| usize::try_from(limit).unwrap_or(0)),
            Err(_) => HISTORY_LIMIT,
        };
        let entry = HistoryEntry {
            id: app.history.last().map_or(0, |last| last.id + 1),
            revision: sync.revision.to_string(),
            source: app.plan.as_ref().ok().map(|plan| (*plan.source).clone()),
            deploy_started_at: Some(sync.started_at.to_string()),
            deployed_at: step.now.wall.to_string(),
            initiated_by: sync.operation.initiated_by.clone(),
        };
        app.history.push(entry);
        let excess = app.history.len().saturating_sub(limit.max(HISTORY_LEAST));
        app.history.drain(..excess);
    }

    /// Puts the running sync's state into the operation state of the status.
    pub(super) fn show_operation(
        &mut self,
        app: &mut App,
        phase: &str,
        message: Option<String>,
        finished: Option<Timestamp>,
    ) {
        let Some(sync) = &app.sync else { return };
        let mut resources: Vec<_> = sync
            .results
            .iter()
            .filter_map(|(key, result)| Some(super::report::resource_result(key, self.objects.get(key)?, result)))
            .collect();
        resources.shrink_to_fit();
        app.operation = Some(Arc::new(OperationState {
            operation: sync.operation.clone(),
            phase: phase.into(),
            message,
            sync_result: Some(SyncResult {
                revision: sync.revision.to_string(),
                source: app.plan.as_ref().ok().map(|plan| (*plan.source).clone()),
                resources,
            }),
            started_at: sync.started_at.to_string(),
            finished_at: finished.map(|finished| finished.to_string()),
            retry_count: (sync.retries > 0).then_some(i64::from(sync.retries)),
        }));
        app.status.dirty = true;
    }
}
