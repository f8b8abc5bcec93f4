//! Rendering: a pure function of (tree, source) to manifests, with the look-ups it made.
//!
//! No files, no network, no clock: a [`Tree`] stands for the repository at one commit, and everything that is read of it
//! goes through a recorder, so that the result can be memoized by the ids of what was read.

use std::sync::Arc;

use crate::engine::desired::{Manifest, RenderInputs};
use crate::engine::event::RenderFailure;

/// The repository at one commit. Paths are relative to its root, separated by `/`, without `.` and `..` parts; the root
/// is the empty path. Symbolic links are entries of kind [`EntryKind::Link`] and never followed.
pub trait Tree {
    /// What is at `path`; `None` if nothing is.
    fn lookup(&self, path: &str) -> Result<Option<Entry>, TreeError>;
    /// The entries of the folder at `path`, ordered by name. An error if there is no folder.
    fn list(&self, path: &str) -> Result<Vec<(Arc<str>, Entry)>, TreeError>;
    /// The content of the blob `id`.
    fn read(&self, id: &str) -> Result<Vec<u8>, TreeError>;
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Object id, hexadecimal.
    pub id: Arc<str>,
}

/// Kinds of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A submodule.
    Submodule,
}

/// Why a tree can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TreeError {
    /// What is wrong and what to do.
    pub message: String,
}

/// The result of a rendering.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rendering {
    /// The manifests, in the order in which they stand in Git.
    pub manifests: Vec<Manifest>,
    /// What was read.
    pub inputs: RenderInputs,
}

/// Result of a render.
pub type RenderResult = Result<Rendering, RenderFailure>;
