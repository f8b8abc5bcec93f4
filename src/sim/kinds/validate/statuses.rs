//! Statuses, which people and controllers write by their own subresource.

use serde_json::Value;

use super::Errors;
use crate::sim::apiserver::status::FieldError;
use crate::sim::kinds::value::number;

/// What is wrong with the status of an object of a resource, by its qualified name.
pub fn status(resource: &str, object: &Value, errors: &mut Errors) {
    let (counts, bounded): (&[&str], &[&str]) = match resource {
        "deployments.apps" => (
            &["replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"],
            &["updatedReplicas", "readyReplicas", "availableReplicas"],
        ),
        "replicasets.apps" | "replicationcontrollers" => (
            &["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
            &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
        ),
        "statefulsets.apps" => (
            &["replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"],
            &["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"],
        ),
        "daemonsets.apps" => (
            &[
                "currentNumberScheduled",
                "numberMisscheduled",
                "desiredNumberScheduled",
                "numberReady",
                "updatedNumberScheduled",
                "numberAvailable",
                "numberUnavailable",
            ],
            &[],
        ),
        _ => return,
    };
    let value = |name: &str| number(object, &format!("status.{name}"));
    let mut wrong = |name: &str, detail: &str| {
        errors.push(FieldError::invalid(format!("status.{name}"), &value(name).into(), detail));
    };
    for name in counts.iter().chain(&["observedGeneration", "collisionCount"]) {
        if value(name) < 0 {
            wrong(name, "must be greater than or equal to 0");
        }
    }
    for name in bounded.iter().filter(|name| value(name) > value("replicas")) {
        wrong(name, "cannot be greater than status.replicas");
    }
    if bounded.contains(&"availableReplicas") && value("availableReplicas") > value("readyReplicas") {
        let of = if resource == "statefulsets.apps" { "status.readyReplicas" } else { "readyReplicas" };
        wrong("availableReplicas", &format!("cannot be greater than {of}"));
    }
}
