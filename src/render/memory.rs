//! A [`Tree`] in memory: what tests render, and what a folder that is in no repository is read into.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::ops::Bound;
use std::sync::Arc;

use super::{Entry, EntryKind, Tree, TreeError};
use crate::engine::hash::Hash;

/// A tree that is filled by hand. As in Git, ids depend on content alone, that of a folder on everything below it, and what
/// was once put in can be read by its id.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree {
    /// Everything but folders, by path.
    leaves: BTreeMap<String, Entry>,
    /// Contents by id.
    blobs: HashMap<Arc<str>, Arc<[u8]>>,
}

impl MemoryTree {
    /// A tree of files, given as path and content.
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut tree = Self::default();
        for (path, content) in files {
            tree.put(path, EntryKind::File, content);
        }
        tree
    }

    /// Sets the file, link (content: its target) or submodule (content: its commit) at `path`.
    pub fn put(&mut self, path: &str, kind: EntryKind, content: impl Into<Vec<u8>>) {
        let content = content.into();
        let id: Arc<str> = Hash::of(&content).to_string().into();
        self.blobs.insert(Arc::clone(&id), content.into());
        self.leaves.insert(path.to_owned(), Entry { kind, id });
    }

    /// Removes what is at `path`; folders go with the last thing in them.
    pub fn remove(&mut self, path: &str) {
        self.leaves.remove(path);
    }

    /// The same tree with a file set.
    pub fn with(&self, path: &str, content: &str) -> Self {
        let mut tree = self.clone();
        tree.put(path, EntryKind::File, content);
        tree
    }

    /// The same tree without what is at `path`.
    pub fn without(&self, path: &str) -> Self {
        let mut tree = self.clone();
        tree.remove(path);
        tree
    }

    /// What is below the folder `path`, with paths relative to it.
    fn below(&self, path: &str) -> impl Iterator<Item = (&str, &Entry)> {
        let start = if path.is_empty() { String::new() } else { format!("{path}/") };
        let leaves = self.leaves.range::<str, _>((Bound::Included(start.as_str()), Bound::Unbounded));
        leaves.map_while(move |(leaf, entry)| Some((leaf.strip_prefix(start.as_str())?, entry)))
    }

    fn entry(&self, path: &str) -> Option<Entry> {
        if let Some(entry) = self.leaves.get(path) {
            return Some(entry.clone());
        }
        let mut listing = String::new();
        for (rest, Entry { kind, id }) in self.below(path) {
            // Writing to a string doesn't fail.
            let _ = writeln!(listing, "{rest}\0{kind:?}\0{id}");
        }
        let exists = path.is_empty() || !listing.is_empty();
        exists.then(|| Entry { kind: EntryKind::Folder, id: Hash::of(listing.as_bytes()).to_string().into() })
    }

    fn blob(&self, id: &str) -> Result<&[u8], TreeError> {
        let blob = self.blobs.get(id).ok_or_else(|| TreeError { message: format!("there is no blob {id}") })?;
        Ok(blob)
    }
}

impl Tree for MemoryTree {
    fn lookup(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        Ok(self.entry(path))
    }

    fn list(&self, path: &str) -> Result<Vec<(Arc<str>, Entry)>, TreeError> {
        if self.entry(path).is_none_or(|entry| entry.kind != EntryKind::Folder) {
            return Err(TreeError { message: format!("there is no folder `{path}`") });
        }
        let mut entries: BTreeMap<Arc<str>, Entry> = BTreeMap::new();
        for (rest, _) in self.below(path) {
            let name = rest.split_once('/').map_or(rest, |(name, _)| name);
            let full = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            if let Some(entry) = self.entry(&full) {
                entries.insert(name.into(), entry);
            }
        }
        Ok(entries.into_iter().collect())
    }

    fn read(&self, id: &str) -> Result<Vec<u8>, TreeError> {
        self.blob(id).map(<[u8]>::to_vec)
    }

    fn size(&self, id: &str) -> Result<u64, TreeError> {
        Ok(self.blob(id)?.len() as u64)
    }
}
