//! Values as the API server shows them in some errors: with the names and the order of the fields of its own types, those
//! that are not set included; and what differs between two of them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::Value;

use super::validate::shown_selector;
use super::value::is_blank;

/// Types do not contain themselves, but the table could say so.
const MAX_DEPTH: usize = 32;
/// Longest text whose lines are compared.
const MAX_LINES: usize = 2_000;
/// Lines that are told around a difference.
const CONTEXT: usize = 3;

#[derive(Clone, Copy, PartialEq)]
enum Holder {
    Plain,
    Pointer,
    List,
    Map,
}

struct Field {
    name: &'static str,
    json: &'static str,
    holder: Holder,
    of: &'static str,
}

static TYPES: LazyLock<HashMap<&'static str, Vec<Field>>> = LazyLock::new(|| {
    let mut types: HashMap<&str, Vec<Field>> = HashMap::new();
    let mut current = "";
    for line in include_str!("internal.txt").lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, json, holder, of) = match words.as_slice() {
            [name, json, of] => (*name, *json, Holder::Plain, *of),
            [name, json, "ptr", of] => (*name, *json, Holder::Pointer, *of),
            [name, json, "list", of] => (*name, *json, Holder::List, *of),
            [name, json, "map", of] => (*name, *json, Holder::Map, *of),
            [name, ..] => {
                current = name;
                continue;
            }
            [] => continue,
        };
        types.entry(current).or_default().push(Field { name, json, holder, of });
    }
    types
});

/// A value on its way to a text.
enum Tree {
    Leaf(String),
    List(Vec<Self>),
    Struct(Vec<(String, Self)>),
}

/// A value of one of the server's types.
pub(super) fn shown(of: &str, value: &Value) -> String {
    let mut text = String::new();
    tree(of, value, 0).write(&mut text, None);
    text
}

fn tree(of: &str, value: &Value, depth: usize) -> Tree {
    let Some(fields) = TYPES.get(of).filter(|_| depth < MAX_DEPTH) else {
        return leaf(of, value);
    };
    let mut members = Vec::new();
    for field in fields {
        let inner = value.get(field.json).unwrap_or(&Value::Null);
        if field.name == "metadata" {
            members.extend(metadata(inner));
            continue;
        }
        let tree = match (field.holder, inner) {
            (Holder::Pointer | Holder::List | Holder::Map, Value::Null) => Tree::Leaf("null".to_owned()),
            (Holder::List, Value::Array(items)) => {
                Tree::List(items.iter().map(|item| tree(field.of, item, depth + 1)).collect())
            }
            (Holder::Map, Value::Object(entries)) => {
                let entries = entries.iter().map(|(key, value)| (key.clone(), tree(field.of, value, depth + 1)));
                Tree::Struct(entries.collect())
            }
            (_, inner) => tree(field.of, inner, depth + 1),
        };
        members.push((field.name.to_owned(), tree));
    }
    Tree::Struct(members)
}

/// Metadata is shown as it is sent, its members beside the others.
fn metadata(value: &Value) -> Vec<(String, Tree)> {
    const ORDER: [&str; 8] =
        ["name", "generateName", "namespace", "uid", "resourceVersion", "creationTimestamp", "labels", "annotations"];
    let known = ORDER.into_iter().filter_map(|name| value.get(name).map(|value| (name, value)));
    known.filter(|(_, value)| !is_blank(value)).map(|(name, value)| (name.to_owned(), plain(value))).collect()
}

fn leaf(of: &str, value: &Value) -> Tree {
    match (of, value) {
        ("text", Value::Null) => Tree::Leaf("\"\"".to_owned()),
        ("number", Value::Null) => Tree::Leaf("0".to_owned()),
        ("flag", Value::Null) => Tree::Leaf("false".to_owned()),
        ("raw", value) if value.get("matchLabels").or_else(|| value.get("matchExpressions")).is_some() => {
            Tree::Leaf(shown_selector(value))
        }
        (_, value) => plain(value),
    }
}

fn plain(value: &Value) -> Tree {
    match value {
        Value::Array(items) => Tree::List(items.iter().map(plain).collect()),
        Value::Object(members) => {
            Tree::Struct(members.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        scalar => Tree::Leaf(scalar.to_string()),
    }
}

impl Tree {
    /// Writes JSON: in one line, or with a line for each member, indented from `depth` on.
    fn write(&self, text: &mut String, depth: Option<usize>) {
        let line = |text: &mut String, depth: Option<usize>| {
            if let Some(depth) = depth {
                let _ = write!(text, "\n{:depth$}", "");
            }
        };
        let inner = depth.map(|depth| depth + 1);
        let (open, close) = if matches!(self, Self::List(_)) { ('[', ']') } else { ('{', '}') };
        let mut empty = true;
        match self {
            Self::Leaf(leaf) => return text.push_str(leaf),
            Self::List(items) => {
                text.push(open);
                for (index, item) in items.iter().enumerate() {
                    empty = false;
                    text.push_str(if index > 0 { "," } else { "" });
                    line(text, inner);
                    item.write(text, inner);
                }
            }
            Self::Struct(members) => {
                text.push(open);
                for (index, (name, value)) in members.iter().enumerate() {
                    empty = false;
                    text.push_str(if index > 0 { "," } else { "" });
                    line(text, inner);
                    let colon = if depth.is_some() { ": " } else { ":" };
                    let _ = write!(text, "{}{colon}", Value::from(name.as_str()));
                    value.write(text, inner);
                }
            }
        }
        if !empty {
            line(text, depth);
        }
        text.push(close);
    }
}

/// What differs between two values of a type, as a unified diff of their lines. Empty if they are too long to compare.
pub(super) fn difference(of: &str, old: &Value, new: &Value) -> String {
    let [old, new] = [old, new].map(|value| {
        let mut text = String::new();
        tree(of, value, 0).write(&mut text, Some(0));
        text
    });
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    if old.len().max(new.len()) > MAX_LINES {
        return String::new();
    }
    hunks(&script(&old, &new))
}

/// Lines with what happens to them: ` ` stays, `-` goes, `+` comes.
fn script<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(char, &'t str)> {
    // Lengths of the longest common sequences of what is left of both from each place on.
    let width = new.len() + 1;
    let mut lengths = vec![0_u16; (old.len() + 1) * width];
    let length = |lengths: &[u16], i: usize, j: usize| lengths.get(i * width + j).copied().unwrap_or_default();
    for (i, before) in old.iter().enumerate().rev() {
        for (j, after) in new.iter().enumerate().rev() {
            let best = if before == after {
                length(&lengths, i + 1, j + 1) + 1
            } else {
                length(&lengths, i + 1, j).max(length(&lengths, i, j + 1))
            };
            if let Some(slot) = lengths.get_mut(i * width + j) {
                *slot = best;
            }
        }
    }
    let (mut i, mut j, mut script) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(before), Some(after)) if before == after => {
                script.push((' ', *before));
                (i, j) = (i + 1, j + 1);
            }
            (Some(before), after) if after.is_none() || length(&lengths, i + 1, j) >= length(&lengths, i, j + 1) => {
                script.push(('-', *before));
                i += 1;
            }
            (_, Some(after)) => {
                script.push(('+', *after));
                j += 1;
            }
            (_, None) => return script,
        }
    }
}

fn hunks(script: &[(char, &str)]) -> String {
    let changed = |at: usize| script.get(at).is_some_and(|(mark, _)| *mark != ' ');
    let near = |at: usize| (at.saturating_sub(CONTEXT)..=at + CONTEXT).any(changed);
    let mut text = String::new();
    let (mut old, mut new, mut at) = (1, 1, 0);
    while at < script.len() {
        if !near(at) {
            (old, new, at) = (old + 1, new + 1, at + 1);
            continue;
        }
        let end = (at..script.len()).find(|at| !near(*at)).unwrap_or(script.len());
        let lines = script.get(at..end).unwrap_or_default();
        let count = |without: char| lines.iter().filter(|(mark, _)| *mark != without).count();
        let (removed, added) = (count('+'), count('-'));
        let _ = writeln!(text, "@@ -{old},{removed} +{new},{added} @@");
        for (mark, line) in lines {
            let _ = writeln!(text, "{mark}{line}");
        }
        (old, new, at) = (old + removed, new + added, end);
    }
    text
}
