//! The model of the API server (`src/sim`) beside the real one: what the real one answered is recorded in `recordings/`,
//! and both are asked again.

mod compare;
pub(crate) mod fuzz;
mod managed;
mod model;
mod normal;
mod readable;
mod recordings;
mod run;
mod script;
pub(crate) mod server;

pub(crate) use recordings::{check, subjects};
