//! What is particular to the built-in kinds: what they default to, what they refuse, which of their parts may change.

mod amount;
mod apps;
mod batch;
mod config;
mod internal;
pub(in crate::sim) mod pods;
mod policies;
pub mod services;
mod storage;
mod table;
mod validate;
pub(in crate::sim) mod value;
pub mod warnings;

use serde_json::Value;

use super::apiserver::names;
use super::apiserver::status::FieldError;

pub use table::of;
pub use validate::statuses::status as validate_status;

/// When `metadata.generation` is counted up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// The kind has none.
    None,
    /// When anything but metadata and status changes.
    Spec,
    /// When that or an annotation changes.
    SpecOrAnnotations,
}

/// The rules of one kind.
#[derive(Debug)]
pub struct Kind {
    /// What is wrong with a name.
    pub name: fn(&str) -> Vec<String>,
    /// When the generation is counted up.
    pub generation: Generation,
    /// Whether a PUT makes an object that is not there.
    pub creates_on_update: bool,
    /// Whether a PUT needs no `resourceVersion`.
    pub unconditional_update: bool,
    /// Whether `status` is written through its own subresource alone.
    pub has_status: bool,
    /// Fills in what was left out; done whenever an object is read from a request, before anything else.
    pub defaults: fn(&mut Value),
    /// Sets what the server alone sets in new objects.
    pub prepare_create: fn(&mut Value),
    /// The same in a changed object; the second is the one before.
    pub prepare_update: fn(&mut Value, &Value),
    /// What is wrong with an object, but for its metadata.
    pub validate: fn(&Value, &mut Vec<FieldError>),
    /// What is wrong with a change from the second to the first, beside what is wrong with the object.
    pub validate_update: fn(&Value, &Value, &mut Vec<FieldError>),
}

impl Kind {
    /// The rules of a kind that has none of its own.
    pub const PLAIN: Self = Self {
        name: names::subdomain,
        generation: Generation::None,
        creates_on_update: false,
        unconditional_update: true,
        has_status: false,
        defaults: |_| {},
        prepare_create: |_| {},
        prepare_update: |_, _| {},
        validate: |_, _| {},
        validate_update: |_, _, _| {},
    };

    /// The rules of a kind that has a specification, which is counted, and a status.
    const SPECIFIED: Self = Self { generation: Generation::Spec, has_status: true, ..Self::PLAIN };
}
