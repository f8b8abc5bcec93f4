//! The one test binary; modules by subject.

mod real;
mod store;
mod support;
