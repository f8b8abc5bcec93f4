//! ConfigMaps and Secrets that a kustomization makes.

use super::error::KustomizeError;
use super::kustomization::GeneratorArgs;
use super::load::Loader;
use super::resource::{Resource, Resources};
use super::schema::Schema;

/// Makes a resource of `kind` (`ConfigMap` or `Secret`) for the kustomization in `root`.
pub(super) fn generate(
    _kind: &str,
    _args: &GeneratorArgs,
    _root: &str,
    _loader: &mut Loader<'_, '_>,
    _schema: &Schema,
) -> Result<Resource, KustomizeError> {
    Err(KustomizeError::new("this field isn't supported yet; remove it"))
}

/// What becomes of `old` when `new`, whose behavior is to merge or to replace, is generated over it.
pub(super) fn combine(_old: &Resource, _new: Resource) -> Result<Resource, KustomizeError> {
    Err(KustomizeError::new("`behavior` isn't supported yet; remove it"))
}

/// Adds a hash of the content to the names of those that need one.
pub(super) fn add_hashes(_resources: &mut Resources) -> Result<(), KustomizeError> {
    Ok(())
}
