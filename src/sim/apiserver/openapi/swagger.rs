//! The document of OpenAPI v2, made of the parts of v3. What v2 can't say is left out.

use serde_json::{Map, Value, json};

use super::{Parts, TITLE, VERSION};
use crate::sim::schema::openapi::{KIND, REFERENCE};

/// Where this document keeps its schemas.
const DEFINITIONS: &str = "#/definitions/";

pub(super) fn document(parts: &Parts) -> Value {
    let paths: Map<String, Value> = parts.paths.iter().map(|(path, item)| (path.clone(), of_path(item))).collect();
    let definitions: Map<String, Value> =
        parts.schemas.iter().map(|(name, schema)| (name.clone(), of_schema(schema))).collect();
    json!({
        "swagger": "2.0",
        "info": {"title": TITLE, "version": VERSION},
        "paths": paths,
        "definitions": definitions,
    })
}

/// The operations of a path: parameters have their type themselves, and the body is one of them.
fn of_path(item: &Value) -> Value {
    let parameters = |value: &Value| -> Vec<Value> {
        let told = value.as_array().into_iter().flatten();
        told.map(|parameter| {
            let mut members = parameter.as_object().cloned().unwrap_or_default();
            let schema = members.remove("schema").and_then(|schema| schema.as_object().cloned()).unwrap_or_default();
            members.extend(schema);
            members.into()
        })
        .collect()
    };
    let members = item.as_object().into_iter().flatten();
    let told = members.map(|(name, value)| {
        if name == "parameters" {
            return (name.clone(), parameters(value).into());
        }
        let mut operation = value.as_object().cloned().unwrap_or_default();
        let mut taken = parameters(operation.get("parameters").unwrap_or(&Value::Null));
        if let Some(body) = operation.remove("requestBody") {
            taken.insert(
                0,
                json!({
                    "name": "body", "in": "body", "required": body.get("required") == Some(&true.into()),
                    "schema": of_schema(schema_of(&body)),
                }),
            );
        }
        let codes = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
        let codes: Map<String, Value> = codes
            .map(|(code, answer)| {
                let mut told = json!({"description": answer.get("description")});
                if answer.get("content").is_some() {
                    told["schema"] = of_schema(schema_of(answer));
                }
                (code.clone(), told)
            })
            .collect();
        operation.insert("responses".to_owned(), codes.into());
        operation.insert("parameters".to_owned(), taken.into());
        (name.clone(), operation.into())
    });
    Value::Object(told.collect())
}

/// The schema of the first type of content.
fn schema_of(value: &Value) -> &Value {
    let contents = value.get("content").and_then(Value::as_object);
    contents.and_then(|types| types.values().next()).and_then(|content| content.get("schema")).unwrap_or(&Value::Null)
}

fn of_schema(schema: &Value) -> Value {
    let Some(members) = schema.as_object() else { return schema.clone() };
    let yes = |name: &str| members.get(name) == Some(&true.into());
    let open = yes("x-kubernetes-preserve-unknown-fields");
    let either = yes("x-kubernetes-int-or-string");
    let is_whole = members.contains_key(KIND);
    let mut told = Map::new();
    for (name, value) in members {
        match name.as_str() {
            "default" | "nullable" | "anyOf" | "not" => {}
            // Clients would refuse what these don't name.
            "type" | "items" | "properties" | "required" if yes("nullable") => {}
            "type" | "items" | "properties" | "required" if open && !is_whole => {}
            "properties" | "x-kubernetes-preserve-unknown-fields" if open && is_whole => {}
            "required" => {
                let may_be_null = |field: &Value| {
                    let of = field.as_str().and_then(|field| members.get("properties")?.get(field));
                    of.is_some_and(|of| of.get("nullable") == Some(&true.into()))
                };
                let fields = value.as_array().into_iter().flatten().filter(|field| !may_be_null(field));
                let fields: Vec<Value> = fields.cloned().collect();
                told.extend((!fields.is_empty()).then(|| (name.clone(), fields.into())));
            }
            "type" if either => {}
            "oneOf" => {
                told.insert("type".to_owned(), "string".into());
            }
            "allOf" => {
                let first = value.as_array().and_then(|list| list.first());
                let inner = first.map(of_schema).and_then(|inner| inner.as_object().cloned());
                told.extend(inner.unwrap_or_default());
            }
            "$ref" => {
                let name = value.as_str().and_then(|told| told.strip_prefix(REFERENCE)).unwrap_or_default();
                told.insert("$ref".to_owned(), format!("{DEFINITIONS}{name}").into());
            }
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                told.insert(name.clone(), properties.map(|(name, of)| (name.clone(), of_schema(of))).collect());
            }
            "items" | "additionalProperties" => {
                told.insert(name.clone(), of_schema(value));
            }
            _ => {
                told.insert(name.clone(), value.clone());
            }
        }
    }
    told.into()
}
