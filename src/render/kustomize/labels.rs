//! Labels and annotations for all resources.

use std::collections::BTreeMap;

use super::config::Config;
use super::error::KustomizeError;
use super::field_spec::{FieldSpec, Missing, merge_specs, set_entry, visit};
use super::kustomization::Labels;
use super::resource::Resources;

/// Sets `entries` in the mappings at `specs`.
pub(super) fn set_entries(
    resources: &mut Resources,
    entries: &BTreeMap<String, String>,
    specs: &[FieldSpec],
) -> Result<(), KustomizeError> {
    for resource in &mut resources.list {
        for (key, text) in entries {
            let node = resource.share(text);
            for spec in specs {
                visit(resource, spec, Missing::Map, &mut |value| set_entry(value, key, text, node))?;
            }
        }
        resource.settle_shared();
    }
    Ok(())
}

/// The fields that `labels` go to.
pub(super) fn label_specs(labels: &Labels, config: &Config) -> Result<Vec<FieldSpec>, KustomizeError> {
    let mut specs = labels.fields.clone();
    merge_specs(&mut specs, &config.labels)?;
    if labels.include_selectors {
        merge_specs(&mut specs, &config.common_labels)?;
        return Ok(specs);
    }
    if labels.include_templates {
        merge_specs(&mut specs, &config.template_labels)?;
    }
    if labels.include_volume_claim_templates {
        merge_specs(&mut specs, &config.volume_claim_template_labels)?;
    }
    merge_specs(&mut specs, &[FieldSpec::new("", "", "", "metadata/labels", true)])?;
    Ok(specs)
}
