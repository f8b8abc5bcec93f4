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
//!   too: defaults), and it is the only such item; or
//! - the arm is the only field of its map that the manifest has not, and the one that we lost the only one that the map has
//!   not (`name` and `hostPath` for `name` and `emptyDir`), in an item of a list or with a map as its value; or it is an arm
//!   of one of Kubernetes' unions that have other fields beside their arms ([`UNIONS`]).
//!
//! The patch leaves an object that is valid by itself: what replaces the removed is put there in the same patch.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::fields::{self, Entry, agrees, key_of};
use super::leftover::guard;
use super::ownership::{Lost, api_version, lost_with};
use super::path::{Step, at, escaped, position, resolve};

/// Unions of Kubernetes' own API with fields beside their arms, by the name of the field that holds them, and their arms.
const UNIONS: [(&str, &[&str]); 5] = [
    ("livenessProbe", &PROBE),
    ("readinessProbe", &PROBE),
    ("startupProbe", &PROBE),
    ("strategy", &["rollingUpdate"]),
    ("updateStrategy", &["rollingUpdate"]),
];
const PROBE: [&str; 4] = ["exec", "grpc", "httpGet", "tcpSocket"];

/// The JSON patch (RFC 6902) that removes from `object` what stands in the way of `manifest`, or stays beside it, after the
/// edits described above; `None` if nothing of the kind is there. It is guarded: 409 if the object has changed since it was
/// read, 422 if it is another one of that name or if the result is not valid.
///
/// `before` is `metadata.managedFields` of the drifted object, from before any apply. `object` is the object as read after
/// an apply was refused, or as answered by one that was accepted: swapped arms are undone in the first case only.
pub fn removal_patch(manifest: &Value, before: &str, object: &Value) -> Option<Value> {
    let before = fields::parse(before);
    let now = fields::of_object(object);
    let search = Search { manifest, object, before: &before, now: &now };
    let mut edits = Edits::default();
    search.list_items(&lost_with(manifest, &before), &mut edits);
    search.arms(&lost_with(manifest, &now), &mut edits);
    let mut patch = guard(object)?;
    let guards = patch.len();
    patch.extend(edits.into_operations());
    (patch.len() > guards).then_some(Value::Array(patch))
}

/// The edits to be made, by JSON pointer.
#[derive(Default)]
struct Edits {
    set: BTreeMap<String, Value>,
    remove: BTreeMap<String, ()>,
    /// Items to remove: by their list, their positions.
    items: BTreeMap<String, Vec<usize>>,
}

impl Edits {
    /// Inside items first, and the items from the last to the first and from the inside out, so that every pointer is still
    /// right when its turn comes.
    fn into_operations(self) -> Vec<Value> {
        let removed = self.remove.into_keys().map(|pointer| json!({"op": "remove", "path": pointer}));
        // `add` replaces what is there.
        let set = self.set.into_iter().map(|(pointer, value)| json!({"op": "add", "path": pointer, "value": value}));
        let items = self.items.into_iter().rev().flat_map(|(list, mut positions)| {
            positions.sort_unstable_by(|a, b| b.cmp(a));
            positions.into_iter().map(move |at| json!({"op": "remove", "path": format!("{list}/{at}")}))
        });
        removed.chain(set).chain(items).collect()
    }
}

struct Search<'s, 'a> {
    manifest: &'s Value,
    object: &'s Value,
    before: &'s [Entry<'a>],
    now: &'s [Entry<'a>],
}

impl Search<'_, '_> {
    /// The manager that alone holds anything at `path`, if what it holds there may be removed.
    fn sole_writer(&self, path: &[Step]) -> Option<&Entry<'_>> {
        let mut holders = self.now.iter().filter(|entry| at(&entry.fields, path).is_some());
        let (writer, None) = (holders.next()?, holders.next()) else { return None };
        let applied = self.before.iter().find(|entry| entry.is_our_apply()).and_then(|entry| entry.time.as_deref());
        let older = matches!((writer.time.as_deref(), applied), (Some(written), Some(applied)) if written < applied);
        let known = self.before.iter().any(|entry| entry.same_writer(writer) && at(&entry.fields, path).is_some());
        let fits = writer.operation == "Update" && writer.api_version == api_version(self.manifest);
        (fits && known && !older).then_some(writer)
    }

    /// Items whose key was edited.
    fn list_items(&self, lost: &[Lost<'_>], edits: &mut Edits) {
        let mut claims: BTreeMap<(String, usize), Vec<Edit>> = BTreeMap::new();
        for lost in lost {
            let Some((list, Step::Key(key))) = lost.path.split_last() else { continue };
            let Some((pointer, Value::Array(items))) = resolve(self.object, list) else { continue };
            let mut edited = items.iter().enumerate().filter(|(_, item)| self.is_edited(lost.value, key, list, item));
            let (Some((index, item)), None) = (edited.next(), edited.next()) else { continue };
            let edit = if position(items, key).is_some() { None } else { Some(self.renamed(item, lost.value, list)) };
            claims.entry((pointer, index)).or_default().push(edit);
        }
        for ((list, index), mut claimed) in claims {
            // An item that could come of two of ours is tied to neither.
            let (Some(edit), true) = (claimed.pop(), claimed.is_empty()) else { continue };
            match edit {
                Some(item) => drop(edits.set.insert(format!("{list}/{index}"), item)),
                None => edits.items.entry(list).or_default().push(index),
            }
        }
    }

    /// Whether `item` of the list at `list` is the lost item `ours` with the key `key`, under another key.
    fn is_edited(&self, ours: &Value, key: &Map<String, Value>, list: &[Step], item: &Value) -> bool {
        let names = self.key_names(list);
        let (Some(ours), Some(theirs)) = (ours.as_object(), key_of(item, &names)) else { return false };
        if self.wanted(list).iter().any(|wanted| agrees(wanted, &theirs)) {
            return false;
        }
        let Some(fields) = theirs.fields() else { return false };
        let path: Vec<_> = list.iter().cloned().chain([Step::Key(fields.clone())]).collect();
        let Some(held) = self.sole_writer(&path).and_then(|writer| at(&writer.fields, &path)) else { return false };
        let mut content = ours.iter().filter(|(name, _)| !key.contains_key(*name)).peekable();
        held.member
            && content.peek().is_some()
            && content.all(|(name, value)| {
                held.field(name).is_some() && item.get(name).is_some_and(|found| contains(found, value))
            })
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
    fn arms(&self, lost: &[Lost<'_>], edits: &mut Edits) {
        for lost in lost {
            // The outermost part of the path that the object has not; the field itself if it has all of it.
            let steps = &lost.path.0;
            let absent = (1..=steps.len())
                .find(|end| steps.get(..*end).is_some_and(|path| resolve(self.object, path).is_none()));
            let end = absent.unwrap_or(steps.len());
            let Some((Step::Field(arm), union)) = steps.get(..end).and_then(<[Step]>::split_last) else { continue };
            if let Some((pointer, theirs)) = self.swapped(union, arm, absent.is_none()) {
                let wanted = resolve(self.manifest, union).and_then(|(_, union)| union.get(arm));
                let Some(wanted) = wanted else { continue };
                for name in theirs {
                    edits.remove.insert(format!("{pointer}/{}", escaped(&name)), ());
                }
                edits.set.insert(format!("{pointer}/{}", escaped(arm)), wanted.clone());
            }
        }
    }

    /// The arms beside `arm` that were put into the union at `union`, with the union's JSON pointer.
    fn swapped(&self, union: &[Step], arm: &str, present: bool) -> Option<(String, Vec<String>)> {
        let (pointer, found) = resolve(self.object, union)?;
        let (found, wanted) = (found.as_object()?, resolve(self.manifest, union)?.1.as_object()?);
        let extra: Vec<&String> = found.keys().filter(|name| !wanted.contains_key(*name)).collect();
        let writer_of = |name: &str| {
            let path: Vec<_> = union.iter().cloned().chain([Step::Field(name.to_owned())]).collect();
            self.sole_writer(&path)
        };
        let arms = UNIONS.iter().find(|(name, _)| matches!(union.last(), Some(Step::Field(field)) if field == name));
        let theirs: Vec<&String> = match (arms, extra.as_slice()) {
            (Some((_, arms)), _) => extra.into_iter().filter(|name| arms.contains(&name.as_str())).collect(),
            (None, [one]) => {
                let is_arm =
                    matches!(union.last(), Some(Step::Key(_))) || found.get(*one).is_some_and(Value::is_object);
                let gone = wanted.keys().filter(|name| !found.contains_key(*name)).count();
                if is_arm && !present && gone == 1 { vec![*one] } else { Vec::new() }
            }
            _ => Vec::new(),
        };
        let mut writers = theirs.iter().map(|name| writer_of(name));
        let writer = writers.next()??;
        let alone = writers.all(|other| other.is_some_and(|other| other.same_writer(writer)));
        // A field that is still there must be what the same manager changed (`type` of a strategy).
        let changed = !present || writer_of(arm).is_some_and(|other| other.same_writer(writer));
        (alone && changed).then(|| (pointer, theirs.into_iter().cloned().collect()))
    }
}

/// The item that takes the place of an edited one, or `None`: the edited one only goes.
type Edit = Option<Value>;

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
