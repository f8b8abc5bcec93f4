//! `driftless run`.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::error::CommandError;
use super::logging;
use crate::runtime::settings::{Settings, Surroundings};

/// Most threads for blocking work (Git, rendering, the store) at the same time.
const MAX_BLOCKING_THREADS: usize = 64;
/// A thread for blocking work that has none for so long ends: each keeps memory of its own.
const IDLE_THREAD: std::time::Duration = std::time::Duration::from_secs(2);

pub(super) fn run(settings: Settings) -> Result<ExitCode, CommandError> {
    run_until(settings, CancellationToken::new())
}

/// Runs the agent until it is told to stop, by a signal or by cancelling the token.
pub(super) fn run_until(mut settings: Settings, stopped: CancellationToken) -> Result<ExitCode, CommandError> {
    settings.surroundings = Surroundings::detect();
    settings.check().map_err(CommandError::usage)?;
    logging::start(&settings.log).map_err(CommandError::usage)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        namespace = settings.namespace(),
        applications = ?settings.application_namespaces(),
        data_dir = %settings.cluster.data_dir.display(),
        "starting"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_keep_alive(IDLE_THREAD)
        .thread_name("driftless")
        .build()
        .map_err(|error| CommandError::failure(format_args!("threads can't be started: {error}")))?;
    runtime.block_on(crate::runtime::run(settings, stopped))?;
    Ok(ExitCode::SUCCESS)
}
