//! When a sync begins: what somebody asked for, what goes on from before, what Git has news of.

use super::application::{InitiatedBy, Operation, SyncOperation};
use super::backoff::RetryPolicy;
use super::desired::Stage;
use super::state::{App, Sync, SyncPhase, Verdict};
use super::status::OperationState;
use super::step::{Engine, Step};
use super::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Engine {
    /// An operation that somebody asks for through `.operation`.
    pub(super) fn take_operation(&mut self, app: &mut App, step: &mut Step<'_>) {
        if app.status.clear_operation || app.sync.as_ref().is_some_and(|sync| !sync.automated) {
            return;
        }
        let Some(asked) = app.observed.operation.clone() else { return };
        let running = app.operation.as_ref().is_some_and(|state| {
            state.phase == "Running" && asked.as_ref().is_ok_and(|asked| *asked == state.operation)
        });
        let (operation, sync) = match asked {
            Err(error) => {
                return self.refuse(app, Operation::default(), format!(".operation can't be read: {error}"), step);
            }
            Ok(Operation { sync: None, .. }) => {
                return self.refuse(app, Operation::default(), ".operation holds no sync".into(), step);
            }
            Ok(operation @ Operation { sync: Some(_), .. }) => {
                let sync = operation.sync.clone().unwrap_or_default();
                (operation, sync)
            }
        };
        if let Err(message) =
            app.plan.as_ref().map_err(Clone::clone).and_then(|plan| accept(&sync, &operation, plan.target(), app))
        {
            return self.refuse(app, operation, message, step);
        }
        if self.may_sync(app) {
            let resumed = app.operation.take_if(|_| running);
            app.status.clear_operation = true;
            self.start(app, operation, false, resumed.as_deref(), step);
        }
    }

    fn refuse(&mut self, app: &mut App, operation: Operation, message: String, step: &mut Step<'_>) {
        let now = step.now.wall.to_string();
        step.emit(app.notice(true, "OperationRefused", message.clone()));
        app.operation = Some(Arc::new(OperationState {
            operation,
            phase: "Error".into(),
            message: Some(message),
            started_at: now.clone(),
            finished_at: Some(now),
            ..OperationState::default()
        }));
        app.status.clear_operation = true;
        app.status.urgent = true;
        app.status.dirty = true;
    }

    /// An automated sync: one that was running goes on; else one starts if Git has news.
    pub(super) fn resume_or_start(&mut self, app: &mut App, step: &mut Step<'_>) {
        let Ok(plan) = &app.plan else { return };
        if let Some(state) = app.attempted().filter(|state| state.phase == "Running").cloned() {
            let automated = state.operation.initiated_by.as_ref().is_some_and(|by| by.automated);
            return self.start(app, state.operation.clone(), automated, Some(&state), step);
        }
        let automated = plan.automated.is_some();
        let prune = plan.prune();
        self.end_superseded(app, step);
        if !automated || self.was_attempted(app) || !self.has_news(app) {
            return;
        }
        let revision = app.record.revision.as_ref().map(|revision| revision.to_string());
        let operation = Operation {
            sync: Some(SyncOperation { revision, prune, ..SyncOperation::default() }),
            initiated_by: Some(InitiatedBy { username: None, automated: true }),
            info: Vec::new(),
            retry: app.observed.spec.as_ref().ok().and_then(|spec| spec.sync_policy.clone()?.retry),
        };
        self.start(app, operation, true, None, step);
    }

    /// An operation that no replica can go on with, because what is desired has changed, is over.
    fn end_superseded(&self, app: &mut App, step: &mut Step<'_>) {
        let installed = app.record.revision.as_ref().map(|revision| revision.short().to_owned()).unwrap_or_default();
        if let Some(state) = app.operation.as_mut().filter(|state| state.phase == "Running").map(Arc::make_mut) {
            state.phase = "Failed".into();
            state.message = Some(format!("superseded by {installed}"));
            state.finished_at = Some(step.now.wall.to_string());
            app.status.dirty = true;
        }
    }

    /// Whether Git wants something that was never applied. A difference that arose in the cluster is none: that is drift.
    fn has_news(&self, app: &App) -> bool {
        let prune = app.plan.as_ref().is_ok_and(|plan| plan.prune());
        if app.tally.of(Verdict::Unknown) > 0 {
            return false;
        }
        if prune && app.tally.of(Verdict::Extra) > 0 {
            return true;
        }
        // Deleted by hand is drift. A store that was lost knows only from the status that the objects had been there.
        if app.settled() {
            return false;
        }
        app.tally.of(Verdict::OutOfSync) > 0
            || app
                .inventory
                .iter()
                .filter_map(|key| self.objects.get(key))
                .any(|object| object.verdict == Verdict::Missing && !object.was_applied())
    }

    fn start(
        &mut self,
        app: &mut App,
        operation: Operation,
        automated: bool,
        resumed: Option<&OperationState>,
        step: &mut Step<'_>,
    ) {
        let Some(revision) = app.record.revision.clone() else { return };
        let started = resumed.and_then(|state| Timestamp::parse(&state.started_at));
        let retries = resumed.and_then(|state| u32::try_from(state.retry_count?).ok());
        let sync = operation.sync.clone().unwrap_or_default();
        app.sync = Some(Sync {
            automated,
            revision,
            started_at: started.unwrap_or(step.now.wall),
            phase: SyncPhase::Recording,
            retries: retries.unwrap_or_default(),
            namespace_tries: 0,
            prune: sync.prune,
            todo: BTreeSet::new(),
            stage: Stage::Namespace,
            waves: BTreeSet::new(),
            waits: false,
            unhealthy: None,
            flying: BTreeSet::new(),
            selected: (!sync.resources.is_empty()).then_some(sync.resources),
            results: BTreeMap::new(),
            operation,
        });
        self.show_operation(app, "Running", Some("waiting to start".into()), None);
        app.status.urgent = true;
    }
}

/// Whether an operation that was asked for can be carried out as it was meant.
fn accept(sync: &SyncOperation, operation: &Operation, target: &str, app: &App) -> Result<(), String> {
    if sync.dry_run {
        return Err("dryRun is not supported yet".into());
    }
    let forced = |of: &str| {
        sync.sync_strategy.as_ref().and_then(|strategy| strategy.get(of)?.get("force")?.as_bool()).unwrap_or_default()
    };
    if forced("apply") || forced("hook") {
        return Err("a forced sync is not supported yet".into());
    }
    RetryPolicy::from_spec(operation.retry.as_ref(), false).map_err(|error| format!("retry: {error}"))?;
    let (_, problems) = super::options::app_options(&sync.sync_options);
    if !problems.is_empty() {
        return Err(problems.join("; "));
    }
    let asked = sync.revision.as_deref().filter(|revision| !revision.is_empty() && *revision != target);
    let resolved = app.target.as_ref().map(|(revision, _)| revision.as_str());
    match asked {
        Some(asked) if Some(asked) != resolved && resolved.is_some() => Err(format!(
            "syncing to {asked} is not supported yet: set spec.source.targetRevision to it, which now is {target}"
        )),
        _ => Ok(()),
    }
}
