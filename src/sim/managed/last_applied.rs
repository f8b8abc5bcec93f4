//! The annotation of kubectl's client-side apply: its fields pass to kubectl's server-side apply, which then keeps it up to date.

use serde_json::{Map, Value};

use super::{Context, without_managed_fields};
use crate::sim::fields::FieldSet;
use crate::sim::typed::{self, Duplicates};

/// The field manager for which all this is done.
pub(super) const MANAGER: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Most bytes of all annotations of an object; the annotation is dropped rather than to exceed them.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// The fields that were applied on the client's side and are still as they were applied.
pub(super) fn fields(ctx: &Context<'_>, live: &Value) -> Option<FieldSet> {
    let text = annotations(live)?.get(ANNOTATION)?.as_str()?;
    let applied: Value = serde_json::from_str(text).ok()?;
    if applied.get("apiVersion").and_then(Value::as_str) != Some(ctx.api_version) {
        return None;
    }
    let live = without_managed_fields(live);
    let root = ctx.schema.root();
    typed::validate(root, &live, Duplicates::Refused).ok()?;
    typed::validate(root, &applied, Duplicates::Refused).ok()?;
    let changed = typed::compare(root, &applied, &live).ok()?;
    let fields = typed::field_set(root, &applied);
    Some(fields.difference(&changed.modified).difference(&changed.added).difference(&changed.removed))
}

/// Writes `config` into the annotation, if the object has it.
pub(super) fn refresh(object: &mut Value, config: &Value) {
    let present = annotations(object).and_then(|annotations| annotations.get(ANNOTATION)).and_then(Value::as_str);
    if present.is_none_or(str::is_empty) {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = annotations_mut(&mut config) {
        annotations.remove(ANNOTATION);
    }
    let text = format!("{}\n", crate::sim::fields::go_json(&config));
    if let Some(annotations) = annotations_mut(object) {
        annotations.insert(ANNOTATION.to_owned(), text.into());
        let bytes: usize =
            annotations.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len)).sum();
        if bytes > MAX_ANNOTATIONS {
            annotations.remove(ANNOTATION);
        }
    }
}

fn annotations(object: &Value) -> Option<&Map<String, Value>> {
    object.pointer("/metadata/annotations")?.as_object()
}

fn annotations_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.pointer_mut("/metadata/annotations")?.as_object_mut()
}
