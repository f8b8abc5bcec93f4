//! The CustomResourceDefinition of Applications, generated from the Rust types.
//!
//! A cluster where Argo CD is installed has a definition of its own, which works as well; this one is for the others.
//! It keeps every field that Argo CD knows and Driftless doesn't (`x-kubernetes-preserve-unknown-fields`), so that
//! moving over in either direction loses nothing. Like Argo CD's it has no status subresource: what is said of an operation
//! or a refresh, and its removal, are one write, which is stored as a whole or not at all.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::applications::{GROUP, KIND, PLURAL, VERSION};
use crate::engine::application::{ApplicationSpec, Operation};
use crate::engine::status::ApplicationStatus;

/// What an unknown field is kept by.
const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
/// Keywords of a structural schema that are taken over from the generated one. `default` is not: the API server would
/// write the defaults into every Application. Neither is `nullable`: without it the API server drops nulls, which mean
/// absence here.
const KEYWORDS: [&str; 7] = ["type", "format", "description", "properties", "items", "additionalProperties", "enum"];

/// The definition as `kubectl apply` takes it.
pub fn application_crd() -> Value {
    let schema = json!({
        "description": "An application: what of a Git repository is to be in which cluster.",
        "type": "object",
        "required": ["metadata", "spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": schema::<ApplicationSpec>(),
            "operation": schema::<Operation>(),
            "status": schema::<ApplicationStatus>(),
        },
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{PLURAL}.{GROUP}"),
            "labels": {"app.kubernetes.io/name": format!("{PLURAL}.{GROUP}"), "app.kubernetes.io/part-of": "argocd"},
        },
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": format!("{KIND}List"),
                "plural": PLURAL,
                "singular": "application",
                "shortNames": ["app", "apps"],
            },
            "scope": "Namespaced",
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "additionalPrinterColumns": [
                    {"name": "Sync Status", "type": "string", "jsonPath": ".status.sync.status"},
                    {"name": "Health Status", "type": "string", "jsonPath": ".status.health.status"},
                    {"name": "Revision", "type": "string", "jsonPath": ".status.sync.revision", "priority": 10},
                    {"name": "Project", "type": "string", "jsonPath": ".spec.project", "priority": 10},
                ],
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}

/// Structural schema of a type.
fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    structural(&settings.into_generator().into_root_schema_for::<T>().to_value())
}

/// Cuts a generated schema down to what a structural schema may say, and keeps unknown fields of every object.
fn structural(generated: &Value) -> Value {
    let mut out = Map::new();
    let Value::Object(members) = generated else {
        // The schema `true`: any value.
        return json!({PRESERVE: true});
    };
    for (keyword, value) in members {
        let value = match keyword.as_str() {
            "properties" => {
                let inner = |(name, schema): (&String, &Value)| (name.clone(), structural(schema));
                Value::Object(value.as_object().into_iter().flatten().map(inner).collect())
            }
            "items" | "additionalProperties" if value.is_object() || *value == json!(true) => structural(value),
            "additionalProperties" => continue,
            known if KEYWORDS.contains(&known) => value.clone(),
            _ => continue,
        };
        out.insert(keyword.clone(), value);
    }
    if !out.contains_key("type") || out.contains_key("properties") {
        out.insert(PRESERVE.to_owned(), json!(true));
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks every schema below `schema`.
    fn check(path: &str, schema: &Value) {
        let members = schema.as_object().unwrap_or_else(|| panic!("{path}: not an object"));
        for (keyword, value) in members {
            match keyword.as_str() {
                "type" => assert!(value.is_string(), "{path}: several types"),
                "format" => assert!(["int64", "int32", "double"].contains(&value.as_str().unwrap()), "{path}: {value}"),
                "properties" => {
                    for (name, inner) in value.as_object().unwrap() {
                        check(&format!("{path}.{name}"), inner);
                    }
                }
                "items" | "additionalProperties" => check(&format!("{path}[]"), value),
                "description" | PRESERVE | "required" => {}
                other => panic!("{path}: keyword {other}"),
            }
        }
        assert!(members.contains_key("type") || members.contains_key(PRESERVE), "{path}: no type");
        assert!(!members.contains_key("items") || members["type"] == "array", "{path}: items of no array");
        let both = members.contains_key("properties") && members.contains_key("additionalProperties");
        assert!(!both, "{path}: properties and additionalProperties exclude each other");
    }

    #[test]
    fn the_schema_is_structural() {
        let crd = application_crd();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        check("", schema);
        let properties = &schema["properties"];
        for part in ["spec", "operation", "status"] {
            assert_eq!(properties[part]["type"], "object", "{part}");
            assert_eq!(properties[part][PRESERVE], true, "{part}");
        }
        let automated = &properties["spec"]["properties"]["syncPolicy"]["properties"]["automated"];
        assert_eq!(automated["properties"]["prune"]["type"], "boolean");
        assert_eq!(automated[PRESERVE], true);
        let kustomize = &properties["spec"]["properties"]["source"]["properties"]["kustomize"];
        assert_eq!(kustomize[PRESERVE], true);
        assert!(kustomize.get("type").is_none());
        assert_eq!(properties["status"]["properties"]["history"]["items"]["properties"]["id"]["type"], "integer");
    }

    #[test]
    fn columns_and_names_are_argo_cds() {
        let crd = application_crd();
        assert_eq!(crd["metadata"]["name"], "applications.argoproj.io");
        assert_eq!(crd["spec"]["names"]["shortNames"], json!(["app", "apps"]));
        let version = &crd["spec"]["versions"][0];
        let columns: Vec<_> =
            version["additionalPrinterColumns"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
        assert_eq!(columns, ["Sync Status", "Health Status", "Revision", "Project"]);
        assert!(version.get("subresources").is_none());
    }
}
