//! Autoscalers, disruption budgets, network policies, ingresses, webhooks and definitions: what is filled in.

use serde_json::{Value, json};

use super::value::{at, each, fill, fill_blank, has, inside, is_blank, items, object, set, take, text};

pub(super) fn autoscaler(scaler: &mut Value) {
    fill(scaler, "spec.minReplicas", 1);
    fill(scaler, "spec.maxReplicas", 0);
    for field in ["kind", "name"] {
        fill(scaler, &format!("spec.scaleTargetRef.{field}"), "");
    }
    let usage = json!({
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
    });
    fill_blank(scaler, "spec.metrics", json!([usage]));
    if has(scaler, "spec.behavior") {
        let policy = |kind: &str, value: i64| json!({"type": kind, "value": value, "periodSeconds": 15});
        fill(scaler, "spec.behavior.scaleUp.stabilizationWindowSeconds", 0);
        fill(scaler, "spec.behavior.scaleUp.policies", json!([policy("Pods", 4), policy("Percent", 100)]));
        fill(scaler, "spec.behavior.scaleDown.policies", json!([policy("Percent", 100)]));
        for way in ["scaleUp", "scaleDown"] {
            fill(scaler, &format!("spec.behavior.{way}.selectPolicy"), "Max");
        }
    }
    fill(scaler, "status.currentMetrics", Value::Null);
    fill(scaler, "status.desiredReplicas", 0);
}

pub(super) fn disruption_budget(budget: &mut Value) {
    object(budget, "spec");
    for count in ["currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"] {
        fill(budget, &format!("status.{count}"), 0);
    }
}

pub(super) fn network_policy(policy: &mut Value) {
    object(policy, "spec.podSelector");
    for list in ["spec.ingress", "spec.egress"] {
        for rule in each(policy, list) {
            for port in each(rule, "ports") {
                fill(port, "protocol", "TCP");
            }
        }
    }
    if items(policy, "spec.policyTypes").is_empty() {
        let egress = !items(policy, "spec.egress").is_empty();
        set(policy, "spec.policyTypes", if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
    }
}

pub(super) fn ingress(ingress: &mut Value) {
    object(ingress, "spec");
    for rule in each(ingress, "spec.rules") {
        for path in each(rule, "http.paths") {
            if let Some(backend) = inside(path, "backend") {
                port_of_service(backend);
            }
        }
    }
    if let Some(backend) = inside(ingress, "spec.defaultBackend") {
        port_of_service(backend);
    }
    fill(ingress, "status.loadBalancer", json!({}));
}

fn port_of_service(backend: &mut Value) {
    if has(backend, "service") {
        object(backend, "service.port");
        fill(backend, "service.name", "");
    }
}

pub(super) fn ingress_class(class: &mut Value) {
    object(class, "spec");
    if has(class, "spec.parameters") {
        fill(class, "spec.parameters.scope", "Cluster");
    }
}

pub(super) fn priority_class(class: &mut Value) {
    fill(class, "preemptionPolicy", "PreemptLowerPriority");
    fill(class, "value", 0);
}

/// Classes have a generation, which never counts.
pub(super) fn create_priority_class(class: &mut Value) {
    set(class, "metadata.generation", 1);
}

pub(super) fn lease(lease: &mut Value) {
    object(lease, "spec");
}

pub(super) fn mutating_webhooks(configuration: &mut Value) {
    webhooks(configuration);
    for hook in each(configuration, "webhooks") {
        fill(hook, "reinvocationPolicy", "Never");
    }
}

pub(super) fn webhooks(configuration: &mut Value) {
    if items(configuration, "webhooks").is_empty() {
        take(configuration, "webhooks");
    }
    for hook in each(configuration, "webhooks") {
        fill(hook, "failurePolicy", "Fail");
        fill(hook, "timeoutSeconds", 10);
        for list in ["admissionReviewVersions", "sideEffects"] {
            fill(hook, list, Value::Null);
        }
        match_resources(hook, "rules");
        if let Some(client) = object(hook, "clientConfig").is_some().then(|| inside(hook, "clientConfig")).flatten() {
            port_of_reference(client);
        }
    }
}

fn port_of_reference(client: &mut Value) {
    if has(client, "service") {
        fill(client, "service.port", 443);
    }
}

/// What requests are meant.
fn match_resources(holder: &mut Value, rules: &str) {
    fill(holder, "matchPolicy", "Equivalent");
    for selector in ["namespaceSelector", "objectSelector"] {
        fill(holder, selector, json!({}));
    }
    for list in [rules, "excludeResourceRules"] {
        for rule in each(holder, list) {
            fill(rule, "scope", "*");
        }
    }
}

pub(super) fn admission_policy(policy: &mut Value) {
    fill(policy, "spec.failurePolicy", "Fail");
    if let Some(constraints) = inside(policy, "spec.matchConstraints") {
        match_resources(constraints, "resourceRules");
    }
    object(policy, "status");
}

pub(super) fn admission_binding(binding: &mut Value) {
    object(binding, "spec");
    if let Some(resources) = inside(binding, "spec.matchResources") {
        match_resources(resources, "resourceRules");
    }
}

/// What a definition leaves to its kind: the names of one and of many.
pub(super) fn definition(definition: &mut Value) {
    let kind = text(definition, "spec.names.kind").to_owned();
    fill_blank(definition, "spec.names.singular", kind.to_lowercase());
    if !kind.is_empty() {
        fill_blank(definition, "spec.names.listKind", format!("{kind}List"));
    }
    fill(definition, "spec.conversion", json!({"strategy": "None"}));
    if let Some(client) = inside(definition, "spec.conversion.webhook.clientConfig") {
        port_of_reference(client);
    }
    fill_status(definition);
}

fn fill_status(definition: &mut Value) {
    for field in ["kind", "plural"] {
        fill(definition, &format!("status.acceptedNames.{field}"), "");
    }
    fill(definition, "status.conditions", Value::Null);
    let stored = items(definition, "spec.versions").iter().find(|version| at(version, "storage") == true);
    let stored: Vec<Value> = stored.map(|version| at(version, "name").clone()).into_iter().collect();
    if is_blank(at(definition, "status.storedVersions")) {
        set(definition, "status.storedVersions", if stored.is_empty() { Value::Null } else { stored.into() });
    }
}
