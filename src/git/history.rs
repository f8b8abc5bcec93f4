//! Whether one commit has another among its ancestors.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use gix::ObjectId;
use gix::objs::{Find, Kind};

use super::fault::{Fault, detail};
use super::remote::chain;
use crate::engine::revision::Ancestry;

/// What the search needs of a commit.
pub(super) struct Link {
    parents: Vec<ObjectId>,
    /// Seconds since 1970, as the committer's clock had it: only the order of the search depends on it.
    time: i64,
}

/// Reads a commit; `None` if it is not in the store, which says nothing about whether it exists.
pub(super) fn link(objects: &gix::odb::HandleArc, id: &ObjectId) -> Result<Option<Link>, Fault> {
    let mut buffer = Vec::new();
    let corrupt = |error: String| Fault::Corrupt(detail(&format!("commit {id}: {error}")));
    let found = objects.try_find(id, &mut buffer).map_err(|error| corrupt(chain(&error)))?;
    let Some(data) = found.filter(|data| data.kind == Kind::Commit) else { return Ok(None) };
    let hash = gix::hash::Kind::Sha1;
    let parents = gix::objs::CommitRefIter::from_bytes(data.data, hash).parent_ids().collect();
    let committer = gix::objs::CommitRefIter::from_bytes(data.data, hash).committer();
    Ok(Some(Link { parents, time: committer.map_or(0, |committer| committer.seconds()) }))
}

/// Of which of the two commits one is an ancestor.
const OF_NEW: u8 = 1;
const OF_OLD: u8 = 2;
const OF_BOTH: u8 = OF_NEW | OF_OLD;

/// How `new` stands to `old`, found by reading at most `limit` commits with `look`, the latest first. Where both histories
/// have met, neither is followed further: an ancestor of `old` can't be its descendant.
pub(super) fn ancestry(
    (old, new): (ObjectId, ObjectId),
    limit: usize,
    look: impl FnMut(&ObjectId) -> Result<Option<Link>, Fault>,
) -> Result<Ancestry, Fault> {
    let mut search = Search {
        look,
        marks: HashMap::new(),
        queue: BinaryHeap::new(),
        links: HashMap::new(),
        absent: BTreeSet::new(),
    };
    search.mark(new, OF_NEW)?;
    search.mark(old, OF_OLD)?;
    let mut left = limit;
    while search.is_open() {
        let Some((_, Reverse(id))) = search.queue.pop() else { return Ok(Ancestry::Unknown) };
        if search.marks.get(&old) == Some(&OF_BOTH) {
            return Ok(Ancestry::Follows);
        }
        if left == 0 {
            return Ok(Ancestry::Unknown);
        }
        left -= 1;
        let mark = search.marks.get(&id).copied().unwrap_or_default();
        for parent in search.links.get(&id).map(|link| link.parents.clone()).unwrap_or_default() {
            search.mark(parent, mark)?;
        }
    }
    Ok(if search.marks.get(&old) == Some(&OF_BOTH) { Ancestry::Follows } else { Ancestry::Rewritten })
}

struct Search<L> {
    look: L,
    marks: HashMap<ObjectId, u8>,
    /// Commits whose parents have not got their mark yet, the latest first.
    queue: BinaryHeap<(i64, Reverse<ObjectId>)>,
    links: HashMap<ObjectId, Link>,
    /// Commits that are not at hand.
    absent: BTreeSet<ObjectId>,
}

impl<L: FnMut(&ObjectId) -> Result<Option<Link>, Fault>> Search<L> {
    /// Adds a mark to a commit, which its parents then get as well.
    fn mark(&mut self, id: ObjectId, mark: u8) -> Result<(), Fault> {
        let known = self.marks.entry(id).or_default();
        if *known | mark == *known {
            return Ok(());
        }
        *known |= mark;
        if !self.links.contains_key(&id) && !self.absent.contains(&id) {
            match (self.look)(&id)? {
                Some(link) => drop(self.links.insert(id, link)),
                None => drop(self.absent.insert(id)),
            }
        }
        if let Some(link) = self.links.get(&id) {
            self.queue.push((link.time, Reverse(id)));
        }
        Ok(())
    }

    /// Whether there are ancestors of the new commit alone whose own ancestors were not looked at.
    fn is_open(&self) -> bool {
        let of_new = |id: &ObjectId| self.marks.get(id) == Some(&OF_NEW);
        self.queue.iter().any(|(_, Reverse(id))| of_new(id)) || self.absent.iter().any(of_new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A commit is named by a letter; each line is one with its parents, the oldest first.
    fn told(history: &[&str], absent: &str, old: char, new: char, limit: usize) -> (Ancestry, usize) {
        let id = |name: char| ObjectId::from_bytes_or_panic(&[name as u8; 20]);
        let mut read = 0;
        let found = ancestry((id(old), id(new)), limit, |wanted| {
            read += 1;
            let mut lines = history.iter().enumerate();
            let line = lines.find(|(_, line)| line.chars().next().is_some_and(|name| id(name) == *wanted));
            let known = line.filter(|(_, line)| !line.starts_with(|name| absent.contains(name)));
            Ok(known.map(|(time, line)| Link { parents: line.chars().skip(1).map(id).collect(), time: time as i64 }))
        });
        (found.unwrap(), read)
    }

    #[test]
    fn histories_that_went_on_and_that_were_rewritten() {
        use Ancestry::{Follows, Rewritten, Unknown};
        let line = ["a", "ba", "cb", "dc"];
        let fork = ["a", "ba", "ca", "db", "ec"];
        let merge = ["a", "ba", "ca", "dbc"];
        type Case<'c> = (&'c [&'c str], &'c str, char, char, usize, Ancestry);
        let cases: &[Case<'_>] = &[
            (&line, "", 'a', 'd', 100, Follows),
            (&line, "", 'c', 'd', 100, Follows),
            (&line, "", 'd', 'd', 100, Follows),
            (&line, "", 'd', 'a', 100, Rewritten),
            (&line, "", 'd', 'c', 100, Rewritten),
            (&fork, "", 'b', 'c', 100, Rewritten),
            (&fork, "", 'd', 'e', 100, Rewritten),
            (&fork, "", 'a', 'e', 100, Follows),
            (&merge, "", 'b', 'd', 100, Follows),
            (&merge, "", 'c', 'd', 100, Follows),
            (&merge, "", 'd', 'b', 100, Rewritten),
            // Nothing in common.
            (&["a", "ba", "x", "yx"], "", 'b', 'y', 100, Rewritten),
            // The mirror has the two commits alone: enough for one commit forth, back, or in its place.
            (&line, "ab", 'c', 'd', 100, Follows),
            (&line, "ab", 'd', 'c', 100, Rewritten),
            (&fork, "a", 'b', 'c', 100, Rewritten),
            // It does not tell more.
            (&line, "bc", 'a', 'd', 100, Unknown),
            (&fork, "abc", 'd', 'e', 100, Unknown),
            // The old one is gone: all of the new one's history says that it is not in it, a part does not.
            (&fork, "bd", 'd', 'e', 100, Rewritten),
            (&fork, "abd", 'd', 'e', 100, Unknown),
            // Further than is looked.
            (&line, "", 'a', 'd', 3, Follows),
            (&line, "", 'a', 'd', 2, Unknown),
        ];
        for (history, absent, old, new, limit, expected) in cases {
            let (found, _) = told(history, absent, *old, *new, *limit);
            assert_eq!(found, *expected, "{history:?} without {absent:?}: {old} to {new} within {limit}");
        }
    }

    #[test]
    fn no_more_is_read_than_the_answer_needs() {
        // A long history, and one commit in the place of another at its end.
        let names: Vec<char> = ('0'..='9').chain('A'..='Z').collect();
        let mut history: Vec<String> = vec!["0".into()];
        history.extend(names.windows(2).map(|pair| format!("{}{}", pair[1], pair[0])));
        history.extend(["xZ".into(), "yZ".into()]);
        let history: Vec<&str> = history.iter().map(String::as_str).collect();
        let (found, read) = told(&history, "", 'x', 'y', 100);
        assert_eq!(found, Ancestry::Rewritten);
        assert!(read <= 4, "{read} commits were read");
        let (found, read) = told(&history, "", 'Z', 'y', 100);
        assert_eq!(found, Ancestry::Follows);
        assert!(read <= 3, "{read} commits were read");
    }

    #[test]
    fn clocks_that_are_wrong_change_nothing() {
        // The order of the lines is that of the committers' clocks: children are older than their parents here.
        let line = ["dc", "cb", "ba", "a"];
        assert_eq!(told(&line, "", 'a', 'd', 100).0, Ancestry::Follows);
        assert_eq!(told(&line, "", 'd', 'a', 100).0, Ancestry::Rewritten);
        let fork = ["ec", "db", "ca", "ba", "a"];
        assert_eq!(told(&fork, "", 'd', 'e', 100).0, Ancestry::Rewritten);
    }
}
