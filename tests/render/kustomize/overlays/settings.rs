//! Files beside a kustomization that say which fields there are: configurations, definitions of custom resources, schemas.

use super::random::Random;

/// What a configuration adds. Merging refuses a field that two configurations treat in two ways, so each has one form.
const CONFIGURATIONS: [&str; 11] = [
    "nameReference:\n- kind: ConfigMap\n  version: v1\n  fieldSpecs: [{kind: Widget, path: spec/configRef/name}]\n",
    "nameReference:\n- {kind: Secret, version: v1, fieldSpecs: [{kind: Widget, path: spec/text}, {path: metadata/annotations/note}]}\n- {kind: Widget, group: example.com, fieldSpecs: [{kind: Role, path: rules/resourceNames}]}\n",
    "images:\n- {kind: Widget, path: spec/image}\n",
    "commonLabels:\n- {kind: Widget, path: spec/selector, create: true}\n",
    "commonAnnotations:\n- {kind: Widget, path: spec/notes, create: true}\n- {kind: Service, path: spec/notes}\n",
    "varReference:\n- {kind: Widget, path: spec/text}\n- {kind: Widget, path: spec/values}\n- {kind: ConfigMap, path: data}\n",
    "namespace:\n- {kind: Widget, path: spec/namespace, create: true}\n",
    "namePrefix:\n- {kind: Widget, path: spec/text}\n",
    "nameSuffix:\n- {kind: Widget, path: spec/configRef/name}\n",
    "replicas:\n- {kind: Widget, path: spec/replicas, create: true}\n",
    "labels:\n- {kind: Widget, path: spec/labels, create: true}\n",
];

/// A configuration of several parts.
pub(super) fn configuration(random: &mut Random) -> String {
    let mut first = random.below(CONFIGURATIONS.len());
    let mut text = String::new();
    for _ in 0..=random.below(4) {
        // Each part once: a key may stand only once in the file.
        let part = CONFIGURATIONS[first % CONFIGURATIONS.len()];
        let key = part.split(':').next().unwrap_or_default();
        if !text.contains(&format!("{key}:\n")) {
            text += part;
        }
        first += 1 + random.below(2);
    }
    text
}

/// The definition of the custom resource for `crds`, with references in its schema.
pub(super) fn definition(random: &mut Random) -> &'static str {
    random.of(&[
        r#"{"example.com/v1.Widget": {"Schema": {"properties": {
  "apiVersion": {"type": "string"}, "kind": {"type": "string"},
  "metadata": {"$ref": "k8s.io/apimachinery/pkg/apis/meta/v1.ObjectMeta"},
  "spec": {"$ref": "example.com/v1.WidgetSpec"}}},
  "Dependencies": ["example.com/v1.WidgetSpec"]},
 "example.com/v1.WidgetSpec": {"Schema": {"properties": {
  "configRef": {"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "ConfigMap",
    "$ref": "k8s.io/api/core/v1.LocalObjectReference"},
  "chosen": {"x-kubernetes-label-selector": "", "type": "object"},
  "remarks": {"x-kubernetes-annotation": "", "type": "object"},
  "text": {"x-kubernetes-identity": "", "type": "string"}}}, "Dependencies": []}}
"#,
        r#"{"example.com/v1.Widget": {"Schema": {"properties": {
  "apiVersion": {"type": "string"}, "kind": {"type": "string"},
  "metadata": {"$ref": "k8s.io/apimachinery/pkg/apis/meta/v1.ObjectMeta"},
  "spec": {"$ref": "example.com/v1.Spec"}}}, "Dependencies": []},
 "example.com/v1.Spec": {"Schema": {"properties": {
  "configRef": {"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "Secret",
    "x-kubernetes-object-ref-name-key": "name", "type": "object"},
  "parts": {"type": "array", "items": {"$ref": "example.com/v1.Part"}}}}},
 "example.com/v1.Part": {"Schema": {"properties": {
  "name": {"x-kubernetes-identity": "", "type": "string"}}}}}
"#,
    ])
}

/// A schema for `openapi`, which knows the custom resource and little else.
pub(super) fn schema(random: &mut Random) -> String {
    let list = random.of(&[
        r#""x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge", "#,
        r#""x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "#,
        "",
    ]);
    let parts = format!(r#""parts": {{{list}"type": "array", "items": {{"type": "object"}}}}"#);
    format!(
        r##"{{"definitions": {{
 "com.example.v1.Widget": {{"type": "object",
  "x-kubernetes-group-version-kind": [{{"group": "example.com", "version": "v1", "kind": "Widget"}}],
  "properties": {{"spec": {{"$ref": "#/definitions/com.example.v1.WidgetSpec"}}}}}},
 "com.example.v1.WidgetSpec": {{"type": "object", "properties": {{{parts}}}}}}}}}
"##
    )
}
