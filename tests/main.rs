//! The one test binary; modules by subject.

mod engine;
