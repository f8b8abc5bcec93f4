//! Models of everything around the engine: a cluster, a repository, the Applications, a durable store.

pub mod applications;
pub mod cluster;
pub mod git;
pub mod replica;
pub mod store;
pub mod world;
