//! The look-ups of a rendering, and whether another tree answers them alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::environment::{Environment, Used};
use super::limits::RenderLimits;
use super::walk::{Filter, Found, WalkError, WalkLimits, digest, kind_letter, walk};
use super::{Entry, EntryKind, Tree, TreeError};
use crate::engine::desired::RenderInputs;
use crate::engine::hash::Hash;

/// How deep [`unchanged`] follows folders. No rendering can have gone that deep, so there is a change below.
const MAX_DEPTH: usize = 256;
/// Behind the path of a look-up that asks for a link only. No filter is written so.
const LINK: &str = "link";

/// The tree as a renderer sees it: every look-up is written down with what it found.
pub struct Recorder<'t> {
    tree: &'t dyn Tree,
    reads: BTreeMap<Arc<str>, Option<Arc<str>>>,
    environment: Used,
}

impl<'t> Recorder<'t> {
    /// A recorder that has seen nothing yet.
    pub fn new(tree: &'t dyn Tree) -> Self {
        Self { tree, reads: BTreeMap::new(), environment: Used::new() }
    }

    /// What is at `path`. Of a folder, everything below it is taken to be used: to ask which files are there, select.
    pub fn lookup(&mut self, path: &str) -> Result<Option<Entry>, TreeError> {
        let entry = self.tree.lookup(path)?;
        self.reads.insert(path.into(), entry.as_ref().map(entry_id));
        Ok(entry)
    }

    /// The symbolic link at `path`, if there is one. What else is there does not count as looked up.
    pub fn link(&mut self, path: &str) -> Result<Option<Entry>, TreeError> {
        let entry = link(self.tree, path)?;
        self.reads.insert(format!("{path}\0{LINK}").into(), entry.as_ref().map(entry_id));
        Ok(entry)
    }

    /// What `filter` selects in `folder`; `None` if there is no such folder.
    pub fn select(
        &mut self,
        folder: &str,
        filter: &Filter,
        limits: &RenderLimits,
    ) -> Result<Option<Vec<Found>>, WalkError> {
        let query = format!("{folder}\0{}", filter.text());
        let Some(id) = folder_id(self.tree, folder)? else {
            self.reads.insert(query.into(), None);
            return Ok(None);
        };
        let limits = WalkLimits { folders: limits.max_folder_depth, entries: limits.max_files };
        let found = walk(self.tree, folder, filter, limits)?;
        self.reads.insert(query.into(), Some(format!("{} {id}", digest(&found)).into()));
        Ok(Some(found))
    }

    /// The entries of the folder `path`, which was looked up. Not recorded: its id says them.
    pub fn list(&self, path: &str) -> Result<Vec<(Arc<str>, Entry)>, TreeError> {
        self.tree.list(path)
    }

    /// Size of the blob `id`, which came from a look-up.
    pub fn size(&self, id: &str) -> Result<u64, TreeError> {
        self.tree.size(id)
    }

    /// Content of the blob `id`, which came from a look-up. Not recorded: the id says it.
    pub fn read(&self, id: &str) -> Result<Vec<u8>, TreeError> {
        self.tree.read(id)
    }

    /// A text with the variables of the build environment replaced.
    pub fn expand(&mut self, text: &str, environment: &Environment) -> String {
        environment.expand(text, &mut self.environment)
    }

    /// Everything that was looked up, with the hash of what else went in.
    pub fn finish(self, options: Hash, renderer: &str) -> RenderInputs {
        let reads = self.reads.into_iter().collect();
        let environment = self.environment.into_iter().collect();
        RenderInputs { options: Some(options), reads, kinds: Vec::new(), renderer: Some(renderer.into()), environment }
    }
}

/// Whether `tree` answers every look-up of `inputs` as the tree did that was rendered. A folder that is the same object
/// costs one look-up, however much is below it. [`RenderInputs::options`] and [`RenderInputs::environment`] are the
/// caller's to compare.
pub fn unchanged(tree: &dyn Tree, inputs: &RenderInputs) -> Result<bool, TreeError> {
    for (query, then) in &inputs.reads {
        let same = match query.split_once('\0') {
            None => tree.lookup(query)?.as_ref().map(entry_id) == *then,
            Some((path, LINK)) => link(tree, path)?.as_ref().map(entry_id) == *then,
            Some((folder, filter)) => selection_unchanged(tree, folder, filter, then.as_deref())?,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn selection_unchanged(tree: &dyn Tree, folder: &str, filter: &str, then: Option<&str>) -> Result<bool, TreeError> {
    let now = folder_id(tree, folder)?;
    let (Some(id), Some(then)) = (now.as_deref(), then) else {
        return Ok(now.is_none() && then.is_none());
    };
    let (Some((selected, folder_then)), Some(filter)) = (then.split_once(' '), Filter::parse(filter)) else {
        // Written by another version: render again.
        return Ok(false);
    };
    if id == folder_then {
        return Ok(true);
    }
    match walk(tree, folder, &filter, WalkLimits { folders: MAX_DEPTH, entries: usize::MAX }) {
        Ok(found) => Ok(digest(&found).to_string() == selected),
        Err(WalkError::Tree(error)) => Err(error),
        Err(WalkError::TooDeep(_) | WalkError::TooMany) => Ok(false),
    }
}

fn link(tree: &dyn Tree, path: &str) -> Result<Option<Entry>, TreeError> {
    Ok(tree.lookup(path)?.filter(|entry| entry.kind == EntryKind::Link))
}

fn folder_id(tree: &dyn Tree, path: &str) -> Result<Option<Arc<str>>, TreeError> {
    let entry = tree.lookup(path)?;
    Ok(entry.filter(|entry| entry.kind == EntryKind::Folder).map(|entry| entry.id))
}

/// Kind and id: a file and a link can be the same blob.
fn entry_id(entry: &Entry) -> Arc<str> {
    format!("{}{}", char::from(kind_letter(entry.kind)), entry.id).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::memory::MemoryTree;

    #[test]
    fn lookups_compare_by_kind_and_id() {
        let mut tree = MemoryTree::of([("a", "x"), ("dir/b", "y")]);
        let mut recorder = Recorder::new(&tree);
        for path in ["a", "dir", "none"] {
            recorder.lookup(path).unwrap();
        }
        let inputs = recorder.finish(Hash::of(b""), "Directory");
        assert_eq!(inputs.reads.len(), 3);
        assert!(unchanged(&tree, &inputs).unwrap());
        assert!(unchanged(&tree.with("other", "z"), &inputs).unwrap());
        assert!(!unchanged(&tree.with("a", "z"), &inputs).unwrap());
        assert!(!unchanged(&tree.with("dir/c", ""), &inputs).unwrap());
        assert!(!unchanged(&tree.with("none", ""), &inputs).unwrap());
        assert!(!unchanged(&tree.without("a"), &inputs).unwrap());
        tree.put("a", EntryKind::Link, "x");
        assert!(!unchanged(&tree, &inputs).unwrap());
    }

    #[test]
    fn a_folder_that_becomes_a_link_is_a_change() {
        let mut tree = MemoryTree::of([("dir/a", "x"), ("other", "y")]);
        let mut recorder = Recorder::new(&tree);
        assert_eq!(recorder.link("dir").unwrap(), None);
        let inputs = recorder.finish(Hash::of(b""), "Kustomize");
        assert!(unchanged(&tree.with("dir/b", ""), &inputs).unwrap());
        tree.remove("dir/a");
        assert!(unchanged(&tree, &inputs).unwrap());
        tree.put("dir", EntryKind::Link, "other");
        assert!(!unchanged(&tree, &inputs).unwrap());
        let mut recorder = Recorder::new(&tree);
        assert!(recorder.link("dir").unwrap().is_some());
        let inputs = recorder.finish(Hash::of(b""), "Kustomize");
        assert!(unchanged(&tree, &inputs).unwrap());
        tree.put("dir", EntryKind::Link, "another");
        assert!(!unchanged(&tree, &inputs).unwrap());
    }

    #[test]
    fn selections_of_another_version_are_a_change() {
        let tree = MemoryTree::of([("a.yaml", "x")]);
        for (query, found) in [("\0unknown\x001", "x y"), ("\0markers\x001", "xy")] {
            let inputs = RenderInputs { reads: vec![(query.into(), Some(found.into()))], ..RenderInputs::default() };
            assert!(!unchanged(&tree, &inputs).unwrap());
        }
    }
}
