//! The `scale` subresource: whoever writes it owns the number of replicas of the object itself.

use std::collections::BTreeMap;

use super::{Entries, Entry, Writer};
use crate::sim::fields::{FieldSet, Path};

/// Where the number of replicas is, by version (`group/version`); `None`: that version has no scale.
pub type ScalePaths = BTreeMap<String, Option<Path>>;

const SCALE_VERSION: &str = "autoscaling/v1";

fn replicas() -> Path {
    Path::of(&["spec", "replicas"])
}

/// The entries that the scale of an object shows: those that own its number of replicas.
#[must_use]
pub fn scale_entries(parent: &Entries, paths: &ScalePaths) -> Entries {
    let shown = parent.0.iter().filter_map(|(writer, entry)| {
        let path = paths.get(&entry.api_version)?.as_ref()?;
        entry.fields.has(&path.0).then(|| {
            let fields = FieldSet::of([replicas()]);
            let version = writer.api_version.as_ref().map(|_| SCALE_VERSION.to_owned());
            let writer = Writer { api_version: version, ..writer.clone() };
            (writer, Entry { api_version: SCALE_VERSION.to_owned(), fields, time: entry.time.clone() })
        })
    });
    Entries(shown.collect())
}

/// The entries of the object after its scale was written as `api_version`, which left the scale with the entries `scale`.
#[must_use]
pub fn parent_entries(parent: &Entries, scale: &Entries, api_version: &str, paths: &ScalePaths) -> Entries {
    let mut scale = scale.clone();
    let mut entries = BTreeMap::new();
    for (writer, entry) in &parent.0 {
        // Of a version that isn't served any more nothing is kept.
        let Some(path) = paths.get(&entry.api_version) else { continue };
        let mut entry = entry.clone();
        if let Some(path) = path.as_ref().filter(|path| entry.fields.has(&path.0))
            && scale.0.remove(writer).is_none()
        {
            entry.fields = entry.fields.difference(&FieldSet::of([path.clone()]));
        }
        if !entry.fields.is_empty() {
            entries.insert(writer.clone(), entry);
        }
    }
    for (writer, entry) in scale.0 {
        if let Some(Some(path)) = paths.get(api_version).filter(|_| entry.fields.has(&replicas().0)) {
            let fields = FieldSet::of([path.clone()]);
            // The server looks the time up among those of the object, which has none of a new writer.
            let time = parent.0.get(&writer).and_then(|entry| entry.time.clone());
            entries.insert(writer, Entry { api_version: api_version.to_owned(), fields, time });
        }
    }
    Entries(entries)
}
