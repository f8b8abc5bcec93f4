//! Values as the server's own types hold them: it decodes what it is sent into structs, and writes what the structs hold. So
//! unknown fields go, what is empty is left out or always there, and scalars are written in one way.

mod scalar;

use serde_json::{Map as Members, Value};

use super::{Field, Map, Scalar, Schemas, Type};

/// No type contains itself by value, but a table could say so.
const MAX_DEPTH: usize = 64;

/// A value of the type in which nothing was set: of structs, the fields that the server always writes.
#[must_use]
pub fn zero(of: Type<'_>) -> Value {
    of.map().map_or(Value::Null, |map| Value::Object(blank(map, MAX_DEPTH)))
}

fn blank(map: Map<'_>, depth: usize) -> Members<String, Value> {
    let always = map.fields().filter(|(_, field, _)| field.always);
    always.map(|(name, field, of)| (name.to_owned(), unset(field, of, depth))).collect()
}

/// What a field is that is always written and was not set.
fn unset(field: &Field, of: Type<'_>, depth: usize) -> Value {
    match (of.map(), of.scalar()) {
        (Some(map), None) if field.is_struct() && depth > 0 => Value::Object(blank(map, depth - 1)),
        (Some(_), None) => Value::Null,
        _ => scalar::zero(of),
    }
}

/// Makes an object of a built-in kind what the server reads it as, but for defaults.
///
/// An empty `metadata.managedFields` stays, because it means that they be dropped. Scalars of a wrong type stay what they are.
pub fn normalize(of: Type<'_>, object: &mut Value) {
    let reset = is_reset(object);
    if let (Some(map), Value::Object(members)) = (of.map(), &mut *object) {
        fields(map, members);
    }
    if reset && let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.insert("managedFields".to_owned(), Value::Array(Vec::new()));
    }
}

/// Makes a [normalized](normalize) object what the server reads from its store, which makes no difference between an empty list
/// or map and none.
pub fn store(of: Type<'_>, object: &mut Value) {
    match object {
        Value::Object(members) if !of.format().is_opaque() => {
            let Some(map) = of.map() else { return };
            for (name, value) in members.iter_mut() {
                if let Some((_, of)) = map.field(name) {
                    let blank = value.as_array().is_some_and(Vec::is_empty)
                        || !of.is_struct() && value.as_object().is_some_and(Members::is_empty);
                    if blank && !of.format().is_opaque() {
                        *value = Value::Null;
                    }
                }
                if let Some(of) = map.member(name) {
                    store(of, value);
                }
            }
        }
        Value::Array(items) if !of.format().is_opaque() => {
            if let Some(list) = of.list() {
                items.iter_mut().for_each(|item| store(list.items, item));
            }
        }
        _ => {}
    }
}

/// Does the same to the metadata of a custom resource, where an empty list of managed fields means nothing.
pub(super) fn metadata(object: &mut Value) {
    let (Some(meta), Some(metadata)) = (Schemas::builtin().named("meta.v1.ObjectMeta"), object.get_mut("metadata"))
    else {
        return;
    };
    if let (Some(map), Value::Object(members)) = (meta.root().map(), metadata) {
        fields(map, members);
    }
}

fn is_reset(object: &Value) -> bool {
    object.pointer("/metadata/managedFields").and_then(Value::as_array).is_some_and(Vec::is_empty)
}

fn fields(map: Map<'_>, members: &mut Members<String, Value>) {
    members.retain(|name, value| match map.field(name) {
        Some((field, of)) => {
            normal(of, value);
            field.always && !value.is_null() || keeps(field, of, value)
        }
        None => false,
    });
    for (name, field, of) in map.fields().filter(|(_, field, _)| field.always) {
        if !members.contains_key(name) {
            members.insert(name.to_owned(), unset(field, of, MAX_DEPTH));
        }
    }
}

/// Whether a field that may be left out is written.
fn keeps(field: &Field, of: Type<'_>, value: &Value) -> bool {
    let struct_or_any = of.is_struct() || of.format().is_opaque();
    match value {
        Value::Null => false,
        _ if field.pointer || struct_or_any => true,
        Value::Bool(set) => *set,
        Value::Number(number) => number.as_f64() != Some(0.0) || of.scalar() == Some(Scalar::Untyped),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

fn normal(of: Type<'_>, value: &mut Value) {
    match value {
        Value::Object(members) => match of.map() {
            Some(_) if of.format().is_opaque() => {}
            Some(map) if of.is_struct() => fields(map, members),
            Some(map) => {
                for value in members.values_mut() {
                    if let Some(of) = map.elements() {
                        element(of, value);
                    }
                }
            }
            None => {}
        },
        Value::Array(items) => {
            if let Some(list) = of.list().filter(|_| !of.format().is_opaque()) {
                items.iter_mut().for_each(|item| element(list.items, item));
            }
        }
        _ => scalar::normal(of.format(), value),
    }
}

/// An item of a list or a value of a map: it is there, even where nothing is set.
fn element(of: Type<'_>, value: &mut Value) {
    if value.is_null() && !of.format().is_opaque() {
        *value = if of.is_struct() { zero(of) } else { scalar::zero(of) };
    }
    normal(of, value);
}
