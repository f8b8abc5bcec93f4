//! The objects of one resource, and its changes of late.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::SignedDuration;

use super::{Change, Forgotten, Key, Stored};

/// Most changes kept of one resource; the real server's watch cache holds as many.
const WINDOW: usize = 102_400;
/// How long changes are kept: the interval at which the real server has etcd forget what is older.
const KEPT: SignedDuration = SignedDuration::from_mins(5);
/// Most bytes of objects that are kept for the history of one resource alone.
pub(super) const MAX_HELD: usize = 64 << 20;

/// The objects of one resource.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) objects: BTreeMap<Key, Arc<Stored>>,
    changes: VecDeque<Change>,
    /// Revision of the newest change that is no longer kept.
    forgotten: u64,
    /// Bytes of states that only the changes hold.
    held: usize,
}

impl Table {
    /// One whose history begins at a revision.
    pub(super) fn since(revision: u64) -> Self {
        Self { forgotten: revision, ..Self::default() }
    }

    /// The changes after a revision, the oldest first.
    pub(super) fn changes_after(
        &self,
        revision: u64,
    ) -> Result<impl DoubleEndedIterator<Item = &Change> + use<'_>, Forgotten> {
        if revision < self.forgotten {
            return Err(Forgotten);
        }
        let start = self.changes.partition_point(|change| change.revision <= revision);
        Ok(self.changes.range(start..))
    }

    pub(super) fn record(&mut self, change: Change) {
        let now = change.at;
        self.held += held(&change);
        self.changes.push_back(change);
        while self.changes.len() > WINDOW || self.held > MAX_HELD {
            if !self.forget_oldest(|_| true) {
                break;
            }
        }
        while self.forget_oldest(|change| now.duration_since(change.at) > KEPT) {}
    }

    /// Forgets all changes up to a revision.
    pub(super) fn compact(&mut self, revision: u64) {
        while self.forget_oldest(|change| change.revision <= revision) {}
        self.forgotten = self.forgotten.max(revision);
    }

    fn forget_oldest(&mut self, old: impl Fn(&Change) -> bool) -> bool {
        let Some(change) = self.changes.pop_front_if(|change| old(change)) else { return false };
        self.held = self.held.saturating_sub(held(&change));
        self.forgotten = change.revision;
        true
    }
}

/// Bytes of a change that nothing but the history needs.
fn held(change: &Change) -> usize {
    let last = if change.deleted { change.object.body.len() } else { 0 };
    last + change.previous.as_ref().map_or(0, |previous| previous.body.len())
}
