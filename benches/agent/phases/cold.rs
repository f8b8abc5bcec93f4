//! From created Applications to synced ones.

use std::time::Duration;

use anyhow::Context as _;

use super::bare;
use crate::cluster::{self, Watch};
use crate::process::Agent;
use crate::report::{Report, Row};
use crate::rig::{CONNECTIONS, Main, Rig};
use crate::work::KINDS;

/// The agent is at rest when it has sent nothing for so long.
pub(crate) const CALM: Duration = Duration::from_secs(5);
/// It must have come to rest after so long.
pub(crate) const REST: Duration = Duration::from_secs(180);

/// Starts the agent, and gives it the work.
pub(crate) async fn run(rig: &mut Rig, report: &mut Report) -> anyhow::Result<()> {
    let site = rig.site("cold", rig.options.apps, rig.options.objects).await?;
    let apps = Watch::start(rig.client.clone(), &cluster::applications(), "").await?;
    let label = format!("driftless.dev/instance={}", site.setup.instance);
    let config_map = KINDS.iter().find(|kind| kind.kind == "ConfigMap").context("ConfigMaps are among the kinds")?;
    let resource = cluster::resource("", "v1", config_map.kind, config_map.plural);
    let maps = Watch::start(rig.client.clone(), &resource, &label).await?;
    let agent = Agent::start(&site.setup)?;
    agent.leading().await?;
    agent.quiet(CALM, REST).await?;
    rig.main = Some(Main { agent, site, apps, maps });
    let main = rig.main()?;

    let empty = main.agent.memory()?;
    let (before, served) = (main.agent.counts()?, rig.served().await?);
    let took = rig.sync(&main.site, &main.apps).await?.as_secs_f64();
    let spent = main.agent.since(&before)?;
    let total = f64::from(rig.options.total());
    report.add(Row::new("cold: created → all Synced", took, 2, "s").peers("85 s", "27 s"));
    report.add(Row::new("cold: objects/s", total / took, 0, "objects/s").peers("24", "73"));
    if let Some(bare) = report.number(bare::FIGURE) {
        let row = Row::new("cold: of what the API server takes", total / took / bare, 2, "× bare");
        report.add(row.peers("0.08 × bare", "0.21 × bare").target("at least 0.8 × bare"));
    }
    report.add(Row::new("cold: CPU", spent.cpu, 2, "s").peers("118 s", "28 s"));
    report.note("cold: requests", spent.describe());
    let under_way = spent.metric("driftless_effect_duration_seconds_sum{effect=\"apply\"}") / took;
    report.note("cold: applies under way on average", format!("{under_way:.1} of {CONNECTIONS}"));
    let applies = spent.object_writes() as f64;
    report.add(Row::new("cold: writes per object", applies / total, 3, "").target("1 (and the namespaces)"));
    let statuses = spent.count(|verb, resource| verb == "patch" && resource.starts_with("applications")) as f64;
    report.add(Row::new("cold: status writes per application", statuses / f64::from(rig.options.apps), 2, ""));

    main.agent.quiet(CALM, REST).await?;
    let full = main.agent.memory()?;
    let counted = main.agent.since(&before)?.count(|_, _| true);
    let by_server = rig.served().await? - served;
    report
        .note("cold: requests until at rest, and as the API server counts them", format!("{counted}, {by_server:.0}"));
    report.add(Row::new("RSS before", empty.resident / 1e6, 1, "MB").peers("220 MB", "153 MB"));
    report.add(Row::new("RSS after", full.resident / 1e6, 1, "MB").peers("533 MB", "208 MB").target("under 60 MB"));
    report.add(Row::new("RSS at its highest", full.highest / 1e6, 1, "MB"));
    let grown = full.anonymous - empty.anonymous;
    report.add(Row::new("of it allocated, after", full.anonymous / 1e6, 1, "MB"));
    report.add(
        Row::new("RSS per object, with what the first sync needs once", grown / total, 0, "B").peers("157 kB", "27 kB"),
    );
    let store = std::fs::metadata(main.site.setup.data.join("store.redb"))?.len();
    report.add(Row::new("store: file per object", store as f64 / total, 0, "B"));
    Ok(())
}
