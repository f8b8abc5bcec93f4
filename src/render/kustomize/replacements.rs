//! Values copied from field to field.

use super::accumulate::{Builder, Target};
use super::error::KustomizeError;
use super::kustomization::Replacement;
use super::resource::Resources;

/// Applies `replacements`.
pub(super) fn apply(
    _builder: &mut Builder<'_, '_>,
    _target: &Target,
    _replacements: &[Replacement],
    _resources: &mut Resources,
) -> Result<(), KustomizeError> {
    Err(KustomizeError::new("this field isn't supported yet; remove it").in_field("replacements"))
}
