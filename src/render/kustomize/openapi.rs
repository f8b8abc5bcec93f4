//! Structure of kinds from a file: the definitions of OpenAPI version 2, in JSON or YAML, as the field `openapi` names it.

use std::sync::Arc;

use super::accumulate::{Builder, Target};
use super::error::KustomizeError;
use super::read;
use super::schema::{Schema, Type};
use super::value::{Map, Value};

/// The version of Kubernetes whose structure is built in.
const BUILT_IN_VERSION: &str = "v1.21.2";
/// What references begin with.
const DEFINITIONS: &str = "#/definitions/";
const KINDS: &str = "x-kubernetes-group-version-kind";
/// How deep types nest.
const MAX_DEPTH: usize = 64;

/// What became of the schema of a build so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SchemaState {
    /// A kustomization named one. Those that it builds on have no say any more.
    named: bool,
    /// Something was looked up in it that is in no table of its own. What is named later is added to it.
    pub(super) used: bool,
}

/// Takes the schema that a kustomization names for all that follows.
pub(super) fn apply(builder: &mut Builder<'_, '_>, target: &Target) -> Result<(), KustomizeError> {
    let settings = &target.kustomization.openapi;
    let path = settings.get("path");
    let text = path.map(|path| builder.loader.text(&target.root, path)).transpose();
    let text = text.map_err(|error| error.in_field("path"))?;
    if builder.schema_state.named {
        return Ok(());
    }
    match (path.zip(text), settings.get("version").map(String::as_str)) {
        (Some(_), Some(_)) => Err(KustomizeError::new("it may have a version or a path, not both; remove one of them")),
        (None, None | Some("")) => Ok(()),
        (None, Some(version)) if version != BUILT_IN_VERSION => {
            let reason = format!("only the version {BUILT_IN_VERSION} is built in; name it, or a file by `path`");
            Err(KustomizeError::new(reason).in_field("version"))
        }
        (None, Some(_)) => {
            builder.schema_state.named = true;
            Ok(())
        }
        (Some((path, text)), None) => {
            let own = parse(&text).map_err(|error| {
                error.in_file(&super::load::resolve(&target.root, path).unwrap_or_default()).in_field("path")
            })?;
            let mut schema = if builder.schema_state.used { Schema::clone(&builder.schema) } else { Schema::default() };
            schema.extend(&own);
            schema.extend(&Schema::scopes_only());
            builder.schema = Arc::new(schema);
            builder.schema_state.named = true;
            Ok(())
        }
    }
}

/// Reads a schema.
fn parse(text: &str) -> Result<Schema, KustomizeError> {
    let mut schema = Schema::default();
    let Some(document) = read::settings(text)?.filter(|value| !value.is_null()) else { return Ok(schema) };
    if document.as_map().is_none() {
        return Err(KustomizeError::new(format!("a mapping is needed, and {} is there", document.describe())));
    }
    for (name, definition) in entries(&document, "definitions")? {
        schema.define(name, type_of(definition, 0).map_err(|error| error.in_field(&format!("definitions.{name}")))?);
        let kinds = definition.get(KINDS).and_then(Value::as_seq).unwrap_or_default();
        for (api_version, kind) in kinds.iter().filter_map(kind_of) {
            schema.define_kind(&api_version, kind, name);
        }
    }
    for (path, methods) in entries(&document, "paths")? {
        let Some((api_version, kind)) = methods.get("get").and_then(|get| kind_of(get.get(KINDS)?)) else { continue };
        // One path with a namespace is enough; the others are for lists over all namespaces.
        if path.contains("namespaces/{namespace}") {
            schema.scope_kind(&api_version, kind, true);
        } else if schema.is_namespaced(&api_version, kind).is_none() {
            schema.scope_kind(&api_version, kind, false);
        }
    }
    Ok(schema)
}

fn entries<'v>(
    value: &'v Value,
    field: &str,
) -> Result<impl Iterator<Item = (&'v str, &'v Value)> + use<'v>, KustomizeError> {
    let map = match value.get(field) {
        None => None,
        Some(value) if value.is_null() => None,
        Some(Value::Map(map)) => Some(map),
        Some(other) => {
            let reason = format!("a mapping is needed, and {} is there", other.describe());
            return Err(KustomizeError::new(reason).in_field(field));
        }
    };
    Ok(map.into_iter().flat_map(Map::iter))
}

/// API version and kind.
fn kind_of(value: &Value) -> Option<(String, &str)> {
    let version = value.get("version")?.as_str()?;
    let kind = value.get("kind")?.as_str()?;
    let group = value.get("group").and_then(Value::as_str).unwrap_or_default();
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some((api_version, kind))
}

fn type_of(schema: &Value, depth: usize) -> Result<Type, KustomizeError> {
    if depth > MAX_DEPTH {
        return Err(KustomizeError::new(format!("types nest deeper than {MAX_DEPTH} levels; give them names")));
    }
    let reference = schema.get("$ref").and_then(Value::as_str);
    if let Some(name) = reference {
        // A reference to something else leads nowhere, like one to a name that isn't there.
        let name = name.strip_prefix(DEFINITIONS).unwrap_or_default();
        return Ok(Type { reference: Some(name.into()), ..Type::default() });
    }
    let nested = |field: &str| {
        let found = schema.get(field).filter(|value| value.as_map().is_some());
        let nested = found.map(|value| type_of(value, depth + 1).map(Box::new)).transpose();
        nested.map_err(|error| error.in_field(field))
    };
    let mut fields = std::collections::HashMap::new();
    for (name, property) in entries(schema, "properties")? {
        let at = type_of(property, depth + 1).map_err(|error| error.in_field(&format!("properties.{name}")))?;
        fields.insert(name.into(), at);
    }
    let element = if is_list(schema) { nested("items")? } else { None };
    Ok(Type {
        reference: None,
        merges_by: merge_keys(schema),
        element,
        fields,
        others: nested("additionalProperties")?,
    })
}

fn is_list(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::Seq(types)) => matches!(types.as_slice(), [only] if only.as_str() == Some("array")),
        Some(only) => only.as_str() == Some("array"),
        None => false,
    }
}

/// What the elements of a list are told apart by, if it merges.
fn merge_keys(schema: &Value) -> Option<Vec<Box<str>>> {
    let strategy = schema.get("x-kubernetes-patch-strategy")?.as_str()?;
    if !strategy.split(',').any(|part| part == "merge") {
        return None;
    }
    if let Some(keys) = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_seq) {
        return Some(keys.iter().filter_map(Value::as_str).map(Into::into).collect());
    }
    let key = schema.get("x-kubernetes-patch-merge-key").and_then(Value::as_str);
    Some(key.into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_and_paths_are_read() {
        let text = r##"
definitions:
  Part: {type: object, properties: {tags: {type: array, x-kubernetes-patch-strategy: merge, items: {type: string}}}}
  Widget:
    type: object
    x-kubernetes-group-version-kind: [{group: example.com, version: v1, kind: Widget}]
    properties:
      parts: {type: array, items: {$ref: "#/definitions/Part"}, x-kubernetes-patch-strategy: "merge,retainKeys", x-kubernetes-patch-merge-key: id}
      others: {type: object, additionalProperties: {$ref: "#/definitions/Part"}}
      plain: {type: array, items: {type: string}}
paths:
  /apis/example.com/v1/widgets: {get: {x-kubernetes-group-version-kind: {group: example.com, version: v1, kind: Widget}}}
"##;
        let schema = parse(text).unwrap();
        let widget = schema.kind("example.com/v1", "Widget").unwrap();
        let parts = widget.field("parts").unwrap();
        assert_eq!(parts.merges_by().unwrap(), [Box::from("id")]);
        assert!(parts.element().unwrap().field("tags").unwrap().merges_by().unwrap().is_empty());
        assert!(widget.field("others").unwrap().field("any").unwrap().field("tags").is_some());
        assert!(widget.field("plain").unwrap().merges_by().is_none());
        assert_eq!(schema.is_namespaced("example.com/v1", "Widget"), Some(false));
        assert!(parse("definitions: []").is_err());
        assert!(parse("[]").is_err());
    }
}
