//! From a parsed document to manifests: lists are flattened, and each object is checked before it leaves the renderer.

use std::io;

use serde_json::{Map, Value};

use super::limits::RenderLimits;
use super::{content, limit};
use crate::engine::desired::{Manifest, Origin};
use crate::engine::event::RenderFailure;
use crate::engine::manifest::strip_server_fields;

/// The manifests of a rendering so far.
pub(super) struct Collector<'l> {
    limits: &'l RenderLimits,
    manifests: Vec<Manifest>,
    /// Size of all of them as JSON: aliases can make much of little text.
    size: u64,
}

impl<'l> Collector<'l> {
    pub(super) const fn new(limits: &'l RenderLimits) -> Self {
        Self { limits, manifests: Vec::new(), size: 0 }
    }

    pub(super) fn finish(self) -> Vec<Manifest> {
        self.manifests
    }

    /// Takes a document. One that is no manifest (a values file) adds nothing, as in Argo CD; one that looks like a
    /// manifest and lacks a part of it is an error, or its object would be pruned.
    pub(super) fn document(&mut self, value: Value, origin: &Origin) -> Result<(), RenderFailure> {
        match value {
            Value::Object(object) => match shape(&object) {
                Shape::Manifest => self.object(object, origin),
                Shape::Broken(missing) => Err(content(format!(
                    "{origin}: the document has `metadata` but no `{missing}`; add it, or put the file out of the source's path if it is no manifest"
                ))),
                Shape::Other => Ok(()),
            },
            Value::Array(items)
                if items.iter().any(|item| item.get("apiVersion").is_some() && item.get("kind").is_some()) =>
            {
                Err(content(format!(
                    "{origin}: the document is a list of manifests; separate them with `---`, or put them under `items` of a `kind: List`"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Takes an object that must be a manifest or a list of manifests.
    fn object(&mut self, mut object: Map<String, Value>, origin: &Origin) -> Result<(), RenderFailure> {
        let is_list = object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
        if is_list {
            match object.remove("items") {
                Some(Value::Array(items)) => return self.items(items, origin),
                // `items: null` is how Go writes an empty list.
                Some(Value::Null) => return Ok(()),
                Some(other) => _ = object.insert("items".to_owned(), other),
                None => {}
            }
        }
        let (manifest, size) = complete(object, origin, self.limits)?;
        self.size = self.size.saturating_add(size as u64);
        if self.size > self.limits.max_total_size {
            return Err(limit(
                format!("the objects of the source have more than {} bytes as JSON", self.limits.max_total_size),
                RenderLimits::MAX_TOTAL_SIZE,
            ));
        }
        if self.manifests.len() >= self.limits.max_objects {
            return Err(limit(
                format!("the source has more than {} objects", self.limits.max_objects),
                RenderLimits::MAX_OBJECTS,
            ));
        }
        self.manifests.push(manifest);
        Ok(())
    }

    fn items(&mut self, items: Vec<Value>, origin: &Origin) -> Result<(), RenderFailure> {
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::Object(object) if matches!(shape(&object), Shape::Manifest) => self.object(object, origin)?,
                _ => {
                    return Err(content(format!(
                        "{origin}: items[{index}] of the list is no manifest; every item needs its own `apiVersion`, `kind` and `metadata`"
                    )));
                }
            }
        }
        Ok(())
    }
}

enum Shape {
    /// It has `apiVersion` and `kind`.
    Manifest,
    /// It has `metadata` and only one of them; this one is missing.
    Broken(&'static str),
    /// Something else.
    Other,
}

fn shape(object: &Map<String, Value>) -> Shape {
    let has = |key: &str| object.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    match (has("apiVersion"), has("kind"), object.contains_key("metadata")) {
        (true, true, _) => Shape::Manifest,
        (true, false, true) => Shape::Broken("kind"),
        (false, true, true) => Shape::Broken("apiVersion"),
        _ => Shape::Other,
    }
}

/// Checks one object and takes away what only the API server writes. Returns its size as JSON, too.
fn complete(
    mut object: Map<String, Value>,
    origin: &Origin,
    limits: &RenderLimits,
) -> Result<(Manifest, usize), RenderFailure> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = text(object.get("kind"));
    let api_version = text(object.get("apiVersion"));
    if api_version.split('/').count() > 2 || api_version.split('/').any(str::is_empty) || !is_segment(&kind) {
        return Err(content(format!(
            "{origin}: `apiVersion` must be `version` or `group/version`, and `kind` a plain word"
        )));
    }
    let metadata = object.get("metadata").and_then(Value::as_object);
    let name = text(metadata.and_then(|metadata| metadata.get("name")));
    if name.is_empty() {
        let generated = metadata.is_some_and(|metadata| metadata.contains_key("generateName"));
        let advice = if generated {
            "`generateName` would make a new object with every sync; give it a `metadata.name`"
        } else {
            "`metadata.name` is missing or no text; add it (quote a number)"
        };
        return Err(content(format!("{origin}: {kind}: {advice}")));
    }
    if !is_segment(&name) {
        return Err(content(format!(
            "{origin}: {kind}: `metadata.name` is no valid name: it has `/` or `%`, or is `.` or `..`"
        )));
    }
    strip_server_fields(&mut object);
    let value = Value::Object(object);
    if let Some(path) = null_path(&value) {
        return Err(content(format!(
            "{origin}: {kind} {name}: {path} is null; remove the key, or write the value that is meant"
        )));
    }
    let size = json_size(&value);
    if size > limits.max_object_size {
        return Err(limit(
            format!("{origin}: {kind} {name} is {size} bytes as JSON, more than {}", limits.max_object_size),
            RenderLimits::MAX_OBJECT_SIZE,
        ));
    }
    Ok((Manifest { value, origin: origin.clone() }, size))
}

/// Whether `text` can stand in a path of the API (the rule of `k8s.io/apimachinery` for path segment names).
fn is_segment(text: &str) -> bool {
    !text.is_empty() && !matches!(text, "." | "..") && !text.contains(['/', '%'])
}

/// Path of the first null, as `.spec.ports[0].name`.
fn null_path(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            let below = null_path(value)?;
            let plain =
                key.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-'));
            Some(if plain { format!(".{key}{below}") } else { format!("[{key:?}]{below}") })
        }),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, value)| {
            let below = null_path(value)?;
            Some(format!("[{index}]{below}"))
        }),
        _ => None,
    }
}

/// Length of the dense JSON text, which is that of the canonical form.
fn json_size(value: &Value) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Counting has no way to fail.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn collect(value: Value) -> Result<Vec<Manifest>, RenderFailure> {
        let limits = RenderLimits { max_objects: 3, max_object_size: 200, ..RenderLimits::default() };
        let mut collector = Collector::new(&limits);
        let origin = Origin { path: "a.yaml".into(), document: 2, line: 7 };
        collector.document(value, &origin)?;
        Ok(collector.finish())
    }

    fn config_map(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
    }

    #[test]
    fn lists_are_flattened_and_other_documents_skipped() {
        let names = |value| {
            let manifests = collect(value).unwrap();
            manifests.iter().map(|m| m.value["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let list = |kind: &str, items: Value| json!({"apiVersion": "v1", "kind": kind, "metadata": {}, "items": items});
        let inner = list("ConfigMapList", json!([config_map("b"), config_map("c")]));
        let cases = [
            (config_map("a"), vec!["a"]),
            (list("List", json!([config_map("a"), inner])), vec!["a", "b", "c"]),
            (list("List", json!([])), vec![]),
            (list("ConfigMapList", Value::Null), vec![]),
            (json!({"apiVersion": "x/v1", "kind": "AllowList", "metadata": {"name": "a"}, "items": "all"}), vec!["a"]),
            (json!({"apiVersion": "x/v1", "kind": "AllowList", "metadata": {"name": "a"}}), vec!["a"]),
            (json!({"image": {"kind": "x"}}), vec![]),
            (json!({"kind": "DaemonSet", "image": "x"}), vec![]),
            (json!({"apiVersion": "v2", "name": "chart"}), vec![]),
            (json!([{"op": "add"}]), vec![]),
            (json!("text"), vec![]),
        ];
        for (value, expected) in cases {
            assert_eq!(names(value.clone()), expected, "{value}");
        }
    }

    #[test]
    fn what_is_almost_a_manifest_is_an_error() {
        let with = |path: &str, value: Value| {
            let mut manifest = config_map("a");
            match path.rsplit_once('/') {
                Some((parent, key)) => manifest.pointer_mut(parent).unwrap()[key] = value,
                None => manifest = value,
            }
            manifest
        };
        let cases = [
            (json!({"kind": "ConfigMap", "metadata": {"name": "a"}}), "no `apiVersion`"),
            (json!({"apiVersion": "v1", "kind": 1, "metadata": {"name": "a"}}), "no `kind`"),
            (json!([config_map("a")]), "list of manifests"),
            (json!({"apiVersion": "v1", "kind": "List", "items": [{"a": 1}]}), "items[0]"),
            (json!({"apiVersion": "v1", "kind": "List", "items": ["x"]}), "items[0]"),
            (json!({"apiVersion": "v1", "kind": "Kustomization"}), "`metadata.name` is missing"),
            (json!({"apiVersion": "v1", "kind": "Job", "metadata": {"generateName": "x-"}}), "`generateName`"),
            (with("/metadata/name", json!(1)), "quote a number"),
            (with("/metadata/name", json!("a/b")), "no valid name"),
            (with("/metadata/name", json!("..")), "no valid name"),
            (with("/apiVersion", json!("a/b/c")), "`apiVersion` must be"),
            (with("/apiVersion", json!("/v1")), "`apiVersion` must be"),
            (with("/kind", json!("Config/Map")), "`apiVersion` must be"),
            (with("/data", json!({"a": null})), "ConfigMap a: .data.a is null"),
            (with("/data", json!({"a.b": [1, {"c": null}]})), r#".data["a.b"][1].c is null"#),
            (with("/data", json!({"a": "x".repeat(200)})), "render-max-object-size"),
            (
                json!({"apiVersion": "v1", "kind": "List", "items": [config_map("a"), config_map("b"), config_map("c"), config_map("d")]}),
                "render-max-objects",
            ),
        ];
        for (value, expected) in cases {
            let failure = collect(value.clone()).unwrap_err();
            assert!(failure.message.contains(expected), "{value}: {}", failure.message);
            if !expected.starts_with("render-max-objects") {
                assert!(failure.message.contains("a.yaml:7 (document 2)"), "{}", failure.message);
            }
        }
    }

    #[test]
    fn what_only_the_server_writes_is_taken_away() {
        let manifest = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a", "creationTimestamp": null, "labels": null, "annotations": null},
            "spec": {"template": {"metadata": {"creationTimestamp": null}}},
            "status": {"conditions": null},
        });
        let expected = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a"},
            "spec": {"template": {"metadata": {}}},
        });
        assert_eq!(collect(manifest).unwrap()[0].value, expected);
    }
}
