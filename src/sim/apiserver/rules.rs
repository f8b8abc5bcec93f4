//! What the rules of a kind, or the schema of a custom resource, make of an object.

use serde_json::Value;

use super::definitions::DEFINITIONS;
use super::status::FieldError;
use super::{Call, meta};
use crate::sim::kinds::{Generation, Kind};
use crate::sim::schema;

impl Call<'_> {
    /// Fills in what was left out.
    pub(super) fn fill(&self, object: &mut Value) {
        match &self.custom {
            Some(custom) => custom.structural.fill(object),
            None => (self.kind.defaults)(object),
        }
    }

    /// Drops what is empty in the metadata. That of a custom resource is left as it comes.
    pub(super) fn tidy(&self, object: &mut Value) {
        if self.custom.is_none() {
            meta::tidy(object);
        }
    }

    /// Makes an object what is read of it. Returns what is written if that is something else: custom resources are written as
    /// they come, and made fit when they are read.
    pub(super) fn store(&self, object: &mut Value) -> Option<Value> {
        match (&self.custom, &self.schema) {
            (Some(custom), _) => {
                let written = object.clone();
                custom.store(object);
                return (*object != written).then_some(written);
            }
            // Definitions are kept as JSON, all else in a form that has no empty lists.
            (None, Some(schema)) if self.resource.qualified() != DEFINITIONS => schema::store(schema.root(), object),
            _ => {}
        }
        None
    }

    /// What is wrong with an object, but for its metadata. `old` is the one before.
    pub(super) fn check(&self, object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
        match &self.custom {
            Some(custom) => {
                let part = self.address.subresource.filter(|part| *part == "status");
                custom.check(object, old, part, errors);
            }
            None => (self.kind.validate)(object, errors),
        }
    }
}

/// Takes out owners that are there twice, which is warned of. `when` says when they were found.
pub(super) fn repeated_owners(object: &mut Value, when: &str) -> Option<String> {
    let uids = meta::drop_repeated_owners(object)?;
    Some(format!(
        ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may \
         reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {uids}"
    ))
}

/// Counts the generation up if something changed that is specified.
pub(super) fn count_generation(kind: &Kind, new: &mut Value, old: &Value) {
    let specified = |object: &Value| {
        let mut object = object.clone();
        if let Some(members) = object.as_object_mut() {
            members.remove("metadata");
            if kind.has_status {
                members.remove("status");
            }
        }
        object
    };
    let changed = match kind.generation {
        Generation::None => return,
        Generation::Spec => specified(new) != specified(old),
        Generation::SpecOrAnnotations => {
            specified(new) != specified(old) || meta::get(new, "annotations") != meta::get(old, "annotations")
        }
    };
    if changed {
        meta::set(new, "generation", meta::generation(old) + 1);
    }
}
