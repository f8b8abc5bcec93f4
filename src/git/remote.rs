//! One repository on a server: picks the transport, and says in plain words what went wrong.

use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::http::Transport as HttpTransport;
use gix::protocol::transport::client::git::ConnectMode;
use gix::protocol::transport::client::git::blocking_io::Connection;

use super::credentials::Credentials;
use super::fault::{Fault, causes, detail};
use super::http::{Backend, Clients, Session};
use super::location::Location;
use super::protocol::{self, Depth, Destination};
use super::ssh::{Process, SshSettings};
use super::watch::Watch;
use crate::engine::revision::Refs;

/// Most bytes of a listing.
const MAX_LISTING: u64 = 64 << 20;

/// A repository on a server, and how to talk to it.
pub(super) struct Remote<'a> {
    pub(super) location: &'a Location,
    pub(super) credentials: &'a Credentials,
    pub(super) ssh: &'a SshSettings,
    pub(super) http: &'a Clients,
    pub(super) max_transfer: u64,
    pub(super) watch: Watch<'a>,
}

/// What is asked of a server.
enum Ask<'a> {
    List,
    Fetch { wants: Vec<ObjectId>, haves: Vec<ObjectId>, depth: Depth, into: &'a Destination<'a>, stop: &'a AtomicBool },
}

impl Remote<'_> {
    /// Branches, tags and `HEAD`.
    pub(super) fn list(&self) -> Result<Refs, Fault> {
        self.ask(Ask::List, MAX_LISTING)
    }

    /// Fetches commits; see [`protocol::fetch`].
    pub(super) fn fetch(
        &self,
        wants: Vec<ObjectId>,
        haves: Vec<ObjectId>,
        depth: Depth,
        into: &Destination<'_>,
    ) -> Result<(), Fault> {
        self.watch
            .interrupting(|stop| self.ask(Ask::Fetch { wants, haves, depth, into, stop }, self.max_transfer))
            .map(|_no_refs| ())
    }

    fn ask(&self, ask: Ask<'_>, limit: u64) -> Result<Refs, Fault> {
        self.watch.check()?;
        match self.location {
            Location::Http { url, .. } => {
                let session = Rc::new(Session::new(self.http, url, self.credentials, limit, self.watch)?);
                let parsed = gix::url::parse(url.as_str()).map_err(|error| Fault::Url(detail(&causes(&error))))?;
                let mut transport = HttpTransport::new_http(Backend(Rc::clone(&session)), parsed, Protocol::V2, false);
                let answer = perform(&mut transport, ask);
                answer.map_err(|error| self.explain(&error, session.take_fault()))
            }
            Location::Ssh { user, host, port, path } => {
                let place = (user.as_str(), host.as_str(), *port, path.as_str());
                let (process, output, input) = Process::start(self.ssh, place, self.credentials, limit, self.watch)?;
                let no_host: Option<(String, _)> = None;
                let mode = ConnectMode::Process;
                let mut transport = Connection::new(output, input, Protocol::V2, path.as_str(), no_host, mode, false);
                let answer = perform(&mut transport, ask);
                answer.map_err(|error| {
                    let fault = self.watch.check().err().or_else(|| process.fault());
                    self.explain(&error, fault)
                })
            }
            Location::Local(_) => Err(Fault::Unsupported("a local repository is not fetched".into())),
        }
    }

    fn explain(&self, error: &gix::Error, fault: Option<Fault>) -> Fault {
        if let Some(fault) = fault.or_else(|| self.watch.check().err()) {
            return fault;
        }
        if error.downcast_any_ref::<protocol::NotThere>().is_some() {
            return Fault::NotThere;
        }
        let text = detail(&self.credentials.scrub(chain(error)));
        let io = error.downcast_any_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(io, Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::ReadOnlyFilesystem)) {
            return Fault::Disk(text);
        }
        Fault::Protocol(text)
    }
}

fn perform(
    transport: &mut impl gix::protocol::transport::client::blocking_io::Transport,
    ask: Ask<'_>,
) -> gix::Result<Refs> {
    match ask {
        Ask::List => protocol::list(transport),
        Ask::Fetch { wants, haves, depth, into, stop } => {
            protocol::fetch(transport, wants, haves, depth, into, stop).map(|()| Refs::default())
        }
    }
}

/// The error with its causes, each once.
pub(super) fn chain(error: &gix::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for error in error.iter_errors() {
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}
