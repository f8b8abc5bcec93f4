//! `driftless crds`.

use std::process::ExitCode;

use super::error::CommandError;
use super::output;
use crate::cluster::crd::application_crd;

/// Prints the CustomResourceDefinitions as YAML documents, as `kubectl apply` takes it.
pub(super) fn run() -> Result<ExitCode, CommandError> {
    output::print(&format!("---\n{}", output::yaml(&application_crd())?))
}
