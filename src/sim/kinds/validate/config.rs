//! ConfigMaps, Secrets, namespaces, quotas, limits, leases and events.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{
    Errors, IMMUTABLE, NOT_NEGATIVE, duplicate, forbidden, immutable, invalid, invalid_shown, named, required,
};
use crate::sim::apiserver::names;
use crate::sim::apiserver::status::{FieldError, FieldProblem};
use crate::sim::kinds::amount;
use crate::sim::kinds::value::{at, has, items, members, text, texts};

/// Most that a ConfigMap or Secret may hold, in bytes.
const MAX_DATA: usize = 1 << 20;
/// What a field of an immutable object is refused with.
const FROZEN: &str = "field is immutable when `immutable` is set";

fn keys(errors: &mut Errors, object: &Value, field: &str) {
    for (key, _) in members(object, field) {
        named(errors, format!("{field}[{key}]"), key, names::config_key);
    }
}

fn too_large(errors: &mut Errors, field: &str, size: usize) {
    if size > MAX_DATA {
        errors.push(FieldError {
            field: field.to_owned(),
            problem: FieldProblem::TooLong,
            value: String::new(),
            detail: format!("may not be more than {MAX_DATA} bytes"),
        });
    }
}

/// How many bytes a text in base64 stands for.
fn decoded(value: &Value) -> usize {
    STANDARD.decode(value.as_str().unwrap_or_default()).map_or(0, |bytes| bytes.len())
}

pub(in crate::sim::kinds) fn config_map(map: &Value, errors: &mut Errors) {
    for (key, _) in members(map, "data") {
        named(errors, format!("data[{key}]"), key, names::config_key);
        if at(map, "binaryData").get(key).is_some() {
            invalid(errors, format!("data[{key}]"), &key.into(), "duplicate of key present in binaryData");
        }
    }
    keys(errors, map, "binaryData");
    let texts: usize = members(map, "data").map(|(_, value)| value.as_str().unwrap_or_default().len()).sum();
    let bytes: usize = members(map, "binaryData").map(|(_, value)| decoded(value)).sum();
    too_large(errors, "[]", texts + bytes);
}

pub(in crate::sim::kinds) fn update_config_map(new: &Value, old: &Value, errors: &mut Errors) {
    frozen(errors, new, old, &["data", "binaryData"]);
}

/// What is immutable stays so, and as it is.
fn frozen(errors: &mut Errors, new: &Value, old: &Value, fields: &[&str]) {
    if at(old, "immutable") != true {
        return;
    }
    if at(new, "immutable") != true {
        forbidden(errors, "immutable", FROZEN);
    }
    for field in fields.iter().filter(|field| at(new, field) != at(old, field)) {
        forbidden(errors, *field, FROZEN);
    }
}

pub(in crate::sim::kinds) fn secret(secret: &Value, errors: &mut Errors) {
    keys(errors, secret, "data");
    too_large(errors, "data", members(secret, "data").map(|(_, value)| decoded(value)).sum());
    let data = at(secret, "data");
    let needed: &[&str] = match text(secret, "type") {
        "kubernetes.io/service-account-token" => {
            let annotation = "kubernetes.io/service-account.name";
            if at(secret, "metadata.annotations").get(annotation).is_none() {
                required(errors, format!("metadata.annotations[{annotation}]"));
            }
            &[]
        }
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/basic-auth" => {
            if data.get("username").is_none() && data.get("password").is_none() {
                &["username", "password"]
            } else {
                &[]
            }
        }
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        _ => &[],
    };
    for key in needed {
        let field = format!("data[{key}]");
        let Some(value) = data.get(*key) else {
            required(errors, field);
            continue;
        };
        if key.starts_with(".docker") {
            registry_config(errors, field, value);
        }
    }
}

/// Credentials of registries are JSON. What is in them is not shown.
fn registry_config(errors: &mut Errors, field: String, value: &Value) {
    let bytes = STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
    if serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes).is_ok() {
        return;
    }
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let problem = match first {
        None => "unexpected end of JSON input".to_owned(),
        Some(b'{') => "invalid JSON".to_owned(),
        Some(byte) => format!("invalid character '{}' looking for beginning of value", char::from(*byte)),
    };
    invalid(errors, field, &"<secret contents redacted>".into(), problem);
}

pub(in crate::sim::kinds) fn update_secret(new: &Value, old: &Value, errors: &mut Errors) {
    immutable(errors, new, old, "type");
    frozen(errors, new, old, &["data"]);
}

pub(in crate::sim::kinds) fn namespace(namespace: &Value, errors: &mut Errors) {
    for finalizer in texts(namespace, "spec.finalizers") {
        if finalizer != "kubernetes" && !finalizer.contains('/') {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            invalid(errors, "spec.finalizers", &finalizer.into(), detail);
        } else {
            named(errors, "spec.finalizers", finalizer, names::qualified_name);
        }
    }
}

/// Resources that may be counted or summed up for a namespace.
const QUOTED: [&str; 14] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "services.nodeports",
    "services.loadbalancers",
    "requests.hugepages",
    "hugepages",
];
/// Objects that are counted by these names.
const COUNTED: [&str; 8] = [
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "count",
];
const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];

pub(in crate::sim::kinds) fn quota(quota: &Value, errors: &mut Errors) {
    for (name, value) in members(quota, "spec.hard") {
        let field = format!("spec.hard[{name}]");
        let counted = COUNTED.contains(&name);
        if !counted && !QUOTED.contains(&name) && !name.contains('/') && !name.starts_with("requests.hugepages-") {
            let unknown = "must be a standard resource type or fully qualified";
            invalid(errors, field.clone(), &name.into(), unknown);
            invalid(errors, field.clone(), &name.into(), "must be a standard resource for quota");
        }
        let amount = amount::parse(value.as_str().unwrap_or_default()).unwrap_or_default();
        if amount < 0 {
            invalid(errors, field, value, NOT_NEGATIVE);
        } else if counted && amount % 1_000_000_000 != 0 {
            invalid(errors, field, value, "must be an integer");
        }
    }
    if !texts(quota, "spec.scopes").iter().all(|scope| SCOPES.contains(scope)) {
        invalid(errors, "spec.scopes", at(quota, "spec.scopes"), "unsupported scope");
    }
}

pub(in crate::sim::kinds) fn update_quota(new: &Value, old: &Value, errors: &mut Errors) {
    immutable(errors, new, old, "spec.scopes");
}

pub(in crate::sim::kinds) fn limits(range: &Value, errors: &mut Errors) {
    let mut known: Vec<&str> = Vec::new();
    for (index, limit) in items(range, "spec.limits").iter().enumerate() {
        let base = format!("spec.limits[{index}]");
        let kind = text(limit, "type");
        if known.contains(&kind) {
            duplicate(errors, format!("{base}.type"), format!("{kind:?}"));
        }
        known.push(kind);
        for field in ["default", "defaultRequest"] {
            if kind == "Pod" && has(limit, field) {
                forbidden(errors, format!("{base}.{field}"), "may not be specified when `type` is 'Pod'");
            }
        }
        bounds(errors, &base, limit);
    }
}

/// What is least, default and most stand in this order.
fn bounds(errors: &mut Errors, base: &str, limit: &Value) {
    let checks = [
        ("min", "max", "min", "max"),
        ("min", "defaultRequest", "defaultRequest", "default request"),
        ("defaultRequest", "max", "defaultRequest", "max"),
        ("defaultRequest", "default", "defaultRequest", "default"),
        ("min", "default", "default", "default"),
        ("default", "max", "default", "max"),
    ];
    for (lower, upper, field, upper_name) in checks {
        let lower_name = if lower == "defaultRequest" { "default request" } else { lower };
        for (name, low) in members(limit, lower) {
            let Some(high) = at(limit, upper).get(name) else { continue };
            let (least, most) = (low.as_str().unwrap_or_default(), high.as_str().unwrap_or_default());
            if amount::parse(least) > amount::parse(most) {
                let detail = format!("{lower_name} value {least} is greater than {upper_name} value {most}");
                let value = if upper == "defaultRequest" { high } else { low };
                invalid(errors, format!("{base}.{field}[{name}]"), value, detail);
            }
        }
    }
}

pub(in crate::sim::kinds) fn lease(lease: &Value, errors: &mut Errors) {
    let duration = at(lease, "spec.leaseDurationSeconds");
    if duration.as_i64().is_some_and(|seconds| seconds <= 0) {
        invalid(errors, "spec.leaseDurationSeconds", duration, "must be greater than 0");
    }
    super::not_negative(errors, lease, "", "spec.leaseTransitions");
}

pub(in crate::sim::kinds) fn event(event: &Value, errors: &mut Errors) {
    let about = at(event, "involvedObject.namespace");
    let wanted = text(event, "metadata.namespace");
    if about.as_str().is_some_and(|about| about != wanted) {
        invalid(errors, "involvedObject.namespace", about, "does not match event.namespace");
    }
}

/// Classes of priority: those of the system have names of their own.
pub(in crate::sim::kinds) fn priority_class(class: &Value, errors: &mut Errors) {
    const MOST: i64 = 1_000_000_000;
    let name = text(class, "metadata.name");
    if name.starts_with("system-") && !matches!(name, "system-node-critical" | "system-cluster-critical") {
        let detail = "priority class names with 'system-' prefix are reserved for system use only. error:";
        forbidden(errors, "metadata.name", format!("{detail} {name} is not a known system priority class"));
    } else if !name.starts_with("system-") && super::super::value::number(class, "value") > MOST {
        forbidden(errors, "value", format!("maximum allowed value of a user defined priority is {MOST}"));
    }
    super::one_of_if_any(errors, class, "", "preemptionPolicy", &["PreemptLowerPriority", "Never"]);
}

pub(in crate::sim::kinds) fn update_priority_class(new: &Value, old: &Value, errors: &mut Errors) {
    if at(new, "value") != at(old, "value") {
        forbidden(errors, "value", "may not be changed in an update.");
    }
    let policy = at(new, "preemptionPolicy");
    if policy != at(old, "preemptionPolicy") {
        invalid_shown(errors, "preemptionPolicy", policy.to_string(), IMMUTABLE);
    }
}
