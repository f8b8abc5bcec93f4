//! The table of the built-in types as OpenAPI schemas, without descriptions: in the form of OpenAPI v3, from which that of v2 can
//! be made.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::builtin::TABLE;

/// Where documents of OpenAPI v3 keep their schemas.
pub const REFERENCE: &str = "#/components/schemas/";

static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| read(TABLE));

/// The schemas of all types of the table, by the names that OpenAPI documents give them.
pub fn schemas() -> &'static BTreeMap<String, Value> {
    &SCHEMAS
}

/// The name of the type of a kind's objects.
pub fn name_of(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    static KINDS: LazyLock<BTreeMap<(String, String, String), String>> = LazyLock::new(|| {
        let told = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let kinds = SCHEMAS.iter().flat_map(|(name, schema)| {
            let kinds = schema.get(KIND).and_then(Value::as_array).into_iter().flatten();
            kinds.map(move |kind| ((told(kind, "group"), told(kind, "version"), told(kind, "kind")), name.clone()))
        });
        kinds.collect()
    });
    KINDS.get(&(group.to_owned(), version.to_owned(), kind.to_owned())).map(String::as_str)
}

/// A reference to a schema.
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("{REFERENCE}{name}")})
}

/// The member of a schema or an operation that names its kind.
pub const KIND: &str = "x-kubernetes-group-version-kind";

/// A type's whole name, from the one in the table.
pub fn long(name: &str) -> String {
    match name.split('.').next() {
        Some("meta") => format!("io.k8s.apimachinery.pkg.apis.{name}"),
        Some("apiextensions") => format!("io.k8s.apiextensions-apiserver.pkg.apis.{name}"),
        _ => format!("io.k8s.api.{name}"),
    }
}

fn read(table: &str) -> BTreeMap<String, Value> {
    let mut schemas: BTreeMap<String, Value> =
        SPECIAL.iter().map(|(_, name, schema)| ((*name).to_owned(), schema())).collect();
    let mut lines = table.lines().filter(|line| !line.starts_with('#')).peekable();
    while let Some(head) = lines.next() {
        let mut required = Vec::new();
        let mut properties = Map::new();
        while let Some(line) = lines.next_if(|line| line.starts_with(' ')) {
            let mut words = line.split_ascii_whitespace();
            let (name, of) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let marks: Vec<&str> = words.collect();
            if marks.contains(&"required") {
                required.push(Value::from(name));
            }
            properties.insert(name.to_owned(), property(of, &marks));
        }
        let mut words = head.split_ascii_whitespace();
        let name = words.next().unwrap_or_default();
        schemas.insert(long(name), of_type(words, properties, required));
    }
    schemas
}

fn of_type<'t>(words: impl Iterator<Item = &'t str>, properties: Map<String, Value>, required: Vec<Value>) -> Value {
    let mut schema = Map::from_iter([("type".to_owned(), Value::from("object"))]);
    let mut kinds = Vec::new();
    for word in words {
        if let Some(expression) = word.strip_prefix(':') {
            schema = expressed(expression).as_object().cloned().unwrap_or_default();
        } else if let [group, version, kind] = word.split('/').collect::<Vec<_>>().as_slice() {
            kinds.push(json!({"group": group, "version": version, "kind": kind}));
        } else {
            schema.insert("x-kubernetes-map-type".to_owned(), word.into());
        }
    }
    for (name, of) in [("required", required), (KIND, kinds)] {
        if !of.is_empty() {
            schema.insert(name.to_owned(), of.into());
        }
    }
    if !properties.is_empty() {
        schema.insert("properties".to_owned(), properties.into());
    }
    schema.into()
}

/// The schema of a field.
fn property(of: &str, marks: &[&str]) -> Value {
    let mut schema = match expressed(of) {
        // Beside a reference nothing else may stand.
        reference if reference.get("$ref").is_some() => Map::from_iter([("allOf".to_owned(), json!([reference]))]),
        schema => schema.as_object().cloned().unwrap_or_default(),
    };
    let mut say = |name: &str, value: Value| schema.insert(name.to_owned(), value);
    let mut strategies = Vec::new();
    let is_list = of.starts_with('[');
    for mark in marks {
        let (word, rest) = mark.split_once(':').unwrap_or((mark, ""));
        let names = |separator: char| rest.split(separator).map(Value::from).collect::<Value>();
        match word {
            "atomic" | "granular" | "set" | "map" => {
                say(if is_list { "x-kubernetes-list-type" } else { "x-kubernetes-map-type" }, word.into());
                if word == "map" {
                    say("x-kubernetes-list-map-keys", names(','));
                }
            }
            "merge" => {
                strategies.push("merge");
                if !rest.is_empty() {
                    say("x-kubernetes-patch-merge-key", rest.into());
                }
            }
            "retain" => strategies.push("retainKeys"),
            "replace" => strategies.push("replace"),
            "oneof" => {
                say("enum", names('|'));
            }
            "each" => {
                let inner = if is_list { "items" } else { "additionalProperties" };
                let mut item = expressed(of).get(inner).cloned().unwrap_or_default();
                if let Some(item) = item.as_object_mut() {
                    item.insert("enum".to_owned(), names('|'));
                }
                say(inner, item);
            }
            _ => {
                if let Some(default) = mark.strip_prefix('=').and_then(|json| serde_json::from_str(json).ok()) {
                    say("default", default);
                }
            }
        }
    }
    if !strategies.is_empty() {
        say("x-kubernetes-patch-strategy", strategies.join(",").into());
    }
    schema.into()
}

/// A type that is no struct: how the table calls it, its whole name, its schema.
type Special = (&'static str, &'static str, fn() -> Value);

const SPECIAL: [Special; 5] = [
    (
        "quantity",
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        || json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
    ),
    (
        "int-or-string",
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        || json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
    ),
    ("time", "io.k8s.apimachinery.pkg.apis.meta.v1.Time", || json!({"type": "string", "format": "date-time"})),
    (
        "microtime",
        "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
        || json!({"type": "string", "format": "date-time"}),
    ),
    ("raw", "io.k8s.apimachinery.pkg.runtime.RawExtension", || json!({"type": "object"})),
];

/// The schema that an expression of the table stands for.
fn expressed(expression: &str) -> Value {
    let inner = |open, close| expression.strip_prefix(open).and_then(|rest: &str| rest.strip_suffix(close));
    if let Some(items) = inner('[', ']') {
        return json!({"type": "array", "items": expressed(items)});
    }
    if let Some(values) = inner('{', '}') {
        return json!({"type": "object", "additionalProperties": expressed(values)});
    }
    if let Some((_, name, _)) = SPECIAL.iter().find(|(word, ..)| *word == expression) {
        return reference(name);
    }
    match expression {
        "string" => json!({"type": "string"}),
        "bytes" => json!({"type": "string", "format": "byte"}),
        "bool" => json!({"type": "boolean"}),
        "int32" | "int64" => json!({"type": "integer", "format": expression}),
        "number" => json!({"type": "number", "format": "double"}),
        "json" => json!({}),
        "object" => json!({"type": "object"}),
        name => reference(&long(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_is_to_a_schema() {
        fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
            match value {
                Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(Value::as_str));
                    members.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        schemas().values().for_each(|schema| references(schema, &mut found));
        assert!(found.len() > 500, "{}", found.len());
        for name in found {
            assert!(schemas().contains_key(name.strip_prefix(REFERENCE).unwrap()), "{name}");
        }
    }

    #[test]
    fn a_field_says_how_it_is_patched() {
        let name = name_of("", "v1", "Pod").unwrap();
        assert_eq!(name, "io.k8s.api.core.v1.Pod");
        let spec = &schemas()["io.k8s.api.core.v1.PodSpec"];
        assert_eq!(
            spec["properties"]["volumes"],
            json!({
                "type": "array", "items": {"$ref": "#/components/schemas/io.k8s.api.core.v1.Volume"},
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "x-kubernetes-patch-strategy": "merge,retainKeys", "x-kubernetes-patch-merge-key": "name",
            })
        );
        assert_eq!(spec["required"], json!(["containers"]));
    }
}
