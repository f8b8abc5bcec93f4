//! The built agent at work on a real API server: the figures that the README states, each beside those of its peers.
//!
//! `cargo bench --bench agent` runs everything on 50 applications of 40 objects; `-- --help` lists what can be chosen.
//! Nothing counts unless the cluster then is as it should be, and every wait is bounded. What else runs on the machine
//! shows in the figures: the load is printed with them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod cluster;
mod options;
mod phases;
mod process;
mod report;
mod rig;
mod stats;
#[expect(dead_code, reason = "the tests use the rest")]
mod support;
mod work;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use self::options::{Options, Phase};
use self::report::Report;
use self::rig::Rig;

fn main() -> ExitCode {
    let options = Options::parse();
    support::init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut report = Report::new(&options);
    let result = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        // What was started is stopped in any case: when the run is dropped.
        tokio::select! {
            result = run(&options, &mut report) => result,
            _ = terminate.recv() => Err(anyhow::anyhow!("stopped by SIGTERM")),
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("stopped by Ctrl-C")),
        }
    });
    if let Err(error) = &result {
        report.failed("the run", error);
    }
    println!("\n{report}");
    if let Some(file) = &options.json {
        std::fs::write(file, report.json()).unwrap();
    }
    if report.complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let (bare, rest): (Vec<Phase>, Vec<Phase>) = options.phases().into_iter().partition(|phase| *phase == Phase::Bare);
    for phase in bare {
        println!("{phase}: begins, load {}", stats::load());
        phases::bare::run(options, report).await?;
    }
    if rest.is_empty() {
        return Ok(());
    }
    let mut rig = Rig::start(options).await?;
    report.server(rig.version().await?);
    for phase in rest {
        let begun = Instant::now();
        println!("{phase}: begins, load {}", stats::load());
        let result = match phase {
            Phase::Bare => unreachable!("it has run before, on control planes of its own"),
            Phase::Cold => phases::cold::run(&mut rig, report).await,
            Phase::Idle => phases::idle::run(&mut rig, report).await,
            Phase::Edit => phases::edits::one_by_one(&mut rig, report).await,
            Phase::Repeat => phases::edits::same_object(&mut rig, report).await,
            Phase::Burst => phases::edits::burst(&mut rig, report).await,
            Phase::Commit => phases::commits::one_object(&mut rig, report).await,
            Phase::Untouched => phases::commits::nothing(&mut rig, report).await,
            Phase::Restart => phases::restart::run(&mut rig, report).await,
            Phase::Handover => phases::handover::run(&mut rig, report).await,
            Phase::Memory => phases::memory::run(&mut rig, report).await,
        };
        println!("{phase}: ended after {:.1} s, load {}", begun.elapsed().as_secs_f64(), stats::load());
        if let Err(error) = result {
            report.failed(&phase.to_string(), &error);
            eprintln!("{}", rig.agent_log());
            if phase == Phase::Cold {
                break;
            }
        }
    }
    Ok(())
}
