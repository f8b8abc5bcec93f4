//! Selectors and labels in a cell.

use serde_json::Value;

use crate::sim::kinds::value::{items, members, text, texts};

/// A label selector: its labels by name, then its expressions by key. Empty if it selects all or is wrong.
pub(super) fn selector(selector: &Value) -> String {
    let labels = members(selector, "matchLabels").map(|(name, value)| {
        let value = value.as_str().unwrap_or_default();
        (name, format!("{name}={value}"))
    });
    let expressions = items(selector, "matchExpressions").iter().map(|expression| {
        let key = text(expression, "key");
        let mut values = texts(expression, "values");
        values.sort_unstable();
        let values = values.join(",");
        (
            key,
            match text(expression, "operator") {
                "In" => format!("{key} in ({values})"),
                "NotIn" => format!("{key} notin ({values})"),
                "DoesNotExist" => format!("!{key}"),
                _ => key.to_owned(),
            },
        )
    });
    let mut parts: Vec<(&str, String)> = labels.chain(expressions).collect();
    parts.sort_by_key(|(key, _)| *key);
    parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join(",")
}

/// The same; `<none>` if it selects all.
pub(super) fn selector_or_none(value: &Value) -> String {
    let told = selector(value);
    if told.is_empty() { "<none>".to_owned() } else { told }
}

/// Labels; `<none>` if there are none.
pub(super) fn labels(object: &Value, path: &str) -> String {
    let parts: Vec<String> =
        members(object, path).map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
    if parts.is_empty() { "<none>".to_owned() } else { parts.join(",") }
}
