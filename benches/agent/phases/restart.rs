//! SIGKILL and start, with an edit while the agent is not back yet.

use anyhow::ensure;

use super::edits::{edit_and_wait, place, settled};
use crate::process::{Agent, Counts};
use crate::report::{Report, Row};
use crate::rig::Rig;
use crate::stats::median;
use crate::work;

/// Kills the agent, starts it, and edits an object at once.
pub(crate) async fn run(rig: &mut Rig, report: &mut Report) -> anyhow::Result<()> {
    let (mut healed, mut after_lead, mut leading, mut writes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut told = String::new();
    for round in 0..rig.options.restarts {
        let Some(main) = &mut rig.main else { anyhow::bail!("there was no cold run") };
        main.agent.kill()?;
        main.agent = Agent::start(&main.site.setup)?;
        let main = rig.main()?;
        let (app, map) = place(main, round);
        let mut follow = main.maps.follow();
        let started = main.agent.started;
        let edited = started.elapsed();
        let edit = edit_and_wait(&rig.client, &mut follow, &app, &map, work::COLOUR);
        let (lasted, led) = tokio::join!(edit, main.agent.leading());
        let (reverted, led) = (edited + lasted?.from_request, led?.duration_since(started));
        healed.push(reverted.as_secs_f64());
        leading.push(led.as_secs_f64());
        after_lead.push(reverted.saturating_sub(led).as_secs_f64());
        settled(rig, main).await?;
        let spent = main.agent.since(&Counts::none(started))?;
        ensure!(spent.object_writes() >= 1, "the revert was not counted: {}", spent.describe());
        writes.push((spent.object_writes() - 1) as f64);
        told = spent.describe();
    }
    let row = Row::new("SIGKILL, start, first edit → reverted", median(&healed), 2, "s");
    report.add(row.peers("158 s", "219 s").target("1 s plus the Lease"));
    report.add(Row::new("restart: start → leading", median(&leading), 2, "s"));
    report.add(Row::new("restart: leading → reverted", median(&after_lead), 2, "s").target("under 1 s"));
    let row =
        Row::new("restart: other write-verb requests for objects, worst", crate::stats::quantile(&writes, 1.0), 0, "");
    report.add(row.peers("1,682", "1,202").target("0"));
    report.note("restart: all requests of the last one", told);
    Ok(())
}
