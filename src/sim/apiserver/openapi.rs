//! OpenAPI documents: what clients check and merge objects by before they send them. As the real server's, less descriptions
//! and the paths of watches of old.

mod binary;
mod custom;
mod paths;
mod swagger;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use bytes::Bytes;
use http::HeaderMap;
use http::header::ACCEPT;
use ring::digest::{SHA512, digest};
use serde_json::{Map, Value, json};

use super::reply::Reply;
use super::resources::{Resource, Resources};
use crate::sim::schema::openapi::{self, KIND, REFERENCE, reference};

/// What the documents say that they are about.
const TITLE: &str = "Kubernetes";
const VERSION: &str = "1.37";

/// Answers `/openapi/v2`, `/openapi/v3` and what is below; `None`: there is no such document.
pub fn answer(resources: &Resources, path: &str, headers: &HeaderMap) -> Option<Reply> {
    let path = path.strip_prefix("/openapi/")?.trim_end_matches('/');
    let Some(form) = Form::accepted(headers, path == "v2") else { return Some(Reply::text(406, "")) };
    let document = match path {
        "v2" => swagger::document(&all(resources)),
        "v3" => index(resources),
        _ => {
            let (group, version) = group_version(path.strip_prefix("v3/")?)?;
            document(resources, group, version)?
        }
    };
    Some(match form {
        Form::Json => Reply::json(200, &document),
        Form::Binary => {
            let mut reply = Reply::pieces(200, vec![binary::document(&document).into()]);
            binary::TYPE.clone_into(&mut reply.content_type);
            reply
        }
    })
}

/// How a document is told.
enum Form {
    Json,
    Binary,
}

impl Form {
    /// The first that a client accepts and that there is; a client that says nothing gets JSON.
    fn accepted(headers: &HeaderMap, has_binary: bool) -> Option<Self> {
        let values = headers.get_all(ACCEPT).iter().flat_map(|value| value.to_str().unwrap_or_default().split(','));
        let mut ranges = values.map(|range| range.split(';').next().unwrap_or_default().trim());
        if !headers.contains_key(ACCEPT) {
            return Some(Self::Json);
        }
        ranges.find_map(|range| match range {
            "application/json" | "application/*" | "*/*" => Some(Self::Json),
            binary::TYPE | binary::OLD_TYPE if has_binary => Some(Self::Binary),
            _ => None,
        })
    }
}

/// The group and version of the path of a document below the index.
fn group_version(path: &str) -> Option<(&str, &str)> {
    match path.strip_prefix("apis/") {
        Some(rest) => rest.split_once('/'),
        None => path.strip_prefix("api/").map(|version| ("", version)),
    }
}

/// Which documents there are. An address changes with its document, for clients keep documents by their address.
fn index(resources: &Resources) -> Value {
    let mut paths = Map::new();
    for (group, versions) in resources.groups() {
        for version in versions {
            let Some(document) = document(resources, group, version) else { continue };
            let bytes = Bytes::from(serde_json::to_vec(&document).unwrap_or_default());
            let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
            let mut address = format!("/openapi/v3/{path}?hash=");
            for byte in digest(&SHA512, &bytes).as_ref() {
                // Writing to a text can't fail.
                let _ = write!(address, "{byte:02X}");
            }
            paths.insert(path, json!({"serverRelativeURL": address}));
        }
    }
    json!({"paths": paths})
}

/// The document of a group and version.
fn document(resources: &Resources, group: &str, version: &str) -> Option<Value> {
    let served: Vec<&Resource> = resources.of(group, version).map(AsRef::as_ref).collect();
    let parts = Parts::of(&served);
    (!served.is_empty()).then(|| {
        json!({
            "openapi": "3.0.0",
            "info": {"title": TITLE, "version": VERSION},
            "paths": parts.paths,
            "components": {"schemas": parts.schemas},
        })
    })
}

/// What all documents say together.
fn all(resources: &Resources) -> Parts {
    let served: Vec<&Resource> = resources.all().map(AsRef::as_ref).collect();
    Parts::of(&served)
}

/// The parts of a document.
struct Parts {
    paths: Map<String, Value>,
    schemas: BTreeMap<String, Value>,
}

impl Parts {
    fn of(served: &[&Resource]) -> Self {
        let mut parts = Self { paths: Map::new(), schemas: BTreeMap::new() };
        for resource in served {
            parts.add(resource);
        }
        parts.complete();
        parts
    }

    /// Adds the types and the paths of a resource.
    fn add(&mut self, resource: &Resource) {
        let Resource { group, version, kind, list_kind, .. } = resource;
        let name = if resource.custom {
            let name = custom::name(group, version, kind);
            self.schemas.insert(name.clone(), custom::schema(resource));
            name
        } else {
            let known = openapi::name_of(group, version, kind);
            // Reviews and the like have types that nothing refers to.
            let Some(name) = known else { return };
            name.to_owned()
        };
        if resource.has_verb("list") {
            let list_name = name.strip_suffix(kind.as_str()).map(|place| format!("{place}{list_kind}"));
            self.schemas.extend(list_name.map(|list_name| (list_name, list(resource, &name))));
        }
        if let Some(schema) = openapi::schemas().get(&name) {
            self.schemas.insert(name.clone(), schema.clone());
        }
        self.paths.extend(paths::of(resource, &name));
    }

    /// Adds what the types refer to.
    fn complete(&mut self) {
        let mut waiting: BTreeSet<String> = BTreeSet::new();
        self.schemas.values().chain(self.paths.values()).for_each(|value| references(value, &mut waiting));
        while let Some(name) = waiting.pop_first() {
            if self.schemas.contains_key(&name) {
                continue;
            }
            let Some(schema) = openapi::schemas().get(&name) else { continue };
            references(schema, &mut waiting);
            self.schemas.insert(name, schema.clone());
        }
    }
}

/// The names of the schemas that a value refers to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let told = members.get("$ref").and_then(Value::as_str).and_then(|told| told.strip_prefix(REFERENCE));
            found.extend(told.map(str::to_owned));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// The schema of the lists of a resource.
fn list(resource: &Resource, items: &str) -> Value {
    let Resource { group, version, list_kind, .. } = resource;
    let mut metadata = json!({"allOf": [reference(&openapi::long("meta.v1.ListMeta"))]});
    if !resource.custom {
        metadata["default"] = json!({});
    }
    json!({
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "items": {"type": "array", "items": reference(items)},
            "metadata": metadata,
        },
        KIND: [{"group": group, "version": version, "kind": list_kind}],
    })
}
