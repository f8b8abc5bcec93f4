//! Two values made one: what is applied over what is there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map as Members, Value};

use super::validate::scalar_error;
use super::{Shape, Shapes, TypeError, TypeErrors, element_of, is_blank_list, is_blank_map};
use crate::sim::fields::{Element, Path};
use crate::sim::schema::{List, ListKind, Map, Type};

/// `live` with what `config` says. Nothing is removed; items of lists stand in the order of `config` where it says one.
///
/// # Errors
/// What is of neither side's type, and items that `config` has twice.
pub fn merge(of: Type<'_>, live: &Value, config: &Value) -> Result<Value, TypeErrors> {
    let mut walk = Walk { path: Vec::new(), errors: Vec::new() };
    let merged = walk.value(of, Some(live), Some(config));
    TypeErrors::or(walk.errors, merged.unwrap_or(Value::Null))
}

struct Walk {
    path: Vec<Element>,
    errors: Vec<TypeError>,
}

impl Walk {
    fn error(&mut self, message: String) {
        self.errors.push(TypeError { path: Path(self.path.clone()), message });
    }

    fn below<T>(&mut self, element: Element, f: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(element);
        let result = f(self);
        self.path.pop();
        result
    }

    /// `None`: nothing is left of it.
    fn value(&mut self, of: Type<'_>, left: Option<&Value>, right: Option<&Value>) -> Option<Value> {
        let (Some(_), Some(theirs)) = (left, right) else { return left.or(right).cloned() };
        match Shapes::of(of, Some(theirs)).shape() {
            Shape::Map(map) => self.map(map, left, right),
            Shape::List(list) => self.list(list, left, right),
            Shape::Scalar(scalar) => {
                let wrong = |value: Option<&Value>| value.and_then(|value| scalar_error(scalar, value));
                if let (Some(left), Some(right)) = (wrong(left), wrong(right)) {
                    self.error(format!("lhs: {left}"));
                    self.error(format!("rhs: {right}"));
                    return None;
                }
                right.cloned()
            }
            Shape::None => None,
        }
    }

    fn map(&mut self, map: Map<'_>, left: Option<&Value>, right: Option<&Value>) -> Option<Value> {
        if map.is_atomic() || is_blank_map(left) && is_blank_map(right) {
            return right.cloned();
        }
        let (ours, theirs) = (left.and_then(Value::as_object), right.and_then(Value::as_object));
        let names: BTreeSet<&String> = ours.into_iter().chain(theirs).flat_map(Members::keys).collect();
        let mut out = Members::new();
        for name in names {
            let Some(of) = map.member(name) else { continue };
            let sides = (ours.and_then(|members| members.get(name)), theirs.and_then(|members| members.get(name)));
            if let Some(value) = self.below(Element::field(name.as_str()), |walk| walk.value(of, sides.0, sides.1)) {
                out.insert(name.clone(), value);
            }
        }
        (!out.is_empty()).then_some(Value::Object(out))
    }

    fn list(&mut self, list: List<'_>, left: Option<&Value>, right: Option<&Value>) -> Option<Value> {
        if *list.kind == ListKind::Atomic || is_blank_list(left) && is_blank_list(right) {
            return right.cloned();
        }
        let errors = self.errors.len();
        let theirs = self.index(list, right, false);
        let ours = self.index(list, left, true);
        if self.errors.len() > errors {
            return None;
        }
        let out = self.zip(list, &ours, &theirs);
        (!out.is_empty()).then_some(Value::Array(out))
    }

    /// The items in their order, each with what it is told apart by.
    fn index<'v>(&mut self, list: List<'_>, value: Option<&'v Value>, twice: bool) -> Vec<(Element, &'v Value)> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for (at, item) in value.and_then(Value::as_array).into_iter().flatten().enumerate() {
            match element_of(list, item) {
                Err(message) => self.error(format!("element {at}: {message}")),
                Ok(element) if !seen.insert(element.clone()) && !twice => {
                    self.error(format!("duplicate entries for key {element}"));
                }
                Ok(element) => found.push((element, item)),
            }
        }
        found
    }

    /// Both lists as one. The items that both have stand in the order of the right one; an item that only the left one has
    /// stays in front of the item that it was in front of.
    fn zip(&mut self, list: List<'_>, ours: &[(Element, &Value)], theirs: &[(Element, &Value)]) -> Vec<Value> {
        let mut left: BTreeMap<&Element, &Value> = BTreeMap::new();
        for (element, item) in ours {
            // An item that is there twice is not merged but replaced.
            left.entry(element).and_modify(|item| *item = &Value::Null).or_insert(item);
        }
        let right: BTreeMap<&Element, &Value> = theirs.iter().map(|(element, item)| (element, *item)).collect();
        let mut shared: VecDeque<&Element> =
            theirs.iter().map(|(element, _)| element).filter(|element| left.contains_key(element)).collect();
        let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
        let (mut out, mut placed) = (Vec::new(), BTreeSet::new());
        loop {
            let (mine, next) = (ours.peek().copied(), theirs.peek().map(|(element, _)| element));
            match mine {
                Some((element, item)) if !right.contains_key(element) => {
                    out.push((*item).clone());
                    ours.next();
                    continue;
                }
                // A shared item whose turn it isn't: it comes where the right list has it.
                Some((element, _))
                    if next.is_some_and(|next| next != element)
                        && shared.front().is_some_and(|first| *first != element) =>
                {
                    ours.next();
                    continue;
                }
                Some((element, _)) if Some(element) == next || placed.contains(element) => {
                    ours.next();
                }
                Some(_) => {}
                None if next.is_none() => return out,
                None => {}
            }
            let Some((element, item)) = theirs.next() else { continue };
            placed.insert(element);
            let merged =
                self.below(element.clone(), |walk| walk.value(list.items, left.get(element).copied(), Some(item)));
            out.extend(merged);
            if shared.front() == Some(&element) {
                shared.pop_front();
            }
        }
    }
}
