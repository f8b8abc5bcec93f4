//! What the server warns of in objects that it takes.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::value::{at, has, items, members, number, text};

/// What is said of every request to a resource that goes away some day.
pub fn of_resource(group: &str, version: &str, plural: &str) -> Option<&'static str> {
    match (group, version, plural) {
        ("", "v1", "endpoints") => Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
        ("", "v1", "componentstatuses") => Some("v1 ComponentStatus is deprecated in v1.19+"),
        _ => None,
    }
}

/// What is said of an object of a resource, by its qualified name; `old` is the one before.
pub fn of_object(resource: &str, new: &Value, old: Option<&Value>) -> Vec<String> {
    if resource == "secrets" {
        return certificate(new).into_iter().collect();
    }
    let generation = |object: &Value| number(object, "metadata.generation");
    // A change of labels or of the status is none of what pods are made of.
    if resource != "pods" && old.is_some_and(|old| generation(old) == generation(new)) {
        return Vec::new();
    }
    let template = match resource {
        "pods" => "",
        "replicationcontrollers"
        | "deployments.apps"
        | "statefulsets.apps"
        | "daemonsets.apps"
        | "replicasets.apps"
        | "jobs.batch" => "spec.template",
        "cronjobs.batch" => "spec.jobTemplate.spec.template",
        "podtemplates" => "template",
        _ => return Vec::new(),
    };
    let (prefix, inside) = match template {
        "" => (String::new(), new),
        path => (format!("{path}."), at(new, path)),
    };
    let mut warnings = Vec::new();
    annotations(inside, &prefix, &mut warnings);
    repeated(inside, &prefix, &mut warnings);
    let containers = containers(inside, &prefix);
    for (path, container) in &containers {
        variables(container, path, &mut warnings);
    }
    ports(&containers, &mut warnings);
    port_names(&containers, &mut warnings);
    if number(inside, "spec.terminationGracePeriodSeconds") < 0 {
        let detail = "must be >= 0; negative values are invalid and will be treated as 1";
        warnings.push(format!("{prefix}spec.terminationGracePeriodSeconds: {detail}"));
    }
    warnings
}

/// A certificate or key that is none.
fn certificate(secret: &Value) -> Option<String> {
    if text(secret, "type") != "kubernetes.io/tls" {
        return None;
    }
    let is_pem = |name: &str| {
        let bytes = STANDARD.decode(at(secret, "data").get(name)?.as_str()?).ok()?;
        String::from_utf8_lossy(&bytes).contains("-----BEGIN ").then_some(())
    };
    let found = [("tls.crt", "certificate"), ("tls.key", "key")].into_iter().find(|(name, _)| is_pem(name).is_none());
    found.map(|(_, what)| format!("tls: failed to find any PEM data in {what} input"))
}

/// Annotations that nobody reads any more.
fn annotations(pod: &Value, prefix: &str, warnings: &mut Vec<String>) {
    for (name, successor) in [
        ("scheduler.alpha.kubernetes.io/critical-pod", r#"v1.16+; use the "priorityClassName" field instead"#),
        ("security.alpha.kubernetes.io/sysctls", r#"v1.11+; use the "sysctls" field instead"#),
        ("security.alpha.kubernetes.io/unsafe-sysctls", r#"v1.11+; use the "sysctls" field instead"#),
    ] {
        if members(pod, "metadata.annotations").any(|(known, _)| known == name) {
            warnings.push(format!("{prefix}metadata.annotations[{name}]: non-functional in {successor}"));
        }
    }
}

/// Host aliases and pull secrets that are there twice or say nothing.
fn repeated(pod: &Value, prefix: &str, warnings: &mut Vec<String>) {
    for (list, key) in [("hostAliases", "ip"), ("imagePullSecrets", "name")] {
        let of = items(pod, &format!("spec.{list}"));
        for (index, item) in of.iter().enumerate() {
            let value = text(item, key);
            if of.iter().take(index).any(|earlier| text(earlier, key) == value) {
                warnings.push(format!("{prefix}spec.{list}[{index}].{key}: duplicate {key} {value:?}"));
            }
        }
    }
    for (index, secret) in items(pod, "spec.imagePullSecrets").iter().enumerate() {
        if text(secret, "name").is_empty() {
            warnings.push(format!("{prefix}spec.imagePullSecrets[{index}].name: invalid empty name \"\""));
        }
    }
}

/// All containers of a pod with their paths, in the order in which the server visits them.
fn containers<'p>(pod: &'p Value, prefix: &str) -> Vec<(String, &'p Value)> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let found = lists.into_iter().flat_map(|list| {
        let of = items(pod, &format!("spec.{list}")).iter().enumerate();
        of.map(move |(index, container)| (format!("{prefix}spec.{list}[{index}]"), container))
    });
    found.collect()
}

/// Variables that make another one of the same name invisible.
fn variables(container: &Value, path: &str, warnings: &mut Vec<String>) {
    let variables = items(container, "env");
    for (index, variable) in variables.iter().enumerate() {
        let name = text(variable, "name");
        if !variables.iter().take(index).any(|earlier| text(earlier, "name") == name) {
            continue;
        }
        let (reference, value) = (format!("$({name})"), text(variable, "value"));
        if has(variable, "valueFrom") || value == reference || !value.contains(&reference) {
            let detail = "which may be dropped when using apply";
            warnings.push(format!("{path}.env[{index}]: hides previous definition of {name:?}, {detail}"));
        }
    }
}

/// Ports that are there twice.
fn ports(containers: &[(String, &Value)], warnings: &mut Vec<String>) {
    let mut known: BTreeMap<(i64, &str), Vec<(String, &Value)>> = BTreeMap::new();
    for (path, container) in containers {
        for (index, port) in items(container, "ports").iter().enumerate() {
            let here = format!("{path}.ports[{index}]");
            let others = known.entry((number(port, "containerPort"), text(port, "protocol"))).or_default();
            for (there, other) in &*others {
                let of = |port: &Value| (text(port, "hostIP").to_owned(), number(port, "hostPort"));
                let ((ip, host), (other_ip, other_host)) = (of(port), of(other));
                let how = if (&ip, host) == (&other_ip, other_host) {
                    "duplicate"
                } else if host == 0 || other_host == 0 {
                    "overlapping"
                } else if host == other_host && ip.is_empty() != other_ip.is_empty() {
                    "dangerously ambiguous"
                } else {
                    continue;
                };
                warnings.push(format!("{here}: {how} port definition with {there}"));
            }
            others.push((here, port));
        }
    }
}

/// Names of ports that are there twice.
fn port_names(containers: &[(String, &Value)], warnings: &mut Vec<String>) {
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    for (path, container) in containers {
        for (index, port) in items(container, "ports").iter().enumerate() {
            let (name, here) = (text(port, "name"), format!("{path}.ports[{index}]"));
            match known.get(name) {
                _ if name.is_empty() => {}
                Some(first) => {
                    let detail = format!("services and probes that select ports by name will use {first}");
                    warnings.push(format!("{here}: duplicate port name {name:?} with {first}, {detail}"));
                }
                None => drop(known.insert(name, here)),
            }
        }
    }
}
