//! Applications come, change and go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::application::{ApplicationSpec, ObservedApplication, REFRESH, TAKE_OVER};
use super::backoff::RetryPolicy;
use super::descent::{Descent, REWRITTEN};
use super::effect::{Effect, Notice};
use super::hash::{self, Hash};
use super::ids::{AppKey, GroupKind, ObjectKey, RepoKey, Revision};
use super::options::app_options;
use super::record::StoreOp;
use super::repository::repo_key;
use super::state::{App, Plan, RenderState, StatusState, Tally};
use super::status::Condition;
use super::step::{Engine, Step};
use super::time::Timestamp;
use super::tracking::instance_name;

impl App {
    fn new(observed: Box<ObservedApplication>) -> Self {
        Self {
            plan: Err(String::new()),
            record: Default::default(),
            target: None,
            reference: None,
            fresh: false,
            tried: 0,
            descent: Descent::default(),
            render: RenderState::Idle,
            render_anew: false,
            render_failed: None,
            wants_kinds: false,
            inventory: BTreeSet::new(),
            claims: BTreeMap::new(),
            tally: Tally::default(),
            attention: BTreeSet::new(),
            heals: false,
            caught_up: false,
            sync: None,
            operation: observed.status.operation_state.clone(),
            history: observed.status.history.clone(),
            conditions: observed
                .status
                .conditions
                .iter()
                .filter_map(|condition| Some((known_condition(&condition.kind)?, condition.clone())))
                .collect(),
            refresh: None,
            status: StatusState { dirty: true, ..StatusState::default() },
            failures: 0,
            prune_since: None,
            ensuring: false,
            health_since: None,
            waiting: None,
            observed,
        }
    }

    /// Keeps of the observed status what decisions need: its objects are known better from their watches.
    fn take_status(&mut self) {
        let status = &mut self.observed.status;
        if status.operation_state == self.operation {
            // One copy of it, not two.
            status.operation_state.clone_from(&self.operation);
        }
        self.status.seen = Some(super::report::status_hash(status));
        let kind = |one: &super::status::ResourceStatus| GroupKind::new(one.group.as_str(), one.kind.as_str());
        self.status.kinds = std::mem::take(&mut status.resources).iter().map(kind).collect();
    }

    /// Whether the status names objects that neither `inventory` nor the claims hold. Another replica applied them, or this
    /// one while its store could not be written: what else there may be has to be searched before anything is pruned.
    fn names_more_than(&self, inventory: &BTreeSet<ObjectKey>) -> bool {
        self.observed.status.resources.iter().any(|one| {
            let key = ObjectKey::new(one.group.as_str(), one.kind.as_str(), one.namespace.as_str(), one.name.as_str());
            !inventory.contains(&key) && !self.claims.contains_key(&key)
        })
    }

    /// Namespace and name.
    pub(super) fn key(&self) -> &AppKey {
        &self.observed.key
    }

    /// Another controller writes this Application's status, and nobody said that Driftless takes over.
    pub(super) fn left_alone(&self) -> Option<&str> {
        let taken = self.observed.annotations.get(TAKE_OVER).is_some_and(|value| value == "true");
        self.observed.status_writer.as_deref().filter(|_| !taken)
    }

    /// Tells that it is left alone, if it is.
    pub(super) fn tell_left_alone(&self, step: &mut Step<'_>) {
        if let Some(writer) = self.left_alone() {
            let message = format!(
                "{writer} writes the status of this Application; Driftless leaves it alone. Stop that controller, then set \
                 the annotation {TAKE_OVER}=true"
            );
            step.emit(self.notice(true, "LeftAlone", message));
        }
    }

    /// The spec names the commit itself: what it wants is known without asking the repository.
    pub(super) fn is_pinned(&self) -> bool {
        self.plan.as_ref().is_ok_and(|plan| Revision::parse(plan.target()).is_some())
    }

    /// Shows a condition, or clears it with `None`. Its time changes only with its text. What follows a `/` tells several
    /// reasons for one type apart.
    pub(super) fn condition(&mut self, kind: &'static str, message: Option<String>, now: Timestamp) {
        match message {
            None => {
                self.status.dirty |= self.conditions.remove(kind).is_some();
            }
            Some(message) => {
                if self.conditions.get(kind).is_none_or(|known| known.message != message) {
                    let since = Some(now.to_string());
                    let condition = Condition {
                        kind: kind.split('/').next().unwrap_or(kind).to_owned(),
                        message,
                        last_transition_time: since,
                    };
                    self.conditions.insert(kind, condition);
                    self.status.dirty = true;
                }
            }
        }
    }

    /// What to tell people about this application.
    pub(super) fn notice(&self, warning: bool, reason: &'static str, message: String) -> Effect {
        Effect::Notify(Box::new(Notice {
            app: self.key().clone(),
            uid: self.observed.uid.clone(),
            warning,
            reason,
            message: super::redact::truncate(message),
        }))
    }
}

impl Plan {
    /// What a spec comes down to, or what is wrong with it and what to do.
    fn of(spec: &ApplicationSpec) -> Result<Self, String> {
        let source = match (&spec.source, &spec.sources) {
            (_, Some(_)) => return Err("spec.sources is not supported yet: use one spec.source".into()),
            (None, None) => return Err("spec.source is missing: name a repoURL and a path".into()),
            (Some(source), None) => source.clone(),
        };
        let here = matches!(spec.destination.server.as_deref(), None | Some("" | "https://kubernetes.default.svc"))
            && matches!(spec.destination.name.as_deref(), None | Some("" | "in-cluster"));
        if !here {
            return Err("spec.destination names another cluster, which is not supported yet: use the server \
                        https://kubernetes.default.svc, the name in-cluster, or neither"
                .into());
        }
        let policy = spec.sync_policy.clone().unwrap_or_default();
        let unsupported = [
            (!spec.ignore_differences.is_empty(), "spec.ignoreDifferences"),
            (spec.source_hydrator.is_some(), "spec.sourceHydrator"),
            (policy.managed_namespace_metadata.is_some(), "spec.syncPolicy.managedNamespaceMetadata"),
        ];
        if let Some((_, field)) = unsupported.iter().find(|(present, _)| *present) {
            return Err(format!("{field} is not supported yet: remove it, or leave this Application to Argo CD"));
        }
        let (options, problems) = app_options(&policy.sync_options);
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        RetryPolicy::from_spec(policy.retry.as_ref(), true)
            .map_err(|error| format!("spec.syncPolicy.retry: {error}"))?;
        let repo = repo_key(&source.repo_url).map_err(|error| format!("spec.source.repoURL: {error}"))?;
        let namespace: Arc<str> = spec.destination.namespace.clone().unwrap_or_default().into();
        let project: Arc<str> = spec.project.as_str().into();
        let hash = hash_of(&serde_json::json!({ "source": source, "namespace": &*namespace, "project": &*project }));
        let automated = policy.automated.filter(|automated| automated.enabled != Some(false));
        Ok(Self { repo, source: Arc::new(source), namespace, project, hash, automated, options })
    }

    /// `targetRevision`; `HEAD` if empty.
    pub(super) fn target(&self) -> &str {
        self.source.target()
    }

    /// Whether drift is reverted.
    pub(super) fn self_heal(&self) -> bool {
        self.automated.as_ref().is_some_and(|automated| automated.self_heal == Some(true))
    }

    /// Whether an automated sync deletes what left Git.
    pub(super) fn prune(&self) -> bool {
        self.automated.as_ref().is_some_and(|automated| automated.prune == Some(true))
    }

    /// Whether a sync may prune every object.
    pub(super) fn allow_empty(&self) -> bool {
        self.automated.as_ref().is_some_and(|automated| automated.allow_empty == Some(true))
    }
}

/// Hash of a JSON value in canonical form.
pub(super) fn hash_of(value: &serde_json::Value) -> Hash {
    let mut text = Vec::new();
    hash::canonical(value, &mut text);
    Hash::of(&text)
}

/// What a `ComparisonError` of the status is kept as until its cause has been tried again.
pub(super) const RECORDED_ERROR: &str = "ComparisonError/recorded";
/// The same for a `SharedResourceWarning`, until whose the objects are is known.
pub(super) const RECORDED_SHARING: &str = "SharedResourceWarning/recorded";

/// The condition types that Driftless writes, as they are kept when they are read back; others in a status are not ours to
/// keep.
fn known_condition(kind: &str) -> Option<&'static str> {
    match kind {
        "InvalidSpecError" => Some("InvalidSpecError"),
        "ComparisonError" => Some(RECORDED_ERROR),
        "SyncError" => Some("SyncError"),
        "DeletionError" => Some("DeletionError"),
        "SharedResourceWarning" => Some(RECORDED_SHARING),
        "RepeatedResourceWarning" => Some("RepeatedResourceWarning"),
        REWRITTEN => Some(REWRITTEN),
        _ => None,
    }
}

impl Engine {
    pub(super) fn observe_application(&mut self, observed: Box<ObservedApplication>, step: &mut Step<'_>) {
        let key = observed.key.clone();
        match self.apps.get(&key).map(|app| app.observed.uid == observed.uid) {
            Some(true) => {}
            Some(false) => {
                // Deleted and made anew between two looks.
                self.application_gone(&key, step);
                self.admit(observed.clone(), step);
            }
            None => self.admit(observed.clone(), step),
        }
        let leads = self.epoch.is_some();
        let Some(mut app) = self.apps.remove(&key) else { return };
        if observed.resource_version < app.observed.resource_version {
            self.apps.insert(key, app);
            return;
        }
        app.observed = observed;
        if app.status.conflict.take_if(|conflict| *conflict < app.observed.resource_version).is_some() {
            app.status.not_before = None;
        }
        app.follow(leads);
        app.take_status();
        self.plan_anew(&mut app, step);
        self.take_refresh(&mut app, step);
        app.status.dirty = true;
        let unproven = leads && !app.status.proven;
        self.apps.insert(key.clone(), app);
        self.dirty.insert(key);
        if unproven {
            self.search_unknown_kinds(step);
        }
    }

    /// A refresh that is asked for, unless one is being served.
    pub(super) fn take_refresh(&mut self, app: &mut App, step: &mut Step<'_>) {
        if app.refresh.is_none()
            && !app.status.clear_refresh
            && let Some(kind) = app.observed.annotations.get(REFRESH)
        {
            app.render_anew |= kind == "hard";
            let number = match app.plan.as_ref().map(|plan| plan.repo.clone()) {
                Ok(repo) => self.list_refs(&repo, step),
                Err(_) => 0,
            };
            app.refresh = Some(number);
        }
    }

    /// A new Application: takes over what the store knows of it.
    fn admit(&mut self, observed: Box<ObservedApplication>, step: &mut Step<'_>) {
        let key = observed.key.clone();
        let mut app = Box::new(App::new(observed));
        self.instances.insert(instance_name(&key, &self.settings.control_namespace).into(), key.clone());
        let (record, inventory) = self.stored.remove(&key).unwrap_or_default();
        if record.uid == app.observed.uid {
            app.claims = record.claims.iter().map(|claim| (claim.key.clone(), claim.clone())).collect();
            app.record = record;
        } else {
            app.record.uid.clone_from(&app.observed.uid);
            step.store(StoreOp::PutApplication(key.clone(), Box::new(app.record.clone())));
        }
        if self.inventory_complete && app.names_more_than(&inventory) {
            self.inventory_complete = false;
            self.sweep(step);
        }
        for object in &inventory {
            if let Some(known) = self.objects.get_mut(object) {
                known.counted = known.health();
                app.tally.count(known.verdict, known.counted, 1);
            }
        }
        app.inventory = inventory;
        let objects: Vec<ObjectKey> = app.inventory.iter().cloned().collect();
        for object in objects {
            self.reassess_in(&mut app, &object);
        }
        if self.epoch.is_some() {
            app.tell_left_alone(step);
        }
        self.apps.insert(key, app);
    }

    /// Reads the spec again and moves the application to the repository that it names.
    fn plan_anew(&mut self, app: &mut App, step: &mut Step<'_>) {
        let plan = match &app.observed.spec {
            Ok(spec) => Plan::of(spec),
            Err(error) => Err(format!("the spec can't be read: {error}")),
        };
        let before = app.plan.as_ref().ok().map(|plan| (plan.repo.clone(), plan.target().to_owned()));
        let after = plan.as_ref().ok().map(|plan| (plan.repo.clone(), plan.target().to_owned()));
        if app.plan != plan {
            // What was only reported may be healed now.
            app.attention.clone_from(&app.inventory);
        }
        app.plan = plan;
        if before == after {
            return;
        }
        app.target = None;
        app.fresh = false;
        if let Some((repo, _)) = before {
            self.leave_repo(&repo, app.key());
        }
        if let Ok(plan) = &app.plan {
            let (repo, url) = (plan.repo.clone(), plan.source.repo_url.clone());
            self.join_repo(app, repo, url.into(), step);
        }
    }

    fn join_repo(&mut self, app: &mut App, key: RepoKey, url: Arc<str>, step: &mut Step<'_>) {
        let repo = self.repos.entry(key.clone()).or_default();
        repo.url = url;
        repo.apps.insert(app.key().clone());
        if let Some(target) = app.plan.as_ref().ok().and_then(|plan| Revision::parse(plan.target())) {
            app.target = Some((target, 0));
            app.fresh = true;
        } else {
            self.list_refs(&key, step);
        }
    }

    fn leave_repo(&mut self, key: &RepoKey, app: &AppKey) {
        if let Some(repo) = self.repos.get_mut(key) {
            repo.apps.remove(app);
            if repo.apps.is_empty() {
                self.repos.remove(key);
            }
        }
    }

    pub(super) fn applications_listed(&mut self, keys: Vec<AppKey>, step: &mut Step<'_>) {
        let listed: BTreeSet<AppKey> = keys.into_iter().collect();
        let gone = |key: &&AppKey| !listed.contains(*key);
        let gone: Vec<AppKey> = self.apps.keys().chain(self.stored.keys()).filter(gone).cloned().collect();
        for key in gone {
            self.application_gone(&key, step);
        }
        if !std::mem::replace(&mut self.applications_listed, true) {
            self.dirty.extend(self.apps.keys().cloned());
        }
        self.reassess_tracked(None);
        if !self.inventory_complete {
            self.sweep(step);
        }
    }

    /// The Application resource is gone: its objects stay in the cluster and leave the inventory.
    pub(super) fn application_gone(&mut self, key: &AppKey, step: &mut Step<'_>) {
        let (inventory, repo) = match self.apps.remove(key) {
            Some(app) => (app.inventory, app.plan.ok().map(|plan| plan.repo)),
            None => (self.stored.remove(key).unwrap_or_default().1, None),
        };
        if let Some(repo) = repo {
            self.leave_repo(&repo, key);
        }
        let instance = instance_name(key, &self.settings.control_namespace);
        self.instances.remove(&*instance);
        for object in inventory {
            self.hand_over_or_forget(&object, step);
        }
        self.reassess_tracked(Some(&instance));
        step.store(StoreOp::DeleteApplication(key.clone()));
        self.changed.insert(key.clone());
    }

    /// Writes the application's record, with its claims.
    pub(super) fn remember(&mut self, app: &mut App, step: &mut Step<'_>) {
        app.record.claims = app.claims.values().cloned().collect();
        step.store_first(StoreOp::PutApplication(app.key().clone(), Box::new(app.record.clone())));
    }
}
