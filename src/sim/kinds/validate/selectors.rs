//! Label selectors, and the labels that they must match.

use serde_json::Value;

use super::{Errors, forbidden, invalid, invalid_shown, labels, named, required};
use crate::sim::apiserver::names;
use crate::sim::apiserver::status::FieldError;
use crate::sim::kinds::value::{at, has, items, members, text, texts};

/// A selector as JSON, with its labels in front.
pub(in crate::sim::kinds) fn shown(selector: &Value) -> String {
    if selector.is_null() {
        return "null".to_owned();
    }
    let mut parts = Vec::new();
    if members(selector, "matchLabels").next().is_some() {
        parts.push(format!("\"matchLabels\":{}", at(selector, "matchLabels")));
    }
    if !items(selector, "matchExpressions").is_empty() {
        parts.push(format!("\"matchExpressions\":{}", at(selector, "matchExpressions")));
    }
    format!("{{{}}}", parts.join(","))
}

/// What is wrong with a selector; whether it is one.
pub(super) fn check(errors: &mut Errors, field: &str, selector: &Value) -> bool {
    let before = errors.len();
    labels(errors, &format!("{field}.matchLabels"), at(selector, "matchLabels"));
    for (index, expression) in items(selector, "matchExpressions").iter().enumerate() {
        let field = format!("{field}.matchExpressions[{index}]");
        let values = has(expression, "values") && !items(expression, "values").is_empty();
        match text(expression, "operator") {
            "In" | "NotIn" if !values => {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(format!("{field}.values"), detail));
            }
            "Exists" | "DoesNotExist" if values => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                forbidden(errors, format!("{field}.values"), detail);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => invalid(
                errors,
                format!("{field}.operator"),
                at(expression, "operator"),
                "not a valid selector operator",
            ),
        }
        named(errors, format!("{field}.key"), text(expression, "key"), names::qualified_name);
        for (place, value) in texts(expression, "values").into_iter().enumerate() {
            named(errors, format!("{field}.values[{place}]"), value, names::label_value);
        }
    }
    errors.len() == before
}

/// Whether labels are selected. Nothing selects nothing.
fn selects(selector: &Value, labels: &Value) -> bool {
    if selector.is_null() {
        return false;
    }
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    members(selector, "matchLabels").all(|(key, value)| label(key) == value.as_str())
        && items(selector, "matchExpressions").iter().all(|expression| {
            let found = label(text(expression, "key"));
            let listed = || found.is_some_and(|found| texts(expression, "values").contains(&found));
            match text(expression, "operator") {
                "In" => listed(),
                "NotIn" => !listed(),
                "Exists" => found.is_some(),
                _ => found.is_none(),
            }
        })
}

/// The selector of a workload: it must be there, be right, and match the labels of the template.
pub(super) fn of_workload(errors: &mut Errors, object: &Value, missing_is_told: bool) {
    let selector = at(object, "spec.selector");
    if selector.is_null() && missing_is_told {
        required(errors, "spec.selector");
    }
    let right = check(errors, "spec.selector", selector);
    if !selector.is_null() && shown(selector) == "{}" && missing_is_told {
        // That of a ReplicaSet is told in the words of a Deployment.
        let kind = if text(object, "kind") == "StatefulSet" { "statefulset" } else { "deployment" };
        invalid_shown(errors, "spec.selector", "{}".to_owned(), format!("empty selector is invalid for {kind}"));
    }
    if right {
        matches_template(errors, object, selector);
    } else {
        invalid_shown(errors, "spec.selector", shown(selector), "invalid label selector");
    }
}

/// The labels of the template are those that are selected.
pub(super) fn matches_template(errors: &mut Errors, object: &Value, selector: &Value) {
    let labels = at(object, "spec.template.metadata.labels");
    if !selects(selector, labels) {
        let detail = "`selector` does not match template `labels`";
        invalid(errors, "spec.template.metadata.labels", labels, detail);
    }
}

/// A selector that must not change.
pub(super) fn unchanged(errors: &mut Errors, new: &Value, old: &Value) {
    let selector = at(new, "spec.selector");
    if selector != at(old, "spec.selector") {
        invalid_shown(errors, "spec.selector", shown(selector), super::IMMUTABLE);
    }
}
