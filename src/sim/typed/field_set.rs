//! The fields that a value sets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Shape, Shapes, element_of};
use crate::sim::fields::{Element, FieldSet};
use crate::sim::schema::{List, ListKind, Map, Type};

/// All leaves of a value, the items of its lists and the members of its maps: what one who applies it owns.
///
/// Of items that occur twice only the item itself is in the set. The value must be of the type.
pub fn field_set(of: Type<'_>, value: &Value) -> FieldSet {
    walk(of, value).1
}

/// Whether the value is a leaf, and what is set below it.
fn walk(of: Type<'_>, value: &Value) -> (bool, FieldSet) {
    match Shapes::of(of, Some(value)).shape() {
        Shape::Map(map) if map.is_atomic() => (true, FieldSet::default()),
        Shape::List(list) if *list.kind == ListKind::Atomic => (true, FieldSet::default()),
        Shape::Map(map) => (false, members(map, value)),
        Shape::List(list) => (false, items(list, value)),
        Shape::Scalar(_) => (true, FieldSet::default()),
        Shape::None => (false, FieldSet::default()),
    }
}

fn members(map: Map<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    for (name, value) in value.as_object().into_iter().flatten() {
        let Some(of) = map.member(name) else { continue };
        let (leaf, below) = walk(of, value);
        let blank = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
        set.put(Element::field(name.as_str()), leaf || blank || map.field(name).is_none(), below);
    }
    set
}

fn items(list: List<'_>, value: &Value) -> FieldSet {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let elements: Vec<_> = items.iter().filter_map(|item| Some((element_of(list, item).ok()?, item))).collect();
    let mut count: BTreeMap<&Element, usize> = BTreeMap::new();
    elements.iter().for_each(|(element, _)| *count.entry(element).or_default() += 1);
    let twice: BTreeSet<Element> =
        count.into_iter().filter(|(_, count)| *count > 1).map(|(element, _)| element.clone()).collect();
    let mut set = FieldSet::default();
    for (element, item) in elements {
        let below = if twice.contains(&element) { FieldSet::default() } else { walk(list.items, item).1 };
        set.put(element, true, below);
    }
    set
}
