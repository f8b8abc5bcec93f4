//! The metadata of objects: reading it, setting it, and what the server refuses in it.

use serde_json::{Map, Value, json};

use super::names;
use super::status::FieldError;
use crate::sim::kinds::Kind;

/// Largest annotations of an object, keys and values, in bytes.
const MAX_ANNOTATIONS: usize = 262_144;
/// Finalizers that need no domain.
const KNOWN_FINALIZERS: [&str; 3] = ["foregroundDeletion", "orphan", "kubernetes"];

/// Changes the metadata of an object, which is made if it is missing.
pub fn edit<R>(object: &mut Value, change: impl FnOnce(&mut Map<String, Value>) -> R) -> R {
    let mut metadata = match object.get_mut("metadata").map(Value::take) {
        Some(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    };
    let result = change(&mut metadata);
    match object {
        Value::Object(members) => members.insert("metadata".to_owned(), Value::Object(metadata)),
        other => Some(std::mem::replace(other, json!({"metadata": metadata}))),
    };
    result
}

/// Sets a member of the metadata.
pub fn set(object: &mut Value, name: &str, value: impl Into<Value>) {
    edit(object, |metadata| metadata.insert(name.to_owned(), value.into()));
}

/// A member of the metadata.
pub fn get<'o>(object: &'o Value, name: &str) -> Option<&'o Value> {
    object.get("metadata")?.get(name).filter(|value| !value.is_null())
}

/// A text of the metadata; empty if there is none.
pub fn text<'o>(object: &'o Value, name: &str) -> &'o str {
    get(object, name).and_then(Value::as_str).unwrap_or_default()
}

/// The finalizers of an object.
pub fn finalizers(object: &Value) -> Vec<&str> {
    let list = get(object, "finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Takes members of the metadata over from another state of the object, absent ones as well.
pub fn carry(object: &mut Value, from: &Value, names: &[&str]) {
    for name in names {
        let value = get(from, name).cloned();
        edit(object, |metadata| match value {
            Some(value) => metadata.insert((*name).to_owned(), value),
            None => metadata.remove(*name),
        });
    }
}

/// The generation, 0 if there is none.
pub fn generation(object: &Value) -> i64 {
    get(object, "generation").and_then(Value::as_i64).unwrap_or(0)
}

/// Drops what was sent empty: the server does not keep empty labels, annotations and the like.
pub fn tidy(object: &mut Value) {
    edit(object, |metadata| {
        metadata.retain(|_, value| match value {
            Value::Null => false,
            Value::Object(members) => !members.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::String(text) => !text.is_empty(),
            _ => true,
        });
    });
}

/// What is wrong with the metadata of an object. Of a custom one any qualified name is a finalizer.
pub fn check(object: &Value, kind: &Kind, (namespaced, custom): (bool, bool)) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let invalid = |field: &str, value: &str, problem: String| FieldError::invalid(field, &value.into(), problem);
    let generate = text(object, "generateName");
    if !generate.is_empty() {
        // A prefix is completed before it is a name.
        let problems = (kind.name)(&format!("{}x", generate.trim_end_matches('-')));
        errors.extend(problems.into_iter().map(|problem| invalid("metadata.generateName", generate, problem)));
    }
    let name = text(object, "name");
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else {
        errors.extend((kind.name)(name).into_iter().map(|problem| invalid("metadata.name", name, problem)));
    }
    let namespace = text(object, "namespace");
    if namespaced && namespace.is_empty() {
        errors.push(FieldError::required("metadata.namespace", ""));
    }
    for (key, value) in get(object, "labels").and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        errors.extend(names::qualified_name(key).into_iter().map(|problem| invalid("metadata.labels", key, problem)));
        errors.extend(names::label_value(value).into_iter().map(|problem| invalid("metadata.labels", value, problem)));
    }
    errors.extend(check_annotations(object));
    errors.extend(check_owners(object));
    for (index, finalizer) in finalizers(object).into_iter().enumerate() {
        let field = format!("metadata.finalizers[{index}]");
        let problems = names::qualified_name(finalizer);
        if !problems.is_empty() {
            errors.extend(problems.into_iter().map(|problem| invalid(&field, finalizer, problem)));
        } else if !finalizer.contains('/') && !custom && !KNOWN_FINALIZERS.contains(&finalizer) {
            let problem = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(invalid(&field, finalizer, problem.to_owned()));
        }
    }
    errors
}

fn check_annotations(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut size = 0;
    for (key, value) in get(object, "annotations").and_then(Value::as_object).into_iter().flatten() {
        // Capitals are allowed in the names of annotations.
        let problems = names::qualified_name(&key.to_lowercase());
        let invalid = |problem| FieldError::invalid("metadata.annotations", &key.as_str().into(), problem);
        errors.extend(problems.into_iter().map(invalid));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MAX_ANNOTATIONS {
        errors.push(FieldError::too_long("metadata.annotations", MAX_ANNOTATIONS));
    }
    errors
}

fn check_owners(object: &Value) -> Vec<FieldError> {
    let field = "metadata.ownerReferences";
    let mut errors = Vec::new();
    let owners = get(object, "ownerReferences").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut controller = None;
    for (index, owner) in owners.iter().enumerate() {
        let text = |name: &str| owner.get(name).and_then(Value::as_str).unwrap_or_default();
        let path = format!("{field}[{index}]");
        for name in ["apiVersion", "kind", "name", "uid"] {
            if text(name).is_empty() {
                errors.push(FieldError::required(format!("{path}.{name}"), "must not be empty"));
            }
        }
        let version = text("apiVersion");
        if version.matches('/').count() > 1 || version.ends_with('/') {
            let detail = "must be <group>/<version> or <version>";
            errors.push(FieldError::invalid(format!("{path}.apiVersion"), &version.into(), detail));
        }
        if (version, text("kind")) == ("v1", "Event") {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid_text(&path, owner_text(owner), detail));
        }
        if owner.get("controller") == Some(&true.into()) {
            let this = format!("{}/{}", text("kind"), text("name"));
            let Some(first) = &controller else {
                controller = Some(this);
                continue;
            };
            let told: Vec<String> = owners.iter().map(owner_text).collect();
            let detail = format!(
                "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
            );
            errors.push(FieldError::invalid_text(field, format!("[{}]", told.join(",")), detail));
        }
    }
    errors
}

/// An owner reference as the server writes it, its members in the order of its type.
fn owner_text(owner: &Value) -> String {
    let always =
        ["apiVersion", "kind", "name", "uid"].map(|name| (name, owner.get(name).cloned().unwrap_or_else(|| "".into())));
    let others = ["controller", "blockOwnerDeletion"].map(|name| (name, owner.get(name).cloned().unwrap_or_default()));
    let others = others.into_iter().filter(|(_, value)| !value.is_null());
    let told: Vec<String> = always.into_iter().chain(others).map(|(name, value)| format!("{name:?}:{value}")).collect();
    format!("{{{}}}", told.join(","))
}

/// Takes out owners that are there twice, and tells their uids.
pub fn drop_repeated_owners(object: &mut Value) -> Option<String> {
    let owners = get(object, "ownerReferences")?.as_array()?;
    let mut kept: Vec<Value> = Vec::new();
    let mut repeated = Vec::new();
    for owner in owners {
        if kept.contains(owner) {
            repeated.push(owner.get("uid").and_then(Value::as_str).unwrap_or_default().to_owned());
        } else {
            kept.push(owner.clone());
        }
    }
    if repeated.is_empty() {
        return None;
    }
    set(object, "ownerReferences", kept);
    Some(repeated.join(", "))
}

/// What is wrong with a change of the metadata.
pub fn check_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if get(old, "deletionTimestamp").is_some() {
        let before = finalizers(old);
        let added: Vec<&str> = finalizers(new).into_iter().filter(|name| !before.contains(name)).collect();
        if !added.is_empty() {
            let told: Vec<String> = added.iter().map(|name| format!("{name:?}")).collect();
            let list = format!("[]string{{{}}}", told.join(", "));
            let detail = "no new finalizers can be added if the object is being deleted, found new finalizers";
            errors.push(FieldError::forbidden("metadata.finalizers", format!("{detail} {list}")));
        }
    }
    for field in ["name", "namespace", "uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let (new, old) = (get(new, field), get(old, field));
        if new != old {
            let value = new.unwrap_or(&Value::Null);
            errors.push(FieldError::invalid(format!("metadata.{field}"), value, "field is immutable"));
        }
    }
    errors
}
