//! What the server keeps: objects as the bytes that it answers, one revision for all of them, and for each resource the
//! changes of late, from which watches are fed and older states are told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Most changes kept of one resource; the real server's watch cache holds as many.
const WINDOW: usize = 102_400;
/// How long changes are kept: the interval at which the real server has etcd forget what is older.
const KEPT: SignedDuration = SignedDuration::from_mins(5);
/// The first revision. What is there before anything happened has it.
const FIRST: u64 = 1;

/// Name of an object inside its resource: `namespace/name`, or the name alone. Lists are in this order, as in etcd.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Box<str>);

impl Key {
    /// The key of a name, in a namespace if there is one.
    pub fn new(namespace: Option<&str>, name: &str) -> Self {
        match namespace {
            Some(namespace) => Self(format!("{namespace}/{name}").into()),
            None => Self(name.into()),
        }
    }

    /// The key as text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// One that was told as text.
    pub fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    /// Its namespace, if it has one.
    pub fn namespace(&self) -> Option<&str> {
        self.0.split_once('/').map(|(namespace, _)| namespace)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, name)| name)
    }
}

/// An object as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its `resourceVersion`.
    pub revision: u64,
    /// The whole object as JSON.
    pub body: Bytes,
    /// Its labels, for selectors.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// The uids of its owners.
    pub owners: Box<[Box<str>]>,
    /// Whether it is being deleted.
    pub deleting: bool,
}

/// Where an object is: its resource's qualified name, and its key.
pub type Place = (String, Key);

impl Stored {
    /// An object that is told and not kept.
    pub fn transient(object: &Value) -> Self {
        let revision = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        let revision = revision.and_then(|text| text.parse().ok()).unwrap_or(0);
        Self {
            revision,
            body: object.to_string().into(),
            labels: Box::default(),
            owners: Box::default(),
            deleting: false,
        }
    }

    /// The object. Bodies are written by this server, so this can't fail; should it, there is nothing.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
    }
}

/// A change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// Revision at which it happened.
    pub revision: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Whose.
    pub key: Key,
    /// The object after it; of a deleted one the last state, with the revision of its deletion.
    pub object: Arc<Stored>,
    /// The object before it; `None`: it was created.
    pub previous: Option<Arc<Stored>>,
    /// Whether it is gone.
    pub deleted: bool,
}

/// A revision that is older than what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten;

/// The objects of one resource.
#[derive(Debug, Default)]
struct Table {
    objects: BTreeMap<Key, Arc<Stored>>,
    changes: VecDeque<Arc<Change>>,
    /// Revision of the newest change that is no longer kept.
    forgotten: u64,
}

/// All objects.
#[derive(Debug)]
pub struct Store {
    revision: u64,
    tables: BTreeMap<String, Table>,
    /// The objects that are being deleted.
    deleting: BTreeSet<Place>,
    /// The objects that have an owner, by its uid.
    owned: BTreeMap<Box<str>, BTreeSet<Place>>,
    /// Whether anything happened to owners or to what is owned since that was last looked at.
    owners_moved: bool,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            revision: FIRST,
            tables: BTreeMap::new(),
            deleting: BTreeSet::new(),
            owned: BTreeMap::new(),
            owners_moved: false,
        }
    }
}

impl Store {
    /// The newest revision.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The object of a key. `table` is a resource's qualified name.
    pub fn get(&self, table: &str, key: &Key) -> Option<&Arc<Stored>> {
        self.tables.get(table)?.objects.get(key)
    }

    /// How many objects there are.
    pub fn count(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, |table| table.objects.len())
    }

    /// The objects that are being deleted.
    pub fn deleting(&self) -> impl Iterator<Item = &Place> {
        self.deleting.iter()
    }

    /// The objects that have an owner of this uid.
    pub fn owned_by(&self, uid: &str) -> impl Iterator<Item = &Place> {
        self.owned.get(uid).into_iter().flatten()
    }

    /// The uids that objects name as their owners'.
    pub fn owners(&self) -> impl Iterator<Item = &str> {
        self.owned.keys().map(|uid| &**uid)
    }

    /// Whether owners, or what is owned, changed since this was asked last.
    pub fn take_owners_moved(&mut self) -> bool {
        std::mem::take(&mut self.owners_moved)
    }

    /// The tables that hold objects.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().filter(|(_, table)| !table.objects.is_empty()).map(|(name, _)| name.as_str())
    }

    /// The objects of a namespace, or of all, behind `after`, in order; as they were at a revision, or are now.
    pub fn list<'s>(
        &'s self,
        table: &str,
        namespace: Option<&str>,
        after: Option<&Key>,
        at: Option<u64>,
    ) -> Result<Vec<(&'s Key, &'s Arc<Stored>)>, Forgotten> {
        let Some(table) = self.tables.get(table) else { return Ok(Vec::new()) };
        let prefix = namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let start = match after {
            Some(after) => Bound::Excluded(after.clone()),
            None => Bound::Included(Key(prefix.as_str().into())),
        };
        let inside = |key: &Key| key.0.starts_with(&prefix);
        let now = table.objects.range((start.clone(), Bound::Unbounded)).take_while(|(key, _)| inside(key));
        let Some(at) = at.filter(|at| *at < self.revision) else { return Ok(now.collect()) };
        let mut then: BTreeMap<&Key, &Arc<Stored>> = now.collect();
        for change in table.changes_after(at)?.rev() {
            let behind = match &start {
                Bound::Excluded(after) => change.key > *after,
                _ => true,
            };
            match &change.previous {
                Some(previous) if behind && inside(&change.key) => then.insert(&change.key, previous),
                _ => then.remove(&change.key),
            };
        }
        Ok(then.into_iter().collect())
    }

    /// The first change of a resource after a revision; none yet: `None`.
    pub fn next_change(&self, table: &str, after: u64) -> Result<Option<&Arc<Change>>, Forgotten> {
        match self.tables.get(table) {
            Some(table) => Ok(table.changes_after(after)?.next()),
            None => Ok(None),
        }
    }

    /// Keeps an object, new or changed, and gives it the next revision.
    pub fn put(&mut self, table: &str, key: &Key, object: Value, now: Timestamp) -> Arc<Stored> {
        let stored = self.stored(object);
        let previous = self.table(table).objects.insert(key.clone(), stored.clone());
        self.index(table, key, previous.as_deref(), Some(&stored));
        let table = self.table(table);
        table.record(Change {
            revision: stored.revision,
            at: now,
            key: key.clone(),
            object: stored.clone(),
            previous,
            deleted: false,
        });
        stored
    }

    /// Takes an object away. `last` is its last state, which gets the next revision; an object that is not there is left
    /// alone.
    pub fn remove(&mut self, table: &str, key: &Key, last: Value, now: Timestamp) -> Option<Arc<Stored>> {
        self.get(table, key)?;
        let stored = self.stored(last);
        let previous = self.table(table).objects.remove(key);
        self.index(table, key, previous.as_deref(), None);
        let table = self.table(table);
        table.record(Change {
            revision: stored.revision,
            at: now,
            key: key.clone(),
            object: stored.clone(),
            previous,
            deleted: true,
        });
        Some(stored)
    }

    /// Forgets all changes up to a revision, as a compaction does.
    pub fn compact(&mut self, revision: u64) {
        for table in self.tables.values_mut() {
            table.forget(|change| change.revision <= revision);
            table.forgotten = table.forgotten.max(revision);
        }
    }

    /// Keeps what is known of all objects together.
    fn index(&mut self, table: &str, key: &Key, before: Option<&Stored>, after: Option<&Stored>) {
        let place = || (table.to_owned(), key.clone());
        let concerned = |stored: &Stored| stored.deleting || !stored.owners.is_empty();
        self.owners_moved |= after.is_none() || before.is_some_and(concerned) || after.is_some_and(concerned);
        if before.is_some_and(|stored| stored.deleting) {
            self.deleting.remove(&place());
        }
        for owner in before.iter().flat_map(|stored| &stored.owners) {
            if let Some(places) = self.owned.get_mut(owner) {
                places.remove(&place());
                if places.is_empty() {
                    self.owned.remove(owner);
                }
            }
        }
        if after.is_some_and(|stored| stored.deleting) {
            self.deleting.insert(place());
        }
        for owner in after.iter().flat_map(|stored| &stored.owners) {
            self.owned.entry(owner.clone()).or_default().insert(place());
        }
    }

    fn table(&mut self, name: &str) -> &mut Table {
        if !self.tables.contains_key(name) {
            self.tables.insert(name.to_owned(), Table::default());
        }
        self.tables.entry(name.to_owned()).or_default()
    }

    fn stored(&mut self, mut object: Value) -> Arc<Stored> {
        self.revision += 1;
        let revision = self.revision;
        let (mut labels, mut owners, mut deleting) = (Vec::new(), Vec::new(), false);
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
            for (name, value) in metadata.get("labels").and_then(Value::as_object).into_iter().flatten() {
                labels.push((name.as_str().into(), value.as_str().unwrap_or_default().into()));
            }
            for owner in metadata.get("ownerReferences").and_then(Value::as_array).into_iter().flatten() {
                owners.extend(owner.get("uid").and_then(Value::as_str).map(Box::from));
            }
            deleting = metadata.contains_key("deletionTimestamp");
        }
        // A JSON value can always be written.
        let body = serde_json::to_vec(&object).unwrap_or_default();
        Arc::new(Stored { revision, body: body.into(), labels: labels.into(), owners: owners.into(), deleting })
    }
}

impl Table {
    /// The changes after a revision, the oldest first.
    fn changes_after(&self, revision: u64) -> Result<impl DoubleEndedIterator<Item = &Arc<Change>>, Forgotten> {
        if revision < self.forgotten {
            return Err(Forgotten);
        }
        let start = self.changes.partition_point(|change| change.revision <= revision);
        Ok(self.changes.range(start..))
    }

    fn record(&mut self, change: Change) {
        let now = change.at;
        self.changes.push_back(Arc::new(change));
        let surplus = self.changes.len().saturating_sub(WINDOW);
        let oldest_kept = self.changes.get(surplus).map_or(0, |change| change.revision);
        self.forget(|change| change.revision < oldest_kept || now.duration_since(change.at) > KEPT);
    }

    fn forget(&mut self, old: impl Fn(&Change) -> bool) {
        while let Some(change) = self.changes.pop_front_if(|change| old(change)) {
            self.forgotten = change.revision;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn object(text: &str) -> Value {
        json!({"metadata": {"labels": {"app": text}}, "text": text})
    }

    fn texts(store: &Store, namespace: Option<&str>, at: Option<u64>) -> Vec<String> {
        let listed = store.list("things", namespace, None, at).unwrap();
        listed
            .iter()
            .map(|(key, stored)| format!("{}={}", key.text(), stored.value()["text"].as_str().unwrap()))
            .collect()
    }

    #[test]
    fn the_past_can_be_listed_as_it_was() {
        let mut store = Store::default();
        let key = |name| Key::new(Some("a"), name);
        let first = store.put("things", &key("x"), object("1"), at(0)).revision;
        store.put("things", &Key::new(Some("a-b"), "x"), object("2"), at(0));
        let third = store.put("things", &key("x"), object("3"), at(0)).revision;
        store.put("things", &key("y"), object("4"), at(0));
        store.remove("things", &key("x"), object("3"), at(0));
        assert_eq!(texts(&store, None, None), ["a-b/x=2", "a/y=4"]);
        assert_eq!(texts(&store, None, Some(third)), ["a-b/x=2", "a/x=3"]);
        assert_eq!(texts(&store, Some("a"), Some(first)), ["a/x=1"]);
        assert_eq!(texts(&store, Some("b"), Some(first)), [""; 0]);
    }

    #[test]
    fn a_watch_that_is_too_old_is_told() {
        let mut store = Store::default();
        let key = Key::new(None, "x");
        let first = store.put("things", &key, object("1"), at(0)).revision;
        store.put("things", &key, object("2"), at(1));
        let next = store.next_change("things", first).unwrap().unwrap();
        assert_eq!((next.object.label("app"), next.previous.as_ref().unwrap().label("app")), (Some("2"), Some("1")));
        // The one at second 0 is forgotten five minutes later, so who has seen it may go on.
        store.put("things", &key, object("3"), at(301));
        assert!(store.next_change("things", first).unwrap().is_some());
        assert_eq!(store.next_change("things", first - 1).unwrap_err(), Forgotten);
        store.compact(store.revision());
        assert_eq!(store.list("things", None, None, Some(first)).unwrap_err(), Forgotten);
        assert!(store.next_change("things", store.revision()).unwrap().is_none());
    }
}
