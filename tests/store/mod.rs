//! The store, through its public interface.

mod crash;
mod disk;
mod file;
mod live;
mod model;
mod records;
