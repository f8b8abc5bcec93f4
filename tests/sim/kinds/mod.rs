//! What is particular to the built-in kinds, beside what kube-apiserver answered: `answers/`, made by `record.py` of
//! `corpus/`.

use std::fs;
use std::path::Path;

use driftless::sim::apiserver::columns::{self, Column};
use driftless::sim::apiserver::resources::Resources;
use driftless::sim::apiserver::status::{FieldError, Status};
use driftless::sim::kinds::services::Addresses;
use driftless::sim::kinds::{self, Generation, Kind};
use driftless::sim::schema::{Schemas, store};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// One resource of the recordings.
struct Recording {
    resource: String,
    recorded: Value,
}

impl Recording {
    fn cases(&self, section: &'static str) -> impl Iterator<Item = (String, &Value)> {
        let cases = self.recorded[section].as_object().into_iter().flatten();
        cases.map(move |(name, case)| (format!("{} {section} {name:?}", self.resource), case))
    }

    fn kind(&self) -> &'static Kind {
        kinds::of(&self.resource)
    }
}

fn recordings() -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/kinds/answers");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut recordings = Vec::new();
    for file in files {
        let kinds: Vec<Value> = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        recordings.extend(
            kinds
                .into_iter()
                .map(|recorded| Recording { resource: recorded["resource"].as_str().unwrap().to_owned(), recorded }),
        );
    }
    recordings
}

/// What the model answers to an object that is created.
fn create(resource: &str, object: &Value) -> Value {
    let kind = kinds::of(resource);
    let mut new = object.clone();
    (kind.defaults)(&mut new);
    let metadata = new["metadata"].as_object_mut().unwrap();
    metadata.insert("uid".to_owned(), "UID".into());
    metadata.insert("creationTimestamp".to_owned(), "2026-01-02T03:04:05Z".into());
    if is_namespaced(resource) {
        metadata.entry("namespace").or_insert_with(|| "default".into());
    }
    if kind.generation != Generation::None {
        metadata.insert("generation".to_owned(), 1.into());
    }
    if kind.has_status {
        new.as_object_mut().unwrap().remove("status");
    }
    (kind.prepare_create)(&mut new);
    let mut errors = check_name(kind, &new);
    (kind.validate)(&new, &mut errors);
    finish(resource, object, new, None, errors)
}

/// What it answers to a change.
fn update(resource: &str, old: &Value, sent: &Value) -> Value {
    let kind = kinds::of(resource);
    let mut new = sent.clone();
    (kind.defaults)(&mut new);
    let carried = ["uid", "creationTimestamp", "generation", "resourceVersion", "namespace"];
    for name in carried {
        match &old["metadata"][name] {
            Value::Null => drop(new["metadata"].as_object_mut().unwrap().remove(name)),
            value => new["metadata"][name] = value.clone(),
        }
    }
    if kind.has_status {
        new["status"] = old["status"].clone();
    }
    (kind.prepare_update)(&mut new, old);
    let annotations = new["metadata"]["annotations"] != old["metadata"]["annotations"];
    let changed = match kind.generation {
        Generation::None => false,
        Generation::Spec => body(&new) != body(old),
        Generation::SpecOrAnnotations => body(&new) != body(old) || annotations,
    };
    if changed {
        new["metadata"]["generation"] = (old["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
    }
    let mut errors = check_name(kind, &new);
    (kind.validate)(&new, &mut errors);
    (kind.validate_update)(&new, old, &mut errors);
    finish(resource, sent, new, Some(old), errors)
}

fn check_name(kind: &Kind, object: &Value) -> Vec<FieldError> {
    let name = &object["metadata"]["name"];
    let problems = (kind.name)(name.as_str().unwrap());
    problems.into_iter().map(|problem| FieldError::invalid("metadata.name", name, problem)).collect()
}

fn finish(resource: &str, sent: &Value, mut new: Value, old: Option<&Value>, mut errors: Vec<FieldError>) -> Value {
    if resource == "services" && errors.is_empty() {
        let mut addresses = Addresses::default();
        if let Some(old) = old {
            let errors = addresses.assign(&mut old.clone(), None);
            assert!(errors.is_empty(), "{errors:?}");
        }
        errors = addresses.assign(&mut new, old);
        if old.is_none() {
            hide_chosen(&mut new, sent);
        }
    }
    let kind = sent["kind"].as_str().unwrap();
    let (group, version) = sent["apiVersion"].as_str().unwrap().split_once('/').unwrap_or(("", "v1"));
    if errors.is_empty() {
        let schema = Schemas::builtin().of(group, version, kind).unwrap();
        if kind != "CustomResourceDefinition" {
            store(schema.root(), &mut new);
        }
        return new;
    }
    Status::invalid(group, kind, sent["metadata"]["name"].as_str().unwrap(), &errors).to_value()
}

/// What the server picks by chance stands under another name in the recordings.
fn hide_chosen(service: &mut Value, sent: &Value) {
    let picked: Value = "PICKED".into();
    let spec = &mut service["spec"];
    if sent["spec"].get("clusterIP").is_none() && spec.get("clusterIP").is_some_and(|address| address != "None") {
        spec["clusterIP"] = picked.clone();
        spec["clusterIPs"] = json!([picked]);
    }
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for (index, port) in ports.into_iter().flatten().enumerate() {
        if port.get("nodePort").is_some() && sent["spec"]["ports"][index].get("nodePort").is_none() {
            port["nodePort"] = picked.clone();
        }
    }
    if spec.get("healthCheckNodePort").is_some() && sent["spec"].get("healthCheckNodePort").is_none() {
        spec["healthCheckNodePort"] = picked;
    }
}

/// In a change, what neither side had before is picked by chance.
fn hide_new(service: &mut Value, old: &Value) {
    if service["kind"] != "Service" {
        return;
    }
    let spec = &mut service["spec"];
    if old["spec"].get("clusterIP").is_none() && spec.get("clusterIP").is_some() {
        spec["clusterIP"] = "PICKED".into();
        spec["clusterIPs"] = json!(["PICKED"]);
    }
    let given: Vec<&Value> =
        old["spec"]["ports"].as_array().into_iter().flatten().filter_map(|port| port.get("nodePort")).collect();
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(number) = port.get_mut("nodePort").filter(|number| !given.contains(&&**number)) {
            *number = "PICKED".into();
        }
    }
}

fn body(object: &Value) -> Map<String, Value> {
    let mut members = object.as_object().unwrap().clone();
    members.remove("metadata");
    members.remove("status");
    members
}

fn is_namespaced(resource: &str) -> bool {
    let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
    let resources = Resources::default();
    resources.all().any(|found| found.plural == plural && found.group == group && found.namespaced)
}

/// Without what the recordings leave out.
fn plain(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for name in ["creationTimestamp", "resourceVersion", "managedFields"] {
            metadata.remove(name);
        }
    }
    for path in ["/status/lastPhaseTransitionTime", "/status/conditions/0/lastTransitionTime"] {
        if let Some(time) = object.pointer_mut(path) {
            *time = "TIME".into();
        }
    }
    object
}

/// Where two values differ, for people.
fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for name in names {
                let path = format!("{path}.{name}");
                match (a.get(name), b.get(name)) {
                    (Some(a), Some(b)) => differences(&path, a, b, found),
                    (Some(a), None) => found.push(format!("{path}: {a}, which the server does not have")),
                    (_, b) => found.push(format!("{path}: missing, the server has {}", b.unwrap_or(&Value::Null))),
                }
            }
        }
        (a, b) if a != b => found.push(format!("{path}: {a}\n      server: {b}")),
        _ => {}
    }
}

#[track_caller]
fn assert_alike(checked: usize, least: usize, wrong: &[String]) {
    assert!(wrong.is_empty(), "{} of {checked} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checked >= least, "{checked} cases, {least} at least");
}

#[test]
fn objects_are_created_as_the_server_does() {
    let (mut checked, mut wrong) = (0, Vec::new());
    for recording in recordings() {
        for (name, case) in recording.cases("create") {
            checked += 1;
            let mut found = Vec::new();
            let ours = plain(create(&recording.resource, &case["object"]));
            differences("", &ours, &case["answer"], &mut found);
            if !found.is_empty() {
                wrong.push(format!("{name}\n    {}", found.join("\n    ")));
            }
        }
    }
    assert_alike(checked, 400, &wrong);
}

#[test]
fn objects_are_changed_as_the_server_does() {
    let (mut checked, mut wrong) = (0, Vec::new());
    for recording in recordings() {
        for (name, case) in recording.cases("update") {
            checked += 1;
            let mut found = Vec::new();
            let mut ours = plain(update(&recording.resource, &case["old"], &case["object"]));
            let mut theirs = case["answer"].clone();
            hide_new(&mut ours, &case["old"]);
            hide_new(&mut theirs, &case["old"]);
            differences("", &ours, &theirs, &mut found);
            if !found.is_empty() {
                wrong.push(format!("{name}\n    {}", found.join("\n    ")));
            }
        }
    }
    assert_alike(checked, 140, &wrong);
}

#[test]
fn defaults_of_what_has_them_change_nothing() {
    for recording in recordings() {
        for (name, case) in recording.cases("create").filter(|(_, case)| case["answer"]["kind"] != "Status") {
            let mut again = case["answer"].clone();
            (recording.kind().defaults)(&mut again);
            assert_eq!(again, case["answer"], "{name}");
        }
    }
}

#[test]
fn tables_are_the_servers() {
    let resources = Resources::default();
    let (mut checked, mut wrong) = (0, Vec::new());
    for recording in recordings() {
        let (plural, group) = recording.resource.split_once('.').unwrap_or((&recording.resource, ""));
        let resource = resources.all().find(|found| found.plural == plural && found.group == group).unwrap();
        for (name, case) in recording.cases("table") {
            checked += 1;
            let columns = columns::of(resource);
            let told: Vec<Value> = columns.iter().map(Column::definition).map(short).collect();
            let now: Timestamp = case["now"].as_str().unwrap().parse().unwrap();
            let cells: Vec<Value> = columns.iter().map(|column| column.cell(&case["object"], now)).collect();
            for (ours, theirs) in [(told, &case["columns"]), (cells, &case["cells"])] {
                if Value::from(ours.clone()) != *theirs {
                    wrong.push(format!("{name}\n    {}\n    server: {theirs}", Value::from(ours)));
                }
            }
        }
    }
    assert_alike(checked, 70, &wrong);
}

fn short(column: Value) -> Value {
    json!([column["name"], column["type"], column["format"], column["priority"]])
}

#[test]
fn columns_of_custom_resources_are_the_servers() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/kinds/printer.json");
    let tables: Vec<Value> = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(tables.len(), 2);
    for table in tables {
        let columns = columns::of_definition(&table["version"]);
        let now: Timestamp = table["now"].as_str().unwrap().parse().unwrap();
        for (index, column) in columns.iter().enumerate() {
            assert_eq!(short(column.definition()), table["columns"][index]);
            let name = &table["columns"][index][0];
            assert_eq!(column.cell(&table["object"], now), table["cells"][index], "{name}");
        }
        assert_eq!(columns.len(), table["cells"].as_array().unwrap().len());
    }
}

#[test]
fn ages_are_told_in_two_figures() {
    // As kube-apiserver told them of events that were last seen so many seconds ago.
    let told = [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (59, "59s"),
        (119, "119s"),
        (120, "2m"),
        (229, "3m49s"),
        (599, "9m59s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (11_100, "3h5m"),
        (28_799, "7h59m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (180_000, "2d2h"),
        (691_199, "7d23h"),
        (691_200, "8d"),
        (63_071_999, "729d"),
        (63_072_000, "2y"),
        (63_158_400, "2y1d"),
        (252_287_999, "7y364d"),
        (252_288_000, "8y"),
    ];
    for (seconds, text) in told {
        assert_eq!(columns::duration(seconds * 1000), text, "{seconds}");
    }
}
