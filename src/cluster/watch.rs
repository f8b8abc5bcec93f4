//! The watch of one kind: the objects of this installation, decoded to what decisions need.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::discovery::{Discovery, DiscoveryHandle};
use super::follow::{Closed, Delivery, Follower, Target};
use super::request::Refusal;
use crate::engine::decode::{DecodeContext, decode};
use crate::engine::event::{Event, RequestErrorReason, WatchEvent};
use crate::engine::hash::{Hash, HashKey};
use crate::engine::ids::Gvk;
use crate::engine::live::LiveObject;
use crate::engine::names;

pub use super::follow::{WatchCounters, WatchSettings};

/// What every reader of one cluster shares.
#[derive(Clone)]
pub struct Reader {
    /// Client for reads.
    pub client: Client,
    /// The served kinds.
    pub discovery: Arc<DiscoveryHandle>,
    /// Installation id: value of the label by which the API server filters.
    pub instance: Arc<str>,
    /// Key of the hashes of Secrets.
    pub hash_key: HashKey,
}

impl Reader {
    /// Label selector of what is ours.
    pub(super) fn selector(&self) -> String {
        format!("{}={}", names::INSTANCE_LABEL, self.instance)
    }

    /// Decodes an object of `gvk`. On failure the log tells which object it is, if that can be told, and nothing of its
    /// content: an error of a parser quotes what it stumbled over.
    pub(super) fn decode(&self, gvk: &Gvk, raw: &[u8]) -> Option<LiveObject> {
        let live = decode(raw, &DecodeContext { hash_key: &self.hash_key, gvk }).ok();
        if live.is_none() {
            let Named { metadata } = serde_json::from_slice(raw).unwrap_or_default();
            tracing::warn!(
                kind = %gvk,
                namespace = metadata.namespace.as_deref().unwrap_or_default(),
                name = metadata.name.as_deref().unwrap_or_default(),
                bytes = raw.len(),
                "skipped an object that can't be decoded"
            );
        }
        live
    }
}

#[derive(Default, Deserialize)]
struct Named {
    metadata: NamedMeta,
}

#[derive(Default, Deserialize)]
struct NamedMeta {
    namespace: Option<String>,
    name: Option<String>,
}

/// What a watch needs.
#[derive(Clone)]
pub struct WatchContext {
    /// The cluster.
    pub reader: Reader,
    /// Times and sizes.
    pub settings: WatchSettings,
    /// Seed of the jitter; each kind takes its own from it.
    pub seed: u64,
    /// Where the events go. The watch waits while it is full, so that a slow engine slows the reading.
    pub events: mpsc::Sender<Event>,
    /// Ends the watch.
    pub stopped: CancellationToken,
    /// What is counted.
    pub counters: Arc<WatchCounters>,
}

/// Watches `watch`, cluster-wide, from the resource version `from`, or from a full list. Sends `Event::Watch` only.
/// Returns when `context.stopped` is cancelled or nobody receives the events any more.
///
/// A full list is `ListStarted`, `Live`…, `ListDone`; a `ListStarted` that comes before the `ListDone` of the one before
/// replaces it. `Failed` is sent for each failed try; after it, positions and objects are as before. A kind that is not
/// served or forbidden is tried again about every minute, the former also whenever discovery changed.
pub async fn run(context: WatchContext, watch: Gvk, from: Option<u64>) {
    let own = Hash::of(watch.to_string().as_bytes());
    let seed = own.as_bytes().iter().fold(context.seed, |seed, byte| seed.rotate_left(7) ^ u64::from(*byte));
    let target = Kind {
        selector: context.reader.selector(),
        served: context.reader.discovery.subscribe(),
        missed: false,
        reader: context.reader.clone(),
        events: context.events,
        watch,
    };
    let client = context.reader.client;
    let follower = Follower::new(client, target, context.settings, &context.counters, seed, from);
    context.stopped.run_until_cancelled(follower.run()).await;
}

/// A kind as a [`Target`].
struct Kind {
    reader: Reader,
    watch: Gvk,
    selector: String,
    events: mpsc::Sender<Event>,
    served: watch::Receiver<Arc<Discovery>>,
    /// The server said 404 to the path that discovery had told.
    missed: bool,
}

impl Target for Kind {
    type Item = LiveObject;

    fn what(&self) -> String {
        self.watch.group_kind().to_string()
    }

    async fn path(&mut self) -> Result<String, Refusal> {
        // What changes from here on is worth another look.
        self.served.mark_unchanged();
        let discovery = &self.reader.discovery;
        if std::mem::take(&mut self.missed) {
            discovery.refresh().await.map_err(undiscovered)?;
        }
        let resource = discovery.resolve(&self.watch, Duration::ZERO).await.map_err(undiscovered)?;
        Ok(resource.collection_path(None))
    }

    fn selector(&self) -> &str {
        &self.selector
    }

    fn decode(&self, raw: &[u8]) -> Option<LiveObject> {
        self.reader.decode(&self.watch, raw)
    }

    async fn deliver(&mut self, delivery: Delivery<LiveObject>) -> Result<(), Closed> {
        let event = match delivery {
            Delivery::ListStarted => WatchEvent::ListStarted,
            Delivery::Item(live) => WatchEvent::Live(Box::new(live)),
            Delivery::Gone(live) => {
                WatchEvent::Gone { key: live.key, uid: live.uid, resource_version: live.resource_version }
            }
            Delivery::ListDone(resource_version) => WatchEvent::ListDone { resource_version },
            Delivery::Bookmark(resource_version) => WatchEvent::Bookmark { resource_version },
            Delivery::Failed(refusal) => {
                self.missed = refusal.error.reason == RequestErrorReason::UnknownKind;
                WatchEvent::Failed { error: refusal.error }
            }
        };
        self.events.send(Event::Watch { watch: self.watch.clone(), event }).await.map_err(|_| Closed)
    }

    async fn changed(&mut self) {
        if self.served.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn undiscovered(error: crate::engine::event::RequestError) -> Refusal {
    Refusal { code: None, ahead: false, error }
}
