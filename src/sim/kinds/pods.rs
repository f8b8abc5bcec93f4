//! Pods and templates of pods: what is filled in.

use serde_json::{Value, json};

use super::value::{at, each, fill, fill_blank, has, inside, is_blank, items, number, object, set, text};

/// Mode of files that volumes are filled with: 0644.
const FILE_MODE: i64 = 0o644;
/// Where a volume's files come from, with the mode that they get.
const FILLED_VOLUMES: [&str; 4] = ["secret", "configMap", "downwardAPI", "projected"];

/// Fills in a template of pods. Its metadata and spec are always written.
pub(super) fn template(holder: &mut Value, path: &str) {
    object(holder, &format!("{path}.metadata"));
    object(holder, &format!("{path}.spec"));
    if let Some(spec) = inside(holder, &format!("{path}.spec")) {
        pod_spec(spec);
    }
}

/// Fills in what pods in templates and pods have in common.
pub(super) fn pod_spec(spec: &mut Value) {
    let account = if is_blank(at(spec, "serviceAccountName")) { "serviceAccount" } else { "serviceAccountName" };
    if let account @ Value::String(_) = at(spec, account).clone() {
        set(spec, "serviceAccountName", account.clone());
        set(spec, "serviceAccount", account);
    }
    fill(spec, "containers", Value::Null);
    fill_blank(spec, "dnsPolicy", "ClusterFirst");
    fill_blank(spec, "restartPolicy", "Always");
    fill(spec, "securityContext", json!({}));
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill_blank(spec, "schedulerName", "default-scheduler");
    each(spec, "volumes").for_each(volume);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        each(spec, list).for_each(container);
    }
}

fn volume(volume: &mut Value) {
    let members = volume.as_object();
    let is_bare = members.is_some_and(|members| members.iter().all(|(name, value)| name == "name" || value.is_null()));
    if is_bare {
        set(volume, "emptyDir", json!({}));
    }
    for source in FILLED_VOLUMES {
        if has(volume, source) {
            fill(volume, &format!("{source}.defaultMode"), FILE_MODE);
        }
    }
    each(volume, "downwardAPI.items").for_each(field_reference);
    for source in each(volume, "projected.sources") {
        each(source, "downwardAPI.items").for_each(field_reference);
        if has(source, "serviceAccountToken") {
            fill(source, "serviceAccountToken.expirationSeconds", 3600);
        }
    }
    if has(volume, "image") {
        let policy = pull_policy(text(volume, "image.reference"));
        fill_blank(volume, "image.pullPolicy", policy);
    }
    if has(volume, "ephemeral.volumeClaimTemplate") {
        fill(volume, "ephemeral.volumeClaimTemplate.metadata", json!({}));
        fill(volume, "ephemeral.volumeClaimTemplate.spec.volumeMode", "Filesystem");
        fill(volume, "ephemeral.volumeClaimTemplate.spec.resources", json!({}));
    }
    volume_source(volume);
}

/// Fills in the kinds of storage that a volume of a pod or a persistent volume may be.
pub(super) fn volume_source(holder: &mut Value) {
    const DEFAULTS: [(&str, &str, &str); 9] = [
        ("hostPath", "type", ""),
        ("iscsi", "iscsiInterface", "default"),
        ("rbd", "pool", "rbd"),
        ("rbd", "user", "admin"),
        ("rbd", "keyring", "/etc/ceph/keyring"),
        ("azureDisk", "cachingMode", "ReadWrite"),
        ("azureDisk", "fsType", "ext4"),
        ("azureDisk", "kind", "Shared"),
        ("scaleIO", "storageMode", "ThinProvisioned"),
    ];
    for (source, field, value) in DEFAULTS {
        if has(holder, source) {
            fill(holder, &format!("{source}.{field}"), value);
        }
    }
    if has(holder, "azureDisk") {
        fill(holder, "azureDisk.readOnly", false);
    }
    if has(holder, "scaleIO") {
        fill_blank(holder, "scaleIO.fsType", "xfs");
    }
}

/// A reference to a field of the pod or to a resource of its containers.
fn field_reference(holder: &mut Value) {
    if has(holder, "fieldRef") {
        fill_blank(holder, "fieldRef.apiVersion", "v1");
    }
    if has(holder, "resourceFieldRef") {
        fill(holder, "resourceFieldRef.divisor", "0");
    }
}

fn container(container: &mut Value) {
    let policy = pull_policy(text(container, "image"));
    fill_blank(container, "imagePullPolicy", policy);
    fill(container, "name", "");
    fill(container, "resources", json!({}));
    fill_blank(container, "terminationMessagePath", "/dev/termination-log");
    fill_blank(container, "terminationMessagePolicy", "File");
    for port in each(container, "ports") {
        fill_blank(port, "protocol", "TCP");
    }
    for variable in each(container, "env") {
        if let Some(source) = inside(variable, "valueFrom") {
            field_reference(source);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = inside(container, name) {
            handler(probe);
            fill_blank(probe, "timeoutSeconds", 1);
            fill_blank(probe, "periodSeconds", 10);
            fill_blank(probe, "successThreshold", 1);
            fill_blank(probe, "failureThreshold", 3);
        }
    }
    for hook in ["lifecycle.postStart", "lifecycle.preStop"] {
        if let Some(hook) = inside(container, hook) {
            handler(hook);
        }
    }
}

fn handler(handler: &mut Value) {
    if has(handler, "httpGet") {
        fill_blank(handler, "httpGet.path", "/");
        fill_blank(handler, "httpGet.scheme", "HTTP");
    }
    if has(handler, "grpc") {
        fill(handler, "grpc.service", "");
    }
}

/// When an image is pulled: a moving tag, every time.
fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, ""), |(name, digest)| (name, digest));
    let (path, last) = name.rsplit_once('/').unwrap_or(("", name));
    let (last, tag) = last.split_once(':').unwrap_or((last, ""));
    let readable = |part: &str| !part.chars().any(|c| c.is_whitespace() || c.is_ascii_uppercase());
    let is_name = !last.is_empty() && readable(last) && (path.is_empty() || !path.contains(char::is_whitespace));
    if is_name && (tag == "latest" || (tag.is_empty() && digest.is_empty())) { "Always" } else { "IfNotPresent" }
}

/// Fills in a pod.
pub(super) fn defaults(pod: &mut Value) {
    object(pod, "spec");
    let Some(spec) = inside(pod, "spec") else { return };
    pod_spec(spec);
    fill(spec, "enableServiceLinks", true);
    let host = at(spec, "hostNetwork") == true;
    for list in ["initContainers", "containers"] {
        for container in each(spec, list) {
            let limits = at(container, "resources.limits").clone();
            for (name, value) in limits.as_object().into_iter().flatten() {
                if let Some(requests) = object(container, "resources.requests") {
                    requests.entry(name.as_str()).or_insert_with(|| value.clone());
                }
            }
            for port in each(container, "ports").filter(|_| host) {
                let number = at(port, "containerPort").clone();
                fill_blank(port, "hostPort", number);
            }
        }
    }
}

/// The priority of a class that every cluster has.
pub(in crate::sim) fn system_priority(class: &str) -> Option<i64> {
    match class {
        "system-node-critical" => Some(2_000_001_000),
        "system-cluster-critical" => Some(2_000_000_000),
        _ => None,
    }
}

/// Sets what admission and the server set in new pods: a priority where no class gave one, tolerations of failing nodes, and
/// the first status.
pub(super) fn prepare_create(pod: &mut Value) {
    let priority = system_priority(text(pod, "spec.priorityClassName")).unwrap_or_default();
    fill(pod, "spec.priority", priority);
    fill(pod, "spec.preemptionPolicy", "PreemptLowerPriority");
    if number(pod, "spec.terminationGracePeriodSeconds") < 0 {
        set(pod, "spec.terminationGracePeriodSeconds", 1);
    }
    tolerate_failing_nodes(pod);
    let mut status = json!({"phase": "Pending", "qosClass": quality(pod)});
    if !items(pod, "spec.schedulingGates").is_empty() {
        let message = "Scheduling is blocked due to non-empty scheduling gates";
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": message,
            "lastProbeTime": null, "lastTransitionTime": at(pod, "metadata.creationTimestamp"),
        });
        set(&mut status, "conditions", json!([condition]));
    }
    set(pod, "status", status);
}

fn tolerate_failing_nodes(pod: &mut Value) {
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = items(pod, "spec.tolerations").iter().any(|toleration| {
            let (its_key, effect) = (text(toleration, "key"), text(toleration, "effect"));
            (its_key.is_empty() || its_key == key) && matches!(effect, "" | "NoExecute")
        });
        if tolerated {
            continue;
        }
        fill(pod, "spec.tolerations", json!([]));
        if let Some(Value::Array(tolerations)) = inside(pod, "spec.tolerations") {
            tolerations.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
            }));
        }
    }
}

/// The class of service: all that is limited is requested as well, something is, or nothing is.
fn quality(pod: &Value) -> &'static str {
    let containers = || items(pod, "spec.containers").iter().chain(items(pod, "spec.initContainers"));
    let counted = ["cpu", "memory"];
    let asks = |container: &Value, list: &str, name: &str| {
        let quantity = at(container, &format!("resources.{list}.{name}"));
        (!is_blank(quantity) && quantity != "0").then(|| quantity.clone())
    };
    let none = containers().all(|container| {
        counted.iter().all(|name| ["limits", "requests"].iter().all(|list| asks(container, list, name).is_none()))
    });
    let guaranteed = containers().all(|container| {
        counted.iter().all(|name| {
            let limit = asks(container, "limits", name);
            limit.is_some() && limit == asks(container, "requests", name)
        })
    });
    match (none, guaranteed) {
        (true, _) => "BestEffort",
        (false, true) => "Guaranteed",
        (false, false) => "Burstable",
    }
}
