//! What is wrong with objects: one function for each kind, and one for changes where only some of it may change. The
//! sentences, and the order in which they are told, are those of kube-apiserver.

pub(super) mod apps;
pub(super) mod batch;
pub(super) mod config;
mod containers;
pub(super) mod network;
pub(super) mod pods;
pub(super) mod policies;
pub(super) mod rbac;
mod schedule;
mod selectors;
pub(super) mod services;
pub(in crate::sim) mod statuses;
pub(super) mod storage;
mod volumes;

use serde_json::Value;

pub(super) use self::selectors::shown as shown_selector;

use super::value::{at, is_blank};
use crate::sim::apiserver::names;
use crate::sim::apiserver::status::{FieldError, FieldProblem};

/// What is wrong so far.
type Errors = Vec<FieldError>;

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";
const IMMUTABLE: &str = "field is immutable";
const ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const NETWORK: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

fn required(errors: &mut Errors, field: impl Into<String>) {
    errors.push(FieldError::required(field, ""));
}

fn invalid(errors: &mut Errors, field: impl Into<String>, value: &Value, detail: impl Into<String>) {
    errors.push(FieldError::invalid(field, value, detail));
}

/// A value that is shown in a form of its own.
fn invalid_shown(errors: &mut Errors, field: impl Into<String>, shown: String, detail: impl Into<String>) {
    errors.push(FieldError {
        field: field.into(),
        problem: FieldProblem::Invalid,
        value: shown,
        detail: detail.into(),
    });
}

fn forbidden(errors: &mut Errors, field: impl Into<String>, detail: impl Into<String>) {
    errors.push(FieldError::forbidden(field, detail));
}

fn duplicate(errors: &mut Errors, field: impl Into<String>, shown: String) {
    let field = field.into();
    errors.push(FieldError { field, problem: FieldProblem::Duplicate, value: shown, detail: String::new() });
}

fn not_found(errors: &mut Errors, field: impl Into<String>, value: &Value) {
    let (field, value) = (field.into(), value.to_string());
    errors.push(FieldError { field, problem: FieldProblem::NotFound, value, detail: String::new() });
}

/// A text that is none of those known.
fn one_of(errors: &mut Errors, object: &Value, base: &str, field: &str, known: &[&str]) {
    let value = at(object, field);
    if !known.iter().any(|known| value == known) {
        let value = if value.is_null() { &Value::String(String::new()) } else { value };
        errors.push(FieldError::not_supported(join(base, field), value, known));
    }
}

/// The same, of a field that may be left out.
fn one_of_if_any(errors: &mut Errors, object: &Value, base: &str, field: &str, known: &[&str]) {
    if !at(object, field).is_null() {
        one_of(errors, object, base, field, known);
    }
}

/// A number below zero.
fn not_negative(errors: &mut Errors, object: &Value, base: &str, field: &str) {
    let value = at(object, field);
    if value.as_i64().is_some_and(|number| number < 0) {
        invalid(errors, join(base, field), value, NOT_NEGATIVE);
    }
}

/// A field that has changed though it must not.
fn immutable(errors: &mut Errors, new: &Value, old: &Value, field: &str) {
    if at(new, field) != at(old, field) {
        invalid(errors, field, at(new, field), IMMUTABLE);
    }
}

/// A name that has another form than `check` wants.
fn named(errors: &mut Errors, field: impl Into<String>, name: &str, check: fn(&str) -> Vec<String>) {
    let field = field.into();
    for problem in check(name) {
        invalid(errors, field.clone(), &name.into(), problem);
    }
}

/// A name that must be there and have a form.
fn required_name(errors: &mut Errors, object: &Value, base: &str, field: &str, check: fn(&str) -> Vec<String>) {
    match at(object, field) {
        value if is_blank(value) => required(errors, join(base, field)),
        value => named(errors, join(base, field), value.as_str().unwrap_or_default(), check),
    }
}

/// A port, by its number.
fn port_number(errors: &mut Errors, field: impl Into<String>, value: &Value) {
    if !value.as_i64().is_some_and(|port| (1..=65_535).contains(&port)) {
        invalid(errors, field, &value.as_i64().unwrap_or_default().into(), PORT_RANGE);
    }
}

/// What is wrong with the name of a port.
fn port_name(name: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if name.len() > 15 {
        problems.push("must be no more than 15 characters".to_owned());
    }
    if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') || name.is_empty() {
        problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !problems.is_empty() {
        return problems;
    }
    if !name.chars().any(|c| c.is_ascii_lowercase()) {
        problems.push("must contain at least one letter (a-z)".to_owned());
    }
    if name.contains("--") {
        problems.push("must not contain consecutive hyphens".to_owned());
    }
    if name.starts_with('-') || name.ends_with('-') {
        problems.push("must not begin or end with a hyphen".to_owned());
    }
    problems
}

/// A port, by number or name.
fn port_or_name(errors: &mut Errors, field: &str, value: &Value) {
    match value {
        Value::String(name) => named(errors, field, name, port_name),
        number => port_number(errors, field, number),
    }
}

/// Labels, and what else has their form.
fn labels(errors: &mut Errors, field: &str, labels: &Value) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        named(errors, field, key, names::qualified_name);
        named(errors, field, value.as_str().unwrap_or_default(), names::label_value);
    }
}

/// A number or a percentage.
fn number_or_percent(errors: &mut Errors, object: &Value, base: &str, field: &str) {
    let value = at(object, field);
    match value {
        Value::String(text) => {
            let digits = text.strip_suffix('%').unwrap_or_default();
            if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
                let problem = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
                    '93%', regex used for validation is '[0-9]+%')";
                invalid(errors, join(base, field), value, problem);
            }
        }
        _ => not_negative(errors, object, base, field),
    }
}

/// A percentage above 100.
fn at_most_all(errors: &mut Errors, object: &Value, base: &str, field: &str) {
    let value = at(object, field);
    let percent = value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.parse::<u64>().ok());
    if percent.is_some_and(|percent| percent > 100) {
        invalid(errors, join(base, field), value, "must not be greater than 100%");
    }
}

/// A path with a field's name.
fn join(base: &str, field: &str) -> String {
    if base.is_empty() { field.to_owned() } else { format!("{base}.{field}") }
}
