//! The pure core: what is desired, what is live, and what to do about the difference.
//!
//! No async, no clock, no randomness, no files, no network and no environment in here: time arrives as an argument,
//! everything else as an [`event::Event`], and what is to be done leaves as an [`effect::Effect`]. `tests/tidy.rs`
//! checks that nothing in this folder names a library that could break the rule.

pub mod application;
mod apps;
pub mod backoff;
pub mod blame;
mod claims;
pub mod contest;
pub mod decode;
mod descent;
pub mod desired;
mod diff;
mod due;
pub mod effect;
pub mod escalation;
pub mod event;
pub mod fields;
mod finish;
pub mod footprint;
pub mod hash;
mod heal;
pub mod health;
pub mod ids;
mod lanes;
pub mod lease;
pub mod leftover;
pub mod live;
pub mod manifest;
pub mod names;
mod object;
mod observe;
mod operation;
pub mod options;
mod outcome;
pub mod ownership;
pub mod path;
mod progress;
mod prune;
pub mod record;
pub mod redact;
mod report;
pub mod repository;
pub mod revision;
pub mod scope;
pub mod semver;
pub mod settings;
mod show;
mod sources;
mod state;
pub mod status;
mod step;
mod sync;
mod takeover;
mod teardown;
pub mod time;
pub mod tracking;
pub mod view;
pub mod wave;

pub use step::Engine;
