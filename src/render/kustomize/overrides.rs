//! `spec.source.kustomize`: what an Application changes in the kustomization that it names, as Argo CD does with
//! `kustomize edit` before it builds.

use std::collections::BTreeMap;

use super::decode::{Decode, DecodeError, settings};
use super::error::KustomizeError;
use super::images::split;
use super::json::from_json;
use super::kustomization::{Image, Kustomization, Labels, Patch, Replica};
use super::value::Value;

/// Says that a part of an image stays as the kustomization has it.
const KEEP: &str = "*";

settings! {
/// What an Application changes in a kustomization.
pub struct Overrides {
    /// Put before names.
    "namePrefix" => name_prefix: String,
    /// Put behind names.
    "nameSuffix" => name_suffix: String,
    /// Images, as `name=other:tag`, `name:tag` or `name@digest`.
    "images" => images: Vec<String>,
    /// Numbers of replicas.
    "replicas" => replicas: Vec<ReplicaCount>,
    /// Labels.
    "commonLabels" => common_labels: BTreeMap<String, String>,
    /// Whether labels of the kustomization may be replaced.
    "forceCommonLabels" => force_common_labels: bool,
    /// Whether selectors and templates get no labels.
    "labelWithoutSelector" => label_without_selector: bool,
    /// Whether templates get labels, although selectors get none.
    "labelIncludeTemplates" => label_include_templates: bool,
    /// Annotations.
    "commonAnnotations" => common_annotations: BTreeMap<String, String>,
    /// Whether annotations of the kustomization may be replaced.
    "forceCommonAnnotations" => force_common_annotations: bool,
    /// Whether variables in annotations are replaced.
    "commonAnnotationsEnvsubst" => common_annotations_envsubst: bool,
    /// Namespace.
    "namespace" => namespace: String,
    /// Patches.
    "patches" => patches: Vec<Patch>,
    /// Components.
    "components" => components: Vec<String>,
    /// Whether components that aren't there are left out.
    "ignoreMissingComponents" => ignore_missing_components: bool,
    /// Version of kustomize.
    "version" => version: String,
    /// Version of Kubernetes, for Helm charts.
    "kubeVersion" => kube_version: String,
    /// API versions, for Helm charts.
    "apiVersions" => api_versions: Vec<String>,
}
}

settings! {
/// Number of replicas of a resource.
pub struct ReplicaCount {
    /// Name of the resource.
    "name" => name: String,
    /// The number.
    "count" => count: Count,
}
}

/// A number, which may be written as a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count(pub i64);

impl Decode for Count {
    fn decode(value: &Value) -> Result<Self, DecodeError> {
        let text = value.as_str().and_then(|text| text.parse().ok());
        text.map_or_else(|| i64::decode(value), Ok).map(Self)
    }
}

impl Overrides {
    /// Reads `spec.source.kustomize`. `expand` replaces the variables of Argo CD's build environment.
    pub fn parse(value: &serde_json::Value, mut expand: impl FnMut(&str) -> String) -> Result<Self, KustomizeError> {
        let mut overrides = Self::decode(&from_json(value)).map_err(KustomizeError::from)?;
        if !is_ours(&overrides.version) {
            return Err(KustomizeError::new(
                "kustomizations are built as kustomize 5.8 builds them, and no other version can be chosen; remove the field",
            )
            .in_field("version"));
        }
        let annotations = overrides.common_annotations.values_mut().filter(|_| overrides.common_annotations_envsubst);
        for text in overrides.images.iter_mut().chain(overrides.common_labels.values_mut()).chain(annotations) {
            *text = expand(text);
        }
        Ok(overrides)
    }

    /// Changes `kustomization`, but for the components.
    pub fn apply(&self, kustomization: &mut Kustomization) -> Result<(), KustomizeError> {
        for (text, field) in [
            (&self.name_prefix, &mut kustomization.name_prefix),
            (&self.name_suffix, &mut kustomization.name_suffix),
            (&self.namespace, &mut kustomization.namespace),
        ] {
            if !text.is_empty() {
                field.clone_from(text);
            }
        }
        self.set_images(kustomization)?;
        if !self.replicas.is_empty() {
            let mut replicas: BTreeMap<_, _> =
                kustomization.replicas.drain(..).map(|replica| (replica.name.clone(), replica)).collect();
            for ReplicaCount { name, count } in &self.replicas {
                replicas.insert(name.clone(), Replica { name: name.clone(), count: count.0 });
            }
            kustomization.replicas = replicas.into_values().collect();
        }
        self.set_labels(kustomization)?;
        for (key, text) in &self.common_annotations {
            set(&mut kustomization.common_annotations, key, text, self.force_common_annotations)
                .map_err(|error| error.in_field("commonAnnotations"))?;
        }
        kustomization.patches.extend(self.patches.iter().cloned());
        Ok(())
    }

    fn set_images(&self, kustomization: &mut Kustomization) -> Result<(), KustomizeError> {
        if self.images.is_empty() {
            return Ok(());
        }
        let mut images = BTreeMap::new();
        for (index, text) in self.images.iter().enumerate() {
            let image = parse_image(text).map_err(|error| error.in_field(&format!("images[{index}]")))?;
            images.insert(image.name.clone(), image);
        }
        for there in kustomization.images.drain(..) {
            match images.get_mut(&there.name) {
                Some(image) => {
                    for (part, kept) in [
                        (&mut image.new_name, &there.new_name),
                        (&mut image.new_tag, &there.new_tag),
                        (&mut image.digest, &there.digest),
                    ] {
                        if part == KEEP {
                            part.clone_from(kept);
                        }
                    }
                }
                None => _ = images.insert(there.name.clone(), there),
            }
        }
        for image in images.values_mut() {
            for part in [&mut image.new_name, &mut image.new_tag, &mut image.digest] {
                if part == KEEP {
                    part.clear();
                }
            }
        }
        kustomization.images = images.into_values().collect();
        Ok(())
    }

    fn set_labels(&self, kustomization: &mut Kustomization) -> Result<(), KustomizeError> {
        if self.common_labels.is_empty() {
            return Ok(());
        }
        let pairs = if self.label_without_selector {
            let same = |labels: &&mut Labels| {
                !labels.include_selectors && labels.include_templates == self.label_include_templates
            };
            if kustomization.labels.iter_mut().find(same).is_none() {
                let include_templates = self.label_include_templates;
                kustomization.labels.push(Labels { include_templates, ..Labels::default() });
            }
            kustomization.labels.iter_mut().find(same).map(|labels| &mut labels.pairs)
        } else if self.label_include_templates {
            return Err(KustomizeError::new("this needs `labelWithoutSelector: true`; set it, or remove the field")
                .in_field("labelIncludeTemplates"));
        } else {
            Some(&mut kustomization.common_labels)
        };
        let Some(pairs) = pairs else { return Ok(()) };
        for (key, text) in &self.common_labels {
            set(pairs, key, text, self.force_common_labels).map_err(|error| error.in_field("commonLabels"))?;
        }
        Ok(())
    }
}

/// Whether a version of kustomize is the one whose output this is: none, or any patch release of 5.8.
fn is_ours(version: &str) -> bool {
    let version = version.strip_prefix('v').unwrap_or(version);
    let patch = version.strip_prefix("5.8");
    version.is_empty()
        || patch.is_some_and(|patch| {
            let number = patch.strip_prefix('.').unwrap_or("0");
            !number.is_empty()
                && number.bytes().all(|digit| digit.is_ascii_digit())
                && (patch.is_empty() || patch.starts_with('.'))
        })
}

fn set(pairs: &mut BTreeMap<String, String>, key: &str, text: &str, force: bool) -> Result<(), KustomizeError> {
    if !force && pairs.contains_key(key) {
        return Err(KustomizeError::new(
            "the kustomization sets it already; remove it there or here, or set `forceCommonLabels` or `forceCommonAnnotations`",
        )
        .in_field(key));
    }
    pairs.insert(key.to_owned(), text.to_owned());
    Ok(())
}

/// Reads `name=other:tag@digest`, in which either the part in front of `=` or that behind the name may be left out.
fn parse_image(text: &str) -> Result<Image, KustomizeError> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (Some(key), value),
        None => (None, text),
    };
    let (name, tag, digest) = split(value);
    if key.is_none() && tag.is_empty() && digest.is_empty() {
        return Err(KustomizeError::new("`name:tag`, `name@digest` or `name=other:tag` is needed"));
    }
    let (name, new_name) = key.map_or((name, ""), |key| (key, name));
    let [name, new_name, new_tag, digest] = [name, new_name, tag, digest].map(str::to_owned);
    Ok(Image { name, new_name, new_tag, digest, tag_suffix: String::new() })
}
