//! Commits: one that changes an object, and one that touches no application.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::cold::{CALM, REST};
use super::edits::{place, settled};
use crate::cluster;
use crate::process::{is_lease, is_write};
use crate::report::{Report, Row};
use crate::rig::{CONNECTIONS, Main, Rig, application_path};
use crate::stats::{median, millis, quantile};
use crate::work;

/// A commit must be served after so long.
const SERVED: Duration = Duration::from_secs(180);
/// The annotation that asks for a refresh.
const REFRESH: &str = "argocd.argoproj.io/refresh";
/// The ConfigMap that the commits change: each application has one with this number.
const CHANGED: u32 = 0;

/// Asks for a refresh of an Application.
async fn refresh(rig: &Rig, main: &Main, name: &str) -> anyhow::Result<()> {
    let path = application_path(&main.site.setup.namespace, name);
    let patch = json!({"metadata": {"annotations": {REFRESH: "normal"}}});
    cluster::edit(&rig.client, &path, &patch).await.map(|_| ())
}

/// Each commit changes one ConfigMap of another application, whose refresh is asked for.
pub(crate) async fn one_object(rig: &mut Rig, report: &mut Report) -> anyhow::Result<()> {
    let mut times = Vec::new();
    let before = rig.main()?.agent.counts()?;
    for round in 0..rig.options.commits {
        times.push(millis(commit_one(rig, round).await?));
    }
    let spent = rig.main()?.agent.since(&before)?;
    let p50 = Row::new("commit of 1 object, refresh → applied, p50", median(&times), 1, "ms");
    report.add(p50.peers("1.9 s", "46 to 53 s").target("200 ms"));
    report.add(Row::new("commit of 1 object, refresh → applied, worst", quantile(&times, 1.0), 1, "ms"));
    let writes = spent.object_writes() as f64 / f64::from(rig.options.commits);
    report.add(Row::new("commit of 1 object: writes of objects", writes, 2, "").target("1"));
    report.note(format!("{} commits of 1 object: requests", rig.options.commits), spent.describe());
    restore(rig).await
}

async fn commit_one(rig: &mut Rig, round: u32) -> anyhow::Result<Duration> {
    let Some(main) = &mut rig.main else { anyhow::bail!("there was no cold run") };
    let (app, _) = place(main, round);
    let (colour, index) = (format!("green-{round}"), CHANGED * 4 + 2);
    let text = work::yaml(&work::manifest(&app, index, &colour));
    let commit = main.site.repository.commit(&[(&work::file(&app, index), &text)], "one object");
    main.site.head = commit.as_str().to_owned();
    let main = rig.main()?;
    let mut follow = main.maps.follow();
    let mut apps = main.apps.follow();
    let begun = Instant::now();
    refresh(rig, main, &app).await?;
    let map = work::config_map(CHANGED);
    let applied = follow
        .until("the commit applied", SERVED, |seen| seen.is(&app, &map) && seen.value("/data/colour") == Some(&colour));
    let took = applied.await?.at.duration_since(begun);
    let head = &main.site.head;
    apps.until("the Application at the commit", SERVED, |seen| seen.name() == app && seen.synced(head)).await?;
    main.agent.quiet(CALM / 5, REST).await?;
    Ok(took)
}

/// Brings everything back to what it was in Git at first, so that the other phases find it.
async fn restore(rig: &mut Rig) -> anyhow::Result<()> {
    let rounds = rig.options.commits;
    let Some(main) = &mut rig.main else { anyhow::bail!("there was no cold run") };
    let places: BTreeSet<String> = (0..rounds).map(|round| place(main, round).0).collect();
    let index = CHANGED * 4 + 2;
    let files: Vec<(String, String)> = places
        .iter()
        .map(|app| (work::file(app, index), work::yaml(&work::manifest(app, index, work::COLOUR))))
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    main.site.head = main.site.repository.commit(&files, "as it was").as_str().to_owned();
    let main = rig.main()?;
    refresh_all(rig, main).await?;
    settled(rig, main).await
}

/// Asks for a refresh of every Application, and waits until each was served and names the newest commit.
async fn refresh_all(rig: &Rig, main: &Main) -> anyhow::Result<Duration> {
    let mut follow = main.apps.follow();
    let begun = Instant::now();
    let requests = futures_util::stream::iter(&main.site.names).map(|name| refresh(rig, main, name));
    requests.buffer_unordered(CONNECTIONS).try_collect::<Vec<()>>().await?;
    let mut open: BTreeSet<&str> = main.site.names.iter().map(String::as_str).collect();
    let last = follow.until("every refresh served", SERVED, |seen| {
        if seen.annotation(REFRESH).is_none() && seen.synced(&main.site.head) {
            open.remove(seen.name());
        }
        open.is_empty()
    });
    Ok(last.await?.at.duration_since(begun))
}

/// Commits beside the applications, each with a refresh of all of them.
pub(crate) async fn nothing(rig: &mut Rig, report: &mut Report) -> anyhow::Result<()> {
    let rounds = rig.options.commits.clamp(1, 5);
    let (mut times, mut cpu, mut last) = (Vec::new(), Vec::new(), None);
    for round in 0..rounds {
        let Some(main) = &mut rig.main else { anyhow::bail!("there was no cold run") };
        let text = format!("round {round}\n");
        main.site.head = main.site.repository.commit(&[("README.md", &text)], "a word").as_str().to_owned();
        let main = rig.main()?;
        main.agent.quiet(CALM / 5, REST).await?;
        let before = main.agent.counts()?;
        times.push(millis(refresh_all(rig, main).await?));
        main.agent.quiet(CALM / 5, REST).await?;
        let spent = main.agent.since(&before)?;
        cpu.push(spent.cpu);
        ensure!(spent.object_writes() == 0, "objects were written: {}", spent.describe());
        last = Some(spent);
    }
    let main = rig.main()?;
    settled(rig, main).await?;
    let figure = format!("commit that touches nothing, refresh of all {}: CPU", main.site.names.len());
    report.add(Row::new(figure, median(&cpu), 2, "s").peers("6.2 s", "77 s").target("under 0.1 s"));
    report.add(Row::new("commit that touches nothing: all served", median(&times), 0, "ms"));
    if let Some(spent) = last {
        let writes = spent.count(|verb, resource| is_write(verb) && !is_lease(resource));
        let row = Row::new("commit that touches nothing: write-verb requests", writes as f64, 0, "");
        report.add(row.peers("2,000", "2,000").target("the status writes"));
        report.note("commit that touches nothing: requests", spent.describe());
        let renders = spent.metric("driftless_renders_total");
        let hits = spent.metric("driftless_render_hits_total");
        let row =
            Row::text("commit that touches nothing: renderings", format!("{:.0}, {hits:.0} memoized", renders - hits));
        report.add(row.peers("all", "all").target("0"));
    }
    Ok(())
}
