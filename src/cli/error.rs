//! How a command fails: one sentence of what is wrong, one of what to do.

use std::fmt::Display;
use std::process::ExitCode;

/// Exit code of a command that did not work.
const FAILURE: u8 = 1;
/// Exit code of a wrong command line, environment or settings file.
pub(super) const USAGE: u8 = 2;

/// Why a command failed.
#[derive(Debug)]
pub(super) struct CommandError {
    message: String,
    hint: Option<String>,
    code: u8,
}

impl CommandError {
    /// The command line, the environment or the settings file is wrong.
    pub(super) fn usage(problem: impl Display) -> Self {
        let hint = "`driftless <COMMAND> --help` lists what can be set".to_owned();
        Self { message: problem.to_string(), hint: Some(hint), code: USAGE }
    }

    /// It did not work.
    pub(super) fn failure(problem: impl Display) -> Self {
        Self { message: problem.to_string(), hint: None, code: FAILURE }
    }

    /// With advice on what to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints the error on standard error and gives the exit code.
    pub(super) fn print(&self) -> ExitCode {
        eprintln!("error: {}", self.message);
        if let Some(hint) = &self.hint {
            eprintln!("hint: {hint}");
        }
        ExitCode::from(self.code)
    }
}

impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        // The whole chain in one line: what was tried, and why it failed.
        Self::failure(format_args!("{error:#}"))
    }
}
