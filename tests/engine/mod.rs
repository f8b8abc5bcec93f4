//! The pure core against what a real API server answered, and against models of everything around it.

mod fields;
mod model;
mod restart;
mod simulation;
mod takeover;
