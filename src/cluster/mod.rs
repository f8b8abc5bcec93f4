//! The Kubernetes side: the only code that names `kube`.
//!
//! Reading never goes through `kube`'s typed requests: on an answer that doesn't parse they log its text, which may hold
//! Secrets. [`request`] sends, and every body is decoded here, object by object, from its bytes.

mod application_decode;
pub mod applications;
pub mod client;
pub mod crd;
pub mod discovery;
mod follow;
mod lines;
pub mod list;
pub mod observe;
mod page;
pub mod repositories;
mod request;
mod retry;
pub mod watch;

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
