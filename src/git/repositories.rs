//! What the agent asks of repositories, whoever answers.

use std::sync::atomic::AtomicBool;

use super::credentials::Credentials;
use super::mirrors::Mirrors;
use super::tree::GitTree;
use crate::engine::event::SourceError;
use crate::engine::ids::Revision;
use crate::engine::revision::{Ancestry, Refs};
use crate::render::Tree;

/// Repositories: [`Mirrors`] of real ones, or simulated ones. Calls block, and end when `cancel` is set.
pub trait Repositories: Send + Sync {
    /// The branches, tags (peeled) and `HEAD` of the repository at `url`.
    fn list_refs(&self, url: &str, credentials: Option<&Credentials>, cancel: &AtomicBool)
    -> Result<Refs, SourceError>;

    /// Opens a commit for reading. `hint_ref` names a ref that led to it.
    fn open(
        &self,
        url: &str,
        credentials: Option<&Credentials>,
        revision: &Revision,
        hint_ref: Option<&str>,
        cancel: &AtomicBool,
    ) -> Result<Box<dyn Commit>, SourceError>;

    /// How the commit `new` stands to `old`, as far as its history may be asked for.
    fn ancestry(
        &self,
        url: &str,
        credentials: Option<&Credentials>,
        pair: (&Revision, &Revision),
        hint_ref: Option<&str>,
        cancel: &AtomicBool,
    ) -> Result<Ancestry, SourceError>;
}

/// A commit of a repository, open for reading.
pub trait Commit: Tree {
    /// How it stands to the commit `old`, by what is at hand: no server is asked.
    fn ancestry(&self, old: &Revision) -> Result<Ancestry, SourceError>;
}

impl Commit for GitTree {
    fn ancestry(&self, old: &Revision) -> Result<Ancestry, SourceError> {
        Self::ancestry(self, old)
    }
}

impl Repositories for Mirrors {
    fn list_refs(
        &self,
        url: &str,
        credentials: Option<&Credentials>,
        cancel: &AtomicBool,
    ) -> Result<Refs, SourceError> {
        Self::list_refs(self, url, credentials, cancel)
    }

    fn open(
        &self,
        url: &str,
        credentials: Option<&Credentials>,
        revision: &Revision,
        hint_ref: Option<&str>,
        cancel: &AtomicBool,
    ) -> Result<Box<dyn Commit>, SourceError> {
        Ok(Box::new(Self::open(self, url, credentials, revision, hint_ref, cancel)?))
    }

    fn ancestry(
        &self,
        url: &str,
        credentials: Option<&Credentials>,
        pair: (&Revision, &Revision),
        hint_ref: Option<&str>,
        cancel: &AtomicBool,
    ) -> Result<Ancestry, SourceError> {
        Self::ancestry(self, url, credentials, pair, hint_ref, cancel)
    }
}
