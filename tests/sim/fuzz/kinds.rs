//! What random objects are made of: few names and few values, so that writers meet.

use serde_json::{Map, Value, json};

use super::more;
use super::rng::Rng;

/// A kind of objects that random sequences write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    ConfigMap,
    Secret,
    Service,
    ServiceAccount,
    PersistentVolumeClaim,
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
    Ingress,
    NetworkPolicy,
    HorizontalPodAutoscaler,
    PodDisruptionBudget,
    Role,
    RoleBinding,
    Widget,
    Loose,
    Gizmo,
    /// Gizmos in their other version.
    NewGizmo,
}

pub(super) const KINDS: [Kind; 20] = [
    Kind::ConfigMap,
    Kind::Secret,
    Kind::Service,
    Kind::ServiceAccount,
    Kind::PersistentVolumeClaim,
    Kind::Deployment,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::Job,
    Kind::CronJob,
    Kind::Ingress,
    Kind::NetworkPolicy,
    Kind::HorizontalPodAutoscaler,
    Kind::PodDisruptionBudget,
    Kind::Role,
    Kind::RoleBinding,
    Kind::Widget,
    Kind::Loose,
    Kind::Gizmo,
    Kind::NewGizmo,
];

impl Kind {
    pub(super) const fn api_version(self) -> &'static str {
        match self {
            Self::ConfigMap | Self::Secret | Self::Service | Self::ServiceAccount | Self::PersistentVolumeClaim => "v1",
            Self::Deployment | Self::StatefulSet | Self::DaemonSet => "apps/v1",
            Self::Job | Self::CronJob => "batch/v1",
            Self::Ingress | Self::NetworkPolicy => "networking.k8s.io/v1",
            Self::HorizontalPodAutoscaler => "autoscaling/v2",
            Self::PodDisruptionBudget => "policy/v1",
            Self::Role | Self::RoleBinding => "rbac.authorization.k8s.io/v1",
            Self::Widget | Self::Loose | Self::Gizmo => "fuzz.example.com/v1",
            Self::NewGizmo => "fuzz.example.com/v2",
        }
    }

    pub(super) fn name(self) -> String {
        if self == Self::NewGizmo { "Gizmo".to_owned() } else { format!("{self:?}") }
    }

    /// The path of the collection in a namespace.
    pub(super) fn path(self, namespace: &str) -> String {
        let version = self.api_version();
        let root = if version.contains('/') { "apis" } else { "api" };
        let plural = match self {
            Self::Ingress => "ingresses".to_owned(),
            Self::NetworkPolicy => "networkpolicies".to_owned(),
            kind => format!("{}s", kind.name().to_lowercase()),
        };
        format!("/{root}/{version}/namespaces/{namespace}/{plural}")
    }

    /// Whether it has a scale.
    pub(super) const fn has_scale(self) -> bool {
        matches!(self, Self::Deployment | Self::StatefulSet | Self::Gizmo | Self::NewGizmo)
    }

    /// A manifest. One that is not `whole` may lack what the kind requires.
    pub(super) fn manifest(self, rng: &mut Rng, name: &str, whole: bool) -> Value {
        let mut object = json!({"apiVersion": self.api_version(), "kind": self.name(), "metadata": metadata(rng)});
        object["metadata"]["name"] = name.into();
        let content = self.content(rng, whole);
        merge(&mut object, content);
        object
    }

    /// All but kind and metadata.
    pub(super) fn content(self, rng: &mut Rng, whole: bool) -> Value {
        match self {
            Self::ConfigMap => config_map(rng),
            Self::Secret => secret(rng),
            Self::Service => service(rng, whole),
            Self::Deployment => deployment(rng, whole),
            Self::Role => json!({"rules": rng.some(&[
                json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}),
                json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]}),
            ])}),
            Self::Widget => widget(rng),
            Self::Gizmo | Self::NewGizmo => gizmo(rng),
            Self::Loose => json!({"spec": some_of(rng, &[
                ("size", &[json!(1), json!("1"), json!(null)]),
                ("deep", &[json!({"a": 1}), json!({"b": {"c": []}}), json!({})]),
                ("list", &[json!([{"a": 1}]), json!([1, 2]), json!([])]),
            ])}),
            _ => more::content(self, rng, whole),
        }
    }

    /// Places that JSON patches go to, some of them wrong, with values to put there.
    pub(super) fn places(self) -> Vec<(&'static str, Vec<Value>)> {
        let mut places = vec![
            ("/metadata/labels/app", vec![json!("web"), json!("shop")]),
            ("/metadata/labels", vec![json!({"app": "web"}), json!({})]),
            ("/metadata/annotations", vec![json!({"note": "x"})]),
            ("/metadata/finalizers", vec![json!(["example.com/one"]), json!([])]),
        ];
        places.extend(match self {
            Self::ConfigMap => vec![
                ("/data/a", vec![json!("1"), json!("9"), json!("")]),
                ("/data/b", vec![json!("2"), json!(3)]),
                ("/data", vec![json!({"a": "1"}), json!({}), json!(null)]),
                ("/binaryData/x", vec![json!("AAEC")]),
                ("/nothing/here", vec![json!(1)]),
            ],
            Self::Secret => vec![
                ("/data/a", vec![json!("MQ=="), json!("Mg=="), json!("no base64")]),
                ("/stringData", vec![json!({"a": "1", "b": "2"})]),
                ("/type", vec![json!("Opaque"), json!("example.com/own")]),
            ],
            Self::Service => vec![
                ("/spec/ports/0/port", vec![json!(80), json!(81)]),
                ("/spec/ports/0/targetPort", vec![json!(8080), json!("http")]),
                ("/spec/ports/-", vec![json!({"name": "more", "port": 9999})]),
                ("/spec/ports/0", vec![json!({"name": "http", "port": 80})]),
                ("/spec/selector", vec![json!({"app": "web"}), json!({"tier": "front"})]),
                ("/spec/sessionAffinity", vec![json!("ClientIP"), json!("None")]),
            ],
            Self::Deployment => vec![
                ("/spec/replicas", vec![json!(1), json!(5)]),
                ("/spec/template/spec/containers/0/image", vec![json!("nginx:1"), json!("nginx:2")]),
                (
                    "/spec/template/spec/containers/0/env/0",
                    vec![json!({"name": "A", "value": "9"}), json!({"name": "Z"})],
                ),
                ("/spec/template/spec/containers/0/env/-", vec![json!({"name": "B", "value": "9"})]),
                ("/spec/template/spec/containers/0/args", vec![json!(["a"]), json!(["a", "b"])]),
                ("/spec/template/spec/containers/0/ports", vec![json!([{"containerPort": 80}])]),
                ("/spec/template/spec/containers/0/resources", vec![json!({}), json!({"limits": {"cpu": "1000m"}})]),
                ("/spec/template/spec/containers/-", vec![json!({"name": "more", "image": "more:1"})]),
                ("/spec/template/spec/tolerations", vec![json!([{"key": "a", "operator": "Exists"}])]),
                ("/spec/strategy", vec![json!({"type": "Recreate"}), json!({"type": "RollingUpdate"})]),
            ],
            Self::Role => vec![
                ("/rules/0/verbs/-", vec![json!("delete")]),
                ("/rules/0/verbs", vec![json!(["get"])]),
                ("/rules", vec![json!([]), json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])]),
            ],
            Self::Widget => vec![
                ("/spec/size", vec![json!(1), json!(2)]),
                ("/spec/tags", vec![json!(["blue"]), json!(["red", "green"]), json!([])]),
                ("/spec/tags/0", vec![json!("red"), json!("yellow")]),
                ("/spec/steps/-", vec![json!("more")]),
                ("/spec/parts/0/text", vec![json!("9")]),
                ("/spec/parts/0/id", vec![json!("b"), json!("z")]),
                ("/spec/parts", vec![json!([{"id": "b"}, {"id": "a", "text": "1"}])]),
                ("/spec/pairs/0/v", vec![json!("9")]),
                ("/spec/box/w", vec![json!(1), json!(9)]),
                ("/spec/none/x", vec![json!("1")]),
                ("/spec", vec![json!({"size": 1}), json!({})]),
            ],
            Self::Loose => vec![
                ("/spec/deep/a", vec![json!(2), json!([])]),
                ("/spec/list/0", vec![json!(1), json!({"a": 2})]),
                ("/spec/size", vec![json!(null), json!("x")]),
                ("/spec", vec![json!({}), json!({"new": true})]),
            ],
            Self::Gizmo | Self::NewGizmo => vec![
                ("/spec/size", vec![json!(1), json!(99), json!("x")]),
                ("/spec/mode", vec![json!("slow"), json!("medium"), json!(null)]),
                ("/spec/replicas", vec![json!(1), json!(9), json!(-1)]),
                ("/spec/ports/0/protocol", vec![json!("UDP")]),
                ("/spec/ports/-", vec![json!({"port": 80}), json!({"port": 81, "protocol": "UDP"})]),
                ("/spec/fixed", vec![json!("x"), json!("y")]),
                ("/spec/maybe", vec![json!(null), json!("x")]),
                ("/spec/template/metadata/labels", vec![json!({"a": "b"})]),
                ("/spec/labels/a", vec![json!("b"), json!(null)]),
            ],
            _ => more::places(self),
        });
        places
    }
}

fn metadata(rng: &mut Rng) -> Value {
    let mut out = json!({});
    if rng.percent(40) {
        out["labels"] =
            some_of(rng, &[("app", &[json!("web"), json!("shop")]), ("tier", &[json!("front"), json!("back")])]);
    }
    if rng.percent(20) {
        out["annotations"] = some_of(rng, &[("note", &[json!("x"), json!("y")])]);
    }
    if rng.percent(5) {
        out["finalizers"] = json!(rng.some(&["example.com/one", "example.com/two"]));
    }
    out
}

fn config_map(rng: &mut Rng) -> Value {
    let mut out = json!({});
    let values = [json!("1"), json!("2"), json!("")];
    if rng.percent(85) {
        out["data"] = some_of(rng, &[("a", &values), ("b", &values), ("c", &values)]);
    }
    if rng.percent(15) {
        out["binaryData"] = some_of(rng, &[("x", &[json!("AAEC"), json!("AAED")])]);
    }
    out
}

fn secret(rng: &mut Rng) -> Value {
    let mut out = json!({});
    let encoded = [json!("MQ=="), json!("Mg==")];
    if rng.percent(70) {
        out["data"] = some_of(rng, &[("a", &encoded), ("b", &encoded)]);
    }
    if rng.percent(40) {
        out["stringData"] = some_of(rng, &[("a", &[json!("1"), json!("3")]), ("c", &[json!("x")])]);
    }
    if rng.percent(20) {
        out["type"] = "Opaque".into();
    }
    out
}

fn service(rng: &mut Rng, whole: bool) -> Value {
    let mut spec = json!({});
    if whole || rng.percent(70) {
        let mut ports = rng.some(&[
            json!({"name": "http", "port": 80}),
            json!({"name": "alt", "port": 81, "targetPort": "alt"}),
            json!({"name": "dns", "port": 80, "protocol": "UDP", "targetPort": 5353}),
            json!({"name": "http", "port": 82}),
        ]);
        if whole && ports.is_empty() {
            ports.push(json!({"name": "http", "port": 80, "targetPort": 8080}));
        }
        spec["ports"] = ports.into();
    }
    if rng.percent(50) {
        spec["selector"] = some_of(rng, &[("app", &[json!("web"), json!("shop")]), ("tier", &[json!("front")])]);
    }
    if rng.percent(10) {
        spec["sessionAffinity"] = "ClientIP".into();
    }
    json!({"spec": spec})
}

fn deployment(rng: &mut Rng, whole: bool) -> Value {
    let mut spec = some_of(
        rng,
        &[
            ("replicas", &[json!(1), json!(2), json!(3)]),
            ("paused", &[json!(true)]),
            ("minReadySeconds", &[json!(0), json!(5)]),
            ("strategy", &[json!({"type": "Recreate"}), json!({"rollingUpdate": {"maxSurge": 1}})]),
        ],
    );
    let mut containers: Vec<Value> = Vec::new();
    for name in rng.some(&["web", "side"]) {
        containers.push(container(rng, name, whole));
    }
    if whole && containers.is_empty() {
        containers.push(container(rng, "web", whole));
    }
    let mut pod = json!({});
    if !containers.is_empty() {
        pod["containers"] = containers.into();
    }
    merge(
        &mut pod,
        some_of(
            rng,
            &[
                ("nodeSelector", &[json!({"disk": "ssd"}), json!({"zone": "a"})]),
                ("tolerations", &[json!([{"key": "a", "operator": "Exists"}]), json!([])]),
                (
                    "volumes",
                    &[
                        json!([{"name": "v", "emptyDir": {}}]),
                        json!([{"name": "v", "hostPath": {"path": "/x"}}, {"name": "w", "emptyDir": {}}]),
                    ],
                ),
                ("terminationGracePeriodSeconds", &[json!(30), json!(5)]),
            ],
        ),
    );
    spec["template"] = json!({"spec": pod});
    if whole || rng.percent(50) {
        spec["selector"] = json!({"matchLabels": {"app": "web"}});
        spec["template"]["metadata"] = json!({"labels": {"app": "web"}});
    }
    json!({"spec": spec})
}

pub(super) fn container(rng: &mut Rng, name: &str, whole: bool) -> Value {
    let mut out = json!({"name": name});
    if whole || rng.percent(70) {
        out["image"] = rng.pick(&[json!("nginx:1"), json!("nginx:2"), json!("nginx")]).clone();
    }
    if rng.percent(40) {
        out["env"] = json!(rng.some(&[
            json!({"name": "A", "value": "1"}),
            json!({"name": "B", "value": "2"}),
            json!({"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
        ]));
    }
    let rest = some_of(
        rng,
        &[
            ("args", &[json!(["a", "b"]), json!(["b"])]),
            (
                "ports",
                &[
                    json!([{"containerPort": 80}]),
                    json!([{"containerPort": 80, "name": "http"}, {"containerPort": 80, "protocol": "UDP"}]),
                ],
            ),
            (
                "resources",
                &[json!({}), json!({"limits": {"cpu": "1000m"}}), json!({"requests": {"cpu": 1, "memory": "1024Mi"}})],
            ),
            ("livenessProbe", &[json!({"httpGet": {"path": "/", "port": 80}}), json!({"tcpSocket": {"port": "http"}})]),
            ("securityContext", &[json!({"capabilities": {"drop": ["ALL"]}})]),
        ],
    );
    let keep = rest.as_object().cloned().unwrap_or_default().into_iter().filter(|_| rng.percent(40)).collect();
    merge(&mut out, Value::Object(keep));
    out
}

fn widget(rng: &mut Rng) -> Value {
    let spec = some_of(
        rng,
        &[
            ("size", &[json!(1), json!(2), json!(3)]),
            ("ratio", &[json!(0.5), json!(2)]),
            ("tags", &[json!(["blue"]), json!(["green", "blue"]), json!(["red"]), json!([])]),
            ("steps", &[json!(["one"]), json!(["one", "two"])]),
            (
                "parts",
                &[
                    json!([{"id": "a"}]),
                    json!([{"id": "b", "text": "2"}, {"id": "a", "text": "1"}]),
                    json!([{"id": "c"}]),
                ],
            ),
            (
                "pairs",
                &[
                    json!([{"k": 1, "on": true, "v": "x"}]),
                    json!([{"k": 1, "on": false}, {"k": 1, "on": true}]),
                    json!([{"k": 2}]),
                ],
            ),
            ("box", &[json!({"w": 1}), json!({"w": 1, "h": 3})]),
            ("none", &[json!({}), json!({"x": "1"}), json!({"y": "2"})]),
        ],
    );
    let mut keep: Map<String, Value> = spec.as_object().cloned().unwrap_or_default();
    keep.retain(|_, _| rng.percent(60));
    json!({"spec": keep})
}

fn gizmo(rng: &mut Rng) -> Value {
    let spec = some_of(
        rng,
        &[
            ("size", &[json!(1), json!(5), json!(2.0), json!(11), json!(1.5)]),
            ("mode", &[json!("slow"), json!("fast"), json!("medium"), json!(null)]),
            ("name", &[json!("abc"), json!("A"), json!("abcdefg")]),
            ("replicas", &[json!(1), json!(2), json!(6)]),
            ("when", &[json!("2026-01-01T00:00:00Z"), json!("now")]),
            ("port", &[json!(80), json!("http"), json!(true)]),
            ("maybe", &[json!(null), json!("x")]),
            (
                "ports",
                &[
                    json!([{"port": 80}]),
                    json!([{"port": 80, "protocol": "UDP"}, {"port": 80}]),
                    json!([{"name": "x"}]),
                ],
            ),
            ("parts", &[json!([{"id": "a"}, {"id": "b", "text": "x"}]), json!([{"id": "a", "more": 1}])]),
            (
                "template",
                &[
                    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "labels": {"a": "b"}}, "data": {"k": "v"}}),
                    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"unknown": 1}}),
                    json!({"data": {}}),
                ],
            ),
            ("labels", &[json!({"a": "b"}), json!({})]),
            ("free", &[json!({"any": [1, {"b": null}]}), json!({"list": [{"a": 1, "b": 2}]})]),
            ("fixed", &[json!("x"), json!("y")]),
            ("unknown", &[json!(1)]),
        ],
    );
    let mut keep: Map<String, Value> = spec.as_object().cloned().unwrap_or_default();
    // Of many fields, most are wrong at times.
    keep.retain(|_, _| rng.percent(30));
    json!({"spec": keep})
}

/// Some of the fields, each with one of its values.
pub(super) fn some_of(rng: &mut Rng, fields: &[(&str, &[Value])]) -> Value {
    let mut out = Map::new();
    for (name, values) in fields {
        if rng.percent(50) {
            out.insert((*name).to_owned(), rng.pick(values).clone());
        }
    }
    Value::Object(out)
}

/// Adds the entries of one object to another.
pub(super) fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}
