//! How two values differ.

use std::collections::BTreeMap;

use serde_json::{Map as Members, Value};

use super::validate::scalar_error;
use super::{Shape, Shapes, TypeError, TypeErrors, element_of, is_blank_list, is_blank_map};
use crate::sim::fields::{Element, FieldSet, Path, equal_values};
use crate::sim::schema::{List, ListKind, Map, Type};

/// The fields in which one value differs from another. No field is in two of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Fields that are gone.
    pub removed: FieldSet,
    /// Fields that are in both, and different.
    pub modified: FieldSet,
    /// Fields that are new.
    pub added: FieldSet,
}

impl Comparison {
    /// What differs beside these fields and what is below them.
    #[must_use]
    pub fn without(self, fields: &FieldSet) -> Self {
        Self {
            removed: self.removed.recursive_difference(fields),
            modified: self.modified.recursive_difference(fields),
            added: self.added.recursive_difference(fields),
        }
    }
}

/// What changed from `old` to `new`.
///
/// # Errors
/// What is of the type in neither of them.
pub fn compare(of: Type<'_>, old: &Value, new: &Value) -> Result<Comparison, TypeErrors> {
    let mut walk = Walk { path: Vec::new(), errors: Vec::new(), found: Comparison::default() };
    walk.value(of, Some(old), Some(new));
    TypeErrors::or(walk.errors, walk.found)
}

struct Walk {
    path: Vec<Element>,
    errors: Vec<TypeError>,
    found: Comparison,
}

impl Walk {
    fn error(&mut self, message: String) {
        self.errors.push(TypeError { path: Path(self.path.clone()), message });
    }

    fn below(&mut self, element: Element, of: Type<'_>, old: Option<&Value>, new: Option<&Value>) {
        self.path.push(element);
        self.value(of, old, new);
        self.path.pop();
    }

    fn value(&mut self, of: Type<'_>, old: Option<&Value>, new: Option<&Value>) {
        let (before, after) = (Shapes::of(of, old), Shapes::of(of, new));
        let leaf = if new.is_none() {
            self.shaped(before.shape(), old, new)
        } else {
            if old.is_some() && !before.same(&after) {
                // Another shape than before: what was below it is gone.
                self.shaped(before.shape(), old, new);
            }
            self.shaped(after.shape(), old, new)
        };
        if leaf {
            return;
        }
        if old.is_none() {
            self.found.added.insert(&self.path);
        } else if new.is_none() {
            self.found.removed.insert(&self.path);
        }
    }

    /// Whether it was compared as a leaf.
    fn shaped(&mut self, shape: Shape<'_>, old: Option<&Value>, new: Option<&Value>) -> bool {
        match shape {
            Shape::Map(map) => {
                if map.is_atomic() || is_blank_map(old) && is_blank_map(new) {
                    return self.leaf(old, new);
                }
                self.members(map, old.and_then(Value::as_object), new.and_then(Value::as_object));
                false
            }
            Shape::List(list) => {
                if *list.kind == ListKind::Atomic || is_blank_list(old) && is_blank_list(new) {
                    return self.leaf(old, new);
                }
                self.items(list, old, new);
                false
            }
            Shape::Scalar(scalar) => {
                let wrong = |value: Option<&Value>| value.and_then(|value| scalar_error(scalar, value));
                if let (Some(left), Some(right)) = (wrong(old), wrong(new)) {
                    self.error(format!("lhs: {left}"));
                    self.error(format!("rhs: {right}"));
                    return false;
                }
                self.leaf(old, new)
            }
            Shape::None => false,
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) -> bool {
        match (old, new) {
            (None, _) => self.found.added.insert(&self.path),
            (_, None) => self.found.removed.insert(&self.path),
            (Some(old), Some(new)) if !equal_values(old, new) => self.found.modified.insert(&self.path),
            _ => {}
        }
        true
    }

    fn members(&mut self, map: Map<'_>, old: Option<&Members<String, Value>>, new: Option<&Members<String, Value>>) {
        for (name, value) in old.into_iter().flatten() {
            if let Some(of) = map.member(name) {
                self.below(Element::field(name.as_str()), of, Some(value), new.and_then(|new| new.get(name)));
            }
        }
        for (name, value) in new.into_iter().flatten() {
            if old.is_some_and(|old| old.contains_key(name)) {
                continue;
            }
            if let Some(of) = map.member(name) {
                self.below(Element::field(name.as_str()), of, None, Some(value));
            }
        }
    }

    fn items(&mut self, list: List<'_>, old: Option<&Value>, new: Option<&Value>) {
        let mut items: BTreeMap<Element, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for (value, is_new) in [(old, false), (new, true)] {
            for (at, item) in value.and_then(Value::as_array).into_iter().flatten().enumerate() {
                match element_of(list, item) {
                    Err(message) => self.error(format!("element {at}: {message}")),
                    Ok(element) => {
                        let (old, new) = items.entry(element).or_default();
                        if is_new { new.push(item) } else { old.push(item) }
                    }
                }
            }
        }
        for (element, (old, new)) in items {
            self.item(list, element, &old, &new);
        }
    }

    /// One item, which either side may have more than once: then it is one value, and what was told apart in it is not.
    fn item(&mut self, list: List<'_>, element: Element, old: &[&Value], new: &[&Value]) {
        let mut path = self.path.clone();
        path.push(element.clone());
        match (old, new) {
            ([] | [_], [] | [_]) => self.below(element, list.items, old.first().copied(), new.first().copied()),
            ([_, _, ..], [_, _, ..]) => {
                if old.len() != new.len() || !old.iter().zip(new).all(|(old, new)| equal_values(old, new)) {
                    self.found.modified.insert(&path);
                }
            }
            ([_, _, ..], _) => {
                if let Some(new) = new.first() {
                    self.below(element, list.items, None, Some(new));
                }
                self.found.removed.insert(&path);
            }
            (_, _) => {
                if let Some(old) = old.first() {
                    self.below(element, list.items, Some(old), None);
                }
                self.found.added.insert(&path);
            }
        }
    }
}
