//! Tables: how kubectl shows objects, one row for each.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::columns::{self, Column};
use super::form::MetaVersion;
use super::reply::{Reply, head, metadata};
use super::request::Query;
use super::resources::Resource;
use super::status::Status;
use super::store::{Key, Stored};
use super::watch;
use crate::sim::kinds::value::take;

/// What of an object stands beside its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// Its metadata, if nothing is said.
    Metadata,
    /// All of it.
    Object,
    /// Nothing.
    None,
}

impl Include {
    /// What a query asks for.
    ///
    /// # Errors
    /// That there is no such thing.
    pub fn of(query: &Query) -> Result<Self, Status> {
        match query.get("includeObject") {
            Some("Object") => Ok(Self::Object),
            Some("None") => Ok(Self::None),
            None | Some("Metadata") => Ok(Self::Metadata),
            Some(other) => {
                let why =
                    format!("includeObject: Invalid value: {other:?}: must be 'Metadata', 'Object', 'None', or empty");
                Err(Status::bad_request(format!("Unable to convert to Table as requested: {why}")))
            }
        }
    }
}

/// A list as a table. `list` is the metadata of the list.
pub fn list(
    resource: &Resource,
    items: &[(&Key, &Arc<Stored>)],
    list: Value,
    version: MetaVersion,
    include: Include,
    now: Timestamp,
) -> Reply {
    let columns = columns::of(resource);
    let definitions = definitions(&columns);
    let opened = format!(
        r#"{{"kind":"Table","apiVersion":"{}","metadata":{list},"columnDefinitions":{definitions},"rows":"#,
        version.api_version()
    );
    if items.is_empty() && columns::has_no_empty_list(resource) {
        return Reply::pieces(200, vec![format!("{opened}null}}").into()]);
    }
    let mut body = vec![Bytes::from(format!("{opened}["))];
    for (index, (_, stored)) in items.iter().enumerate() {
        if index > 0 {
            body.push(Bytes::from_static(b","));
        }
        body.push(row(resource, &columns, stored, version, include, now).to_string().into());
    }
    body.push(Bytes::from_static(b"]}"));
    Reply::pieces(200, body)
}

/// One object as a table.
pub fn object(resource: &Resource, stored: &Stored, version: MetaVersion, include: Include, now: Timestamp) -> Reply {
    Reply::json(200, &event(resource, stored, version, include, true, now))
}

/// One object as the table of an event, which tells the columns only the first time.
pub fn event(
    resource: &Resource,
    stored: &Stored,
    version: MetaVersion,
    include: Include,
    told: bool,
    now: Timestamp,
) -> Value {
    let columns = columns::of(resource);
    json!({
        "kind": "Table",
        "apiVersion": version.api_version(),
        "metadata": {"resourceVersion": stored.revision.to_string()},
        "columnDefinitions": if told { definitions(&columns) } else { Value::Null },
        "rows": [row(resource, &columns, stored, version, include, now)],
    })
}

/// A bookmark: the row of an object that has nothing but this metadata.
pub fn bookmark(resource: &Resource, metadata: &Value, version: MetaVersion, include: Include) -> Value {
    let mut empty = watch::empty(resource);
    if let Some(members) = empty.as_object_mut() {
        members.insert("metadata".to_owned(), metadata.clone());
    }
    let stored = Stored::transient(&empty);
    let mut table = event(resource, &stored, version, include, false, Timestamp::UNIX_EPOCH);
    if let Some(table) = table.as_object_mut() {
        table.insert("metadata".to_owned(), json!({"resourceVersion": metadata.get("resourceVersion")}));
    }
    table
}

fn row(
    resource: &Resource,
    columns: &[Column],
    stored: &Stored,
    version: MetaVersion,
    include: Include,
    now: Timestamp,
) -> Value {
    let object = stored.value();
    let cells: Vec<Value> = columns.iter().map(|column| column.cell(&object, now)).collect();
    let parsed = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let beside = match include {
        Include::None => Value::Null,
        Include::Metadata => json!({
            "kind": "PartialObjectMetadata", "apiVersion": version.api_version(), "metadata": told_alone(resource, parsed(&metadata(stored))),
        }),
        Include::Object => {
            let body = stored.body.get(1..).unwrap_or_default();
            parsed(&[&head(&resource.kind, &resource.api_version()), body].concat())
        }
    };
    json!({"cells": cells, "object": beside})
}

/// Metadata without what stands only in whole objects.
fn told_alone(resource: &Resource, mut metadata: Value) -> Value {
    if resource.qualified() == "daemonsets.apps"
        && let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
    {
        annotations.remove("deprecated.daemonset.template.generation");
        if annotations.is_empty() {
            take(&mut metadata, "annotations");
        }
    }
    metadata
}

fn definitions(columns: &[Column]) -> Value {
    columns.iter().map(Column::definition).collect()
}
