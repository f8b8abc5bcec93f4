//! `driftless sandbox`: an API server, a Git repository and two agents on this machine, to try things on.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::error::CommandError;
use crate::runtime::settings::Settings;

mod certificate;
mod client;
mod cluster;
mod drift;
mod folder;
mod front;
mod load;
mod objects;
mod progress;
mod replica;
mod replicas;
mod repository;
mod screen;
mod start;
mod state;
mod status;
mod tour;

/// Most objects of a load.
const MAX_OBJECTS: u32 = 200_000;
/// Most applications of a load.
const MAX_APPS: u32 = 2_000;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Sandbox {
    #[command(flatten)]
    start: Start,
    #[command(subcommand)]
    what: Option<What>,
}

/// What is started.
#[derive(Debug, Args)]
struct Start {
    /// Start nothing but the API server: a test double, without agents, repository and Applications
    #[arg(long)]
    no_agent: bool,
    /// Fill it with so many ConfigMaps of about 1 KB, as a load
    #[arg(long, value_name = "N", default_value = "0", value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_OBJECTS)))]
    objects: u32,
    /// Spread the load over so many Applications, each with a namespace of its own
    #[arg(long, value_name = "M", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_APPS)))]
    apps: u32,
    /// Port of the API server on 127.0.0.1; 0: any that is free
    #[arg(long, value_name = "PORT", default_value = "0")]
    port: u16,
    /// Folder for the kubeconfig, the repository and logs, which stays [default: driftless-sandbox in the folder for
    /// temporary files, which is removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Like --dir, and what the API server and the agents hold is kept there as well: the next start goes on from it
    #[arg(long, value_name = "DIR", conflicts_with = "dir")]
    data: Option<PathBuf>,
    /// What is told on standard output: text for people, or one line of JSON when everything is up
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// One line for programs
    Json,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Change the running sandbox by hand, behind the agents' back
    Drift(drift::Drift),
    /// Show the replicas of the running sandbox, and which one leads
    Status(status::Status),
    /// A replica: `driftless run` that also ends when its standard input does
    #[command(hide = true)]
    Replica(Box<Settings>),
}

impl Sandbox {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        match self.what {
            None => start::run(&self.start),
            Some(What::Drift(drift)) => drift.run(),
            Some(What::Status(status)) => status.run(),
            Some(What::Replica(settings)) => replica::run(*settings),
        }
    }
}
