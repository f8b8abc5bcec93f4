//! Autoscalers, disruption budgets, webhooks, admission policies and definitions.

use serde_json::Value;

use super::{
    Errors, at_most_all, duplicate, forbidden, immutable, invalid, invalid_shown, number_or_percent, one_of,
    one_of_if_any, required, selectors,
};
use crate::sim::apiserver::names;
use crate::sim::apiserver::status::FieldError;
use crate::sim::kinds::value::{at, has, is_blank, items, members, number, text, texts};

/// Longest time that a scaling decision looks back, and longest period of a policy, in seconds.
const MAX_WINDOW: i64 = 3600;
const MAX_PERIOD: i64 = 1800;

pub(in crate::sim::kinds) fn autoscaler(scaler: &Value, errors: &mut Errors) {
    let spec = at(scaler, "spec");
    let (least, most) = (number(spec, "minReplicas"), number(spec, "maxReplicas"));
    if most < least {
        invalid(errors, "spec.maxReplicas", &most.into(), "must be greater than or equal to `minReplicas`");
    }
    if most < 1 {
        required(errors, "spec.maxReplicas");
    }
    for field in ["kind", "name"] {
        if text(spec, &format!("scaleTargetRef.{field}")).is_empty() {
            required(errors, format!("spec.scaleTargetRef.{field}"));
        }
    }
    let version = text(spec, "scaleTargetRef.apiVersion");
    if !version.contains('/') {
        let detail = "apiVersion must specify API group";
        invalid(errors, "spec.scaleTargetRef.apiVersion", &version.into(), detail);
    }
    metrics(errors, spec, least);
    for way in ["scaleUp", "scaleDown"] {
        scaling(errors, &format!("spec.behavior.{way}"), at(spec, &format!("behavior.{way}")));
    }
}

fn metrics(errors: &mut Errors, spec: &Value, least: i64) {
    let kinds = [
        ("ContainerResource", "containerResource"),
        ("External", "external"),
        ("Object", "object"),
        ("Pods", "pods"),
        ("Resource", "resource"),
    ];
    for (index, metric) in items(spec, "metrics").iter().enumerate() {
        let base = format!("spec.metrics[{index}]");
        let Some((_, source)) = kinds.iter().find(|(kind, _)| text(metric, "type") == *kind) else {
            one_of(errors, metric, &base, "type", &kinds.map(|(kind, _)| kind));
            continue;
        };
        if !has(metric, source) {
            let detail = "must populate information for the given metric source";
            errors.push(FieldError::required(format!("{base}.{source}"), detail));
            continue;
        }
        let target = at(metric, &format!("{source}.target"));
        if source.ends_with("esource") && !has(target, "averageUtilization") && !has(target, "averageValue") {
            let detail = "must set either a target raw value or a target utilization";
            let field = format!("{base}.{source}.target.averageUtilization");
            errors.push(FieldError::required(field, detail));
        }
    }
    let outside = |metric: &Value| matches!(text(metric, "type"), "External" | "Object");
    if least == 0 && !items(spec, "metrics").iter().any(outside) {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        forbidden(errors, "spec.metrics", detail);
    }
}

fn scaling(errors: &mut Errors, base: &str, rules: &Value) {
    if rules.is_null() {
        return;
    }
    let window = at(rules, "stabilizationWindowSeconds");
    if window.as_i64().is_some_and(|seconds| seconds > MAX_WINDOW) {
        let field = format!("{base}.stabilizationWindowSeconds");
        invalid(errors, field, window, format!("must be less than or equal to {MAX_WINDOW}"));
    }
    for (index, policy) in items(rules, "policies").iter().enumerate() {
        let base = format!("{base}.policies[{index}]");
        one_of(errors, policy, &base, "type", &["Percent", "Pods"]);
        if number(policy, "value") <= 0 {
            invalid(errors, format!("{base}.value"), at(policy, "value"), "must be greater than zero");
        }
        let period = number(policy, "periodSeconds");
        if period <= 0 {
            invalid(errors, format!("{base}.periodSeconds"), &period.into(), "must be greater than zero");
        }
        if period > MAX_PERIOD {
            let detail = format!("must be less than or equal to {MAX_PERIOD}");
            invalid(errors, format!("{base}.periodSeconds"), &period.into(), detail);
        }
    }
    one_of_if_any(errors, rules, base, "selectPolicy", &["Disabled", "Max", "Min"]);
}

pub(in crate::sim::kinds) fn disruption_budget(budget: &Value, errors: &mut Errors) {
    let spec = at(budget, "spec");
    let (least, most) = (at(spec, "minAvailable"), at(spec, "maxUnavailable"));
    if !least.is_null() && !most.is_null() {
        let (selector, policy) = (selectors::shown(at(spec, "selector")), at(spec, "unhealthyPodEvictionPolicy"));
        let shown = format!(
            "{{\"MinAvailable\":{least},\"Selector\":{selector},\"MaxUnavailable\":{most},\
             \"UnhealthyPodEvictionPolicy\":{policy}}}"
        );
        invalid_shown(errors, "spec", shown, "minAvailable and maxUnavailable cannot be both set");
    }
    for field in ["minAvailable", "maxUnavailable"] {
        number_or_percent(errors, spec, "spec", field);
        at_most_all(errors, spec, "spec", field);
    }
    if has(spec, "selector") {
        selectors::check(errors, "spec.selector", at(spec, "selector"));
    }
    one_of_if_any(errors, spec, "spec", "unhealthyPodEvictionPolicy", &["AlwaysAllow", "IfHealthyBudget"]);
}

pub(in crate::sim::kinds) fn webhooks(configuration: &Value, errors: &mut Errors) {
    let mut known: Vec<&str> = Vec::new();
    let mut repeated = Vec::new();
    for (index, hook) in items(configuration, "webhooks").iter().enumerate() {
        let base = format!("webhooks[{index}]");
        webhook(errors, &base, hook);
        let name = text(hook, "name");
        if known.contains(&name) {
            duplicate(&mut repeated, format!("{base}.name"), format!("{name:?}"));
        }
        known.push(name);
    }
    errors.extend(repeated);
}

fn webhook(errors: &mut Errors, base: &str, hook: &Value) {
    let name = text(hook, "name");
    if name.split('.').count() < 3 || !names::subdomain(name).is_empty() {
        let detail = "should be a domain with at least three segments separated by dots";
        invalid(errors, format!("{base}.name"), &name.into(), detail);
    }
    one_of_if_any(errors, hook, base, "failurePolicy", &["Fail", "Ignore"]);
    one_of_if_any(errors, hook, base, "matchPolicy", &["Equivalent", "Exact"]);
    if !text(hook, "sideEffects").is_empty() {
        one_of(errors, hook, base, "sideEffects", &["None", "NoneOnDryRun"]);
    } else {
        let detail = "must specify one of None, NoneOnDryRun";
        errors.push(FieldError::required(format!("{base}.sideEffects"), detail));
    }
    let timeout = at(hook, "timeoutSeconds");
    if timeout.as_i64().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
        let detail = "the timeout value must be between 1 and 30 seconds";
        invalid(errors, format!("{base}.timeoutSeconds"), timeout, detail);
    }
    let (url, service) = (text(hook, "clientConfig.url"), has(hook, "clientConfig.service"));
    if url.is_empty() != service {
        let detail = "exactly one of url or service is required";
        errors.push(FieldError::required(format!("{base}.clientConfig"), detail));
    } else if let Some((scheme, _)) = url.split_once("://").filter(|(scheme, _)| *scheme != "https") {
        let detail = "'https' is the only allowed URL scheme; desired format: https://host[/path]";
        invalid(errors, format!("{base}.clientConfig.url"), &scheme.into(), detail);
    }
    one_of_if_any(errors, hook, base, "reinvocationPolicy", &["IfNeeded", "Never"]);
    if items(hook, "admissionReviewVersions").is_empty() {
        let detail = "must specify one of v1, v1beta1";
        errors.push(FieldError::required(format!("{base}.admissionReviewVersions"), detail));
    }
}

pub(in crate::sim::kinds) fn admission_policy(policy: &Value, errors: &mut Errors) {
    let spec = at(policy, "spec");
    if !has(spec, "matchConstraints") {
        required(errors, "spec.matchConstraints");
    }
    if items(spec, "validations").is_empty() && items(spec, "auditAnnotations").is_empty() {
        for field in ["validations", "auditAnnotations"] {
            let detail = "validations or auditAnnotations must contain at least one item";
            errors.push(FieldError::required(format!("spec.{field}"), detail));
        }
    }
}

pub(in crate::sim::kinds) fn admission_binding(binding: &Value, errors: &mut Errors) {
    if text(binding, "spec.policyName").is_empty() {
        required(errors, "spec.policyName");
    }
    let actions = texts(binding, "spec.validationActions");
    if actions.is_empty() {
        required(errors, "spec.validationActions");
    }
    if actions.contains(&"Deny") && actions.contains(&"Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API \
            response and headers serves no purpose)";
        invalid(errors, "spec.validationActions", at(binding, "spec.validationActions"), detail);
    }
}

pub(in crate::sim::kinds) fn definition(definition: &Value, errors: &mut Errors) {
    let spec = at(definition, "spec");
    let (plural, group) = (text(spec, "names.plural"), text(spec, "group"));
    let new = !has(definition, "metadata.resourceVersion");
    if new && text(definition, "metadata.name") != format!("{plural}.{group}") {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        invalid(errors, "metadata.name", at(definition, "metadata.name"), detail);
    }
    match group {
        "" => required(errors, "spec.group"),
        group if !group.contains('.') => {
            invalid(errors, "spec.group", &group.into(), "should be a domain with at least one dot");
        }
        _ => {}
    }
    one_of(errors, spec, "spec", "scope", &["Cluster", "Namespaced"]);
    versions(errors, definition);
    for field in ["plural", "singular", "kind", "listKind"] {
        if is_blank(at(spec, &format!("names.{field}"))) {
            required(errors, format!("spec.names.{field}"));
        }
    }
    if is_blank(at(definition, "status.storedVersions")) {
        let detail = "must have at least one stored version";
        invalid_shown(errors, "status.storedVersions", "null".to_owned(), detail);
    } else {
        stored_versions(errors, definition);
    }
}

/// Versions in which objects are kept must be there as long as it is not said that none are kept in them.
fn stored_versions(errors: &mut Errors, definition: &Value) {
    let stored = at(definition, "status.storedVersions");
    let versions = items(definition, "spec.versions");
    let is_kept = |name: &str| stored.as_array().into_iter().flatten().any(|known| known == name);
    for version in versions.iter().filter(|version| at(version, "storage") == true) {
        let name = text(version, "name");
        if !is_kept(name) {
            invalid(errors, "status.storedVersions", stored, format!("must have the storage version {name}"));
        }
    }
    for (index, kept) in stored.as_array().into_iter().flatten().enumerate() {
        let name = kept.as_str().unwrap_or_default();
        if versions.iter().any(|version| text(version, "name") == name) {
            continue;
        }
        let detail = format!(
            "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a \
             storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
        );
        invalid(errors, format!("status.storedVersions[{index}]"), kept, detail);
    }
}

/// What the place of the objects in the store depends on can't change.
pub(in crate::sim::kinds) fn update_definition(new: &Value, old: &Value, errors: &mut Errors) {
    let conditions = items(old, "status.conditions");
    let holds = |condition: &&Value| at(condition, "status") == "True" && at(condition, "type") == "Established";
    if conditions.iter().any(|condition| holds(&condition)) {
        immutable(errors, new, old, "spec.scope");
        immutable(errors, new, old, "spec.names.kind");
    }
    immutable(errors, new, old, "spec.group");
    immutable(errors, new, old, "spec.names.plural");
}

/// How deep a schema is looked into.
const MAX_DEPTH: usize = 64;

/// Everything in a structural schema says what type it is.
fn typed(errors: &mut Errors, base: &str, schema: &Value, why: &str, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    for (name, property) in members(schema, "properties") {
        let field = format!("{base}.properties[{name}]");
        typed(errors, &field, property, "must not be empty for specified object fields", depth + 1);
    }
    if has(schema, "items") {
        let detail = "must not be empty for specified array items";
        typed(errors, &format!("{base}.items"), at(schema, "items"), detail, depth + 1);
    }
    if at(schema, "additionalProperties").is_object() {
        let field = format!("{base}.additionalProperties");
        let detail = "must not be empty for specified object fields";
        typed(errors, &field, at(schema, "additionalProperties"), detail, depth + 1);
    }
    let free = ["x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"];
    if text(schema, "type").is_empty() && (depth == 0 || !free.iter().any(|free| at(schema, free) == true)) {
        errors.push(FieldError::required(format!("{base}.type"), why));
    }
}

fn versions(errors: &mut Errors, definition: &Value) {
    let versions = items(definition, "spec.versions");
    let stored = versions.iter().filter(|version| at(version, "storage") == true).count();
    for (index, version) in versions.iter().enumerate() {
        if !has(version, "schema.openAPIV3Schema") {
            required(errors, format!("spec.versions[{index}].schema.openAPIV3Schema"));
        }
    }
    for (index, version) in versions.iter().enumerate() {
        // A schema that all versions share is told where it stood when there was one for all.
        let alone = versions.iter().all(|other| at(other, "schema") == at(version, "schema"));
        let base = if alone { "spec.validation".to_owned() } else { format!("spec.versions[{index}].schema") };
        let schema = at(version, "schema.openAPIV3Schema");
        if !schema.is_null() && (index == 0 || !alone) {
            typed(errors, &format!("{base}.openAPIV3Schema"), schema, "must not be empty at the root", 0);
        }
    }
    if stored != 1 {
        let shown = versions.iter().map(|version| {
            format!(
                "{{\"Name\":{},\"Served\":{},\"Storage\":{},\"Deprecated\":false,\"DeprecationWarning\":null,\
                 \"Schema\":null,\"Subresources\":null,\"AdditionalPrinterColumns\":null,\"SelectableFields\":null}}",
                at(version, "name"),
                at(version, "served"),
                at(version, "storage"),
            )
        });
        let shown: Vec<String> = shown.collect();
        let shown = if shown.is_empty() { "null".to_owned() } else { format!("[{}]", shown.join(",")) };
        invalid_shown(errors, "spec.versions", shown, "must have exactly one version marked as storage version");
    }
}
