//! Changes that are nobody's business, edits in a row, and edits that are put back by hand.

use serde_json::{Value, json};

use super::manifests::manifest;
use crate::support::agent::Rig;

const HEALS: &str = "{automated: {selfHeal: true}}";
const REPORTS: &str = "{automated: {}}";

/// No replicas, for another controller sets them; an empty map, which others may fill.
const SCALED: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: scaled}
spec:
  selector: {matchLabels: {app: scaled}}
  template:
    metadata: {labels: {app: scaled}}
    spec:
      containers: [{name: web, image: registry.example.org/web:1, resources: {}}]
";

/// What may be done to a synced application of a config map, a deployment, a service and [`SCALED`].
const BENIGN: &[&[&str]] = &[
    &[
        "patch",
        "deployment/web",
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":{"replicas":2,"readyReplicas":1}}"#,
    ],
    &["label", "configmap/web", "team=a"],
    &["label", "--overwrite", "configmap/web", "team=b"],
    &["label", "configmap/web", "team-"],
    &["annotate", "deployment/web", "example.org/seen=now"],
    &["patch", "configmap/web", "--type=merge", "-p", r#"{"data":{"theirs":"1"}}"#],
    &["set", "env", "deployment/web", "THEIRS=1"],
    &["set", "env", "deployment/web", "THEIRS-"],
    &["rollout", "restart", "deployment/web"],
    &["rollout", "pause", "deployment/web"],
    &[
        "patch",
        "service/web",
        "--type=json",
        "-p",
        r#"[{"op":"add","path":"/spec/ports/-","value":{"name":"more","port":81}}]"#,
    ],
    &["patch", "service/web", "--type=merge", "-p", r#"{"spec":{"sessionAffinity":"ClientIP"}}"#],
    // As an autoscaler does.
    &["scale", "deployment/scaled", "--replicas=4"],
    &["scale", "deployment/scaled", "--replicas=7"],
    &["set", "resources", "deployment/scaled", "--limits=cpu=1"],
    // The same values, once more and in another spelling.
    &["set", "image", "deployment/web", "web=registry.example.org/web:1"],
    &["set", "resources", "deployment/web", "--limits=cpu=1,memory=1Gi"],
    &["patch", "configmap/web", "--type=merge", "-p", r#"{"metadata":{"finalizers":["example.org/theirs"]}}"#],
    &["patch", "configmap/web", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#],
];

#[test]
fn benign_changes_heal_nothing_and_are_not_told() {
    let rig = Rig::new("drift-benign");
    let objects = ["configmap", "deployment", "service"].map(|of| manifest(of, "web")).join("---\n");
    let objects = format!("{objects}---{SCALED}---{}", manifest("configmap", "sentinel"));
    let revision = rig.repo.commit(&[("app/objects.yaml", &objects)], "objects");
    let apps = [("heals", HEALS), ("reports", REPORTS)].map(|(app, policy)| {
        let namespace = rig.destination(app);
        rig.application(app, "app", &namespace, policy);
        (app, namespace)
    });
    let agent = rig.agent(&[]);
    for (app, _) in &apps {
        rig.wait_synced(app, revision.as_str());
    }
    rig.proxy.reset();
    for (_, namespace) in &apps {
        for change in BENIGN {
            rig.plane.kubectl(&[&["-n", namespace], *change].concat());
        }
        // The same values applied by another, who then owns them, too.
        let file = tempfile::NamedTempFile::new().unwrap();
        let same = manifest("deployment", "web").replace("1000m", "'1'").replace("1024Mi", "1Gi");
        std::fs::write(file.path(), same).unwrap();
        let file = file.path().to_str().unwrap();
        rig.plane.kubectl(&["-n", namespace, "apply", "--server-side", "--field-manager=other", "-f", file]);
    }
    // An edit on the watch of each kind that came after all of them has been seen: so they have been.
    for (app, namespace) in &apps {
        let last = [
            ("configmap/sentinel", r#"{"data":{"colour":"red"}}"#),
            ("deployment/web", r#"{"spec":{"replicas":9}}"#),
            ("service/web", r#"{"spec":{"selector":{"app":"other"}}}"#),
        ];
        for (target, patch) in last {
            rig.plane.kubectl(&["-n", namespace, "patch", target, "--type=merge", "-p", patch]);
        }
        let told = if *app == "heals" { "reverted: " } else { "kubectl-patch" };
        rig.wait_app(app, "telling of the last edits", |app| {
            drifts(app).iter().filter(|text| text.contains(told)).count() == 3
        });
    }
    assert_eq!(agent.metric("driftless_drift_detected_total"), 6.0);
    assert_eq!(agent.metric("driftless_drift_healed_total"), 3.0);
    // Where drift is only reported, its values are compared once.
    assert!(rig.dry_runs() <= 3, "{}", rig.dry_runs());
    let writes: Vec<_> = rig.object_writes().into_iter().map(|entry| (entry.verb, entry.path)).collect();
    assert_eq!(writes.len(), 3, "{writes:?}");
    let kept = rig.get(&apps[0].1, &["deployment/scaled"]);
    assert_eq!(
        (&kept["spec"]["replicas"], &kept["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"]),
        (&json!(7), &json!("1"))
    );
}

fn drifts(app: &Value) -> Vec<&str> {
    let resources = app["status"]["resources"].as_array().map_or(&[][..], Vec::as_slice);
    resources.iter().filter_map(|resource| resource["drift"].as_str()).collect()
}

#[test]
fn five_edits_of_one_object_in_a_row_are_reverted_at_once() {
    let rig = Rig::new("drift-five");
    let shop = rig.destination("shop");
    let revision = rig.repo.commit(&[("app/a.yaml", &manifest("configmap", "a"))], "a map");
    rig.application("shop", "app", &shop, HEALS);
    let agent = rig.agent(&[]);
    rig.wait_synced("shop", revision.as_str());
    rig.proxy.reset();
    for round in 1..=5 {
        let patch = json!({"data": {"colour": format!("red-{round}")}}).to_string();
        rig.plane.kubectl(&["-n", &shop, "patch", "configmap", "a", "--type=merge", "-p", &patch]);
        rig.wait("the heal", || agent.metric("driftless_drift_healed_total") == f64::from(round));
        assert_eq!(rig.get(&shop, &["configmap", "a"])["data"]["colour"], "blue");
    }
    assert_eq!(rig.object_writes().len(), 5, "{:?}", rig.object_writes());
    assert_eq!(agent.metric("driftless_drift_detected_total"), 5.0);
    assert!(!agent.log().contains("Contested"), "{}", agent.log());
}

#[test]
fn what_is_put_back_by_hand_is_synced_again_without_a_write() {
    let rig = Rig::new("drift-hand");
    let shop = rig.destination("shop");
    let objects = format!("{}---\n{}", manifest("configmap", "web"), manifest("deployment", "web"));
    let revision = rig.repo.commit(&[("app/objects.yaml", &objects)], "objects");
    rig.application("shop", "app", &shop, REPORTS);
    let agent = rig.agent(&[]);
    rig.wait_synced("shop", revision.as_str());
    rig.proxy.reset();
    let edits: [(&[&str], &[&str]); 3] = [
        (&["scale", "deployment/web", "--replicas=5"], &["scale", "deployment/web", "--replicas=2"]),
        (
            &["patch", "configmap/web", "--type=merge", "-p", r#"{"data":{"colour":"red"}}"#],
            &["patch", "configmap/web", "--type=merge", "-p", r#"{"data":{"colour":"blue"}}"#],
        ),
        (&["label", "configmap/web", "tier-"], &["label", "configmap/web", "tier=front"]),
    ];
    for (there, back) in edits {
        rig.plane.kubectl(&[&["-n", shop.as_str()], there].concat());
        rig.wait_app("shop", "out of sync", |app| {
            app["status"]["sync"]["status"] == "OutOfSync" && !drifts(app).is_empty()
        });
        rig.plane.kubectl(&[&["-n", shop.as_str()], back].concat());
        rig.wait_app("shop", "synced", |app| app["status"]["sync"]["status"] == "Synced" && drifts(app).is_empty());
    }
    assert_eq!(rig.object_writes().len(), 0, "{:?}", rig.object_writes());
    // What only has the right values is taken back by the next sync, once.
    let operation = json!({"operation": {"sync": {}}}).to_string();
    for writes in [2, 2] {
        rig.plane.kubectl(&[
            "-n",
            &rig.namespace,
            "patch",
            "applications.argoproj.io/shop",
            "--type=merge",
            "-p",
            &operation,
        ]);
        rig.wait_app("shop", "synced", |app| {
            app.get("operation").is_none() && app["status"]["operationState"]["phase"] == "Succeeded"
        });
        assert_eq!(rig.object_writes().len(), writes, "{:?}", rig.object_writes());
    }
    let metrics = ["driftless_drift_healed_total", "driftless_apply_failures_total"].map(|name| agent.metric(name));
    assert_eq!(metrics, [0.0, 0.0]);
}
