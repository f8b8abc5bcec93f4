//! The pure core against what a real API server answered.

mod fields;
mod restart;
mod takeover;
