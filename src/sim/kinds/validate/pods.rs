//! Pods and templates of pods.

use serde_json::Value;

use super::{
    Errors, containers, forbidden, invalid, invalid_shown, labels, named, not_negative, one_of, required, volumes,
};
use crate::sim::apiserver::names;
use crate::sim::apiserver::status::FieldError;
use crate::sim::kinds::internal;
use crate::sim::kinds::value::{at, each, has, is_blank, items, keep, members, number, take, text};

/// Highest id of a user or group.
const MAX_ID: i64 = i32::MAX as i64;
/// What taints do to pods.
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// A template, without the rules of what it is a template of.
pub(super) fn template(errors: &mut Errors, base: &str, template: &Value) {
    labels(errors, &format!("{base}.labels"), at(template, "metadata.labels"));
    for (key, _) in members(template, "metadata.annotations") {
        for problem in names::qualified_name(&key.to_lowercase()) {
            invalid(errors, format!("{base}.annotations"), &key.into(), problem);
        }
    }
    spec(errors, &format!("{base}.spec"), at(template, "spec"));
}

/// Templates whose pods run for ever.
pub(super) fn endless_template(errors: &mut Errors, object: &Value, owner: &str) {
    template(errors, "spec.template", at(object, "spec.template"));
    if text(object, "spec.template.spec.restartPolicy") != "Always" {
        one_of(errors, at(object, "spec.template.spec"), "spec.template.spec", "restartPolicy", &["Always"]);
    }
    if has(object, "spec.template.spec.activeDeadlineSeconds") && !owner.is_empty() {
        let detail = format!("activeDeadlineSeconds in {owner} is not Supported");
        forbidden(errors, "spec.template.spec.activeDeadlineSeconds", detail);
    }
}

/// A pod.
pub(in crate::sim::kinds) fn pod(pod: &Value, errors: &mut Errors) {
    spec(errors, "spec", at(pod, "spec"));
}

pub(super) fn spec(errors: &mut Errors, base: &str, spec: &Value) {
    let known = volumes::check(errors, base, spec);
    containers::check(errors, base, spec, &known);
    one_of(errors, spec, base, "restartPolicy", &["Always", "OnFailure", "Never"]);
    one_of(errors, spec, base, "dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]);
    labels(errors, &format!("{base}.nodeSelector"), at(spec, "nodeSelector"));
    security(errors, &format!("{base}.securityContext"), at(spec, "securityContext"));
    if text(spec, "dnsPolicy") == "None" && items(spec, "dnsConfig.nameservers").is_empty() {
        let detail = "must provide `dnsConfig` when `dnsPolicy` is None";
        errors.push(FieldError::required(format!("{base}.dnsConfig"), detail));
    }
    let name = |errors: &mut Errors, field: &str, check: fn(&str) -> Vec<String>| {
        if !text(spec, field).is_empty() {
            named(errors, format!("{base}.{field}"), text(spec, field), check);
        }
    };
    name(errors, "serviceAccountName", names::subdomain);
    name(errors, "nodeName", names::subdomain);
    if at(spec, "activeDeadlineSeconds").as_i64().is_some_and(|seconds| !(1..=MAX_ID).contains(&seconds)) {
        let range = "must be between 1 and 2147483647, inclusive";
        invalid(errors, format!("{base}.activeDeadlineSeconds"), at(spec, "activeDeadlineSeconds"), range);
    }
    name(errors, "hostname", names::label);
    name(errors, "subdomain", names::label);
    tolerations(errors, &format!("{base}.tolerations"), spec);
    name(errors, "priorityClassName", names::subdomain);
    name(errors, "runtimeClassName", names::subdomain);
    spread(errors, base, spec);
}

fn security(errors: &mut Errors, base: &str, context: &Value) {
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        id(errors, base, context, field);
    }
}

/// A user or group by number.
pub(super) fn id(errors: &mut Errors, base: &str, context: &Value, field: &str) {
    let value = at(context, field);
    if value.as_i64().is_some_and(|id| !(0..=MAX_ID).contains(&id)) {
        invalid(errors, format!("{base}.{field}"), value, "must be between 0 and 2147483647, inclusive");
    }
}

fn tolerations(errors: &mut Errors, base: &str, spec: &Value) {
    for (index, toleration) in items(spec, "tolerations").iter().enumerate() {
        let base = format!("{base}[{index}]");
        let (key, operator) = (text(toleration, "key"), text(toleration, "operator"));
        let (effect, value) = (text(toleration, "effect"), text(toleration, "value"));
        if !key.is_empty() {
            named(errors, format!("{base}.key"), key, names::qualified_name);
        }
        if key.is_empty() && operator != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            invalid(errors, format!("{base}.operator"), at(toleration, "operator"), detail);
        }
        if has(toleration, "tolerationSeconds") && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            invalid(errors, format!("{base}.effect"), &effect.into(), detail);
        }
        match operator {
            "" | "Equal" => named(errors, format!("{base}.operator"), value, names::label_value),
            "Exists" if !value.is_empty() => {
                let detail = "value must be empty when `operator` is 'Exists'";
                invalid(errors, format!("{base}.operator"), at(toleration, "value"), detail);
            }
            "Exists" => {}
            _ => one_of(errors, toleration, &base, "operator", &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            one_of(errors, toleration, &base, "effect", &EFFECTS);
        }
    }
}

fn spread(errors: &mut Errors, base: &str, spec: &Value) {
    for (index, constraint) in items(spec, "topologySpreadConstraints").iter().enumerate() {
        let base = format!("{base}.topologySpreadConstraints[{index}]");
        if at(constraint, "maxSkew").as_i64().unwrap_or_default() <= 0 {
            invalid(errors, format!("{base}.maxSkew"), at(constraint, "maxSkew"), "must be greater than zero");
        }
        if text(constraint, "topologyKey").is_empty() {
            errors.push(FieldError::required(format!("{base}.topologyKey"), "can not be empty"));
        }
        one_of(errors, constraint, &base, "whenUnsatisfiable", &["DoNotSchedule", "ScheduleAnyway"]);
    }
}

/// A change of a pod: little of it may change.
pub(in crate::sim::kinds) fn update(new: &Value, old: &Value, errors: &mut Errors) {
    for list in ["containers", "initContainers"] {
        let field = format!("spec.{list}");
        if items(new, &field).len() != items(old, &field).len() {
            forbidden(errors, field, "pod updates may not add or remove containers");
            return;
        }
    }
    let deadline = at(new, "spec.activeDeadlineSeconds");
    match (deadline.as_i64(), at(old, "spec.activeDeadlineSeconds").as_i64()) {
        (Some(after), Some(before)) if after > before => {
            let detail = "must be less than or equal to previous value";
            invalid(errors, "spec.activeDeadlineSeconds", deadline, detail);
            return;
        }
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            invalid(errors, "spec.activeDeadlineSeconds", deadline, detail);
        }
        _ => {}
    }
    tolerations_only_added(new, old, errors);
    let rest = without_changeable(new, old);
    if rest != *at(old, "spec") {
        let difference = internal::difference("PodSpec", at(old, "spec"), &rest);
        let fields = CHANGEABLE.join(",");
        forbidden(errors, "spec", format!("pod updates may not change fields other than {fields}\n{difference}"));
    }
}

/// What may change in a pod, as it is told.
const CHANGEABLE: [&str; 5] = [
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
];

/// The spec of the first pod in which all that may change is as in the second.
fn without_changeable(new: &Value, old: &Value) -> Value {
    let mut spec = at(new, "spec").clone();
    let before = at(old, "spec");
    for list in ["containers", "initContainers"] {
        for (container, before) in each(&mut spec, list).zip(items(before, list)) {
            keep(container, before, "image");
        }
    }
    for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        keep(&mut spec, before, field);
    }
    let grace = "terminationGracePeriodSeconds";
    if number(&spec, grace) == 1 && number(before, grace) < 0 {
        keep(&mut spec, before, grace);
    }
    spec
}

fn tolerations_only_added(new: &Value, old: &Value, errors: &mut Errors) {
    let seconds = |toleration: &Value| {
        let mut toleration = toleration.clone();
        take(&mut toleration, "tolerationSeconds");
        toleration
    };
    let kept: Vec<Value> = items(new, "spec.tolerations").iter().map(seconds).collect();
    if !items(old, "spec.tolerations").iter().map(seconds).all(|before| kept.contains(&before)) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        forbidden(errors, "spec.tolerations", detail);
    }
}

/// The taints of a node.
pub(in crate::sim::kinds) fn node(node: &Value, errors: &mut Errors) {
    for (index, taint) in items(node, "spec.taints").iter().enumerate() {
        let base = format!("metadata.taints[{index}]");
        named(errors, format!("{base}.key"), text(taint, "key"), names::qualified_name);
        one_of(errors, taint, &base, "effect", &EFFECTS);
    }
}

pub(in crate::sim::kinds) fn update_node(new: &Value, old: &Value, errors: &mut Errors) {
    let before = at(old, "spec.providerID");
    if !is_blank(before) && at(new, "spec.providerID") != before {
        let detail = "field cannot be modified once set";
        invalid_shown(errors, "spec.providerID", "null".to_owned(), detail);
    }
}

/// A template that stands alone.
pub(in crate::sim::kinds) fn pod_template(object: &Value, errors: &mut Errors) {
    template(errors, "template", at(object, "template"));
}

/// A ReplicationController.
pub(in crate::sim::kinds) fn replication_controller(object: &Value, errors: &mut Errors) {
    not_negative(errors, object, "", "spec.minReadySeconds");
    if is_blank(at(object, "spec.selector")) {
        required(errors, "spec.selector");
    }
    not_negative(errors, object, "", "spec.replicas");
    if !has(object, "spec.template") {
        required(errors, "spec.template");
        return;
    }
    let selected = members(object, "spec.selector")
        .all(|(key, value)| at(object, "spec.template.metadata.labels").get(key) == Some(value));
    if !is_blank(at(object, "spec.selector")) && !selected {
        let labels = at(object, "spec.template.metadata.labels");
        invalid(errors, "spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
    }
    endless_template(errors, object, "ReplicationController");
}
