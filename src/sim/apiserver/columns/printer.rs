//! Columns that the definition of a custom resource asks for: a JSONPath each, and the type of what stands there.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::Value;

use super::{Cell, Column, NAME, ago};
use crate::sim::kinds::value::{items, number, text};

/// The columns of one version of a definition: an item of its `spec.versions`. A path that can't be read gives empty cells.
pub fn of_definition(version: &Value) -> Vec<Column> {
    let told = items(version, "additionalPrinterColumns");
    let own = |field: &Value, name: &str| Cow::Owned(text(field, name).to_owned());
    let columns = told.iter().map(|column| {
        let path = text(column, "jsonPath");
        let description = match text(column, "description") {
            "" => format!("Custom resource definition column (in JSONPath format): {path}"),
            told => told.to_owned(),
        };
        Column {
            name: own(column, "name"),
            kind: own(column, "type"),
            format: own(column, "format"),
            description: Cow::Owned(description),
            priority: number(column, "priority"),
            cell: Cell::At(Path { kind: text(column, "type").to_owned(), steps: steps(path).unwrap_or_default() }),
        }
    });
    let age = told.is_empty().then(|| Column {
        kind: Cow::Borrowed("date"),
        cell: Cell::At(Path {
            kind: "date".to_owned(),
            steps: steps(".metadata.creationTimestamp").unwrap_or_default(),
        }),
        ..super::AGE.into()
    });
    std::iter::once(NAME.into()).chain(columns).chain(age).collect()
}

/// Where a cell stands, and what type it is shown as.
#[derive(Clone, Debug)]
pub(super) struct Path {
    kind: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Member(String),
    /// From, to (exclusive), by how many; negative ones count from the end.
    Slice(Option<i64>, Option<i64>, i64),
    All,
    /// Members of this name at any depth.
    Anywhere(String),
    /// Items in which the value at the path compares so with the literal; no comparison: in which there is one.
    Filter(Vec<Self>, Option<(Comparison, Value)>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    Different,
    Less,
    Greater,
    AtMost,
    AtLeast,
}

impl Path {
    pub(super) fn cell(&self, object: &Value, now: Timestamp) -> Value {
        if self.steps.is_empty() {
            return Value::Null;
        }
        let found = self.steps.iter().fold(vec![object], |found, step| {
            let mut next = Vec::new();
            for value in found {
                step.apply(value, &mut next);
            }
            next
        });
        let Some(value) = found.first() else { return Value::Null };
        match (self.kind.as_str(), value) {
            ("string", Value::Null) => "<no value>".into(),
            ("string", Value::String(text)) => text.as_str().into(),
            ("string", value) => value.to_string().into(),
            ("integer", Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => integer.into(),
                #[expect(clippy::cast_possible_truncation, reason = "the server cuts it off as well")]
                (None, Some(float)) => (float as i64).into(),
                (None, None) => Value::Null,
            },
            ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => (*value).clone(),
            ("date", Value::String(time)) => match time.parse::<Timestamp>() {
                Ok(_) => ago(time, now).into(),
                Err(_) => "<invalid>".into(),
            },
            _ => Value::Null,
        }
    }
}

impl Step {
    fn apply<'v>(&self, value: &'v Value, found: &mut Vec<&'v Value>) {
        match (self, value) {
            (Self::Member(name), Value::Object(members)) => found.extend(members.get(name)),
            (Self::All, Value::Array(items)) => found.extend(items),
            (Self::All, Value::Object(members)) => found.extend(members.values()),
            (Self::Slice(from, to, by), Value::Array(items)) => found.extend(slice(items, *from, *to, *by)),
            (Self::Filter(path, comparison), Value::Array(items)) => {
                found.extend(items.iter().filter(|item| holds(item, path, comparison.as_ref())));
            }
            (Self::Anywhere(name), value) => anywhere(value, name, found),
            _ => {}
        }
    }
}

fn slice(items: &[Value], from: Option<i64>, to: Option<i64>, by: i64) -> impl Iterator<Item = &Value> {
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let place = |index: i64| {
        let index = if index < 0 { index + length } else { index };
        usize::try_from(index.clamp(0, length)).unwrap_or_default()
    };
    let (from, to) = (place(from.unwrap_or_default()), place(to.unwrap_or(length)));
    items.get(from..to).unwrap_or_default().iter().step_by(usize::try_from(by).unwrap_or(1).max(1))
}

fn anywhere<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v Value>) {
    found.extend(value.get(name));
    match value {
        Value::Object(members) => members.values().for_each(|value| anywhere(value, name, found)),
        Value::Array(items) => items.iter().for_each(|value| anywhere(value, name, found)),
        _ => {}
    }
}

fn holds(item: &Value, path: &[Step], comparison: Option<&(Comparison, Value)>) -> bool {
    let found = path.iter().fold(vec![item], |found, step| {
        let mut next = Vec::new();
        for value in found {
            step.apply(value, &mut next);
        }
        next
    });
    let (Some(value), Some((comparison, literal))) = (found.first(), comparison) else {
        return !found.is_empty() && comparison.is_none();
    };
    let order = match (value, literal) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    };
    match comparison {
        Comparison::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
        Comparison::Different => order.is_some_and(std::cmp::Ordering::is_ne),
        Comparison::Less => order.is_some_and(std::cmp::Ordering::is_lt),
        Comparison::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
        Comparison::AtMost => order.is_some_and(std::cmp::Ordering::is_le),
        Comparison::AtLeast => order.is_some_and(std::cmp::Ordering::is_ge),
    }
}

/// Reads a path such as `.spec.ports[0].name` or `.status.conditions[?(@.type=="Ready")].status`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    while !rest.is_empty() {
        let (step, after) = if let Some(inner) = rest.strip_prefix('[') {
            let end = bracket(inner)?;
            let (inner, after) = inner.split_at_checked(end)?;
            (subscript(inner)?, after.strip_prefix(']')?)
        } else if let Some(after) = rest.strip_prefix("..") {
            let (name, after) = name(after);
            (Step::Anywhere(name), after)
        } else {
            match name(rest.strip_prefix('.')?) {
                (star, after) if star == "*" => (Step::All, after),
                (name, after) if !name.is_empty() => (Step::Member(name), after),
                // `.['name']`
                (_, after) if after.starts_with('[') => {
                    rest = after;
                    continue;
                }
                _ => return None,
            }
        };
        steps.push(step);
        rest = after;
    }
    Some(steps)
}

/// A name, in which a backslash takes the meaning of what follows it, and the rest.
fn name(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '.' | '[' => return (name, text.get(at..).unwrap_or_default()),
            '\\' => name.extend(characters.next().map(|(_, c)| c)),
            c => name.push(c),
        }
    }
    (name, "")
}

/// Where the bracket closes that was opened before the text.
fn bracket(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// What stands in brackets.
fn subscript(inner: &str) -> Option<Step> {
    if inner == "*" {
        return Some(Step::All);
    }
    if let Some(filter) = inner.strip_prefix("?(").and_then(|inner| inner.strip_suffix(')')) {
        return filter_step(filter.trim());
    }
    if let Some(quoted) = unquote(inner) {
        // As elsewhere, a dot may be escaped though it need not be.
        return Some(Step::Member(quoted.replace('\\', "")));
    }
    let mut parts = inner.split(':').map(|part| match part.trim() {
        "" => Some(None),
        number => number.parse().ok().map(Some),
    });
    let (from, to, by) = (parts.next()??, parts.next(), parts.next());
    match (to, by) {
        (None, _) => {
            let index = from?;
            Some(Step::Slice(Some(index), (index != -1).then_some(index + 1), 1))
        }
        (Some(to), by) => Some(Step::Slice(from, to?, by.flatten().flatten().unwrap_or(1))),
    }
}

fn filter_step(filter: &str) -> Option<Step> {
    let operators = [
        ("==", Comparison::Equal),
        ("!=", Comparison::Different),
        ("<=", Comparison::AtMost),
        (">=", Comparison::AtLeast),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    let found = operators.into_iter().find_map(|(operator, comparison)| {
        filter.split_once(operator).map(|(path, literal)| (path.trim(), comparison, literal.trim()))
    });
    let Some((path, comparison, literal)) = found else {
        return Some(Step::Filter(steps(filter.strip_prefix('@')?)?, None));
    };
    let literal = match unquote(literal) {
        Some(text) => Value::from(text),
        None => serde_json::from_str(literal).ok()?,
    };
    Some(Step::Filter(steps(path.strip_prefix('@')?)?, Some((comparison, literal))))
}

fn unquote(text: &str) -> Option<&str> {
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('\'').or_else(|| inside('"'))
}
