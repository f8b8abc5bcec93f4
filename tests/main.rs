//! The one test binary; modules by subject.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod engine;
