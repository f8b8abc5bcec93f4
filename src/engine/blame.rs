//! Who changed our fields.

use std::cmp::Reverse;

use serde_json::Value;

use super::fields::{self, Entry};
use super::live::Blame;
use super::ownership::{holds, lost_with};
use super::path::at;

/// How many managers are named. The API server keeps ten writers by Update; appliers are not limited.
const MAX_MANAGERS: usize = 16;

/// Who holds the fields of `manifest` that our own Apply entry lost, by `managed_fields` (JSON text): the newest first, and
/// last, under no manager, the fields that nobody holds: they were removed, and a removal leaves no trace of who did it.
/// Empty if nothing is lost.
///
/// A manager that wrote through a subresource is named `manager (scale)`. Our own name is among the managers if
/// somebody updated under it.
pub fn blame(manifest: &Value, managed_fields: &str) -> Vec<Blame> {
    let entries = fields::parse(managed_fields);
    let is_secret = is_secret(manifest);
    let mut held: Vec<(&Entry<'_>, Vec<String>)> =
        entries.iter().filter(|entry| !entry.is_our_apply()).map(|entry| (entry, Vec::new())).collect();
    let mut removed = Vec::new();
    for lost in lost_with(manifest, &entries) {
        let text = lost.path.text(is_secret);
        let mut found = false;
        for (entry, paths) in &mut held {
            if at(&entry.fields, &lost.path.0).is_some_and(|theirs| holds(lost.value, theirs)) {
                found = true;
                note(paths, &text);
            }
        }
        if !found {
            note(&mut removed, &text);
        }
    }
    held.retain(|(_, paths)| !paths.is_empty());
    held.sort_by(|(a, _), (b, _)| {
        (Reverse(&a.time), &a.manager, &a.operation, &a.subresource).cmp(&(
            Reverse(&b.time),
            &b.manager,
            &b.operation,
            &b.subresource,
        ))
    });
    held.truncate(MAX_MANAGERS);
    let mut blames: Vec<_> = held.into_iter().map(|(entry, paths)| named(entry, paths)).collect();
    if !removed.is_empty() {
        blames.push(Blame { manager: None, operation: "".into(), time: None, paths: removed });
    }
    blames
}

/// `blame` with what was found out later: `by` names those who made fields go that nobody holds.
pub fn name_holders(mut blame: Vec<Blame>, by: Vec<Blame>) -> Vec<Blame> {
    for found in by {
        for nobody in blame.iter_mut().filter(|known| known.manager.is_none()) {
            nobody.paths.retain(|path| !found.paths.contains(path));
        }
        match blame.iter_mut().find(|known| (&known.manager, &known.operation) == (&found.manager, &found.operation)) {
            Some(known) => found.paths.iter().for_each(|path| note(&mut known.paths, path)),
            None => blame.insert(0, found),
        }
    }
    blame.retain(|known| !known.paths.is_empty());
    blame
}

/// One entry of the answer.
pub(crate) fn named(entry: &Entry<'_>, paths: Vec<String>) -> Blame {
    Blame {
        manager: Some(writer(entry).into()),
        operation: entry.operation.as_ref().into(),
        time: entry.time.as_deref().map(Into::into),
        paths,
    }
}

/// A manager's name, with the subresource that it wrote through.
pub(crate) fn writer(entry: &Entry<'_>) -> String {
    if entry.subresource.is_empty() {
        entry.manager.to_string()
    } else {
        format!("{} ({})", entry.manager, entry.subresource)
    }
}

/// Whether a manifest is a core Secret's.
pub(crate) fn is_secret(manifest: &Value) -> bool {
    let text = |name| manifest.get(name).and_then(Value::as_str);
    text("apiVersion") == Some("v1") && text("kind") == Some("Secret")
}

/// Adds a path, unless it is there or there are enough.
pub(crate) fn note(paths: &mut Vec<String>, text: &str) {
    if paths.len() < Blame::MAX_PATHS && !paths.iter().any(|path| path == text) {
        paths.push(text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(manager: &str, operation: &str, time: &str, fields: &str) -> String {
        format!(
            r#"{{"manager":"{manager}","operation":"{operation}","apiVersion":"v1","time":"{time}","fieldsV1":{fields}}}"#
        )
    }

    #[test]
    fn the_newest_is_first_and_removals_are_last() {
        let manifest =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1", "b": "2", "c": "3", "d": "4"}});
        let managed_fields = format!(
            "[{},{},{},{}]",
            entry("driftless", "Apply", "2026-01-01T00:00:00Z", r#"{"f:data":{"f:a":{}}}"#),
            entry("old", "Update", "2026-01-02T00:00:00Z", r#"{"f:data":{".":{},"f:b":{}}}"#),
            entry("new", "Apply", "2026-01-03T00:00:00Z", r#"{"f:data":{"f:b":{},"f:c":{},"f:z":{}}}"#),
            entry("elsewhere", "Update", "2026-01-04T00:00:00Z", r#"{"f:data":{".":{},"f:a":{},"f:z":{}}}"#),
        );
        let shown: Vec<_> = blame(&manifest, &managed_fields)
            .into_iter()
            .map(|blame| (blame.manager.map(String::from), blame.paths))
            .collect();
        let expected: [(Option<&str>, &[&str]); 3] =
            [(Some("new"), &[".data.b", ".data.c"]), (Some("old"), &[".data.b"]), (None, &[".data.d"])];
        assert_eq!(shown.len(), expected.len());
        for ((manager, paths), (expected_manager, expected_paths)) in shown.iter().zip(expected) {
            assert_eq!(
                (manager.as_deref(), paths.as_slice()),
                (expected_manager, expected_paths.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>().as_slice())
            );
        }
    }

    #[test]
    fn who_made_fields_go_is_named_in_place_of_nobody() {
        let one = |manager: Option<&str>, paths: &[&str]| Blame {
            manager: manager.map(Into::into),
            operation: "Update".into(),
            time: None,
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        };
        let cases = [
            (vec![one(None, &[".a"])], vec![one(Some("k"), &[".a"])], vec![one(Some("k"), &[".a"])]),
            (
                vec![one(Some("k"), &[".b"]), one(None, &[".a", ".c"])],
                vec![one(Some("k"), &[".a"])],
                vec![one(Some("k"), &[".b", ".a"]), one(None, &[".c"])],
            ),
            (vec![one(None, &[".a"])], vec![], vec![one(None, &[".a"])]),
        ];
        for (blame, by, expected) in cases {
            assert_eq!(name_holders(blame, by), expected);
        }
    }

    #[test]
    fn paths_and_managers_are_bounded() {
        let data: serde_json::Map<String, Value> = (0..1000).map(|n| (format!("k{n}"), json!("1"))).collect();
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data});
        let many: Vec<_> =
            (0..100).map(|n| entry(&format!("m{n}"), "Apply", "2026-01-01T00:00:00Z", r#"{"f:data":{}}"#)).collect();
        let blames = blame(&manifest, &format!("[{}]", many.join(",")));
        assert_eq!(blames.len(), MAX_MANAGERS);
        assert!(blames.iter().all(|blame| blame.paths.len() == Blame::MAX_PATHS));
        assert_eq!(blame(&manifest, "[]").len(), 1);
    }

    #[test]
    fn a_secret_shows_no_key_values() {
        let manifest = json!({"apiVersion": "v1", "kind": "Secret", "x": [{"name": "hunter2", "v": 1}]});
        let managed_fields = format!(
            "[{}]",
            entry("m", "Update", "2026-01-01T00:00:00Z", r#"{"f:x":{"k:{\"name\":\"hunter2\"}":{".":{}}}}"#)
        );
        let shown = format!("{:?}", blame(&manifest, &managed_fields));
        assert!(shown.contains(".x[…]") && !shown.contains("hunter2"), "{shown}");
    }
}
