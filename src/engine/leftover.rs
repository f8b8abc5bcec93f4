//! Fields that left Git and stay on the object, because somebody else holds them as well.
//!
//! Server-side apply removes what an applier no longer sends, but only if nobody else holds it. Most often the other is the
//! client-side tool that made the object before: its fields are then taken over by the rules of client-go's
//! `util/csaupgrade`, and the next apply removes them. What any other manager holds is its own business, and reported.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::blame::{is_secret, writer};
use super::fields::{self, Entry, Keyed, Node, agrees, key_of};
use super::names::FIELD_MANAGER;
use super::ownership::{api_version, holds, nameable};
use super::path::{FieldPath, Step, below, position};

/// Managers that write whole objects from the client's side, and stop when Git takes over: `kubectl apply`, `create` and
/// `replace` (`kubectl` alone before 1.20), what was there before managedFields was tracked, Argo CD without server-side
/// apply, and updates under our own name. `kubectl edit`, `patch` and the like are not among them: they hold single fields
/// that a person wanted.
const CLIENT_SIDE: [&str; 8] = [
    "kubectl-client-side-apply",
    "kubectl-create",
    "kubectl-replace",
    "kubectl",
    "before-first-apply",
    "argocd-controller",
    "argocd-application-controller",
    FIELD_MANAGER,
];

/// How many leftovers a text names.
const MAX_NAMED: usize = 8;

/// A field that is in Git no more and still on the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Where; never a value.
    pub path: String,
    /// Who holds it; at least one.
    pub owners: Vec<Owner>,
}

/// A manager that holds a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Field manager, with the subresource it wrote through: `kubectl (scale)`.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
}

impl Owner {
    /// Whether csaupgrade's rules apply to it.
    pub fn is_client_side(&self) -> bool {
        self.operation == "Update" && CLIENT_SIDE.contains(&self.manager.as_str())
    }
}

impl Leftover {
    /// Whether only client-side tools hold it, so that it can be taken over and removed.
    pub fn is_client_side(&self) -> bool {
        self.owners.iter().all(Owner::is_client_side)
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (held by ", self.path)?;
        for (at, owner) in self.owners.iter().enumerate() {
            write!(f, "{}{} by {}", if at > 0 { ", " } else { "" }, owner.manager, owner.operation)?;
        }
        f.write_str(")")
    }
}

/// The leftovers in one sentence; `None` if there are none.
pub fn describe(leftovers: &[Leftover]) -> Option<String> {
    let named: Vec<_> = leftovers.iter().take(MAX_NAMED).map(ToString::to_string).collect();
    let more = leftovers.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!leftovers.is_empty()).then(|| format!("no longer in Git but kept on the object: {}{more}", named.join(", ")))
}

/// The fields of `old`, the manifest that was applied before, that are not in `new` and are still on `answer`, the object
/// as the API server answered to the apply of `new` — whatever their value is now.
///
/// A field that nobody holds is no leftover: the API server filled in its default.
pub fn leftovers(old: &Value, new: &Value, answer: &Value) -> Vec<Leftover> {
    let entries = fields::of_object(answer);
    let others: Vec<_> =
        entries.iter().filter(|entry| !entry.is_our_apply()).map(|entry| (entry, &entry.fields)).collect();
    let mut walk = Walk { path: Vec::new(), is_secret: is_secret(new), found: Vec::new() };
    walk.value(old, Some(new), Some(answer), &others);
    walk.found
}

/// The items of a list, by their keys.
struct Items<'v> {
    by_key: HashMap<Vec<u8>, &'v Value>,
    /// Items that leave out a key field with a default.
    incomplete: Vec<&'v Value>,
    items: &'v [Value],
    key_fields: usize,
}

impl<'v> Items<'v> {
    fn new(items: &'v [Value], names: &[&str]) -> Self {
        let mut found = Self { by_key: HashMap::new(), incomplete: Vec::new(), items, key_fields: names.len() };
        for item in items {
            match key_of(item, names) {
                Some(key) => drop(found.by_key.insert(key.text, item)),
                None => found.incomplete.push(item),
            }
        }
        found
    }

    /// The item with these key fields; those with a default may be left out on either side.
    fn find(&self, key: &Map<String, Value>) -> Option<&'v Value> {
        if key.len() < self.key_fields {
            return position(self.items, key).and_then(|at| self.items.get(at));
        }
        let key = Keyed::new(Value::Object(key.clone()));
        let complete = self.by_key.get(&key.text);
        complete.or_else(|| self.incomplete.iter().find(|item| agrees(item, &key))).copied()
    }
}

type Holders<'e, 'a> = [(&'e Entry<'a>, &'e Node<'a>)];

struct Walk {
    path: Vec<Step>,
    is_secret: bool,
    found: Vec<Leftover>,
}

impl Walk {
    fn value(&mut self, old: &Value, new: Option<&Value>, live: Option<&Value>, others: &Holders<'_, '_>) {
        let Some(live) = live.filter(|_| !others.is_empty() && new != Some(old)) else { return };
        match old {
            Value::Object(map) if !map.is_empty() => {
                let members: Vec<_> = nameable(map, &self.path).collect();
                for (name, old) in members {
                    let new = new.and_then(|new| new.get(name));
                    self.below(Step::Field(name.clone()), old, new, live.get(name), others);
                }
            }
            Value::Array(items) => self.list(old, items, new, live, others),
            _ if new.is_none() => self.note(old, others),
            _ => {}
        }
    }

    fn list(&mut self, old: &Value, items: &[Value], new: Option<&Value>, live: &Value, others: &Holders<'_, '_>) {
        let new_items = new.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let live_items = live.as_array().map_or(&[][..], Vec::as_slice);
        if let Some(names) = others.iter().find_map(|(_, node)| node.key_names()) {
            let (new_items, live_items) = (Items::new(new_items, &names), Items::new(live_items, &names));
            for item in items {
                let key: Map<String, Value> =
                    names.iter().filter_map(|name| Some(((*name).to_owned(), item.get(name)?.clone()))).collect();
                let (new, live) = (new_items.find(&key), live_items.find(&key));
                self.below(Step::Key(key), item, new, live, others);
            }
        } else if others.iter().any(|(_, node)| node.items().next().is_some()) {
            for item in items.iter().filter(|item| live_items.contains(item) && !new_items.contains(item)) {
                let step = Step::Item(Keyed::new(item.clone()));
                let holders: Vec<_> = others.iter().filter(|(_, node)| below(node, &step).is_some()).copied().collect();
                self.path.push(step);
                self.note(item, &holders);
                self.path.pop();
            }
        } else if new.is_none() {
            self.note(old, others);
        }
    }

    fn below(&mut self, step: Step, old: &Value, new: Option<&Value>, live: Option<&Value>, others: &Holders<'_, '_>) {
        let others: Vec<_> = others.iter().filter_map(|(entry, node)| Some((*entry, below(node, &step)?))).collect();
        self.path.push(step);
        self.value(old, new, live, &others);
        self.path.pop();
    }

    fn note(&mut self, old: &Value, others: &Holders<'_, '_>) {
        let in_set = matches!(self.path.last(), Some(Step::Item(_)));
        let holds_it = |node: &Node<'_>| in_set || holds(old, node);
        let owner = |entry: &Entry<'_>| Owner { manager: writer(entry), operation: entry.operation.to_string() };
        let owners: Vec<_> = others.iter().filter(|(_, node)| holds_it(node)).map(|(entry, _)| owner(entry)).collect();
        if !owners.is_empty() {
            self.found.push(Leftover { path: FieldPath(self.path.clone()).text(self.is_secret), owners });
        }
    }
}

/// The JSON patch (RFC 6902) of `answer` that takes the fields of client-side tools over into our own Apply entry, so that
/// the next apply of the manifest removes those that are not in it; `None` unless one of `leftovers` is held by nobody else.
/// Refused with 409 if the object has changed since, with 422 if it is another object of that name.
///
/// As client-go's csaupgrade: only tools that hold a leftover are taken over; of each, the entry in our entry's API version
/// is united with ours, and those in other versions are dropped. Its `last-applied-configuration` annotation is taken over
/// with the rest, so that it goes as well: left behind, it would mislead a later `kubectl apply`.
pub fn csa_migration(answer: &Value, leftovers: &[Leftover]) -> Option<Value> {
    let tools: Vec<&str> = leftovers
        .iter()
        .filter(|leftover| leftover.is_client_side())
        .flat_map(|leftover| leftover.owners.iter().map(|owner| owner.manager.as_str()))
        .collect();
    let mut entries = answer.pointer("/metadata/managedFields")?.as_array()?.clone();
    let read = |entry: &Value| {
        Entry::deserialize(entry).ok().map(|entry| {
            let is_tool =
                entry.operation == "Update" && entry.subresource.is_empty() && tools.contains(&entry.manager.as_ref());
            (entry.is_ours(api_version(answer)), is_tool)
        })
    };
    let kinds: Option<Vec<_>> = entries.iter().map(read).collect();
    let kinds = kinds?;
    let ours = kinds.iter().position(|(is_ours, _)| *is_ours)?;
    if !kinds.iter().any(|(_, is_tool)| *is_tool) {
        return None;
    }
    let mut united = entries.get(ours)?.get("fieldsV1")?.clone();
    for (entry, (_, is_tool)) in entries.iter().zip(&kinds) {
        if *is_tool && entry.get("apiVersion").and_then(Value::as_str) == Some(api_version(answer)) {
            unite(&mut united, entry.get("fieldsV1")?);
        }
    }
    *entries.get_mut(ours)?.get_mut("fieldsV1")? = united;
    let kept: Vec<_> =
        entries.into_iter().zip(&kinds).filter(|(_, (_, is_tool))| !is_tool).map(|(entry, _)| entry).collect();
    let mut patch = guard(answer)?;
    patch.push(json!({"op": "replace", "path": "/metadata/managedFields", "value": kept}));
    Some(Value::Array(patch))
}

/// The JSON patch (RFC 6902) of `object` by which what we have changed otherwise than by an apply is ours by our Apply entry
/// alone; `None` if there is nothing of the kind. Left behind, an entry of Update under our name holds a list item on the
/// object after it has left Git, and where names must be unique the next apply is refused for it. Refused as
/// [`csa_migration`] is.
pub fn without_own_updates(object: &Value) -> Option<Value> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let is_ours = |entry: &&Value| {
        Entry::deserialize(*entry).is_ok_and(|entry| {
            entry.operation == "Update" && entry.manager == FIELD_MANAGER && entry.subresource.is_empty()
        })
    };
    let kept: Vec<_> = entries.iter().filter(|entry| !is_ours(entry)).collect();
    if kept.len() == entries.len() {
        return None;
    }
    let mut patch = guard(object)?;
    patch.push(json!({"op": "replace", "path": "/metadata/managedFields", "value": kept}));
    Some(Value::Array(patch))
}

/// The operations that bind a JSON patch to `object` as it was read. To replace the resource version by the same one makes
/// it a precondition: a patch without one is merged into whatever is there.
pub(crate) fn guard(object: &Value) -> Option<Vec<Value>> {
    let metadata = object.get("metadata")?;
    Some(vec![
        json!({"op": "test", "path": "/metadata/uid", "value": metadata.get("uid")?}),
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": metadata.get("resourceVersion")?}),
    ])
}

/// Adds the members of one `fieldsV1` object to another. A leaf that gets something below it stays a member.
fn unite(into: &mut Value, from: &Value) {
    let (Value::Object(into), Value::Object(from)) = (into, from) else { return };
    if into.is_empty() != from.is_empty() {
        into.insert(".".to_owned(), json!({}));
    }
    for (name, below) in from {
        match into.get_mut(name) {
            Some(known) => unite(known, below),
            None => {
                into.insert(name.clone(), below.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_unite() {
        let cases = [
            (json!({"f:a": {}}), json!({"f:b": {}}), json!({"f:a": {}, "f:b": {}})),
            (json!({"f:a": {}}), json!({"f:a": {"f:b": {}}}), json!({"f:a": {".": {}, "f:b": {}}})),
            (json!({"f:a": {"f:b": {}}}), json!({"f:a": {}}), json!({"f:a": {".": {}, "f:b": {}}})),
            (json!({"f:a": {}}), json!({"f:a": {}}), json!({"f:a": {}})),
            (
                json!({"f:a": {".": {}, "f:b": {}}}),
                json!({"f:a": {"f:c": {}}}),
                json!({"f:a": {".": {}, "f:b": {}, "f:c": {}}}),
            ),
        ];
        for (mut into, from, expected) in cases {
            unite(&mut into, &from);
            assert_eq!(into, expected);
        }
    }

    fn object(entries: Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "X",
            "metadata": {"uid": "u", "resourceVersion": "5", "managedFields": entries},
            "a": 1, "m": {"x": 1}, "l": [{"n": 1, "v": 2}, {"n": 2, "v": 2}], "s": ["p", "q"], "t": ["z"],
        })
    }

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields})
    }

    #[test]
    fn what_stays_is_named_with_its_holders() {
        let old = json!({
            "apiVersion": "v1", "kind": "X", "metadata": {"name": "n"},
            "a": 1, "m": {"x": 1, "y": 1}, "l": [{"n": 1, "v": 1}, {"n": 2, "v": 2}], "s": ["p", "q"], "t": ["z"], "gone": 1,
        });
        let new =
            json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "n"}, "m": {}, "l": [{"n": 1}], "s": ["q"]});
        let answer = object(json!([
            entry("driftless", "Apply", json!({"f:m": {}})),
            entry(
                "k",
                "Update",
                json!({"f:a": {}, "f:m": {"f:x": {}}, "f:l": {"k:{\"n\":1}": {"f:v": {}}, "k:{\"n\":2}": {".": {}, "f:n": {}}}})
            ),
            entry("j", "Apply", json!({"f:a": {}, "f:s": {"v:\"p\"": {}, "v:\"q\"": {}}, "f:t": {}})),
        ]));
        let found: Vec<_> = leftovers(&old, &new, &answer).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                ".a (held by k by Update, j by Apply)",
                ".l[n=1].v (held by k by Update)",
                ".l[n=2].n (held by k by Update)",
                ".m.x (held by k by Update)",
                ".s[…] (held by j by Apply)",
                ".t (held by j by Apply)",
            ]
        );
        assert_eq!(leftovers(&old, &old, &answer), vec![]);
        assert_eq!(leftovers(&old, &new, &object(json!([]))), vec![]);
    }

    #[test]
    fn an_item_that_only_leaves_out_a_default_did_not_leave_git() {
        let old = json!({"apiVersion": "v1", "l": [{"n": 1, "p": "TCP", "v": 1}, {"n": 2, "v": 1}, {"n": 3, "v": 1}]});
        let new = json!({"apiVersion": "v1", "l": [{"n": 1, "v": 1}, {"n": 2, "p": "TCP", "v": 1}]});
        let item = json!({".": {}, "f:v": {}});
        let key = |n: u32| format!(r#"k:{{"n":{n},"p":"TCP"}}"#);
        let mut answer =
            object(json!([entry("k", "Update", json!({"f:l": {key(1): item, key(2): item, key(3): item}}))]));
        answer["l"] = json!([{"n": 1, "p": "TCP", "v": 1}, {"n": 2, "p": "TCP", "v": 1}, {"n": 3, "p": "TCP", "v": 1}]);
        let found: Vec<_> = leftovers(&old, &new, &answer).iter().map(|leftover| leftover.path.clone()).collect();
        assert_eq!(found, [".l[n=3].v"]);
    }

    #[test]
    fn only_client_side_tools_are_taken_over() {
        let leftover = |owners: &[(&str, &str)]| Leftover {
            path: ".a".into(),
            owners: owners.iter().map(|(m, o)| Owner { manager: (*m).into(), operation: (*o).into() }).collect(),
        };
        let answer = object(json!([
            entry("driftless", "Apply", json!({"f:m": {}})),
            entry("kubectl-client-side-apply", "Update", json!({"f:a": {}})),
            {"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1beta1", "fieldsV1": {"f:old": {}}},
            {"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1", "subresource": "status", "fieldsV1": {"f:status": {}}},
            entry("kubectl-create", "Update", json!({"f:b": {}})),
            entry("other", "Update", json!({"f:a": {}})),
        ]));
        let csa = ("kubectl-client-side-apply", "Update");
        assert_eq!(csa_migration(&answer, &[]), None);
        assert_eq!(csa_migration(&answer, &[leftover(&[csa, ("other", "Update")])]), None);
        assert_eq!(csa_migration(&answer, &[leftover(&[("kubectl-client-side-apply", "Apply")])]), None);
        let patch = csa_migration(&answer, &[leftover(&[csa])]).unwrap();
        assert_eq!(patch[0], json!({"op": "test", "path": "/metadata/uid", "value": "u"}));
        assert_eq!(patch[1], json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "5"}));
        let kept = patch[2]["value"].as_array().unwrap();
        assert_eq!(kept[0]["fieldsV1"], json!({"f:m": {}, "f:a": {}}));
        let managers: Vec<_> =
            kept.iter().map(|entry| (entry["manager"].as_str().unwrap(), entry["subresource"].as_str())).collect();
        let expected = [
            ("driftless", None),
            ("kubectl-client-side-apply", Some("status")),
            ("kubectl-create", None),
            ("other", None),
        ];
        assert_eq!(managers, expected);
    }

    #[test]
    fn a_sentence_names_a_bounded_number() {
        let leftover = |n: usize| Leftover {
            path: format!(".f{n}"),
            owners: vec![Owner { manager: "m".into(), operation: "Update".into() }],
        };
        assert_eq!(describe(&[]), None);
        let text = describe(&(0..20).map(leftover).collect::<Vec<_>>()).unwrap();
        assert!(text.contains(".f7 (held by m by Update) and 12 more") && !text.contains(".f8"), "{text}");
    }
}
