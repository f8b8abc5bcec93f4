//! The algebra of `fieldsV1`.

use driftless::sim::fields::{Element, Exact, FieldSet, Path, compare_values, equal_values};
use serde_json::{Value, json};

fn set(json: &Value) -> FieldSet {
    FieldSet::from_json(json).unwrap()
}

#[test]
fn sets_are_read_and_written() {
    let json = json!({
        "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
        "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}},
            "f:set": {"v:\"b\"": {}, "v:1": {}}, "f:list": {"i:0": {}}},
    });
    let read = set(&json);
    assert_eq!(read.to_json(), json);
    let paths: Vec<String> = read.paths().iter().map(Path::to_string).collect();
    let expected = [
        ".metadata.labels",
        ".metadata.labels.a",
        ".spec.list[0]",
        ".spec.ports[port=80,protocol=\"TCP\"]",
        ".spec.ports[port=80,protocol=\"TCP\"].port",
        ".spec.set[=1]",
        ".spec.set[=\"b\"]",
    ];
    assert_eq!(paths, expected);
    assert_eq!(read.len(), expected.len());
    // Kinds of steps that nobody knows yet are left out.
    assert_eq!(set(&json!({"f:a": {}, "q:b": {}})), set(&json!({"f:a": {}})));
    for wrong in
        [json!([]), json!({"fa": {}}), json!({"f:a": 1}), json!({"v:{": {}}), json!({"k:1": {}}), json!({"i:x": {}})]
    {
        assert!(FieldSet::from_json(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn text_stands_in_the_order_of_the_server() {
    let paths = ["f:b", "k:{\"n\":443}", "k:{\"n\":80}", "v:\"<&>\"", "i:1"];
    let members: serde_json::Map<String, Value> = paths.iter().map(|path| ((*path).to_owned(), json!({}))).collect();
    let text = set(&json!({"f:a": members})).to_text();
    let expected =
        r#"{"f:a":{"f:b":{},"k:{\"n\":80}":{},"k:{\"n\":443}":{},"v:\"\\u003c\\u0026\\u003e\"":{},"i:1":{}}}"#;
    assert_eq!(text, expected);
    let own = FieldSet::of([Path::of(&["a"]), Path::of(&["a", "b"])]);
    assert_eq!(own.to_text(), r#"{"f:a":{".":{},"f:b":{}}}"#);
}

#[test]
fn sets_are_put_together_and_apart() {
    let a = set(&json!({"f:a": {".": {}, "f:x": {}, "f:y": {"f:z": {}}}, "f:b": {}}));
    let b = set(&json!({"f:a": {"f:x": {}, "f:y": {}}, "f:c": {}}));
    let cases = [
        ("union", a.union(&b), json!({"f:a": {".": {}, "f:x": {}, "f:y": {".": {}, "f:z": {}}}, "f:b": {}, "f:c": {}})),
        ("intersection", a.intersection(&b), json!({"f:a": {"f:x": {}}})),
        ("difference", a.difference(&b), json!({"f:a": {".": {}, "f:y": {"f:z": {}}}, "f:b": {}})),
        ("recursive", a.recursive_difference(&b), json!({"f:a": {}, "f:b": {}})),
        ("leaves", a.leaves(), json!({"f:a": {"f:x": {}, "f:y": {"f:z": {}}}, "f:b": {}})),
    ];
    for (name, found, expected) in cases {
        assert_eq!(found, set(&expected), "{name}");
    }
    assert!(a.difference(&a).is_empty());
    assert!(a.has(&Path::of(&["a", "y", "z"]).0) && !a.has(&Path::of(&["a", "y"]).0) && !a.has(&[]));
}

#[test]
fn values_have_an_order() {
    let ordered = [
        json!(-1),
        json!(0.5),
        json!(1),
        json!(80),
        json!(443),
        json!("a"),
        json!("b"),
        json!(false),
        json!(true),
        json!([]),
        json!([1]),
        json!({}),
        json!(null),
    ];
    for (at, a) in ordered.iter().enumerate() {
        for (other, b) in ordered.iter().enumerate() {
            assert_eq!(compare_values(a, b), at.cmp(&other), "{a} {b}");
        }
    }
    assert!(equal_values(&json!({"a": [1.0]}), &json!({"a": [1]})));
    assert!(!equal_values(&json!({"a": 1}), &json!({"b": 1})));
    assert_eq!(Element::Value(Exact(json!(1))), Element::Value(Exact(json!(1.0))));
}
