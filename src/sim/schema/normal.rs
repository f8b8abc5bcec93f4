//! Values as the server's own types hold them: what Go's structs always write, and how they write scalars.

use serde_json::{Map as Members, Value};

use super::{Format, Map, Type};

/// A value of the type in which nothing was set: of structs, the fields that the server always writes.
#[must_use]
pub fn zero(of: Type<'_>) -> Value {
    match of.map() {
        Some(map) => Value::Object(blank(map, MAX_DEPTH)),
        None => Value::Null,
    }
}

/// No type contains itself by value, but a table could say so.
const MAX_DEPTH: usize = 64;

fn blank(map: Map<'_>, depth: usize) -> Members<String, Value> {
    let mut members = Members::new();
    for (name, field, of) in map.fields() {
        let value = match &field.default {
            Some(Value::Object(_)) if depth > 0 => of.map().map(|map| Value::Object(blank(map, depth - 1))),
            Some(_) if field.required => Some(empty(of)),
            None if field.required => Some(Value::Null),
            _ => None,
        };
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    }
    members
}

/// What a scalar is before it is set.
fn empty(of: Type<'_>) -> Value {
    match of.scalar() {
        Some(super::Scalar::Numeric) => 0.into(),
        Some(super::Scalar::Boolean) => false.into(),
        Some(super::Scalar::String) => "".into(),
        Some(super::Scalar::Untyped) | None => match of.format() {
            Format::IntOrString => 0.into(),
            Format::Quantity => "0".into(),
            _ => Value::Null,
        },
    }
}
