//! The one test binary; modules by subject.

mod git;
mod support;
