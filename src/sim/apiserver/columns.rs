//! The columns of tables, by resource.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::resources::Resource;

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    name: &'static str,
    kind: &'static str,
    format: &'static str,
    priority: u8,
    cell: fn(&Value, Timestamp) -> Value,
}

impl Column {
    /// What the column says of an object.
    pub fn cell(&self, object: &Value, now: Timestamp) -> Value {
        (self.cell)(object, now)
    }

    /// How the column is told.
    pub fn definition(&self) -> Value {
        json!({
            "name": self.name, "type": self.kind, "format": self.format, "description": "", "priority": self.priority,
        })
    }
}

/// The columns of a resource.
pub fn of(_resource: &Resource) -> Vec<Column> {
    vec![
        Column {
            name: "Name",
            kind: "string",
            format: "name",
            priority: 0,
            cell: |object, _| text(object, &["name"]).into(),
        },
        Column {
            name: "Created At",
            kind: "date",
            format: "",
            priority: 0,
            cell: |object, _| text(object, &["creationTimestamp"]).into(),
        },
    ]
}

/// A text inside the metadata; empty if there is none.
fn text<'o>(object: &'o Value, path: &[&str]) -> &'o str {
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    path.iter().try_fold(metadata, |value, part| value.get(part)).and_then(Value::as_str).unwrap_or_default()
}
