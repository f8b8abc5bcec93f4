//! The set algebra of `fieldsV1`: which fields of an object somebody owns.
//!
//! The rules are those of the API server (structured-merge-diff, `fieldpath`): a set holds paths, and a path says nothing about
//! the paths above or below it.

mod element;
mod json;
mod set;

pub use element::{Element, Exact, Path, compare_values, equal_values};
pub use json::DecodeError;
pub(super) use json::go_json;
pub use set::FieldSet;
