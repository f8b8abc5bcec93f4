//! Beside and after Argo CD: statuses that its controller writes, its definition of Applications, and specs that say what
//! is not supported.

use crate::support::agent::{Rig, install};
use crate::support::apps::{AUTOMATED, MANUAL, condition, config_map, resource};
use crate::support::control_plane::{ControlPlane, GARBAGE_COLLECTION};

#[test]
fn an_application_that_argo_cd_serves_is_left_alone_until_it_is_said() {
    let rig = Rig::new("argo");
    let target = rig.destination("argo");
    let first = rig.repo.commit(&[("app/a.yaml", &config_map("a", "blue"))], "a map");
    rig.application("shop", "app", &target, AUTOMATED);
    rig.application("mine", "app", &rig.destination("mine"), AUTOMATED);
    let status = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: shop, namespace: {}}}\nstatus:\n  \
         sync: {{status: OutOfSync, revision: \"{}\"}}\n  health: {{status: Degraded}}\n  reconciledAt: \
         \"2026-01-01T00:00:00Z\"\n  summary: {{images: [\"example.com/web:1\"]}}\n",
        rig.namespace,
        first.as_str()
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), status).unwrap();
    rig.plane.kubectl(&[
        "apply",
        "--server-side",
        "--field-manager=argocd-application-controller",
        "-f",
        file.path().to_str().unwrap(),
    ]);
    let agent = rig.agent(&[]);
    rig.wait_well("mine", first.as_str());
    rig.wait_two_renewals();
    let untouched = |rig: &Rig| {
        let path = format!("/namespaces/{target}/");
        let writes = rig.proxy.writes();
        assert!(!writes.iter().any(|entry| entry.path.contains(&path)), "{writes:#?}");
        assert!(!writes.iter().any(|entry| entry.resource == "applications" && entry.name == "shop"), "{writes:#?}");
    };
    untouched(&rig);
    // It is said where people look.
    rig.wait("the Event", || {
        let events = rig.get(&rig.namespace, &["events"]).to_string();
        events.contains("LeftAlone") && events.contains("driftless.dev/take-over")
    });
    let seen = agent.api(&format!("/api/v1/applications/{}/shop", rig.namespace)).unwrap();
    assert!(seen.contains("argocd-application-controller"), "{seen}");
    // Neither a commit nor an operation changes that.
    rig.patch_app("shop", r#"{"operation":{"sync":{}}}"#);
    let second = rig.repo.commit(&[("app/a.yaml", &config_map("a", "green"))], "green");
    rig.refresh("mine");
    rig.wait_well("mine", second.as_str());
    rig.wait_two_renewals();
    untouched(&rig);
    assert_eq!(rig.app("shop")["status"]["health"]["status"], "Degraded");

    rig.annotate("shop", "driftless.dev/take-over=true");
    let app = rig.wait_well("shop", second.as_str());
    assert_eq!(app["status"]["health"]["status"], "Healthy");
    assert!(app.get("operation").is_none());
    assert_eq!(rig.get(&target, &["configmap", "a"])["data"]["colour"], "green");
}

#[test]
fn what_is_not_supported_is_an_invalid_spec_and_touches_nothing() {
    let rig = Rig::new("invalid");
    let target = rig.destination("invalid");
    let first = rig.repo.commit(&[("app/a.yaml", &config_map("a", "blue"))], "a map");
    let cases = [
        ("option", r#"{"syncPolicy":{"automated":{},"syncOptions":["Replace=true"]}}"#, "Replace=true"),
        ("unheard", r#"{"syncPolicy":{"automated":{},"syncOptions":["Unheard=true"]}}"#, "Unheard=true"),
        ("retry", r#"{"syncPolicy":{"automated":{},"retry":{"limit":1,"backoff":{"duration":"soon"}}}}"#, "retry"),
        ("sources", r#"{"source":null,"sources":[{"repoURL":"https://example.com/a"}]}"#, "spec.sources"),
        ("nosource", r#"{"source":null}"#, "spec.source is missing"),
        ("helm", r#"{"source":{"helm":{"releaseName":"x"}}}"#, "Helm"),
        ("chart", r#"{"source":{"chart":"web"}}"#, "Helm"),
        ("kustomize", r#"{"source":{"kustomize":{"version":"v5.0.0"}}}"#, "spec.source.kustomize.version"),
        ("plugin", r#"{"source":{"plugin":{"name":"x"}}}"#, "plugin"),
        ("server", r#"{"destination":{"server":"https://other.example.com"}}"#, "another cluster"),
        ("name", r#"{"destination":{"server":null,"name":"other"}}"#, "another cluster"),
        ("ignore", r#"{"ignoreDifferences":[{"kind":"Deployment"}]}"#, "ignoreDifferences"),
        ("url", r#"{"source":{"repoURL":"ftp://example.com/a"}}"#, "repoURL"),
    ];
    for (name, patch, _) in cases {
        rig.application(name, "app", &target, AUTOMATED);
        rig.patch_app(name, &format!(r#"{{"spec":{patch}}}"#));
    }
    let _agent = rig.agent(&[]);
    for (name, _, text) in cases {
        let app = rig.wait_condition(name, "InvalidSpecError", &[text]);
        assert_eq!(app["status"]["sync"]["status"], "Unknown", "{name}");
        assert_eq!(app["status"].get("resources"), None, "{name}");
    }
    rig.wait_two_renewals();
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());

    // One of them is mended.
    rig.patch_app("option", r#"{"spec":{"syncPolicy":{"syncOptions":null}}}"#);
    rig.wait_well("option", first.as_str());
    // A good one that becomes invalid keeps what it has, and is not deleted.
    rig.proxy.reset();
    rig.patch_app("option", r#"{"spec":{"destination":{"server":"https://other.example.com"}}}"#);
    let app = rig.wait_condition("option", "InvalidSpecError", &["another cluster"]);
    assert!(!resource(&app, "ConfigMap", "a").is_null(), "{:#}", app["status"]);
    rig.wait_two_renewals();
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());
}

#[test]
fn the_definition_that_argo_cd_installs_serves_as_well() {
    // One of its own: the definition is shared by all tests.
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start(GARBAGE_COLLECTION)));
    install(plane, include_bytes!("fixtures/argocd-application-crd.yaml"));
    let rig = Rig::on(plane, "argocrd");
    let target = rig.destination("shop");
    let first = rig.repo.commit(&[("app/a.yaml", &config_map("a", "blue"))], "a map");
    rig.application("shop", "app", &target, AUTOMATED);
    let _agent = rig.agent(&[]);
    rig.wait_well("shop", first.as_str());
    assert_eq!(rig.object_writes().len(), 1, "{:#?}", rig.object_writes());
    rig.plane.kubectl(&[
        "-n",
        &target,
        "patch",
        "configmap",
        "a",
        "--type=merge",
        "-p",
        r#"{"data":{"colour":"red"}}"#,
    ]);
    rig.wait("the edit to be reverted", || rig.get(&target, &["configmap", "a"])["data"]["colour"] == "blue");
    // What that definition does not know is dropped by the API server, and nothing is written again because of it.
    rig.wait_synced("shop", first.as_str());
    rig.wait_two_renewals();
    rig.proxy.reset();
    rig.wait_two_renewals();
    let writes = rig.proxy.writes();
    assert!(writes.iter().all(|entry| entry.resource == "leases" || entry.resource == "events"), "{writes:#?}");

    rig.patch_app("shop", r#"{"spec":{"syncPolicy":null}}"#);
    let second = rig.repo.commit(&[("app/a.yaml", &config_map("a", "green"))], "green");
    rig.refresh("shop");
    rig.wait_app("shop", "behind", |app| app["status"]["sync"]["status"] == "OutOfSync");
    rig.patch_app("shop", r#"{"operation":{"sync":{}}}"#);
    let app = rig.wait_well("shop", second.as_str());
    assert!(app.get("operation").is_none());
    rig.application("broken", "nowhere", &target, MANUAL);
    let app = rig.wait_condition("broken", "ComparisonError", &["`nowhere`"]);
    assert_eq!(condition(&app, "InvalidSpecError"), "");
    let finalizer = r#"{"metadata":{"finalizers":["resources-finalizer.argocd.argoproj.io"]}}"#;
    rig.patch_app("shop", finalizer);
    rig.plane.kubectl(&["-n", &rig.namespace, "delete", "applications.argoproj.io", "shop", "--wait=false"]);
    rig.wait("it to be gone with its object", || {
        rig.app("shop").is_null() && rig.get(&target, &["configmap", "a"]).is_null()
    });
}
