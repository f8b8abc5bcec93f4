//! Which fields of a manifest our own Apply entry holds, and which it lost.

use serde_json::{Map, Value};

use super::fields::{self, Element, Entry, Keyed, Node, is_part};
use super::path::{FieldPath, Step, below};

/// Fields that managedFields never names: they identify an object, or only the API server sets them
/// (structured-merge-diff strips them from every set).
const UNNAMED: [&str; 2] = ["apiVersion", "kind"];
const UNNAMED_METADATA: [&str; 8] =
    ["name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink", "managedFields"];

/// Whether our own Apply entry covers every field of `manifest`: then the object was applied from a manifest with at least
/// these fields, and nobody has changed one of them since. `managed_fields` is JSON text; text that can't be read covers
/// nothing.
///
/// Values don't take part. Empty lists don't either: the API server names them only where the list is atomic.
pub fn covers(manifest: &Value, managed_fields: &str) -> bool {
    let entries = fields::parse(managed_fields);
    let ours = our_set(&entries, manifest);
    let others: Vec<_> = entries.iter().filter(|entry| !entry.is_our_apply()).map(|entry| &entry.fields).collect();
    ours.is_some() && missing(manifest, ours, &others).is_empty()
}

/// The fields of `manifest` that our own Apply entry does not hold: leaves, and whole items of lists with keys. All of them
/// if we have no entry in the manifest's API version.
pub fn lost(manifest: &Value, managed_fields: &str) -> Vec<FieldPath> {
    let entries = fields::parse(managed_fields);
    lost_with(manifest, &entries).into_iter().map(|lost| lost.path).collect()
}

/// A field that was lost, with its value in the manifest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lost<'m> {
    /// Where.
    pub(crate) path: FieldPath,
    /// What the manifest wants there.
    pub(crate) value: &'m Value,
}

/// As [`lost`], of entries that were read before.
pub(crate) fn lost_with<'m>(manifest: &'m Value, entries: &[Entry<'_>]) -> Vec<Lost<'m>> {
    let others: Vec<_> = entries.iter().filter(|entry| !entry.is_our_apply()).map(|entry| &entry.fields).collect();
    missing(manifest, our_set(entries, manifest), &others)
}

/// The API version that `manifest` is written in.
pub(crate) fn api_version(manifest: &Value) -> &str {
    manifest.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
}

fn our_set<'e, 'a>(entries: &'e [Entry<'a>], manifest: &Value) -> Option<&'e Node<'a>> {
    let api_version = api_version(manifest);
    entries.iter().find(|entry| entry.is_ours(api_version)).map(|entry| &entry.fields)
}

/// The members of the map `value` at `path` that managedFields can name.
pub(crate) fn nameable<'v>(
    value: &'v Map<String, Value>,
    path: &[Step],
) -> impl Iterator<Item = (&'v String, &'v Value)> {
    let unnamed: &[&str] = match path {
        [] => &UNNAMED,
        [Step::Field(name)] if name == "metadata" => &UNNAMED_METADATA,
        _ => &[],
    };
    value.iter().filter(move |(name, _)| !unnamed.contains(&name.as_str()))
}

fn missing<'m>(manifest: &'m Value, ours: Option<&Node<'_>>, others: &[&Node<'_>]) -> Vec<Lost<'m>> {
    let mut walk = Walk { path: Vec::new(), untyped: 0, lost: Vec::new() };
    walk.value(manifest, ours, others);
    walk.lost
}

struct Walk<'m> {
    path: Vec<Step>,
    /// How many maps around the path are members of our set beside their fields.
    untyped: usize,
    lost: Vec<Lost<'m>>,
}

impl<'m> Walk<'m> {
    /// `others` are the sets of the other managers at the same place: they tell the key fields of lists of which we hold
    /// nothing any more.
    fn value(&mut self, value: &'m Value, ours: Option<&Node<'_>>, others: &[&Node<'_>]) {
        if ours.is_some_and(Node::is_leaf) && !(value.is_object() && self.is_bare(others)) {
            return;
        }
        match value {
            Value::Object(map) if !map.is_empty() => {
                let members: Vec<_> = nameable(map, &self.path).collect();
                for (name, value) in members {
                    self.below(Step::Field(name.clone()), value, ours.and_then(|ours| ours.field(name)), others);
                }
            }
            Value::Array(items) if items.is_empty() => {
                let atomic = others.iter().any(|other| other.is_leaf());
                if ours.is_none() && atomic {
                    self.note(value);
                }
            }
            Value::Array(items) => self.list(value, items, ours, others),
            _ if ours.is_none() => self.note(value),
            _ => {}
        }
    }

    /// Whether a leaf of ours here only says that the map exists, not that it is one atomic value.
    ///
    /// Where there is no schema (`x-kubernetes-preserve-unknown-fields`), the API server makes every map a member beside its
    /// fields, so that one whose last field we lost looks like an atomic one. It is not if a map around it is such a member,
    /// or if somebody else holds a field of it.
    fn is_bare(&self, others: &[&Node<'_>]) -> bool {
        self.untyped > 0 || others.iter().any(|other| !other.children().is_empty())
    }

    fn list(&mut self, list: &'m Value, items: &'m [Value], ours: Option<&Node<'_>>, others: &[&Node<'_>]) {
        let names = ours.into_iter().chain(others.iter().copied()).find_map(Node::key_names);
        if let Some(names) = names {
            let assigned = ours.map_or_else(|| vec![None; items.len()], |ours| ours.assign(items));
            for (item, assigned) in items.iter().zip(assigned) {
                let key = names.iter().filter_map(|name| Some(((*name).to_owned(), item.get(name)?.clone()))).collect();
                match assigned {
                    Some((_, node)) => self.below(Step::Key(key), item, Some(node), others),
                    None => self.lose(Step::Key(key), item),
                }
            }
            return;
        }
        let ours_items: Vec<_> = ours.into_iter().flat_map(Node::items).collect();
        if ours_items.is_empty() && !others.iter().any(|other| other.items().next().is_some()) {
            // Neither keys nor items to go by: the list as a whole.
            return self.note(list);
        }
        for item in items {
            let keyed = fields::Keyed::new(item.clone());
            if !ours_items.iter().any(|ours| ours.text == keyed.text) {
                self.lose(Step::Item(keyed), item);
            }
        }
    }

    fn below(&mut self, step: Step, value: &'m Value, ours: Option<&Node<'_>>, others: &[&Node<'_>]) {
        let others: Vec<_> = others.iter().filter_map(|other| below(other, &step)).collect();
        let is_untyped = matches!(step, Step::Field(_)) && ours.is_some_and(|ours| ours.member && !ours.is_leaf());
        self.path.push(step);
        self.untyped += usize::from(is_untyped);
        self.value(value, ours, &others);
        self.untyped -= usize::from(is_untyped);
        self.path.pop();
    }

    fn lose(&mut self, step: Step, value: &'m Value) {
        self.path.push(step);
        self.note(value);
        self.path.pop();
    }

    fn note(&mut self, value: &'m Value) {
        self.lost.push(Lost { path: FieldPath(self.path.clone()), value });
    }
}

/// Whether the set `theirs`, found at the place of `value`, holds any field of `value`. That a map exists (`.`) is no field
/// of it, unless it is empty.
pub(crate) fn holds(value: &Value, theirs: &Node<'_>) -> bool {
    if theirs.is_leaf() {
        return true;
    }
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().any(|(name, value)| theirs.field(name).is_some_and(|below| holds(value, below)))
        }
        Value::Array(items) if theirs.keys().next().is_some() => {
            let assigned = theirs.assign(items);
            items
                .iter()
                .zip(assigned)
                .any(|(item, key)| key.is_some_and(|(_, below)| below.member || holds(item, below)))
        }
        Value::Array(items) => items.iter().any(|item| theirs.items().any(|theirs| theirs.value == *item)),
        _ => true,
    }
}

/// Whether `a` and `b` have the same values at every field of the set `fields`. A leaf stands for all that is below it, so
/// atomic lists and maps are compared as a whole. A set without members is no difference.
pub(crate) fn same(fields: &Node<'_>, a: Option<&Value>, b: Option<&Value>) -> bool {
    if fields.children().is_empty() {
        return !fields.member || a == b;
    }
    fields.children().iter().all(|(element, below)| match element {
        Element::Field(name) => {
            let name = name.as_ref();
            same(below, a.and_then(|a| a.get(name)), b.and_then(|b| b.get(name)))
        }
        Element::Key(key) => same(below, item(a, key), item(b, key)),
        Element::Item(item) => has(a, &item.value) == has(b, &item.value),
        Element::Index(_) => a == b,
    })
}

/// The item of a list with this key.
fn item<'v>(list: Option<&'v Value>, key: &Keyed) -> Option<&'v Value> {
    let key = key.fields()?;
    list?.as_array()?.iter().find(|item| item.as_object().is_some_and(|item| is_part(key, item)))
}

fn has(list: Option<&Value>, wanted: &Value) -> bool {
    list.and_then(Value::as_array).is_some_and(|items| items.contains(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn managed(ours: &str, other: &str) -> String {
        format!(
            r#"[{{"manager":"driftless","operation":"Apply","apiVersion":"v1","fieldsV1":{ours}}},
                {{"manager":"x","operation":"Update","apiVersion":"v1","fieldsV1":{other}}}]"#
        )
    }

    fn lost_texts(manifest: &Value, managed_fields: &str) -> Vec<String> {
        lost(manifest, managed_fields).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn identity_is_not_asked_for() {
        let manifest = json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "n", "namespace": "s", "uid": "u", "resourceVersion": "1"}});
        assert!(covers(&manifest, &managed("{}", "{}")));
        assert!(!covers(&manifest, "[]"), "without an entry nothing is covered");
        // Only at their own places.
        let manifest = json!({"apiVersion": "v1", "spec": {"kind": 1, "metadata": {"name": 1}}});
        assert_eq!(lost_texts(&manifest, &managed("{}", "{}")), [".spec.kind", ".spec.metadata.name"]);
    }

    #[test]
    fn what_is_held_and_what_is_lost() {
        let cases = [
            // An empty manifest field is a leaf, a leaf of ours covers what is below, an empty list is not asked for.
            (json!({"a": {}, "b": {"c": {"d": 1}}, "e": []}), r#"{"f:a":{},"f:b":{}}"#, "{}", vec![]),
            (json!({"a": {}, "b": ""}), "{}", "{}", vec![".a", ".b"]),
            (json!({"a": {"x": 1, "y": 2}}), r#"{"f:a":{".":{},"f:x":{}}}"#, "{}", vec![".a.y"]),
            // Unless somebody else holds it as an atomic one.
            (json!({"e": []}), "{}", r#"{"f:e":{}}"#, vec![".e"]),
            (json!({"e": []}), "{}", r#"{"f:e":{"k:{\"n\":1}":{}}}"#, vec![]),
            // Atomic lists.
            (json!({"l": ["x"]}), r#"{"f:l":{}}"#, "{}", vec![]),
            (json!({"l": ["x"]}), "{}", "{}", vec![".l"]),
            // Sets.
            (json!({"l": ["x", "y"]}), r#"{"f:l":{"v:\"x\"":{}}}"#, "{}", vec![".l[…]"]),
            (json!({"l": ["x", "y"]}), "{}", r#"{"f:l":{"v:\"x\"":{}}}"#, vec![".l[…]", ".l[…]"]),
            // Lists with keys.
            (
                json!({"l": [{"n": 1, "v": 1}, {"n": 2}, {"n": 3}]}),
                r#"{"f:l":{"k:{\"n\":1}":{".":{},"f:n":{}},"k:{\"n\":3}":{}}}"#,
                "{}",
                vec![".l[n=1].v", ".l[n=2]"],
            ),
            (json!({"l": [{"n": 1, "v": 1}]}), "{}", r#"{"f:l":{"k:{\"n\":7}":{}}}"#, vec![".l[n=1]"]),
            (json!({"l": [{"n": 1, "v": 1}]}), "{}", "{}", vec![".l"]),
            // A key field with a default.
            (json!({"l": [{"n": 1}]}), r#"{"f:l":{"k:{\"n\":1,\"p\":\"TCP\"}":{".":{},"f:n":{}}}}"#, "{}", vec![]),
        ];
        for (fields, ours, other, expected) in cases {
            let mut manifest = fields.clone();
            manifest["apiVersion"] = json!("v1");
            let managed_fields = managed(ours, other);
            assert_eq!(lost_texts(&manifest, &managed_fields), expected, "{fields} {ours} {other}");
            assert_eq!(covers(&manifest, &managed(ours, "{}")), lost(&manifest, &managed(ours, "{}")).is_empty());
        }
    }

    #[test]
    fn values_are_compared_where_the_set_says() {
        let set = r#"{"f:a":{},"f:l":{},"f:m":{".":{},"f:x":{}},"f:k":{"k:{\"n\":1}":{".":{},"f:v":{}}},"f:s":{"v:\"p\"":{}}}"#;
        let fields: Node<'_> = serde_json::from_str(set).unwrap();
        let one = json!({"a": 1, "l": ["x"], "m": {"x": 1}, "k": [{"n": 1, "v": 1}], "s": ["p"], "z": 1});
        let change = |pointer: &str, value: Value| {
            let mut other = one.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            other
        };
        let cases = [
            (one.clone(), true),
            (change("/z", json!(2)), true),
            (change("/m", json!({"x": 1, "y": 2})), true),
            (change("/s", json!(["q", "p"])), true),
            (change("/k", json!([{"n": 2}, {"n": 1, "v": 1, "w": 1}])), true),
            (change("/a", json!(2)), false),
            // Atomic: ours or not, its value counts.
            (change("/l", json!(["x", "y"])), false),
            (change("/m/x", json!(2)), false),
            (change("/s", json!(["q"])), false),
            (change("/k/0/v", json!(2)), false),
            (change("/k", json!([])), false),
        ];
        for (other, expected) in cases {
            assert_eq!(same(&fields, Some(&one), Some(&other)), expected, "{other}");
        }
        let none: Node<'_> = Node::default();
        assert!(same(&none, Some(&json!(1)), Some(&json!(2))));
    }

    #[test]
    fn an_entry_in_another_version_covers_nothing() {
        let manifest = json!({"apiVersion": "v2", "a": 1});
        let managed_fields = managed(r#"{"f:a":{}}"#, "{}");
        assert!(!covers(&manifest, &managed_fields));
        assert_eq!(lost_texts(&manifest, &managed_fields), [".a"]);
    }
}
