//! Fields that leave Git, and objects that were there before the application.

use serde_json::{Value, json};

use super::manifests::manifest;
use crate::support::agent::Rig;
use crate::support::request::{Entry, Verb};

fn map(data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {data}\n")
}

#[test]
fn fields_that_leave_git_go_unless_another_owns_them() {
    let rig = Rig::new("drift-leftover");
    let shop = rig.destination("shop");
    let all = "{stays: '1', ours: '2', shared: '3', theirs: '4'}";
    let apply = |data: &str, more: &[&str]| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), map(data)).unwrap();
        let arguments = ["-n", &shop, "apply", "-f", file.path().to_str().unwrap()];
        rig.plane.kubectl(&[&arguments[..], more].concat());
    };
    // The others were there before and so hold what we hold, too. In this order: a server-side apply of kubectl takes over
    // what its client-side apply holds.
    apply("{theirs: '4'}", &["--server-side", "--field-manager=theirs"]);
    apply("{shared: '3'}", &[]);
    let first = rig.repo.commit(&[("app/a.yaml", &map(all))], "four keys");
    rig.application("shop", "app", &shop, "{automated: {selfHeal: true}}");
    let agent = rig.agent(&[]);
    rig.wait_synced("shop", first.as_str());

    rig.proxy.reset();
    let second = rig.repo.commit(&[("app/a.yaml", &map("{stays: '1'}"))], "one key");
    rig.refresh("shop");
    let app = rig.wait_synced("shop", second.as_str());
    let left = rig.get(&shop, &["configmap", "a", "--show-managed-fields"]);
    assert_eq!(left["data"], json!({"stays": "1", "theirs": "4"}));
    let managers = left["metadata"]["managedFields"].to_string();
    assert!(!managers.contains("kubectl-client-side-apply"), "{managers}");
    let told = app["status"]["resources"][0]["drift"].as_str().unwrap_or_default();
    assert!(told.contains(".data.theirs") && told.contains("theirs by Apply"), "{told}");
    assert!(!told.contains(".data.shared") && !told.contains(".data.ours"), "{told}");
    let writes: Vec<_> = rig.object_writes().iter().map(|entry| entry.verb).collect();
    assert_eq!(writes, [Verb::Apply, Verb::Patch, Verb::Apply]);
    assert_eq!(agent.metric("driftless_drift_detected_total"), 0.0);
}

/// Objects of three kinds that `kubectl apply` made.
fn objects() -> String {
    ["configmap", "deployment", "service"].map(|of| manifest(of, "web")).join("---\n")
}

fn of<'e>(log: &'e [Entry], path: &str) -> Vec<&'e Entry> {
    log.iter().filter(|entry| entry.path.ends_with(path) && entry.verb != Verb::Watch).collect()
}

fn metadata(entry: &Entry) -> Value {
    serde_json::from_slice::<Value>(entry.body.as_ref().unwrap()).unwrap()["metadata"].take()
}

#[test]
fn objects_that_were_there_before_are_adopted_by_what_was_read_of_them() {
    let rig = Rig::new("drift-adopt");
    let shop = rig.destination("shop");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), objects()).unwrap();
    rig.plane.kubectl(&["-n", &shop, "apply", "-f", file.path().to_str().unwrap()]);
    let kinds = ["configmaps", "deployments", "services"];
    let before = kinds.map(|kind| rig.get(&shop, &[kind, "web"])["metadata"].clone());

    let revision = rig.repo.commit(&[("app/objects.yaml", &objects())], "objects");
    rig.application("shop", "app", &shop, "{automated: {selfHeal: true}}");
    let agent = rig.agent(&[]);
    rig.wait_synced("shop", revision.as_str());
    let log = rig.proxy.log();
    for (kind, before) in kinds.iter().zip(&before) {
        let requests = of(&log, &format!("/{kind}/web"));
        let seen: Vec<_> = requests.iter().map(|entry| (entry.verb, entry.status)).collect();
        assert_eq!(seen, [(Verb::Apply, Some(409)), (Verb::Get, Some(200)), (Verb::Apply, Some(200))], "{kind}");
        assert_eq!(metadata(requests[0])["resourceVersion"], "1");
        let adopting = metadata(requests[2]);
        assert_eq!((&adopting["resourceVersion"], &adopting["uid"]), (&before["resourceVersion"], &before["uid"]));
        let after = rig.get(&shop, &[kind, "web"]);
        assert_eq!(after["metadata"]["uid"], before["uid"]);
        assert!(after["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].is_string(), "{after:#}");
    }
    assert_eq!(agent.metric("driftless_drift_detected_total"), 0.0);
}

#[test]
fn an_application_that_is_synced_by_hand_only_compares_what_was_there_before() {
    let rig = Rig::new("drift-manual");
    let shop = rig.destination("shop");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), objects()).unwrap();
    rig.plane.kubectl(&["-n", &shop, "apply", "-f", file.path().to_str().unwrap()]);
    // Equal objects, one that differs, and one that is missing.
    let wanted = format!("{}---\n{}", objects().replace("port: 80,", "port: 82,"), manifest("configmap", "missing"));
    rig.repo.commit(&[("app/objects.yaml", &wanted)], "objects");
    rig.application("shop", "app", &shop, "{}");
    let agent = rig.agent(&[]);
    let expected = |app: &Value| {
        let status = |kind: &str, name: &str| {
            let resources = app["status"]["resources"].as_array()?;
            let found = resources.iter().find(|resource| resource["kind"] == kind && resource["name"] == name)?;
            found["status"].as_str()
        };
        status("ConfigMap", "web") == Some("Synced")
            && status("Deployment", "web") == Some("Synced")
            && status("Service", "web") == Some("OutOfSync")
            && status("ConfigMap", "missing") == Some("OutOfSync")
            && app["status"]["sync"]["status"] == "OutOfSync"
    };
    rig.wait_app("shop", "compared", expected);
    // A refresh changes nothing about it, and asks nothing more.
    rig.refresh("shop");
    rig.wait_app("shop", "as before", expected);
    let log = rig.proxy.log();
    for kind in ["configmaps", "deployments", "services"] {
        let dry: Vec<_> =
            of(&log, &format!("/{kind}/web")).into_iter().filter(|entry| entry.verb == Verb::DryRun).collect();
        assert_eq!(dry.len(), 1, "{kind}: {dry:?}");
    }
    assert_eq!(rig.dry_runs(), 3);
    assert_eq!(rig.object_writes().len(), 0, "{:?}", rig.object_writes());
    assert_eq!(agent.metric("driftless_applies_total"), 0.0);
}
