//! Strategic merge patches (Kubernetes' API convention of that name).

use serde_json::{Map as Members, Value};

use crate::sim::schema::{Field, Map, Type};
use crate::sim::typed::plain;

/// Says what becomes of a map or of a list's item: `replace`, `delete`, `merge`.
const DIRECTIVE: &str = "$patch";
/// Names values to be taken out of a list of scalars.
const DELETE_PREFIX: &str = "$deleteFromPrimitiveList/";
/// Names the order that a list shall have.
const ORDER_PREFIX: &str = "$setElementOrder/";
/// Names the fields that a map keeps.
const RETAIN: &str = "$retainKeys";

/// Why a patch can't be applied. The texts are the server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch is no map.
    #[error("Invalid JSON Patch")]
    NoMap,
    /// A directive that there isn't.
    #[error("unknown patch type: {directive} in map: {map}")]
    UnknownDirective {
        /// The directive.
        directive: String,
        /// The map, as Go prints it.
        map: String,
    },
    /// An item of a list that merges has no key.
    #[error("map: {item} does not contain declared merge key: {key}")]
    NoKey {
        /// The item, as Go prints it.
        item: String,
        /// The field that it lacks.
        key: String,
    },
    /// A list is not in the order that the patch names.
    #[error("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n")]
    Order {
        /// The list, as Go prints it.
        patch: String,
        /// The order, as Go prints it.
        order: String,
    },
    /// A value is of another kind than what it is merged with.
    #[error("unable to merge a {0} into a {1}")]
    Mismatch(&'static str, &'static str),
}

/// `old` after a patch; `of` is its type.
pub fn strategic(of: Type<'_>, old: &Value, patch: &Value) -> Result<Value, PatchError> {
    let (Value::Object(old), Value::Object(patch)) = (old, patch) else { return Err(PatchError::NoMap) };
    merge_map(of.map(), old.clone(), patch).map(Value::Object)
}

fn merge_map(
    of: Option<Map<'_>>,
    old: Members<String, Value>,
    patch: &Members<String, Value>,
) -> Result<Members<String, Value>, PatchError> {
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => return Ok(without_directives(patch)),
        Some("delete") => return Ok(Members::new()),
        Some("merge") | None => {}
        Some(other) => {
            let map = plain(&Value::Object(patch.clone()));
            return Err(PatchError::UnknownDirective { directive: other.to_owned(), map });
        }
    }
    let mut new = old;
    if let Some(kept) = patch.get(RETAIN).and_then(Value::as_array) {
        new.retain(|name, _| kept.iter().any(|kept| kept == name));
    }
    for (name, value) in patch {
        if name == DIRECTIVE || name == RETAIN || name.starts_with(ORDER_PREFIX) {
            continue;
        }
        if let Some(list) = name.strip_prefix(DELETE_PREFIX) {
            delete_scalars(&mut new, list, value);
            continue;
        }
        if value.is_null() {
            new.remove(name);
            continue;
        }
        let member = of.and_then(|of| of.field(name));
        let order = patch.get(&format!("{ORDER_PREFIX}{name}")).and_then(Value::as_array);
        let merged = match (new.remove(name), value) {
            (Some(Value::Object(old)), Value::Object(patch))
                if !member.is_some_and(|(field, _)| field.patch.replace) =>
            {
                let of = of.and_then(|of| of.member(name)).and_then(Type::map);
                Value::Object(merge_map(of, old, patch)?)
            }
            (Some(Value::Array(old)), Value::Array(patch)) => Value::Array(merge_list(member, old, patch, order)?),
            (_, Value::Object(patch)) => {
                let of = of.and_then(|of| of.member(name)).and_then(Type::map);
                Value::Object(merge_map(of, Members::new(), patch)?)
            }
            (_, Value::Array(patch)) => Value::Array(merge_list(member, Vec::new(), patch, order)?),
            (_, scalar) => scalar.clone(),
        };
        new.insert(name.clone(), merged);
    }
    for (name, order) in patch {
        if let (Some(list), Some(order)) = (name.strip_prefix(ORDER_PREFIX), order.as_array())
            && !patch.contains_key(list)
            && let Some(Value::Array(items)) = new.get_mut(list)
        {
            let key = of.and_then(|of| of.field(list)).and_then(|(field, _)| field.patch.merge_key.clone());
            let before = items.clone();
            *items = interleave(std::mem::take(items), order, &before, key.as_deref().unwrap_or_default());
        }
    }
    Ok(new)
}

fn without_directives(patch: &Members<String, Value>) -> Members<String, Value> {
    let kept = patch.iter().filter(|(name, _)| !name.starts_with('$'));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn delete_scalars(object: &mut Members<String, Value>, list: &str, gone: &Value) {
    let (Some(Value::Array(items)), Value::Array(gone)) = (object.get_mut(list), gone) else { return };
    items.retain(|item| !gone.contains(item));
    if items.is_empty() {
        object.remove(list);
    }
}

fn merge_list(
    field: Option<(&Field, Type<'_>)>,
    old: Vec<Value>,
    patch: &[Value],
    order: Option<&Vec<Value>>,
) -> Result<Vec<Value>, PatchError> {
    let Some(key) = field.and_then(|(field, _)| field.patch.merge_key.as_deref()) else {
        // Without a key lists are replaced, and what stands in the new one is kept as it is.
        return Ok(patch.iter().filter(|item| item.get(DIRECTIVE).is_none()).cloned().collect());
    };
    let server = old.clone();
    let mut items = old;
    if key.is_empty() {
        for item in patch {
            if !items.contains(item) {
                items.push(item.clone());
            }
        }
    } else {
        let of = field.and_then(|(_, of)| of.list()).and_then(|list| list.items.map());
        if patch
            .iter()
            .any(|item| item.get(DIRECTIVE).and_then(Value::as_str) == Some("replace") && item.get(key).is_none())
        {
            items.clear();
        }
        for item in patch {
            merge_item(of, &mut items, item, key)?;
        }
    }
    if let Some(order) = order {
        check_order(patch, order, key)?;
    }
    Ok(interleave(items, order.map_or(patch, Vec::as_slice), &server, key))
}

/// What a patch changes stands in the order that it names.
fn check_order(patch: &[Value], order: &[Value], key: &str) -> Result<(), PatchError> {
    let changed: Vec<&Value> = patch.iter().filter(|item| item.get(DIRECTIVE).is_none()).collect();
    let mut named = order.iter();
    let fits = |item: &&Value| named.any(|of| identity(of, key) == identity(item, key));
    if order.is_empty() || changed.iter().all(fits) {
        return Ok(());
    }
    Err(PatchError::Order { patch: plain(&patch.into()), order: plain(&order.into()) })
}

/// What an item is known by.
fn identity<'v>(item: &'v Value, key: &str) -> &'v Value {
    if key.is_empty() { item } else { item.get(key).unwrap_or(&Value::Null) }
}

/// The items of the patch in its order, and those that only the list before has in its. One of the latter stands in front of an
/// item of the patch only if it stood there before.
fn interleave(items: Vec<Value>, patch: &[Value], before: &[Value], key: &str) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| list.iter().position(|of| identity(of, key) == identity(item, key));
    let named = patch.iter().filter(|item| item.get(DIRECTIVE).is_none()).cloned().collect::<Vec<_>>();
    let (mut told, mut others): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| place(&named, item).is_some());
    told.sort_by_key(|item| place(&named, item));
    others.sort_by_key(|item| place(before, item));
    let mut others = others.into_iter().peekable();
    let mut out = Vec::new();
    for item in told {
        let at = place(before, &item);
        while let Some(other) =
            others.next_if(|other| at.is_some_and(|at| place(before, other).is_some_and(|o| o < at)))
        {
            out.push(other);
        }
        out.push(item);
    }
    out.extend(others);
    out
}

fn merge_item(of: Option<Map<'_>>, items: &mut Vec<Value>, item: &Value, key: &str) -> Result<(), PatchError> {
    let Value::Object(patch) = item else { return Err(PatchError::Mismatch("scalar", "map")) };
    let directive = patch.get(DIRECTIVE).and_then(Value::as_str);
    let Some(value) = patch.get(key) else {
        return match directive {
            Some("replace") => Ok(()),
            _ => Err(PatchError::NoKey { item: plain(item), key: key.to_owned() }),
        };
    };
    let at = items.iter().position(|known| known.get(key) == Some(value));
    match (directive, at) {
        (Some("delete"), Some(at)) => drop(items.remove(at)),
        (Some("delete"), None) => {}
        (_, Some(at)) => {
            if let Some(Value::Object(old)) = items.get(at).cloned()
                && let Some(place) = items.get_mut(at)
            {
                *place = Value::Object(merge_map(of, old, patch)?);
            }
        }
        // What is new is not looked into.
        (_, None) => items.push(item.clone()),
    }
    Ok(())
}
