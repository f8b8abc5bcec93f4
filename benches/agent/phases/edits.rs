//! Edits by hand, and how long they last.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _};
use kube::Client;
use serde_json::json;

use super::cold::{CALM, REST};
use crate::cluster::{self, Follow};
use crate::report::{Report, Row};
use crate::rig::{Main, Rig};
use crate::stats::{millis, quantile};
use crate::work::{self, KINDS};

/// What `colour` of a ConfigMap is after an edit.
pub(crate) const EDITED: &str = "red";
/// An edit must be reverted after so long.
const REVERT: Duration = Duration::from_secs(120);
/// Pause between edits that shall not meet.
const APART: Duration = Duration::from_millis(700);
/// Edits of one object.
const REPEATED: u32 = 5;
/// Time in which the edits of a burst are made.
const BURST: Duration = Duration::from_secs(2);

/// How long one edit lasted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lasted {
    /// From the moment at which its request was sent.
    pub(crate) from_request: Duration,
    /// From the moment at which its answer was there; zero if the revert was seen first.
    from_answer: Duration,
}

/// Edits a ConfigMap.
async fn edit(client: &Client, namespace: &str, name: &str) -> anyhow::Result<u64> {
    let maps = KINDS.iter().find(|kind| kind.kind == "ConfigMap").context("no ConfigMaps")?;
    let path = format!("{}/{name}", maps.path(namespace));
    let answer = cluster::edit(client, &path, &json!({"data": {"colour": EDITED}})).await?;
    let version = answer["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok());
    ensure!(answer["data"]["colour"] == EDITED, "the edit of {namespace}/{name} did not arrive");
    version.context("no resource version")
}

/// Edits a ConfigMap, and waits until the edit is reverted.
pub(crate) async fn edit_and_wait(
    client: &Client,
    follow: &mut Follow,
    namespace: &str,
    name: &str,
    colour: &str,
) -> anyhow::Result<Lasted> {
    let begun = Instant::now();
    let version = edit(client, namespace, name).await?;
    let answered = Instant::now();
    let what = format!("the edit of {namespace}/{name} reverted");
    let reverted = follow.until(&what, REVERT, |seen| {
        seen.is(namespace, name) && seen.resource_version() > version && seen.value("/data/colour") == Some(colour)
    });
    let at = reverted.await?.at;
    Ok(Lasted { from_request: at.duration_since(begun), from_answer: at.saturating_duration_since(answered) })
}

/// Each edit is of another application, as long as there are so many, and nothing else is going on.
pub(crate) async fn one_by_one(rig: &mut Rig, report: &mut Report) -> anyhow::Result<()> {
    let main = rig.main()?;
    let mut follow = main.maps.follow();
    let before = main.agent.counts()?;
    let mut all = Vec::new();
    for index in 0..rig.options.edits {
        let (app, map) = place(main, index);
        all.push(edit_and_wait(&rig.client, &mut follow, &app, &map, work::COLOUR).await?);
        tokio::time::sleep(APART).await;
    }
    settled(rig, main).await?;
    let spent = main.agent.since(&before)?;
    let requested: Vec<f64> = all.iter().map(|one| millis(one.from_request)).collect();
    let answered: Vec<f64> = all.iter().map(|one| millis(one.from_answer)).collect();
    let row = |name: &str, values: &[f64], share: f64| Row::new(name, quantile(values, share), 1, "ms");
    report.add(row("edit → reverted, p50", &requested, 0.5).peers("216 ms", "52 s").target("20 ms"));
    report.add(row("edit → reverted, p99", &requested, 0.99).peers("369 ms", "65 s").target("60 ms"));
    report.add(row("answer to the edit → reverted, p50", &answered, 0.5));
    report.add(row("answer to the edit → reverted, p99", &answered, 0.99));
    let writes = spent.object_writes() as f64 / all.len() as f64;
    report.add(Row::new("edit: writes per edit", writes, 2, "").target("1"));
    report.note(format!("edit: requests for {} edits", all.len()), spent.describe());
    Ok(())
}

/// The same object again and again, as fast as it is reverted.
pub(crate) async fn same_object(rig: &mut Rig, report: &mut Report) -> anyhow::Result<()> {
    let main = rig.main()?;
    let (app, map) = place(main, main.site.names.len() as u32 / 2);
    let mut follow = main.maps.follow();
    let mut times = Vec::new();
    for _ in 0..REPEATED {
        let lasted = edit_and_wait(&rig.client, &mut follow, &app, &map, work::COLOUR).await?;
        times.push(format!("{:.0}", millis(lasted.from_request)));
    }
    settled(rig, main).await?;
    let row = Row::text("five edits of one object, each → reverted", format!("{} ms", times.join(", ")));
    report.add(row.peers("16, 54, 162, 300, 300 s", "–").target("the fifth as the first"));
    Ok(())
}

/// Many edits of different objects within two seconds.
pub(crate) async fn burst(rig: &mut Rig, report: &mut Report) -> anyhow::Result<()> {
    let rig = &*rig;
    let main = rig.main()?;
    let maps = KINDS.iter().find(|kind| kind.kind == "ConfigMap").map_or(0, |kind| kind.share(main.site.objects));
    let count = rig.options.burst.min(maps * main.site.names.len() as u32);
    let mut follow = main.maps.follow();
    let before = main.agent.counts()?;
    let begun = Instant::now();
    let edits = futures_util::stream::iter(0..count).map(|index| {
        let (app, map) = place(main, index);
        async move {
            tokio::time::sleep_until((begun + BURST * index / count).into()).await;
            let version = edit(&rig.client, &app, &map).await?;
            anyhow::Ok(((app, map), version))
        }
    });
    // All of them sleep until their time has come.
    let edited: BTreeMap<_, _> = edits.buffer_unordered(count as usize).try_collect().await?;
    let sent = begun.elapsed();
    ensure!(edited.len() == count as usize, "{} different objects instead of {count}", edited.len());
    let mut open = edited;
    let last = follow.until("every edit reverted", REVERT, |seen| {
        let key = (seen.namespace().to_owned(), seen.name().to_owned());
        if open.get(&key).is_some_and(|version| seen.resource_version() > *version)
            && seen.value("/data/colour") == Some(work::COLOUR)
        {
            open.remove(&key);
        }
        open.is_empty()
    });
    let took = last.await?.at.duration_since(begun);
    settled(rig, main).await?;
    let spent = main.agent.since(&before)?;
    let figure = format!("{count} edits in {:.1} s → all back", sent.as_secs_f64());
    report.add(Row::new(figure, took.as_secs_f64(), 2, "s").peers("12 s", "70 s"));
    report.add(Row::new("burst: writes per edit", spent.object_writes() as f64 / f64::from(count), 2, "").target("1"));
    Ok(())
}

/// The `index`-th application, around, and another of its ConfigMaps each time around.
pub(crate) fn place(main: &Main, index: u32) -> (String, String) {
    let apps = main.site.names.len() as u32;
    let maps = KINDS.iter().find(|kind| kind.kind == "ConfigMap").map_or(1, |kind| kind.share(main.site.objects));
    let app = main.site.names.get((index % apps) as usize).cloned().unwrap_or_default();
    (app, work::config_map((index / apps) % maps))
}

/// Waits until everything is written, and checks that all is as Git has it.
pub(crate) async fn settled(rig: &Rig, main: &Main) -> anyhow::Result<()> {
    main.agent.quiet(CALM, REST).await?;
    rig.verify(&main.site).await
}
