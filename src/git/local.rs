//! Repositories on the agent's own disk, read where they are.

use std::path::Path;
use std::sync::Arc;

use gix::ObjectId;

use super::fault::{Fault, detail};
use super::limits::GitLimits;
use super::mirror::root_of;
use super::protocol::add;
use super::remote::chain;
use super::tree::GitTree;
use crate::engine::ids::Revision;
use crate::engine::revision::Refs;

fn repository(path: &Path) -> Result<gix::Repository, Fault> {
    let repository = gix::open_opts(path, gix::open::Options::isolated())
        .map_err(|error| Fault::NotFound(detail(&chain(&error))))?;
    Ok(repository)
}

/// Branches, tags (peeled) and `HEAD`.
pub(super) fn list(path: &Path) -> Result<Refs, Fault> {
    let repository = repository(path)?;
    let unreadable = |error: gix::Error| Fault::Protocol(detail(&chain(&error)));
    let mut refs = Refs::default();
    let platform = repository.references().map_err(unreadable)?;
    for references in [platform.local_branches(), platform.tags()] {
        // A ref that names nothing is left out, as a server would leave it out.
        for mut reference in references.map_err(unreadable)?.filter_map(Result::ok) {
            let Ok(id) = reference.peel_to_id() else { continue };
            let id = id.detach();
            add(&mut refs, reference.name().as_bstr(), &id);
        }
    }
    if let Ok(head) = repository.head_id() {
        add(&mut refs, "HEAD".into(), &head.detach());
    }
    Ok(refs)
}

/// Opens a commit.
pub(super) fn open(path: &Path, commit: ObjectId, revision: &Revision, limits: &GitLimits) -> Result<GitTree, Fault> {
    let folder = repository(path)?.common_dir().join("objects");
    let options = gix::odb::store::init::Options {
        alloc_limit_bytes: Some(super::protocol::MAX_ALLOCATION),
        ..Default::default()
    };
    let objects = gix::odb::Store::at_opts(folder, gix::hash::Kind::Sha1, &mut std::iter::empty(), options)
        .map_err(|error| Fault::Disk(detail(&error.to_string())))?;
    let objects = Arc::new(objects);
    let root = root_of(&objects, commit)?.ok_or_else(|| Fault::CommitMissing(commit.to_string()))?;
    Ok(GitTree::new(&objects, None, (commit, root), revision, limits))
}
