//! Whether custom resources are as their schema says, in the server's words.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde_json::Value;

use super::structural::{Additional, Kind, Node, Rules, Structural};
use super::{ListKind, strings};

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The machine's word for it, as in the causes of an answer: `FieldValueInvalid`.
    pub reason: &'static str,
    /// The field; `<nil>`: the object itself.
    pub field: String,
    /// What is wrong, without the field.
    pub message: String,
}

impl Display for FieldError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

impl Structural {
    /// What the server finds wrong with an object: types, required fields and value rules first, then embedded resources without
    /// version or kind, and items of sets and keyed lists that occur twice. Rules in CEL (`x-kubernetes-validations`) are not
    /// looked at.
    ///
    /// What is wrong in `old` already, the object before, and has not changed is not told. With `part`, types and values of this
    /// member alone are looked at.
    pub fn validate(&self, object: &Value, old: Option<&Value>, part: Option<&str>) -> Vec<FieldError> {
        let mut found = match part {
            None => check(&self.root, object, old, "").errors,
            Some(part) => match (self.root.properties.get(part), object.get(part)) {
                (Some(of), Some(value)) => {
                    of_part(part, check(of, value, old.and_then(|old| old.get(part)), "").errors)
                }
                _ => Vec::new(),
            },
        };
        embedded_resources(&self.root, object, "", &mut found);
        let repetitions = |object| {
            let mut found = Vec::new();
            repeated_items(&self.root, object, "", &mut found);
            found
        };
        if old.is_none_or(|old| repetitions(old).is_empty()) {
            found.extend(repetitions(object));
        }
        found
    }
}

/// What was found in a member that was looked at alone.
fn of_part(part: &str, errors: Vec<FieldError>) -> Vec<FieldError> {
    let named = |error: FieldError| {
        let field = if error.field == "<nil>" { part.to_owned() } else { format!("{part}.{}", error.field) };
        FieldError { field, ..error }
    };
    errors.into_iter().map(named).collect()
}

/// What was found, and how much of the schema it fits: of several alternatives, the errors of the best are told.
#[derive(Default)]
struct Outcome {
    errors: Vec<FieldError>,
    fits: usize,
}

impl Outcome {
    fn add(&mut self, error: FieldError) {
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    fn merge(&mut self, other: Self) {
        other.errors.into_iter().for_each(|error| self.add(error));
        self.fits += other.fits;
    }

    fn invalid(&mut self, path: &str, value: &Value, detail: &str) {
        let message = format!("Invalid value: {value}: {detail}");
        self.add(FieldError { reason: "FieldValueInvalid", field: named(path), message });
    }

    /// Of the whole rather than of a value.
    fn composite(&mut self, message: String) {
        let message = format!("Invalid value: \"\": {message}");
        self.add(FieldError { reason: "FieldValueInvalid", field: "<nil>".to_owned(), message });
    }
}

fn named(path: &str) -> String {
    if path.is_empty() { "<nil>".to_owned() } else { path.trim_start_matches('.').to_owned() }
}

/// Checks a value. What has not changed since `old` may stay as it is, whatever is wrong with it.
fn check(node: &Node, value: &Value, old: Option<&Value>, path: &str) -> Outcome {
    let mut outcome = check_value(node, value, old, path);
    if !outcome.errors.is_empty() && old == Some(value) {
        outcome.errors.clear();
    }
    outcome
}

fn check_value(node: &Node, value: &Value, old: Option<&Value>, path: &str) -> Outcome {
    let mut outcome = Outcome::default();
    check_type(node, value, path, &mut outcome);
    if value.is_null() {
        check_values(&node.rules, value, path, &mut outcome);
        return outcome;
    }
    check_alternatives(&node.rules, value, path, &mut outcome);
    match value {
        Value::String(text) => check_string(&node.rules, text, path, &mut outcome),
        Value::Number(_) => check_number(node, value, path, &mut outcome),
        Value::Array(items) => check_items(node, items, old, path, &mut outcome),
        _ => {}
    }
    check_values(&node.rules, value, path, &mut outcome);
    if let Value::Object(members) = value {
        check_members(node, members, old, path, &mut outcome);
    }
    outcome.fits += 1;
    outcome
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check_type(node: &Node, value: &Value, path: &str, outcome: &mut Outcome) {
    let expected: &[Kind] = match node.kind {
        _ if node.int_or_string => &[Kind::Integer, Kind::String],
        Some(ref kind) => std::slice::from_ref(kind),
        None => return,
    };
    let found = type_of(value);
    let whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let fits = expected.iter().any(|kind| match (kind, value) {
        (_, Value::Null) => node.nullable,
        (Kind::Integer, Value::Number(_)) => whole,
        (Kind::Number, Value::Number(_)) => true,
        // A format other than of numbers is looked at elsewhere.
        (Kind::Integer | Kind::Number, _) => false,
        (_, Value::String(_)) if !node.rules.format.is_empty() => true,
        (kind, _) => kind.name() == found,
    });
    if fits {
        outcome.fits += 2;
        return;
    }
    let expected: Vec<&str> = expected.iter().map(|kind| kind.name()).collect();
    let detail = format!("{path} in body must be of type {}: \"{found}\"", expected.join(","));
    outcome.add(FieldError {
        reason: "FieldValueTypeInvalid",
        field: named(path),
        message: format!("Invalid value: \"{found}\": {detail}"),
    });
}

fn check_alternatives(rules: &Rules, value: &Value, path: &str, outcome: &mut Outcome) {
    outcome.fits += 2;
    let best = |outcomes: Vec<Outcome>| {
        // The first of those that fit best.
        outcomes.into_iter().reduce(|best, next| if next.fits > best.fits { next } else { best }).unwrap_or_default()
    };
    let each = |nodes: &[Node]| nodes.iter().map(|node| check(node, value, None, path)).collect::<Vec<_>>();
    if !rules.any_of.is_empty() {
        let mut outcomes = each(&rules.any_of);
        if let Some(at) = outcomes.iter().position(|found| found.errors.is_empty()) {
            outcome.merge(outcomes.swap_remove(at));
        } else {
            outcome.composite(format!("\"{path}\" must validate at least one schema (anyOf)"));
            outcome.merge(best(outcomes));
        }
    }
    if !rules.one_of.is_empty() {
        let outcomes = each(&rules.one_of);
        match outcomes.iter().filter(|found| found.errors.is_empty()).count() {
            0 => {
                outcome
                    .composite(format!("\"{path}\" must validate one and only one schema (oneOf). Found none valid"));
                outcome.merge(best(outcomes));
            }
            1 => outcome.fits += outcomes.iter().find(|found| found.errors.is_empty()).map_or(0, |found| found.fits),
            many => outcome.composite(format!(
                "\"{path}\" must validate one and only one schema (oneOf). Found {many} valid alternatives"
            )),
        }
    }
    if !rules.all_of.is_empty() {
        let outcomes = each(&rules.all_of);
        let valid = outcomes.iter().filter(|found| found.errors.is_empty()).count();
        let all = outcomes.len();
        outcomes.into_iter().for_each(|found| outcome.merge(found));
        if valid < all {
            let none = if valid == 0 { ". None validated" } else { "" };
            outcome.composite(format!("\"{path}\" must validate all the schemas (allOf){none}"));
        }
    }
    if let Some(not) = &rules.not
        && check(not, value, None, path).errors.is_empty()
    {
        outcome.composite(format!("\"{path}\" must not validate the schema (not)"));
    }
}

fn check_string(rules: &Rules, text: &str, path: &str, outcome: &mut Outcome) {
    outcome.fits += 1;
    let length = text.chars().count() as u64;
    let value = Value::String(text.to_owned());
    if let Some(most) = rules.length.1.filter(|most| length > *most) {
        let bytes = if most == 1 { "byte" } else { "bytes" };
        let message = format!("Too long: may not be more than {most} {bytes}");
        outcome.add(FieldError { reason: "FieldValueTooLong", field: named(path), message });
    } else if let Some(least) = rules.length.0.filter(|least| length < *least) {
        outcome.invalid(path, &value, &format!("{path} in body should be at least {least} chars long"));
    } else if let Some(pattern) = rules.pattern.as_ref().filter(|pattern| !pattern.regex.is_match(text)) {
        outcome.invalid(path, &value, &format!("{path} in body should match '{}'", pattern.text));
    }
    if !strings::has_format(text, &rules.format) {
        let message = format!("Invalid value: {value}: {path} in body must be of type {}: {value}", rules.format);
        outcome.add(FieldError { reason: "FieldValueTypeInvalid", field: named(path), message });
    }
}

fn check_number(node: &Node, value: &Value, path: &str, outcome: &mut Outcome) {
    outcome.fits += 2;
    let Some(number) = value.as_f64() else { return };
    let rules = &node.rules;
    let wide = rules.format == "int32" && value.as_i64().is_some_and(|number| i32::try_from(number).is_err());
    if node.kind == Some(Kind::Integer) && (number.fract() != 0.0 || wide) {
        let format = match rules.format.as_str() {
            format @ ("int32" | "int64") => format!("with format {format}"),
            _ => "(default format)".to_owned(),
        };
        outcome.composite(format!("Checked value must be of type integer {format} in {path}"));
    }
    if let Some(factor) = rules.multiple_of.filter(|factor| (number / factor).fract() != 0.0) {
        outcome.invalid(path, value, &format!("{path} in body should be a multiple of {factor}"));
    }
    // Whole numbers are compared with whole bounds.
    let bound = |bound: f64| if value.is_f64() { bound } else { bound.trunc() };
    if let Some(least) = rules.minimum.map(bound) {
        if rules.exclusive_minimum && number <= least {
            outcome.invalid(path, value, &format!("{path} in body should be greater than {least}"));
        } else if number < least {
            outcome.invalid(path, value, &format!("{path} in body should be greater than or equal to {least}"));
        }
    }
    if let Some(most) = rules.maximum.map(bound) {
        if rules.exclusive_maximum && number >= most {
            outcome.invalid(path, value, &format!("{path} in body should be less than {most}"));
        } else if number > most {
            outcome.invalid(path, value, &format!("{path} in body should be less than or equal to {most}"));
        }
    }
}

fn check_items(node: &Node, items: &[Value], old: Option<&Value>, path: &str, outcome: &mut Outcome) {
    outcome.fits += 2;
    for (at, item) in items.iter().enumerate() {
        if let Some(of) = &node.items {
            outcome.merge(check(of, item, same_item(node, item, old), &format!("{path}[{at}]")));
        }
    }
    let (least, most) = node.rules.items;
    let count = items.len() as u64;
    if let Some(least) = least.filter(|least| count < *least) {
        outcome.invalid(path, &count.into(), &format!("{path} in body should have at least {least} items"));
    }
    if let Some(most) = most.filter(|most| count > *most) {
        outcome.add(too_many(path, count, most));
    }
    let twice = items.iter().enumerate().any(|(at, item)| items.iter().take(at).any(|other| other == item));
    if node.rules.unique && twice {
        outcome.invalid(path, &"".into(), &format!("{path} in body shouldn't contain duplicates"));
    }
}

/// The item of the list before that an item takes the place of: only keys tell.
pub(super) fn same_item<'v>(node: &Node, item: &Value, old: Option<&'v Value>) -> Option<&'v Value> {
    let Some(ListKind::Map(keys)) = &node.list else { return None };
    let same = |other: &&Value| keys.iter().all(|key| other.get(key) == item.get(key));
    old?.as_array()?.iter().find(same)
}

fn too_many(path: &str, count: u64, most: u64) -> FieldError {
    let items = if most == 1 { "item" } else { "items" };
    let message = format!("Too many: {count}: must have at most {most} {items}");
    FieldError { reason: "FieldValueTooMany", field: named(path), message }
}

fn check_values(rules: &Rules, value: &Value, path: &str, outcome: &mut Outcome) {
    outcome.fits += 1;
    if rules.values.is_empty() || rules.values.contains(value) {
        return;
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let supported: Vec<String> = rules.values.iter().map(|value| Value::String(text(value)).to_string()).collect();
    let shown = if value.is_null() { "null".to_owned() } else { value.to_string() };
    outcome.add(FieldError {
        reason: "FieldValueNotSupported",
        field: named(path),
        message: format!("Unsupported value: {shown}: supported values: {}", supported.join(", ")),
    });
}

fn check_members(
    node: &Node,
    members: &serde_json::Map<String, Value>,
    old: Option<&Value>,
    path: &str,
    outcome: &mut Outcome,
) {
    outcome.fits += 1;
    let before = |name: &str| old.and_then(|old| old.get(name));
    let (least, most) = node.rules.properties;
    let count = members.len() as u64;
    if let Some(least) = least.filter(|least| count < *least) {
        outcome.invalid(path, &count.into(), &format!("{path} in body should have at least {least} properties"));
    }
    if let Some(most) = most.filter(|most| count > *most) {
        outcome.add(too_many(path, count, most));
    }
    if let Additional::Of(of) = &node.additional {
        for (name, value) in members.iter().filter(|(name, _)| !node.properties.contains_key(*name)) {
            outcome.merge(check(of, value, before(name), &format!("{path}.{name}")));
        }
    }
    for (name, of) in &node.properties {
        if let Some(value) = members.get(name) {
            let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            outcome.merge(check(of, value, before(name), &below));
        }
    }
    for name in node.rules.required.iter().filter(|name| !members.contains_key(*name)) {
        outcome.add(FieldError {
            reason: "FieldValueRequired",
            field: named(&format!("{path}.{name}")),
            message: "Required value".to_owned(),
        });
    }
}

/// Calls `visit` for a value and all that is below it of which the schema says something.
fn walk(node: &Node, value: &Value, path: &str, visit: &mut dyn FnMut(&Node, &Value, &str)) {
    visit(node, value, path);
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let dot = if path.is_empty() { "" } else { "." };
                match (node.properties.get(name), &node.additional) {
                    (Some(of), _) => walk(of, value, &format!("{path}{dot}{name}"), visit),
                    (None, Additional::Of(of)) => walk(of, value, &format!("{path}[{name}]"), visit),
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if let Some(of) = &node.items {
                    walk(of, item, &format!("{path}[{at}]"), visit);
                }
            }
        }
        _ => {}
    }
}

/// Embedded resources that aren't any.
fn embedded_resources(root: &Node, object: &Value, path: &str, found: &mut Vec<FieldError>) {
    walk(root, object, path, &mut |node, value, path| {
        if let (true, Value::Object(members)) = (node.embedded, value) {
            embedded(members, path, found);
        }
    });
}

/// Items of sets and keyed lists that occur twice; of each, the first repetition is told.
fn repeated_items(root: &Node, object: &Value, path: &str, found: &mut Vec<FieldError>) {
    walk(root, object, path, &mut |node, value, path| {
        let Value::Array(items) = value else { return };
        match &node.list {
            Some(ListKind::Set) => repeated(items.iter().cloned(), path, found),
            Some(ListKind::Map(keys)) => keyed(items, keys, path, found),
            Some(ListKind::Atomic) | None => {}
        }
    });
}

fn embedded(members: &serde_json::Map<String, Value>, path: &str, found: &mut Vec<FieldError>) {
    for name in ["apiVersion", "kind"] {
        let (reason, message) = match members.get(name) {
            None => ("FieldValueRequired", "Required value".to_owned()),
            Some(Value::String(text)) if text.is_empty() => {
                ("FieldValueInvalid", "Invalid value: \"\": must not be empty".to_owned())
            }
            Some(Value::String(_)) => continue,
            Some(other) => ("FieldValueInvalid", format!("Invalid value: {other}: must be a string")),
        };
        found.push(FieldError { reason, field: format!("{path}.{name}"), message });
    }
}

fn keyed(items: &[Value], keys: &[String], path: &str, found: &mut Vec<FieldError>) {
    if let Some((at, item)) = items.iter().enumerate().find(|(_, item)| !item.is_null() && !item.is_object()) {
        found.push(FieldError {
            reason: "FieldValueInvalid",
            field: format!("{path}[{at}]"),
            message: format!("Invalid value: {item}: must be an object for an array of list-type map"),
        });
        return;
    }
    let key = |item: &Value| -> Value {
        keys.iter()
            .filter_map(|key| Some((key.clone(), item.get(key)?.clone())))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    repeated(items.iter().map(key), path, found);
}

fn repeated(values: impl Iterator<Item = Value>, path: &str, found: &mut Vec<FieldError>) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (at, value) in values.enumerate() {
        let times = seen.entry(value.to_string()).or_default();
        *times += 1;
        if *times == 2 {
            let message = format!("Duplicate value: {value}");
            found.push(FieldError { reason: "FieldValueDuplicate", field: format!("{path}[{at}]"), message });
        }
    }
}
