//! What has to be there before the agent begins: the shared key, the served kinds, and the store.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::outside::{OpenStore, Outside};
use super::settings::Settings;
use crate::cluster::discovery::DiscoveryHandle;
use crate::cluster::hash_key;
use crate::engine::backoff::Backoff;
use crate::engine::hash::HashKey;
use crate::engine::record::StoreSnapshot;
use crate::store::Store;

/// Waits between tries of what has to work before the agent can begin.
const STARTING: Backoff =
    Backoff { initial: Duration::from_millis(200), factor: 2, max: Duration::from_secs(10), jitter: 20 };
/// What is there before the agent begins: the shared key, the served kinds, and the store.
pub(super) struct Beginning {
    /// Key of the hashes of Secrets, shared by the replicas.
    pub(super) hash_key: HashKey,
    /// The served kinds.
    pub(super) discovery: Arc<DiscoveryHandle>,
    /// The store, or why there is none.
    pub(super) store: Result<Arc<Store>, String>,
    /// What was in it.
    pub(super) snapshot: StoreSnapshot,
}

impl Beginning {
    /// Waits for the API server, and opens the store. `None`: the agent was stopped meanwhile.
    pub(super) async fn of(
        settings: &Settings,
        outside: &Outside,
        open: OpenStore,
        stopped: &CancellationToken,
    ) -> anyhow::Result<Option<Self>> {
        let opened = outside.blocking.run(move || open_store(open)).await.context("opening the store was stopped")?;
        let (store, snapshot) = opened?;
        let discovery = DiscoveryHandle::new(outside.clients.watch.clone());
        let namespace = settings.namespace();
        let timeout = settings.cluster.request_timeout;
        for attempt in 0u32.. {
            let key = hash_key::hash_key(&outside.clients.write, namespace, timeout, || outside.random.key());
            let ready = async { tokio::try_join!(key, discovery.refresh()) };
            let Some(result) = stopped.run_until_cancelled(ready).await else { return Ok(None) };
            match result {
                Ok((hash_key, _)) => return Ok(Some(Self { hash_key, discovery, store, snapshot })),
                Err(error) => tracing::warn!(error = %error.message, "the API server can't be used yet"),
            }
            let pause = tokio::time::sleep(STARTING.delay(attempt, outside.random.number()));
            if stopped.run_until_cancelled(pause).await.is_none() {
                return Ok(None);
            }
        }
        Ok(None)
    }
}

/// Opens the store and reads what the engine starts from. A store that can't be used is set aside by the store itself.
fn open_store(open: OpenStore) -> anyhow::Result<(Result<Arc<Store>, String>, StoreSnapshot)> {
    let (store, report) = open()?;
    if let Some(aside) = &report.set_aside {
        tracing::error!(
            reason = %aside.reason,
            kept = %aside.to.display(),
            "the store could not be used and was set aside; it is rebuilt from Git and the cluster, and nothing is pruned until \
             every kind was searched"
        );
    }
    if report.created && report.set_aside.is_none() {
        tracing::info!(
            "a new store was made; it is filled from Git and the cluster, and nothing is pruned until every kind was searched"
        );
    }
    match store.load() {
        Ok(snapshot) => Ok((Ok(Arc::new(store)), snapshot)),
        Err(error) => {
            tracing::error!(%error, "the store can't be read; going on without it");
            Ok((Err(error.to_string()), StoreSnapshot::default()))
        }
    }
}
