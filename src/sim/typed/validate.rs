//! Whether a value is of its type.

use serde_json::Value;

use super::show::{plain, source, type_name};
use super::{Shape, Shapes, TypeError, TypeErrors, element_of};
use crate::sim::fields::{Element, Path};
use crate::sim::schema::{List, ListKind, Map, Scalar, Type};

/// Whether items of a set or a keyed list may occur twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// As in what is applied.
    Refused,
    /// As in what is stored.
    Allowed,
}

/// Whether the value is of the type: no unknown field, no wrong shape, no list item without its keys.
///
/// # Errors
/// All that is wrong, in the server's words.
pub fn validate(of: Type<'_>, value: &Value, duplicates: Duplicates) -> Result<(), TypeErrors> {
    let mut walk = Walk { path: Vec::new(), errors: Vec::new(), duplicates };
    walk.value(of, value);
    TypeErrors::or(walk.errors, ())
}

/// What is wrong with a scalar.
pub(super) fn scalar_error(scalar: Scalar, value: &Value) -> Option<String> {
    match (scalar, value) {
        (_, Value::Null)
        | (Scalar::Numeric, Value::Number(_))
        | (Scalar::String, Value::String(_))
        | (Scalar::Boolean, Value::Bool(_))
        | (Scalar::Untyped, Value::Number(_) | Value::String(_) | Value::Bool(_)) => None,
        (Scalar::Numeric, value) => Some(format!("expected numeric (int or float), got {}", type_name(value))),
        (Scalar::String, value) => {
            Some(format!("expected string, got &value.valueUnstructured{{Value:{}}}", source(value)))
        }
        (Scalar::Boolean, value) => Some(format!("expected boolean, got &{{{}}}", plain(value))),
        (Scalar::Untyped, value) => Some(format!("expected any scalar, got &{{{}}}", plain(value))),
    }
}

struct Walk {
    path: Vec<Element>,
    errors: Vec<TypeError>,
    duplicates: Duplicates,
}

impl Walk {
    fn error(&mut self, message: impl Into<String>) {
        self.errors.push(TypeError { path: Path(self.path.clone()), message: message.into() });
    }

    fn value(&mut self, of: Type<'_>, value: &Value) {
        match Shapes::of(of, Some(value)).shape() {
            Shape::Map(map) => self.map(map, value),
            Shape::List(list) => self.list(list, value),
            Shape::Scalar(scalar) => {
                if let Some(message) = scalar_error(scalar, value) {
                    self.error(message);
                }
            }
            Shape::None => self.error("schema error: invalid atom: inlined"),
        }
    }

    fn map(&mut self, map: Map<'_>, value: &Value) {
        let members = match value {
            Value::Object(members) => members,
            Value::Null => return,
            other => return self.error(format!("expected map, got &{{{}}}", plain(other))),
        };
        for (name, value) in members {
            self.path.push(Element::field(name.as_str()));
            let of = map.member(name);
            match of {
                Some(of) => self.value(of, value),
                None => self.error("field not declared in schema"),
            }
            self.path.pop();
            // The server stops at the first unknown field of a map.
            if of.is_none() {
                return;
            }
        }
    }

    fn list(&mut self, list: List<'_>, value: &Value) {
        let items = match value {
            Value::Array(items) => items,
            Value::Null => return,
            other => return self.error(format!("expected list, got &{{{}}}", plain(other))),
        };
        let mut seen = std::collections::BTreeSet::new();
        for (at, item) in items.iter().enumerate() {
            let element = if *list.kind == ListKind::Atomic {
                Element::Index(i64::try_from(at).unwrap_or(i64::MAX))
            } else {
                match element_of(list, item) {
                    Ok(element) => element,
                    Err(message) => return self.error(format!("element {at}: {message}")),
                }
            };
            if !seen.insert(element.clone()) && self.duplicates == Duplicates::Refused {
                self.error(format!("duplicate entries for key {element}"));
            }
            self.path.push(element);
            self.value(list.items, item);
            self.path.pop();
        }
    }
}
