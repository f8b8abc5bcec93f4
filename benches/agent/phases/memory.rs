//! Resident memory at other sizes, each with an agent that does nothing else.

use super::cold::{CALM, REST};
use crate::cluster::{self, Watch};
use crate::process::{Agent, Memory};
use crate::report::{Report, Row};
use crate::rig::Rig;

/// Objects of one application.
const OBJECTS: u32 = 40;

/// Syncs that many objects with a fresh agent, and lets it come to rest.
pub(crate) async fn run(rig: &mut Rig, report: &mut Report) -> anyhow::Result<()> {
    let mut last: Option<(u32, (Memory, Memory))> = None;
    for size in rig.options.memory.clone() {
        let site = rig.site(&format!("memory-{size}"), size.div_ceil(OBJECTS), OBJECTS.min(size)).await?;
        let apps = Watch::start(rig.client.clone(), &cluster::applications(), "").await?;
        let mut agent = Agent::start(&site.setup)?;
        agent.leading().await?;
        let took = rig.sync(&site, &apps).await?;
        agent.quiet(CALM, REST).await?;
        let synced = agent.memory()?;
        let total = site.names.len() as u32 * site.objects;
        report.add(Row::new(format!("RSS at {total} objects"), synced.resident / 1e6, 1, "MB"));
        report.add(Row::new(format!("cold: {total} objects"), took.as_secs_f64(), 1, "s"));
        // What a restart finds in the store needs less than what a sync leaves behind.
        agent.kill()?;
        let agent = Agent::start(&site.setup)?;
        agent.leading().await?;
        agent.quiet(CALM, REST).await?;
        rig.verify(&site).await?;
        let resumed = agent.memory()?;
        report.add(Row::new(format!("RSS at {total} objects, after a restart"), resumed.resident / 1e6, 1, "MB"));
        if let Some((fewer, before)) = last.replace((total, (synced, resumed))) {
            let more = f64::from(total.saturating_sub(fewer)).max(1.0);
            let range = format!("{fewer} to {total} objects");
            let growth = |now: Memory, then: Memory| (now.anonymous - then.anonymous) / more;
            let row = Row::new(format!("RSS per object, {range}"), growth(synced, before.0), 0, "B");
            report.add(row.target("at most 400 B"));
            let row = Row::new(format!("RSS per object, {range}, after a restart"), growth(resumed, before.1), 0, "B");
            report.add(row.target("at most 400 B"));
        }
    }
    Ok(())
}
