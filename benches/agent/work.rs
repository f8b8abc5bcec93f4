//! The work: applications whose objects are Deployments, Services, ConfigMaps and ServiceAccounts, a quarter each.

use serde_json::{Value, json};

/// Folder of the applications in the repository.
const FOLDER: &str = "apps";
/// What `colour` of every ConfigMap is in Git at first.
pub(crate) const COLOUR: &str = "blue";

/// The kinds, in the order in which the objects of an application take turns.
pub(crate) const KINDS: [Kind; 4] = [
    Kind { group: "apps", kind: "Deployment", plural: "deployments", prefix: "web" },
    Kind { group: "", kind: "Service", plural: "services", prefix: "web" },
    Kind { group: "", kind: "ConfigMap", plural: "configmaps", prefix: "settings" },
    Kind { group: "", kind: "ServiceAccount", plural: "serviceaccounts", prefix: "runner" },
];

/// One kind of object.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) group: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    prefix: &'static str,
}

impl Kind {
    /// How many of `objects` objects are of this kind.
    pub(crate) fn share(&self, objects: u32) -> u32 {
        let place = KINDS.iter().position(|kind| kind.kind == self.kind).unwrap() as u32;
        (objects + 3 - place) / 4
    }

    /// Path of the collection in a namespace.
    pub(crate) fn path(&self, namespace: &str) -> String {
        match self.group {
            "" => format!("/api/v1/namespaces/{namespace}/{}", self.plural),
            group => format!("/apis/{group}/v1/namespaces/{namespace}/{}", self.plural),
        }
    }
}

/// The kind and name of object `index` of an application.
pub(crate) fn object(index: u32) -> (&'static Kind, String) {
    let kind = &KINDS[index as usize % KINDS.len()];
    (kind, format!("{}-{:03}", kind.prefix, index as usize / KINDS.len()))
}

/// Name of ConfigMap `index` of an application.
pub(crate) fn config_map(index: u32) -> String {
    object(index * 4 + 2).1
}

/// The manifest of object `index` of an application, without a namespace.
pub(crate) fn manifest(app: &str, index: u32, colour: &str) -> Value {
    let (kind, name) = object(index);
    let labels = json!({"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": app});
    let metadata = json!({"name": name, "labels": labels});
    match kind.kind {
        "Deployment" => deployment(&name, metadata),
        "Service" => json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {
                "selector": {"app.kubernetes.io/name": name},
                "ports": [
                    {"name": "http", "port": 80, "targetPort": "http"},
                    {"name": "metrics", "port": 9090, "targetPort": "metrics"},
                ],
            },
        }),
        "ConfigMap" => json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata,
            "data": {
                "colour": colour,
                "settings.yaml": "log:\n  level: info\n  format: json\ncache:\n  size: 256Mi\n  ttl: 10m\nfeatures:\n- search\n- basket\n",
            },
        }),
        _ => json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": false,
        }),
    }
}

fn deployment(name: &str, metadata: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {
            "replicas": 0,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/name": name}},
                "spec": {"containers": [{
                    "name": "web",
                    "image": "registry.example.com/shop/web:1.4.2",
                    "args": ["--listen=:8080", "--settings=/etc/web/settings.yaml"],
                    "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
                    "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "REGION", "value": "north"}],
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "64Mi"},
                        "limits": {"memory": "128Mi"},
                    },
                }]},
            },
        },
    })
}

/// Path of an object's file in the repository.
pub(crate) fn file(app: &str, index: u32) -> String {
    format!("{FOLDER}/{app}/{index:03}-{}.yaml", object(index).0.kind.to_lowercase())
}

/// All files of an application, with their contents.
pub(crate) fn files(app: &str, objects: u32) -> Vec<(String, String)> {
    (0..objects).map(|index| (file(app, index), yaml(&manifest(app, index, COLOUR)))).collect()
}

/// A manifest as it stands in Git.
pub(crate) fn yaml(manifest: &Value) -> String {
    serde_saphyr::to_string(manifest).unwrap()
}

/// The Application of which everybody has one: automated, with its namespace.
pub(crate) fn application(name: &str, namespace: &str, repository: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "project": "default",
            "source": {"repoURL": repository, "path": format!("{FOLDER}/{name}"), "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": name},
            "syncPolicy": {
                "automated": {"prune": true, "selfHeal": true},
                "syncOptions": ["CreateNamespace=true", "ServerSideApply=true"],
            },
        },
    })
}
