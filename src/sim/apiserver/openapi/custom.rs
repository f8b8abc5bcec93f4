//! Schemas of custom resources, as their definitions give them.

use serde_json::{Map, Value, json};

use crate::sim::apiserver::resources::Resource;
use crate::sim::schema::openapi::{KIND, long, reference};

/// The name of the type of a kind: the group backwards, so that it begins with what is most general.
pub(super) fn name(group: &str, version: &str, kind: &str) -> String {
    let parts: Vec<&str> = group.rsplit('.').collect();
    format!("{}.{version}.{kind}", parts.join("."))
}

/// The schema of a custom resource.
pub(super) fn schema(resource: &Resource) -> Value {
    let Resource { group, version, kind, definition, .. } = resource;
    let given = definition.pointer("/schema/openAPIV3Schema").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut schema = described(given);
    let mut properties = schema.remove("properties").and_then(|found| found.as_object().cloned()).unwrap_or_default();
    properties.extend(of_every_object());
    schema.insert("properties".to_owned(), properties.into());
    schema.insert(KIND.to_owned(), json!([{"group": group, "version": version, "kind": kind}]));
    schema.into()
}

fn of_every_object() -> [(String, Value); 3] {
    let text = || json!({"type": "string"});
    let metadata = json!({"allOf": [reference(&long("meta.v1.ObjectMeta"))]});
    [("apiVersion", text()), ("kind", text()), ("metadata", metadata)].map(|(name, of)| (name.to_owned(), of))
}

/// A schema with what is said of objects in objects, which definitions leave out.
fn described(schema: Map<String, Value>) -> Map<String, Value> {
    let inner = |value: Value| match value {
        Value::Object(schema) => Value::Object(described(schema)),
        other => other,
    };
    let mut told: Map<String, Value> = schema
        .into_iter()
        .map(|(name, value)| match (name.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                (name, properties.into_iter().map(|(name, schema)| (name, inner(schema))).collect())
            }
            ("items" | "additionalProperties", value) => (name, inner(value)),
            (_, value) => (name, value),
        })
        .collect();
    if told.get("x-kubernetes-embedded-resource") == Some(&true.into()) {
        let mut properties = told.remove("properties").and_then(|found| found.as_object().cloned()).unwrap_or_default();
        properties.extend(of_every_object());
        let mut required = told.remove("required").and_then(|found| found.as_array().cloned()).unwrap_or_default();
        required.extend(
            ["kind", "apiVersion"]
                .map(Value::from)
                .into_iter()
                .filter(|name| !required.contains(name))
                .collect::<Vec<_>>(),
        );
        told.insert("properties".to_owned(), properties.into());
        told.insert("required".to_owned(), required.into());
    }
    told
}
