//! The embedded control plane: a model of the Kubernetes API server without sockets, clock or randomness of its own.
//!
//! It is what `tests/` and `benches/` run against where starting a real server would take too long or could not fail in the
//! way that is wanted. It is an independent witness: it takes nothing from the agent's own code.

pub mod apiserver;
pub mod cel;
pub mod controllers;
pub mod disk;
pub mod faults;
pub mod fields;
pub mod kinds;
pub mod managed;
mod news;
pub mod patch;
pub mod schema;
pub mod serve;
pub mod shared;
pub mod typed;
