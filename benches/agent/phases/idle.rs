//! Nothing happens, in Git or in the cluster.

use super::cold::{CALM, REST};
use crate::process::is_write;
use crate::report::{Report, Row};
use crate::rig::Rig;

/// Watches the agent do nothing.
pub(crate) async fn run(rig: &mut Rig, report: &mut Report) -> anyhow::Result<()> {
    let main = rig.main()?;
    // Without them nothing rolls out.
    if rig.options.controllers == "*" {
        rig.healthy(&main.site).await?;
    }
    main.agent.quiet(CALM, REST).await?;
    let (before, served) = (main.agent.counts()?, rig.served().await?);
    tokio::time::sleep(rig.options.idle()).await;
    let (spent, served) = (main.agent.since(&before)?, rig.served().await? - served);
    rig.verify(&main.site).await?;
    let minutes = spent.seconds / 60.0;
    let total = spent.count(|_, _| true) as f64;
    report.note(format!("idle: requests in {minutes:.1} min"), spent.describe());
    report.add(Row::new("idle: requests per minute", total / minutes, 1, "").peers("16", "4,244"));
    report.note("idle: requests, and as the API server counts them", format!("{total:.0}, {served:.0}"));
    let other = spent.count(|verb, resource| is_write(verb) && !resource.starts_with("leases"))
        + spent.count(|verb, _| matches!(verb, "get" | "list"))
        - spent.count(|verb, resource| verb == "get" && resource.starts_with("leases"));
    report.add(Row::new("idle: requests for anything but Lease and watches", other as f64, 0, "").target("0"));
    report.add(Row::new("idle: CPU", spent.cpu / spent.seconds * 100.0, 2, "%").peers("1.1 %", "91 %"));
    Ok(())
}
