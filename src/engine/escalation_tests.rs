//! What is removed, and above all what is not.

use super::*;

const OURS: &str = "2026-01-02T00:00:00Z";
const LATER: &str = "2026-01-03T00:00:00Z";
const EARLIER: &str = "2026-01-01T00:00:00Z";

fn entry(manager: &str, operation: &str, time: &str, set: &Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": time, "fieldsV1": set})
}

/// The set with `set` below a field that no set holds by itself. An empty one is left out: it would be a leaf.
fn below(field: &str, set: Value) -> Value {
    if set == json!({}) { json!({"f:other": {}}) } else { json!({field: set}) }
}

/// What is to be removed of an object with the list `found`, where the manifest wants `wanted`, we hold `ours` and the
/// others hold `theirs`. Nothing was applied in between.
fn of_list(wanted: Value, found: Value, ours: Value, theirs: &[(&str, &str, &str, Value)]) -> Option<Value> {
    let manifest = json!({"apiVersion": "v1", "kind": "X", "list": wanted});
    let mut entries = vec![entry("driftless", "Apply", OURS, &below("f:list", ours))];
    entries.extend(
        theirs.iter().map(|(name, operation, time, set)| entry(name, operation, time, &json!({"f:list": set}))),
    );
    let before = json!(entries).to_string();
    let metadata = json!({"uid": "u", "resourceVersion": "1", "managedFields": entries});
    let object = json!({"apiVersion": "v1", "kind": "X", "metadata": metadata, "list": found});
    removal(&manifest, &before, &object).map(|removal| json!(removal.patch.as_array().unwrap()[2..]))
}

fn item(name: &str) -> Value {
    json!({format!(r#"k:{{"n":"{name}"}}"#): {".": {}, "f:n": {}, "f:v": {}}})
}

#[test]
fn only_what_is_tied_to_a_lost_item_is_touched() {
    let wanted = || json!([{"n": "a", "v": "1"}, {"n": "b", "v": "2"}]);
    let renamed = || json!([{"n": "a", "v": "1"}, {"n": "z", "v": "2", "default": true}]);
    let by = |operation, time| vec![("m", operation, time, item("z"))];
    let undone = Some(json!([{"op": "replace", "path": "/list/1", "value": {"n": "b", "v": "2", "default": true}}]));
    assert_eq!(of_list(wanted(), renamed(), item("a"), &by("Update", LATER)), undone);
    assert_eq!(of_list(wanted(), renamed(), item("a"), &by("Update", OURS)), undone, "times count seconds");

    let refused = [
        ("written before our apply", of_list(wanted(), renamed(), item("a"), &by("Update", EARLIER))),
        ("another applier's", of_list(wanted(), renamed(), item("a"), &by("Apply", LATER))),
        (
            "held by two",
            of_list(
                wanted(),
                renamed(),
                item("a"),
                &[("m", "Update", LATER, item("z")), ("o", "Update", LATER, item("z"))],
            ),
        ),
        ("nothing lost", {
            let mut ours = item("a");
            ours.as_object_mut().unwrap().extend(item("b").as_object().unwrap().clone());
            of_list(wanted(), renamed(), ours, &by("Update", LATER))
        }),
        (
            "other content",
            of_list(wanted(), json!([{"n": "a", "v": "1"}, {"n": "z", "v": "3"}]), item("a"), &by("Update", LATER)),
        ),
        (
            "no content",
            of_list(json!([{"n": "a"}, {"n": "b"}]), json!([{"n": "a"}, {"n": "z"}]), item("a"), &by("Update", LATER)),
        ),
        ("two that fit", {
            let mut theirs = item("y");
            theirs.as_object_mut().unwrap().extend(item("z").as_object().unwrap().clone());
            let found = json!([{"n": "a", "v": "1"}, {"n": "y", "v": "2"}, {"n": "z", "v": "2"}]);
            of_list(wanted(), found, item("a"), &[("m", "Update", LATER, theirs)])
        }),
        (
            "two that it fits",
            of_list(
                json!([{"n": "a", "v": "2"}, {"n": "b", "v": "2"}]),
                json!([{"n": "z", "v": "2"}]),
                json!({}),
                &by("Update", LATER),
            ),
        ),
        (
            "wanted",
            of_list(
                json!([{"n": "b", "v": "2"}, {"n": "z", "v": "2"}]),
                json!([{"n": "z", "v": "2"}]),
                json!({}),
                &by("Update", LATER),
            ),
        ),
        (
            "held in part",
            of_list(wanted(), renamed(), item("a"), &[("m", "Update", LATER, json!({"k:{\"n\":\"z\"}": {"f:v": {}}}))]),
        ),
    ];
    for (why, patch) in refused {
        assert_eq!(patch, None, "{why}");
    }
}

/// The same for a map.
fn of_map(wanted: Value, found: Value, ours: Value, theirs: &[(&str, Value)]) -> Option<Value> {
    let wrap = |value: Value| json!({"apiVersion": "v1", "kind": "X", "spec": {"map": value}});
    let mut entries = vec![entry("driftless", "Apply", OURS, &json!({"f:spec": below("f:map", ours)}))];
    entries.extend(theirs.iter().map(|(name, set)| entry(name, "Update", LATER, &json!({"f:spec": {"f:map": set}}))));
    let mut object = wrap(found);
    object["metadata"] = json!({"uid": "u", "resourceVersion": "1", "managedFields": entries});
    let patch = removal(&wrap(wanted), &json!(entries).to_string(), &object).map(|removal| removal.patch);
    patch.map(|patch| json!(patch.as_array().unwrap()[2..]))
}

#[test]
fn only_one_arm_for_one_arm_is_touched() {
    let swapped =
        of_map(json!({"x": {"a": 1}}), json!({"y": {"b": 1}}), json!({}), &[("m", json!({"f:y": {"f:b": {}}}))]);
    let expected =
        json!([{"op": "remove", "path": "/spec/map/y"}, {"op": "add", "path": "/spec/map/x", "value": {"a": 1}}]);
    assert_eq!(swapped, Some(expected));

    let y = || json!({"f:y": {}});
    let refused = [
        ("texts of a free map", of_map(json!({"x": "1"}), json!({"y": "1"}), json!({}), &[("m", y())])),
        (
            "more fields than an arm",
            of_map(json!({"x": {}}), json!({"y": {}, "z": {}}), json!({}), &[("m", json!({"f:y": {}, "f:z": {}}))]),
        ),
        ("more lost than an arm", of_map(json!({"x": {}, "w": {}}), json!({"y": {}}), json!({}), &[("m", y())])),
        ("a default", of_map(json!({"x": {}}), json!({"y": {}}), json!({}), &[])),
        ("held by two", of_map(json!({"x": {}}), json!({"y": {}}), json!({}), &[("m", y()), ("o", y())])),
        (
            "still there",
            of_map(
                json!({"x": {"a": 1}}),
                json!({"x": {"a": 2}, "y": {}}),
                json!({}),
                &[("m", json!({"f:x": {"f:a": {}}, "f:y": {}}))],
            ),
        ),
        ("nothing lost", of_map(json!({"x": {}}), json!({"x": {}, "y": {}}), json!({"f:x": {}}), &[("m", y())])),
    ];
    for (why, patch) in refused {
        assert_eq!(patch, None, "{why}");
    }
}

#[test]
fn operations_stay_right_while_items_go() {
    let mut edits = Edits::default();
    edits.items.insert("/l".into(), vec![0, 10, 2]);
    edits.items.insert("/l/3/m".into(), vec![1]);
    edits.remove.insert("/l/4/x".into());
    edits.replace.insert("/k/0".into(), json!(1));
    let operations = edits.into_operations();
    let paths: Vec<_> = operations.iter().map(|operation| operation["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/l/4/x", "/k/0", "/l/3/m/1", "/l/10", "/l/2", "/l/0"]);
}

#[test]
fn objects_that_cannot_be_guarded_are_left_alone() {
    assert_eq!(removal(&json!({}), "", &json!({})), None);
    assert_eq!(removal(&json!(null), "[", &json!([])), None);
}
