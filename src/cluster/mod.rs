//! The Kubernetes side: the only code that names `kube`.
//!
//! Nothing goes through `kube`'s typed requests but the watch of Applications: on an answer that doesn't parse they log its
//! text, which may hold Secrets. Every other body is decoded here from its bytes.

mod application_decode;
pub mod applications;
pub mod apply;
mod call;
pub mod client;
pub mod clock;
pub mod crd;
pub mod delete;
pub mod discovery;
mod error;
pub mod events;
pub mod fence;
mod follow;
pub mod hash_key;
mod heal;
pub mod lease;
mod lines;
pub mod list;
pub mod namespace;
mod news;
pub mod observe;
mod page;
pub mod path;
pub mod repositories;
mod request;
pub mod retry;
pub mod status;
pub mod watch;

pub use kube::Client;

/// Namespaces that are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// All of them; needs cluster-wide rights.
    All,
    /// Only these.
    These(Vec<String>),
}

impl Namespaces {
    /// One entry for each request that covers them: `None` stands for all namespaces at once. Without duplicates.
    fn scopes(&self) -> Vec<Option<String>> {
        match self {
            Self::All => vec![None],
            Self::These(names) => {
                let unique: std::collections::BTreeSet<_> = names.iter().cloned().collect();
                unique.into_iter().map(Some).collect()
            }
        }
    }
}
