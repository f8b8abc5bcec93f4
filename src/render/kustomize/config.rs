//! Which fields the transformations are for: the built-in tables, and what files under `configurations` add.

use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};

use super::decode::{Decode, settings};
use super::error::KustomizeError;
use super::field_spec::{FieldSpec, merge_specs};
use super::order;
use super::resource::Gvk;

settings! {
/// Which fields the transformations are for.
pub struct Config {
    /// Names that get a prefix.
    "namePrefix" => name_prefix: Vec<FieldSpec>,
    /// Names that get a suffix.
    "nameSuffix" => name_suffix: Vec<FieldSpec>,
    /// Namespaces.
    "namespace" => namespace: Vec<FieldSpec>,
    /// Labels and selectors.
    "commonLabels" => common_labels: Vec<FieldSpec>,
    /// Labels of `labels`, whatever they include.
    "labels" => labels: Vec<FieldSpec>,
    /// Labels of the templates of pods.
    "templateLabels" => template_labels: Vec<FieldSpec>,
    /// Labels of the templates of volume claims.
    "volumeClaimTemplateLabels" => volume_claim_template_labels: Vec<FieldSpec>,
    /// Annotations.
    "commonAnnotations" => common_annotations: Vec<FieldSpec>,
    /// Names of other resources.
    "nameReference" => name_reference: Vec<NameReference>,
    /// Where variables stand.
    "varReference" => var_reference: Vec<FieldSpec>,
    /// Images.
    "images" => images: Vec<FieldSpec>,
    /// Numbers of replicas.
    "replicas" => replicas: Vec<FieldSpec>,
}
}

settings! {
/// Fields that hold the name of a resource of some kind.
pub struct NameReference {
    /// Group of that resource.
    "group" => group: String,
    /// Its version.
    "version" => version: String,
    /// Its kind.
    "kind" => kind: String,
    /// The fields.
    "fieldSpecs" => referrers: Vec<FieldSpec>,
}
}

impl NameReference {
    /// What the fields refer to.
    pub fn gvk(&self) -> Gvk<'_> {
        Gvk { group: &self.group, version: &self.version, kind: &self.kind }
    }
}

static BUILT_IN: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(super::defaults::defaults()));

fn compare(a: Gvk<'_>, b: Gvk<'_>) -> Ordering {
    order::compare_kinds(a, b)
}

impl Config {
    /// What kustomize knows without being told.
    pub fn built_in() -> Arc<Self> {
        Arc::clone(&BUILT_IN)
    }

    /// Reads a file of `configurations`.
    pub fn parse(text: &str) -> Result<Self, KustomizeError> {
        let mut config = match super::read::settings(text)? {
            Some(value) if !value.is_null() => Self::decode(&value)?,
            _ => Self::default(),
        };
        config.sort();
        Ok(config)
    }

    fn lists(&mut self) -> [&mut Vec<FieldSpec>; 11] {
        [
            &mut self.name_prefix,
            &mut self.name_suffix,
            &mut self.namespace,
            &mut self.common_labels,
            &mut self.labels,
            &mut self.template_labels,
            &mut self.volume_claim_template_labels,
            &mut self.common_annotations,
            &mut self.var_reference,
            &mut self.images,
            &mut self.replicas,
        ]
    }

    /// Orders each list by kind.
    pub(super) fn sort(&mut self) {
        for list in self.lists() {
            list.sort_by(|a, b| compare(a.gvk(), b.gvk()));
        }
        self.name_reference.sort_by(|a, b| compare(a.gvk(), b.gvk()));
    }

    /// Adds what `more` has and this lacks.
    pub fn merge(&mut self, more: &Self) -> Result<(), KustomizeError> {
        let mut incoming = more.clone();
        for (list, more) in self.lists().into_iter().zip(incoming.lists()) {
            merge_specs(list, more)?;
        }
        for reference in &more.name_reference {
            let same = self.name_reference.iter_mut().filter(|known| known.gvk() == reference.gvk());
            let mut found = false;
            for known in same {
                merge_specs(&mut known.referrers, &reference.referrers)?;
                found = true;
            }
            if !found {
                self.name_reference.push(reference.clone());
            }
        }
        Ok(())
    }
}
