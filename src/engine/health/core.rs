//! The core group, and Ingress, which waits for an address as a Service does.

use serde_json::Value;

use super::conditions::{find, is_true};
use super::{Health, HealthCode, annotation, list, text};

/// Annotation by which a Pod with a finite restart policy is judged as one that runs on.
const IGNORE_RESTART_POLICY: &str = "argocd.argoproj.io/ignore-restart-policy";

/// `health_pod.go`.
pub(super) fn pod(object: &Value) -> Health {
    let restart_policy = text(object, "/spec/restartPolicy");
    // Only where the kubelet restarts for ever: a hook's Pod that can't pull its image may still run later, when its
    // sync must not have failed already.
    if restart_policy == "Always" {
        let mut failing =
            list(object, "/status/containerStatuses").filter(|container| is_failing(container)).peekable();
        if failing.peek().is_some() {
            let messages: Vec<_> = failing.map(|container| text(container, "/state/waiting/message")).collect();
            return Health::degraded(messages.join(", "));
        }
    }
    let message = text(object, "/status/message");
    match text(object, "/status/phase") {
        "Pending" => Health::progressing(message),
        "Succeeded" => Health::healthy(message),
        "Failed" if message.is_empty() => Health::degraded(failure_of_containers(object)),
        "Failed" => Health::degraded(message),
        "Running" if restart_policy == "Always" || annotation(object, IGNORE_RESTART_POLICY).is_some() => {
            Health::new(readiness(object), message)
        }
        "Running" if matches!(restart_policy, "OnFailure" | "Never") => Health::progressing(message),
        _ => Health::unknown(message),
    }
}

/// Whether a container waits because it can't start: `ErrImagePull`, `CreateContainerError`, `CrashLoopBackOff`, ….
fn is_failing(container: &Value) -> bool {
    let reason = text(container, "/state/waiting/reason");
    reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff")
}

/// Ready is Healthy; not ready after a container had ended is Degraded.
fn readiness(object: &Value) -> HealthCode {
    if find(object, "Ready").is_some_and(|ready| is_true(&ready)) {
        HealthCode::Healthy
    } else if list(object, "/status/containerStatuses")
        .any(|container| container.pointer("/lastState/terminated").is_some())
    {
        HealthCode::Degraded
    } else {
        HealthCode::Progressing
    }
}

/// Why the first container that says so ended badly; empty if none does.
fn failure_of_containers(object: &Value) -> String {
    let containers = list(object, "/status/initContainerStatuses").chain(list(object, "/status/containerStatuses"));
    containers.filter_map(failure_of_container).next().unwrap_or_default()
}

fn failure_of_container(container: &Value) -> Option<String> {
    let terminated = container.pointer("/state/terminated")?;
    let message = text(terminated, "/message");
    if !message.is_empty() {
        return Some(message.to_owned());
    }
    if text(terminated, "/reason") == "OOMKilled" {
        return Some("OOMKilled".to_owned());
    }
    let exit_code = super::count(terminated, "/exitCode");
    let name = text(container, "/name");
    (exit_code != 0).then(|| format!("container {name:?} failed with exit code {exit_code}"))
}

/// `health_pvc.go`.
pub(super) fn persistent_volume_claim(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Bound" => Health::healthy(""),
        "Pending" => Health::progressing(""),
        "Lost" => Health::degraded(""),
        _ => Health::unknown(""),
    }
}

/// `health_service.go`: only a load balancer has something to wait for.
pub(super) fn service(object: &Value) -> Health {
    if text(object, "/spec/type") == "LoadBalancer" { ingress(object) } else { Health::healthy("") }
}

/// `health_ingress.go`.
pub(super) fn ingress(object: &Value) -> Health {
    let assigned = list(object, "/status/loadBalancer/ingress").next().is_some();
    if assigned { Health::healthy("") } else { Health::progressing("") }
}
