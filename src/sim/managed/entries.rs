//! `managedFields`, read and written.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sim::fields::FieldSet;

/// How fields came to be somebody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The field manager.
    pub manager: String,
    /// How.
    pub operation: Operation,
    /// The version written, of updates only: one who applies is the same in all versions.
    pub api_version: Option<String>,
    /// The subresource written; empty: the object itself.
    pub subresource: String,
}

/// The order of the server's identifiers. They are JSON texts, so a quotation mark ends each part, and a writer of a subresource
/// comes before one of the object itself.
impl Ord for Writer {
    fn cmp(&self, other: &Self) -> Ordering {
        fn text(a: &str, b: &str) -> Ordering {
            a.bytes().chain([b'"']).cmp(b.bytes().chain([b'"']))
        }
        let version = |writer: &Self| writer.api_version.clone().unwrap_or_default();
        text(&self.manager, &other.manager)
            .then(self.operation.cmp(&other.operation))
            .then_with(|| text(&version(self), &version(other)))
            .then(self.subresource.is_empty().cmp(&other.subresource.is_empty()))
            .then_with(|| text(&self.subresource, &other.subresource))
    }
}

impl PartialOrd for Writer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What one writer owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The version that the fields are of.
    pub api_version: String,
    /// The fields.
    pub fields: FieldSet,
    /// When they changed last.
    pub time: Option<String>,
}

/// All that is owned of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries(pub BTreeMap<Writer, Entry>);

/// Managed fields that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EntriesError(String);

impl Entries {
    /// The entries of an object; none if it has none.
    ///
    /// # Errors
    /// If an entry is not what the server would have written.
    pub fn of(object: &Value) -> Result<Self, EntriesError> {
        match object.pointer("/metadata/managedFields") {
            None | Some(Value::Null) => Ok(Self::default()),
            Some(entries) => Self::read(entries),
        }
    }

    /// Reads a list of entries.
    ///
    /// # Errors
    /// If an entry is not what the server would have written.
    pub fn read(entries: &Value) -> Result<Self, EntriesError> {
        let entries = entries.as_array().ok_or_else(|| EntriesError("managedFields must be a list".to_owned()))?;
        let read = entries.iter().enumerate().map(|(at, entry)| read_entry(at, entry));
        Ok(Self(read.collect::<Result<_, _>>()?))
    }

    /// Writes them in the server's order: applies first, then by time, manager, version and subresource.
    pub fn to_json(&self) -> Value {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_by(|(a, a_entry), (b, b_entry)| {
            let key = |writer: &Writer, entry: &Entry| (writer.operation, seconds(entry.time.as_deref()));
            let rest = |writer: &Writer, entry: &Entry| {
                (writer.manager.clone(), entry.api_version.clone(), writer.subresource.clone())
            };
            key(a, a_entry).cmp(&key(b, b_entry)).then_with(|| rest(a, a_entry).cmp(&rest(b, b_entry)))
        });
        Value::Array(entries.into_iter().map(|(writer, entry)| write_entry(writer, entry)).collect())
    }

    /// Puts them into an object; without any, the object has no managed fields.
    pub fn put_into(&self, object: &mut Value) {
        let Some(object) = object.as_object_mut() else { return };
        let metadata = object.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            if self.0.is_empty() {
                metadata.remove("managedFields");
            } else {
                metadata.insert("managedFields".to_owned(), self.to_json());
            }
        }
    }

    /// The union of a writer's fields with more, from now on.
    pub(super) fn add(&mut self, writer: Writer, api_version: &str, fields: &FieldSet, now: &str) {
        let before = self.0.get(&writer).map(|entry| entry.fields.clone()).unwrap_or_default();
        let entry =
            Entry { api_version: api_version.to_owned(), fields: before.union(fields), time: Some(now.to_owned()) };
        self.0.insert(writer, entry);
    }
}

/// Seconds since 1970, 0 if there is no time that can be read.
pub(super) fn seconds(time: Option<&str>) -> i64 {
    time.and_then(|time| time.parse::<jiff::Timestamp>().ok()).map_or(0, jiff::Timestamp::as_second)
}

fn read_entry(at: usize, json: &Value) -> Result<(Writer, Entry), EntriesError> {
    let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let operation = match text("operation").as_str() {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err(EntriesError("operation must be `Apply` or `Update`".to_owned())),
    };
    let api_version = text("apiVersion");
    if api_version.is_empty() {
        return Err(EntriesError("apiVersion must not be empty".to_owned()));
    }
    match text("fieldsType").as_str() {
        "FieldsV1" => {}
        "" => return Err(EntriesError(format!("missing fieldsType in managed fields entry {at}"))),
        other => return Err(EntriesError(format!("invalid fieldsType {other:?} in managed fields entry {at}"))),
    }
    let fields = match json.get("fieldsV1") {
        None | Some(Value::Null) => FieldSet::default(),
        Some(fields) => FieldSet::from_json(fields)
            .map_err(|error| EntriesError(format!("managed fields entry {at}: error decoding set: {error}")))?,
    };
    let writer = Writer {
        manager: text("manager"),
        operation,
        api_version: (operation == Operation::Update).then(|| api_version.clone()),
        subresource: text("subresource"),
    };
    let time = json.get("time").and_then(Value::as_str).map(str::to_owned);
    Ok((writer, Entry { api_version, fields, time }))
}

fn write_entry(writer: &Writer, entry: &Entry) -> Value {
    let mut json = json!({
        "operation": writer.operation.name(),
        "apiVersion": entry.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": entry.fields.to_json(),
    });
    if let Some(members) = json.as_object_mut() {
        let optional = [("manager", Some(&writer.manager)), ("subresource", Some(&writer.subresource))];
        for (name, text) in optional.into_iter().chain([("time", entry.time.as_ref())]) {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                members.insert(name.to_owned(), text.as_str().into());
            }
        }
    }
    json
}
