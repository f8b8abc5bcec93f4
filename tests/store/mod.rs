//! The store, through its public interface.

mod crash;
pub(crate) mod disk;
mod file;
mod live;
mod model;
mod records;
