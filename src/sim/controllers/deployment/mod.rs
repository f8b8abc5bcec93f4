//! Deployments: a ReplicaSet for each template, and the way from one to the next in steps.

mod progress;
mod rollout;
mod sets;

use serde_json::{Value, json};

use self::rollout::Step;
use self::sets::Sets;
use super::super::apiserver::acting::Acting;
use super::super::apiserver::meta;
use super::super::apiserver::store::Place;
use super::super::kinds::value::{at, number, set, text};
use super::replica_set;
use super::workload::{MANAGER, conditions, key_of, part_of, without_zeros};

pub(super) const TABLE: &str = "deployments.apps";
/// The annotation with the number of a template.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// Takes a Deployment one step further, and tells how it stands.
pub(super) fn look_at(acting: &mut Acting<'_>, place: &Place) {
    let Some(mut deployment) = acting.get(TABLE, &place.1) else { return };
    let mut sets = Sets::of(acting, &deployment);
    if meta::get(&deployment, "deletionTimestamp").is_some() {
        return tell(acting, place, &deployment, &sets, progress::Now::Going);
    }
    let paused = at(&deployment, "spec.paused") == true;
    let mut now = if paused { progress::Now::Paused } else { progress::Now::Going };
    if !paused {
        if sets.new.is_none() {
            now = match sets.create(acting, &deployment) {
                Some(made) => progress::Now::Created(made),
                None => progress::Now::Going,
            };
        } else {
            sets.mark(acting, &deployment);
        }
        if let Some(revision) = sets.new.as_ref().and_then(|new| sets::annotation(new, REVISION)) {
            annotate(&mut deployment, revision);
        }
    }
    match rollout::next(&deployment, &sets, paused) {
        Some(Step::Scale(changes)) => {
            for (name, replicas) in changes {
                sets.scale(acting, &deployment, &name, replicas);
            }
        }
        None if !paused => sets.prune(acting, &deployment),
        None => {}
    }
    tell(acting, place, &deployment, &sets, now);
}

fn annotate(deployment: &mut Value, revision: &str) {
    let revision = revision.to_owned();
    meta::edit(deployment, |metadata| {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(REVISION.to_owned(), revision.into());
        }
    });
}

/// How many pods more than wanted, and fewer, there may be on the way. Both at 0 would be no way at all.
fn bounds(deployment: &Value) -> (i64, i64) {
    if text(deployment, "spec.strategy.type") != "RollingUpdate" {
        return (0, 0);
    }
    let replicas = number(deployment, "spec.replicas");
    let strategy = at(deployment, "spec.strategy.rollingUpdate");
    let surge = part_of(at(strategy, "maxSurge"), replicas, true);
    let unavailable = part_of(at(strategy, "maxUnavailable"), replicas, false);
    match (surge, unavailable) {
        (0, 0) => (0, 1),
        (surge, unavailable) => (surge, unavailable.min(replicas)),
    }
}

/// Writes the status, and the number of the template with it.
fn tell(acting: &mut Acting<'_>, place: &Place, deployment: &Value, sets: &Sets, now: progress::Now) {
    let total = |path: &str| sets.all().map(|set| number(set, path)).sum::<i64>();
    let available = total("status.availableReplicas");
    let mut status = without_zeros(json!({
        "observedGeneration": meta::generation(deployment),
        "replicas": total("status.replicas"),
        "updatedReplicas": sets.new.as_ref().map_or(0, |new| number(new, "status.replicas")),
        "readyReplicas": total("status.readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": (total("spec.replicas") - available).max(0),
    }));
    set(&mut status, "terminatingReplicas", total("status.terminatingReplicas"));
    if !at(deployment, "status.collisionCount").is_null() {
        set(&mut status, "collisionCount", at(deployment, "status.collisionCount").clone());
    }
    let (_, unavailable) = bounds(deployment);
    let mut list = conditions(deployment);
    let enough = available >= number(deployment, "spec.replicas") - unavailable;
    progress::tell_available(acting, &mut list, enough);
    progress::tell_progress(acting, place, deployment, &status, &mut list, sets, now);
    set(&mut status, "conditions", list);
    let Some(there) = acting.get(TABLE, &key_of(deployment)) else { return };
    let annotated = meta::get(&there, "annotations") != meta::get(deployment, "annotations");
    if annotated || at(&there, "status") != &status {
        let mut new = deployment.clone();
        set(&mut new, "status", status);
        acting.update(MANAGER, TABLE, Some("status"), &new);
    }
}

/// Deletes a ReplicaSet.
fn delete_set(acting: &mut Acting<'_>, set: &Value) {
    acting.delete(replica_set::TABLE, &key_of(set), false);
}
