//! Variables: `$(NAME)` in fields of resources.

use super::accumulate::Accumulator;
use super::config::Config;
use super::error::KustomizeError;
use super::kustomization::Var;

/// Takes the variables of a kustomization, and marks the resources that they are taken from.
pub(super) fn add(_all: &mut Accumulator, vars: &[Var]) -> Result<(), KustomizeError> {
    if vars.is_empty() {
        return Ok(());
    }
    Err(KustomizeError::new("this field isn't supported yet; remove it").in_field("vars"))
}

/// Writes the values of the variables wherever they are named.
pub(super) fn resolve(_all: &mut Accumulator, _config: &Config) -> Result<(), KustomizeError> {
    Ok(())
}
