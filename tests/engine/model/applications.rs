//! The Application resources, with conditional writes.

use std::collections::{BTreeMap, BTreeSet};

use driftless::engine::application::{
    ApplicationSpec, Automated, Destination, ObservedApplication, RESOURCES_FINALIZER, RESOURCES_FINALIZER_BACKGROUND,
    Source, SyncPolicy,
};
use driftless::engine::effect::WriteApplication;
use driftless::engine::event::{RequestError, RequestErrorReason};
use driftless::engine::ids::AppKey;

use super::cluster::error;

/// The one repository of the model.
pub(crate) const REPOSITORY: &str = "https://git.example.com/org/repo";
/// Namespace in which the model's applications deploy.
pub(crate) const NAMESPACE: &str = "prod";

/// The Applications that exist.
#[derive(Debug, Default)]
pub(crate) struct Applications {
    pub(crate) all: BTreeMap<AppKey, ObservedApplication>,
    pub(crate) rv: u64,
    /// Statuses that were written, with whether they were accepted.
    pub(crate) writes: u64,
    next_uid: u64,
}

/// Automated sync with everything on.
pub(crate) fn automated() -> Automated {
    Automated { prune: Some(true), self_heal: Some(true), ..Automated::default() }
}

/// The spec of an application at a path of the repository.
pub(crate) fn spec(path: &str, automated: Option<Automated>) -> ApplicationSpec {
    ApplicationSpec {
        project: "default".into(),
        source: Some(Source {
            repo_url: REPOSITORY.into(),
            path: Some(path.into()),
            target_revision: Some("main".into()),
            ..Source::default()
        }),
        destination: Destination { namespace: Some(NAMESPACE.into()), ..Destination::default() },
        sync_policy: Some(SyncPolicy {
            automated,
            sync_options: vec!["CreateNamespace=true".into()],
            ..SyncPolicy::default()
        }),
        ..ApplicationSpec::default()
    }
}

impl Applications {
    /// Makes an Application in the control namespace.
    pub(crate) fn create(&mut self, name: &str, spec: ApplicationSpec) {
        self.rv += 1;
        self.next_uid += 1;
        let key = AppKey::new("argocd", name);
        let observed = ObservedApplication {
            key: key.clone(),
            uid: format!("app-{}", self.next_uid),
            resource_version: self.rv,
            spec: Ok(spec),
            annotations: BTreeMap::new(),
            finalizers: Vec::new(),
            deleting: false,
            operation: None,
            status: Default::default(),
            status_writer: None,
        };
        self.all.insert(key, observed);
    }

    /// Somebody changes an Application.
    pub(crate) fn change(&mut self, key: &AppKey, change: impl FnOnce(&mut ObservedApplication)) {
        if let Some(app) = self.all.get_mut(key) {
            change(app);
            self.rv += 1;
            app.resource_version = self.rv;
        }
        if self.all.get(key).is_some_and(|app| app.deleting && app.finalizers.is_empty()) {
            self.all.remove(key);
        }
    }

    /// Somebody deletes an Application.
    pub(crate) fn delete(&mut self, key: &AppKey) {
        self.change(key, |app| app.deleting = true);
    }

    /// The write of a replica.
    pub(crate) fn write(&mut self, write: &WriteApplication) -> Result<u64, RequestError> {
        let Some(app) = self.all.get(&write.app) else { return Err(error(RequestErrorReason::NotFound)) };
        if app.resource_version != write.resource_version || app.uid != write.uid {
            return Err(error(RequestErrorReason::Conflict));
        }
        self.writes += 1;
        let before = app.clone();
        self.change(&write.app, |app| {
            if let Some(status) = &write.status {
                app.status = (**status).clone();
            }
            if write.clear_operation {
                app.operation = None;
            }
            if let Some(annotation) = write.remove_annotation {
                app.annotations.remove(annotation);
            }
            if write.remove_finalizers {
                app.finalizers.retain(|name| name != RESOURCES_FINALIZER && name != RESOURCES_FINALIZER_BACKGROUND);
            }
        });
        let _ = before;
        Ok(self.rv)
    }

    pub(crate) fn keys(&self) -> BTreeSet<AppKey> {
        self.all.keys().cloned().collect()
    }
}
