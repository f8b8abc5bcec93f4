//! Asking a server how two commits stand to each other, for a mirror that has both without their history.
//!
//! The server is asked for the commits before the newer one, without their files if it can leave them out, in two goes: a
//! few first, which is all that a push needs, then as many as the setting allows. They go into a folder of their own that
//! is removed when they were looked at, for a mirror holds whole commits only.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gix::ObjectId;

use super::fault::{Fault, detail};
use super::history;
use super::mirror::{Mirror, disk};
use super::protocol::{Depth, Destination, MAX_ALLOCATION};
use super::remote::Remote;
use crate::engine::revision::Ancestry;

/// Commits that are asked for first.
const FEW: u32 = 64;
/// Most bytes that are received for one answer: a server that sends the files as well may not send much.
pub(super) const MAX_RECEIVED: u64 = 64 << 20;

/// How `new`, which the mirror has, stands to `old`. Read back to at most `limit` commits.
pub(super) fn ancestry(
    mirror: &Mirror,
    remote: &Remote<'_>,
    (old, new): (ObjectId, ObjectId),
    limit: u32,
) -> Result<Ancestry, Fault> {
    let mut told = mirror.told(remote.watch)?;
    if let Some((_, ancestry)) = told.as_ref().filter(|(pair, _)| *pair == (old, new)) {
        return Ok(*ancestry);
    }
    let scratch = Scratch(mirror.scratch()?);
    let mut answer = Ancestry::Unknown;
    for depth in [FEW, limit].map(|depth| depth.min(limit)) {
        let Some(depth) = NonZeroU32::new(depth) else { break };
        answer = match ask(mirror, remote, &scratch.0, (old, new), depth) {
            // It won't or can't tell, and would say the same again.
            Err(Fault::Protocol(_) | Fault::NotThere | Fault::Limit(_)) => break,
            answer => answer?,
        };
        if answer != Ancestry::Unknown || depth.get() == limit {
            break;
        }
    }
    *told = Some(((old, new), answer));
    Ok(answer)
}

fn ask(
    mirror: &Mirror,
    remote: &Remote<'_>,
    scratch: &Path,
    (old, new): (ObjectId, ObjectId),
    depth: NonZeroU32,
) -> Result<Ancestry, Fault> {
    let found = mirror.find(new)?.ok_or_else(|| Fault::CommitMissing(new.to_string()))?;
    // Before the cuts are read: a fetch may go on beside this, and notes the cut of a commit before it has the commit.
    let haves = found.generation.haves(&found.objects);
    let (known, shallow) = (&found.generation.folder.join("shallow"), scratch.join("shallow"));
    // Where the mirror's history is cut off: so the server knows what is missing here.
    if known.exists() {
        fs::copy(known, &shallow).map_err(|error| disk(&shallow, &error))?;
    }
    let into = Destination { folder: scratch, objects: &found.objects };
    remote.fetch(vec![new], haves, Depth::Commits(depth), &into)?;
    let options = gix::odb::store::init::Options { alloc_limit_bytes: Some(MAX_ALLOCATION), ..Default::default() };
    let objects = scratch.join("objects");
    let received = gix::odb::Store::at_opts(objects, gix::hash::Kind::Sha1, &mut std::iter::empty(), options)
        .map_err(|error| Fault::Disk(detail(&error.to_string())))?;
    let (received, at_hand) = (Arc::new(received).to_cache_arc(), found.objects.to_cache_arc());
    let limit = usize::try_from(depth.get()).unwrap_or(usize::MAX);
    history::ancestry((old, new), limit, |id| match history::link(&received, id)? {
        Some(link) => Ok(Some(link)),
        None => history::link(&at_hand, id),
    })
}

/// A folder that is removed in the end. What a crash leaves of it is removed by the next one.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a folder could not be removed");
        }
    }
}
