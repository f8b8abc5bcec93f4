//! The watch of one kind: the objects of this installation, decoded to what decisions need.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::discovery::{DiscoveryHandle, Resource};
use super::follow::{Closed, Delivery, Follower, Target};
use super::news::Listener;
use super::request::Refusal;
use super::retry::Hurry;
use crate::engine::decode::{DecodeContext, decode, decode_metadata};
use crate::engine::event::{Event, RequestErrorReason, WatchEvent};
use crate::engine::hash::{Hash, HashKey};
use crate::engine::ids::Gvk;
use crate::engine::live::LiveObject;
use crate::engine::{names, time};

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

    /// Decodes an object of `gvk`, or only its metadata. On failure the log tells which object it is, if that can be
    /// told, and nothing of its content.
    pub(super) fn decode(&self, gvk: &Gvk, raw: &[u8], metadata_only: bool) -> Option<LiveObject> {
        let decode = if metadata_only { decode_metadata } else { decode };
        let decoded = decode(raw, &DecodeContext { hash_key: &self.hash_key, gvk });
        decoded
            .inspect_err(|error| {
                let Named { metadata } = serde_json::from_slice(raw).unwrap_or_default();
                let (namespace, name) = (metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default());
                tracing::warn!(kind = %gvk, namespace, name, "skipped an object that can't be decoded: {error}");
            })
            .ok()
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
    /// Ends pauses between tries.
    pub hurry: Hurry,
    /// Origin of the clock that arrivals are told on.
    pub origin: Instant,
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
        known: None,
        missed: false,
        origin: context.origin,
        arrived: None,
        reader: context.reader.clone(),
        events: context.events,
        watch,
    };
    let client = context.reader.client;
    let follower =
        Follower::new(client, target, context.settings, &context.counters, seed, from).hurried(seed, &context.hurry);
    context.stopped.run_until_cancelled(follower.run()).await;
}

/// A kind as a [`Target`].
struct Kind {
    reader: Reader,
    watch: Gvk,
    selector: String,
    events: mpsc::Sender<Event>,
    served: Listener,
    /// The kind as it was served when its path was last asked for.
    known: Option<Arc<Resource>>,
    /// The server said 404 to the path that discovery had told.
    missed: bool,
    origin: Instant,
    /// When the bytes of what is delivered next arrived.
    arrived: Option<Instant>,
}

impl Target for Kind {
    type Item = LiveObject;

    fn what(&self) -> String {
        self.watch.group_kind().to_string()
    }

    async fn path(&mut self) -> Result<String, Refusal> {
        let discovery = &self.reader.discovery;
        if std::mem::take(&mut self.missed) {
            discovery.refresh().await?;
        }
        let resolved = discovery.resolve(&self.watch, Duration::ZERO).await;
        self.known = resolved.as_ref().ok().cloned();
        Ok(resolved?.collection_path())
    }

    fn selector(&self) -> &str {
        &self.selector
    }

    fn decode(&self, raw: &[u8]) -> Option<LiveObject> {
        self.reader.decode(&self.watch, raw, false)
    }

    fn arrived(&mut self, at: Instant) {
        self.arrived = Some(at);
    }

    async fn deliver(&mut self, delivery: Delivery<LiveObject>) -> Result<(), Closed> {
        let arrived = self.arrived.take().filter(|_| matches!(delivery, Delivery::Item(_) | Delivery::Gone(_)));
        let arrived = arrived.map(|at| time::Instant::from_origin(at.duration_since(self.origin)));
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
        self.events.send(Event::Watch { watch: self.watch.clone(), event, arrived }).await.map_err(|_| Closed)
    }

    async fn changed(&mut self) {
        while self.reader.discovery.current().resource(&self.watch) == self.known.as_ref() {
            self.served.changed().await;
        }
    }
}
