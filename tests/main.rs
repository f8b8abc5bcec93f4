//! The one test binary; modules by subject.

mod cli;
mod store;
mod tidy;
