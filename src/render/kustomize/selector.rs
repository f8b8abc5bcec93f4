//! Selects resources by patterns of their names and by labels and annotations.

use regex::Regex;

use super::error::KustomizeError;
use super::kustomization::Selector;
use super::label_selector::LabelSelector;
use super::pattern;
use super::resource::{Gvk, Id, Resource};

/// A selector that is ready to be used. What is `None` selects everything.
pub(super) struct Matcher {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: LabelSelector,
    annotations: LabelSelector,
}

impl Matcher {
    pub(super) fn new(selector: &Selector) -> Result<Self, KustomizeError> {
        let regex = |field: &str, text: &str| {
            let compiled = (!text.is_empty()).then(|| pattern::whole(text)).transpose();
            compiled.map_err(|reason| KustomizeError::new(reason).in_field(field))
        };
        let labels = |field: &str, text: &str| {
            LabelSelector::parse(text).map_err(|reason| {
                KustomizeError::new(format!("`{text}` is no selector of labels: {reason}")).in_field(field)
            })
        };
        Ok(Self {
            group: regex("group", &selector.group)?,
            version: regex("version", &selector.version)?,
            kind: regex("kind", &selector.kind)?,
            name: regex("name", &selector.name)?,
            namespace: regex("namespace", &selector.namespace)?,
            labels: labels("labelSelector", &selector.label_selector)?,
            annotations: labels("annotationSelector", &selector.annotation_selector)?,
        })
    }

    /// Whether a resource is selected as the target of a patch: its first name or the one that it has now, and its first
    /// namespace or the one that it is in now, each for itself.
    pub(super) fn selects(&self, resource: &Resource) -> bool {
        let (first, now) = (resource.original_id(), resource.id());
        let either = |regex: &Option<Regex>, first: &str, now: &str| matches(regex, first) || matches(regex, now);
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

fn matches(regex: &Option<Regex>, text: &str) -> bool {
    regex.as_ref().is_none_or(|regex| regex.is_match(text))
}
