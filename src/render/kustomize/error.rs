//! Why a tree can't be built: which file, which line, which field, what is wrong and what to do.

use std::fmt;

use super::read::ReadError;
use super::write::WriteError;
use crate::render::TreeError;
use crate::render::helm::HelmCall;
use crate::render::remote::{Need, Remote};

/// Why a build failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KustomizeError {
    /// What kind of error it is.
    pub kind: ErrorKind,
    /// Path of the file, as far as it is known.
    pub file: Option<String>,
    /// Line in the file, counted from 1.
    pub line: Option<usize>,
    /// Field of the file, as `patches[1].target`; empty if it is about the file as a whole.
    pub field: String,
    /// What is wrong and what to do. Holds no values of resources: they may be those of a Secret.
    pub reason: String,
}

/// What kind of error it is, which says who has to act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The files are wrong.
    Content,
    /// The options of the build are wrong.
    Options,
    /// The tree can't be read: the same files may build later.
    Tree,
    /// A commit of another repository is needed: with it at hand, the same files build further.
    Remote(Box<Remote>),
    /// The program `helm` is to be called: with what it prints, the same files build further.
    Helm(Box<HelmCall>),
}

impl KustomizeError {
    /// An error in the files.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Content, file: None, line: None, field: String::new(), reason: reason.into() }
    }

    /// An error in the options of the build.
    pub fn options(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Options, field: field.into(), ..Self::new(reason) }
    }

    /// A bound that was reached, with the setting that moves it.
    pub fn limit(what: impl fmt::Display, setting: &str) -> Self {
        Self::new(format!("{what}; make it smaller, or raise the setting {setting}"))
    }

    /// Says which file it is about, unless that is known more closely.
    #[must_use]
    pub fn in_file(mut self, path: &str) -> Self {
        if self.file.is_none() && self.kind != ErrorKind::Options {
            self.file = Some(path.to_owned());
        }
        self
    }

    /// Says which field of its file it is about; the field known so far is below that. Nothing if another file is known.
    #[must_use]
    pub fn in_field(mut self, field: &str) -> Self {
        if self.file.is_none() {
            self.field = join_field(field, &self.field);
        }
        self
    }
}

/// `outer.inner`, or `outer[0]`.
pub(super) fn join_field(outer: &str, inner: &str) -> String {
    let dot = if outer.is_empty() || inner.is_empty() || inner.starts_with('[') { "" } else { "." };
    format!("{outer}{dot}{inner}")
}

impl KustomizeError {
    /// The commit that the build asks for, if that is why it ended.
    pub fn need(&self) -> Option<Need> {
        let ErrorKind::Remote(remote) = &self.kind else { return None };
        Some(Need { remote: (**remote).clone(), place: self.place() })
    }

    /// File, line and field, each with a colon behind it.
    pub fn place(&self) -> String {
        let mut place = self.file.clone().unwrap_or_default();
        if !place.is_empty() {
            place += &self.line.map(|line| format!(":{line}")).unwrap_or_default();
            place += ": ";
        }
        if !self.field.is_empty() {
            place += &self.field;
            place += ": ";
        }
        place
    }
}

impl fmt::Display for KustomizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.place(), self.reason)
    }
}

impl std::error::Error for KustomizeError {}

impl From<TreeError> for KustomizeError {
    fn from(error: TreeError) -> Self {
        Self { kind: ErrorKind::Tree, ..Self::new(error.message) }
    }
}

impl From<ReadError> for KustomizeError {
    fn from(error: ReadError) -> Self {
        Self { line: Some(error.line), ..Self::new(error.reason) }
    }
}

impl From<WriteError> for KustomizeError {
    fn from(error: WriteError) -> Self {
        Self { field: error.path, ..Self::new(error.reason) }
    }
}
