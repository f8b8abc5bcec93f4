//! The Kubernetes side: the only code that names `kube`.

pub mod apply;
mod call;
pub mod clock;
pub mod delete;
mod error;
pub mod events;
pub mod fence;
pub mod hash_key;
mod heal;
// pub mod lease;
pub mod namespace;
pub mod path;
pub mod status;
