//! Random sequences of writes, as scripts.

use serde_json::{Value, json};

use super::kinds::{KINDS, Kind};
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
        if !seen.contains(&kind) {
            seen.push(kind);
            steps.push(format!("### the {}s that are left\nGET {}\n", kind.name(), kind.path(namespace)));
        }
    }
    steps
}

/// One step, which remembers its answer.
fn step(rng: &mut Rng, number: usize, target: &Target) -> String {
    let (what, request) = match rng.weighted(&[8, 36, 12, 14, 8, 12, 5, 3, 2]) {
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
    format!("### {number}: {what} of {kind} {}\nlet {}\n{request}", target.name, target.memory())
}

fn query(rng: &mut Rng) -> String {
    let dry = if rng.percent(4) { "&dryRun=All" } else { "" };
    format!("?fieldManager={}{dry}", rng.pick(&MANAGERS))
}

fn create(rng: &mut Rng, target: &Target) -> String {
    let query = query(rng);
    format!("POST {}{query}\n\n{}\n", target.kind.path(&target.namespace), target.manifest(rng, true))
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
    format!("PATCH {}{query}\nContent-Type: {MERGE}\n\n{}\n", target.path(), partial(rng, target))
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
    let body = match rng.below(4) {
        0 => format!("\n{{\"preconditions\": {{\"resourceVersion\": \"{{rv:{}}}\"}}}}\n", target.memory()),
        1 => format!("\n{{\"preconditions\": {{\"uid\": \"{{uid:{}}}\"}}}}\n", target.memory()),
        _ => String::new(),
    };
    format!("DELETE {}\n{body}", target.path())
}

fn subresource(rng: &mut Rng, target: &Target) -> String {
    let query = query(rng);
    let replicas = 1 + rng.below(4);
    match target.kind {
        Kind::Deployment if rng.percent(60) => {
            let body = json!({"spec": {"replicas": replicas}});
            format!("PATCH {}/scale{query}\nContent-Type: {MERGE}\n\n{body}\n", target.path())
        }
        Kind::Deployment => {
            let body = json!({"status": {"replicas": replicas, "observedGeneration": 1}});
            format!("PATCH {}/status{query}\nContent-Type: {MERGE}\n\n{body}\n", target.path())
        }
        kind if kind.is_custom() => {
            let body = json!({"apiVersion": kind.api_version(), "kind": kind.name(), "metadata": {"name": target.name}, "status": {"ready": rng.percent(50)}});
            format!("PATCH {}/status{query}&force=true\nContent-Type: {APPLY}\n\n{body}\n", target.path())
        }
        _ => format!("GET {}\n", target.path()),
    }
}

fn managed_fields(rng: &mut Rng, target: &Target) -> String {
    let query = query(rng);
    let entries = rng.pick(&[json!([{}]), json!([])]).clone();
    let body = json!([{"op": "replace", "path": "/metadata/managedFields", "value": entries}]);
    format!("PATCH {}{query}\nContent-Type: {JSON_PATCH}\n\n{body}\n", target.path())
}
