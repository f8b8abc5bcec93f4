//! Deployments, StatefulSets, DaemonSets, ReplicaSets, ReplicationControllers: what is filled in.

use serde_json::{Value, json};

use super::pods;
use super::value::{at, each, fill, fill_blank, has, is_blank, object, set, text};

/// Counts the changes of a DaemonSet's template, as clients of old versions expect it.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

pub(super) fn deployment(object: &mut Value) {
    pods::template(object, "spec.template");
    fill(object, "spec.replicas", 1);
    fill_blank(object, "spec.strategy.type", "RollingUpdate");
    if text(object, "spec.strategy.type") == "RollingUpdate" {
        fill(object, "spec.strategy.rollingUpdate.maxUnavailable", "25%");
        fill(object, "spec.strategy.rollingUpdate.maxSurge", "25%");
    }
    fill(object, "spec.revisionHistoryLimit", 10);
    fill(object, "spec.progressDeadlineSeconds", 600);
    fill(object, "status", json!({}));
}

pub(super) fn stateful_set(object: &mut Value) {
    pods::template(object, "spec.template");
    fill_blank(object, "spec.podManagementPolicy", "OrderedReady");
    if is_blank(at(object, "spec.updateStrategy.type")) {
        set(object, "spec.updateStrategy.type", "RollingUpdate");
        fill(object, "spec.updateStrategy.rollingUpdate", json!({}));
    }
    if text(object, "spec.updateStrategy.type") == "RollingUpdate" && has(object, "spec.updateStrategy.rollingUpdate") {
        fill(object, "spec.updateStrategy.rollingUpdate.partition", 0);
        fill(object, "spec.updateStrategy.rollingUpdate.maxUnavailable", 1);
    }
    for event in ["whenDeleted", "whenScaled"] {
        fill_blank(object, &format!("spec.persistentVolumeClaimRetentionPolicy.{event}"), "Retain");
    }
    fill(object, "spec.replicas", 1);
    fill(object, "spec.revisionHistoryLimit", 10);
    fill(object, "spec.serviceName", "");
    for claim in each(object, "spec.volumeClaimTemplates") {
        fill_blank(claim, "apiVersion", "v1");
        fill_blank(claim, "kind", "PersistentVolumeClaim");
        super::storage::claim(claim);
    }
    fill(object, "status.replicas", 0);
    fill(object, "status.availableReplicas", 0);
}

pub(super) fn daemon_set(object: &mut Value) {
    // What is not counted yet is told as 0.
    if at(object, "metadata.annotations").get(TEMPLATE_GENERATION).is_none() {
        annotate(object, 0);
    }
    pods::template(object, "spec.template");
    fill_blank(object, "spec.updateStrategy.type", "RollingUpdate");
    if text(object, "spec.updateStrategy.type") == "RollingUpdate" {
        fill(object, "spec.updateStrategy.rollingUpdate.maxUnavailable", 1);
        fill(object, "spec.updateStrategy.rollingUpdate.maxSurge", 0);
    }
    fill(object, "spec.revisionHistoryLimit", 10);
    for count in ["currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"] {
        fill(object, &format!("status.{count}"), 0);
    }
}

pub(super) fn replica_set(object: &mut Value) {
    pods::template(object, "spec.template");
    fill(object, "spec.replicas", 1);
    fill(object, "status.replicas", 0);
}

pub(super) fn replication_controller(controller: &mut Value) {
    if has(controller, "spec.template") {
        pods::template(controller, "spec.template");
    }
    fill(controller, "spec.replicas", 1);
    let labels = at(controller, "spec.template.metadata.labels").clone();
    if !labels.is_null() {
        fill_blank(controller, "spec.selector", labels.clone());
        fill_blank(controller, "metadata.labels", labels);
    }
    fill(controller, "status.replicas", 0);
}

pub(super) fn pod_template(object: &mut Value) {
    pods::template(object, "template");
}

/// The first generation of the template.
pub(super) fn create_daemon_set(set: &mut Value) {
    daemon_set(set);
    annotate(set, 1);
}

/// Counts changes of the template.
pub(super) fn update_daemon_set(set: &mut Value, old: &Value) {
    let annotation = at(old, "metadata.annotations").get(TEMPLATE_GENERATION).and_then(Value::as_str);
    let generation: i64 = annotation.and_then(|text| text.parse().ok()).unwrap_or_default();
    let changed = at(set, "spec.template") != at(old, "spec.template");
    annotate(set, generation + i64::from(changed));
}

fn annotate(set: &mut Value, generation: i64) {
    if let Some(annotations) = object(set, "metadata.annotations") {
        annotations.insert(TEMPLATE_GENERATION.to_owned(), generation.to_string().into());
    }
}
