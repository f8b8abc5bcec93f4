//! Short ways through JSON: paths are member names with dots between them.

use serde_json::{Map, Value};

/// A value inside another; null if there is none.
pub(in crate::sim) fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').try_fold(value, |value, name| value.get(name)).unwrap_or(&Value::Null)
}

/// A text; empty if there is none.
pub(in crate::sim) fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    at(value, path).as_str().unwrap_or_default()
}

/// A number; 0 if there is none.
pub(in crate::sim) fn number(value: &Value, path: &str) -> i64 {
    at(value, path).as_i64().unwrap_or_default()
}

/// Whether there is something that is not null.
pub(in crate::sim) fn has(value: &Value, path: &str) -> bool {
    !at(value, path).is_null()
}

/// The items of a list; none if there is no list.
pub(in crate::sim) fn items<'v>(value: &'v Value, path: &str) -> &'v [Value] {
    at(value, path).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The texts of a list.
pub(in crate::sim) fn texts<'v>(value: &'v Value, path: &str) -> Vec<&'v str> {
    items(value, path).iter().filter_map(Value::as_str).collect()
}

/// The members of a map; none if there is no map.
pub(in crate::sim) fn members<'v>(value: &'v Value, path: &str) -> impl Iterator<Item = (&'v str, &'v Value)> {
    at(value, path).as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// Whether a value is what a field of Go is before it is set.
pub(in crate::sim) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// The map at a path; what is missing on the way is made. `None` if something else stands there.
pub(in crate::sim) fn object<'v>(value: &'v mut Value, path: &str) -> Option<&'v mut Map<String, Value>> {
    let mut value = value;
    for name in path.split('.').filter(|name| !name.is_empty()) {
        if value.is_null() {
            *value = Value::Object(Map::new());
        }
        value = value.as_object_mut()?.entry(name).or_insert(Value::Null);
    }
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

/// Puts a value at a path.
pub(in crate::sim) fn set(value: &mut Value, path: &str, new: impl Into<Value>) {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    if let Some(parent) = object(value, parent) {
        parent.insert(name.to_owned(), new.into());
    }
}

/// Puts a value at a path where there is none or null.
pub(in crate::sim) fn fill(value: &mut Value, path: &str, new: impl Into<Value>) {
    if !has(value, path) {
        set(value, path, new);
    }
}

/// Puts a value at a path where there is none, or an empty one.
pub(in crate::sim) fn fill_blank(value: &mut Value, path: &str, new: impl Into<Value>) {
    if is_blank(at(value, path)) {
        set(value, path, new);
    }
}

/// Takes a value out; null if there was none.
pub(in crate::sim) fn take(value: &mut Value, path: &str) -> Value {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let parent = if parent.is_empty() { Some(value) } else { inside(value, parent) };
    parent.and_then(Value::as_object_mut).and_then(|parent| parent.remove(name)).unwrap_or_default()
}

/// A value inside another, to change it.
pub(in crate::sim) fn inside<'v>(value: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    path.split('.').try_fold(value, |value, name| value.get_mut(name)).filter(|value| !value.is_null())
}

/// The items of a list, to change them.
pub(in crate::sim) fn each<'v>(value: &'v mut Value, path: &str) -> impl Iterator<Item = &'v mut Value> {
    inside(value, path).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Makes the value at a path what it is in another object, which may be nothing.
pub(in crate::sim) fn keep(value: &mut Value, old: &Value, path: &str) {
    match at(old, path) {
        Value::Null => drop(take(value, path)),
        kept => set(value, path, kept.clone()),
    }
}
