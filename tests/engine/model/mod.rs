//! Models of everything around the engine: a cluster, a repository, the Applications, a durable store.

pub(crate) mod applications;
pub(crate) mod cluster;
pub(crate) mod git;
pub(crate) mod replica;
pub(crate) mod store;
pub(crate) mod world;
