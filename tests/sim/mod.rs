//! The embedded control plane, against what a real API server answered.

mod fields;
mod managed;
mod structural;
