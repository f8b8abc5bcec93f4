//! Who owns which field: `metadata.managedFields`, kept by server-side apply and by every other write.
//!
//! [`apply`] merges an applied configuration into an object, [`update`] attributes what another write changed. Both are pure:
//! the time comes from outside, and defaulting is the caller's, before `update` and after `apply`: what is defaulted after an
//! apply belongs to nobody.

mod apply;
mod conflict;
mod entries;
mod last_applied;
mod limit;
mod reset;
mod scale;
mod update;

use serde_json::Value;

use super::fields::{Element, FieldSet, Path};
use super::schema::Schema;
use super::typed::{self, Comparison, TypeErrors};

pub use apply::{ApplyError, apply};
pub use conflict::{Conflict, Conflicts};
pub use entries::{Entries, EntriesError, Entry, Operation, Writer};
pub use reset::reset_fields;
pub use scale::{ScalePaths, parent_entries, scale_entries};
pub use update::update;

/// Most entries of other writes than applies; the oldest are put together beyond that.
pub const MAX_UPDATE_ENTRIES: usize = 10;

/// The object in another version of its kind.
#[derive(Clone, Debug)]
pub struct Versioned {
    /// The object.
    pub object: Value,
    /// The type of that version.
    pub schema: Schema,
}

/// How objects are converted between the versions that their managers wrote.
pub trait Versions {
    /// The object in that version (`group/version`); `None`: the server doesn't serve it any more, and who wrote it owns nothing.
    fn convert(&self, object: &Value, api_version: &str) -> Option<Versioned>;
}

/// A kind with one version only.
#[derive(Clone, Copy, Debug)]
pub struct OneVersion;

impl Versions for OneVersion {
    fn convert(&self, _: &Value, _: &str) -> Option<Versioned> {
        None
    }
}

/// What a write is judged by.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The type of the object in the version of the request.
    pub schema: &'a Schema,
    /// The version of the request, `group/version`, or the version alone for the core group.
    pub api_version: &'a str,
    /// The kind.
    pub kind: &'a str,
    /// Who writes; empty: unknown.
    pub manager: &'a str,
    /// The subresource that is written; empty: the object itself.
    pub subresource: &'a str,
    /// Fields that this request can't set (`status` of most objects, all else of their status), which nobody owns by it.
    pub reset: Option<&'a FieldSet>,
    /// Other versions of the kind.
    pub versions: &'a dyn Versions,
    /// The time of the request, in seconds as `2026-01-02T03:04:05Z`.
    pub now: &'a str,
}

impl Context<'_> {
    fn writer(&self, manager: &str, operation: Operation) -> Writer {
        Writer {
            manager: if manager.is_empty() { "unknown".to_owned() } else { manager.to_owned() },
            operation,
            // One who applies is the same in all versions.
            api_version: (operation == Operation::Update).then(|| self.api_version.to_owned()),
            subresource: self.subresource.to_owned(),
        }
    }

    /// What an object is before it exists.
    fn blank(&self) -> Value {
        let mut blank = super::schema::zero(self.schema.root());
        if let Value::Object(members) = &mut blank {
            members.insert("apiVersion".to_owned(), self.api_version.into());
            members.insert("kind".to_owned(), self.kind.into());
        }
        blank
    }

    fn convert(&self, object: &Value, api_version: &str) -> Option<Versioned> {
        if object.get("apiVersion").and_then(Value::as_str) == Some(api_version) {
            let schema = if api_version == self.api_version {
                self.schema.clone()
            } else {
                self.versions.convert(object, api_version)?.schema
            };
            return Some(Versioned { object: object.clone(), schema });
        }
        self.versions.convert(object, api_version)
    }

    fn without_reset(&self, set: FieldSet) -> FieldSet {
        self.reset.map_or_else(|| set.clone(), |reset| set.recursive_difference(reset))
    }

    /// What changed between two objects of the request's version.
    fn compare(&self, old: &Value, new: &Value) -> Result<Comparison, TypeErrors> {
        typed::compare(self.schema.root(), old, new)
    }

    fn ignoring_reset(&self, comparison: Comparison) -> Comparison {
        match self.reset {
            Some(reset) => comparison.without(reset),
            None => comparison,
        }
    }
}

/// The fields of metadata that are the server's, which nobody owns.
fn server_owned() -> FieldSet {
    let metadata = ["name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation"];
    let more = ["managedFields", "resourceVersion"];
    let below = metadata.into_iter().chain(more).map(|name| Path::of(&["metadata", name]));
    FieldSet::of(
        ["apiVersion", "kind", "metadata"].into_iter().map(|name| Path(vec![Element::field(name)])).chain(below),
    )
}

/// The object without `metadata.managedFields`.
fn without_managed_fields(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

/// Whether two states of an object are the same but for the times in their managed fields: then nothing is written.
pub fn same_but_for_times(old: &Value, new: &Value) -> bool {
    let timeless = |object: &Value| {
        let mut object = object.clone();
        let entries = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            entry.as_object_mut().and_then(|entry| entry.remove("time"));
        }
        object
    };
    timeless(old) == timeless(new)
}
