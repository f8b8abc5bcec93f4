//! Random sequences of writes, as scripts.

use serde_json::{Value, json};

use super::kinds::{KINDS, Kind};
use super::more;
use super::rng::Rng;

const NAMES: [&str; 2] = ["a", "b"];
const MANAGERS: [&str; 4] = ["one", "two", "three", "kubectl-edit"];
const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// The object that a step is about.
struct Target {
    kind: Kind,
    name: &'static str,
    namespace: String,
}

impl Target {
    fn path(&self) -> String {
        format!("{}/{}", self.kind.path(&self.namespace), self.name)
    }

    /// Under which the last answer about it is remembered.
    fn memory(&self) -> String {
        format!("{}-{}", self.kind.name(), self.name)
    }

    fn manifest(&self, rng: &mut Rng, whole: bool) -> Value {
        self.kind.manifest(rng, self.name, whole)
    }
}

/// What a namespace begins with, and the kinds that the cluster needs once.
pub(super) fn setup() -> String {
    include_str!("definitions.txt").to_owned()
}

/// The sequence of a seed: steps of a script, each in the given namespace. `only`: of which kinds, all if empty.
pub(super) fn sequence(seed: u64, namespace: &str, only: &[String]) -> Vec<String> {
    let mut rng = Rng::new(seed);
    let kinds: Vec<Kind> = KINDS.into_iter().filter(|kind| only.is_empty() || only.contains(&kind.name())).collect();
    let kinds: Vec<Kind> = (0..1 + rng.below(2)).map(|_| *rng.pick(&kinds)).collect();
    let mut steps = Vec::new();
    let length = 4 + rng.below(14);
    for number in 1..=length {
        let name = NAMES[usize::from(rng.percent(25))];
        let target = Target { kind: *rng.pick(&kinds), name, namespace: namespace.to_owned() };
        steps.push(step(&mut rng, number, &target));
    }
    let mut seen = Vec::new();
    for kind in kinds {
        if !seen.contains(&kind.name()) {
            seen.push(kind.name());
            steps.push(format!("### the {}s that are left\nGET {}\n", kind.name(), kind.path(namespace)));
        }
    }
    steps
}

/// One step, which remembers its answer.
fn step(rng: &mut Rng, number: usize, target: &Target) -> String {
    let (what, request) = match rng.weighted(&[8, 34, 12, 13, 8, 12, 5, 6, 3]) {
        0 => ("create", create(rng, target)),
        1 => ("apply", apply(rng, target)),
        2 => ("merge patch", merge_patch(rng, target)),
        3 => ("JSON patch", json_patch(rng, target)),
        4 => ("strategic patch", strategic_patch(rng, target)),
        5 => ("put", put(rng, target)),
        6 => ("delete", delete(rng, target)),
        7 => ("subresource", subresource(rng, target)),
        _ => ("managed fields", managed_fields(rng, target)),
    };
    let kind = target.kind.name();
    // Only answers about the object itself are remembered.
    let is_object = !request.lines().any(|line| line.contains("/scale") || line.contains("labelSelector="));
    let memory = if is_object { format!("let {}\n", target.memory()) } else { String::new() };
    format!("### {number}: {what} of {kind} {}\n{memory}{request}", target.name)
}

fn query(rng: &mut Rng) -> String {
    let dry = if rng.percent(4) { "&dryRun=All" } else { "" };
    let validation = match rng.below(12) {
        0 => "&fieldValidation=Strict",
        1 => "&fieldValidation=Ignore",
        2 => "&fieldValidation=Warn",
        _ => "",
    };
    format!("?fieldManager={}{dry}{validation}", rng.pick(&MANAGERS))
}

/// At times a field that nobody knows.
fn mistake(rng: &mut Rng, object: &mut Value) {
    match rng.below(25) {
        0 => object["unknown"] = json!(1),
        1 => object["metadata"]["colour"] = json!("blue"),
        2 if object["spec"].is_object() => object["spec"]["unknown"] = json!({"a": 1}),
        _ => {}
    }
}

fn create(rng: &mut Rng, target: &Target) -> String {
    let query = query(rng);
    let mut manifest = target.manifest(rng, true);
    mistake(rng, &mut manifest);
    format!("POST {}{query}\n\n{manifest}\n", target.kind.path(&target.namespace))
}

fn apply(rng: &mut Rng, target: &Target) -> String {
    let query = query(rng);
    let force = if rng.percent(60) { "&force=true" } else { "" };
    let whole = rng.percent(60);
    let mut manifest = target.manifest(rng, whole);
    // One mistake at a time: of several, kube-apiserver tells a random one or all.
    match rng.below(30) {
        0 => manifest["unknown"] = json!(1),
        1 => manifest["metadata"]["labels"] = json!({"app": 1}),
        _ => {}
    }
    if rng.percent(4) {
        manifest["metadata"]["resourceVersion"] =
            rng.pick(&["1".to_owned(), format!("{{rv:{}}}", target.memory())]).as_str().into();
    }
    format!("PATCH {}{query}{force}\nContent-Type: {APPLY}\n\n{manifest}\n", target.path())
}

/// Part of a manifest, some of it to be removed.
fn partial(rng: &mut Rng, target: &Target) -> Value {
    let mut part = target.kind.content(rng, false);
    let mut nulls = Vec::new();
    paths(&part, String::new(), &mut nulls);
    for path in nulls {
        if rng.percent(15)
            && let Some(value) = part.pointer_mut(&path)
        {
            *value = Value::Null;
        }
    }
    if rng.percent(25) {
        part["metadata"] = json!({"labels": {"app": rng.pick(&[json!(null), json!("web"), json!("other")]).clone()}});
    }
    part
}

/// Paths of all entries of maps, outer ones last.
fn paths(value: &Value, at: String, out: &mut Vec<String>) {
    if let Value::Object(map) = value {
        for (key, value) in map {
            let path = format!("{at}/{key}");
            paths(value, path.clone(), out);
            out.push(path);
        }
    }
}

fn merge_patch(rng: &mut Rng, target: &Target) -> String {
    let query = query(rng);
    let mut patch = partial(rng, target);
    mistake(rng, &mut patch);
    format!("PATCH {}{query}\nContent-Type: {MERGE}\n\n{patch}\n", target.path())
}

fn strategic_patch(rng: &mut Rng, target: &Target) -> String {
    let query = query(rng);
    let mut patch = partial(rng, target);
    if target.kind == Kind::Deployment && rng.percent(40) {
        let containers = rng
            .pick(&[
                json!([{"name": "web", "$patch": "delete"}]),
                json!([{"$patch": "replace"}, {"name": "web", "image": "only:1"}]),
                json!([{"name": "web", "env": [{"name": "A", "$patch": "delete"}, {"name": "D", "value": "4"}]}]),
            ])
            .clone();
        patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    }
    format!("PATCH {}{query}\nContent-Type: {STRATEGIC}\n\n{patch}\n", target.path())
}

fn json_patch(rng: &mut Rng, target: &Target) -> String {
    let query = query(rng);
    let places = target.kind.places();
    let mut operations = Vec::new();
    for _ in 0..1 + rng.below(2) {
        let (path, values) = rng.pick(&places);
        let value = rng.pick(values);
        operations.push(match rng.weighted(&[4, 4, 3, 1]) {
            0 => json!({"op": "add", "path": path, "value": value}),
            1 => json!({"op": "replace", "path": path, "value": value}),
            2 => json!({"op": "remove", "path": path.trim_end_matches("/-")}),
            _ => json!({"op": "test", "path": path, "value": value}),
        });
    }
    if rng.percent(10) {
        let version = format!("{{rv:{}}}", target.memory());
        operations.insert(0, json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
    }
    format!("PATCH {}{query}\nContent-Type: {JSON_PATCH}\n\n{}\n", target.path(), Value::Array(operations))
}

fn put(rng: &mut Rng, target: &Target) -> String {
    let query = query(rng);
    if rng.percent(30) {
        return format!("PUT {}{query}\n\n{}\n", target.path(), target.manifest(rng, true));
    }
    let mut change = partial(rng, target);
    if rng.percent(60) {
        let mut metadata = change["metadata"].as_object().cloned().unwrap_or_default();
        metadata.insert("resourceVersion".to_owned(), Value::Null);
        change["metadata"] = Value::Object(metadata);
    }
    format!("from {}\nPUT {}{query}\n\n{change}\n", target.memory(), target.path())
}

fn delete(rng: &mut Rng, target: &Target) -> String {
    if rng.percent(8) {
        let selector = rng.pick(&["app%3Dweb", "app%21%3Dweb", "tier"]);
        return format!("DELETE {}?labelSelector={selector}\n", target.kind.path(&target.namespace));
    }
    let query = rng.pick(&["", "", "?propagationPolicy=Background", "?gracePeriodSeconds=0", "?dryRun=All"]);
    let body = match rng.below(5) {
        0 => format!("\n{{\"preconditions\": {{\"resourceVersion\": \"{{rv:{}}}\"}}}}\n", target.memory()),
        1 => format!("\n{{\"preconditions\": {{\"uid\": \"{{uid:{}}}\"}}}}\n", target.memory()),
        2 => "\n{\"preconditions\": {\"resourceVersion\": \"1\"}}\n".to_owned(),
        _ => String::new(),
    };
    format!("DELETE {}{query}\n{body}", target.path())
}

fn subresource(rng: &mut Rng, target: &Target) -> String {
    if target.kind.has_scale() && rng.percent(50) {
        return scale(rng, target);
    }
    let query = query(rng);
    let Some(status) = more::status(target.kind, rng) else { return format!("GET {}\n", target.path()) };
    let path = format!("{}/status", target.path());
    let mut body = json!({"status": status});
    match rng.below(5) {
        0 => format!("from {}\nPUT {path}{query}\n\n{body}\n", target.memory()),
        1 => {
            body["metadata"] = json!({"labels": {"by": "status"}, "annotations": {"note": "status"}});
            format!("PATCH {path}{query}\nContent-Type: {MERGE}\n\n{body}\n")
        }
        2 => format!("PATCH {path}{query}\nContent-Type: {MERGE}\n\n{body}\n"),
        3 => format!("GET {path}\n"),
        _ => {
            let force = if rng.percent(60) { "&force=true" } else { "" };
            body["apiVersion"] = target.kind.api_version().into();
            body["kind"] = target.kind.name().into();
            body["metadata"] = json!({"name": target.name});
            format!("PATCH {path}{query}{force}\nContent-Type: {APPLY}\n\n{body}\n")
        }
    }
}

fn scale(rng: &mut Rng, target: &Target) -> String {
    let query = query(rng);
    let path = format!("{}/scale", target.path());
    let replicas = rng.below(8);
    let mut body = json!({"spec": {"replicas": replicas}});
    match rng.below(4) {
        0 => format!("GET {path}\n"),
        1 => {
            body["metadata"] = json!({"name": target.name, "namespace": target.namespace});
            format!("PUT {path}{query}\n\n{body}\n")
        }
        2 => {
            let force = if rng.percent(60) { "&force=true" } else { "" };
            body["apiVersion"] = "autoscaling/v1".into();
            body["kind"] = "Scale".into();
            body["metadata"] = json!({"name": target.name});
            format!("PATCH {path}{query}{force}\nContent-Type: {APPLY}\n\n{body}\n")
        }
        _ => format!("PATCH {path}{query}\nContent-Type: {MERGE}\n\n{body}\n"),
    }
}

fn managed_fields(rng: &mut Rng, target: &Target) -> String {
    let query = query(rng);
    let body = match rng.below(6) {
        0 => json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]),
        1 => json!([{"op": "replace", "path": "/metadata/managedFields", "value": []}]),
        // What one manager owned is given to another, as when a tool takes over from another.
        2 => json!([{"op": "replace", "path": "/metadata/managedFields/0/manager", "value": rng.pick(&MANAGERS)}]),
        3 => json!([
            {"op": "replace", "path": "/metadata/managedFields/0/manager", "value": rng.pick(&MANAGERS)},
            {"op": "replace", "path": "/metadata/managedFields/0/operation", "value": "Apply"},
        ]),
        4 => json!([{"op": "remove", "path": "/metadata/managedFields/0"}]),
        _ => {
            json!([{"op": "replace", "path": "/metadata/managedFields/0/operation", "value": rng.pick(&["Update", "Else"])}])
        }
    };
    format!("PATCH {}{query}\nContent-Type: {JSON_PATCH}\n\n{body}\n", target.path())
}
