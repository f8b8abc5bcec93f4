//! A replica of the sandbox: the agent as `driftless run` runs it, which also ends when its standard input does. So none is
//! left behind, however the sandbox ends.

use std::io;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::cli::error::CommandError;
use crate::cli::run::run_until;
use crate::runtime::settings::Settings;

pub(super) fn run(settings: Settings) -> Result<ExitCode, CommandError> {
    let stopped = CancellationToken::new();
    let ended = stopped.clone();
    std::thread::spawn(move || {
        // Nothing is ever written to it, and an error is an end as well.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        ended.cancel();
    });
    run_until(settings, stopped)
}
