//! Edits that an apply alone can't undo, and the JSON patch that makes room for it.
//!
//! Two kinds of edit leave something beside our fields that an apply neither removes nor gets past (measured on
//! Kubernetes 1.37):
//! - **The key of a list item was edited.** Service port 80 became 8081: the apply adds 80 again beside 8081, and both have
//!   the name `http` (422). An environment variable was renamed: both stay.
//! - **The arm of a union was swapped.** `emptyDir` became `hostPath`: the apply adds `emptyDir` to it (422).
//!
//! What is removed must be tied to a field that we lost. It is held by one manager alone, by Update (an applier can't take
//! list items or arms from us), in the manifest's API version, and not since before our own last apply; and
//! - the item of a list has, beside its key, every field of the item that we lost, with the same values (others may be there
//!   too: defaults), and it is the only such item; of a list `ports`, whose names must be unique, the same name is enough; or
//! - the arm is the only field of its map that the manifest has not, and the one that we lost the only one that the map has
//!   not (`name` and `hostPath` for `name` and `emptyDir`), in an item of a list or with a map as its value; or it is an arm
//!   of one of Kubernetes' unions that have other fields beside their arms ([`UNIONS`]).
//!
//! The patch leaves an object that is valid by itself: what replaces the removed is put there in the same patch.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::blame::{is_secret, named, note};
use super::fields::{self, Entry, agrees, is_part, key_of};
use super::leftover::guard;
use super::live::Blame;
use super::ownership::{Lost, api_version, lost_with};
use super::path::{FieldPath, Step, at, escaped, resolve};

/// Unions of Kubernetes' own API with fields beside their arms, by the name of the field that holds them, and their arms.
const UNIONS: [(&str, &[&str]); 5] = [
    ("livenessProbe", &PROBE),
    ("readinessProbe", &PROBE),
    ("startupProbe", &PROBE),
    ("strategy", &["rollingUpdate"]),
    ("updateStrategy", &["rollingUpdate"]),
];
const PROBE: [&str; 4] = ["exec", "grpc", "httpGet", "tcpSocket"];

/// How many lost fields are looked into, and how long a list may be: what a person edits by hand is well below.
const MAX_LOST: usize = 64;
const MAX_ITEMS: usize = 256;

/// What is to be removed before an apply can undo an edit.
#[derive(Clone, Debug, PartialEq)]
pub struct Removal {
    /// JSON patch (RFC 6902), guarded: 409 if the object has changed since it was read, 422 if it is another one of that
    /// name or if the result is not valid.
    pub patch: Value,
    /// Who put it there, with the paths of our fields that it took the place of. Nobody holds these fields, so that
    /// [`blame`](super::blame::blame) can't tell.
    pub by: Vec<Blame>,
}

/// What of `object` stands in the way of `manifest`, or stays beside it, after the edits described above; `None` if nothing
/// of the kind is there.
///
/// `before` is `metadata.managedFields` of the drifted object, from before any apply. `object` is the object as read after
/// an apply was refused, or as answered by one that was accepted: swapped arms are undone in the first case only.
pub fn removal(manifest: &Value, before: &str, object: &Value) -> Option<Removal> {
    let before = fields::parse(before);
    let now = fields::of_object(object);
    let search = Search { manifest, object, before: &before, now: &now };
    let mut edits = Edits::default();
    search.list_items(&lost_with(manifest, &before), &mut edits);
    search.arms(&lost_with(manifest, &now), &mut edits);
    if edits.by.is_empty() {
        return None;
    }
    let by = edits.blames(is_secret(manifest));
    let mut patch = guard(object)?;
    patch.extend(edits.into_operations());
    Some(Removal { patch: Value::Array(patch), by })
}

/// The edits to be made, by JSON pointer.
#[derive(Default)]
struct Edits<'e> {
    /// Who made which of our fields go.
    by: Vec<(&'e Entry<'e>, FieldPath)>,
    /// Fields to set.
    set: BTreeMap<String, Value>,
    /// Items to replace.
    replace: BTreeMap<String, Value>,
    /// Fields to remove.
    remove: BTreeSet<String>,
    /// Items to remove: by their list, their positions.
    items: BTreeMap<String, Vec<usize>>,
}

impl Edits<'_> {
    fn blames(&self, is_secret: bool) -> Vec<Blame> {
        let mut blames: Vec<Blame> = Vec::new();
        for (writer, path) in &self.by {
            let new = named(writer, vec![path.text(is_secret)]);
            let same = |known: &&mut Blame| (&known.manager, &known.operation) == (&new.manager, &new.operation);
            match blames.iter_mut().find(same) {
                Some(known) => new.paths.iter().for_each(|path| note(&mut known.paths, path)),
                None => blames.push(new),
            }
        }
        blames
    }

    /// Inside items first, and the items from the last to the first and from the inside out, so that every pointer is still
    /// right when its turn comes.
    fn into_operations(self) -> Vec<Value> {
        let removed = self.remove.into_iter().map(|pointer| json!({"op": "remove", "path": pointer}));
        // `add` replaces a field that is there, but inserts an item.
        let set = self.set.into_iter().map(|(pointer, value)| json!({"op": "add", "path": pointer, "value": value}));
        let replace = self.replace.into_iter();
        let replace = replace.map(|(pointer, value)| json!({"op": "replace", "path": pointer, "value": value}));
        let items = self.items.into_iter().rev().flat_map(|(list, mut positions)| {
            positions.sort_unstable_by(|a, b| b.cmp(a));
            positions.into_iter().map(move |at| json!({"op": "remove", "path": format!("{list}/{at}")}))
        });
        removed.chain(set).chain(replace).chain(items).collect()
    }
}

struct Search<'s> {
    manifest: &'s Value,
    object: &'s Value,
    before: &'s [Entry<'s>],
    now: &'s [Entry<'s>],
}

impl<'s> Search<'s> {
    /// The manager that alone holds anything at `path`, if what it holds there may be removed.
    fn sole_writer(&self, path: &[Step]) -> Option<&'s Entry<'s>> {
        let mut holders = self.now.iter().filter(|entry| at(&entry.fields, path).is_some());
        let (writer, None) = (holders.next()?, holders.next()) else { return None };
        let applied = self.before.iter().find(|entry| entry.is_our_apply()).and_then(|entry| entry.time.as_deref());
        let older = matches!((writer.time.as_deref(), applied), (Some(written), Some(applied)) if written < applied);
        let known = self.before.iter().any(|entry| entry.same_writer(writer) && at(&entry.fields, path).is_some());
        let fits = writer.operation == "Update" && writer.api_version == api_version(self.manifest);
        (fits && known && !older).then_some(writer)
    }

    /// Items whose key was edited.
    fn list_items(&self, lost: &[Lost<'_>], edits: &mut Edits<'s>) {
        let mut claims: BTreeMap<(String, usize), Vec<Claim<'s>>> = BTreeMap::new();
        for lost in lost.iter().take(MAX_LOST) {
            let Some((list, Step::Key(key))) = lost.path.split_last() else { continue };
            let Some((pointer, Value::Array(items))) = resolve(self.object, list) else { continue };
            if items.len().max(self.wanted(list).len()) > MAX_ITEMS {
                continue;
            }
            let edited = |item| Some((item, self.editor(lost.value, key, list, item)?));
            let mut edited = items.iter().enumerate().filter_map(|(index, item)| Some((index, edited(item)?)));
            let (Some((index, (item, writer))), None) = (edited.next(), edited.next()) else { continue };
            let has_key = |item: &Value| item.as_object().is_some_and(|item| is_part(key, item));
            let is_back = items.iter().enumerate().any(|(other, item)| other != index && has_key(item));
            let replacement = if is_back { None } else { Some(self.renamed(item, lost.value, list)) };
            let claim = Claim { writer, path: lost.path.clone(), replacement };
            claims.entry((pointer, index)).or_default().push(claim);
        }
        for ((list, index), mut claimed) in claims {
            // An item that could come of two of ours is tied to neither.
            let (Some(claim), true) = (claimed.pop(), claimed.is_empty()) else { continue };
            edits.by.push((claim.writer, claim.path));
            match claim.replacement {
                Some(item) => drop(edits.replace.insert(format!("{list}/{index}"), item)),
                None => edits.items.entry(list).or_default().push(index),
            }
        }
    }

    /// Who made `item` of the list at `list` out of the lost item `ours` with the key `key`; `None` if that can't be told.
    fn editor(&self, ours: &Value, key: &Map<String, Value>, list: &[Step], item: &Value) -> Option<&'s Entry<'s>> {
        let names = self.key_names(list);
        let theirs = key_of(item, &names)?;
        // An item under our own key needs no help; nor is one that Git wants under its key an edited one. Of ours a key field
        // with a default may have been edited (`protocol`), if the manifest leaves it out.
        let is_another = |wanted: &Value| wanted != ours || names.len() == key.len();
        if self.wanted(list).iter().any(|wanted| is_another(wanted) && agrees(wanted, &theirs)) {
            return None;
        }
        let path: Vec<_> = list.iter().cloned().chain([Step::Key(theirs.fields()?.clone())]).collect();
        let writer = self.sole_writer(&path)?;
        let held = at(&writer.fields, &path).filter(|held| held.member)?;
        let same = |name: &str, value: &Value| {
            held.field(name).is_some() && item.get(name).is_some_and(|found| contains(found, value))
        };
        let mut content = ours.as_object()?.iter().filter(|(name, _)| !key.contains_key(*name)).peekable();
        let is_port = matches!(list.last(), Some(Step::Field(name)) if name == "ports");
        let same_name = is_port && ours.get("name").is_some_and(|value| same("name", value));
        let is_same = same_name || (content.peek().is_some() && content.all(|(name, value)| same(name, value)));
        is_same.then_some(writer)
    }

    /// `item` with the key fields of the lost item `ours`; those that the manifest leaves out get their defaults.
    fn renamed(&self, item: &Value, ours: &Value, list: &[Step]) -> Value {
        let mut renamed = item.as_object().cloned().unwrap_or_default();
        for name in self.key_names(list) {
            match ours.get(name) {
                Some(value) => drop(renamed.insert(name.to_owned(), value.clone())),
                None => drop(renamed.remove(name)),
            }
        }
        Value::Object(renamed)
    }

    fn key_names(&self, list: &[Step]) -> Vec<&str> {
        self.now.iter().find_map(|entry| at(&entry.fields, list)?.key_names()).unwrap_or_default()
    }

    /// The items that the manifest wants in the list at `list`.
    fn wanted(&self, list: &[Step]) -> &[Value] {
        resolve(self.manifest, list).and_then(|(_, value)| value.as_array()).map_or(&[], Vec::as_slice)
    }

    /// Arms of unions that were swapped.
    fn arms(&self, lost: &[Lost<'_>], edits: &mut Edits<'s>) {
        for lost in lost.iter().take(MAX_LOST) {
            // The outermost part of the path that the object has not; the field itself if it has all of it.
            let steps = &lost.path.0;
            let is_absent = |end: &usize| steps.get(..*end).is_some_and(|path| resolve(self.object, path).is_none());
            let absent = (1..=steps.len()).find(is_absent);
            let arm = steps.get(..absent.unwrap_or(steps.len())).and_then(<[Step]>::split_last);
            let Some((Step::Field(arm), union)) = arm else { continue };
            let Some(swap) = self.swap(union, arm, absent.is_none()) else { continue };
            let wanted = resolve(self.manifest, union).and_then(|(_, union)| union.get(arm));
            let Some(wanted) = wanted else { continue };
            edits.by.push((swap.writer, lost.path.clone()));
            edits.set.insert(format!("{}/{}", swap.union, escaped(arm)), wanted.clone());
            edits.remove.extend(swap.arms.iter().map(|name| format!("{}/{}", swap.union, escaped(name))));
        }
    }

    /// What was put beside `arm` into the union at `union`. `present`: the object has a value at `arm`.
    fn swap(&self, union: &[Step], arm: &str, present: bool) -> Option<Swap<'s>> {
        let (pointer, found) = resolve(self.object, union)?;
        let (found, wanted) = (found.as_object()?, resolve(self.manifest, union)?.1.as_object()?);
        let extra: Vec<&String> = found.keys().filter(|name| !wanted.contains_key(*name)).collect();
        let known = UNIONS.iter().find(|(name, _)| matches!(union.last(), Some(Step::Field(field)) if field == name));
        let arms: Vec<&String> = match (known, extra.as_slice()) {
            (Some((_, arms)), _) => extra.into_iter().filter(|name| arms.contains(&name.as_str())).collect(),
            (None, [one]) => {
                let is_arm =
                    matches!(union.last(), Some(Step::Key(_))) || found.get(*one).is_some_and(Value::is_object);
                let gone = wanted.keys().filter(|name| !found.contains_key(*name)).count();
                if is_arm && !present && gone == 1 { vec![*one] } else { Vec::new() }
            }
            _ => Vec::new(),
        };
        let writer_of = |name: &str| {
            let path: Vec<_> = union.iter().cloned().chain([Step::Field(name.to_owned())]).collect();
            self.sole_writer(&path)
        };
        let mut writers = arms.iter().map(|name| writer_of(name));
        let writer = writers.next()??;
        let alone = writers.all(|other| other.is_some_and(|other| other.same_writer(writer)));
        // A field that is still there must be what the same manager changed (`type` of a strategy).
        let changed = !present || writer_of(arm).is_some_and(|other| other.same_writer(writer));
        (alone && changed).then(|| Swap { writer, union: pointer, arms: arms.into_iter().cloned().collect() })
    }
}

/// An item that was made out of one of ours.
struct Claim<'e> {
    writer: &'e Entry<'e>,
    /// Our item.
    path: FieldPath,
    /// What takes the place of the edited item; `None`: it only goes.
    replacement: Option<Value>,
}

/// Arms that were put into a union in place of ours.
struct Swap<'e> {
    writer: &'e Entry<'e>,
    /// JSON pointer of the union.
    union: String,
    /// The arms to be removed.
    arms: Vec<String>,
}

/// Whether `found` has everything that `wanted` has; it may have more fields, as defaults.
fn contains(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(name, value)| found.get(name).is_some_and(|found| contains(found, value)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| contains(found, wanted))
        }
        _ => found == wanted,
    }
}

#[cfg(test)]
#[path = "escalation_tests.rs"]
mod tests;
