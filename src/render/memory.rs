//! A [`Tree`] in memory: what tests render, and what a folder that is in no repository is read into.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Entry, EntryKind, Tree, TreeError};
use crate::engine::hash::Hash;

/// A tree that is filled by hand. As in Git, ids depend on content alone, and that of a folder on everything below it.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree {
    /// Everything but folders, by path.
    leaves: BTreeMap<String, (EntryKind, Vec<u8>)>,
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
        self.leaves.insert(path.to_owned(), (kind, content.into()));
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
    fn below<'t>(&'t self, path: &'t str) -> impl Iterator<Item = (&'t str, &'t (EntryKind, Vec<u8>))> {
        self.leaves.iter().filter_map(move |(leaf, content)| {
            let rest = if path.is_empty() { leaf } else { leaf.strip_prefix(path)?.strip_prefix('/')? };
            Some((rest, content))
        })
    }

    fn entry(&self, path: &str) -> Option<Entry> {
        if let Some((kind, content)) = self.leaves.get(path) {
            return Some(Entry { kind: *kind, id: Hash::of(content).to_string().into() });
        }
        let mut listing = Vec::new();
        for (rest, (kind, content)) in self.below(path) {
            listing.extend(format!("{rest}\0{kind:?}\0{}\n", Hash::of(content)).into_bytes());
        }
        let exists = path.is_empty() || !listing.is_empty();
        exists.then(|| Entry { kind: EntryKind::Folder, id: Hash::of(&listing).to_string().into() })
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
        let found = self.leaves.values().find(|(_, content)| Hash::of(content).to_string() == id);
        found.map(|(_, content)| content.clone()).ok_or_else(|| TreeError { message: format!("there is no blob {id}") })
    }
}
