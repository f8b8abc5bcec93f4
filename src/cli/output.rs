//! Writing on standard output.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde::Serialize;

use super::error::CommandError;

/// Writes `text`. A reader that has gone (`driftless get apps | head`) is no failure.
pub(super) fn print(text: &str) -> Result<ExitCode, CommandError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::failure(format_args!("standard output can't be written: {error}")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// `value` as indented JSON with a line end.
pub(super) fn json(value: &impl Serialize) -> Result<String, CommandError> {
    let mut text = serde_json::to_string_pretty(value).map_err(CommandError::failure)?;
    text.push('\n');
    Ok(text)
}

/// `value` as YAML with a line end.
pub(super) fn yaml(value: &impl Serialize) -> Result<String, CommandError> {
    let mut text = serde_saphyr::to_string(value).map_err(CommandError::failure)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
