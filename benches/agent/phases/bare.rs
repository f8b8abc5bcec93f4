//! What the API server takes from a client that does nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use http::Method;
use kube::Client;
use tokio::task::JoinSet;

use crate::cluster;
use crate::options::Options;
use crate::report::{Report, Row};
use crate::rig::{CONNECTIONS, Rig};
use crate::stats::median;
use crate::work::{self, COLOUR};

/// Name of the line that others refer to.
pub(crate) const FIGURE: &str = "bare: objects/s that the API server takes";
/// How often; the middle one counts.
const ROUNDS: u32 = 3;

/// As many connections as the agent uses apply the same objects by server-side apply. Each round has a control plane of
/// its own, as the agent finds it: what the API server takes depends on what it holds, since a Service gets its address by
/// a look at all others, and the controllers go on with an earlier round's workloads for minutes.
pub(crate) async fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        rates.push(one_round(&Rig::start(options).await?).await?);
    }
    let told: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    report.add(Row::new(FIGURE, median(&rates), 0, "objects/s").peers("304 to 349", "304 to 349"));
    report.note("bare: each round", told.join(", "));
    Ok(())
}

async fn one_round(rig: &Rig) -> anyhow::Result<f64> {
    let (apps, objects) = (rig.options.apps, rig.options.objects);
    let namespace = |app: u32| format!("bare-{app:03}");
    for app in 0..apps {
        rig.namespace(&namespace(app)).await?;
    }
    let next = Arc::new(AtomicU32::new(0));
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = rig.plane.client("admin").await;
        // The connection is there before the clock runs.
        client.apiserver_version().await?;
        clients.push(client);
    }
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for client in clients {
        let next = next.clone();
        workers.spawn(async move {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= apps * objects {
                    return anyhow::Ok(());
                }
                apply(&client, &namespace(index / objects), index % objects).await?;
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(f64::from(apps * objects) / begun.elapsed().as_secs_f64())
}

async fn apply(client: &Client, namespace: &str, index: u32) -> anyhow::Result<()> {
    let (kind, name) = work::object(index);
    let path = format!("{}/{name}?fieldManager=bare&force=true", kind.path(namespace));
    let manifest = work::manifest(namespace, index, COLOUR);
    cluster::send(client, Method::PATCH, &path, "application/apply-patch+yaml", &manifest).await.map(|_| ())
}
