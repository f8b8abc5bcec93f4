//! What a build writes down about itself on the resources: where each comes from, what changed it, who built it.

use super::kustomization::Kustomization;
use super::resource::{Resource, Resources};
use super::value::{Map, Value};
use super::write::{WriteError, to_yaml};
use crate::render::remote::RemoteFolder;

/// Annotation that says where a resource comes from.
const ORIGIN: &str = "config.kubernetes.io/origin";
/// Annotation that says what changed a resource.
const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";
/// Label that says who built it.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The version whose output this is, byte for byte.
const VERSION: &str = "kustomize-v5.8.2";
/// Annotations by which kustomize and its functions hand notes to each other, which no output has.
const NOTES: [&str; 19] = [
    "internal.config.kubernetes.io/previousKinds",
    "internal.config.kubernetes.io/previousNames",
    "internal.config.kubernetes.io/prefixes",
    "internal.config.kubernetes.io/suffixes",
    "internal.config.kubernetes.io/previousNamespaces",
    "internal.config.kubernetes.io/allowNameChange",
    "internal.config.kubernetes.io/allowKindChange",
    "internal.config.kubernetes.io/refBy",
    "internal.config.kubernetes.io/generatorBehavior",
    "internal.config.kubernetes.io/needsHashSuffix",
    "internal.config.kubernetes.io/path",
    "internal.config.kubernetes.io/index",
    "internal.config.kubernetes.io/seqindent",
    "internal.config.kubernetes.io/id",
    "internal.config.kubernetes.io/annotations-migration-resource-id",
    "config.kubernetes.io/path",
    "config.kubernetes.io/index",
    "config.k8s.io/id",
    "internal.config.kubernetes.io/helm-generated",
];

/// Where a resource or a change comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Path of the file, relative to the kustomization that is built, or to the root of the other repository.
    pub path: String,
    /// The other repository that it comes from, and the commit; empty if it comes from none.
    pub repository: [String; 2],
    /// Path of the kustomization that asked for it.
    pub configured_in: String,
    /// What in it did, as API version, kind, name and namespace.
    pub configured_by: Option<[String; 4]>,
}

impl Origin {
    /// Something below: a file or a folder.
    pub fn below(&self, path: &str) -> Self {
        let mut parts: Vec<&str> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." if parts.last().is_some_and(|last| *last != "..") => _ = parts.pop(),
                part => parts.push(part),
            }
        }
        Self { path: parts.join("/"), ..self.clone() }
    }

    /// A folder of another repository.
    pub fn of_remote(folder: &RemoteFolder) -> Self {
        let repository = [folder.clone_url.clone(), folder.remote.revision.to_string()];
        // Where the folder is the root, kustomize takes the stand-in for a folder that it is yet to make for a part of it.
        let path = if folder.folder.is_empty() { "notCloned" } else { &folder.folder };
        Self { path: path.to_owned(), repository, ..Self::default() }
    }

    /// What a field of the kustomization `file` makes or changes.
    pub fn built_in(&self, file: &str, kind: &str) -> Self {
        let configured_by = Some(["builtin".to_owned(), kind.to_owned(), String::new(), String::new()]);
        let configured_in = self.below(file).path;
        Self { path: String::new(), configured_in, configured_by, ..self.clone() }
    }

    /// What a generator or transformer makes or changes that is itself a resource.
    pub fn of_plugin(plugin: &Resource) -> Option<Self> {
        let texts = [plugin.api_version(), plugin.kind(), plugin.name(), plugin.namespace()];
        plugin.origin.as_ref().map(|origin| Self {
            path: String::new(),
            repository: origin.repository.clone(),
            configured_in: origin.path.clone(),
            configured_by: Some(texts.map(str::to_owned)),
        })
    }

    /// Its lines, in the order of the fields in kustomize.
    fn lines(&self) -> Result<Vec<String>, WriteError> {
        let mut lines = Vec::new();
        let line = |indent: &str, key: &str, text: &str| Ok(format!("{indent}{key}: {}", to_yaml(&Value::str(text))?));
        let [repository, commit] = &self.repository;
        let texts =
            [("path", &self.path), ("repo", repository), ("ref", commit), ("configuredIn", &self.configured_in)];
        for (key, text) in texts {
            if !text.is_empty() {
                lines.push(line("", key, text)?);
            }
        }
        if let Some(texts) = &self.configured_by {
            lines.push("configuredBy:\n".to_owned());
            for (key, text) in ["apiVersion", "kind", "name", "namespace"].into_iter().zip(texts) {
                if !text.is_empty() {
                    lines.push(line("  ", key, text)?);
                }
            }
        }
        Ok(lines)
    }
}

/// Whether the kustomization asks for `option`.
fn asks(kustomization: &Kustomization, option: &str) -> bool {
    kustomization.build_metadata.iter().any(|asked| asked == option)
}

/// Writes down that something changed all resources. Those that have no origin it must have made.
pub fn note(resources: &mut Resources, change: &Origin) {
    for resource in &mut resources.list {
        if resource.origin.is_none() {
            resource.origin = Some(change.clone());
        } else {
            resource.transformations.push(change.clone());
        }
        resource.rewrite_annotations();
    }
}

/// Takes the notes of the build off the resources, and writes onto them what the kustomization asks for.
pub fn finish(resources: &mut Resources, kustomization: &Kustomization, managed: bool) -> Result<(), WriteError> {
    let managed = managed || asks(kustomization, "managedByLabel");
    let origins = asks(kustomization, "originAnnotations");
    let transformations = asks(kustomization, "transformerAnnotations");
    for resource in &mut resources.list {
        let entries = resource.metadata_entries("annotations");
        let kept = entries.filter(|(key, _)| {
            !(NOTES.contains(key) || *key == ORIGIN && !origins || *key == TRANSFORMATIONS && !transformations)
        });
        let mut annotations: Vec<_> = kept.map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
        if let Some(origin) = resource.origin.as_ref().filter(|_| origins) {
            annotations.retain(|(key, _)| key != ORIGIN);
            annotations.push((ORIGIN.to_owned(), origin.lines()?.concat()));
        }
        if transformations && !resource.transformations.is_empty() {
            annotations.retain(|(key, _)| key != TRANSFORMATIONS);
            let mut text = String::new();
            for transformation in &resource.transformations {
                for (index, line) in transformation.lines()?.iter().enumerate() {
                    text.push_str(if index == 0 { "- " } else { "  " });
                    text.push_str(line);
                }
            }
            annotations.push((TRANSFORMATIONS.to_owned(), text));
        }
        resource.set_metadata_entries("annotations", annotations);
        if managed && let Some(metadata) = resource.metadata_mut() {
            let labels = metadata.get_or_insert_with("labels", || Value::Map(Map::new()));
            if labels.is_null() {
                *labels = Value::Map(Map::new());
            }
            if let Some(labels) = labels.as_map_mut() {
                labels.insert(MANAGED_BY, Value::str(VERSION));
            }
        }
    }
    Ok(())
}
