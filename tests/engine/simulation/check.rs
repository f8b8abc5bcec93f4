//! What must hold after every step (DESIGN section 9), and at the end.

use driftless::engine::application::ALLOW_PRUNE;
use driftless::engine::effect::{Delete, Effect, Purpose};
use driftless::engine::ids::{AppKey, Revision};
use driftless::engine::record::StoreOp;
use driftless::engine::revision::Ancestry;

use super::run::{APPS, Run, short};
use crate::engine::model::cluster::Stored;
use crate::engine::model::git::Folder;
use crate::engine::model::replica::is_write;

/// Silence is watched for so many events of pure time (polls and what they answer).
const SILENCE: u64 = 40;

impl Run {
    /// An effect that a replica asks for.
    pub(crate) fn check_effect(&self, replica: usize, effect: &Effect) {
        let told = &self.world.replicas[replica].told;
        let epoch = match effect {
            Effect::Apply(apply) => apply.epoch,
            Effect::Delete(delete) => Some(delete.epoch),
            Effect::EnsureNamespace { epoch, .. } => Some(*epoch),
            Effect::WriteApplication(write) => Some(write.epoch),
            _ => None,
        };
        if is_write(effect) && (told.epoch.is_none() || epoch != told.epoch) {
            self.fail(&format!("{replica} writes without leading: {}", short(effect)));
        }
        match effect {
            Effect::Apply(apply) if apply.purpose != Purpose::Compare => {
                if !self.world.replicas[replica].store.objects.contains_key(&apply.key) {
                    self.fail(&format!("{replica} applies what is not in its durable inventory: {}", apply.key));
                }
                let revision = &apply.manifest.revision;
                let recorded = told.recorded.contains(&(apply.manifest.app.clone(), revision.to_string()));
                let heal = matches!(apply.purpose, Purpose::Heal { .. });
                if !(told.listed.contains(revision) || heal && recorded) {
                    self.fail(&format!("{replica} applies {revision:?}, which it did not see named in its epoch"));
                }
            }
            Effect::Delete(delete) => {
                self.check_delete(replica, delete);
                self.check_history(replica, delete);
            }
            Effect::WriteApplication(write) => {
                let current = self.world.applications.all.get(&write.app);
                let current = current.filter(|app| app.resource_version == write.resource_version);
                let recorded = current.map(|app| app.status.sync.revision.clone());
                let shown = write.status.as_ref().and_then(|status| status.sync.revision.as_deref());
                let listed = |shown: &str| told.listed.iter().any(|revision| revision.as_str() == shown);
                if let (Some(shown), Some(recorded)) = (shown, recorded)
                    && recorded.as_deref() != Some(shown)
                    && self.world.fence(replica, effect)
                    && !listed(shown)
                {
                    self.fail(&format!("{replica} records {shown}, which it did not see named in its epoch"));
                }
            }
            _ => {}
        }
    }

    fn check_delete(&self, replica: usize, delete: &Delete) {
        let replica = &self.world.replicas[replica];
        if replica.store.objects.get(&delete.key).is_none_or(|record| record.app != delete.app) {
            self.fail(&format!("{} is deleted and not in the durable inventory of its application", delete.key));
        }
        for (app, record) in &replica.store.applications {
            let Some(revision) = &record.revision else { continue };
            let keys = self.world.git.keys(revision, &app.name);
            let deleting = self.world.applications.all.get(app).is_none_or(|app| app.deleting);
            if keys.contains(&delete.key) && !deleting {
                self.fail(&format!("{} is deleted, and {app} desires it at {revision:?}", delete.key));
            }
            if keys.is_empty() && *app == delete.app && !deleting {
                self.fail(&format!("{} is deleted because {revision:?} is empty", delete.key));
            }
        }
    }

    /// What is pruned left Git on the way from the commit that was synced last, or a person has let it through.
    fn check_history(&self, index: usize, delete: &Delete) {
        let installed = self.world.replicas[index].store.applications.get(&delete.app).map(|record| &record.revision);
        let app = self.world.applications.all.get(&delete.app).filter(|app| !app.deleting);
        let (Some(Some(installed)), Some(app)) = (installed, app) else { return };
        let synced = app.status.history.last().and_then(|last| Revision::parse(&last.revision));
        let allowed = app.annotations.get(ALLOW_PRUNE).is_some_and(|allowed| installed.as_str().starts_with(allowed));
        let git = &self.world.git;
        if let Some(synced) = synced.filter(|_| self.world.holder == Some(index) && !allowed)
            && git.ancestry(&synced, installed, git.depth) != Ancestry::Follows
        {
            self.fail(&format!("{} is deleted, and {installed:?} does not follow {synced:?}", delete.key));
        }
    }

    /// A delete that the API server accepted.
    pub(crate) fn check_deleted(&self, delete: &Delete, object: &Stored) {
        let ours = object
            .tracking
            .as_ref()
            .is_some_and(|tracking| *tracking.instance == *delete.app.name && tracking.object == object.key);
        if !ours || format!("uid-{}", object.uid) != *delete.uid {
            self.fail(&format!("{} was deleted for {} and is not its: {object:?}", delete.key, delete.app));
        }
    }

    /// What is not as it should be yet, now that the faults have stopped.
    pub(crate) fn unsettled(&mut self) -> Option<String> {
        for (index, replica) in self.world.replicas.iter().enumerate() {
            if let Some(request) = replica.requests.first() {
                return Some(format!("{index} waits for {}", short(&request.effect)));
            }
        }
        let revision = self.world.git.main.clone()?;
        let commit = self.world.git.commits.get(&revision)?.clone();
        let mut wanted = std::collections::BTreeMap::new();
        for name in APPS {
            let key = AppKey::new("argocd", name);
            let Some(app) = self.world.applications.all.get(&key) else { continue };
            if app.deleting {
                return Some(format!("{key} is still there"));
            }
            let set = self.world.git.desired(&revision, &key, name)?;
            for object in set.objects {
                wanted.entry(object.key.clone()).or_insert_with(Vec::new).push(object.hash);
            }
        }
        for (key, hashes) in &wanted {
            let live = self.world.cluster.objects.get(key);
            if !live.is_some_and(|live| hashes.iter().any(|hash| live.is(*hash))) {
                return Some(format!("{key} is not as Git wants it: {live:?}"));
            }
        }
        for object in self.world.cluster.labelled() {
            let Some(tracking) = &object.tracking else { continue };
            let exists = self.world.applications.all.contains_key(&AppKey::new("argocd", &*tracking.instance));
            let kept = matches!(&*object.key.kind, "Namespace" | "CustomResourceDefinition");
            let shared = object.key.name.starts_with("shared") && self.abandoned;
            if exists
                && !kept
                && !shared
                && !wanted.contains_key(&object.key)
                && !self.abandoned_apps.contains(&*tracking.instance)
            {
                return Some(format!("{} left Git and is still there: {object:?}", object.key));
            }
        }
        self.unsettled_status(&commit)
    }

    fn unsettled_status(&self, commit: &crate::engine::model::git::Commit) -> Option<String> {
        for (key, app) in &self.world.applications.all {
            let status = &app.status;
            if status.sync.revision.as_deref() != self.world.git.main.as_ref().map(|revision| revision.as_str()) {
                return Some(format!("{key} shows the revision {:?}", status.sync.revision));
            }
            if status.operation_state.as_ref().is_some_and(|state| state.phase == "Running") {
                return Some(format!("{key} shows a running operation: {:?}", status.operation_state));
            }
            if app.annotations.keys().any(|name| name != ALLOW_PRUNE) || app.operation.is_some() {
                return Some(format!("{key} was asked for something that was not done"));
            }
            let shared = commit.values().filter_map(|folder| match folder {
                Folder::Manifests(manifests) => {
                    Some(manifests.keys().filter(|key| key.name.starts_with("shared")).count())
                }
                Folder::Broken => None,
            });
            let shares = shared.sum::<usize>() > 0;
            let kept = status.resources.iter().any(|resource| resource.requires_pruning);
            if status.sync.status != "Synced" && !shares && !kept {
                return Some(format!("{key} shows {}: {:?}", status.sync.status, status.conditions));
            }
            if status.sync.status == "Unknown" {
                return Some(format!("{key} shows Unknown: {:?} {:?}", status.conditions, status.resources));
            }
        }
        None
    }

    /// Settled: nothing is asked for but the refs of the repository, from time to time.
    pub(crate) fn stay_silent(&mut self) {
        for replica in &mut self.world.replicas {
            replica.effects.clear();
        }
        for _ in 0..SILENCE {
            self.turn();
        }
        for index in 0..self.world.replicas.len() {
            for effect in std::mem::take(&mut self.world.replicas[index].effects) {
                let quiet = matches!(
                    effect,
                    Effect::ListRefs { .. }
                        | Effect::Store { op: StoreOp::PutSource(..) | StoreOp::PutPosition(..), .. }
                );
                if !quiet {
                    self.fail(&format!("{index} is settled and asks for {}", short(&effect)));
                }
            }
        }
    }
}
