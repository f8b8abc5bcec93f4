//! The model of the API server (`src/sim`) beside the real one: what the real one answered is recorded in `recordings/`,
//! and both are asked again.

mod compare;
mod controllers;
mod disk;
mod faces;
mod fields;
pub(crate) mod fuzz;
mod kinds;
mod managed;
pub(crate) mod model;
mod normal;
mod readable;
mod recordings;
mod run;
mod script;
pub(crate) mod server;
mod structural;

pub(crate) use recordings::{check, subjects};
