//! Kustomize writes what it knows of an object (its former names, whether it gets a hash, where it comes from) into the
//! object's own annotations. So a patch that does away with the annotations makes it forget, and one that adds to them
//! finds some. Here all that stands beside the object; while a patch is applied, one annotation is there in its place.

use super::resource::{Behavior, Resource};
use super::value::{Map, Value};

/// The annotation.
const NOTES: &str = "internal.config.kubernetes.io/notes";

impl Resource {
    /// Whether something is written down of it.
    pub(super) fn is_noted(&self) -> bool {
        !self.previous.is_empty() || self.needs_hash || self.origin.is_some() || self.behavior != Behavior::default()
    }

    /// What a note does to the annotations beside it: they are written anew, as strings.
    pub(super) fn rewrite_annotations(&mut self) {
        let entries = self.metadata_entries("annotations");
        let entries: Vec<_> = entries.map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
        if !entries.is_empty() {
            self.set_metadata_entries("annotations", entries);
        }
    }

    /// Adds the annotation.
    pub(super) fn mark_notes(&mut self) {
        let Some(metadata) = self.metadata_mut() else { return };
        let annotations = metadata.get_or_insert_with("annotations", || Value::Map(Map::new()));
        if annotations.is_null() {
            *annotations = Value::Map(Map::new());
        }
        if let Some(annotations) = annotations.as_map_mut() {
            annotations.insert(NOTES, Value::str("kept"));
        }
    }

    /// Takes the annotation away; whether it was still there.
    pub(super) fn unmark_notes(&mut self) -> bool {
        let annotations = self.value.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"));
        let Some(annotations) = annotations.and_then(Value::as_map_mut) else { return false };
        let kept = annotations.remove(NOTES).is_some();
        if annotations.is_empty()
            && let Some(metadata) = self.metadata_mut()
        {
            metadata.remove("annotations");
        }
        kept
    }

    /// Forgets where it comes from and what changed it.
    pub(super) fn forget_origin(&mut self) {
        self.origin = None;
        self.transformations.clear();
    }

    /// Forgets everything that is written down of it.
    pub(super) fn forget(&mut self) {
        self.forget_origin();
        self.previous.clear();
        self.prefixes.clear();
        self.suffixes.clear();
        self.needs_hash = false;
        self.behavior = Behavior::default();
    }
}
