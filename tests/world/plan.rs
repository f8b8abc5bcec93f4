//! What Git says, in a form that is easy to compare with a cluster: applications of small objects with one value each.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driftless::render::EntryKind;
use driftless::render::memory::MemoryTree;
use serde_json::{Value, json};

/// Kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    ConfigMap,
    Deployment,
    Secret,
    Service,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::ConfigMap, Self::Deployment, Self::Secret, Self::Service];

    /// Where its objects are.
    pub(crate) const fn collection(self) -> (&'static str, &'static str) {
        match self {
            Self::ConfigMap => ("/api/v1", "configmaps"),
            Self::Deployment => ("/apis/apps/v1", "deployments"),
            Self::Secret => ("/api/v1", "secrets"),
            Self::Service => ("/api/v1", "services"),
        }
    }

    pub(crate) fn path(self, namespace: &str, name: &str) -> String {
        let (root, plural) = self.collection();
        format!("{root}/namespaces/{namespace}/{plural}/{name}")
    }

    /// The object with this value.
    pub(crate) fn manifest(self, name: &str, value: u16) -> Value {
        let mut manifest = self.patch(value);
        let rest = match self {
            Self::ConfigMap => json!({"apiVersion": "v1", "kind": "ConfigMap"}),
            Self::Secret => json!({"apiVersion": "v1", "kind": "Secret"}),
            Self::Service => json!({"apiVersion": "v1", "kind": "Service", "spec": {"selector": {"app": name}}}),
            Self::Deployment => json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "spec": {
                    "selector": {"matchLabels": {"app": name}},
                    "template": {
                        "metadata": {"labels": {"app": name}},
                        "spec": {"containers": [{"name": "main", "image": "registry.example/app:1"}]},
                    },
                },
            }),
        };
        json_patch::merge(&mut manifest, &rest);
        manifest["metadata"] = json!({"name": name});
        manifest
    }

    /// What sets the value, as a merge patch.
    pub(crate) fn patch(self, value: u16) -> Value {
        match self {
            Self::ConfigMap => json!({"data": {"value": value.to_string()}}),
            Self::Deployment => json!({"spec": {"replicas": value}}),
            Self::Secret => json!({"data": {"value": STANDARD.encode(value.to_string())}}),
            Self::Service => json!({"spec": {"ports": [{"name": "main", "port": 1000 + value}]}}),
        }
    }

    /// Whether a live object has the value.
    pub(crate) fn has(self, live: &Value, value: u16) -> bool {
        match self {
            Self::ConfigMap => live["data"]["value"].as_str() == Some(&*value.to_string()),
            Self::Deployment => live["spec"]["replicas"] == value,
            Self::Secret => live["data"]["value"].as_str() == Some(&*STANDARD.encode(value.to_string())),
            Self::Service => {
                let ports = live["spec"]["ports"].as_array().unwrap();
                ports.len() == 1 && ports[0]["port"] == 1000 + value
            }
        }
    }
}

/// An application, and what its folder holds.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) namespace: String,
    pub(crate) policy: Value,
    pub(crate) objects: BTreeMap<(Kind, String), u16>,
    /// The folder has a file that is no YAML.
    pub(crate) is_broken: bool,
    /// The Application was deleted with its objects.
    pub(crate) is_deleted: bool,
}

impl App {
    pub(crate) fn is(&self, what: &str) -> bool {
        self.policy["automated"][what] == true
    }

    pub(crate) fn is_automated(&self) -> bool {
        self.policy.get("automated").is_some()
    }

    pub(crate) fn resource(&self) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {
                "name": self.name,
                "namespace": "argocd",
                "finalizers": ["resources-finalizer.argocd.argoproj.io"],
            },
            "spec": {
                "project": "default",
                "source": {"repoURL": self.url, "path": self.name, "targetRevision": "main"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": self.namespace},
                "syncPolicy": self.policy,
            },
        })
    }

    /// Where the Application is.
    pub(crate) fn path(&self) -> String {
        format!("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{}", self.name)
    }

    fn write(&self, tree: &mut MemoryTree) {
        for ((kind, name), value) in &self.objects {
            let path = format!("{}/{}-{name}.json", self.name, kind.collection().1);
            tree.put(&path, EntryKind::File, kind.manifest(name, *value).to_string());
        }
        if self.is_broken {
            tree.put(&format!("{}/broken.yaml", self.name), EntryKind::File, "a: [b\n");
        }
    }
}

/// The tree of a repository that holds applications.
pub(crate) fn tree<'a>(apps: impl Iterator<Item = &'a App>) -> MemoryTree {
    let mut tree = MemoryTree::default();
    tree.put("README.md", EntryKind::File, "A repository.\n");
    for app in apps {
        app.write(&mut tree);
    }
    tree
}
