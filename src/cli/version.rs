//! `driftless version`.

use std::process::ExitCode;

use super::{error::CommandError, output};

pub(super) fn run() -> Result<ExitCode, CommandError> {
    output::print(&format!("driftless {}\n", env!("CARGO_PKG_VERSION")))
}
