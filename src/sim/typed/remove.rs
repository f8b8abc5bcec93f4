//! A value without some of its fields.

use serde_json::{Map as Members, Value};

use super::{Shape, Shapes, element_of};
use crate::sim::fields::{Element, FieldSet};
use crate::sim::schema::{List, ListKind, Map, Type};

/// The value without these fields and items. What nothing is left of is `null`: the server's own types take that for absent,
/// custom resources keep it.
pub fn remove(of: Type<'_>, value: &Value, fields: &FieldSet) -> Value {
    match Shapes::of(of, Some(value)).shape() {
        Shape::Map(map) if !map.is_atomic() => members(map, value, fields),
        Shape::List(list) if *list.kind != ListKind::Atomic => items(list, value, fields),
        Shape::Scalar(_) => value.clone(),
        Shape::Map(_) | Shape::List(_) | Shape::None => Value::Null,
    }
}

fn members(map: Map<'_>, value: &Value, fields: &FieldSet) -> Value {
    let mut out = Members::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let element = Element::field(name.as_str());
        if fields.has_step(&element) {
            continue;
        }
        let kept = match (fields.below(&element), map.member(name)) {
            (Some(below), Some(of)) => remove(of, value, below),
            _ => value.clone(),
        };
        out.insert(name.clone(), kept);
    }
    if out.is_empty() { Value::Null } else { Value::Object(out) }
}

fn items(list: List<'_>, value: &Value, fields: &FieldSet) -> Value {
    let mut out = Vec::new();
    for item in value.as_array().into_iter().flatten() {
        let kept = match element_of(list, item) {
            Ok(element) if fields.has_step(&element) => continue,
            Ok(element) => fields.below(&element).map_or_else(|| item.clone(), |below| remove(list.items, item, below)),
            Err(_) => item.clone(),
        };
        out.push(kept);
    }
    if out.is_empty() { Value::Null } else { Value::Array(out) }
}
