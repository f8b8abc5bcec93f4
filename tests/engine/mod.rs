//! The pure core against what a real API server answered, and against models of everything around it.

mod fields;
mod harness;
mod heal;
mod leader;
mod model;
mod prune;
mod restart;
mod rewritten;
mod simulation;
mod sources;
mod status;
mod sync;
mod takeover;
mod waves;
