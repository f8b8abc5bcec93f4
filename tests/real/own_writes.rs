//! What the agent writes for itself, against a real API server: Applications, Events, the hash key, the Lease.

use std::time::Duration;

use driftless::cluster::clock::Clocks;
use driftless::cluster::events::Recorder;
use driftless::cluster::fence::{Fence, InFlight};
use driftless::cluster::hash_key::hash_key;
use driftless::cluster::lease::{LeaseHandle, LeaseSettings, election};
use driftless::cluster::status::write_application;
use driftless::engine::application::RESOURCES_FINALIZER;
use driftless::engine::effect::{Notice, WriteApplication};
use driftless::engine::event::RequestErrorReason;
use driftless::engine::ids::{AppKey, Epoch};
use driftless::engine::lease::{LeaseTimes, Role};
use driftless::engine::status::ApplicationStatus;
use driftless::engine::time::Timestamp;
use serde_json::{Value, json};

use super::writes::{Cluster, EPOCH, TIMEOUT, context, text};
use crate::support::control_plane::ControlPlane;

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

/// An Application of a real cluster, with everything on it that a write takes away.
struct Application<'c> {
    control_plane: &'c ControlPlane,
    name: &'c str,
}

impl<'c> Application<'c> {
    fn create(control_plane: &'c ControlPlane, name: &'c str) -> Self {
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {
                "name": name, "namespace": "default", "finalizers": ["example.org/x", RESOURCES_FINALIZER],
                "annotations": {"argocd.argoproj.io/refresh": "normal"},
            },
            "spec": {}, "operation": {"sync": {}},
        });
        create(control_plane, &application);
        Self { control_plane, name }
    }

    fn get(&self) -> Value {
        serde_json::from_str(&self.control_plane.kubectl(&["get", "application", self.name, "-o", "json"])).unwrap()
    }

    /// A write of everything, of the version that is there now.
    fn write(&self) -> WriteApplication {
        let now = self.get();
        let status = ApplicationStatus { source_type: Some("Directory".to_owned()), ..ApplicationStatus::default() };
        WriteApplication {
            app: AppKey::new("default", self.name),
            request: 1,
            uid: text(&now, "/metadata/uid").to_owned(),
            resource_version: text(&now, "/metadata/resourceVersion").parse().unwrap(),
            status: Some(Box::new(status)),
            clear_operation: true,
            remove_annotation: Some("argocd.argoproj.io/refresh"),
            remove_finalizers: true,
            reread: false,
            epoch: EPOCH,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_is_written_with_and_without_a_status_subresource() {
    // One of its own: the definition is changed.
    let control_plane = ControlPlane::start("");
    let client = control_plane.client("admin").await;
    for (name, subresource) in [("with", true), ("without", false)] {
        create(&control_plane, &definition(if subresource { json!({"status": {}}) } else { json!({}) }));
        control_plane.kubectl(&["wait", "--for=condition=established", "crd/applications.argoproj.io"]);
        let application = Application::create(&control_plane, name);
        let write = application.write();
        let written = write_application(&client, &context(), subresource, &write).await.unwrap();
        let after = application.get();
        assert_eq!(text(&after, "/metadata/resourceVersion"), written.to_string());
        assert_eq!(text(&after, "/status/sourceType"), "Directory");
        assert_eq!(after["metadata"]["finalizers"], json!(["example.org/x"]));
        assert!(after.get("operation").is_none() && after["metadata"].get("annotations").is_none(), "{after}");

        // Of an outdated version, where the patch fits and where it does not, and of another object of that name.
        let late = WriteApplication { remove_annotation: None, remove_finalizers: false, ..write };
        let other = "2c0ffee2-0000-0000-0000-000000000000".to_owned();
        let refused = [
            late.clone(),
            WriteApplication { clear_operation: false, ..late.clone() },
            WriteApplication { clear_operation: false, uid: other, resource_version: written, ..late },
        ];
        for write in refused {
            let refused = write_application(&client, &context(), subresource, &write).await.unwrap_err();
            assert_eq!(refused.reason, RequestErrorReason::Conflict, "{refused:?}");
        }
        assert_event_is_described(&client, &application).await;
    }
}

async fn assert_event_is_described(client: &kube::Client, application: &Application<'_>) {
    let (recorder, task) = Recorder::new(client.clone(), "replica-0".to_owned(), TIMEOUT);
    let notice = Notice {
        app: AppKey::new("default", application.name),
        uid: text(&application.get(), "/metadata/uid").to_owned(),
        warning: true,
        reason: "DriftReverted",
        message: "kubectl-edit changed .spec.replicas".to_owned(),
    };
    recorder.record(notice, Timestamp(1_795_428_000));
    drop(recorder);
    task.await;
    let described = application.control_plane.kubectl(&["describe", "application", application.name]);
    assert!(described.contains("DriftReverted") && described.contains("kubectl-edit changed"), "{described}");
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
