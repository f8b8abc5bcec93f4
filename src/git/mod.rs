//! The Git side: the only code that names `gix`.
//!
//! Everything here is synchronous and blocks: call it through `spawn_blocking`, never from async code. Every operation
//! has a deadline and a cancel flag, and what it receives and reads is bounded by [`GitLimits`].
//!
//! - [`Mirrors`] lists refs and opens commits. A commit that is not at hand is fetched into the bare mirror of its
//!   repository: shallow, by its id, sending what the mirror has, so that only what changed is transferred.
//! - [`GitTree`] reads files from the object database; there is no work tree.
//! - [`CredentialStore`] knows Argo CD's repository Secrets.
//!
//! The TLS provider of the process (`rustls`, ring) has to be installed before.
//!
//! No configuration of the user or the machine is read, no credential helper, hook or filter is run, and no `git` program
//! is needed. The `ssh` program is, for ssh URLs.

mod credentials;
mod deepen;
mod fault;
mod history;
mod http;
mod limits;
mod local;
mod location;
mod mirror;
mod mirrors;
mod protocol;
mod remote;
mod repositories;
mod ssh;
mod tree;
mod watch;

pub use credentials::{CredentialStore, Credentials, RepositorySecret, Secret, SecretKind};
pub use limits::GitLimits;
pub use mirrors::{Mirrors, key};
pub use repositories::{Commit, Repositories};
pub use ssh::SshSettings;
pub use tree::{CommitInfo, GitTree};

use fault::Fault;

/// More came than an operation may receive.
fn received_too_much(limit: u64) -> Fault {
    Fault::Limit(format!("more than {} MiB were received; raise the Git transfer limit", limit >> 20))
}
