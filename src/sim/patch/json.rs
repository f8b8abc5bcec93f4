//! JSON patches (RFC 6902) with the habits of the server's library: `replace` makes a member that is missing, negative
//! indexes count from the end, and an operation that can't be done is an error without a reason.

use serde_json::Value;

/// Most operations in one patch, as the server has it.
const MAX_OPERATIONS: usize = 10_000;

/// Why a patch can't be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonPatchError {
    /// It is no list of operations.
    #[error("the patch is no list of operations")]
    NoList,
    /// It has too many.
    #[error("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {0}")]
    TooMany(usize),
    /// An operation is none, or does not fit the object.
    #[error("the patch does not fit")]
    Unfit,
}

/// `object` after a patch.
pub fn json(object: &Value, patch: &Value) -> Result<Value, JsonPatchError> {
    let operations = patch.as_array().ok_or(JsonPatchError::NoList)?;
    if operations.iter().any(|operation| !operation.is_object()) {
        return Err(JsonPatchError::NoList);
    }
    if operations.len() > MAX_OPERATIONS {
        return Err(JsonPatchError::TooMany(operations.len()));
    }
    let mut patched = object.clone();
    for operation in operations {
        apply(&mut patched, operation).ok_or(JsonPatchError::Unfit)?;
    }
    Ok(patched)
}

/// Does one operation; `None`: it can't be done.
fn apply(object: &mut Value, operation: &Value) -> Option<()> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let value = || operation.get("value").cloned().unwrap_or(Value::Null);
    let path = text("path")?;
    match text("op")? {
        "add" => add(object, path, value()),
        "remove" => remove(object, path).map(drop),
        "replace" => replace(object, path, value()),
        "move" => {
            let moved = remove(object, text("from")?)?;
            add(object, path, moved)
        }
        "copy" => {
            let copied = find(object, text("from")?)?.clone();
            add(object, path, copied)
        }
        "test" => {
            let found = find(object, path).cloned().unwrap_or(Value::Null);
            (found == value()).then_some(())
        }
        _ => None,
    }
}

/// The steps of a pointer; `None`: it is none.
fn steps(path: &str) -> Option<Vec<String>> {
    let rest = path.strip_prefix('/')?;
    Some(rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

/// An index into a list that may be as long as `length`.
fn index(step: &str, length: usize) -> Option<usize> {
    let number: i64 = step.parse().ok()?;
    let length = i64::try_from(length).ok()?;
    let at = if number < 0 { length.checked_add(number)? } else { number };
    usize::try_from(at).ok()
}

fn find<'v>(object: &'v Value, path: &str) -> Option<&'v Value> {
    if path.is_empty() {
        return Some(object);
    }
    steps(path)?.iter().try_fold(object, |value, step| match value {
        Value::Object(members) => members.get(step),
        Value::Array(items) => items.get(index(step, items.len())?),
        _ => None,
    })
}

/// What holds the last step of a path, and that step.
fn holder<'v>(object: &'v mut Value, path: &str) -> Option<(&'v mut Value, String)> {
    let mut steps = steps(path)?;
    let last = steps.pop()?;
    let held = steps.iter().try_fold(object, |value, step| match value {
        Value::Object(members) => members.get_mut(step),
        Value::Array(items) => {
            let at = index(step, items.len())?;
            items.get_mut(at)
        }
        _ => None,
    })?;
    Some((held, last))
}

fn add(object: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *object = value;
        return Some(());
    }
    match holder(object, path)? {
        (Value::Object(members), name) => drop(members.insert(name, value)),
        (Value::Array(items), step) if step == "-" => items.push(value),
        (Value::Array(items), step) => {
            let at = index(&step, items.len() + 1).filter(|at| *at <= items.len())?;
            items.insert(at, value);
        }
        _ => return None,
    }
    Some(())
}

fn replace(object: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *object = value;
        return Some(());
    }
    match holder(object, path)? {
        (Value::Object(members), name) => drop(members.insert(name, value)),
        (Value::Array(items), step) => {
            let at = index(&step, items.len())?;
            *items.get_mut(at)? = value;
        }
        _ => return None,
    }
    Some(())
}

fn remove(object: &mut Value, path: &str) -> Option<Value> {
    match holder(object, path)? {
        (Value::Object(members), name) => members.remove(&name),
        (Value::Array(items), step) => {
            let at = index(&step, items.len()).filter(|at| *at < items.len())?;
            Some(items.remove(at))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    #[test]
    fn operations_are_done_in_order() {
        let object = value!({"a": [1, 2], "b/c": {"d": "e"}});
        for (patch, expected) in [
            (value!([{"op": "add", "path": "/a/1", "value": 9}]), Some(value!({"a": [1, 9, 2], "b/c": {"d": "e"}}))),
            (
                value!([{"op": "replace", "path": "/x", "value": 9}]),
                Some(value!({"a": [1, 2], "b/c": {"d": "e"}, "x": 9})),
            ),
            (value!([{"op": "remove", "path": "/a/-1"}]), Some(value!({"a": [1], "b/c": {"d": "e"}}))),
            (value!([{"op": "move", "from": "/b~1c/d", "path": "/a/-"}]), Some(value!({"a": [1, 2, "e"], "b/c": {}}))),
            (value!([{"op": "test", "path": "/a/0", "value": 2}]), None),
            (value!([{"op": "twist", "path": "/a/0"}]), None),
            (value!([{"op": "remove", "path": "/nothing"}]), None),
        ] {
            assert_eq!(json(&object, &patch).ok(), expected, "{patch}");
        }
        assert_eq!(json(&object, &value!({})), Err(JsonPatchError::NoList));
    }
}
