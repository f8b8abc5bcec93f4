//! What a real API server (Kubernetes 1.37.2) made of managedFields under every kind of edit, recorded by
//! `fixtures/record.py`: the footprint must move exactly when somebody changed what is ours, come back with the next apply,
//! and say who did it.

use std::collections::BTreeSet;

use driftless::engine::blame::blame;
use driftless::engine::decode::{DecodeContext, decode};
use driftless::engine::escalation::removal;
use driftless::engine::hash::HashKey;
use driftless::engine::ids::Gvk;
use driftless::engine::leftover::{csa_migration, describe, leftovers};
use driftless::engine::live::LiveObject;
use driftless::engine::ownership::{covers, lost};
use serde_json::{Value, json};

use Outcome::{Healed, Refused, Same};

/// What an edit is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// No drift; to apply again changes nothing.
    Same,
    /// Drift, and an apply brings everything of ours back.
    Healed,
    /// Drift, and the API server refuses the apply.
    Refused,
}

/// The case; the outcome; the fields lost; who holds them now (`-`: nobody). `{pod}` stands for `.spec.template.spec`,
/// `{web}` for its container of that name.
type Row = (&'static str, Outcome, &'static [&'static str], &'static [&'static str]);

const DEPLOYMENT: &[Row] = &[
    ("json patch of replicas", Healed, &[".spec.replicas"], &["kubectl-patch"]),
    ("merge patch of replicas", Healed, &[".spec.replicas"], &["kubectl-patch"]),
    ("scale subresource", Healed, &[".spec.replicas"], &["kubectl (scale)"]),
    ("scale by autoscaler", Healed, &[".spec.replicas"], &["kube-controller-manager (scale)"]),
    ("put with managed fields", Healed, &[".spec.replicas"], &["kubectl-replace"]),
    ("put without managed fields", Healed, &[".spec.replicas"], &["kubectl-replace"]),
    ("set image", Healed, &["{web}.image"], &["kubectl-set"]),
    ("forced other applier", Healed, &["{web}.image"], &["other-applier"]),
    (
        "managed fields stripped",
        Healed,
        &[
            r#".metadata.annotations["argocd.argoproj.io/tracking-id"]"#,
            r#".metadata.annotations["driftless.dev/manifest"]"#,
            ".metadata.annotations.team",
            ".metadata.labels.app",
            r#".metadata.labels["driftless.dev/bucket"]"#,
            r#".metadata.labels["driftless.dev/instance"]"#,
            ".spec.replicas",
            ".spec.selector.matchLabels.app",
            ".spec.strategy.type",
            ".spec.template.metadata.labels.app",
            "{pod}.containers",
            "{pod}.nodeSelector.disk",
            "{pod}.tolerations",
            "{pod}.volumes",
        ],
        &["-"],
    ),
    ("edit under our manager name", Healed, &[".spec.replicas"], &["driftless"]),
    ("edit and back", Healed, &[".spec.replicas"], &["kubectl-edit"]),
    ("edit and back by two", Healed, &[".spec.replicas"], &["two"]),
    ("env value", Healed, &[r#"{web}.env[name="LEVEL"].value"#], &["kubectl-patch"]),
    ("env var removed", Healed, &[r#"{web}.env[name="LEVEL"]"#], &["-"]),
    ("env var renamed", Healed, &[r#"{web}.env[name="LEVEL"]"#], &["-"]),
    ("env value to valueFrom", Refused, &[r#"{web}.env[name="LEVEL"].value"#], &["-"]),
    ("all env removed", Healed, &["{web}.env"], &["-"]),
    (
        "secret reference",
        Healed,
        &[
            r#"{web}.env[name="TOKEN"].valueFrom.secretKeyRef.key"#,
            r#"{web}.env[name="TOKEN"].valueFrom.secretKeyRef.name"#,
        ],
        &["kubectl-patch"],
    ),
    ("args edited", Healed, &["{web}.args"], &["kubectl-patch"]),
    ("args appended", Healed, &["{web}.args"], &["kubectl-patch"]),
    ("args removed", Healed, &["{web}.args"], &["-"]),
    ("node selector edited", Healed, &["{pod}.nodeSelector.disk"], &["kubectl-patch"]),
    ("node selector added to", Healed, &["{pod}.nodeSelector.disk"], &["kubectl-patch"]),
    ("toleration added", Healed, &["{pod}.tolerations"], &["kubectl-patch"]),
    ("limit edited", Healed, &["{web}.resources.limits.cpu"], &["kubectl-patch"]),
    ("probe path edited", Healed, &["{web}.livenessProbe.httpGet.path"], &["kubectl-patch"]),
    ("probe swapped", Refused, &["{web}.livenessProbe.httpGet.path", "{web}.livenessProbe.httpGet.port"], &["-"]),
    ("container port edited", Refused, &["{web}.ports[containerPort=80]"], &["-"]),
    ("container port protocol", Refused, &["{web}.ports[containerPort=80]"], &["kubectl-patch"]),
    ("container port renamed", Healed, &["{web}.ports[containerPort=80].name"], &["kubectl-patch"]),
    ("container renamed", Healed, &[r#"{pod}.containers[name="sidecar"]"#], &["-"]),
    ("container removed", Healed, &[r#"{pod}.containers[name="sidecar"]"#], &["-"]),
    ("mount path edited", Healed, &[r#"{web}.volumeMounts[mountPath="/cache"]"#], &["-"]),
    ("emptyDir to hostPath", Refused, &[r#"{pod}.volumes[name="cache"].emptyDir"#], &["-"]),
    (
        "volume renamed",
        Healed,
        &[r#"{web}.volumeMounts[mountPath="/cache"].name"#, r#"{pod}.volumes[name="cache"]"#],
        &["kubectl-patch", "-"],
    ),
    ("strategy swapped", Refused, &[".spec.strategy.type"], &["kubectl-patch"]),
    ("label value", Healed, &[".metadata.labels.app"], &["kubectl-label"]),
    ("label removed", Healed, &[".metadata.labels.app"], &["-"]),
    ("annotation value", Healed, &[".metadata.annotations.team"], &["kubectl-annotate"]),
    ("annotation removed", Healed, &[".metadata.annotations.team"], &["-"]),
    ("stamp edited", Healed, &[r#".metadata.annotations["driftless.dev/manifest"]"#], &["kubectl-annotate"]),
    ("tracking id edited", Healed, &[r#".metadata.annotations["argocd.argoproj.io/tracking-id"]"#], &["kubectl-patch"]),
    ("containers reordered", Healed, &[], &[]),
    ("label swapped", Healed, &[".metadata.labels.app"], &["-"]),
    ("env var exchanged", Healed, &[r#"{web}.env[name="LEVEL"]"#], &["-"]),
    ("two managers", Healed, &[".spec.replicas", "{web}.image"], &["one", "two"]),
    ("applied again", Same, &[], &[]),
    ("same value by put", Same, &[], &[]),
    ("same value by patch", Same, &[], &[]),
    ("same value by other applier", Same, &[], &[]),
    ("quantity rewritten", Same, &[], &[]),
    ("status written", Same, &[], &[]),
    ("foreign annotation", Same, &[], &[]),
    ("foreign label", Same, &[], &[]),
    ("foreign finalizer", Same, &[], &[]),
    ("foreign env var", Same, &[], &[]),
    ("foreign container", Same, &[], &[]),
    ("foreign container port", Same, &[], &[]),
    ("foreign volume first", Same, &[], &[]),
    ("foreign field", Same, &[], &[]),
    ("empty resources filled", Same, &[], &[]),
    ("emptyDir filled", Same, &[], &[]),
    ("rollout restart", Same, &[], &[]),
];

const CONFIGMAP: &[Row] = &[
    ("value edited", Healed, &[".data.a"], &["kubectl-edit"]),
    ("value emptied", Healed, &[".data.a"], &["kubectl-edit"]),
    ("key removed", Healed, &[".data.a"], &["-"]),
    ("all data removed", Healed, &[".data.a", ".data.b", ".data.empty"], &["-"]),
    ("key renamed", Healed, &[".data.b"], &["-"]),
    ("binary edited", Healed, &[".binaryData.blob"], &["kubectl-edit"]),
    ("edit and back", Healed, &[".data.a"], &["kubectl-edit"]),
    ("put of another body", Healed, &[".data.a", ".data.b", ".data.empty"], &["-"]),
    ("other applier takes a key", Healed, &[".data.a"], &["other-applier"]),
    (
        "our entry dropped",
        Healed,
        &[
            ".binaryData.blob",
            ".data.a",
            ".data.b",
            ".data.empty",
            r#".metadata.annotations["argocd.argoproj.io/tracking-id"]"#,
            r#".metadata.annotations["driftless.dev/manifest"]"#,
            ".metadata.annotations.team",
            ".metadata.labels.app",
            r#".metadata.labels["driftless.dev/bucket"]"#,
            r#".metadata.labels["driftless.dev/instance"]"#,
        ],
        &["-"],
    ),
    ("foreign key", Same, &[], &[]),
    ("foreign owner reference", Same, &[], &[]),
    ("made immutable", Same, &[], &[]),
    ("shared by other applier", Same, &[], &[]),
];

const SECRET: &[Row] = &[
    ("value edited", Healed, &[".data.password"], &["kubectl-edit"]),
    ("value by stringData", Healed, &[".data.password"], &["kubectl-edit"]),
    ("key removed", Healed, &[".data.user"], &["-"]),
    ("edit and back", Healed, &[".data.password"], &["kubectl-edit"]),
    ("foreign key", Same, &[], &[]),
    ("annotation value", Healed, &[".metadata.annotations.team"], &["kubectl-annotate"]),
];

const SERVICE: &[Row] = &[
    ("port edited", Refused, &[".spec.ports[port=80]"], &["-"]),
    ("port protocol edited", Refused, &[".spec.ports[port=80]"], &["kubectl-patch"]),
    ("port and target edited", Refused, &[".spec.ports[port=80]"], &["-"]),
    ("port renamed", Healed, &[".spec.ports[port=80].name"], &["kubectl-patch"]),
    ("target port edited", Healed, &[".spec.ports[port=80].targetPort"], &["kubectl-patch"]),
    ("target port to text", Healed, &[".spec.ports[port=80].targetPort"], &["kubectl-patch"]),
    ("port removed", Healed, &[".spec.ports[port=9090]"], &["-"]),
    ("selector edited", Healed, &[".spec.selector.app"], &["kubectl-patch"]),
    ("selector added to", Healed, &[".spec.selector.app"], &["kubectl-patch"]),
    ("foreign port", Same, &[], &[]),
    ("foreign type", Same, &[], &[]),
    ("foreign node port", Same, &[], &[]),
    ("port edited on a node port", Refused, &[".spec.ports[port=80]"], &["-"]),
    ("only port left edited", Refused, &[".spec.ports[port=80]", ".spec.ports[port=9090]"], &["-"]),
];

const CLUSTERROLE: &[Row] = &[
    ("verb added", Healed, &[".rules"], &["kubectl-patch"]),
    ("rule added", Healed, &[".rules"], &["kubectl-patch"]),
    ("rules removed", Healed, &[".rules"], &["kubectl-patch"]),
    ("label removed", Healed, &[".metadata.labels.app"], &["-"]),
    ("foreign label", Same, &[], &[]),
];

const WIDGET: &[Row] = &[
    ("scalar edited", Healed, &[".spec.size"], &["kubectl-patch"]),
    ("float edited", Healed, &[".spec.ratio"], &["kubectl-patch"]),
    ("set item removed", Healed, &[".spec.tags[…]"], &["-"]),
    ("set item replaced", Healed, &[".spec.tags[…]"], &["-"]),
    ("set item added", Same, &[], &[]),
    ("list item edited", Healed, &[r#".spec.parts[id="b"].text"#], &["kubectl-patch"]),
    ("list key edited", Healed, &[r#".spec.parts[id="b"]"#], &["-"]),
    ("list item removed", Healed, &[r#".spec.parts[id="b"]"#], &["-"]),
    ("list item added", Same, &[], &[]),
    ("list reordered", Healed, &[], &[]),
    ("atomic list edited", Healed, &[".spec.steps"], &["kubectl-patch"]),
    ("atomic map edited", Healed, &[".spec.box.h", ".spec.box.w"], &["kubectl-patch"]),
    ("number key edited", Healed, &[".spec.pairs[k=1,on=true]"], &["-"]),
    ("empty map filled", Same, &[], &[]),
    (
        "spec removed",
        Healed,
        &[
            ".spec.box.h",
            ".spec.box.w",
            ".spec.none",
            ".spec.pairs",
            ".spec.parts",
            ".spec.ratio",
            ".spec.size",
            ".spec.steps",
            ".spec.tags",
        ],
        &["-"],
    ),
    ("status written", Same, &[], &[]),
];

const LOOSE: &[Row] = &[
    ("deep scalar edited", Healed, &[".spec.deep.more.n"], &["kubectl-patch"]),
    ("list edited", Healed, &[".spec.list"], &["kubectl-patch"]),
    ("foreign field", Same, &[], &[]),
    ("key removed", Healed, &[".spec.deep.text"], &["-"]),
];

struct Recording {
    gvk: Gvk,
    manifest: Value,
    before: Value,
    cases: Vec<Value>,
}

fn recording(file: &str) -> Recording {
    let text = match file {
        "deployment" => include_str!("fixtures/deployment.json"),
        "configmap" => include_str!("fixtures/configmap.json"),
        "secret" => include_str!("fixtures/secret.json"),
        "service" => include_str!("fixtures/service.json"),
        "clusterrole" => include_str!("fixtures/clusterrole.json"),
        "widget" => include_str!("fixtures/widget.json"),
        "loose" => include_str!("fixtures/loose.json"),
        other => panic!("no recording of {other}"),
    };
    let mut all: Value = serde_json::from_str(text).unwrap();
    let manifest = all["manifest"].take();
    Recording {
        gvk: Gvk::from_api_version(manifest["apiVersion"].as_str().unwrap(), manifest["kind"].as_str().unwrap()),
        before: all["before"].take(),
        cases: all["cases"].as_array().unwrap().clone(),
        manifest,
    }
}

impl Recording {
    fn decode(&self, object: &Value) -> LiveObject {
        let context = DecodeContext { hash_key: &HashKey([3; 32]), gvk: &self.gvk };
        decode(object.to_string().as_bytes(), &context).unwrap()
    }

    fn case(&self, title: &Value) -> &Value {
        self.cases.iter().find(|case| case["case"] == *title).unwrap_or_else(|| panic!("no case {title}"))
    }
}

fn managed_fields(object: &Value) -> String {
    object["metadata"]["managedFields"].to_string()
}

fn check(file: &str, rows: &[Row]) {
    let recording = recording(file);
    let titles: Vec<_> = recording.cases.iter().map(|case| case["case"].as_str().unwrap()).collect();
    assert_eq!(titles, rows.iter().map(|row| row.0).collect::<Vec<_>>(), "{file}: every case has its row");
    let expected = recording.decode(&recording.before);
    assert!(expected.footprint.is_some());
    assert!(covers(&recording.manifest, &managed_fields(&recording.before)), "{file}: an apply covers its manifest");

    for (title, outcome, lost_paths, holders) in rows {
        let case = recording.case(&json!(title));
        let text = managed_fields(&case["after"]);
        let live = recording.decode(&case["after"]);
        assert_eq!(live.footprint != expected.footprint, *outcome != Same, "{file}: {title}: footprint");
        assert_eq!(case["code"] == 422, *outcome == Refused, "{file}: {title}: answer to the apply");
        assert_eq!(!case["healed"].is_null(), *outcome == Healed, "{file}: {title}: change by the apply");

        let full = |path: &&str| {
            path.replace("{web}", r#"{pod}.containers[name="web"]"#).replace("{pod}", ".spec.template.spec")
        };
        let lost_paths: Vec<_> = lost_paths.iter().map(full).collect();
        let found: Vec<_> = lost(&recording.manifest, &text).iter().map(ToString::to_string).collect();
        assert_eq!(found, lost_paths, "{file}: {title}: lost");
        assert_eq!(covers(&recording.manifest, &text), lost_paths.is_empty(), "{file}: {title}: covered");

        let blames = blame(&recording.manifest, &text);
        let names: Vec<_> = blames.iter().map(|blame| blame.manager.as_deref().unwrap_or("-")).collect();
        assert_eq!(names, *holders, "{file}: {title}: holders");
        let blamed: BTreeSet<_> = blames.iter().flat_map(|blame| &blame.paths).collect();
        let bounded: BTreeSet<_> = lost_paths.iter().take(8).collect();
        assert_eq!(blamed, bounded, "{file}: {title}: blamed paths");

        if *outcome == Healed {
            let healed = recording.decode(&case["healed"]);
            assert_eq!(healed.footprint, expected.footprint, "{file}: {title}: the apply brings the footprint back");
            assert!(covers(&recording.manifest, &managed_fields(&case["healed"])), "{file}: {title}: covered again");
        }
    }
}

#[test]
fn deployments() {
    check("deployment", DEPLOYMENT);
}

#[test]
fn config_maps() {
    check("configmap", CONFIGMAP);
}

#[test]
fn secrets() {
    check("secret", SECRET);
}

#[test]
fn services() {
    check("service", SERVICE);
}

#[test]
fn cluster_roles() {
    check("clusterrole", CLUSTERROLE);
}

#[test]
fn custom_resources_with_a_schema() {
    check("widget", WIDGET);
}

#[test]
fn custom_resources_without_a_schema() {
    check("loose", LOOSE);
}

#[test]
fn footprints_do_not_depend_on_the_order_of_the_text() {
    for file in ["deployment", "secret", "widget"] {
        let recording = recording(file);
        let context = DecodeContext { hash_key: &HashKey([3; 32]), gvk: &recording.gvk };
        let reversed = decode(reversed(&recording.before).as_bytes(), &context).unwrap();
        assert_eq!(reversed.footprint, recording.decode(&recording.before).footprint, "{file}");
    }
}

/// The JSON text of a value with the members of every map from last to first.
fn reversed(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let members: Vec<_> =
                map.iter().rev().map(|(name, value)| format!("{}: {}", json!(name), reversed(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(reversed).collect::<Vec<_>>().join(" ,")),
        scalar => scalar.to_string(),
    }
}

/// What the API server answers to an apply after the patch was recorded with the patch that is expected here.
#[test]
fn edits_that_an_apply_cannot_undo_are_cleared_away() {
    let escalations: Value = serde_json::from_str(include_str!("fixtures/escalation.json")).unwrap();
    let escalations = escalations["cases"].as_array().unwrap();
    for file in ["deployment", "configmap", "secret", "service", "clusterrole", "widget", "loose"] {
        let recording = recording(file);
        let expected = recording.decode(&recording.before).footprint;
        for case in &recording.cases {
            let object = if case["healed"].is_null() { &case["after"] } else { &case["healed"] };
            let found = removal(&recording.manifest, &managed_fields(&case["after"]), object);
            let escalation = escalations.iter().find(|line| line["file"] == file && line["case"] == case["case"]);
            let (found, escalation) = match (found, escalation) {
                (None, None) => {
                    assert_ne!(case["code"], 422, "{file}: {}: a refused apply must be helped", case["case"]);
                    continue;
                }
                (found, escalation) => (found.unwrap(), escalation.unwrap()),
            };
            let patch = found.patch.as_array().unwrap();
            assert_eq!(patch[0], json!({"op": "test", "path": "/metadata/uid", "value": object["metadata"]["uid"]}));
            let version = json!({"op": "replace", "path": "/metadata/resourceVersion", "value": object["metadata"]["resourceVersion"]});
            assert_eq!(patch[1], version);
            assert_eq!(json!(patch[2..]), escalation["patch"], "{file}: {}", case["case"]);
            let by = found
                .by
                .iter()
                .map(|blame| format!("{}: {}", blame.manager.as_deref().unwrap_or("-"), blame.paths.join(", ")));
            assert_eq!(json!(by.collect::<Vec<_>>()), escalation["by"], "{file}: {}", case["case"]);
            let healed = recording.decode(&escalation["healed"]);
            assert_eq!(healed.footprint, expected, "{file}: {}: healed", case["case"]);
            let again = removal(&recording.manifest, &managed_fields(&escalation["healed"]), &escalation["healed"]);
            assert_eq!(again, None, "{file}: {}: nothing more to remove", case["case"]);
        }
    }
    assert_eq!(escalations.len(), 17);
}

#[test]
fn what_client_side_tools_keep_is_taken_over() {
    let recording: Value = serde_json::from_str(include_str!("fixtures/leftover.json")).unwrap();
    let expected: [(&str, Option<&str>, bool); 5] = [
        ("nobody else", None, false),
        ("kubectl apply", Some(".data.b (held by kubectl-client-side-apply by Update)"), true),
        ("kubectl create", Some(".data.b (held by kubectl-create by Update)"), true),
        ("another controller", Some(".data.b (held by some-controller by Update)"), false),
        (
            "kubectl apply and a controller",
            Some(".data.b (held by some-controller by Apply, kubectl-client-side-apply by Update)"),
            false,
        ),
    ];
    for (case, (title, leftover, migrates)) in recording["cases"].as_array().unwrap().iter().zip(expected) {
        assert_eq!(case["case"], title);
        let found = leftovers(&recording["old"], &recording["new"], &case["answer"]);
        let text = leftover.map(|text| format!("no longer in Git but kept on the object: {text}"));
        assert_eq!(describe(&found), text, "{title}");
        let patch = csa_migration(&case["answer"], &found);
        assert_eq!(patch.is_some(), migrates, "{title}");
        let Some(patch) = patch else { continue };
        let entries = patch[2]["value"].as_array().unwrap();
        assert_eq!(entries.len(), 1, "{title}: the tool's entry goes");
        assert_eq!(entries[0]["manager"], "driftless");
        assert_eq!(entries[0]["fieldsV1"]["f:data"]["f:b"], json!({}), "{title}: and its fields are ours");
    }
}
