//! The store: its history and its index.

use serde_json::json;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn object(text: &str) -> Value {
    json!({"metadata": {"labels": {"app": text}}, "text": text})
}

fn texts(store: &Store, namespace: Option<&str>, at: Option<u64>) -> Vec<String> {
    let listed = store.list("things", namespace, None, at).unwrap();
    listed.iter().map(|(key, stored)| format!("{}={}", key.text(), stored.value()["text"].as_str().unwrap())).collect()
}

#[test]
fn the_past_can_be_listed_as_it_was() {
    let mut store = Store::default();
    let key = |name| Key::new(Some("a"), name);
    let first = store.put("things", &key("x"), object("1"), at(0)).revision;
    store.put("things", &Key::new(Some("a-b"), "x"), object("2"), at(0));
    let third = store.put("things", &key("x"), object("3"), at(0)).revision;
    store.put("things", &key("y"), object("4"), at(0));
    store.remove("things", &key("x"), object("3"), at(0));
    assert_eq!(texts(&store, None, None), ["a-b/x=2", "a/y=4"]);
    assert_eq!(texts(&store, None, Some(third)), ["a-b/x=2", "a/x=3"]);
    assert_eq!(texts(&store, Some("a"), Some(first)), ["a/x=1"]);
    assert_eq!(texts(&store, Some("b"), Some(first)), [""; 0]);
}

#[test]
fn a_watch_that_is_too_old_is_told() {
    let mut store = Store::default();
    let key = Key::new(None, "x");
    let first = store.put("things", &key, object("1"), at(0)).revision;
    store.put("things", &key, object("2"), at(1));
    let next = store.next_change("things", first).unwrap().unwrap();
    assert_eq!((next.object.label("app"), next.previous.as_ref().unwrap().label("app")), (Some("2"), Some("1")));
    // The one at second 0 is forgotten five minutes later, so who has seen it may go on.
    store.put("things", &key, object("3"), at(301));
    assert!(store.next_change("things", first).unwrap().is_some());
    assert_eq!(store.next_change("things", first - 1).unwrap_err(), Forgotten);
    store.compact(store.revision());
    assert_eq!(store.list("things", None, None, Some(first)).unwrap_err(), Forgotten);
    assert!(store.next_change("things", store.revision()).unwrap().is_none());
}
