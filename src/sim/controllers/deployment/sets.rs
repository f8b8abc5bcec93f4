//! The ReplicaSets of a Deployment.

use serde_json::{Map, Value, json};

use super::super::super::apiserver::acting::Acting;
use super::super::super::apiserver::meta;
use super::super::super::kinds::value::{at, number, object, set, text};
use super::super::replica_set;
use super::super::workload::{MANAGER, hash, owned_by};
use super::{REVISION, bounds, delete_set, rollout};

/// The label that tells the pods of one template from those of another.
const HASH: &str = "pod-template-hash";
/// Numbers that a template had before, if it was wanted again.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// How many pods the Deployment wanted, and could have at most, when the ReplicaSet was scaled.
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MOST: &str = "deployment.kubernetes.io/max-replicas";
/// Annotations that stay the Deployment's own.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MOST,
    "deprecated.deployment.rollback.to",
];

/// The ReplicaSets of a Deployment.
#[derive(Debug)]
pub(super) struct Sets {
    /// The one of the template that is wanted.
    pub(super) new: Option<Value>,
    /// The others, the oldest first.
    pub(super) old: Vec<Value>,
}

impl Sets {
    pub(super) fn of(acting: &Acting<'_>, deployment: &Value) -> Self {
        let mut all = acting.owned(replica_set::TABLE, meta::text(deployment, "uid"));
        let age = |set: &Value| (text(set, "metadata.creationTimestamp").to_owned(), revision(set));
        all.sort_by_cached_key(age);
        let wanted = at(deployment, "spec.template");
        let new = all.iter().position(|set| is_of(set, wanted)).map(|found| all.remove(found));
        Self { new, old: all }
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Value> {
        self.old.iter().chain(&self.new)
    }

    /// The number that the next template gets.
    fn next_revision(&self) -> i64 {
        self.old.iter().map(revision).max().unwrap_or(0) + 1
    }

    /// Makes the ReplicaSet of the template that is wanted. Gives its name.
    pub(super) fn create(&mut self, acting: &mut Acting<'_>, deployment: &Value) -> Option<String> {
        let mut template = at(deployment, "spec.template").clone();
        let hash = hash(&template);
        set(&mut template, &format!("metadata.labels.{HASH}"), hash.as_str());
        let mut selector = at(deployment, "spec.selector").clone();
        set(&mut selector, &format!("matchLabels.{HASH}"), hash.as_str());
        let mut annotations = inherited(deployment);
        annotations.insert(REVISION.to_owned(), self.next_revision().to_string().into());
        count(&mut annotations, deployment);
        let name = format!("{}-{hash}", meta::text(deployment, "name"));
        let made = json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": meta::text(deployment, "namespace"),
                "labels": at(&template, "metadata.labels"),
                "annotations": annotations,
                "ownerReferences": owned_by(deployment),
            },
            "spec": {
                "replicas": rollout::first(deployment, self),
                "minReadySeconds": number(deployment, "spec.minReadySeconds"),
                "selector": selector,
                "template": template,
            },
        });
        self.new = Some(acting.create(MANAGER, replica_set::TABLE, &made)?);
        Some(name)
    }

    /// Writes into the ReplicaSet of the template that is wanted what the Deployment says by now.
    pub(super) fn mark(&mut self, acting: &mut Acting<'_>, deployment: &Value) {
        let next = self.next_revision();
        let Some(new) = &mut self.new else { return };
        let mut wanted = new.clone();
        let mut annotations = inherited(deployment);
        for name in OWN {
            annotations.extend(annotation(new, name).map(|value| (name.to_owned(), value.into())));
        }
        let known = revision(new);
        if known < next {
            if known > 0 {
                let history: Vec<_> =
                    annotation(new, HISTORY).into_iter().map(str::to_owned).chain([known.to_string()]).collect();
                annotations.insert(HISTORY.to_owned(), history.join(",").into());
            }
            annotations.insert(REVISION.to_owned(), next.to_string().into());
        }
        meta::set(&mut wanted, "annotations", annotations);
        set(&mut wanted, "spec.minReadySeconds", number(deployment, "spec.minReadySeconds"));
        if at(&wanted, "spec.minReadySeconds") == 0
            && let Some(spec) = object(&mut wanted, "spec")
        {
            spec.remove("minReadySeconds");
        }
        if *new != wanted
            && let Some(written) = acting.update(MANAGER, replica_set::TABLE, None, &wanted)
        {
            *new = written;
        }
    }

    /// Gives a ReplicaSet another number of pods.
    pub(super) fn scale(&mut self, acting: &mut Acting<'_>, deployment: &Value, name: &str, replicas: i64) {
        let found = self.old.iter_mut().chain(&mut self.new).find(|set| meta::text(set, "name") == name);
        let Some(found) = found else { return };
        let mut wanted = found.clone();
        set(&mut wanted, "spec.replicas", replicas);
        if let Some(annotations) = object(&mut wanted, "metadata.annotations") {
            count(annotations, deployment);
        }
        if let Some(written) = acting.update(MANAGER, replica_set::TABLE, None, &wanted) {
            *found = written;
        }
    }

    /// Deletes what is beyond the history that the Deployment keeps, once it has arrived.
    pub(super) fn prune(&self, acting: &mut Acting<'_>, deployment: &Value) {
        let Some(limit) = at(deployment, "spec.revisionHistoryLimit").as_u64() else { return };
        let empty = |set: &&Value| {
            number(set, "status.replicas") == 0
                && number(set, "spec.replicas") == 0
                && meta::generation(set) <= number(set, "status.observedGeneration")
                && meta::get(set, "deletionTimestamp").is_none()
        };
        let surplus = self.old.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        let mut old: Vec<_> = self.old.iter().collect();
        old.sort_by_key(|set| revision(set));
        for set in old.into_iter().take(surplus).filter(empty) {
            delete_set(acting, set);
        }
    }
}

/// Whether a ReplicaSet is of a template.
fn is_of(set: &Value, template: &Value) -> bool {
    let mut own = at(set, "spec.template").clone();
    if let Some(labels) = object(&mut own, "metadata.labels") {
        labels.remove(HASH);
    }
    let mut template = template.clone();
    object(&mut template, "metadata.labels");
    own == template
}

/// An annotation of an object.
pub(super) fn annotation<'o>(object: &'o Value, name: &str) -> Option<&'o str> {
    meta::get(object, "annotations")?.get(name)?.as_str()
}

/// The number of the template of a ReplicaSet.
fn revision(set: &Value) -> i64 {
    annotation(set, REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The annotations that ReplicaSets take over.
fn inherited(deployment: &Value) -> Map<String, Value> {
    let all = meta::get(deployment, "annotations").and_then(Value::as_object).cloned().unwrap_or_default();
    all.into_iter().filter(|(name, _)| !OWN.contains(&name.as_str())).collect()
}

/// Writes down how many pods are wanted.
fn count(annotations: &mut Map<String, Value>, deployment: &Value) {
    let replicas = number(deployment, "spec.replicas");
    let (surge, _) = bounds(deployment);
    annotations.insert(DESIRED.to_owned(), replicas.to_string().into());
    annotations.insert(MOST.to_owned(), (replicas + surge).to_string().into());
}
