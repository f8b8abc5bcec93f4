//! Lists whose elements are told apart by keys, or by themselves, in strategic merge patches.
//!
//! The elements that one list shares with another while it is built are named by handles into [`Elements`]: kustomize
//! goes by identity where it removes and replaces what an element was, and what remains of lists with missing or repeated
//! keys depends on it.

use super::schema::Node;
use super::strategic_merge::{DIRECTIVE, Directive, MergeError, Outcome, Walk, is_empty_or_null, parse_directive};
use super::value::{Map, Value};

/// Longest list that is merged. The work grows with the square of it.
const MAX_ELEMENTS: usize = 10_000;

/// What a list is merged with.
pub(super) enum Patch {
    /// Nothing: the patch doesn't have the field.
    Nothing,
    /// Itself: the list is the patch's own, and new.
    Itself,
    /// The patch's list.
    Items(Vec<Value>),
}

/// Name of an element.
type Handle = usize;

/// The elements of both lists.
struct Elements {
    values: Vec<Value>,
}

/// What an element is looked for by: values for the keys of the same place. A primitive has one key, the empty one.
#[derive(Clone, Copy)]
struct Query<'k> {
    keys: &'k [&'k str],
    values: &'k [String],
}

/// What a list of a patch says about itself; the elements that say it are taken out of it.
pub(super) fn take_directive(items: &mut Vec<Value>) -> Result<Directive, MergeError> {
    let said = items.iter().filter_map(Value::as_map).find(|map| map.contains_key(DIRECTIVE));
    // An element with more than the directive means itself.
    let Some(value) = said.filter(|map| map.len() == 1).and_then(|map| map.get(DIRECTIVE)) else {
        return Ok(Directive::Merge);
    };
    let directive = parse_directive(value)?;
    let text = text(Some(value)).to_owned();
    items.retain(|item| {
        !is_empty_or_null(item) && item.get(DIRECTIVE).is_none_or(|value| value.text() != Some(text.as_str()))
    });
    Ok(directive)
}

/// Merges a list with the patch's.
pub(super) fn merge<'s>(
    walk: Walk<'s>,
    list: &mut Vec<Value>,
    patch: Patch,
    keys: &[Box<str>],
    node: Option<Node<'s>>,
) -> Result<(), MergeError> {
    let keys: Vec<&str> = if keys.is_empty() { vec![""] } else { keys.iter().map(AsRef::as_ref).collect() };
    let mut elements = Elements { values: std::mem::take(list) };
    let ours: Vec<Handle> = (0..elements.values.len()).collect();
    let theirs = match patch {
        Patch::Nothing => Theirs::Nothing,
        Patch::Itself => Theirs::Ours,
        Patch::Items(items) => {
            let first = elements.values.len();
            elements.values.extend(items);
            Theirs::Other((first..elements.values.len()).collect())
        }
    };
    if elements.values.len() > MAX_ELEMENTS {
        return Err(MergeError::new(format!("a list of more than {MAX_ELEMENTS} elements can't be merged")));
    }
    let merged = Merge { walk, keys: &keys, node, elements, ours, theirs }.run()?;
    *list = merged;
    Ok(())
}

/// The patch's list while it is merged.
enum Theirs {
    Nothing,
    /// The very list that is merged, with all that happens to it.
    Ours,
    Other(Vec<Handle>),
}

/// One list being merged.
struct Merge<'s, 'k> {
    walk: Walk<'s>,
    keys: &'k [&'k str],
    /// Structure of the list.
    node: Option<Node<'s>>,
    elements: Elements,
    ours: Vec<Handle>,
    theirs: Theirs,
}

impl Merge<'_, '_> {
    fn run(mut self) -> Result<Vec<Value>, MergeError> {
        let mut wanted = self.values()?;
        if self.keys.len() > 1 {
            unite(&mut wanted);
        }
        // A key that no element has tells nothing apart.
        let told: Vec<bool> = (0..self.keys.len()).map(|at| wanted.iter().any(|values| has(values, at))).collect();
        let all = !told.contains(&true);
        let pick = |at: &usize| all || told.get(*at) == Some(&true);
        let places: Vec<usize> = (0..self.keys.len()).filter(pick).collect();
        let keys: Vec<&str> = places.iter().filter_map(|at| self.keys.get(*at).copied()).collect();
        let mut merged = Vec::new();
        for values in &wanted {
            let values: Vec<String> = places.iter().filter_map(|at| values.get(*at).cloned()).collect();
            self.element(&mut merged, Query { keys: &keys, values: &values })?;
        }
        if wanted.is_empty() {
            return Ok(self.elements.collect(&self.ours));
        }
        for handle in std::mem::take(&mut self.ours) {
            self.elements.put(&mut merged, handle, &keys)?;
        }
        Ok(self.elements.collect(&merged))
    }

    /// The values by which the elements are told apart: those of the patch in front of those of the object.
    fn values(&self) -> Result<Vec<Vec<String>>, MergeError> {
        let theirs = match &self.theirs {
            Theirs::Nothing => [].as_slice(),
            Theirs::Ours => &self.ours,
            Theirs::Other(theirs) => theirs,
        };
        let mut found: Vec<Vec<String>> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for handle in theirs.iter().chain(&self.ours) {
            let element = self.elements.get(*handle);
            let values: Vec<String> = self.keys.iter().map(|key| key_value(element, key)).collect();
            if seen.insert(values.clone()) {
                found.push(values);
            }
        }
        Ok(found)
    }

    /// Walks the elements of both lists that have these values.
    fn element(&mut self, merged: &mut Vec<Handle>, query: Query<'_>) -> Result<(), MergeError> {
        let ours = self.elements.find(&self.ours, query);
        let theirs = match &self.theirs {
            Theirs::Nothing => None,
            Theirs::Ours => ours,
            Theirs::Other(theirs) => self.elements.find(theirs, query),
        };
        let Some(result) = self.walk_element(ours, theirs).map_err(|error| error.under("[]"))? else {
            // Also where there is no such element: those that say null for all keys are never found.
            return self.elements.set(&mut self.ours, None, query);
        };
        if is_empty_or_null(self.elements.get(result)) {
            return self.elements.set(&mut self.ours, None, query);
        }
        if query.keys == [""] {
            self.elements.read_again(result);
        }
        self.elements.set(merged, Some(result), query)
    }

    fn walk_element(&mut self, ours: Option<Handle>, theirs: Option<Handle>) -> Result<Option<Handle>, MergeError> {
        let node = self.node.and_then(Node::element);
        let (walk, elements) = (self.walk, &mut self.elements);
        if ours.is_some() && ours == theirs {
            let stays = ours.map(|handle| walk.alone(elements.get_mut(handle), node)).transpose()?;
            return Ok(ours.filter(|_| stays == Some(true)));
        }
        // Taken out for the walk: both are in one place.
        let mut their_value = theirs.map(|handle| std::mem::replace(elements.get_mut(handle), Value::null()));
        let our_value = ours.map(|handle| elements.get_mut(handle));
        let outcome = walk.pair(our_value, their_value.as_mut(), node)?;
        if let Some((handle, value)) = theirs.zip(their_value) {
            *elements.get_mut(handle) = value;
        }
        Ok(match outcome {
            Outcome::Ours => ours,
            Outcome::Theirs => theirs,
            Outcome::Clear => None,
        })
    }
}

impl Elements {
    fn get(&self, handle: Handle) -> &Value {
        static NOTHING: Value = Value::Map(Map::new());
        self.values.get(handle).unwrap_or(&NOTHING)
    }

    fn get_mut(&mut self, handle: Handle) -> &mut Value {
        if handle >= self.values.len() {
            self.values.resize(handle + 1, Value::null());
        }
        #[allow(clippy::indexing_slicing)] // Made long enough above.
        &mut self.values[handle]
    }

    /// The first element of `list` with these values. Keys without a value don't count unless none has one.
    fn find(&self, list: &[Handle], query: Query<'_>) -> Option<Handle> {
        let any = query.values.iter().any(|value| !value.is_empty());
        let pairs = query.keys.iter().zip(query.values).filter(|(_, value)| !any || !value.is_empty());
        let pairs: Vec<(&str, &str)> = pairs.map(|(key, value)| (*key, value.as_str())).collect();
        list.iter().copied().find(|handle| {
            let element = self.get(*handle);
            pairs.iter().all(|(key, value)| match element {
                element if key.is_empty() => text(Some(element)) == *value,
                Value::Map(map) => map.get(key).is_some_and(|found| text(Some(found)) == *value),
                _ => false,
            })
        })
    }

    /// Puts `element` in place of those in `list` with these values, or at the end if there is none; without an element
    /// they are removed. Empty elements are always removed. Where values are missing, the last one that was compared
    /// decides, and what can't be compared with anything is removed.
    fn set(&self, list: &mut Vec<Handle>, element: Option<Handle>, query: Query<'_>) -> Result<(), MergeError> {
        let by_key = query.keys.first().is_some_and(|key| !key.is_empty())
            && query.values.first().is_some_and(|value| !value.is_empty());
        let mut kept = Vec::with_capacity(list.len() + 1);
        let mut matched = false;
        for handle in list.iter().copied() {
            let value = self.get(handle);
            if is_empty_or_null(value) {
                continue;
            }
            if by_key && value.as_map().is_none() {
                kept.push(handle);
                continue;
            }
            if self.matches(value, query)? {
                matched = true;
                kept.extend(element);
            } else if !query.values.is_empty() {
                kept.push(handle);
            }
        }
        *list = kept;
        if let Some(element) = element.filter(|element| !matched && !self.get(*element).is_null()) {
            list.push(element);
        }
        Ok(())
    }

    fn matches(&self, value: &Value, query: Query<'_>) -> Result<bool, MergeError> {
        let mut last = false;
        for (at, key) in query.keys.iter().enumerate() {
            if let Some(wanted) = query.values.get(at) {
                last = match value {
                    value if key.is_empty() && value.is_scalar() => text(Some(value)) == wanted,
                    Value::Map(map) if !key.is_empty() => {
                        map.get(key).is_some_and(|found| wanted.is_empty() || text(Some(found)) == wanted)
                    }
                    _ => return Err(unlike(value)),
                };
            }
            if !last {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Puts an element of the object into the result, in place of the one with the same values.
    fn put(&self, merged: &mut Vec<Handle>, handle: Handle, keys: &[&str]) -> Result<(), MergeError> {
        let element = self.get(handle);
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            if key.is_empty() {
                values.push(text(Some(element)).to_owned());
                continue;
            }
            match element {
                Value::Map(map) => match map.get(key) {
                    Some(found) => values.push(text(Some(found)).to_owned()),
                    None => merged.push(handle),
                },
                element if element.is_null() => merged.push(handle),
                _ => return Err(unlike(element)),
            }
        }
        let query = Query { keys, values: &values };
        if keys.len() > 1 {
            self.set(merged, None, query)?;
        }
        self.set(merged, Some(handle), query)
    }

    /// A scalar of a set loses its tag, and is read again by what it looks like.
    fn read_again(&mut self, handle: Handle) {
        let value = self.get_mut(handle);
        if let Value::Str(text) = value
            && !text.is_quoted()
        {
            *value = Value::plain(text);
        }
    }

    /// The elements by name. One that is named twice is there twice.
    fn collect(&mut self, list: &[Handle]) -> Vec<Value> {
        let mut left = vec![0_usize; self.values.len()];
        for handle in list {
            if let Some(count) = left.get_mut(*handle) {
                *count += 1;
            }
        }
        let mut collected = Vec::with_capacity(list.len());
        for handle in list {
            let Some(count) = left.get_mut(*handle) else { continue };
            *count -= 1;
            let last = *count == 0;
            let value = self.get_mut(*handle);
            collected.push(if last { std::mem::replace(value, Value::null()) } else { value.clone() });
        }
        collected
    }
}

fn unlike(value: &Value) -> MergeError {
    MergeError::new(format!("the elements of the list are told apart by keys, and one of them is {}", value.describe()))
}

/// The text of a scalar; empty for all else.
fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::text).unwrap_or_default()
}

/// What an element has for a key: nothing counts like an empty string, and so does null, as in lists of primitives the
/// element itself doesn't.
fn key_value(element: &Value, key: &str) -> String {
    let value = if key.is_empty() { Some(element) } else { element.get(key).filter(|value| !value.is_null()) };
    text(value).to_owned()
}

fn has(values: &[String], at: usize) -> bool {
    values.get(at).is_some_and(|value| !value.is_empty())
}

/// Lets values that agree where both say something stand for each other: a port without a protocol and the same with one.
fn unite(wanted: &mut [Vec<String>]) {
    for at in 0..wanted.len() {
        let Some(values) = wanted.get(at).cloned() else { continue };
        for other in 0..wanted.len() {
            let Some(united) = wanted.get(other).and_then(|others| united(&values, others)) else { continue };
            for place in [at, other] {
                if let Some(slot) = wanted.get_mut(place) {
                    slot.clone_from(&united);
                }
            }
        }
    }
}

/// What two lists of values say together. `None` if they contradict each other, or agree on nothing.
fn united(a: &[String], b: &[String]) -> Option<Vec<String>> {
    let mut common = false;
    let mut united = Vec::with_capacity(a.len());
    for (a, b) in a.iter().zip(b) {
        common |= a == b;
        if a != b && !a.is_empty() && !b.is_empty() {
            return None;
        }
        united.push(if a.is_empty() { b.clone() } else { a.clone() });
    }
    common.then_some(united)
}
