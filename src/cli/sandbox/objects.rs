//! What the sandbox puts into its API server itself: namespaces, the definition of Applications, and the Applications that
//! bring the rest.

use std::path::Path;

use serde_json::{Value, json};

use super::load::Load;
use crate::cluster::crd::application_crd;

/// Namespace of the agents and their Lease.
pub(super) const AGENTS: &str = "driftless";
/// Namespace of the Applications.
pub(super) const APPLICATIONS: &str = "argocd";
/// Where the Applications are.
pub(super) const APPLICATIONS_PATH: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
/// Where the agents' Lease is.
pub(super) const LEASES_PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/driftless/leases";
/// Applications that are made by hand; each but the first brings two more from `clusters/`.
const ROOTS: [(&str, &str); 4] = [
    ("infrastructure", "infrastructure"),
    ("dev-cluster", "clusters/dev-cluster"),
    ("staging-cluster", "clusters/staging-cluster"),
    ("prod-cluster", "clusters/prod-cluster"),
];
/// Applications that each cluster brings.
const PER_CLUSTER: usize = 2;

/// Everything for the agents, in the order in which it is to be made, with the path of each.
pub(super) fn for_agents(repository: &Path, load: &Load) -> Vec<(String, Value)> {
    let mut objects: Vec<(String, Value)> = [AGENTS, APPLICATIONS].map(namespace).into();
    let definition = application_crd();
    let name = definition.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    objects.push((format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"), definition));
    let roots = ROOTS.into_iter().map(|(name, path)| application(repository, name, path, APPLICATIONS));
    objects.extend(roots);
    objects.extend(load.apps().map(|app| application(repository, &app.name, &app.path(), &app.name)));
    objects
}

/// How many Applications there will be in a repository as the sandbox makes it.
pub(super) fn applications(load: &Load) -> usize {
    ROOTS.len() + PER_CLUSTER * (ROOTS.len() - 1) + load.apps().count()
}

/// A namespace, with its path.
pub(super) fn namespace(name: &str) -> (String, Value) {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    (format!("/api/v1/namespaces/{name}"), object)
}

/// An Application that is synced by itself, with its path.
fn application(repository: &Path, name: &str, path: &str, namespace: &str) -> (String, Value) {
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": APPLICATIONS},
        "spec": {
            "project": "default",
            "source": {"repoURL": repository, "targetRevision": "main", "path": path},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
            "syncPolicy": {
                "automated": {"prune": true, "selfHeal": true},
                "syncOptions": ["CreateNamespace=true"],
            },
        },
    });
    (format!("{APPLICATIONS_PATH}/{name}"), object)
}
