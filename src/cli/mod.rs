//! The command line: one file per command.
//!
//! Exit codes: 0, it worked; 1, it did not, or the probe found the agent unwell; 2, the command line, the environment or
//! the settings file is wrong.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::runtime::settings::{self, Settings};
use error::CommandError;

mod build;
mod crds;
mod disk;
mod error;
mod get;
mod helm;
mod http;
mod logging;
mod output;
mod probe;
mod run;
mod sandbox;
mod store;
mod table;
mod version;

/// A GitOps agent for Kubernetes: keeps each cluster equal to Git.
#[derive(Debug, Parser)]
#[command(name = "driftless", version, propagate_version = false, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent
    Run(Box<Settings>),
    /// Print the CustomResourceDefinitions as YAML
    Crds,
    /// Ask a running agent whether it is alive or ready; for container probes
    Probe(probe::Probe),
    /// Show what a running agent sees
    Get(get::Get),
    /// Look into an agent's store
    Store(store::Store),
    /// Print what a kustomization renders to
    Build(build::Build),
    /// Try it without a cluster: an API server, a repository and two agents on this machine
    Sandbox(Box<sandbox::Sandbox>),
    /// Print the version
    Version,
}

/// Runs the command that `args` (program name first) ask for, and says how it went. Errors are printed on standard error.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let done = match parse(&args) {
        Ok(cli) => cli.command.run(),
        Err(ParseError::Usage(error)) => {
            // clap prints help and version on standard output, errors on standard error. A closed pipe is no failure.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(error::USAGE));
        }
        Err(ParseError::File(error)) => Err(error),
    };
    match done {
        Ok(code) => code,
        Err(error) => error.print(),
    }
}

/// The whole command line of `driftless`.
pub fn command() -> clap::Command {
    // Help is pasted into issues: it names the environment's variables and not what is in them.
    Cli::command().mut_subcommands(|command| command.mut_args(|arg| arg.hide_env_values(true)))
}

impl Command {
    fn run(self) -> Result<ExitCode, CommandError> {
        match self {
            Self::Run(settings) => run::run(*settings),
            Self::Crds => crds::run(),
            Self::Probe(probe) => probe.run(),
            Self::Get(get) => get.run(),
            Self::Store(store) => store.run(),
            Self::Build(build) => build.run(),
            Self::Sandbox(sandbox) => sandbox.run(),
            Self::Version => version::run(),
        }
    }
}

enum ParseError {
    Usage(clap::Error),
    File(CommandError),
}

/// Parses once for the name of the settings file, and again with that file's values as defaults.
fn parse(args: &[OsString]) -> Result<Cli, ParseError> {
    let matches = command().try_get_matches_from(args).map_err(ParseError::Usage)?;
    let file = matches.subcommand_matches("run").and_then(|run| run.get_one::<PathBuf>("config")).cloned();
    let Some(file) = file else {
        return Cli::from_arg_matches(&matches).map_err(ParseError::Usage);
    };
    let mut read = Ok(());
    let command = command().mut_subcommand("run", |run| {
        settings::with_defaults(run.clone(), &file).unwrap_or_else(|error| {
            read = Err(error);
            run
        })
    });
    read.map_err(|error| ParseError::File(CommandError::usage(error)))?;
    // The first parse found nothing wrong, so what is wrong now stands in the file.
    let wrong = |error: clap::Error| {
        let text = error.to_string();
        let problem = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        ParseError::File(CommandError::usage(format!("settings file {}: {problem}", file.display())))
    };
    let matches = command.try_get_matches_from(args).map_err(wrong)?;
    Cli::from_arg_matches(&matches).map_err(wrong)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
