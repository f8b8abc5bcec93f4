//! What the controllers have to look at, and when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::store::Place;

/// Places to look at by the time at which that is due, and the clocks that were started.
#[derive(Debug, Default)]
pub(super) struct Work {
    due: BTreeSet<(Timestamp, Place)>,
    times: BTreeMap<Place, Timestamp>,
    /// When what was begun for the object of a uid is over.
    clocks: BTreeMap<(String, &'static str), Timestamp>,
}

impl Work {
    /// Has a place looked at, at the latest at this time.
    pub(super) fn add(&mut self, place: Place, at: Timestamp) {
        match self.times.get(&place) {
            Some(known) if *known <= at => return,
            Some(known) => drop(self.due.remove(&(*known, place.clone()))),
            None => {}
        }
        self.times.insert(place.clone(), at);
        self.due.insert((at, place));
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// What is due, the earliest first, with the time at which it was.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<(Timestamp, Place)> {
        if self.next()? > now {
            return None;
        }
        let (at, place) = self.due.pop_first()?;
        self.times.remove(&place);
        Some((at, place))
    }

    /// When the clock of this name ends that runs for a uid. One that does not run is started.
    pub(super) fn clock(&mut self, uid: &str, name: &'static str, length: SignedDuration, now: Timestamp) -> Timestamp {
        let end = now.checked_add(length).unwrap_or(Timestamp::MAX);
        *self.clocks.entry((uid.to_owned(), name)).or_insert(end)
    }

    /// Stops a clock.
    pub(super) fn stop_clock(&mut self, uid: &str, name: &'static str) {
        self.clocks.remove(&(uid.to_owned(), name));
    }

    /// Stops all clocks of a uid.
    pub(super) fn forget(&mut self, uid: &str) {
        let of: Vec<_> = self
            .clocks
            .range((uid.to_owned(), "")..)
            .map(|(key, _)| key)
            .take_while(|(of, _)| of == uid)
            .cloned()
            .collect();
        for key in of {
            self.clocks.remove(&key);
        }
    }
}
