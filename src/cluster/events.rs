//! Kubernetes Events about Applications, as `kubectl describe application` lists them (core/v1).
//!
//! An Event is news, not state: it is written once, without waiting, and lost rather than in anybody's way. What matters
//! is in the Application's status as well.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use kube::Client;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::call::{Call, JSON, send};
use super::path::ResourcePath;
use crate::engine::effect::Notice;
use crate::engine::event::RequestError;
use crate::engine::hash::Hash;
use crate::engine::ids::AppKey;
use crate::engine::redact;
use crate::engine::time::Timestamp;

/// How many Events wait to be written; more are dropped.
const QUEUE: usize = 256;
/// How many Events one Application may have at once; as many as client-go's spam filter lets through.
const BURST: u32 = 25;
/// How long it takes until one more is allowed; client-go's figure, too.
const REFILL: Duration = Duration::from_secs(300);
/// How many Applications are counted one by one; beyond, the counts begin anew.
const MAX_BUCKETS: usize = 10_000;
/// Longest part of an Application's name in an Event's name, which may have 253 bytes.
const MAX_NAME: usize = 200;

/// Takes notices and has them written as Events. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Note>,
    dropped: Arc<AtomicU64>,
}

struct Note {
    notice: Notice,
    at: Timestamp,
}

impl Recorder {
    /// A recorder, and the task that writes what it takes, to be spawned by the caller; the task ends when the last
    /// clone of the recorder is dropped and the queue is written; it may be aborted at any time. `instance` is the replica's identity; each Event may take `timeout`.
    pub fn new(
        client: Client,
        instance: String,
        timeout: Duration,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, notes) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let writer =
            Writer { client, instance, timeout, written: 0, buckets: HashMap::new(), dropped: dropped.clone() };
        (Self { queue, dropped }, writer.run(notes))
    }

    /// Takes a notice that was made at `at`. Never waits: with a full queue the notice is dropped and counted.
    pub fn record(&self, notice: Notice, at: Timestamp) {
        if self.queue.try_send(Note { notice, at }).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many notices became no Event: the queue was full, the Application had too many, or the API server refused.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

struct Writer {
    client: Client,
    instance: String,
    timeout: Duration,
    written: u64,
    buckets: HashMap<AppKey, Bucket>,
    dropped: Arc<AtomicU64>,
}

impl Writer {
    async fn run(mut self, mut notes: mpsc::Receiver<Note>) {
        while let Some(note) = notes.recv().await {
            if !self.allows(&note.notice.app) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.written += 1;
            if let Err(error) = self.write(&note).await {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(application = %note.notice.app, reason = note.notice.reason, error = %error.message, "event not written");
            }
        }
    }

    fn allows(&mut self, app: &AppKey) -> bool {
        let now = Instant::now();
        if self.buckets.len() >= MAX_BUCKETS && !self.buckets.contains_key(app) {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            if self.buckets.len() >= MAX_BUCKETS {
                self.buckets.clear();
            }
        }
        self.buckets.entry(app.clone()).or_insert_with(|| Bucket::new(now)).take(now)
    }

    async fn write(&self, note: &Note) -> Result<(), RequestError> {
        let Note { notice, at } = note;
        let AppKey { namespace, name } = &notice.app;
        let time = at.to_string();
        let event = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": self.event_name(notice), "namespace": namespace},
            "involvedObject": {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "namespace": namespace,
                "name": name,
                "uid": notice.uid,
            },
            "type": if notice.warning { "Warning" } else { "Normal" },
            "reason": notice.reason,
            "message": redact::truncate(notice.message.clone()),
            "source": {"component": "driftless", "host": self.instance},
            "reportingComponent": "driftless",
            "reportingInstance": self.instance,
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
        });
        let path = ResourcePath::core("Event", "events", true).collection(namespace)?;
        let call = Call::new(Method::POST, path, self.timeout).with_body(JSON, event.to_string().into_bytes());
        send(&self.client, &call).await.map(|_| ())
    }

    /// Unique by the replica's identity and its count, and the same in every run that counts alike.
    fn event_name(&self, notice: &Notice) -> String {
        let name = notice.app.name.get(..MAX_NAME).unwrap_or(&notice.app.name);
        let seed = format!("{}\n{}\n{}\n{}", self.instance, self.written, notice.uid, notice.reason);
        format!("{}.{}", name.trim_end_matches(['.', '-']), Hash::of(seed.as_bytes()))
    }
}

/// Allows [`BURST`] at once and one more each [`REFILL`].
struct Bucket {
    /// When it is full again; each one taken pushes that on by [`REFILL`].
    full_at: Instant,
}

impl Bucket {
    fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }

    fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + REFILL;
        let allowed = full_at <= now + REFILL * BURST;
        if allowed {
            self.full_at = full_at;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_allows_a_burst_and_refills_one_by_one() {
        let mut bucket = Bucket::new(Instant::now());
        let taken = (0..100).filter(|_| bucket.take(Instant::now())).count();
        assert_eq!(taken, BURST as usize);
        assert!(!bucket.is_full(Instant::now()));
        tokio::time::advance(REFILL).await;
        assert!(bucket.take(Instant::now()));
        assert!(!bucket.take(Instant::now()));
        tokio::time::advance(REFILL * BURST).await;
        assert!(bucket.is_full(Instant::now()));
    }
}
