//! The Git protocol over any transport: listing refs, and fetching commits without refs, refspecs or configuration.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::bstr::{BStr, BString, ByteSlice};
use gix::odb::pack;
use gix::progress::Discard;
use gix::protocol::fetch::{self, Arguments, Shallow, Tags, negotiate};
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::client::blocking_io::Transport;
use gix::protocol::transport::{Protocol, Service};
use gix::protocol::{Handshake, LsRefsCommand};

use super::remote::chain;
use crate::engine::ids::Revision;
use crate::engine::revision::{BRANCHES, Refs, TAGS};

/// Largest single allocation while a pack is indexed, in bytes: bounds what a hostile pack can make us reserve.
pub(super) const MAX_ALLOCATION: usize = 512 << 20;

/// How we name ourselves.
fn agent() -> (&'static str, Option<String>) {
    ("agent", Some(concat!("git/driftless-", env!("CARGO_PKG_VERSION")).to_owned()))
}

fn handshake(transport: &mut impl Transport) -> gix::Result<Handshake> {
    // Credentials are the transport's own business: nothing is asked for here.
    gix::protocol::handshake(transport, Service::UploadPack, |_| Ok(None), Vec::new(), &mut Discard)
}

/// Lists branches, tags (peeled) and `HEAD`.
pub(super) fn list(transport: &mut impl Transport) -> gix::Result<Refs> {
    let mut handshake = handshake(transport)?;
    let refs = match handshake.refs.take() {
        // Protocol versions 0 and 1: the server has already sent them all.
        Some(refs) => refs,
        None => {
            let mut prefixes = RefPrefixes::new();
            prefixes.extend(["HEAD", BRANCHES, TAGS].map(BString::from));
            let command = LsRefsCommand::new(Some(prefixes), &handshake.capabilities, agent());
            command.invoke_blocking(&mut *transport, &mut Discard, false)?
        }
    };
    let mut listed = Refs::default();
    for entry in &refs {
        let (name, object) = match entry {
            Ref::Peeled { full_ref_name, object, .. }
            | Ref::Direct { full_ref_name, object }
            | Ref::Symbolic { full_ref_name, object, .. } => (full_ref_name, object),
            Ref::Unborn { .. } => continue,
        };
        add(&mut listed, name.as_bstr(), object);
    }
    Ok(listed)
}

/// Adds a ref, if it is one that counts.
pub(super) fn add(refs: &mut Refs, name: &BStr, object: &gix::hash::oid) {
    let (Ok(name), Some(revision)) = (name.to_str(), Revision::parse(&object.to_string())) else { return };
    if name == "HEAD" {
        refs.head = Some(revision);
    } else if name.starts_with(BRANCHES) || name.starts_with(TAGS) {
        refs.refs.insert(name.into(), revision);
    }
}

/// The server does not have a commit that it was asked for by its id.
#[derive(Debug, thiserror::Error)]
#[error("the server does not have the commit")]
pub(super) struct NotThere;

/// How much history comes with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// The commit alone.
    Shallow,
    /// So many commits back, without their files where the server can leave them out.
    Commits(NonZeroU32),
    /// Everything.
    Full,
}

/// Where fetched objects go.
pub(super) struct Destination<'a> {
    /// Bare repository.
    pub(super) folder: &'a Path,
    /// Its objects.
    pub(super) objects: &'a Arc<gix::odb::Store>,
}

/// Fetches commits into a repository as one pack; what is reachable from `haves` is not sent again.
pub(super) fn fetch(
    transport: &mut impl Transport,
    wants: Vec<ObjectId>,
    haves: Vec<ObjectId>,
    depth: Depth,
    into: &Destination<'_>,
    stop: &AtomicBool,
) -> gix::Result<()> {
    let mut handshake = handshake(transport)?;
    let shallow = match depth {
        Depth::Shallow => Shallow::DepthAtRemote(NonZeroU32::MIN),
        Depth::Commits(count) => Shallow::DepthAtRemote(count),
        Depth::Full => Shallow::undo(),
    };
    let options = fetch::Options {
        shallow_file: into.folder.join("shallow"),
        shallow: &shallow,
        tags: Tags::None,
        reject_shallow_remote: false,
    };
    let context =
        fetch::Context { handshake: &mut handshake, transport, user_agent: agent(), trace_packetlines: false };
    let mut negotiation = OneRound { wants, haves, commits_only: matches!(depth, Depth::Commits(_)) };
    let consume = |reader: &mut dyn std::io::BufRead, progress: &mut dyn gix::DynNestedProgress, stop: &AtomicBool| {
        write_pack(reader, progress, stop, into)?;
        Ok(true)
    };
    let fetched = gix::protocol::fetch(&mut negotiation, consume, Discard, stop, context, options);
    match fetched {
        Ok(_) => Ok(()),
        // In version 2 Git hands out whatever it has; before, this also says that it may not be asked for by its id.
        Err(error) if handshake.server_protocol_version == Protocol::V2 && chain(&error).contains("not our ref") => {
            Err(gix::Error::from_error(NotThere))
        }
        Err(error) => Err(error),
    }
}

fn write_pack(
    reader: &mut dyn std::io::BufRead,
    progress: &mut dyn gix::DynNestedProgress,
    stop: &AtomicBool,
    into: &Destination<'_>,
) -> gix::Result<()> {
    let options = pack::bundle::write::Options {
        thread_limit: Some(2),
        alloc_limit_bytes: Some(MAX_ALLOCATION),
        ..Default::default()
    };
    let bases = into.objects.to_cache_arc();
    let folder = into.folder.join("objects").join("pack");
    let written = pack::Bundle::write_to_directory(
        reader,
        Some(&folder),
        progress,
        stop,
        Some(bases),
        gix::hash::Kind::Sha1,
        options,
    )?;
    // Guards a pack against garbage collection, which mirrors don't have.
    if let Some(keep) = written.keep_path {
        std::fs::remove_file(keep).map_err(gix::Error::from_error)?;
    }
    Ok(())
}

/// A negotiation in one request: these are wanted, those we have, send.
struct OneRound {
    wants: Vec<ObjectId>,
    haves: Vec<ObjectId>,
    commits_only: bool,
}

impl fetch::Negotiate for OneRound {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<negotiate::Action> {
        Ok(negotiate::Action::MustNegotiate { remote_ref_target_known: Vec::new() })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _known: &[bool]) -> bool {
        for want in &self.wants {
            arguments.want(want);
        }
        if self.commits_only && arguments.can_use_filter() {
            arguments.filter("tree:0");
        }
        !self.wants.is_empty()
    }

    fn one_round(
        &mut self,
        _state: &mut negotiate::one_round::State,
        arguments: &mut Arguments,
        _previous: Option<&fetch::Response>,
    ) -> gix::Result<(negotiate::Round, bool)> {
        for have in &self.haves {
            arguments.have(have);
        }
        let round = negotiate::Round {
            haves_sent: self.haves.len(),
            in_vain: 0,
            haves_to_send: self.haves.len(),
            previous_response_had_at_least_one_in_common: false,
        };
        Ok((round, true))
    }
}
