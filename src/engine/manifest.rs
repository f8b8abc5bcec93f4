//! What is done to one manifest before it is hashed: what only the API server writes goes, a Secret gets the form in which
//! it is stored, and what Driftless can't do yet is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::desired::Stage;
use super::names::SYNC_OPTIONS_ANNOTATION;
use super::options::{ObjectOptions, object_options};
use super::wave::wave_number;

/// Fields of `metadata` that only the API server writes (DESIGN section 4, canonical form).
const SERVER_METADATA: [&str; 6] =
    ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"];

/// Removes `status` and the metadata that only the API server writes. Also removes, from every `metadata` in the object
/// (pod templates, volume claim templates), a null `creationTimestamp`, as Go's types are written, and null `labels` and
/// `annotations`, as templates leave them: each says nothing.
pub fn strip_server_fields(object: &mut Map<String, Value>) {
    object.remove("status");
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.retain(|key, _| !SERVER_METADATA.contains(&key.as_str()));
    }
    strip_null_metadata(object);
}

fn strip_null_metadata(object: &mut Map<String, Value>) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.retain(|key, value| {
            !(value.is_null() && matches!(key.as_str(), "creationTimestamp" | "labels" | "annotations"))
        });
    }
    let mut open: Vec<&mut Value> = object.values_mut().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(object) => strip_null_metadata(object),
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

/// Turns a Secret's `stringData` into `data`, as the API server does: what `stringData` has wins. Left as it is, the
/// server would keep a key that is renamed in Git. The error is a sentence that names keys, never values.
pub(super) fn fold_string_data(secret: &mut Map<String, Value>) -> Result<(), String> {
    let strings = match secret.remove("stringData") {
        None => Map::new(),
        Some(strings) => text_map("stringData", strings)?,
    };
    let data = match secret.remove("data") {
        None => Map::new(),
        Some(data) => text_map("data", data)?,
    };
    if data.is_empty() && strings.is_empty() {
        return Ok(());
    }
    let encode = |value: Value| Value::from(STANDARD.encode(value.as_str().unwrap_or_default()));
    let data = data.into_iter().chain(strings.into_iter().map(|(key, value)| (key, encode(value)))).collect();
    secret.insert("data".to_owned(), Value::Object(data));
    Ok(())
}

/// A map whose values are all text.
fn text_map(field: &str, value: Value) -> Result<Map<String, Value>, String> {
    let Value::Object(map) = value else {
        return Err(format!("{field} must be a map"));
    };
    match map.iter().find(|(_, value)| !value.is_string()) {
        Some((key, _)) => Err(format!("{field}[{key:?}] must be text; quote it")),
        None => Ok(map),
    }
}

/// What an object's annotations ask for: its options and the number of its wave. Hooks and options that Driftless doesn't
/// serve are refused: read as plain objects they would be applied at the wrong time. The error is a sentence.
pub(super) fn read_annotations(metadata: &Map<String, Value>) -> Result<(ObjectOptions, i32), String> {
    const HOOKS: [&str; 2] = ["argocd.argoproj.io/hook", "helm.sh/hook"];
    let text = |name: &str| {
        metadata.get("annotations").and_then(|all| all.get(name)).map(|value| value.as_str().unwrap_or_default())
    };
    if let Some(hook) = HOOKS.into_iter().find(|name| text(name).is_some()) {
        return Err(format!(
            "it is a hook (annotation `{hook}`), which Driftless doesn't support yet; remove it from the path, or the annotation if it may be applied as a plain object"
        ));
    }
    let wave = wave_number(text)?;
    let options = text(SYNC_OPTIONS_ANNOTATION).map_or_else(|| Ok(ObjectOptions::default()), object_options);
    let options = options.map_err(|problem| format!("annotation `{SYNC_OPTIONS_ANNOTATION}`: {problem}"))?;
    Ok((options, wave))
}

/// When objects of a kind are applied relative to others.
pub fn stage(group: &str, kind: &str) -> Stage {
    match (group, kind) {
        ("", "Namespace") => Stage::Namespace,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Stage::Definition,
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration")
        | ("apiregistration.k8s.io", "APIService") => Stage::Extension,
        (
            "",
            "ConfigMap"
            | "LimitRange"
            | "PersistentVolume"
            | "PersistentVolumeClaim"
            | "ResourceQuota"
            | "Secret"
            | "Service"
            | "ServiceAccount",
        )
        | ("rbac.authorization.k8s.io", _)
        | ("storage.k8s.io", "CSIDriver" | "StorageClass")
        | ("networking.k8s.io", "IngressClass" | "NetworkPolicy")
        | ("scheduling.k8s.io", "PriorityClass")
        | ("node.k8s.io", "RuntimeClass")
        | ("policy", "PodDisruptionBudget") => Stage::Base,
        _ => Stage::Workload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn server_fields_go() {
        let mut object = json!({
            "status": {"x": 1},
            "metadata": {
                "name": "a", "managedFields": [], "resourceVersion": "1", "uid": "u", "generation": 1,
                "creationTimestamp": "2026-01-01T00:00:00Z", "selfLink": "/x", "labels": {"a": "b"}, "annotations": null,
            },
            "spec": {
                "status": "kept",
                "template": {"metadata": {"creationTimestamp": null, "uid": "kept", "labels": null}},
                "volumeClaimTemplates": [{"metadata": {"creationTimestamp": null, "name": "c"}}],
            },
        });
        strip_server_fields(object.as_object_mut().unwrap());
        assert_eq!(
            object,
            json!({
                "metadata": {"name": "a", "labels": {"a": "b"}},
                "spec": {
                    "status": "kept",
                    "template": {"metadata": {"uid": "kept"}},
                    "volumeClaimTemplates": [{"metadata": {"name": "c"}}],
                },
            })
        );
    }

    #[test]
    fn string_data_becomes_data() {
        let fold = |secret: Value| {
            let mut secret = secret.as_object().unwrap().clone();
            fold_string_data(&mut secret).map(|()| Value::Object(secret))
        };
        let folded = fold(json!({"data": {"a": "b2xk", "b": "eA=="}, "stringData": {"a": "new", "c": ""}}));
        assert_eq!(folded, Ok(json!({"data": {"a": "bmV3", "b": "eA==", "c": ""}})));
        assert_eq!(fold(json!({"stringData": {}})), Ok(json!({})));
        assert_eq!(fold(json!({"type": "x"})), Ok(json!({"type": "x"})));
        for (secret, expected) in [
            (json!({"stringData": {"port": 54321}}), "stringData[\"port\"] must be text; quote it"),
            (json!({"data": {"port": 54321}}), "data[\"port\"] must be text; quote it"),
            (json!({"data": "54321"}), "data must be a map"),
            (json!({"stringData": ["54321"]}), "stringData must be a map"),
        ] {
            assert_eq!(fold(secret), Err(expected.to_owned()));
        }
    }

    #[test]
    fn annotations_that_are_not_served_are_refused() {
        let read =
            |name: &str, value: Value| read_annotations(json!({"annotations": {name: value}}).as_object().unwrap());
        for (name, value) in [
            ("argocd.argoproj.io/hook", "PreSync"),
            ("argocd.argoproj.io/hook", "Skip"),
            ("helm.sh/hook", "crd-install"),
            ("argocd.argoproj.io/sync-wave", "first"),
            ("helm.sh/hook-weight", "heavy"),
            ("argocd.argoproj.io/sync-options", "Replace=true"),
        ] {
            let problem = read(name, Value::from(value)).unwrap_err();
            assert!(problem.contains(name), "{problem}");
        }
        for (name, value, no_prune, wave) in [
            ("argocd.argoproj.io/sync-wave", "-1", false, -1),
            ("helm.sh/hook-weight", "5", false, 5),
            ("argocd.argoproj.io/hook-delete-policy", "HookSucceeded", false, 0),
            ("argocd.argoproj.io/sync-options", "Prune=false", true, 0),
            ("other", "x", false, 0),
        ] {
            assert_eq!(read(name, Value::from(value)), Ok((ObjectOptions { no_prune }, wave)), "{name}");
        }
    }

    #[test]
    fn stages_by_kind() {
        for (group, kind, expected) in [
            ("", "Namespace", Stage::Namespace),
            ("x.io", "Namespace", Stage::Workload),
            ("apiextensions.k8s.io", "CustomResourceDefinition", Stage::Definition),
            ("", "Secret", Stage::Base),
            ("rbac.authorization.k8s.io", "ClusterRoleBinding", Stage::Base),
            ("apps", "Deployment", Stage::Workload),
            ("x.io", "Thing", Stage::Workload),
            ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", Stage::Extension),
            ("apiregistration.k8s.io", "APIService", Stage::Extension),
        ] {
            assert_eq!(stage(group, kind), expected, "{group}/{kind}");
        }
    }
}
