//! What makes an object findable as ours: the tracking id and the labels that it carries.

use serde_json::{Map, Value};

use super::ids::{AppKey, TrackingId};
use super::names::{BUCKET_LABEL, INSTANCE_LABEL, STAMP_ANNOTATION, TRACKING_ANNOTATION};

/// The name by which Argo CD calls an application in tracking ids: its name, or `namespace_name` outside of the namespace
/// that the controller runs in.
pub fn instance_name(app: &AppKey, control_namespace: &str) -> String {
    if &*app.namespace == control_namespace { app.name.to_string() } else { format!("{}_{}", app.namespace, app.name) }
}

/// The bucket of an application, two hexadecimal digits: the first byte of the BLAKE3 hash of `namespace/name`. Written
/// onto objects, so it never changes.
pub fn bucket(app: &AppKey) -> String {
    let hash = blake3::hash(app.to_string().as_bytes());
    format!("{:02x}", hash.as_bytes()[0])
}

/// Whose an object is to be.
#[derive(Clone, Debug)]
pub(super) struct Owner<'a> {
    /// Installation id.
    pub(super) installation: &'a str,
    /// Bucket of the application.
    pub(super) bucket: &'a str,
}

impl Owner<'_> {
    /// Writes the tracking metadata into an object's `metadata`. A stamp that was copied from a cluster goes: it is set
    /// for every apply. The error is a sentence.
    pub(super) fn mark(&self, metadata: &mut Map<String, Value>, tracking: &TrackingId) -> Result<(), String> {
        let labels = strings(metadata, "labels")?;
        labels.insert(INSTANCE_LABEL.to_owned(), Value::from(self.installation));
        labels.insert(BUCKET_LABEL.to_owned(), Value::from(self.bucket));
        let annotations = strings(metadata, "annotations")?;
        annotations.insert(TRACKING_ANNOTATION.to_owned(), Value::from(tracking.to_string()));
        annotations.remove(STAMP_ANNOTATION);
        Ok(())
    }
}

/// The map of strings `metadata.<name>`, made if there is none.
fn strings<'m>(metadata: &'m mut Map<String, Value>, name: &str) -> Result<&'m mut Map<String, Value>, String> {
    let map = metadata.entry(name).or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(map) = map else {
        return Err(format!("metadata.{name} must be a map"));
    };
    match map.iter().find(|(_, value)| !value.is_string()) {
        Some((key, _)) => Err(format!("metadata.{name}[{key:?}] must be text; quote it")),
        None => Ok(map),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn buckets_never_change() {
        for (namespace, name, expected) in [("argocd", "web", "9a"), ("argocd", "shop", "63")] {
            assert_eq!(bucket(&AppKey::new(namespace, name)), expected);
        }
    }

    #[test]
    fn instances_are_named_as_in_argo_cd() {
        let app = AppKey::new("argocd", "web");
        assert_eq!(instance_name(&app, "argocd"), "web");
        assert_eq!(instance_name(&app, "driftless"), "argocd_web");
    }

    #[test]
    fn marking_replaces_what_was_copied_and_keeps_the_rest() {
        let owner = Owner { installation: "0123456789abcdef", bucket: "7f" };
        let tracking = TrackingId::parse("web:/ConfigMap:shop/a").unwrap();
        let mut metadata = json!({
            "name": "a",
            "labels": {"app": "web", INSTANCE_LABEL: "other"},
            "annotations": {"note": "x", STAMP_ANNOTATION: "y", TRACKING_ANNOTATION: "z"},
        });
        owner.mark(metadata.as_object_mut().unwrap(), &tracking).unwrap();
        assert_eq!(
            metadata,
            json!({
                "name": "a",
                "labels": {"app": "web", INSTANCE_LABEL: "0123456789abcdef", BUCKET_LABEL: "7f"},
                "annotations": {"note": "x", TRACKING_ANNOTATION: "web:/ConfigMap:shop/a"},
            })
        );
        for (bad, message) in [
            (json!({"labels": {"a": true}}), "metadata.labels[\"a\"] must be text; quote it"),
            (json!({"annotations": []}), "metadata.annotations must be a map"),
        ] {
            assert_eq!(owner.mark(&mut bad.as_object().unwrap().clone(), &tracking), Err(message.to_owned()));
        }
    }
}
