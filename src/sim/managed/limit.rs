//! The bound on the number of entries.

use std::collections::BTreeMap;

use super::entries::seconds;
use super::{Entries, MAX_UPDATE_ENTRIES, Operation, Writer};

/// Whose the fields of entries are that were put together.
const ANCIENT: &str = "ancient-changes";

/// Puts the oldest entries of updates together, those of one version each, until there are few enough.
pub(super) fn limit(entries: &mut Entries) {
    let updates = entries.0.iter().filter(|(writer, _)| writer.operation == Operation::Update);
    let mut updates: Vec<_> = updates.map(|(writer, entry)| (seconds(entry.time.as_deref()), writer.clone())).collect();
    let mut count = updates.len();
    updates.sort();
    let mut first_of: BTreeMap<String, Writer> = BTreeMap::new();
    for (_, writer) in updates {
        if count <= MAX_UPDATE_ENTRIES {
            return;
        }
        let version = writer.api_version.clone().unwrap_or_default();
        let Some(first) = first_of.get(&version) else {
            first_of.insert(version, writer);
            continue;
        };
        let bucket = Writer {
            manager: ANCIENT.to_owned(),
            operation: Operation::Update,
            api_version: Some(version),
            subresource: String::new(),
        };
        if !entries.0.contains_key(&bucket)
            && let Some(entry) = entries.0.remove(first)
        {
            entries.0.insert(bucket.clone(), entry);
        }
        // The one that is added is the younger of the two. Should it be the bucket itself, because an older entry came first, the
        // server drops it.
        if let (Some(newer), Some(entry)) = (entries.0.remove(&writer), entries.0.get_mut(&bucket)) {
            entry.fields = newer.fields.union(&entry.fields);
            entry.time = newer.time;
        }
        count -= 1;
    }
}
