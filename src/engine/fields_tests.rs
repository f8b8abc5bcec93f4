//! Sets, entries and list keys as the API server writes them.

use super::*;
use serde_json::json;

fn node(text: &str) -> Node<'_> {
    serde_json::from_str(text).unwrap()
}

#[test]
fn members_are_leaves_and_dots() {
    let set = node(r#"{"f:a":{},"f:b":{".":{},"f:c":{}},"f:d":{"f:e":{}}}"#);
    let member = |name| set.field(name).map(|node| (node.member, node.is_leaf()));
    assert_eq!(member("a"), Some((true, true)));
    assert_eq!(member("b"), Some((true, false)));
    assert_eq!(member("d"), Some((false, false)));
    assert_eq!(member("z"), None);
    assert!(!set.member);
}

#[test]
fn sets_are_equal_whatever_the_order_of_their_text() {
    let one = node(r#"{"f:a":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{},"v:\"x\"":{},"i:1":{},"f:\"q":{}}"#);
    let two = node(r#"{"f:\"q":{},"i:1":{},"v:\"x\"":{},"k:{\"protocol\":\"TCP\",\"port\":80}":{},"f:a":{}}"#);
    assert_eq!(one, two);
    assert!(one.field("\"q").is_some());
}

#[test]
fn unknown_elements_are_refused() {
    for text in
        [r#"{"x:a":{}}"#, r#"{"f":{}}"#, r#"{"k:[]":{}}"#, r#"{"v:{":{}}"#, r#"{"i:x":{}}"#, "[]", r#"{"é":{}}"#]
    {
        assert!(serde_json::from_str::<Node<'_>>(text).is_err(), "{text}");
    }
    assert_eq!(parse(r#"[{"manager":"driftless","fieldsV1":{"x:":{}}}]"#), vec![]);
    assert_eq!(parse("null"), vec![]);
    assert_eq!(parse("[{}]").len(), 1);
}

#[test]
fn items_find_their_keys() {
    let set = node(
        r#"{"k:{\"port\":53,\"protocol\":\"TCP\"}":{},"k:{\"port\":53,\"protocol\":\"UDP\"}":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{}}"#,
    );
    let assigned = |items: Value| -> Vec<Option<String>> {
        let keys = set.assign(items.as_array().unwrap()).into_iter();
        keys.map(|key| key.map(|(key, _)| String::from_utf8(key.text.clone()).unwrap())).collect()
    };
    let key = |port: u32, protocol: &str| Some(format!(r#"{{"port":{port},"protocol":"{protocol}"}}"#));
    // The complete item takes its own key first, so that the one without a protocol gets the other.
    assert_eq!(
        assigned(json!([{"port": 53}, {"port": 53, "protocol": "UDP"}, {"port": 80}, {"port": 81}, {}, 7])),
        [key(53, "TCP"), key(53, "UDP"), key(80, "TCP"), None, None, None]
    );
    assert_eq!(
        assigned(json!([{"port": 53, "protocol": "SCTP"}, {"protocol": "TCP", "port": 80}])),
        [None, key(80, "TCP")]
    );
}

#[test]
fn our_entry_is_the_apply_entry_in_the_version_that_was_asked_for() {
    let text = r#"[
        {"manager":"driftless","operation":"Update","apiVersion":"apps/v1","fieldsV1":{"f:a":{}}},
        {"manager":"driftless","operation":"Apply","apiVersion":"apps/v1","subresource":"status","fieldsV1":{"f:b":{}}},
        {"manager":"driftless","operation":"Apply","apiVersion":"apps/v1","time":"2026-01-01T00:00:00Z","fieldsV1":{"f:c":{}}},
        {"manager":"x","operation":"Apply","apiVersion":"apps/v1"}]"#;
    let gvk = |version: &str| Gvk::new("apps", version, "Deployment");
    assert!(ours(text, &gvk("v1")).unwrap().field("c").is_some());
    assert!(ours(text, &gvk("v1beta1")).is_none());
    assert!(ours("[{}]", &gvk("v1")).is_none());
    let entries = parse(text);
    assert_eq!(entries.iter().map(|entry| entry.is_ours("apps/v1")).collect::<Vec<_>>(), [false, false, true, false]);
}
