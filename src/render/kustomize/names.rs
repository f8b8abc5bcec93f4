//! Prefixes and suffixes of names.

use super::error::KustomizeError;
use super::field_spec::{FieldSpec, Missing, set_plain, visit};
use super::resource::{Gvk, Resources};

/// Kinds whose names stay: others rely on them.
const KEPT: [Gvk<'_>; 3] = [
    Gvk { group: "", version: "", kind: "CustomResourceDefinition" },
    Gvk { group: "apiregistration.k8s.io", version: "", kind: "APIService" },
    Gvk { group: "", version: "", kind: "Namespace" },
];

/// Which end of a name gets something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The front.
    Prefix,
    /// The back.
    Suffix,
}

/// Puts `affix` to one end of the names of `resources`, and of what else `specs` says.
pub fn affix(resources: &mut Resources, end: End, affix: &str, specs: &[FieldSpec]) -> Result<(), KustomizeError> {
    for resource in &mut resources.list {
        let original = resource.original_id().gvk;
        if KEPT.iter().any(|kept| original.is_selected_by(*kept)) {
            continue;
        }
        let selected: Vec<_> = specs.iter().filter(|spec| spec.is_for(original)).collect();
        for spec in selected {
            if spec.path == "metadata/name" && !affix.is_empty() {
                let affixes = match end {
                    End::Prefix => &mut resource.prefixes,
                    End::Suffix => &mut resource.suffixes,
                };
                affixes.push(affix.to_owned());
                resource.remember();
            }
            visit(resource, spec, Missing::Scalar, &mut |value| {
                let name = value.text().unwrap_or_default();
                let name = match end {
                    End::Prefix => format!("{affix}{name}"),
                    End::Suffix => format!("{name}{affix}"),
                };
                set_plain(value, &name)
            })?;
        }
        resource.settle_shared();
    }
    Ok(())
}
