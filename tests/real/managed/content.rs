//! The kinds that are written, and what is written into them.

use driftless::sim::schema::{Schema, Schemas, Structural};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};

/// Custom resources with every way that lists and maps merge, and one without a schema.
pub(super) const DEFINITIONS: &str = include_str!("definitions.yaml");

/// One kind.
pub(super) struct Kind {
    pub(super) kind: &'static str,
    pub(super) api_version: &'static str,
    /// The collection.
    pub(super) path: &'static str,
    pub(super) schema: Schema,
    pub(super) structural: Option<Structural>,
    /// Whether it has a status subresource.
    pub(super) status: bool,
    /// Whether objects are stored as they were merged, so that they can be compared whole.
    pub(super) plain: bool,
    /// Where something may be removed.
    pub(super) removable: &'static [&'static str],
    content: fn(&mut StdRng, bool) -> Value,
    pub(super) status_content: fn(&mut StdRng) -> Value,
}

pub(super) fn kinds(namespace: &str) -> Vec<Kind> {
    let path = |prefix: &str, resource: &str| -> &'static str {
        Box::leak(format!("{prefix}/namespaces/{namespace}/{resource}").into_boxed_str())
    };
    let builtin = |group: &str, kind| Schemas::builtin().of(group, "v1", kind).unwrap();
    let custom = |at: usize| {
        let definition: Value = serde_saphyr::from_str(DEFINITIONS.split("\n---\n").nth(at).unwrap()).unwrap();
        Structural::read(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]).unwrap()
    };
    let (widget, loose) = (custom(0), custom(1));
    let none: fn(&mut StdRng) -> Value = |_| json!({});
    let kind = |kind, api_version, path, schema| Kind {
        kind,
        api_version,
        path,
        schema,
        structural: None,
        status: false,
        plain: false,
        removable: &[],
        content: |_, _| json!({}),
        status_content: none,
    };
    let meta = &["/data", "/metadata/labels", "/metadata/annotations", "/metadata/finalizers"];
    vec![
        Kind {
            plain: true,
            removable: meta,
            content: config_map,
            ..kind("ConfigMap", "v1", path("/api/v1", "configmaps"), builtin("", "ConfigMap"))
        },
        Kind {
            removable: meta,
            content: secret,
            ..kind("Secret", "v1", path("/api/v1", "secrets"), builtin("", "Secret"))
        },
        Kind {
            removable: &["/metadata/labels", "/spec/selector", "/spec/externalIPs"],
            content: service,
            status: true,
            status_content: |rng| json!({"status": {"conditions": conditions(rng)}}),
            ..kind("Service", "v1", path("/api/v1", "services"), builtin("", "Service"))
        },
        Kind {
            removable: &[
                "/metadata/labels",
                "/spec/template/spec/containers/0/env",
                "/spec/template/spec/containers/1",
            ],
            content: deployment,
            status: true,
            status_content: |rng| json!({"status": {"replicas": rng.random_range(0..3), "conditions": conditions(rng)}}),
            ..kind("Deployment", "apps/v1", path("/apis/apps/v1", "deployments"), builtin("apps", "Deployment"))
        },
        Kind {
            plain: true,
            removable: &["/metadata/labels", "/aggregationRule"],
            content: cluster_role,
            ..kind(
                "ClusterRole",
                "rbac.authorization.k8s.io/v1",
                "/apis/rbac.authorization.k8s.io/v1/clusterroles",
                builtin("rbac.authorization.k8s.io", "ClusterRole"),
            )
        },
        Kind {
            plain: true,
            removable: &["/spec", "/metadata/labels"],
            content: widget_content,
            status: true,
            status_content: |rng| json!({"status": {"phase": text(rng), "conditions": conditions(rng)}}),
            structural: Some(widget.clone()),
            ..kind("Widget", "sim.driftless.dev/v1", path("/apis/sim.driftless.dev/v1", "widgets"), widget.schema())
        },
        Kind {
            plain: true,
            removable: &["/spec", "/more", "/metadata/labels"],
            content: |rng, _| {
                let (spec, more) = (anything(rng, 3), anything(rng, 2));
                json!({"metadata": metadata(rng), "spec": spec, "more": more})
            },
            structural: Some(loose.clone()),
            ..kind("Loose", "sim.driftless.dev/v1", path("/apis/sim.driftless.dev/v1", "looses"), loose.schema())
        },
    ]
}

pub(super) fn identity(kind: &Kind, name: &str) -> Value {
    json!({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}})
}

/// Something to write; complete enough to be created if `whole`.
pub(super) fn content(kind: &Kind, rng: &mut StdRng, whole: bool) -> Value {
    (kind.content)(rng, whole)
}

/// `b` into `a`, maps member by member.
pub(super) fn merge_into(a: &mut Value, b: Value) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            b.into_iter().for_each(|(name, b)| merge_into(a.entry(name).or_insert(Value::Null), b));
        }
        (a, b) => *a = b,
    }
}

fn one_of<T: Clone>(rng: &mut StdRng, of: &[T]) -> T {
    of[rng.random_range(0..of.len())].clone()
}

fn text(rng: &mut StdRng) -> &'static str {
    one_of(rng, &["one", "two", "three", ""])
}

/// Each of the members with some chance.
fn some(of: Value, chance: f64, rng: &mut StdRng) -> Value {
    let Value::Object(members) = of else { return of };
    Value::Object(members.into_iter().filter(|_| rng.random_bool(chance)).collect())
}

/// Some of the items, now and then in another order.
fn some_of(rng: &mut StdRng, items: Vec<Value>) -> Vec<Value> {
    let mut items: Vec<_> = items.into_iter().filter(|_| rng.random_bool(0.6)).collect();
    if rng.random_bool(0.3) {
        items.reverse();
    }
    items
}

fn metadata(rng: &mut StdRng) -> Value {
    let labels = json!({"x": text(rng), "y": text(rng), "z": text(rng)});
    let labels = some(labels, 0.4, rng);
    let annotations = json!({"a": text(rng), "b/c.d": text(rng)});
    let annotations = some(annotations, 0.4, rng);
    let finalizers = some_of(rng, vec!["sim/one".into(), "sim/two".into(), "sim/three".into()]);
    let owner = |uid: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": uid});
    let owners = some_of(rng, vec![owner("u1"), owner("u2")]);
    some(
        json!({
            "labels": labels, "annotations": annotations, "finalizers": finalizers, "ownerReferences": owners,
        }),
        0.5,
        rng,
    )
}

fn config_map(rng: &mut StdRng, _: bool) -> Value {
    let data = json!({"a": text(rng), "b": text(rng), "c": text(rng), "d&<e>": text(rng)});
    let mut data = some(data, 0.5, rng);
    if rng.random_bool(0.02) {
        data["wrong"] = json!(5);
    }
    let mut body = json!({"metadata": metadata(rng)});
    if rng.random_bool(0.9) {
        body["data"] = data;
    }
    if rng.random_bool(0.2) {
        body["binaryData"] = json!({"blob": "AAEC"});
    }
    if rng.random_bool(0.02) {
        body["unknown"] = json!({"x": 1});
    }
    body
}

fn secret(rng: &mut StdRng, _: bool) -> Value {
    let data = json!({"a": "AAEC", "b": "AAED", "c": one_of(rng, &["AAEC", "AAEE"])});
    let mut body = json!({"metadata": metadata(rng), "data": some(data, 0.5, rng)});
    if rng.random_bool(0.2) {
        body["stringData"] = json!({"s": text(rng)});
    }
    body
}

fn conditions(rng: &mut StdRng) -> Vec<Value> {
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "Because", "message": "", "lastTransitionTime": "2026-01-02T03:04:05Z"});
    let status = one_of(rng, &["True", "False"]);
    some_of(rng, vec![condition("Ready", status), condition("Good", "True")])
}

fn service(rng: &mut StdRng, whole: bool) -> Value {
    let target = one_of(rng, &[json!(8080), json!("web")]);
    let mut ports = some_of(
        rng,
        vec![
            json!({"name": "a", "port": 80, "targetPort": target}),
            json!({"name": "b", "port": 80, "protocol": "UDP"}),
            json!({"name": "c", "port": 443, "protocol": "TCP"}),
        ],
    );
    if ports.is_empty() && whole {
        ports.push(json!({"name": "a", "port": 80}));
    }
    if rng.random_bool(0.03) {
        ports.push(json!({"name": "again", "port": 443}));
    }
    let selector = json!({"app": text(rng), "tier": text(rng)});
    let selector = some(selector, 0.7, rng);
    let mut spec = some(
        json!({
            "selector": selector, "externalIPs": ["10.1.1.1"], "sessionAffinity": "ClientIP", "type": "ClusterIP",
            "publishNotReadyAddresses": true,
        }),
        0.5,
        rng,
    );
    if whole || rng.random_bool(0.7) {
        spec["ports"] = json!(ports);
    }
    json!({"metadata": metadata(rng), "spec": spec})
}

fn container(rng: &mut StdRng, name: &str, whole: bool) -> Value {
    let value = json!({"name": "A", "value": text(rng)});
    let from = json!({"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}});
    let env = some_of(rng, vec![value, from, json!({"name": "C"})]);
    let ports = some_of(
        rng,
        vec![
            json!({"containerPort": 80}),
            json!({"containerPort": 80, "protocol": "UDP"}),
            json!({"name": "m", "containerPort": 9090, "protocol": "TCP"}),
        ],
    );
    let cpu = one_of(rng, &["1", "1000m", "500m"]);
    let resources = json!({"limits": {"cpu": cpu, "memory": "1024Mi"}, "requests": {"cpu": cpu}});
    let resources = some(resources, 0.6, rng);
    let mut container = some(
        json!({
            "env": env, "ports": ports, "resources": resources, "args": ["x", text(rng)],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}], "securityContext": {"runAsNonRoot": true},
            "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
        }),
        0.4,
        rng,
    );
    container["name"] = json!(name);
    if whole || rng.random_bool(0.7) {
        container["image"] = json!(format!("nginx:{}", rng.random_range(1..4)));
    }
    if rng.random_bool(0.02) {
        container["env"] = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]);
    }
    if rng.random_bool(0.02) {
        container["wrong"] = json!(true);
    }
    container
}

fn deployment(rng: &mut StdRng, whole: bool) -> Value {
    let mut containers = Vec::new();
    for name in ["main", "side", "third"] {
        if name == "main" && whole || rng.random_bool(0.4) {
            containers.push(container(rng, name, whole));
        }
    }
    if rng.random_bool(0.3) {
        containers.reverse();
    }
    let mut spec = some(
        json!({
            "volumes": [{"name": "v", "emptyDir": {}}], "nodeSelector": {"disk": text(rng)},
            "tolerations": [{"key": "k", "operator": "Exists"}], "imagePullSecrets": [{"name": "p"}],
            "terminationGracePeriodSeconds": 5,
        }),
        0.4,
        rng,
    );
    if whole {
        spec["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
    }
    if whole || !containers.is_empty() {
        spec["containers"] = json!(containers);
    }
    let mut outer = some(
        json!({
            "replicas": rng.random_range(0..4), "revisionHistoryLimit": 3, "paused": true,
            "strategy": {"rollingUpdate": {"maxSurge": one_of(rng, &[json!(1), json!("30%")])}},
        }),
        0.4,
        rng,
    );
    merge_into(&mut outer, json!({"template": {"metadata": {"labels": {"app": "x"}}, "spec": spec}}));
    if whole || rng.random_bool(0.5) {
        outer["selector"] = json!({"matchLabels": {"app": "x"}});
    }
    json!({"metadata": metadata(rng), "spec": outer})
}

fn cluster_role(rng: &mut StdRng, _: bool) -> Value {
    let rule = |verb: &str| json!({"apiGroups": [""], "resources": ["pods"], "verbs": [verb]});
    let rules = some_of(rng, vec![rule("get"), rule("list")]);
    let mut body = json!({"metadata": metadata(rng), "rules": rules});
    if rng.random_bool(0.3) {
        body["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"x": text(rng)}}]});
    }
    body
}

fn widget_content(rng: &mut StdRng, _: bool) -> Value {
    let item = |rng: &mut StdRng, name: &str| {
        let members = json!({"value": text(rng), "number": rng.random_range(0..3), "tags": {"t": text(rng)}});
        let mut item = some(members, 0.6, rng);
        item["name"] = json!(name);
        item
    };
    let (one, two, three) = (item(rng, "one"), item(rng, "two"), item(rng, "three"));
    let items = some_of(rng, vec![one, two, three]);
    let ports = some_of(
        rng,
        vec![
            json!({"port": 80}),
            json!({"port": 80, "protocol": "UDP", "note": "u"}),
            json!({"port": 81, "protocol": "TCP"}),
        ],
    );
    let set = some_of(rng, vec!["a".into(), "b".into(), "c".into()]);
    let numbers = some_of(rng, vec![1.into(), 2.into(), 10.into()]);
    let nested = json!({"left": text(rng), "right": text(rng), "deep": {"x": rng.random_range(0..3)}});
    let nested = some(nested, 0.6, rng);
    let free = anything(rng, 2);
    let mut spec = some(
        json!({
            "size": rng.random_range(0..5), "ratio": one_of(rng, &[json!(0.5), json!(2)]),
            "items": items, "ports": ports, "set": set, "numbers": numbers, "plain": [text(rng), text(rng)],
            "nested": nested, "solid": nested, "free": {"x": free}, "any": free, "map": {"k": text(rng), "l": text(rng)},
            "either": one_of(rng, &[json!(80), json!("http")]),
            "empty": {}, "when": "2026-01-02T03:04:05Z", "nothing": null,
            "object": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "inner", "labels": {"x": text(rng)}}, "body": {"y": 1}},
        }),
        0.4,
        rng,
    );
    if rng.random_bool(0.03) {
        spec["unknown"] = json!({"x": 1});
    }
    if rng.random_bool(0.03) {
        spec["set"] = json!(["a", "a"]);
    }
    json!({"metadata": metadata(rng), "spec": spec})
}

/// A value of any shape.
fn anything(rng: &mut StdRng, depth: usize) -> Value {
    match rng.random_range(0..if depth == 0 { 4 } else { 8 }) {
        0 => json!(text(rng)),
        1 => json!(rng.random_range(0..3)),
        2 => json!(rng.random_bool(0.5)),
        3 => Value::Null,
        4 => (0..rng.random_range(0..3)).map(|_| anything(rng, depth - 1)).collect(),
        _ => {
            let names = ["p", "q", "r"];
            let members =
                names.iter().filter(|_| rng.random_bool(0.6)).map(|name| (*name).to_owned()).collect::<Vec<_>>();
            Value::Object(members.into_iter().map(|name| (name, anything(rng, depth - 1))).collect::<Map<_, _>>())
        }
    }
}
