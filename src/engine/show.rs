//! What readers see: the published view, and the objects of one application.

use super::ids::{AppKey, ObjectKey};
use super::report::health_status;
use super::state::{App, Object, Verdict, WatchState};
use super::status::HealthStatus;
use super::step::Engine;
use super::view::{ApplicationView, ObjectView, View};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Engine {
    /// Whether [`Engine::take_changed`] has something.
    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Applications that may look different since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<AppKey> {
        std::mem::take(&mut self.changed)
    }

    /// The published view. Applications that did not change since `last` are shared with it.
    pub fn view(&self, last: &View, changed: &BTreeSet<AppKey>) -> View {
        let mut applications = last.applications.clone();
        if !changed.is_empty() {
            let known = Arc::make_mut(&mut applications);
            for key in changed {
                match self.apps.get(key) {
                    Some(app) => known.insert(key.clone(), Arc::new(self.application_view(app))),
                    None => known.remove(key),
                };
            }
        }
        let pending = self.watches.iter().filter(|(_, watch)| watch.state == WatchState::Pending);
        View {
            leader: self.epoch.is_some(),
            lease_known: self.lease_known,
            epoch: self.epoch.map(|epoch| epoch.0),
            applications_listed: self.applications_listed,
            watches_pending: pending.map(|(watch, _)| watch.to_string()).collect(),
            watches: self.watches.len(),
            inventory_complete: self.inventory_complete,
            applications,
            counters: self.counters,
        }
    }

    fn application_view(&self, app: &App) -> ApplicationView {
        let spec = app.observed.spec.as_ref().ok();
        let source = spec.and_then(|spec| spec.source.as_ref());
        let text = |field: Option<&String>| field.cloned().unwrap_or_default();
        let since = app.health_since.map(|(_, since)| since.to_string());
        ApplicationView {
            namespace: app.key().namespace.to_string(),
            name: app.key().name.to_string(),
            project: spec.map(|spec| spec.project.clone()).unwrap_or_default(),
            repo_url: app.plan.as_ref().map(|plan| plan.repo.to_string()).unwrap_or_default(),
            path: text(source.and_then(|source| source.path.as_ref())),
            target_revision: app.plan.as_ref().map(|plan| plan.target().to_owned()).unwrap_or_default(),
            destination_namespace: text(spec.and_then(|spec| spec.destination.namespace.as_ref())),
            sync: self.sync_status(app),
            health: HealthStatus {
                status: self.health(app).as_str().into(),
                message: None,
                last_transition_time: since,
            },
            conditions: app.conditions.values().cloned().collect(),
            operation_state: app.operation.clone(),
            waiting: match app.left_alone() {
                Some(writer) => Some(format!("{writer} writes this Application's status; it is left alone")),
                None => app.waiting.clone(),
            },
            objects: app.inventory.len(),
            out_of_sync: app.inventory.len() - app.tally.of(Verdict::Synced) as usize,
        }
    }

    /// The objects of an application, for readers; `None` if there is no such application.
    pub fn object_views(&self, key: &AppKey) -> Option<Vec<ObjectView>> {
        let app = self.apps.get(key)?;
        Some(app.inventory.iter().filter_map(|key| Some(object_view(key, self.objects.get(key)?))).collect())
    }
}

fn object_view(key: &ObjectKey, object: &Object) -> ObjectView {
    let volatile = object.volatile.as_deref();
    ObjectView {
        group: key.group.to_string(),
        version: object.record.version.to_string(),
        kind: key.kind.to_string(),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        sync: match object.verdict {
            Verdict::Missing => "Missing".into(),
            verdict => verdict.sync_code().into(),
        },
        health: health_status(object),
        drift: object.drift().map(str::to_owned),
        error: volatile.and_then(|volatile| volatile.error.as_deref()).map(str::to_owned),
        requires_pruning: object.verdict == Verdict::Extra,
        desired_hash: object.record.desired.map(|hash| hash.to_string()),
    }
}
