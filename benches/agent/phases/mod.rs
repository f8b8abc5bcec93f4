//! What is measured, one module a subject.

pub(crate) mod bare;
pub(crate) mod cold;
pub(crate) mod commits;
pub(crate) mod edits;
pub(crate) mod handover;
pub(crate) mod idle;
pub(crate) mod memory;
pub(crate) mod restart;
