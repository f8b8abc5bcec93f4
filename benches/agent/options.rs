//! What is measured, and how much of it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Measures the agent on a real API server.
#[derive(Clone, Debug, Parser)]
#[command(name = "agent")]
pub(crate) struct Options {
    /// Applications
    #[arg(long, env = "BENCH_APPS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) apps: u32,
    /// Objects of each application
    #[arg(long, env = "BENCH_OBJECTS", default_value_t = 40, value_parser = clap::value_parser!(u32).range(4..=10_000))]
    pub(crate) objects: u32,
    /// Phases, with commas between [default: all]; `cold` is run in any case if one needs it
    #[arg(long, env = "BENCH_PHASES", value_delimiter = ',')]
    phases: Vec<Phase>,
    /// Seconds that the idle agent is watched for
    #[arg(long, env = "BENCH_IDLE_SECONDS", default_value_t = 60)]
    idle_seconds: u64,
    /// Minutes that the idle agent is watched for, instead
    #[arg(long, env = "BENCH_IDLE_MINUTES")]
    idle_minutes: Option<u64>,
    /// Edits by hand, one after the other, each of another application
    #[arg(long, env = "BENCH_EDITS", default_value_t = 50)]
    pub(crate) edits: u32,
    /// Edits by hand within two seconds
    #[arg(long, env = "BENCH_BURST", default_value_t = 100)]
    pub(crate) burst: u32,
    /// Commits that change one object, and commits that change none
    #[arg(long, env = "BENCH_COMMITS", default_value_t = 10)]
    pub(crate) commits: u32,
    /// Restarts after SIGKILL
    #[arg(long, env = "BENCH_RESTARTS", default_value_t = 3)]
    pub(crate) restarts: u32,
    /// Sizes, in objects, at which memory is measured with an agent of its own
    #[arg(long, env = "BENCH_MEMORY", value_delimiter = ',', default_value = "200,5000")]
    pub(crate) memory: Vec<u32>,
    /// Controllers that run beside the API server, as kube-controller-manager's flag has them
    #[arg(long, env = "BENCH_CONTROLLERS", default_value = "*")]
    pub(crate) controllers: String,
    /// File for the figures as JSON
    #[arg(long, env = "BENCH_JSON")]
    pub(crate) json: Option<PathBuf>,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// One part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    /// The API server alone: what it takes at best.
    Bare,
    /// From created Applications to synced ones.
    Cold,
    /// Nothing happens.
    Idle,
    /// Edits by hand, one after the other.
    Edit,
    /// Edits of one object.
    Repeat,
    /// Many edits at once.
    Burst,
    /// Commits that change one object.
    Commit,
    /// Commits that touch no application.
    Untouched,
    /// SIGKILL and start.
    Restart,
    /// Two replicas, of which the leader is stopped or killed.
    Handover,
    /// RSS at other sizes.
    Memory,
}

impl Phase {
    /// Whether it works on what the cold run has made.
    const fn needs_cold(self) -> bool {
        !matches!(self, Self::Bare | Self::Memory | Self::Cold)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().unwrap().get_name())
    }
}

impl Options {
    /// The phases to be run, in order.
    pub(crate) fn phases(&self) -> Vec<Phase> {
        let all = Phase::value_variants();
        let chosen = |phase: &Phase| self.phases.is_empty() || self.phases.contains(phase);
        let cold = all.iter().any(|phase| chosen(phase) && phase.needs_cold());
        all.iter().copied().filter(|phase| chosen(phase) || (cold && *phase == Phase::Cold)).collect()
    }

    /// How long the idle agent is watched for.
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_minutes.map_or(self.idle_seconds, |minutes| minutes * 60))
    }

    /// Objects altogether.
    pub(crate) const fn total(&self) -> u32 {
        self.apps * self.objects
    }

    /// Whether the work is the one that the peers were measured on.
    pub(crate) const fn as_peers(&self) -> bool {
        self.apps == 50 && self.objects == 40
    }
}
