//! Repositories in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};

use driftless::engine::event::SourceError;
use driftless::engine::ids::Revision;
use driftless::engine::revision::{Ancestry, Refs};
use driftless::git::{Commit, Credentials, Repositories};
use driftless::render::memory::MemoryTree;
use driftless::render::{Entry, Tree, TreeError};

/// The branch of every repository.
const BRANCH: &str = "refs/heads/main";

/// All repositories, by URL. Clones are the same ones.
#[derive(Clone, Default)]
pub(crate) struct Git(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    heads: BTreeMap<String, Revision>,
    commits: BTreeMap<Revision, Committed>,
    down: BTreeSet<String>,
}

#[derive(Clone)]
struct Committed {
    tree: Arc<MemoryTree>,
    parent: Option<Revision>,
}

impl Git {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Commits a tree on top of the branch. The repository begins with its first commit.
    pub(crate) fn commit(&self, url: &str, tree: MemoryTree) -> Revision {
        let parent = self.state().heads.get(url).cloned();
        self.push(url, tree, parent)
    }

    /// Replaces the newest commit of the branch: the history is rewritten.
    pub(crate) fn amend(&self, url: &str, tree: MemoryTree) -> Revision {
        let state = self.state();
        let parent = state.heads.get(url).and_then(|head| state.commits.get(head)?.parent.clone());
        drop(state);
        self.push(url, tree, parent)
    }

    fn push(&self, url: &str, tree: MemoryTree, parent: Option<Revision>) -> Revision {
        let mut state = self.state();
        // Spread over all digits, as real ids are.
        let number = (state.commits.len() as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let revision = Revision::parse(&format!("{number:040x}")).unwrap();
        state.commits.insert(revision.clone(), Committed { tree: Arc::new(tree), parent });
        state.heads.insert(url.to_owned(), revision.clone());
        revision
    }

    pub(crate) fn head(&self, url: &str) -> Option<Revision> {
        self.state().heads.get(url).cloned()
    }

    /// Whether a repository can't be reached.
    pub(crate) fn set_down(&self, url: &str, down: bool) {
        let mut state = self.state();
        if down {
            state.down.insert(url.to_owned());
        } else {
            state.down.remove(url);
        }
    }

    fn reachable(&self, url: &str) -> Result<MutexGuard<'_, State>, SourceError> {
        let state = self.state();
        if state.down.contains(url) {
            return Err(SourceError { message: format!("{url}: connection refused") });
        }
        Ok(state)
    }
}

impl Repositories for Git {
    fn list_refs(&self, url: &str, _: Option<&Credentials>, _: &AtomicBool) -> Result<Refs, SourceError> {
        let state = self.reachable(url)?;
        let head = state.heads.get(url).ok_or_else(|| missing(url))?.clone();
        Ok(Refs { head: Some(head.clone()), refs: BTreeMap::from([(BRANCH.into(), head)]) })
    }

    fn open(
        &self,
        url: &str,
        _: Option<&Credentials>,
        revision: &Revision,
        _: Option<&str>,
        _: &AtomicBool,
    ) -> Result<Box<dyn Commit>, SourceError> {
        let state = self.reachable(url)?;
        let Committed { tree, .. } = state.commits.get(revision).ok_or_else(|| missing(revision.as_str()))?.clone();
        drop(state);
        Ok(Box::new(Opened { git: self.clone(), revision: revision.clone(), tree }))
    }

    fn ancestry(
        &self,
        url: &str,
        _: Option<&Credentials>,
        (old, new): (&Revision, &Revision),
        _: Option<&str>,
        _: &AtomicBool,
    ) -> Result<Ancestry, SourceError> {
        Ok(ancestry(&*self.reachable(url)?, old, new))
    }
}

fn missing(what: &str) -> SourceError {
    SourceError { message: format!("{what} does not exist") }
}

fn ancestry(state: &State, old: &Revision, new: &Revision) -> Ancestry {
    let mut at = Some(new);
    while let Some(revision) = at {
        if revision == old {
            return Ancestry::Follows;
        }
        at = state.commits.get(revision).and_then(|commit| commit.parent.as_ref());
    }
    Ancestry::Rewritten
}

struct Opened {
    git: Git,
    revision: Revision,
    tree: Arc<MemoryTree>,
}

impl Tree for Opened {
    fn lookup(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        self.tree.lookup(path)
    }

    fn list(&self, path: &str) -> Result<Vec<(Arc<str>, Entry)>, TreeError> {
        self.tree.list(path)
    }

    fn read(&self, id: &str) -> Result<Vec<u8>, TreeError> {
        self.tree.read(id)
    }
}

impl Commit for Opened {
    fn ancestry(&self, old: &Revision) -> Result<Ancestry, SourceError> {
        Ok(ancestry(&self.git.state(), old, &self.revision))
    }
}
