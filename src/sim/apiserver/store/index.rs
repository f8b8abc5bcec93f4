//! What is known of all objects together: which are being deleted, and which belong to which.

use std::collections::{BTreeMap, BTreeSet};

use super::{Key, Place, Stored};

/// Who is deleted, who owns whom, and of which that was not looked at since it changed.
#[derive(Debug, Default)]
pub(super) struct Index {
    deleting: BTreeSet<Place>,
    /// Objects that have an owner, by its uid.
    owned: BTreeMap<Box<str>, BTreeSet<Place>>,
    /// Objects that wait for their dependents, by their uid.
    waiting: BTreeMap<Box<str>, Place>,
    moved: Moved,
}

/// What garbage collection must look at.
#[derive(Debug, Default)]
pub struct Moved {
    /// Objects that have other owners than before.
    pub dependents: BTreeSet<Place>,
    /// Uids of objects that are gone or wait for their dependents, or whose dependents changed while they wait.
    pub owners: BTreeSet<Box<str>>,
}

impl Moved {
    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.dependents.is_empty() && self.owners.is_empty()
    }
}

impl Index {
    /// The objects of a table that are being deleted.
    pub(super) fn deleting<'s>(&'s self, table: &'s str) -> impl Iterator<Item = &'s Key> {
        let from = (table.to_owned(), Key::from_text(""));
        self.deleting.range(from..).take_while(move |(of, _)| of == table).map(|(_, key)| key)
    }

    /// The objects that have an owner of this uid.
    pub(super) fn owned_by(&self, uid: &str) -> impl Iterator<Item = &Place> + use<'_> {
        self.owned.get(uid).into_iter().flatten()
    }

    /// The object of this uid, if it waits for its dependents.
    pub(super) fn waiting(&self, uid: &str) -> Option<&Place> {
        self.waiting.get(uid)
    }

    /// What moved since this was asked last.
    pub(super) fn take_moved(&mut self) -> Moved {
        std::mem::take(&mut self.moved)
    }

    /// Follows a change. `waits`: the object is there and waits for its dependents.
    pub(super) fn follow(
        &mut self,
        (table, key): (&str, &Key),
        uid: &str,
        before: Option<&Stored>,
        after: Option<&Stored>,
        waits: bool,
    ) {
        let place = || (table.to_owned(), key.clone());
        let owners = |stored: Option<&Stored>| stored.map(|stored| stored.owners.clone()).unwrap_or_default();
        let (had, has) = (owners(before), owners(after));
        for owner in &had {
            if self.waiting.contains_key(owner) {
                self.moved.owners.insert(owner.clone());
            }
        }
        if had != has {
            self.move_owners(&place(), &had, &has);
        }
        let (was_deleting, is_deleting) =
            (before.is_some_and(|stored| stored.deleting), after.is_some_and(|stored| stored.deleting));
        match (was_deleting, is_deleting) {
            (true, false) => drop(self.deleting.remove(&place())),
            (false, true) => drop(self.deleting.insert(place())),
            _ => {}
        }
        if waits {
            self.waiting.insert(uid.into(), place());
        } else if was_deleting {
            self.waiting.remove(uid);
        }
        if waits || (after.is_none() && self.owned.contains_key(uid)) {
            self.moved.owners.insert(uid.into());
        }
    }

    fn move_owners(&mut self, place: &Place, had: &[Box<str>], has: &[Box<str>]) {
        for owner in had {
            if let Some(places) = self.owned.get_mut(owner) {
                places.remove(place);
                if places.is_empty() {
                    self.owned.remove(owner);
                }
            }
        }
        for owner in has {
            self.owned.entry(owner.clone()).or_default().insert(place.clone());
        }
        if has.is_empty() {
            self.moved.dependents.remove(place);
        } else {
            self.moved.dependents.insert(place.clone());
        }
    }
}
