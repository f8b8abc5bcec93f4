//! The writes of `cluster` against a real API server: that its answers are what the code takes them for.

use std::sync::Arc;
use std::time::Duration;

use driftless::cluster::apply::{ApplyContext, ApplyRequest, apply};
use driftless::cluster::clock::Clocks;
use driftless::cluster::delete::delete;
use driftless::cluster::events::Recorder;
use driftless::cluster::fence::{Fence, InFlight, WriteContext};
use driftless::cluster::hash_key::hash_key;
use driftless::cluster::lease::{LeaseHandle, LeaseSettings, election};
use driftless::cluster::namespace::ensure_namespace;
use driftless::cluster::path::ResourcePath;
use driftless::cluster::status::write_application;
use driftless::engine::application::RESOURCES_FINALIZER;
use driftless::engine::effect::{Apply, Delete, ManifestRef, Notice, Precondition, Purpose, WriteApplication};
use driftless::engine::event::{ApplyOutcome, DeleteOutcome, RequestErrorReason};
use driftless::engine::hash::{Hash, HashKey};
use driftless::engine::ids::{AppKey, Epoch, Gvk, ObjectKey, RepoKey, Revision};
use driftless::engine::lease::{LeaseTimes, Role};
use driftless::engine::live::LiveObject;
use driftless::engine::options::Propagation;
use driftless::engine::status::ApplicationStatus;
use driftless::engine::time::Timestamp;
use serde_json::{Value, json};

use crate::support::control_plane::ControlPlane;

const TIMEOUT: Duration = Duration::from_secs(20);
const EPOCH: Epoch = Epoch(1);
const SYNC: Purpose = Purpose::Sync { previous: None };

struct Open;

impl Fence for Open {
    fn may_start(&self, _: Epoch, _: Duration) -> bool {
        true
    }
}

fn context() -> WriteContext {
    WriteContext { fence: Arc::new(Open), timeout: TIMEOUT }
}

/// A namespace of a real cluster, and a client for it.
struct Cluster {
    control_plane: &'static ControlPlane,
    client: kube::Client,
    namespace: String,
}

impl Cluster {
    async fn new() -> Self {
        let control_plane = ControlPlane::shared();
        Self {
            control_plane,
            client: control_plane.client("admin").await,
            namespace: control_plane.namespace("writes"),
        }
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
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

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
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
            propagation: Propagation::Background,
            app: AppKey::new("argocd", "writes"),
            key: cluster.key(&manifest),
            version: "v1".into(),
            uid: uid.clone(),
            resource_version,
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

/// The definition of Applications, cut down to what a write needs.
fn definition(subresources: Value) -> Value {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "applications.argoproj.io"},
        "spec": {
            "group": "argoproj.io", "scope": "Namespaced",
            "names": {"kind": "Application", "plural": "applications", "singular": "application"},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true, "subresources": subresources,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open, "operation": open}}},
            }],
        },
    })
}

fn create(control_plane: &ControlPlane, object: &Value) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), object.to_string()).unwrap();
    control_plane.kubectl(&["apply", "--server-side", "-f", file.path().to_str().unwrap()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_is_written_with_and_without_a_status_subresource() {
    // One of its own: the definition is changed.
    let control_plane = ControlPlane::start("");
    let client = control_plane.client("admin").await;
    for (name, subresource) in [("with", true), ("without", false)] {
        create(&control_plane, &definition(if subresource { json!({"status": {}}) } else { json!({}) }));
        control_plane.kubectl(&["wait", "--for=condition=established", "crd/applications.argoproj.io"]);
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {
                "name": name, "namespace": "default", "finalizers": ["example.org/x", RESOURCES_FINALIZER],
                "annotations": {"argocd.argoproj.io/refresh": "normal"},
            },
            "spec": {}, "operation": {"sync": {}},
        });
        create(&control_plane, &application);
        let get = || -> Value {
            serde_json::from_str(&control_plane.kubectl(&["get", "application", name, "-o", "json"])).unwrap()
        };
        let before = get();
        let resource_version = text(&before, "/metadata/resourceVersion").parse().unwrap();
        let status = ApplicationStatus { source_type: Some("Directory".to_owned()), ..ApplicationStatus::default() };
        let write = WriteApplication {
            app: AppKey::new("default", name),
            request: 1,
            uid: text(&before, "/metadata/uid").to_owned(),
            resource_version,
            status: Some(Box::new(status)),
            clear_operation: true,
            remove_annotation: Some("argocd.argoproj.io/refresh"),
            remove_finalizers: true,
            epoch: EPOCH,
        };
        let written = write_application(&client, &context(), subresource, &write).await.unwrap();
        let after = get();
        assert_eq!(text(&after, "/metadata/resourceVersion"), written.to_string());
        assert_eq!(text(&after, "/status/sourceType"), "Directory");
        assert_eq!(after["metadata"]["finalizers"], json!(["example.org/x"]));
        assert!(after.get("operation").is_none() && after["metadata"].get("annotations").is_none(), "{after}");

        // The same write once more is of an outdated version: 422 of the patch and 409 of the guard alike.
        for clear_operation in [true, false] {
            let late = WriteApplication {
                clear_operation,
                remove_annotation: None,
                remove_finalizers: false,
                ..write.clone()
            };
            let refused = write_application(&client, &context(), subresource, &late).await.unwrap_err();
            assert_eq!(refused.reason, RequestErrorReason::Conflict, "{refused:?}");
        }
        let other = WriteApplication {
            uid: "2c0ffee2-0000-0000-0000-000000000000".to_owned(),
            resource_version: written,
            clear_operation: false,
            remove_annotation: None,
            remove_finalizers: false,
            ..write
        };
        let refused = write_application(&client, &context(), subresource, &other).await.unwrap_err();
        assert_eq!(refused.reason, RequestErrorReason::Conflict, "{refused:?}");

        let (recorder, task) = Recorder::new(client.clone(), "replica-0".to_owned(), TIMEOUT);
        let notice = Notice {
            app: AppKey::new("default", name),
            uid: text(&after, "/metadata/uid").to_owned(),
            warning: true,
            reason: "DriftReverted",
            message: "kubectl-edit changed .spec.replicas".to_owned(),
        };
        recorder.record(notice, Timestamp(1_795_428_000));
        assert_eq!(recorder.dropped(), 0);
        drop(recorder);
        task.await;
        let described = control_plane.kubectl(&["describe", "application", name]);
        assert!(described.contains("DriftReverted") && described.contains("kubectl-edit changed"), "{described}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_at_once_agree_on_the_hash_key() {
    let cluster = Cluster::new().await;
    let ask = |fill: u8| hash_key(&cluster.client, &cluster.namespace, TIMEOUT, move || [fill; 32]);
    let (a, b, c) = tokio::join!(ask(1), ask(2), ask(3));
    let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
    assert!(a == b && b == c);
    assert!(ask(4).await.unwrap() == a);
}

async fn leads(handle: &LeaseHandle) -> Epoch {
    let mut state = handle.state();
    let state = state.wait_for(|state| matches!(state.role, Role::Leader { .. })).await.unwrap();
    match state.role {
        Role::Leader { epoch, .. } => epoch,
        ref role => panic!("{role:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_won_renewed_and_handed_over() {
    let cluster = Cluster::new().await;
    let join = |identity: &str| {
        let settings = LeaseSettings {
            namespace: cluster.namespace.clone(),
            name: "driftless".to_owned(),
            identity: identity.to_owned(),
            times: LeaseTimes::slow(),
            floor: None,
            seed: 1,
        };
        let (handle, task) = election(cluster.client.clone(), settings, Clocks::system(), InFlight::default());
        (handle, tokio::spawn(task))
    };
    let (first, first_task) = join("a");
    let epoch = leads(&first).await;
    let (second, second_task) = join("b");
    let mut standby = second.state();
    standby.wait_for(|state| state.is_known()).await.unwrap();
    assert!(first.fence().may_start(epoch, Duration::from_secs(1)));

    // A renewal changes the state, and what else is in the Lease stays.
    cluster.kubectl(&["label", "lease", "driftless", "team=x"]);
    let mut renewals = first.state();
    for _ in 0..2 {
        renewals.changed().await.unwrap();
    }
    let lease =
        || -> Value { serde_json::from_str(&cluster.kubectl(&["get", "lease", "driftless", "-o", "json"])).unwrap() };
    assert_eq!(lease()["metadata"]["labels"]["team"], "x");

    first.shut_down();
    let next = leads(&second).await;
    assert!(next > epoch);
    assert!(!first.fence().may_start(epoch, Duration::from_secs(1)));
    assert!(second.fence().may_start(next, Duration::from_secs(1)));
    first_task.await.unwrap();
    second.shut_down();
    second_task.await.unwrap();
    assert_eq!(lease()["spec"]["holderIdentity"], "");
}
