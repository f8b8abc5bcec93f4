//! The built program, and the files that describe it.

mod agent;
mod build;
mod commands;
mod deploy;
mod readme;
mod sandbox;
mod store;
