//! ConfigMaps, Secrets, namespaces, nodes, quotas, limits and roles: what is filled in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::value::{at, each, fill, fill_blank, has, inside, is_blank, keep, members, object, set, take, text};

/// The group of roles and of users.
const RBAC: &str = "rbac.authorization.k8s.io";

/// Texts become data. What can't be base64 is left as it is.
pub(super) fn secret(secret: &mut Value) {
    fill_blank(secret, "type", "Opaque");
    let texts = take(secret, "stringData");
    if let Some(data) = (!is_blank(&texts)).then(|| object(secret, "data")).flatten() {
        for (key, value) in texts.as_object().into_iter().flatten() {
            data.insert(key.clone(), STANDARD.encode(value.as_str().unwrap_or_default()).into());
        }
    }
}

/// Every namespace is labelled with its name.
pub(super) fn namespace(namespace: &mut Value) {
    let name = text(namespace, "metadata.name").to_owned();
    if let Some(labels) = (!name.is_empty()).then(|| object(namespace, "metadata.labels")).flatten() {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.into());
    }
    object(namespace, "spec");
    fill_blank(namespace, "status.phase", "Active");
}

pub(super) fn create_namespace(new: &mut Value) {
    namespace(new);
    set(new, "status", json!({"phase": "Active"}));
    fill(new, "spec.finalizers", json!([]));
    if let Some(Value::Array(finalizers)) = inside(new, "spec.finalizers")
        && !finalizers.iter().any(|finalizer| finalizer == "kubernetes")
    {
        finalizers.push("kubernetes".into());
    }
}

pub(super) fn update_namespace(new: &mut Value, old: &Value) {
    keep(new, old, "spec.finalizers");
}

pub(super) fn node(node: &mut Value) {
    object(node, "spec");
    fill(node, "status.daemonEndpoints.kubeletEndpoint.Port", 0);
    const FACTS: [&str; 10] = [
        "architecture",
        "bootID",
        "containerRuntimeVersion",
        "kernelVersion",
        "kubeProxyVersion",
        "kubeletVersion",
        "machineID",
        "operatingSystem",
        "osImage",
        "systemUUID",
    ];
    for fact in FACTS {
        fill(node, &format!("status.nodeInfo.{fact}"), "");
    }
    if has(node, "status.capacity") {
        let capacity = at(node, "status.capacity").clone();
        fill(node, "status.allocatable", capacity);
    }
}

/// A new node is not ready until its kubelet says so.
pub(super) fn create_node(new: &mut Value) {
    node(new);
    fill(new, "spec.taints", json!([]));
    if let Some(Value::Array(taints)) = inside(new, "spec.taints") {
        let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
        if !taints.contains(&taint) {
            taints.push(taint);
        }
    }
}

pub(super) fn quota(quota: &mut Value) {
    object(quota, "spec");
    object(quota, "status");
}

pub(super) fn limits(range: &mut Value) {
    object(range, "spec");
    fill_blank(range, "spec.limits", Value::Null);
    for limit in each(range, "spec.limits") {
        if text(limit, "type") != "Container" {
            continue;
        }
        for (to, from) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
            let given: Vec<(String, Value)> =
                members(limit, from).map(|(name, value)| (name.to_owned(), value.clone())).collect();
            for (name, value) in given {
                if let Some(list) = object(limit, to) {
                    list.entry(name).or_insert(value);
                }
            }
        }
    }
}

pub(super) fn role(role: &mut Value) {
    fill(role, "rules", Value::Null);
}

pub(super) fn binding(binding: &mut Value) {
    fill_blank(binding, "roleRef.apiGroup", RBAC);
    for field in ["kind", "name"] {
        fill(binding, &format!("roleRef.{field}"), "");
    }
    for subject in each(binding, "subjects") {
        if matches!(text(subject, "kind"), "User" | "Group") {
            fill_blank(subject, "apiGroup", RBAC);
        }
    }
}

/// Events of the older form; the newer one has nothing to fill in.
pub(super) fn event(event: &mut Value) {
    if text(event, "apiVersion").starts_with("events.k8s.io/") {
        return;
    }
    for field in ["involvedObject", "source"] {
        object(event, field);
    }
    for field in ["eventTime", "firstTimestamp", "lastTimestamp"] {
        fill(event, field, Value::Null);
    }
    for field in ["reportingComponent", "reportingInstance"] {
        fill(event, field, "");
    }
}
