//! StatefulSets: pods with numbers, one after the other, each with its own claims.

use serde_json::{Value, json};

use super::super::apiserver::acting::Acting;
use super::super::apiserver::meta;
use super::super::apiserver::store::Place;
use super::super::kinds::value::{at, items, number, object, set as put, text};
use super::revisions::{LABEL, Revisions};
use super::workload::{Counts, MANAGER, Pods, count, key_of, pod_of, without_zeros, write_status};
use super::{claims, pods};

pub(super) const TABLE: &str = "statefulsets.apps";

/// Takes a StatefulSet one step further, and tells how it stands.
pub(super) fn look_at(acting: &mut Acting<'_>, place: &Place) {
    let Some(set) = acting.get(TABLE, &place.1) else { return };
    let Some(revisions) = Revisions::of(acting, &set) else { return };
    let wanted = number(&set, "spec.replicas");
    let mut pods = Pods::of(acting, &set);
    pods.active.sort_by_key(|pod| ordinal(&set, pod));
    if meta::get(&set, "deletionTimestamp").is_none() {
        step(acting, &set, &revisions, &mut pods, i64::from(acting.settings().shown).min(wanted));
    }
    let ready = number(&set, "status.readyReplicas");
    let counts = count(acting, place, &set, &pods.active, wanted, ready);
    let status = status(&set, &revisions, &pods, counts, wanted);
    let limit = at(&set, "spec.revisionHistoryLimit").as_u64().and_then(|limit| usize::try_from(limit).ok());
    if let Some(limit) = limit {
        revisions.prune(acting, limit, &[text(&status, "currentRevision"), text(&status, "updateRevision")]);
    }
    write_status(acting, TABLE, &set, status);
}

/// The number of a pod, as it stands at the end of its name.
fn ordinal(set: &Value, pod: &Value) -> i64 {
    let own = meta::text(pod, "name").strip_prefix(meta::text(set, "name")).unwrap_or_default();
    own.trim_start_matches('-').parse().unwrap_or(i64::MAX)
}

/// Makes the next pod that is missing, or deletes the next one that is too many or of another template.
fn step(acting: &mut Acting<'_>, set: &Value, revisions: &Revisions, pods: &mut Pods, shown: i64) {
    let in_order = text(set, "spec.podManagementPolicy") != "Parallel";
    let first = number(set, "spec.ordinals.start");
    let is_ready = |pod: &Value| pods::ready_since(pod).is_some();
    for number in first..first + shown {
        let found = pods.active.iter().find(|pod| ordinal(set, pod) == number);
        if found.is_some_and(|pod| is_ready(pod) || !in_order) {
            continue;
        }
        // One on its way out still has the name.
        if found.is_none() && !make(acting, set, revisions, number, pods) {
            return;
        }
        if in_order {
            return;
        }
    }
    let surplus: Vec<Value> =
        pods.active.iter().rev().filter(|pod| !(first..first + shown).contains(&ordinal(set, pod))).cloned().collect();
    for pod in surplus.iter().take(if in_order { 1 } else { usize::MAX }) {
        delete(acting, pods, pod);
    }
    if !surplus.is_empty() || text(set, "spec.updateStrategy.type") == "OnDelete" || pods.terminating > 0 {
        return;
    }
    let partition = number(set, "spec.updateStrategy.rollingUpdate.partition");
    let others = pods.active.iter().rev().filter(|pod| ordinal(set, pod) - first >= partition);
    for pod in others.cloned().collect::<Vec<_>>() {
        if label(&pod) != revisions.newest() {
            return delete(acting, pods, &pod);
        }
        if !is_ready(&pod) {
            return;
        }
    }
}

fn delete(acting: &mut Acting<'_>, pods: &mut Pods, pod: &Value) {
    acting.delete(pods::TABLE, &key_of(pod), false);
    pods.active.retain(|other| other != pod);
    pods.terminating += 1;
}

/// Makes the pod of a number with its claims. Returns whether it is there.
fn make(acting: &mut Acting<'_>, set: &Value, revisions: &Revisions, number: i64, pods: &mut Pods) -> bool {
    let partition = self::number(set, "spec.updateStrategy.rollingUpdate.partition");
    let current = text(set, "status.currentRevision");
    let kept = number < partition && !current.is_empty();
    let revision = if kept { current } else { revisions.newest() };
    let name = format!("{}-{number}", meta::text(set, "name"));
    let mut pod = pod_of(revisions.template(revision), set);
    meta::set(&mut pod, "name", name.as_str());
    put(&mut pod, "spec.hostname", name.as_str());
    if !text(set, "spec.serviceName").is_empty() {
        put(&mut pod, "spec.subdomain", text(set, "spec.serviceName"));
    }
    if let Some(labels) = object(&mut pod, "metadata.labels") {
        labels.insert(LABEL.to_owned(), revision.into());
        labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), name.as_str().into());
        labels.insert("apps.kubernetes.io/pod-index".to_owned(), number.to_string().into());
    }
    let mut volumes = items(&pod, "spec.volumes").to_vec();
    for template in items(set, "spec.volumeClaimTemplates") {
        let volume = meta::text(template, "name");
        let claim = format!("{volume}-{name}");
        volumes.retain(|known| text(known, "name") != volume);
        volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}}));
        make_claim(acting, set, template, &claim);
    }
    put(&mut pod, "spec.volumes", volumes);
    let made = acting.create(MANAGER, pods::TABLE, &pod);
    let is_there = made.is_some();
    pods.active.extend(made);
    is_there
}

fn make_claim(acting: &mut Acting<'_>, set: &Value, template: &Value, name: &str) {
    let mut claim = template.clone();
    meta::set(&mut claim, "name", name);
    meta::set(&mut claim, "namespace", meta::text(set, "namespace"));
    let selected = at(set, "spec.selector.matchLabels").as_object().cloned().unwrap_or_default();
    if let Some(labels) = object(&mut claim, "metadata.labels") {
        labels.extend(selected);
    }
    for member in ["apiVersion", "kind", "status"] {
        claim.as_object_mut().map(|members| members.remove(member));
    }
    // One that is there from before is used again.
    if acting.get(claims::TABLE, &key_of(&claim)).is_none() {
        acting.create(MANAGER, claims::TABLE, &claim);
    }
}

fn label(pod: &Value) -> &str {
    meta::get(pod, "labels").and_then(|labels| labels.get(LABEL)?.as_str()).unwrap_or_default()
}

fn status(set: &Value, revisions: &Revisions, pods: &Pods, counts: Counts, wanted: i64) -> Value {
    let newest = revisions.newest();
    let current = match text(set, "status.currentRevision") {
        "" => newest,
        current => current,
    };
    let of = |revision: &str| pods.active.iter().filter(|pod| label(pod) == revision).count() as i64;
    // Those that are no objects are of the newest template at once.
    let hidden = counts.replicas - pods.active.len() as i64;
    let updated = of(newest) + hidden;
    let arrived = updated == wanted && counts.replicas == wanted && counts.ready == wanted;
    let current = if arrived { newest } else { current };
    let mut status = without_zeros(json!({
        "observedGeneration": meta::generation(set),
        "readyReplicas": counts.ready,
        "currentReplicas": if current == newest { updated } else { of(current) },
        "updatedReplicas": updated,
    }));
    put(&mut status, "replicas", counts.replicas);
    put(&mut status, "availableReplicas", counts.available);
    put(&mut status, "currentRevision", current);
    put(&mut status, "updateRevision", newest);
    put(&mut status, "collisionCount", number(set, "status.collisionCount"));
    status
}
