//! Workloads that run for ever.

use serde_json::Value;

use super::selectors::{matches_template, of_workload, unchanged};
use super::{
    Errors, IMMUTABLE, at_most_all, forbidden, immutable, invalid, invalid_shown, named, not_negative,
    number_or_percent, one_of, pods,
};
use crate::sim::apiserver::names;
use crate::sim::apiserver::status::FieldError;
use crate::sim::kinds::value::{at, has, is_blank, number, text};

pub(in crate::sim::kinds) fn deployment(object: &Value, errors: &mut Errors) {
    not_negative(errors, object, "", "spec.replicas");
    of_workload(errors, object, true);
    pods::endless_template(errors, object, "ReplicaSet");
    strategy(object, errors);
    for field in ["spec.minReadySeconds", "spec.revisionHistoryLimit", "spec.progressDeadlineSeconds"] {
        not_negative(errors, object, "", field);
    }
    let deadline = number(object, "spec.progressDeadlineSeconds");
    if deadline <= number(object, "spec.minReadySeconds") {
        let detail = "must be greater than minReadySeconds";
        invalid(errors, "spec.progressDeadlineSeconds", &deadline.into(), detail);
    }
}

fn strategy(object: &Value, errors: &mut Errors) {
    let strategy = at(object, "spec.strategy");
    match text(strategy, "type") {
        "Recreate" if has(strategy, "rollingUpdate") => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            forbidden(errors, "spec.strategy.rollingUpdate", detail);
        }
        "Recreate" => {}
        "RollingUpdate" => {
            let (base, rolling) = ("spec.strategy.rollingUpdate", at(strategy, "rollingUpdate"));
            number_or_percent(errors, rolling, base, "maxUnavailable");
            number_or_percent(errors, rolling, base, "maxSurge");
            if [at(rolling, "maxUnavailable"), at(rolling, "maxSurge")].into_iter().all(is_nothing) {
                let field = format!("{base}.maxUnavailable");
                invalid(errors, field, at(rolling, "maxUnavailable"), "may not be 0 when `maxSurge` is 0");
            }
            at_most_all(errors, rolling, base, "maxUnavailable");
        }
        _ => unknown_strategy(errors, "spec.strategy", strategy, &["Recreate", "RollingUpdate"]),
    }
}

fn is_nothing(value: &Value) -> bool {
    value == 0 || value == "0%"
}

/// A strategy as the server shows it.
fn shown(strategy: &Value) -> String {
    format!("{{\"Type\":{},\"RollingUpdate\":{}}}", at(strategy, "type"), at(strategy, "rollingUpdate"))
}

fn unknown_strategy(errors: &mut Errors, field: &str, strategy: &Value, known: &[&str]) {
    let mut error = FieldError::not_supported(field, &Value::Null, known);
    error.value = shown(strategy);
    errors.push(error);
}

pub(in crate::sim::kinds) fn update_deployment(new: &Value, old: &Value, errors: &mut Errors) {
    unchanged(errors, new, old);
}

pub(in crate::sim::kinds) fn stateful_set(object: &Value, errors: &mut Errors) {
    let management = at(object, "spec.podManagementPolicy");
    if !matches!(management.as_str(), Some("OrderedReady" | "Parallel")) {
        invalid(errors, "spec.podManagementPolicy", management, "must be 'OrderedReady' or 'Parallel'");
    }
    let strategy = at(object, "spec.updateStrategy");
    match text(strategy, "type") {
        "OnDelete" if has(strategy, "rollingUpdate") => {
            let rolling = at(strategy, "rollingUpdate");
            let (partition, most) = (at(rolling, "partition"), at(rolling, "maxUnavailable"));
            let shown = format!("{{\"Partition\":{partition},\"MaxUnavailable\":{most}}}");
            let detail = "only allowed for updateStrategy 'RollingUpdate'";
            invalid_shown(errors, "spec.updateStrategy.rollingUpdate", shown, detail);
        }
        "OnDelete" => {}
        "RollingUpdate" => not_negative(errors, object, "", "spec.updateStrategy.rollingUpdate.partition"),
        _ => {
            let detail = "must be 'RollingUpdate' or 'OnDelete'";
            invalid_shown(errors, "spec.updateStrategy", shown(strategy), detail);
        }
    }
    for event in ["whenDeleted", "whenScaled"] {
        let base = "spec.persistentVolumeClaimRetentionPolicy";
        one_of(errors, at(object, base), base, event, &["Retain", "Delete"]);
    }
    for field in ["spec.replicas", "spec.minReadySeconds", "spec.ordinals.start"] {
        not_negative(errors, object, "", field);
    }
    of_workload(errors, object, true);
    pods::endless_template(errors, object, "StatefulSet");
}

/// The name of the Service is looked at once, since it can't change.
pub(in crate::sim::kinds) fn new_stateful_set(object: &Value, errors: &mut Errors) {
    let service = text(object, "spec.serviceName");
    if !service.is_empty() && !has(object, "metadata.resourceVersion") {
        named(errors, "spec.serviceName", service, names::label);
    }
    stateful_set(object, errors);
}

pub(in crate::sim::kinds) fn update_stateful_set(new: &Value, old: &Value, errors: &mut Errors) {
    immutable(errors, new, old, "spec.serviceName");
    immutable(errors, new, old, "spec.podManagementPolicy");
    unchanged(errors, new, old);
    let claims = at(new, "spec.volumeClaimTemplates");
    if claims != at(old, "spec.volumeClaimTemplates") {
        let shown = claims.as_array().map(|claims| claims.iter().map(super::storage::shown_claim).collect::<Vec<_>>());
        let shown = shown.map_or_else(|| "null".to_owned(), |claims| format!("[{}]", claims.join(",")));
        invalid_shown(errors, "spec.volumeClaimTemplates", shown, IMMUTABLE);
    }
}

pub(in crate::sim::kinds) fn daemon_set(object: &Value, errors: &mut Errors) {
    let selector = at(object, "spec.selector");
    super::selectors::check(errors, "spec.selector", selector);
    matches_template(errors, object, selector);
    if selector.is_object() && super::selectors::shown(selector) == "{}" {
        invalid_shown(errors, "spec.selector", "{}".to_owned(), "empty selector is invalid for daemonset");
    }
    pods::endless_template(errors, object, "DaemonSet");
    for field in ["spec.minReadySeconds", "spec.revisionHistoryLimit"] {
        not_negative(errors, object, "", field);
    }
    let strategy = at(object, "spec.updateStrategy");
    match text(strategy, "type") {
        "OnDelete" => {}
        "RollingUpdate" => daemon_rolling(errors, at(strategy, "rollingUpdate")),
        _ => unknown_strategy(errors, "spec.updateStrategy", strategy, &["RollingUpdate", "OnDelete"]),
    }
}

fn daemon_rolling(errors: &mut Errors, rolling: &Value) {
    let base = "spec.updateStrategy.rollingUpdate";
    let (unavailable, surge) = (at(rolling, "maxUnavailable"), at(rolling, "maxSurge"));
    number_or_percent(errors, rolling, base, "maxUnavailable");
    number_or_percent(errors, rolling, base, "maxSurge");
    at_most_all(errors, rolling, base, "maxUnavailable");
    at_most_all(errors, rolling, base, "maxSurge");
    match (is_nothing(unavailable), is_nothing(surge)) {
        (false, false) => {
            let detail = "may not be set when maxUnavailable is non-zero";
            invalid(errors, format!("{base}.maxSurge"), surge, detail);
        }
        (true, true) => {
            let detail = "cannot be 0 when maxSurge is 0";
            errors.push(FieldError::required(format!("{base}.maxUnavailable"), detail));
        }
        _ => {}
    }
}

pub(in crate::sim::kinds) fn replica_set(object: &Value, errors: &mut Errors) {
    for field in ["spec.replicas", "spec.minReadySeconds"] {
        not_negative(errors, object, "", field);
    }
    of_workload(errors, object, true);
    pods::endless_template(errors, object, "ReplicaSet");
}

pub(in crate::sim::kinds) fn controller_revision(object: &Value, errors: &mut Errors) {
    if is_blank(at(object, "data")) && at(object, "data").is_null() {
        errors.push(FieldError::required("data", "data is mandatory"));
    }
    not_negative(errors, object, "", "revision");
}

pub(in crate::sim::kinds) fn update_controller_revision(new: &Value, old: &Value, errors: &mut Errors) {
    immutable(errors, new, old, "data");
}
