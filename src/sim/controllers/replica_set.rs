//! ReplicaSets: as many pods as they want.

use serde_json::{Value, json};

use super::super::apiserver::acting::Acting;
use super::super::apiserver::meta;
use super::super::apiserver::store::Place;
use super::super::kinds::value::{at, members, number, set as put};
use super::pods;
use super::workload::{
    Counts, MANAGER, Pods, conditions, count, key_of, pod_of, sort_to_delete, without_zeros, write_status,
};

pub(super) const TABLE: &str = "replicasets.apps";

/// Brings the pods of a ReplicaSet to their number, and tells how it stands.
pub(super) fn look_at(acting: &mut Acting<'_>, place: &Place) {
    let Some(set) = acting.get(TABLE, &place.1) else { return };
    let wanted = number(&set, "spec.replicas");
    let mut pods = Pods::of(acting, &set);
    if meta::get(&set, "deletionTimestamp").is_none() {
        let shown = i64::from(acting.settings().shown).min(wanted);
        keep(acting, &set, &mut pods, usize::try_from(shown).unwrap_or(0));
    }
    let ready = number(&set, "status.readyReplicas");
    let counts = count(acting, place, &set, &pods.active, wanted, ready);
    let status = status(&set, &pods, counts);
    write_status(acting, TABLE, &set, status);
}

/// Makes pods that are missing, and deletes those that are too many.
fn keep(acting: &mut Acting<'_>, set: &Value, pods: &mut Pods, shown: usize) {
    for _ in pods.active.len()..shown {
        let mut pod = pod_of(at(set, "spec.template"), set);
        meta::set(&mut pod, "generateName", format!("{}-", meta::text(set, "name")));
        pods.active.extend(acting.create(MANAGER, pods::TABLE, &pod));
    }
    let surplus = pods.active.len().saturating_sub(shown);
    if surplus > 0 {
        sort_to_delete(&mut pods.active);
        for pod in pods.active.drain(..surplus) {
            acting.delete(pods::TABLE, &key_of(&pod), false);
            pods.terminating += 1;
        }
    }
}

fn status(set: &Value, pods: &Pods, counts: Counts) -> Value {
    let labels: Vec<_> = members(set, "spec.template.metadata.labels").collect();
    let unlike = pods.active.iter().filter(|pod| {
        let own = meta::get(pod, "labels");
        labels.iter().any(|(name, value)| own.and_then(|own| own.get(name)) != Some(value))
    });
    let mut status = without_zeros(json!({
        "fullyLabeledReplicas": counts.replicas - unlike.count() as i64,
        "readyReplicas": counts.ready,
        "availableReplicas": counts.available,
        "observedGeneration": meta::generation(set),
    }));
    put(&mut status, "replicas", counts.replicas);
    put(&mut status, "terminatingReplicas", pods.terminating);
    let conditions = conditions(set);
    if !conditions.is_empty() {
        put(&mut status, "conditions", conditions);
    }
    status
}
