//! Selects resources by patterns of their names and by labels and annotations.

use super::error::KustomizeError;
use super::kustomization::Selector;
use super::label_selector::LabelSelector;
use super::pattern::Whole;
use super::resource::{Gvk, Id, Resource};

/// A selector that is ready to be used. What is `None` selects everything.
pub(super) struct Matcher {
    group: Option<Whole>,
    version: Option<Whole>,
    kind: Option<Whole>,
    name: Option<Whole>,
    namespace: Option<Whole>,
    labels: LabelSelector,
    annotations: LabelSelector,
}

impl Matcher {
    pub(super) fn new(selector: &Selector) -> Result<Self, KustomizeError> {
        let pattern = |field: &str, text: &str| {
            let compiled = (!text.is_empty()).then(|| Whole::new(text)).transpose();
            compiled.map_err(|reason| KustomizeError::new(reason).in_field(field))
        };
        let labels = |field: &str, text: &str| {
            LabelSelector::parse(text).map_err(|reason| {
                KustomizeError::new(format!("`{text}` is no selector of labels: {reason}")).in_field(field)
            })
        };
        Ok(Self {
            group: pattern("group", &selector.group)?,
            version: pattern("version", &selector.version)?,
            kind: pattern("kind", &selector.kind)?,
            name: pattern("name", &selector.name)?,
            namespace: pattern("namespace", &selector.namespace)?,
            labels: labels("labelSelector", &selector.label_selector)?,
            annotations: labels("annotationSelector", &selector.annotation_selector)?,
        })
    }

    /// Whether a resource is selected as the target of a patch: its first name or the one that it has now, and its first
    /// namespace or the one that it is in now, each for itself.
    pub(super) fn selects(&self, resource: &Resource) -> bool {
        let (first, now) = (resource.original_id(), resource.id());
        let either = |pattern: &Option<Whole>, first: &str, now: &str| matches(pattern, first) || matches(pattern, now);
        either(&self.namespace, first.namespace, now.namespace)
            && either(&self.name, first.name, now.name)
            && self.selects_gvk(resource.gvk())
            && self.selects_metadata(resource)
    }

    /// Whether something is selected by what it is called. Its namespace counts as it is written.
    pub(super) fn selects_id(&self, id: Id<'_>) -> bool {
        self.selects_gvk(id.gvk) && matches(&self.name, id.name) && matches(&self.namespace, id.namespace)
    }

    /// Whether labels and annotations are those that are asked for.
    pub(super) fn selects_metadata(&self, resource: &Resource) -> bool {
        let get = |field: &'static str| {
            move |key: &str| resource.metadata_entries(field).find(|(name, _)| *name == key).map(|(_, text)| text)
        };
        self.labels.matches(get("labels")) && self.annotations.matches(get("annotations"))
    }

    fn selects_gvk(&self, gvk: Gvk<'_>) -> bool {
        matches(&self.group, gvk.group) && matches(&self.version, gvk.version) && matches(&self.kind, gvk.kind)
    }
}

fn matches(pattern: &Option<Whole>, text: &str) -> bool {
    pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
}
