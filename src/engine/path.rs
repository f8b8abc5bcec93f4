//! Paths of fields inside an object, as people read them and as they are looked up.

use std::fmt;

use serde_json::{Map, Value};

use super::fields::{Keyed, Node, is_part};

/// Longest key value that is printed, in characters.
const MAX_KEY_VALUE: usize = 64;

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A field of a map.
    Field(String),
    /// The item of a list with these key fields; those with a default may be left out, as in manifests.
    Key(Map<String, Value>),
    /// An item of a set. Its value is never printed.
    Item(Keyed),
}

/// The path of a field from the top of an object. Displays as `.spec.template.spec.containers[name="web"].image`: with the
/// names of fields and the values of list keys, no others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldPath(pub Vec<Step>);

impl FieldPath {
    /// The path without its last step, and that step.
    pub fn split_last(&self) -> Option<(&[Step], &Step)> {
        self.0.split_last().map(|(last, parent)| (parent, last))
    }

    /// The path as text; of a Secret without the values of list keys.
    pub fn text(&self, is_secret: bool) -> String {
        if is_secret { Masked(self).to_string() } else { self.to_string() }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, mask: bool) -> fmt::Result {
        for step in &self.0 {
            match step {
                Step::Field(name) if is_plain(name) => write!(f, ".{name}")?,
                Step::Field(name) => write!(f, "[{}]", Value::from(name.as_str()))?,
                Step::Key(_) if mask => f.write_str("[…]")?,
                Step::Key(fields) => {
                    f.write_str("[")?;
                    for (at, (name, value)) in fields.iter().enumerate() {
                        let separator = if at > 0 { "," } else { "" };
                        write!(f, "{separator}{name}={}", shortened(value))?;
                    }
                    f.write_str("]")?;
                }
                Step::Item(_) => f.write_str("[…]")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

struct Masked<'a>(&'a FieldPath);

impl fmt::Display for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, true)
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_KEY_VALUE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The set that `set` has one `step` below. A leaf stands for everything below it, so it is its own answer.
pub fn below<'n, 'a>(set: &'n Node<'a>, step: &Step) -> Option<&'n Node<'a>> {
    if set.is_leaf() {
        return Some(set);
    }
    match step {
        Step::Field(name) => set.field(name),
        Step::Key(key) => set.key(key),
        Step::Item(value) => set.items().any(|item| item.text == value.text).then_some(set),
    }
}

/// The set at the end of `path` below `set`, or the leaf on the way that stands for it.
pub fn at<'n, 'a>(set: &'n Node<'a>, path: &[Step]) -> Option<&'n Node<'a>> {
    path.iter().try_fold(set, below)
}

/// Where the item with the key fields `key` stands in `items`.
pub fn position(items: &[Value], key: &Map<String, Value>) -> Option<usize> {
    items.iter().position(|item| item.as_object().is_some_and(|item| is_part(key, item)))
}

/// The value of `object` at `path`, with its JSON pointer (RFC 6901).
pub fn resolve<'v>(object: &'v Value, path: &[Step]) -> Option<(String, &'v Value)> {
    path.iter().try_fold((String::new(), object), |(pointer, value), step| match step {
        Step::Field(name) => Some((format!("{pointer}/{}", escaped(name)), value.get(name)?)),
        Step::Key(key) => {
            let index = position(value.as_array()?, key)?;
            Some((format!("{pointer}/{index}"), value.get(index)?))
        }
        Step::Item(item) => {
            let index = value.as_array()?.iter().position(|value| *value == item.value)?;
            Some((format!("{pointer}/{index}"), value.get(index)?))
        }
    })
}

/// A field name as a part of a JSON pointer.
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(steps: &[Value]) -> FieldPath {
        let step = |step: &Value| match step {
            Value::String(name) => Step::Field(name.clone()),
            Value::Object(key) => Step::Key(key.clone()),
            other => Step::Item(Keyed::new(other[0].clone())),
        };
        FieldPath(steps.iter().map(step).collect())
    }

    #[test]
    fn paths_are_written_for_people() {
        let cases = [
            (
                path(&[json!("spec"), json!("containers"), json!({"name": "web"}), json!("image")]),
                r#".spec.containers[name="web"].image"#,
            ),
            (path(&[json!("ports"), json!({"port": 80, "protocol": "UDP"})]), r#".ports[port=80,protocol="UDP"]"#),
            (path(&[json!("metadata"), json!("annotations"), json!("a.b/c\"")]), r#".metadata.annotations["a.b/c\""]"#),
            (path(&[json!("tags"), json!(["hunter2"])]), ".tags[…]"),
        ];
        for (path, text) in cases {
            assert_eq!(path.to_string(), text);
        }
        let secret = path(&[json!("x"), json!({"name": "hunter2"}), json!("y")]);
        assert_eq!(secret.text(true), ".x[…].y");
        assert!(path(&[json!({"k": "é".repeat(500)})]).to_string().chars().count() < 80);
    }

    #[test]
    fn paths_resolve_to_values_and_pointers() {
        let object =
            json!({"a/b": {"l": [{"port": 80, "protocol": "UDP"}, {"port": 81, "protocol": "TCP"}], "s": ["x", "y"]}});
        let at = |steps: &[Value]| resolve(&object, &path(steps).0).map(|(pointer, _)| pointer);
        assert_eq!(at(&[json!("a/b"), json!("l"), json!({"port": 81})]).as_deref(), Some("/a~1b/l/1"));
        assert_eq!(at(&[json!("a/b"), json!("s"), json!(["y"])]).as_deref(), Some("/a~1b/s/1"));
        assert_eq!(at(&[json!("a/b"), json!("l"), json!({"port": 82})]), None);
        assert_eq!(at(&[json!("a/b"), json!("l"), json!({})]), None);
    }
}
