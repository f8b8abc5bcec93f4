//! Group `apps`: the controllers that keep Pods. The rules are those of `kubectl rollout status`.

use serde_json::Value;

use super::conditions::{find, is_true};
use super::{Health, count, number, text};

/// Whether the controller has not yet seen the current spec.
fn is_unobserved(object: &Value) -> bool {
    count(object, "/metadata/generation") > count(object, "/status/observedGeneration")
}

/// `health_deployment.go`.
pub(super) fn deployment(object: &Value) -> Health {
    if object.pointer("/spec/paused").and_then(Value::as_bool) == Some(true) {
        return Health::suspended("Deployment is paused");
    }
    if is_unobserved(object) {
        return Health::progressing(
            "Waiting for rollout to finish: observed deployment generation less than desired generation",
        );
    }
    let replicas = count(object, "/status/replicas");
    let updated = count(object, "/status/updatedReplicas");
    let available = count(object, "/status/availableReplicas");
    // The reason alone decides, as in kubectl: the condition's status is `False` by then.
    if find(object, "Progressing").is_some_and(|condition| condition.reason == "ProgressDeadlineExceeded") {
        let name = text(object, "/metadata/name");
        return Health::degraded(format!("Deployment {name:?} exceeded its progress deadline"));
    }
    match number(object, "/spec/replicas") {
        Some(desired) if updated < desired => Health::progressing(format!(
            "Waiting for rollout to finish: {updated} out of {desired} new replicas have been updated..."
        )),
        _ if replicas > updated => Health::progressing(format!(
            "Waiting for rollout to finish: {} old replicas are pending termination...",
            replicas.saturating_sub(updated)
        )),
        _ if available < updated => Health::progressing(format!(
            "Waiting for rollout to finish: {available} of {updated} updated replicas are available..."
        )),
        _ => Health::healthy(""),
    }
}

/// `health_statefulset.go`.
pub(super) fn stateful_set(object: &Value) -> Health {
    if count(object, "/status/observedGeneration") == 0 || is_unobserved(object) {
        return Health::progressing("Waiting for statefulset spec update to be observed...");
    }
    let desired = number(object, "/spec/replicas");
    let ready = count(object, "/status/readyReplicas");
    let updated = count(object, "/status/updatedReplicas");
    if let Some(desired) = desired.filter(|desired| ready < *desired) {
        return Health::progressing(format!("Waiting for {} pods to be ready...", desired.saturating_sub(ready)));
    }
    let strategy = text(object, "/spec/updateStrategy/type");
    // Defaulting sets `rollingUpdate` on every StatefulSet that rolls, so this is the usual way out.
    if strategy == "RollingUpdate" && object.pointer("/spec/updateStrategy/rollingUpdate").is_some_and(Value::is_object)
    {
        let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
        if let (Some(desired), Some(partition)) = (desired, partition) {
            let wanted = desired.saturating_sub(partition);
            if updated < wanted {
                return Health::progressing(format!(
                    "Waiting for partitioned roll out to finish: {updated} out of {wanted} new pods have been updated..."
                ));
            }
        }
        return Health::healthy(format!("partitioned roll out complete: {updated} new pods have been updated..."));
    }
    if strategy == "OnDelete" {
        return Health::healthy(format!("statefulset has {ready} ready pods"));
    }
    let current_revision = text(object, "/status/currentRevision");
    let update_revision = text(object, "/status/updateRevision");
    if update_revision != current_revision {
        return Health::progressing(format!(
            "waiting for statefulset rolling update to complete {updated} pods at revision {update_revision}..."
        ));
    }
    let current = count(object, "/status/currentReplicas");
    Health::healthy(format!("statefulset rolling update complete {current} pods at revision {current_revision}..."))
}

/// `health_daemonset.go`.
pub(super) fn daemon_set(object: &Value) -> Health {
    if is_unobserved(object) {
        return Health::progressing(
            "Waiting for rollout to finish: observed daemon set generation less than desired generation",
        );
    }
    let desired = count(object, "/status/desiredNumberScheduled");
    let updated = count(object, "/status/updatedNumberScheduled");
    let available = count(object, "/status/numberAvailable");
    let name = text(object, "/metadata/name");
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Health::healthy(format!("daemon set {updated} out of {desired} new pods have been updated"));
    }
    if updated < desired {
        return Health::progressing(format!(
            "Waiting for daemon set {name:?} rollout to finish: {updated} out of {desired} new pods have been updated..."
        ));
    }
    if available < desired {
        return Health::progressing(format!(
            "Waiting for daemon set {name:?} rollout to finish: {available} of {desired} updated pods are available..."
        ));
    }
    Health::healthy("")
}

/// `health_replicaset.go`.
pub(super) fn replica_set(object: &Value) -> Health {
    if is_unobserved(object) {
        return Health::progressing(
            "Waiting for rollout to finish: observed replica set generation less than desired generation",
        );
    }
    if let Some(failure) = find(object, "ReplicaFailure").filter(is_true) {
        return Health::degraded(failure.message);
    }
    let available = count(object, "/status/availableReplicas");
    match number(object, "/spec/replicas") {
        Some(desired) if available < desired => Health::progressing(format!(
            "Waiting for rollout to finish: {available} out of {desired} new replicas are available..."
        )),
        _ => Health::healthy(""),
    }
}
