//! The agent: puts the parts together, and runs the one loop (event → step → effects) until it is told to stop.

mod agent;
mod beginning;
mod bodies;
mod clock;
mod executor;
mod journal;
pub mod outside;
pub(crate) mod remotes;
pub mod settings;
mod sources;
mod turn;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

pub use self::agent::{Agent, Showing};
use self::outside::Outside;
use self::settings::{Identity, Settings};
use crate::api::{Metrics, Server};
use crate::cluster::client::{ClientSettings, Clients};
use crate::cluster::observe::{RequestObserver, Verb};

/// How long the end of writes under way and the release of the Lease are waited for.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs the agent until SIGTERM or SIGINT, or until `stopped` is cancelled. Errors are of the settings or of this machine;
/// an API server or a repository that can't be reached is waited for.
pub async fn run(settings: Settings, stopped: CancellationToken) -> anyhow::Result<()> {
    stop_on_signal(stopped.clone())?;
    let (showing, state) = Showing::new();
    state.metrics.measure_store(settings.store_file());
    let observer = Arc::new(Observer(state.metrics.clone()));
    let server = Server::bind(settings.http.listen, settings.http.api_listen, state).await?;
    let serving = CancellationToken::new();
    let server = tokio::spawn(server.run(serving.clone()));

    let clients = Clients::connect(&client_settings(&settings), observer).await.context("the cluster can't be used")?;
    let outside = Outside::of_this_machine(&settings, clients);
    let store = outside::store_file(settings.store_file());
    Agent::new(settings, outside, showing, stopped).run(store).await?;
    serving.cancel();
    // The listeners close by themselves when the process ends.
    let _ = tokio::time::timeout(DRAIN, server).await;
    Ok(())
}

/// Has a token cancelled by SIGTERM or SIGINT.
fn stop_on_signal(stopped: CancellationToken) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be handled")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be handled")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = stopped.cancelled() => {}
        }
        tracing::info!("stopping");
        stopped.cancel();
    });
    Ok(())
}

/// Counts requests.
struct Observer(Arc<Metrics>);

impl RequestObserver for Observer {
    fn observed(&self, verb: Verb, resource: &str, code: Option<u16>, seconds: f64) {
        let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        self.0.observe_request(verb.as_str(), resource, code.unwrap_or_default(), duration);
    }
}

fn client_settings(settings: &Settings) -> ClientSettings {
    match settings.identity() {
        Identity::ServiceAccount => ClientSettings::default(),
        Identity::Kubeconfig { file, context } => {
            ClientSettings { kubeconfig: file.or_else(default_kubeconfig), context }
        }
    }
}

/// The kubeconfig that kubectl would use.
fn default_kubeconfig() -> Option<PathBuf> {
    let named = std::env::var_os("KUBECONFIG").filter(|name| !name.is_empty());
    let usual = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".kube/config"));
    named.map(PathBuf::from).or_else(usual)
}
