//! Driftless: a GitOps agent for Kubernetes.
//!
//! Git holds what should be; Driftless pulls it, renders it, and keeps each cluster equal to it. `ARCHITECTURE.md` says
//! how the parts fit together and which of them may name which library.

pub mod api;
pub mod cli;
pub mod cluster;
pub mod engine;
pub mod git;
pub mod render;
pub mod runtime;
pub mod sim;
pub mod store;
