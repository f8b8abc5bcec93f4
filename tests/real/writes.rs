//! The writes of `cluster` against a real API server: that its answers are what the code takes them for.

use std::sync::Arc;
use std::time::Duration;

use driftless::cluster::apply::{ApplyContext, ApplyRequest, apply};
use driftless::cluster::delete::delete;
use driftless::cluster::fence::{Fence, WriteContext};
use driftless::cluster::namespace::ensure_namespace;
use driftless::cluster::path::ResourcePath;
use driftless::engine::effect::{Apply, Delete, ManifestRef, Precondition, Purpose};
use driftless::engine::event::{ApplyOutcome, DeleteOutcome, RequestErrorReason};
use driftless::engine::hash::{Hash, HashKey};
use driftless::engine::ids::{AppKey, Epoch, Gvk, ObjectKey, RepoKey, Revision};
use driftless::engine::live::LiveObject;
use driftless::engine::options::Propagation;
use serde_json::{Value, json};

use crate::support::control_plane::ControlPlane;

pub(super) const TIMEOUT: Duration = Duration::from_secs(20);
pub(super) const EPOCH: Epoch = Epoch(1);
const SYNC: Purpose = Purpose::Sync { previous: None };

struct Open;

impl Fence for Open {
    fn may_start(&self, _: Epoch, _: Duration) -> bool {
        true
    }
}

pub(super) fn context() -> WriteContext {
    WriteContext { fence: Arc::new(Open), timeout: TIMEOUT }
}

/// A namespace of a real cluster, and a client for it.
pub(super) struct Cluster {
    control_plane: &'static ControlPlane,
    pub(super) client: kube::Client,
    pub(super) namespace: String,
}

impl Cluster {
    pub(super) async fn new() -> Self {
        let control_plane = ControlPlane::shared();
        Self {
            control_plane,
            client: control_plane.client("admin").await,
            namespace: control_plane.namespace("writes"),
        }
    }

    pub(super) fn kubectl(&self, arguments: &[&str]) -> String {
        self.control_plane.kubectl(&[&["-n", &self.namespace][..], arguments].concat())
    }

    /// Edits an object as a person would with `kubectl edit`.
    fn edit(&self, object: &str, patch: &Value) {
        self.kubectl(&["patch", object, "--type=json", "--field-manager=kubectl-edit", "-p", &patch.to_string()]);
    }

    fn key(&self, manifest: &Value) -> ObjectKey {
        let gvk = Gvk::from_api_version(text(manifest, "/apiVersion"), text(manifest, "/kind"));
        ObjectKey::new(gvk.group, gvk.kind, self.namespace.as_str(), text(manifest, "/metadata/name"))
    }

    async fn apply(
        &self,
        plural: &str,
        manifest: &Value,
        precondition: Precondition,
        purpose: Purpose,
    ) -> ApplyOutcome {
        self.apply_after(plural, manifest, precondition, purpose, None).await
    }

    async fn apply_after(
        &self,
        plural: &str,
        manifest: &Value,
        precondition: Precondition,
        purpose: Purpose,
        previous: Option<&Value>,
    ) -> ApplyOutcome {
        let key = self.key(manifest);
        let gvk = Gvk::from_api_version(text(manifest, "/apiVersion"), text(manifest, "/kind"));
        let mut manifest = manifest.clone();
        manifest["metadata"]["namespace"] = json!(self.namespace);
        let body = manifest.to_string().into_bytes();
        let manifest = ManifestRef {
            hash: Hash::of(&body),
            app: AppKey::new("argocd", "writes"),
            repo: RepoKey("https://example.org/r".into()),
            source: Arc::default(),
            namespace: self.namespace.as_str().into(),
            project: "default".into(),
            revision: Revision::parse("0123456789abcdef0123456789abcdef01234567").unwrap(),
        };
        let apply_effect =
            Apply { key, version: gvk.version.clone(), manifest, precondition, purpose, epoch: Some(EPOCH) };
        let request = ApplyRequest {
            apply: apply_effect,
            resource: ResourcePath { gvk, plural: plural.into(), namespaced: true },
            manifest: body,
            previous: previous.map(|previous| previous.to_string().into_bytes()),
        };
        let context = ApplyContext { write: context(), hash_key: HashKey([1; 32]), on_warning: Arc::new(|_, _| {}) };
        apply(&self.client, &context, request).await
    }

    async fn create(&self, plural: &str, manifest: &Value) -> LiveObject {
        applied(self.apply(plural, manifest, Precondition::Absent, SYNC).await).0
    }

    /// The object as it is now, by a comparison that conflicts.
    async fn live(&self, plural: &str, manifest: &Value) -> LiveObject {
        match self.apply(plural, manifest, Precondition::Absent, SYNC).await {
            ApplyOutcome::Conflict { live: Some(live) } => *live,
            outcome => panic!("{outcome:?}"),
        }
    }

    /// Heals the object from what it is now.
    async fn heal(&self, plural: &str, manifest: &Value) -> ApplyOutcome {
        let live = self.live(plural, manifest).await;
        let purpose = Purpose::Heal { managed_fields: live.managed_fields.clone() };
        self.apply(plural, manifest, exactly(&live), purpose).await
    }
}

pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap()
}

fn exactly(live: &LiveObject) -> Precondition {
    Precondition::Exactly { uid: live.uid.clone(), resource_version: live.resource_version }
}

fn applied(outcome: ApplyOutcome) -> (LiveObject, Option<String>) {
    match outcome {
        ApplyOutcome::Applied { live, leftover, .. } => (*live, leftover),
        outcome => panic!("{outcome:?}"),
    }
}

fn managers(outcome: &ApplyOutcome) -> Vec<&str> {
    match outcome {
        ApplyOutcome::Applied { blame, .. } => blame.iter().filter_map(|blame| blame.manager.as_deref()).collect(),
        outcome => panic!("{outcome:?}"),
    }
}

fn config_map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preconditions_hold_for_applies_and_deletes() {
    let cluster = Cluster::new().await;
    let manifest = config_map(json!({"x": "1"}));
    let first = cluster.create("configmaps", &manifest).await;
    assert!(first.footprint.is_some() && first.stamp.is_some());
    // Create-only on what exists: the answer shows the object.
    let live = cluster.live("configmaps", &manifest).await;
    assert_eq!((&live.uid, live.resource_version), (&first.uid, first.resource_version));
    // The same again under the right precondition changes nothing.
    let again = applied(cluster.apply("configmaps", &manifest, exactly(&first), SYNC).await).0;
    assert_eq!((again.resource_version, again.footprint), (first.resource_version, first.footprint));

    cluster.kubectl(&["delete", "configmap", "a"]);
    let outcome = cluster.apply("configmaps", &manifest, exactly(&first), SYNC).await;
    assert!(matches!(outcome, ApplyOutcome::Conflict { live: None }), "{outcome:?}");
    let second = cluster.create("configmaps", &manifest).await;
    // Its predecessor's uid and version, and its predecessor's uid alone.
    let outcome = cluster.apply("configmaps", &manifest, exactly(&first), SYNC).await;
    assert!(matches!(&outcome, ApplyOutcome::Conflict { live: Some(live) } if live.uid == second.uid), "{outcome:?}");
    let mixed = Precondition::Exactly { uid: first.uid.clone(), resource_version: second.resource_version };
    let outcome = cluster.apply("configmaps", &manifest, mixed, SYNC).await;
    assert!(matches!(&outcome, ApplyOutcome::Conflict { live: Some(live) } if live.uid == second.uid), "{outcome:?}");

    let resource = ResourcePath { gvk: Gvk::new("", "v1", "ConfigMap"), plural: "configmaps".into(), namespaced: true };
    let remove = async |uid: &Arc<str>, resource_version: u64| {
        let effect = Delete {
            app: AppKey::new("argocd", "writes"),
            key: cluster.key(&manifest),
            version: "v1".into(),
            uid: uid.clone(),
            resource_version,
            propagation: Propagation::Background,
            epoch: EPOCH,
        };
        delete(&cluster.client, &context(), &resource, &effect).await
    };
    assert!(matches!(remove(&first.uid, second.resource_version).await, DeleteOutcome::Conflict));
    assert!(matches!(remove(&second.uid, first.resource_version).await, DeleteOutcome::Conflict));
    assert!(matches!(remove(&second.uid, second.resource_version).await, DeleteOutcome::Accepted));
    assert!(matches!(remove(&second.uid, second.resource_version).await, DeleteOutcome::NotFound));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_told_by_what_they_ask_for() {
    let cluster = Cluster::new().await;
    let mut elsewhere = Cluster::new().await;
    elsewhere.namespace = "does-not-exist".to_owned();
    let secret = |data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data});
    let table = [
        (
            &cluster,
            "configmaps",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "dat": {}}),
            RequestErrorReason::Invalid,
        ),
        (&cluster, "secrets", secret(json!("hunter2")), RequestErrorReason::Invalid),
        (&cluster, "secrets", secret(json!({"p": {"q": "hunter2"}})), RequestErrorReason::Invalid),
        (&cluster, "secrets", secret(json!({"p": "hunter2!"})), RequestErrorReason::Invalid),
        (&cluster, "secrets", secret(json!({"a key": "aHVudGVyMg=="})), RequestErrorReason::Invalid),
        (
            &cluster,
            "widgets",
            json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "a"}}),
            RequestErrorReason::UnknownKind,
        ),
        (
            &cluster,
            "widgets",
            json!({"apiVersion": "apps/v1", "kind": "Widget", "metadata": {"name": "a"}}),
            RequestErrorReason::UnknownKind,
        ),
        (&elsewhere, "configmaps", config_map(json!({})), RequestErrorReason::NamespaceUnavailable),
    ];
    for (cluster, plural, manifest, reason) in table {
        let outcome = cluster.apply(plural, &manifest, Precondition::Absent, SYNC).await;
        let ApplyOutcome::Failed(error) = outcome else { panic!("{manifest}: {outcome:?}") };
        assert_eq!(error.reason, reason, "{manifest}: {error:?}");
        assert!(!error.message.contains("hunter2") && !error.message.contains("aHVudGVyMg"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminating_namespace_is_neither_used_nor_taken_for_created() {
    let cluster = Cluster::new().await;
    let namespace = cluster.namespace.clone();
    ensure_namespace(&cluster.client, &context(), &namespace, EPOCH).await.unwrap();
    let fresh = format!("{namespace}-fresh");
    ensure_namespace(&cluster.client, &context(), &fresh, EPOCH).await.unwrap();
    ensure_namespace(&cluster.client, &context(), &fresh, EPOCH).await.unwrap();

    // Something that stays keeps the namespace terminating.
    cluster.kubectl(&["create", "configmap", "stays"]);
    let finalizer = json!([{"op": "add", "path": "/metadata/finalizers", "value": ["example.org/stays"]}]);
    cluster.edit("configmap/stays", &finalizer);
    cluster.kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
    let refused = ensure_namespace(&cluster.client, &context(), &namespace, EPOCH).await.unwrap_err();
    assert_eq!(refused.reason, RequestErrorReason::NamespaceUnavailable, "{refused:?}");
    let outcome = cluster.apply("configmaps", &config_map(json!({})), Precondition::Absent, SYNC).await;
    let ApplyOutcome::Failed(error) = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.reason, RequestErrorReason::NamespaceUnavailable, "{error:?}");
    cluster.edit("configmap/stays", &json!([{"op": "remove", "path": "/metadata/finalizers"}]));
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]},
    })
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [{"name": "c", "image": "i", "env": [{"name": "OURS", "value": "1"}]}],
                    "volumes": [{"name": "v", "emptyDir": {}}],
                },
            },
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_is_healed_in_one_write_with_blame() {
    let cluster = Cluster::new().await;
    let expected = cluster.create("deployments", &deployment()).await.footprint;
    cluster.edit("deployment/web", &json!([{"op": "replace", "path": "/spec/replicas", "value": 3}]));
    let outcome = cluster.heal("deployments", &deployment()).await;
    assert_eq!(managers(&outcome), ["kubectl-edit"]);
    assert_eq!(applied(outcome).0.footprint, expected);
    // What is as it was applied is settled without a write.
    let outcome = cluster.heal("deployments", &deployment()).await;
    assert!(matches!(outcome, ApplyOutcome::Compared { equal: true, .. }), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_that_an_apply_alone_cannot_undo_are_healed() {
    let cluster = Cluster::new().await;
    let services = cluster.create("services", &service()).await.footprint;
    cluster.edit("service/web", &json!([{"op": "replace", "path": "/spec/ports/0/port", "value": 8081}]));
    let outcome = cluster.heal("services", &service()).await;
    assert_eq!(applied(outcome).0.footprint, services);
    assert_eq!(cluster.kubectl(&["get", "service", "web", "-o", "jsonpath={.spec.ports[*].port}"]), "80");

    let deployments = cluster.create("deployments", &deployment()).await.footprint;
    let template = "/spec/template/spec";
    let edits = [
        json!([{"op": "replace", "path": format!("{template}/containers/0/env/0/name"), "value": "THEIRS"}]),
        json!([
            {"op": "remove", "path": format!("{template}/volumes/0/emptyDir")},
            {"op": "add", "path": format!("{template}/volumes/0/hostPath"), "value": {"path": "/x"}},
        ]),
    ];
    for edit in edits {
        cluster.edit("deployment/web", &edit);
        let outcome = cluster.heal("deployments", &deployment()).await;
        assert_eq!(applied(outcome).0.footprint, deployments, "{edit}");
        let all = cluster.kubectl(&["get", "deployment", "web", "-o", "json"]);
        assert!(!all.contains("THEIRS") && !all.contains("hostPath"), "{all}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_left_git_is_removed_from_client_side_apply_and_reported_from_others() {
    let cluster = Cluster::new().await;
    let (old, new) = (config_map(json!({"x": "1", "y": "2", "z": "3"})), config_map(json!({"x": "1"})));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), old.to_string()).unwrap();
    cluster.kubectl(&["apply", "-f", file.path().to_str().unwrap()]);
    cluster.edit("configmap/a", &json!([{"op": "replace", "path": "/data/z", "value": "4"}]));
    let live = cluster.live("configmaps", &new).await;
    let both = applied(cluster.apply("configmaps", &old, exactly(&live), SYNC).await).0;
    // `z` is ours now and theirs no more; `y` is held by client-side apply as well; `w` is another's that was in Git.
    cluster.edit("configmap/a", &json!([{"op": "add", "path": "/data/w", "value": "5"}]));
    let live = cluster.live("configmaps", &new).await;
    assert_eq!(live.uid, both.uid);
    let mut previous = old.clone();
    previous["data"]["w"] = json!("5");
    let purpose = Purpose::Sync { previous: Some(Hash::of(b"previous")) };
    let outcome = cluster.apply_after("configmaps", &new, exactly(&live), purpose, Some(&previous)).await;
    let (_, leftover) = applied(outcome);
    let leftover = leftover.unwrap();
    assert!(leftover.contains("w") && leftover.contains("kubectl-edit") && !leftover.contains(".y"), "{leftover}");
    assert_eq!(cluster.kubectl(&["get", "configmap", "a", "-o", "jsonpath={.data}"]), r#"{"w":"5","x":"1"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_sees_equal_values_of_another_tool_and_writes_nothing() {
    let cluster = Cluster::new().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), deployment().to_string()).unwrap();
    cluster.kubectl(&["create", "-f", file.path().to_str().unwrap()]);
    let live = cluster.live("deployments", &deployment()).await;
    let mut other = deployment();
    other["spec"]["replicas"] = json!(1);
    for (manifest, expected) in [(deployment(), true), (other, false)] {
        let outcome = cluster.apply("deployments", &manifest, exactly(&live), Purpose::Compare).await;
        let ApplyOutcome::Compared { live: Some(now), equal } = outcome else { panic!("{outcome:?}") };
        assert_eq!((equal, now.resource_version), (expected, live.resource_version));
    }
    let absent = config_map(json!({"x": "1"}));
    let outcome = cluster.apply("configmaps", &absent, Precondition::Absent, Purpose::Compare).await;
    assert!(matches!(outcome, ApplyOutcome::Compared { live: None, equal: false }), "{outcome:?}");
}
