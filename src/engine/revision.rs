//! From `targetRevision` to a commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ids::Revision;

/// The refs of a repository, as one listing showed them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refs {
    /// What `HEAD` points to.
    pub head: Option<Revision>,
    /// Full ref name (`refs/heads/main`, `refs/tags/v1.0.0`) to commit; annotated tags are peeled.
    pub refs: BTreeMap<Arc<str>, Revision>,
}
