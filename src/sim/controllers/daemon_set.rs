//! DaemonSets: a pod on every node.

use serde_json::{Value, json};

use super::super::apiserver::acting::Acting;
use super::super::apiserver::meta;
use super::super::apiserver::store::Place;
use super::super::kinds::value::{at, items, number, object, set as put, text, texts};
use super::pods;
use super::revisions::{LABEL, Revisions};
use super::workload::{MANAGER, Pods, count, key_of, part_of, pod_of, without_zeros, write_status};

pub(super) const TABLE: &str = "daemonsets.apps";
/// The label that counts the changes of the template for clients of old versions, and the annotation that it is made of.
const GENERATION: &str = "pod-template-generation";
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";
/// What pods of DaemonSets stay for, and what they are placed in spite of.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
/// Where the node of a pod stands.
const AFFINITY: &str = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";

/// Takes a DaemonSet one step further, and tells how it stands.
pub(super) fn look_at(acting: &mut Acting<'_>, place: &Place) {
    let Some(set) = acting.get(TABLE, &place.1) else { return };
    let Some(revisions) = Revisions::of(acting, &set) else { return };
    let nodes = acting.settings().nodes;
    let mut pods = Pods::of(acting, &set);
    if meta::get(&set, "deletionTimestamp").is_none() {
        step(acting, &set, &revisions, &mut pods, acting.settings().shown.min(nodes));
    }
    let wanted = i64::from(nodes);
    let ready = number(&set, "status.numberReady");
    let counts = count(acting, place, &set, &pods.active, wanted, ready);
    let old = pods.active.iter().filter(|pod| label(pod) != revisions.newest_hash()).count() as i64;
    let mut status = without_zeros(json!({
        "observedGeneration": meta::generation(&set),
        "numberAvailable": counts.available,
        "numberUnavailable": (wanted - counts.available).max(0),
        "updatedNumberScheduled": counts.replicas - old,
    }));
    put(&mut status, "currentNumberScheduled", counts.replicas);
    put(&mut status, "desiredNumberScheduled", wanted);
    put(&mut status, "numberMisscheduled", 0);
    put(&mut status, "numberReady", counts.ready);
    if let Some(limit) = at(&set, "spec.revisionHistoryLimit").as_u64().filter(|_| old == 0) {
        revisions.prune(acting, usize::try_from(limit).unwrap_or(usize::MAX), &[revisions.newest()]);
    }
    write_status(acting, TABLE, &set, status);
}

/// Makes the pods that nodes lack, and replaces those of another template, as many at a time as may be missing.
fn step(acting: &mut Acting<'_>, set: &Value, revisions: &Revisions, pods: &mut Pods, shown: u32) {
    let nodes: Vec<String> = (0..shown).map(pods::node).collect();
    let (mut kept, surplus): (Vec<_>, Vec<_>) =
        std::mem::take(&mut pods.active).into_iter().partition(|pod| nodes.contains(&node_of(pod)));
    for pod in surplus {
        acting.delete(pods::TABLE, &key_of(&pod), false);
        pods.terminating += 1;
    }
    // A node whose pod is on its way out waits for it.
    let lacking = nodes.iter().filter(|node| !kept.iter().any(|pod| node_of(pod) == **node)).skip(pods.terminating);
    let made: Vec<Value> =
        lacking.filter_map(|node| acting.create(MANAGER, pods::TABLE, &pod(set, revisions, node))).collect();
    kept.extend(made);
    if text(set, "spec.updateStrategy.type") != "OnDelete" {
        let most = at(set, "spec.updateStrategy.rollingUpdate.maxUnavailable");
        let most = part_of(most, i64::from(shown), true).max(1);
        let missing = kept.iter().filter(|pod| pods::ready_since(pod).is_none()).count() + pods.terminating;
        let mut room = usize::try_from(most).unwrap_or(1).saturating_sub(missing);
        let (old, current): (Vec<_>, Vec<_>) = kept.into_iter().partition(|pod| label(pod) != revisions.newest_hash());
        kept = current;
        for pod in old {
            // One that is not ready is not missed.
            let missed = pods::ready_since(&pod).is_some();
            if missed && room == 0 {
                kept.push(pod);
                continue;
            }
            room -= usize::from(missed);
            acting.delete(pods::TABLE, &key_of(&pod), false);
            pods.terminating += 1;
        }
    }
    pods.active = kept;
}

fn label(pod: &Value) -> &str {
    meta::get(pod, "labels").and_then(|labels| labels.get(LABEL)?.as_str()).unwrap_or_default()
}

/// The node that a pod is for.
fn node_of(pod: &Value) -> String {
    let terms = items(pod, &format!("{AFFINITY}.nodeSelectorTerms"));
    let fields = terms.iter().flat_map(|term| items(term, "matchFields"));
    let names = fields.flat_map(|field| texts(field, "values"));
    names.into_iter().next().unwrap_or_default().to_owned()
}

fn pod(set: &Value, revisions: &Revisions, node: &str) -> Value {
    let mut pod = pod_of(at(set, "spec.template"), set);
    meta::set(&mut pod, "generateName", format!("{}-", meta::text(set, "name")));
    let generation = meta::get(set, "annotations").and_then(|all| all.get(TEMPLATE_GENERATION)).cloned();
    if let Some(labels) = object(&mut pod, "metadata.labels") {
        labels.insert(LABEL.to_owned(), revisions.newest_hash().into());
        labels.insert(GENERATION.to_owned(), generation.unwrap_or_else(|| "1".into()));
    }
    let field = json!({"key": "metadata.name", "operator": "In", "values": [node]});
    put(&mut pod, AFFINITY, json!({"nodeSelectorTerms": [{"matchFields": [field]}]}));
    let mut tolerations = items(&pod, "spec.tolerations").to_vec();
    tolerations
        .extend(TOLERATED.iter().map(|(key, effect)| json!({"key": key, "operator": "Exists", "effect": effect})));
    put(&mut pod, "spec.tolerations", tolerations);
    pod
}
