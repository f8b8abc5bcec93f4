//! Custom resources under a schema, as kube-apiserver 1.37.2 answered (`fixtures/structural.py` records it).

use driftless::sim::schema::{FieldError, Structural};
use serde_json::{Value, json};

const RECORDED: &str = include_str!("fixtures/structural.json");

fn cause(error: &FieldError) -> Value {
    json!({"reason": error.reason, "message": error.message, "field": error.field})
}

#[test]
fn recorded_objects_are_pruned_defaulted_and_refused_as_by_the_server() {
    let recorded: Value = serde_json::from_str(RECORDED).unwrap();
    let structural = Structural::read(&recorded["schema"]).unwrap();
    let mut wrong = Vec::new();
    let cases = recorded["cases"].as_array().unwrap();
    for case in cases {
        let mut object = json!({"apiVersion": "recorded.driftless.dev/v1", "kind": "Check", "metadata": {"name": "x"}});
        object["more"] = json!({"top": 1});
        if !case["sent"].is_null() {
            object["spec"] = case["sent"].clone();
        }
        structural.normalize(&mut object);
        let pruned = structural.prune(&mut object);
        structural.default(&mut object);
        let mut mine: Vec<Value> = structural.validate(&object, None, None).iter().map(cause).collect();
        let mut theirs = case["causes"].as_array().cloned().unwrap_or_default();
        // The server goes through maps in no order.
        mine.sort_by_key(Value::to_string);
        theirs.sort_by_key(Value::to_string);
        if mine != theirs || theirs.is_empty() && object["spec"] != case["spec"] {
            wrong.push(format!("{case}\n  mine {}, {mine:?}", object["spec"]));
        }
        assert!(pruned.contains(&"more".to_owned()), "{pruned:?}");
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(cases.len() > 80);
}

#[test]
fn unknown_fields_are_told_by_their_paths() {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}},
    }}}});
    let mut object = json!({
        "apiVersion": "x/v1", "kind": "X", "metadata": {"other": 1}, "status": {},
        "spec": {"list": [{"a": "1"}, {"b": "2"}], "map": {"k": {"a": "1", "c": {"d": 1}}}, "more": 1},
    });
    let pruned = Structural::read(&schema).unwrap().prune(&mut object);
    assert_eq!(pruned, ["spec.list[1].b", "spec.map.k.c", "spec.more", "status"]);
    assert_eq!(object["spec"], json!({"list": [{"a": "1"}, {}], "map": {"k": {"a": "1"}}}));
}

#[test]
fn schemas_that_are_none_say_where() {
    let cases = [
        (json!({"type": "thing"}), ": \"thing\" is no type of JSON schema"),
        (
            json!({"properties": {"a": {"items": {"pattern": "("}}}}),
            "properties[a].items: pattern \"(\": regex parse error",
        ),
        (
            json!({"additionalProperties": {"type": "array", "x-kubernetes-list-type": "map"}}),
            "additionalProperties: x-kubernetes-list-type map needs x-kubernetes-list-map-keys",
        ),
        (json!({"x-kubernetes-list-type": "bag"}), ": \"bag\" is no x-kubernetes-list-type"),
    ];
    for (schema, expected) in cases {
        let error = Structural::read(&schema).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let deep = (0..100).fold(json!({"type": "string"}), |inner, _| json!({"properties": {"a": inner}}));
    assert!(Structural::read(&deep).unwrap_err().to_string().contains("nested deeper"));
}
