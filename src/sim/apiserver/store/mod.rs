//! What the server keeps: objects as the bytes that it answers, one revision for all of them, and for each resource the
//! changes of late, from which watches are fed and older states are told.

mod history;
mod index;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use self::history::Table;
use self::index::Index;
pub use self::index::Moved;
use super::delete::{FOREGROUND, ORPHAN};
use super::meta;

/// The first revision. What is there before anything happened has it.
const FIRST: u64 = 1;

/// Name of an object inside its resource: `namespace/name`, or the name alone. Lists are in this order, as in etcd.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Arc<str>);

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
    /// An object with its body.
    fn of(object: &Value, revision: u64, body: Bytes) -> Self {
        let labels = meta::get(object, "labels").and_then(Value::as_object).into_iter().flatten();
        let owners = meta::get(object, "ownerReferences").and_then(Value::as_array).into_iter().flatten();
        let label =
            |(name, value): (&String, &Value)| (name.as_str().into(), value.as_str().unwrap_or_default().into());
        Self {
            revision,
            body,
            labels: labels.map(label).collect(),
            owners: owners.filter_map(|owner| owner.get("uid").and_then(Value::as_str).map(Box::from)).collect(),
            deleting: meta::get(object, "deletionTimestamp").is_some(),
        }
    }

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

/// A write, as it is to be kept elsewhere.
#[derive(Clone, Debug)]
pub struct Write {
    /// The resource's qualified name.
    pub table: String,
    /// Whose.
    pub key: Key,
    /// The revision that the write made.
    pub revision: u64,
    /// The object as [`Stored::body`] has it; `None`: it is gone.
    pub object: Option<Bytes>,
}

/// All that a server kept, to go on with.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// The newest revision. What is watched from an older one is answered `410`.
    pub revision: u64,
    /// The objects as [`Write`]s told them.
    pub objects: Vec<(Place, Bytes)>,
}

/// All objects.
#[derive(Debug)]
pub struct Store {
    revision: u64,
    /// The revision before which nothing is known of any resource.
    begin: u64,
    tables: BTreeMap<String, Table>,
    index: Index,
    /// Writes that nobody took yet; `None`: nobody takes them.
    journal: Option<Vec<Write>>,
    /// Tables of which changes are told to controllers.
    followed: &'static [&'static str],
    /// Objects of those that changed since that was asked last, with their last state.
    touched: Vec<(Place, Arc<Stored>)>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            revision: FIRST,
            begin: 0,
            tables: BTreeMap::new(),
            index: Index::default(),
            journal: None,
            followed: &[],
            touched: Vec::new(),
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

    /// The objects of a table that are being deleted.
    pub fn deleting<'s>(&'s self, table: &'s str) -> impl Iterator<Item = &'s Key> {
        self.index.deleting(table)
    }

    /// The objects that have an owner of this uid.
    pub fn owned_by(&self, uid: &str) -> impl Iterator<Item = &Place> + use<'_> {
        self.index.owned_by(uid)
    }

    /// The object of this uid, if it is only there until its dependents are gone or let go.
    pub fn waiting(&self, uid: &str) -> Option<&Place> {
        self.index.waiting(uid)
    }

    /// Which owners and dependents changed since this was asked last.
    pub fn take_moved(&mut self) -> Moved {
        self.index.take_moved()
    }

    /// Tells the changes of these tables by [`Self::take_touched`].
    pub fn follow(&mut self, tables: &'static [&'static str]) {
        self.followed = tables;
    }

    /// The objects of followed tables that changed since this was asked last, with their last state.
    pub fn take_touched(&mut self) -> Vec<(Place, Arc<Stored>)> {
        std::mem::take(&mut self.touched)
    }

    /// Tells by [`Self::take_writes`] all that is there, unless it was restored, and all writes from now on. Who asks for
    /// this takes them: they are held until then.
    pub fn keep_writes(&mut self) {
        if self.journal.is_some() {
            return;
        }
        let revision = self.revision;
        let objects =
            self.tables.iter().flat_map(|(table, of)| of.objects.iter().map(move |(key, it)| (table, key, it)));
        let writes = objects.map(|(table, key, stored)| Write {
            table: table.clone(),
            key: key.clone(),
            revision,
            object: Some(stored.body.clone()),
        });
        self.journal = Some(writes.collect());
    }

    /// The writes since this was asked last, in order.
    pub fn take_writes(&mut self) -> Vec<Write> {
        self.journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes up what was kept, and tells writes from then on. What it held is forgotten.
    pub fn restore(&mut self, saved: Saved) {
        let revision = saved.revision.max(FIRST);
        let journal = Some(Vec::new());
        *self = Self { revision, begin: revision, followed: self.followed, journal, ..Self::default() };
        for ((table, key), body) in saved.objects {
            let object = serde_json::from_slice::<Value>(&body).unwrap_or_default();
            let own = meta::text(&object, "resourceVersion").parse().unwrap_or(revision);
            let stored = Arc::new(Stored::of(&object, own, body));
            self.index.follow((&table, &key), meta::text(&object, "uid"), None, Some(&stored), waits(&object));
            if self.followed.contains(&table.as_str()) {
                self.touched.push(((table.clone(), key.clone()), stored.clone()));
            }
            self.table(&table).objects.insert(key, stored);
        }
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
        let Some(table) = self.tables.get(table) else {
            return if at.is_some_and(|at| at < self.begin) { Err(Forgotten) } else { Ok(Vec::new()) };
        };
        let prefix = namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let start = match after {
            Some(after) => Bound::Excluded(after.clone()),
            None => Bound::Included(Key(prefix.as_str().into())),
        };
        let inside = |key: &Key| key.0.starts_with(&prefix);
        let now = table.objects.range((start.clone(), Bound::Unbounded)).take_while(|(key, _)| inside(key));
        let Some(at) = at.filter(|at| *at < self.revision) else { return Ok(now.collect()) };
        // The newest change is taken back first, so that of each object the oldest of the changes decides.
        let mut before: BTreeMap<&Key, Option<&Arc<Stored>>> = BTreeMap::new();
        for change in table.changes_after(at)?.rev() {
            let behind = match &start {
                Bound::Excluded(after) => change.key > *after,
                _ => true,
            };
            if behind && inside(&change.key) {
                before.insert(&change.key, change.previous.as_ref());
            }
        }
        let mut then = Vec::new();
        let mut before = before.into_iter().peekable();
        for (key, stored) in now {
            while let Some((other, previous)) = before.next_if(|(other, _)| *other < key) {
                then.extend(previous.map(|previous| (other, previous)));
            }
            match before.next_if(|(other, _)| *other == key) {
                Some((_, previous)) => then.extend(previous.map(|previous| (key, previous))),
                None => then.push((key, stored)),
            }
        }
        then.extend(before.filter_map(|(key, previous)| Some((key, previous?))));
        Ok(then)
    }

    /// The first change of a resource after a revision; none yet: `None`.
    pub fn next_change(&self, table: &str, after: u64) -> Result<Option<&Change>, Forgotten> {
        match self.tables.get(table) {
            Some(table) => Ok(table.changes_after(after)?.next()),
            None if after < self.begin => Err(Forgotten),
            None => Ok(None),
        }
    }

    /// Keeps an object, new or changed, and gives it the next revision.
    pub fn put(&mut self, table: &str, key: &Key, mut object: Value, now: Timestamp) -> Arc<Stored> {
        let stored = self.stored(&mut object);
        let previous = self.table(table).objects.insert(key.clone(), stored.clone());
        let waits = waits(&object);
        self.index.follow((table, key), meta::text(&object, "uid"), previous.as_deref(), Some(&stored), waits);
        self.record(table, key, &stored, previous, false, now);
        stored
    }

    /// Takes an object away. `last` is its last state, which gets the next revision; an object that is not there is left
    /// alone.
    pub fn remove(&mut self, table: &str, key: &Key, mut last: Value, now: Timestamp) -> Option<Arc<Stored>> {
        self.get(table, key)?;
        let stored = self.stored(&mut last);
        let previous = self.table(table).objects.remove(key);
        self.index.follow((table, key), meta::text(&last, "uid"), previous.as_deref(), None, false);
        self.record(table, key, &stored, previous, true, now);
        Some(stored)
    }

    /// Tells a change to all who follow: the history, the journal, the controllers.
    fn record(
        &mut self,
        table: &str,
        key: &Key,
        object: &Arc<Stored>,
        previous: Option<Arc<Stored>>,
        deleted: bool,
        now: Timestamp,
    ) {
        if self.followed.contains(&table) {
            self.touched.push(((table.to_owned(), key.clone()), object.clone()));
        }
        let (revision, object) = (object.revision, object.clone());
        if let Some(journal) = &mut self.journal {
            let object = (!deleted).then(|| object.body.clone());
            journal.push(Write { table: table.to_owned(), key: key.clone(), revision, object });
        }
        self.table(table).record(Change { revision, at: now, key: key.clone(), object, previous, deleted });
    }

    /// Forgets all changes up to a revision, as a compaction does.
    pub fn compact(&mut self, revision: u64) {
        self.begin = self.begin.max(revision);
        self.tables.values_mut().for_each(|table| table.compact(revision));
    }

    fn table(&mut self, name: &str) -> &mut Table {
        let begin = self.begin;
        self.tables.entry(name.to_owned()).or_insert_with(|| Table::since(begin))
    }

    /// An object with the next revision.
    fn stored(&mut self, object: &mut Value) -> Arc<Stored> {
        self.revision += 1;
        meta::set(object, "resourceVersion", self.revision.to_string());
        // A JSON value can always be written. What was reserved for it and not needed is given back.
        let body = serde_json::to_vec(object).unwrap_or_default().into_boxed_slice();
        Arc::new(Stored::of(object, self.revision, body.into()))
    }
}

/// Whether an object that is being deleted waits for its dependents, or for them to be let go.
fn waits(object: &Value) -> bool {
    let finalizers = meta::finalizers(object);
    meta::get(object, "deletionTimestamp").is_some()
        && (finalizers.contains(&FOREGROUND) || finalizers.contains(&ORPHAN))
}
