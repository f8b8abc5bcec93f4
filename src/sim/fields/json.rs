//! `fieldsV1`, read and written.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::{Element, Exact, FieldSet};

/// Deepest nesting that is read; objects can't be nested deeper, either.
const MAX_DEPTH: usize = 1_000;

/// A `fieldsV1` that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A step that isn't written as `f:`, `k:`, `v:` or `i:` and what belongs to it.
    #[error("fieldsV1: {0:?} is no path element")]
    Element(String),
    /// Something else than an object.
    #[error("fieldsV1: the value of {0:?} must be an object")]
    NoObject(String),
    /// Nested too deep.
    #[error("fieldsV1 is nested deeper than {MAX_DEPTH}")]
    Deep,
}

impl FieldSet {
    /// Reads a `fieldsV1`. Steps of kinds that aren't known are left out, as the server does.
    pub fn from_json(json: &Value) -> Result<Self, DecodeError> {
        let members = json.as_object().ok_or_else(|| DecodeError::NoObject(String::new()))?;
        Ok(read(members, MAX_DEPTH)?.0)
    }

    /// Writes a `fieldsV1`.
    pub fn to_json(&self) -> Value {
        Value::Object(write(self, false))
    }

    /// Writes a `fieldsV1` as text, its members in the order in which the server writes them.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        write_text(self, false, &mut out);
        out
    }
}

/// The set, and whether what it is below of is in the set, too.
fn read(members: &Map<String, Value>, depth: usize) -> Result<(FieldSet, bool), DecodeError> {
    let depth = depth.checked_sub(1).ok_or(DecodeError::Deep)?;
    let mut set = FieldSet::default();
    let mut own = false;
    for (text, below) in members {
        if text == "." {
            own = true;
            continue;
        }
        let Some(element) = read_element(text)? else { continue };
        let below = below.as_object().ok_or_else(|| DecodeError::NoObject(text.clone()))?;
        let (below, member) = read(below, depth)?;
        set.put(element, member, below);
    }
    let own = own || set.is_empty();
    Ok((set, own))
}

fn read_element(text: &str) -> Result<Option<Element>, DecodeError> {
    let wrong = || DecodeError::Element(text.to_owned());
    let (kind, rest) = text.split_at_checked(2).ok_or_else(wrong)?;
    let element = match kind {
        "f:" => Element::field(rest),
        "v:" => Element::Value(Exact(serde_json::from_str(rest).map_err(|_| wrong())?)),
        "i:" => Element::Index(rest.parse().map_err(|_| wrong())?),
        "k:" => {
            // Members of a parsed object are sorted by name.
            let keys: Map<String, Value> = serde_json::from_str(rest).map_err(|_| wrong())?;
            Element::Key(keys.into_iter().map(|(name, value)| (name, Exact(value))).collect())
        }
        kind if kind.ends_with(':') => return Ok(None),
        _ => return Err(wrong()),
    };
    Ok(Some(element))
}

fn write(set: &FieldSet, own: bool) -> Map<String, Value> {
    let mut members = Map::new();
    if own && !set.is_empty() {
        members.insert(".".to_owned(), Value::Object(Map::new()));
    }
    for (element, member, below) in set.steps() {
        members.insert(element_text(element), Value::Object(write(below, member)));
    }
    members
}

fn write_text(set: &FieldSet, own: bool, out: &mut String) {
    out.push('{');
    let mut comma = "";
    if own && !set.is_empty() {
        out.push_str("\".\":{}");
        comma = ",";
    }
    for (element, member, below) in set.steps() {
        let _ = write!(out, "{comma}{}:", json_string(&element_text(element)));
        write_text(below, member, out);
        comma = ",";
    }
    out.push('}');
}

fn element_text(element: &Element) -> String {
    match element {
        Element::Field(name) => format!("f:{name}"),
        Element::Value(value) => format!("v:{}", compact(&value.0)),
        Element::Index(at) => format!("i:{at}"),
        Element::Key(keys) => {
            let keys: Vec<String> =
                keys.iter().map(|(name, value)| format!("{}:{}", json_string(name), compact(&value.0))).collect();
            format!("k:{{{}}}", keys.join(","))
        }
    }
}

/// JSON without white space, strings as Go's encoder writes them.
fn compact(value: &Value) -> String {
    match value {
        Value::String(text) => json_string(text),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e21 => format!("{float:.0}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// JSON as Go's encoder writes it, members sorted by name: what HTML could misread is escaped.
pub(in crate::sim) fn go_json(value: &Value) -> String {
    escape(value.to_string())
}

fn json_string(text: &str) -> String {
    escape(Value::String(text.to_owned()).to_string())
}

/// These characters occur in JSON only inside of strings.
fn escape(mut out: String) -> String {
    for (c, escaped) in
        [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")]
    {
        if out.contains(c) {
            out = out.replace(c, escaped);
        }
    }
    out
}
