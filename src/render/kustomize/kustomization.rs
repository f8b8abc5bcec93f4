//! The kustomization file.

use std::collections::BTreeMap;

use super::decode::settings;
use super::error::KustomizeError;
use super::field_spec::FieldSpec;
use super::helm::{HelmChart, HelmGlobals, OldHelmChart};
use super::value::{Map, Value};

/// API version of a `Kustomization`.
const VERSION: &str = "kustomize.config.k8s.io/v1beta1";
/// API version of a `Component`.
const COMPONENT_VERSION: &str = "kustomize.config.k8s.io/v1alpha1";
/// Kind of a component.
pub const COMPONENT: &str = "Component";

settings! {
/// The content of a kustomization file.
pub struct Kustomization {
    /// API version; nothing stands for the right one.
    "apiVersion" => api_version: String,
    /// `Kustomization` (also if it is left out) or `Component`.
    "kind" => kind: String,
    /// Has no effect.
    "metadata" => metadata: Option<ObjectMeta>,
    /// Structure of custom kinds.
    "openapi" => openapi: BTreeMap<String, String>,
    /// Put before names.
    "namePrefix" => name_prefix: String,
    /// Put behind names.
    "nameSuffix" => name_suffix: String,
    /// Namespace of all namespaced resources.
    "namespace" => namespace: String,
    /// Labels for resources, templates and selectors. Deprecated: `labels` does all that.
    "commonLabels" => common_labels: BTreeMap<String, String>,
    /// Labels.
    "labels" => labels: Vec<Labels>,
    /// Annotations for resources and templates.
    "commonAnnotations" => common_annotations: BTreeMap<String, String>,
    /// Files with strategic merge patches, or the patches. Deprecated: `patches` does all that.
    "patchesStrategicMerge" => patches_strategic_merge: Vec<String>,
    /// JSON patches with targets. Deprecated: `patches` does all that.
    "patchesJson6902" => patches_json6902: Vec<Patch>,
    /// Patches.
    "patches" => patches: Vec<Patch>,
    /// Names, tags and digests of images.
    "images" => images: Vec<Image>,
    /// More of them. Deprecated.
    "imageTags" => image_tags: Vec<Image>,
    /// Values to copy from field to field.
    "replacements" => replacements: Vec<Replacement>,
    /// Numbers of replicas.
    "replicas" => replicas: Vec<Replica>,
    /// Values for `$(NAME)`. Deprecated: `replacements` do that.
    "vars" => vars: Vec<Var>,
    /// Order of the output.
    "sortOptions" => sort_options: Option<SortOptions>,
    /// Files and folders with resources.
    "resources" => resources: Vec<String>,
    /// Folders with components.
    "components" => components: Vec<String>,
    /// Files with definitions of custom resources, for the references that they declare.
    "crds" => crds: Vec<String>,
    /// More folders with resources. Deprecated.
    "bases" => bases: Vec<String>,
    /// ConfigMaps to make.
    "configMapGenerator" => config_map_generator: Vec<GeneratorArgs>,
    /// Secrets to make.
    "secretGenerator" => secret_generator: Vec<GeneratorArgs>,
    /// For all Helm charts.
    "helmGlobals" => helm_globals: Option<HelmGlobals>,
    /// Helm charts.
    "helmCharts" => helm_charts: Vec<HelmChart>,
    /// Helm charts. Deprecated.
    "helmChartInflationGenerator" => helm_chart_inflation_generator: Vec<OldHelmChart>,
    /// For all generators of ConfigMaps and Secrets.
    "generatorOptions" => generator_options: Option<GeneratorOptions>,
    /// Files that extend the tables of fields.
    "configurations" => configurations: Vec<String>,
    /// Generators, as files or inline.
    "generators" => generators: Vec<String>,
    /// Transformers, as files or inline.
    "transformers" => transformers: Vec<String>,
    /// Validators, as files or inline.
    "validators" => validators: Vec<String>,
    /// What to write down about the build: `originAnnotations`, `transformerAnnotations`, `managedByLabel`.
    "buildMetadata" => build_metadata: Vec<String>,
}
}

settings! {
/// Metadata of a kustomization file.
pub struct ObjectMeta {
    /// Name.
    "name" => name: String,
    /// Namespace.
    "namespace" => namespace: String,
    /// Labels.
    "labels" => labels: BTreeMap<String, String>,
    /// Annotations.
    "annotations" => annotations: BTreeMap<String, String>,
}
}

settings! {
/// Labels to set.
pub struct Labels {
    /// The labels.
    "pairs" => pairs: BTreeMap<String, String>,
    /// In selectors and templates, too.
    "includeSelectors" => include_selectors: bool,
    /// In the templates of pods, too.
    "includeTemplates" => include_templates: bool,
    /// In the templates of volume claims, too.
    "includeVolumeClaimTemplates" => include_volume_claim_templates: bool,
    /// In these fields, too.
    "fields" => fields: Vec<FieldSpec>,
}
}

settings! {
/// A patch.
pub struct Patch {
    /// File with it.
    "path" => path: String,
    /// The patch itself.
    "patch" => patch: String,
    /// What it is for.
    "target" => target: Option<Selector>,
    /// What it may change.
    "options" => options: Option<PatchOptions>,
}
}

settings! {
/// What a patch may change.
pub struct PatchOptions {
    /// The name.
    "allowNameChange" => allow_name_change: bool,
    /// The kind.
    "allowKindChange" => allow_kind_change: bool,
}
}

settings! {
/// Selects resources. What is empty selects all.
pub struct Selector {
    /// Group, as a regular expression.
    "group" => group: String,
    /// Version, as a regular expression.
    "version" => version: String,
    /// Kind, as a regular expression.
    "kind" => kind: String,
    /// Name, as a regular expression.
    "name" => name: String,
    /// Namespace, as a regular expression.
    "namespace" => namespace: String,
    /// Annotations, in the notation for selectors of labels.
    "annotationSelector" => annotation_selector: String,
    /// Labels.
    "labelSelector" => label_selector: String,
}
}

settings! {
/// An image.
pub struct Image {
    /// Its name without tag and digest.
    "name" => name: String,
    /// Another name.
    "newName" => new_name: String,
    /// Put behind the tag.
    "tagSuffix" => tag_suffix: String,
    /// Another tag.
    "newTag" => new_tag: String,
    /// A digest.
    "digest" => digest: String,
}
}

settings! {
/// Number of replicas of a resource.
pub struct Replica {
    /// Name of the resource.
    "name" => name: String,
    /// The number.
    "count" => count: i64,
}
}

settings! {
/// Order of the output.
pub struct SortOptions {
    /// `legacy` or `fifo`.
    "order" => order: String,
    /// Which kinds come first and last.
    "legacySortOptions" => legacy: Option<LegacySortOptions>,
}
}

settings! {
/// Which kinds come first and last.
pub struct LegacySortOptions {
    /// Those that come first.
    "orderFirst" => order_first: Vec<String>,
    /// Those that come last.
    "orderLast" => order_last: Vec<String>,
}
}

settings! {
/// A ConfigMap or a Secret to make.
pub struct GeneratorArgs {
    /// Name, to which a hash is added.
    "name" => name: String,
    /// Namespace.
    "namespace" => namespace: String,
    /// `create`, `merge` or `replace`.
    "behavior" => behavior: String,
    /// `key=value`.
    "literals" => literals: Vec<String>,
    /// `path` or `key=path`.
    "files" => files: Vec<String>,
    /// Files with lines of `key=value`.
    "envs" => envs: Vec<String>,
    /// One more of them. Deprecated.
    "env" => env: String,
    /// Options.
    "options" => options: Option<GeneratorOptions>,
    /// Type of a Secret.
    "type" => secret_type: String,
}
}

settings! {
/// Options of a generator.
pub struct GeneratorOptions {
    /// Labels to set.
    "labels" => labels: BTreeMap<String, String>,
    /// Annotations to set.
    "annotations" => annotations: BTreeMap<String, String>,
    /// Whether the name gets no hash.
    "disableNameSuffixHash" => disable_name_suffix_hash: bool,
    /// Whether it is immutable.
    "immutable" => immutable: bool,
}
}

settings! {
/// A value to copy from field to field.
pub struct Replacement {
    /// Where the value is.
    "source" => source: Option<ReplacementSource>,
    /// Where it goes.
    "targets" => targets: Vec<ReplacementTarget>,
    /// The value itself.
    "sourceValue" => source_value: Option<String>,
    /// File with replacements.
    "path" => path: String,
}
}

settings! {
/// Where the value of a replacement is.
pub struct ReplacementSource {
    /// Group.
    "group" => group: String,
    /// Version.
    "version" => version: String,
    /// Kind.
    "kind" => kind: String,
    /// Name.
    "name" => name: String,
    /// Namespace.
    "namespace" => namespace: String,
    /// The field.
    "fieldPath" => field_path: String,
    /// Which part of it.
    "options" => options: Option<FieldOptions>,
}
}

settings! {
/// Where the value of a replacement goes.
pub struct ReplacementTarget {
    /// Selects resources.
    "select" => select: Option<Selector>,
    /// Selects resources that are left out.
    "reject" => reject: Vec<Selector>,
    /// The fields.
    "fieldPaths" => field_paths: Vec<String>,
    /// Which part of them.
    "options" => options: Option<FieldOptions>,
}
}

settings! {
/// Part of a field.
pub struct FieldOptions {
    /// What separates its parts.
    "delimiter" => delimiter: String,
    /// Number of the part.
    "index" => index: i64,
    /// How the value is encoded.
    "encoding" => encoding: String,
    /// Whether a field that is missing is made.
    "create" => create: bool,
}
}

settings! {
/// A value for `$(NAME)`.
pub struct Var {
    /// The name.
    "name" => name: String,
    /// The resource.
    "objref" => object: VarObject,
    /// The field.
    "fieldref" => field: VarField,
}
}

settings! {
/// The resource that a variable is taken from.
pub struct VarObject {
    /// API version, instead of group and version.
    "apiVersion" => api_version: String,
    /// Group.
    "group" => group: String,
    /// Version.
    "version" => version: String,
    /// Kind.
    "kind" => kind: String,
    /// Name.
    "name" => name: String,
    /// Namespace.
    "namespace" => namespace: String,
}
}

settings! {
/// The field that a variable is taken from.
pub struct VarField {
    /// Path to it; `metadata.name` if it is empty.
    "fieldPath" => field_path: String,
}
}

impl Kustomization {
    /// Reads the content of a kustomization file.
    pub fn parse(text: &str) -> Result<Self, KustomizeError> {
        let value = super::read::settings(text)?.unwrap_or_else(|| Value::Map(Map::new()));
        let mut kustomization: Self = super::decode::Decode::decode(&value)?;
        kustomization.normalize();
        // A field that is there counts, even a list with nothing in it.
        let mut given = value.as_map().into_iter().flat_map(Map::iter).filter(|(key, value)| {
            !(value.is_null()
                || value.as_str() == Some("")
                || ["apiversion", "kind"].contains(&key.to_lowercase().as_str()))
        });
        if given.next().is_none() {
            return Err(KustomizeError::new("the kustomization is empty; name `resources` in it, or remove the file"));
        }
        kustomization.check()?;
        Ok(kustomization)
    }

    /// Whether it is a component.
    pub fn is_component(&self) -> bool {
        self.kind == COMPONENT
    }

    /// Moves what deprecated fields say to those that replaced them.
    fn normalize(&mut self) {
        if self.kind.is_empty() {
            "Kustomization".clone_into(&mut self.kind);
        }
        let mut bases = std::mem::take(&mut self.bases);
        self.resources.append(&mut bases);
        let mut tags = std::mem::take(&mut self.image_tags);
        self.images.append(&mut tags);
        for generator in self.config_map_generator.iter_mut().chain(&mut self.secret_generator) {
            if !generator.env.is_empty() {
                generator.envs.push(std::mem::take(&mut generator.env));
            }
        }
    }

    fn check(&self) -> Result<(), KustomizeError> {
        let version = match self.kind.as_str() {
            "Kustomization" => VERSION,
            COMPONENT => COMPONENT_VERSION,
            _ => return Err(KustomizeError::new("`Kustomization` or `Component` is needed").in_field("kind")),
        };
        if !self.api_version.is_empty() && self.api_version != version {
            return Err(
                KustomizeError::new(format!("`{version}` is needed for the kind {}", self.kind)).in_field("apiVersion")
            );
        }
        if let Some(index) = self.config_map_generator.iter().position(|args| !args.secret_type.is_empty()) {
            return Err(KustomizeError::new("a ConfigMap has no type; remove the field")
                .in_field(&format!("configMapGenerator[{index}].type")));
        }
        Ok(())
    }
}
