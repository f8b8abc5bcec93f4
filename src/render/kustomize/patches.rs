//! Patches of a kustomization.

use super::accumulate::{Builder, Target};
use super::error::KustomizeError;
use super::kustomization::Patch;
use super::resource::Resources;

/// Applies an entry of `patches`.
pub(super) fn apply(
    _builder: &mut Builder<'_, '_>,
    _target: &Target,
    _patch: &Patch,
    _resources: &mut Resources,
) -> Result<(), KustomizeError> {
    Err(KustomizeError::new("this field isn't supported yet; remove it"))
}

/// Applies `patchesStrategicMerge`.
pub(super) fn apply_strategic(
    _builder: &mut Builder<'_, '_>,
    _target: &Target,
    _patches: &[String],
    _resources: &mut Resources,
) -> Result<(), KustomizeError> {
    Err(KustomizeError::new("this field isn't supported yet; remove it").in_field("patchesStrategicMerge"))
}

/// Applies an entry of `patchesJson6902`.
pub(super) fn apply_json6902(
    _builder: &mut Builder<'_, '_>,
    _target: &Target,
    _patch: &Patch,
    _resources: &mut Resources,
) -> Result<(), KustomizeError> {
    Err(KustomizeError::new("this field isn't supported yet; remove it"))
}
