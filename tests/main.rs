//! The one test binary; modules by subject.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]
#![allow(clippy::duplicate_mod, reason = "tests/model is what is in tests/real, compiled once more")]

mod cli;
mod engine;
mod git;
mod model;
mod real;
mod render;
mod sim;
mod store;
mod support;
mod tidy;
mod wire;
mod world;
