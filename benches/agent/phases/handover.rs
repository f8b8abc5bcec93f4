//! Two replicas: how long nobody leads when the leader is stopped, and when it is killed.

use std::time::{Duration, Instant};

use super::edits::settled;
use crate::process::Agent;
use crate::report::{Report, Row};
use crate::rig::{Main, Rig};
use crate::stats::median;

/// How often each.
const ROUNDS: usize = 3;

/// SIGTERM and SIGKILL in turn; whoever was the standby leads next.
pub(crate) async fn run(rig: &mut Rig, report: &mut Report) -> anyhow::Result<()> {
    let Some(main) = &mut rig.main else { anyhow::bail!("there was no cold run") };
    let mut standby = replica(main, 0)?;
    standby.ready().await?;
    let (mut stopped, mut killed) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for sigkill in [false, true] {
            let begun = Instant::now();
            if sigkill {
                main.agent.kill()?;
            } else {
                main.agent.terminate()?;
            }
            let took = standby.leading().await?.duration_since(begun);
            (if sigkill { &mut killed } else { &mut stopped }).push(seconds(took));
            main.agent = standby;
            standby = replica(main, round * 2 + usize::from(sigkill) + 1)?;
            standby.ready().await?;
        }
    }
    drop(standby);
    let row = Row::new("two replicas: SIGTERM of the leader → the other leads", median(&stopped), 2, "s");
    report.add(row.target("under 1 s"));
    let row = Row::new("two replicas: SIGKILL of the leader → the other leads", median(&killed), 2, "s");
    report.add(row.target("1 s plus the Lease"));
    report.note("two replicas: each", format!("SIGTERM {stopped:.2?} s, SIGKILL {killed:.2?} s"));
    settled(rig, rig.main()?).await
}

/// Another replica of the main agent, with a disk of its own.
fn replica(main: &Main, number: usize) -> anyhow::Result<Agent> {
    let mut setup = main.site.setup.clone();
    setup.data = setup.data.with_file_name(format!("replica-{number}"));
    Agent::start(&setup)
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
