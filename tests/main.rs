//! The one test binary; modules by subject.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

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
