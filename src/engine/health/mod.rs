//! Health of objects, by Argo CD's rules and names.
//!
//! The rules are those of Argo CD's `gitops-engine/pkg/health` and of the scripts that it ships for kinds of Kubernetes
//! itself (CronJob, CustomResourceDefinition, PodDisruptionBudget); custom resources, for which Argo CD ships one script
//! a kind, are judged by the conditions that they share. Like Argo CD, health is read from the object
//! alone: a Deployment's Pods don't count.
//!
//! Objects are judged as the API server shows them. A field that is missing or of another type than the kind's schema
//! has it counts as not set.

mod apps;
mod batch;
mod conditions;
mod core;
mod extension;
mod scaling;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ids::Gvk;
use super::redact;

/// Finalizer by which Argo CD keeps a hook until its result is recorded: its deletion is no reason to call it
/// progressing.
const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";

/// Argo CD's health codes, from best to worst: the worst of its objects is an application's health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HealthCode {
    /// All is well.
    #[default]
    Healthy,
    /// Paused on purpose.
    Suspended,
    /// Not there yet, still expected to become healthy.
    Progressing,
    /// Not in the cluster.
    Missing,
    /// Failed.
    Degraded,
    /// It can't be told.
    Unknown,
}

impl HealthCode {
    /// The name that Argo CD writes into statuses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }
}

/// Health of one object. Kinds without a health rule have none at all (`Option<Health>`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The code.
    pub code: HealthCode,
    /// Why, where there is something to say, at most [`redact::MAX_MESSAGE`] bytes; never holds a Secret's value.
    pub message: Option<Box<str>>,
}

impl Health {
    /// A health with a message; an empty message is none.
    fn new(code: HealthCode, message: impl Into<String>) -> Self {
        let message = message.into();
        let message = (!message.is_empty()).then(|| redact::truncate(message).into_boxed_str());
        Self { code, message }
    }

    fn healthy(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Healthy, message)
    }

    fn suspended(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Suspended, message)
    }

    fn progressing(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Progressing, message)
    }

    fn degraded(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Degraded, message)
    }

    fn unknown(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Unknown, message)
    }
}

/// Health of a live object of this kind; `None` if the kind has none, as ConfigMaps, Secrets, roles, accounts,
/// Namespaces and Argo CD's own Applications.
///
/// An object that is being deleted is Progressing, whatever its kind. A kind of Kubernetes that has a rule, in an API
/// version that Argo CD's rule does not know, is Unknown. Never fails: what can't be read counts as not set.
pub fn assess(gvk: &Gvk, object: &Value) -> Option<Health> {
    if is_being_deleted(object) {
        return Some(Health::progressing("Pending deletion"));
    }
    let version = &*gvk.version;
    let (rule, known): (fn(&Value) -> Health, bool) = match (&*gvk.group, &*gvk.kind) {
        ("apps", "Deployment") => (apps::deployment, version == "v1"),
        ("apps", "StatefulSet") => (apps::stateful_set, version == "v1"),
        ("apps", "DaemonSet") => (apps::daemon_set, version == "v1"),
        ("apps", "ReplicaSet") => (apps::replica_set, version == "v1"),
        ("", "Pod") => (core::pod, version == "v1"),
        ("", "PersistentVolumeClaim") => (core::persistent_volume_claim, version == "v1"),
        ("", "Service") => (core::service, version == "v1"),
        ("networking.k8s.io" | "extensions", "Ingress") => (core::ingress, true),
        ("batch", "Job") => (batch::job, version == "v1"),
        ("batch", "CronJob") => (batch::cron_job, true),
        ("argoproj.io", "Workflow") => (batch::workflow, true),
        ("autoscaling", "HorizontalPodAutoscaler") => match version {
            "v1" => (scaling::horizontal_pod_autoscaler_v1, true),
            _ => (scaling::horizontal_pod_autoscaler, matches!(version, "v2" | "v2beta1" | "v2beta2")),
        },
        ("policy", "PodDisruptionBudget") => (scaling::pod_disruption_budget, true),
        ("apiregistration.k8s.io", "APIService") => (extension::api_service, matches!(version, "v1" | "v1beta1")),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => (extension::custom_resource_definition, true),
        // Argo CD took the rule for its own Application back in 1.8: an application of applications is not as sick as
        // the worst of them.
        ("argoproj.io", "Application") => return None,
        (group, _) if is_built_in(group) => return None,
        _ => return conditions::assess(&gvk.kind, object),
    };
    if known { Some(rule(object)) } else { Some(Health::unknown(format!("unsupported {} GVK: {gvk}", gvk.kind))) }
}

/// What one object adds to an application's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectHealth {
    /// Git wants it and it is not in the cluster.
    Absent,
    /// It is in the cluster; `None`: its kind has no health.
    Live(Option<HealthCode>),
}

/// Health of an application with these objects, as Argo CD's `setApplicationHealth` has it: the worst of its live
/// objects. Objects without health are ignored, and so are missing ones (being OutOfSync says it already) unless none is
/// live: then the application is Missing. Without any object it is Healthy. Hooks don't belong in here.
pub fn worst(objects: impl Iterator<Item = ObjectHealth>) -> HealthCode {
    let (mut absent, mut live) = (false, false);
    let mut code = HealthCode::Healthy;
    for object in objects {
        match object {
            ObjectHealth::Absent => absent = true,
            ObjectHealth::Live(health) => {
                live = true;
                code = code.max(health.unwrap_or_default());
            }
        }
    }
    if absent && !live { HealthCode::Missing } else { code }
}

/// Whether a group is served by kube-apiserver itself. Its kinds without a rule have no health, even those with
/// conditions (Namespace, Node, FlowSchema).
fn is_built_in(group: &str) -> bool {
    const BUILT_IN: [&str; 18] = [
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    ];
    // The oldest groups (core, apps, batch, policy, …) have no dot; a CustomResourceDefinition's group must have one.
    !group.contains('.') || BUILT_IN.contains(&group)
}

fn is_being_deleted(object: &Value) -> bool {
    let deleting = object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
    deleting && !list(object, "/metadata/finalizers").any(|finalizer| finalizer == HOOK_FINALIZER)
}

/// The text at a JSON pointer; empty if there is none, as in Go's typed objects.
fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number at a JSON pointer.
fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// The whole number at a JSON pointer; 0 if there is none, as in Go's typed objects.
fn count(object: &Value, pointer: &str) -> i64 {
    number(object, pointer).unwrap_or_default()
}

/// The items of the list at a JSON pointer; none if there is no list.
fn list<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// An annotation's value.
fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(name)?.as_str()
}
