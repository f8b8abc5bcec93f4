use super::*;
use serde_json::json;

const INSTALLATION: &str = "0123456789abcdef";
const KEY: HashKey = HashKey([7; 32]);

fn served(gvk: &Gvk) -> Option<Scope> {
    match (&*gvk.group, &*gvk.version, &*gvk.kind) {
        ("", "v1", "Namespace") | ("rbac.authorization.k8s.io", "v1", "ClusterRole") => Some(Scope::Cluster),
        ("apiextensions.k8s.io", "v1", "CustomResourceDefinition") => Some(Scope::Cluster),
        ("", "v1", "ConfigMap" | "Secret") | ("apps", "v1", "Deployment") => Some(Scope::Namespaced),
        _ => None,
    }
}

fn manifests(values: &[Value]) -> Vec<Manifest> {
    let origin = |index: usize| Origin { path: format!("{index}.yaml").into(), document: 1, line: 1 };
    values.iter().enumerate().map(|(index, value)| Manifest { value: value.clone(), origin: origin(index) }).collect()
}

fn in_namespace(namespace: &str, values: &[Value]) -> Result<Desired, RenderFailure> {
    let app = AppKey::new("argocd", "web");
    desire(
        manifests(values),
        &DesireContext {
            app: &app,
            instance_name: "web",
            installation: INSTALLATION,
            namespace,
            scopes: &served,
            hash_key: &KEY,
        },
    )
}

fn desired(values: &[Value]) -> Desired {
    in_namespace("shop", values).unwrap()
}

fn object(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})
}

fn with(mut value: Value, pointer: &str, key: &str, part: Value) -> Value {
    value.pointer_mut(pointer).unwrap()[key] = part;
    value
}

#[test]
fn objects_are_marked_canonical_and_hashed() {
    let desired = desired(&[with(object("v1", "ConfigMap", "a"), "", "data", json!({"z": "1", "b": "2"}))]);
    let body = String::from_utf8(desired.bodies[0].clone()).unwrap();
    let bucket = crate::engine::tracking::bucket(&AppKey::new("argocd", "web"));
    assert_eq!(
        body,
        format!(
            r#"{{"apiVersion":"v1","data":{{"b":"2","z":"1"}},"kind":"ConfigMap","metadata":{{"annotations":{{"argocd.argoproj.io/tracking-id":"web:/ConfigMap:shop/a"}},"labels":{{"driftless.dev/bucket":"{bucket}","driftless.dev/instance":"{INSTALLATION}"}},"name":"a","namespace":"shop"}}}}"#
        )
    );
    let object = &desired.set.objects[0];
    assert_eq!(object.key, ObjectKey::new("", "ConfigMap", "shop", "a"));
    assert_eq!((&*object.version, object.stage, object.no_prune), ("v1", Stage::Base, false));
    assert_eq!(object.hash, Hash::of(body.as_bytes()));
}

#[test]
fn namespaces_are_settled_by_scope() {
    let role = |name| object("rbac.authorization.k8s.io/v1", "ClusterRole", name);
    let map = |namespace: &str| with(object("v1", "ConfigMap", "a"), "/metadata", "namespace", json!(namespace));
    let cases = [
        ("shop", object("v1", "ConfigMap", "a"), "/ConfigMap:shop/a"),
        ("shop", map("other"), "/ConfigMap:other/a"),
        ("", map("other"), "/ConfigMap:other/a"),
        ("shop", map(""), "/ConfigMap:shop/a"),
        ("shop", role("a"), "rbac.authorization.k8s.io/ClusterRole:/a"),
        ("shop", with(role("a"), "/metadata", "namespace", json!("other")), "rbac.authorization.k8s.io/ClusterRole:/a"),
    ];
    for (namespace, value, expected) in cases {
        let desired = in_namespace(namespace, &[value]).unwrap();
        let key = &desired.set.objects[0].key;
        assert_eq!(key.to_string(), expected);
        let body: Value = serde_json::from_slice(&desired.bodies[0]).unwrap();
        let written = body.pointer("/metadata/namespace").and_then(Value::as_str);
        assert_eq!(written.unwrap_or_default(), &*key.namespace);
        let tracking = body["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].as_str().unwrap();
        assert_eq!(TrackingId::parse(tracking).unwrap().object, *key);
    }
    for (namespace, value) in [("", object("v1", "ConfigMap", "a")), ("shop", map("a/b")), ("shop", map(".."))] {
        let failure = in_namespace(namespace, &[value]).unwrap_err();
        assert_eq!(failure.reason, RenderFailureReason::Content);
        assert!(failure.message.starts_with("0.yaml:1 (document 1): ConfigMap a: "), "{}", failure.message);
    }
}

#[test]
fn the_hash_does_not_depend_on_what_the_server_writes() {
    let plain = object("apps/v1", "Deployment", "a");
    let mut exported = with(plain.clone(), "", "status", json!({"replicas": 1}));
    exported["metadata"] = json!({
        "name": "a", "namespace": "shop", "uid": "x", "resourceVersion": "7", "generation": 2, "selfLink": "/",
        "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{}],
        "annotations": {STAMP_ANNOTATION: "00000000000000000000000000000000"},
    });
    assert_eq!(desired(&[plain]), desired(&[exported]));
}

#[test]
fn secrets_are_folded_and_hashed_with_the_key() {
    let secret = |field: &str, data: Value| with(object("v1", "Secret", "s"), "", field, data);
    let text = desired(&[secret("stringData", json!({"password": "hunter2"}))]);
    let data = desired(&[secret("data", json!({"password": "aHVudGVyMg=="}))]);
    assert_eq!(text, data);
    assert_eq!(text.set.objects[0].hash, Hash::keyed(&KEY, &text.bodies[0]));
    assert!(!format!("{text:?}").contains("aHVudGVyMg"));
    let raw = manifests(&[secret("stringData", json!({"password": "hunter2"}))]);
    assert_eq!(format!("{raw:?}"), "[Manifest(Secret s in 0.yaml:1 (document 1))]");
    let failure = in_namespace("shop", &[secret("stringData", json!({"pin": 90210}))]).unwrap_err();
    assert!(failure.message.contains("stringData[\"pin\"]") && !failure.message.contains("90210"), "{failure:?}");
    // A kind of the same name in another group is no Secret.
    let other = Gvk::new("x.io", "v1", "Secret");
    assert!(!ObjectKey::new(other.group, other.kind, "", "").is_secret());
}

#[test]
fn of_repeated_objects_the_last_one_counts() {
    let map = |value: &str| with(object("v1", "ConfigMap", "a"), "", "data", json!({"v": value}));
    let repeated = desired(&[map("1"), object("v1", "ConfigMap", "b"), map("2"), map("3")]);
    assert_eq!(repeated.bodies[0], desired(&[map("3")]).bodies[0]);
    assert_eq!(repeated.set.objects.len(), 2);
    let (kind, message) = &repeated.set.warnings[0];
    assert_eq!(kind, "RepeatedResourceWarning");
    assert!(message.contains("/ConfigMap:shop/a is written 3 times") && message.contains("3.yaml"), "{message}");
    assert_eq!(repeated.set.warnings.len(), 1);
}

#[test]
fn sets_are_ordered_by_key_with_their_bodies() {
    let set = desired(&[
        object("v1", "Secret", "z"),
        object("v1", "Namespace", "n"),
        object("v1", "ConfigMap", "b"),
        object("apps/v1", "Deployment", "a"),
        object("v1", "ConfigMap", "a"),
    ]);
    assert!(set.set.objects.is_sorted_by_key(|object| object.key.clone()));
    for (object, body) in set.set.objects.iter().zip(&set.bodies) {
        let body: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(body["metadata"]["name"], *object.key.name);
        assert_eq!(body["kind"], *object.key.kind);
    }
}

#[test]
fn unknown_kinds_are_named_together() {
    let failure = in_namespace(
        "shop",
        &[
            object("x.io/v1", "Thing", "a"),
            object("x.io/v1", "Thing", "b"),
            object("v1", "ConfigMap", "a"),
            object("apps/v9", "Deployment", "a"),
        ],
    )
    .unwrap_err();
    assert_eq!(failure.reason, RenderFailureReason::UnknownKind);
    assert!(
        failure.message.contains("apps/v9, Kind=Deployment (3.yaml:1 (document 1)); x.io/v1, Kind=Thing (0.yaml"),
        "{}",
        failure.message
    );
}

#[test]
fn kinds_of_the_set_itself_are_known() {
    let mut definition = object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "things.x.io");
    definition["spec"] =
        json!({"group": "x.io", "names": {"kind": "Thing"}, "scope": "Namespaced", "versions": [{"name": "v1"}]});
    let set = desired(&[object("x.io/v1", "Thing", "a"), definition]);
    let stages: Vec<_> = set.set.objects.iter().map(|object| (object.key.to_string(), object.stage)).collect();
    assert_eq!(
        stages,
        [
            ("apiextensions.k8s.io/CustomResourceDefinition:/things.x.io".to_owned(), Stage::Definition),
            ("x.io/Thing:shop/a".to_owned(), Stage::Workload),
        ]
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let hook = |name: &str| {
        with(object("v1", "ConfigMap", name), "/metadata", "annotations", json!({"argocd.argoproj.io/hook": "PreSync"}))
    };
    let values: Vec<_> =
        (0..7).map(|number| hook(&format!("h{number}"))).chain([object("x.io/v1", "Thing", "a")]).collect();
    let failure = in_namespace("shop", &values).unwrap_err();
    assert_eq!(failure.reason, RenderFailureReason::Content);
    for part in ["0.yaml:1 (document 1): ConfigMap h0: it is a hook", "ConfigMap h4"] {
        assert!(failure.message.contains(part), "{}", failure.message);
    }
    assert!(!failure.message.contains("ConfigMap h5"), "{}", failure.message);
}

#[test]
fn options_in_the_manifest_are_read() {
    let value = |options: &str| {
        with(
            object("v1", "ConfigMap", "a"),
            "/metadata",
            "annotations",
            json!({"argocd.argoproj.io/sync-options": options}),
        )
    };
    assert!(desired(&[value("Prune=false")]).set.objects[0].no_prune);
    let failure = in_namespace("shop", &[value("Replace=true")]).unwrap_err();
    assert!(failure.message.contains("`Replace=true` is not supported"), "{}", failure.message);
}

#[test]
fn the_memo_depends_on_everything_but_the_tree() {
    let (app, other) = (AppKey::new("argocd", "web"), AppKey::new("argocd", "shop"));
    let context = DesireContext {
        app: &app,
        instance_name: "web",
        installation: INSTALLATION,
        namespace: "shop",
        scopes: &served,
        hash_key: &KEY,
    };
    let (a, b) = (Hash::of(b"a"), Hash::of(b"b"));
    let memos = [
        context.memo(a, a),
        context.memo(b, a),
        context.memo(a, b),
        DesireContext { app: &other, ..context }.memo(a, a),
        DesireContext { instance_name: "x", ..context }.memo(a, a),
        DesireContext { installation: "x", ..context }.memo(a, a),
        DesireContext { namespace: "x", ..context }.memo(a, a),
    ];
    let distinct: std::collections::BTreeSet<_> = memos.iter().collect();
    assert_eq!(distinct.len(), memos.len());
    let set = desired(&[object("v1", "ConfigMap", "a"), object("v1", "Namespace", "n")]);
    let kinds = [Gvk::new("", "v1", "ConfigMap"), Gvk::new("", "v1", "Namespace")];
    assert_eq!(set.scopes, crate::engine::scope::scopes_hash(kinds.iter().map(|gvk| (gvk, served(gvk)))));
}

#[test]
fn bodies_carry_stamp_and_precondition() {
    let canonical = br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"annotations":{"z":"\"1\""},"name":"a"},"x":0.30000000000000004}"#;
    let stamp = Hash::of(b"x");
    let body = String::from_utf8(apply_body(canonical, stamp, &Precondition::Absent).unwrap()).unwrap();
    assert_eq!(
        body,
        format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"annotations":{{"driftless.dev/manifest":"{stamp}","z":"\"1\""}},"name":"a","resourceVersion":"1"}},"x":0.30000000000000004}}"#
        )
    );
    let exactly = Precondition::Exactly { uid: "u-1".into(), resource_version: 42 };
    let body: Value = serde_json::from_slice(&apply_body(b"{}", stamp, &exactly).unwrap()).unwrap();
    assert_eq!(
        body,
        json!({"metadata": {"annotations": {STAMP_ANNOTATION: stamp.to_string()}, "resourceVersion": "42", "uid": "u-1"}})
    );
    for bad in ["", "[]", r#"{"metadata":1}"#, r#"{"metadata":{"annotations":[]}}"#] {
        assert!(apply_body(bad.as_bytes(), stamp, &exactly).is_err(), "{bad}");
    }
}
