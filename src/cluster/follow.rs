//! List, then watch, for ever: what every reader of many objects does.
//!
//! - The first list is consistent (no `resourceVersion`) and paged. `resourceVersion=0` would be cheaper and may answer
//!   with a state from before what this process has already seen (kubernetes#59848).
//! - A watch resumes from the last position. Where the server no longer has it (410 as a status or as an `ERROR` event
//!   inside a stream) or has not got there (its history was replaced), everything is listed anew.
//! - Silence means a dead connection: the API server sends bookmarks about every minute.
//! - Every failure pauses the next try, longer each time; a server's wish (`Retry-After`) is honoured.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kube::Client;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::lines::{Line, Lines};
use super::page::{ListMeta, Page};
use super::path::encode;
use super::request::{self, JSON, Refusal};
use super::retry::{Hurry, Retry};
use crate::engine::event::RequestErrorReason;

/// How long a watch must have worked for the next failure to count as the first again.
const PROVEN: Duration = Duration::from_secs(10);

/// Times and sizes of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchSettings {
    /// Objects in one page of a list.
    pub page_size: u32,
    /// How long the API server is asked to keep one watch open; shortened at random by up to a fifth.
    pub timeout: Duration,
    /// A watch on which nothing arrives for so long, not even a bookmark, is taken for dead.
    pub silence: Duration,
    /// Pause before the next try where trying again soon is of no use: the kind is forbidden or not served.
    pub slow_retry: Duration,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            page_size: 500,
            timeout: Duration::from_secs(300),
            silence: Duration::from_secs(95),
            slow_retry: Duration::from_secs(60),
        }
    }
}

/// What readers have counted since they started.
#[derive(Debug, Default)]
pub struct WatchCounters {
    /// Objects or lines that could not be decoded and were skipped.
    pub undecodable: AtomicU64,
    /// Objects or lines that were too large and skipped.
    pub oversize: AtomicU64,
    /// Full lists that were begun.
    pub lists: AtomicU64,
    /// Watches that were opened.
    pub opened: AtomicU64,
    /// Watches and lists that failed.
    pub failed: AtomicU64,
}

impl WatchCounters {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is read, and where it goes.
pub(super) trait Target: Send {
    /// An object as decoded.
    type Item: Send;

    /// For errors and logs: `ConfigMap`.
    fn what(&self) -> String;

    /// Path of the collection as it is served now.
    fn path(&mut self) -> impl Future<Output = Result<String, Refusal>> + Send;

    /// Label selector; all objects if empty.
    fn selector(&self) -> &str;

    /// Decodes one object. `None` if that is impossible: it is skipped and counted.
    fn decode(&self, raw: &[u8]) -> Option<Self::Item>;

    /// Hears when the bytes of the next delivery arrived, if it comes from the stream and not from a list.
    fn arrived(&mut self, _at: Instant) {}

    /// Takes what was read. `Err` ends the reader: nobody wants it any more.
    fn deliver(&mut self, delivery: Delivery<Self::Item>) -> impl Future<Output = Result<(), Closed>> + Send;

    /// Ends early when it may be of use to ask for a path again that was forbidden or not served.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
}

/// One thing that a reader delivers, in order.
#[derive(Debug)]
pub(super) enum Delivery<T> {
    /// A full list begins; one that was begun before and didn't end is void.
    ListStarted,
    /// An object as it is, with its resource version.
    Item(T),
    /// An object as it was when it left.
    Gone(T),
    /// The list is complete at this resource version.
    ListDone(u64),
    /// Everything up to this resource version was delivered.
    Bookmark(u64),
    /// It doesn't work; it is tried again.
    Failed(Refusal),
}

/// Nobody takes deliveries any more.
#[derive(Debug)]
pub(super) struct Closed;

/// Why a round ended.
enum End {
    /// As watches end: open it again from the last position.
    Renew,
    /// The position is of no use: list.
    Relist(Refusal),
    /// It failed.
    Failed(Refusal),
    /// Nobody listens.
    Closed,
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        if refusal.gone() || refusal.ahead { Self::Relist(refusal) } else { Self::Failed(refusal) }
    }
}

/// A line of a watch.
#[derive(Deserialize)]
struct Change<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// The little that every object has.
#[derive(Default, Deserialize)]
struct Positioned {
    #[serde(default)]
    metadata: Position,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Position {
    resource_version: String,
}

/// One reader.
pub(super) struct Follower<'a, T> {
    client: Client,
    target: T,
    settings: WatchSettings,
    counters: &'a WatchCounters,
    retry: Retry,
    /// Resource version up to which everything was delivered; `None`: list first.
    position: Option<u64>,
    /// When the watch of this round was opened.
    opened: Option<Instant>,
}

impl<'a, T: Target> Follower<'a, T> {
    /// A reader that begins at `position`, or with a list. Its jitter follows from `seed`.
    pub(super) fn new(
        client: Client,
        target: T,
        settings: WatchSettings,
        counters: &'a WatchCounters,
        seed: u64,
        position: Option<u64>,
    ) -> Self {
        Self { client, target, settings, counters, retry: Retry::new(seed), position, opened: None }
    }

    /// The same with pauses that `hurry` ends.
    pub(super) fn hurried(self, seed: u64, hurry: &Hurry) -> Self {
        Self { retry: Retry::hurried(seed, hurry), ..self }
    }

    /// Lists and watches until nobody listens. Cancelled by dropping it.
    pub(super) async fn run(mut self) {
        let mut relists = 0u32;
        loop {
            self.opened = None;
            let end = self.round().await.err().unwrap_or(End::Renew);
            let proven = self.opened.is_some_and(|opened| opened.elapsed() >= PROVEN);
            if proven {
                self.retry.reset();
                relists = 0;
            }
            match end {
                End::Closed => return,
                End::Renew if proven => {}
                End::Renew => self.retry.wait(None).await,
                End::Relist(refusal) => {
                    tracing::info!(kind = self.target.what(), "listing anew: {}", refusal.error.message);
                    self.position = None;
                    // The first one is as watches end. When the new position is too old as well, the server is in trouble.
                    relists = relists.saturating_add(1);
                    if relists > 1 {
                        self.retry.wait(None).await;
                    }
                }
                End::Failed(refusal) => {
                    if self.failed(refusal).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Reports a failure and waits for the next try.
    async fn failed(&mut self, refusal: Refusal) -> Result<(), Closed> {
        WatchCounters::count(&self.counters.failed);
        tracing::debug!(kind = self.target.what(), "{}", refusal.error.message);
        let reason = refusal.error.reason;
        self.target.deliver(Delivery::Failed(refusal)).await?;
        match reason {
            RequestErrorReason::Forbidden => self.wait_long().await,
            RequestErrorReason::UnknownKind | RequestErrorReason::NotFound => {
                // Should the kind come back, its objects are others.
                self.position = None;
                self.wait_long().await;
            }
            RequestErrorReason::Transient { retry_after } => {
                self.retry.wait(retry_after).await;
            }
            _ => self.retry.wait(Some(self.settings.slow_retry)).await,
        }
        Ok(())
    }

    async fn wait_long(&mut self) {
        let pause = self.retry.shorten(self.settings.slow_retry, 50);
        tokio::select! {
            // In a fixed order, so that a simulation can be repeated.
            biased;
            () = self.target.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    async fn round(&mut self) -> Result<(), End> {
        let path = self.target.path().await?;
        let position = match self.position {
            Some(position) => position,
            None => self.list(&path).await?,
        };
        self.watch(&path, position).await
    }

    /// Lists everything, page by page.
    async fn list(&mut self, path: &str) -> Result<u64, End> {
        WatchCounters::count(&self.counters.lists);
        self.target.deliver(Delivery::ListStarted).await?;
        let mut limit = Some(self.settings.page_size);
        let mut token = String::new();
        loop {
            match self.page(path, limit, &token).await {
                Ok(meta) if meta.token.is_empty() => {
                    let position = meta.resource_version.parse().map_err(|_| {
                        Refusal::broken(&self.listing(), "the list has no resource version that is a number")
                    })?;
                    self.target.deliver(Delivery::ListDone(position)).await?;
                    self.position = Some(position);
                    return Ok(position);
                }
                Ok(meta) => token = meta.token,
                // The list grew too old between two pages: what was delivered is void. All at once can't grow old.
                Err(End::Relist(_)) if !token.is_empty() => {
                    self.target.deliver(Delivery::ListStarted).await?;
                    token.clear();
                    limit = None;
                }
                Err(End::Relist(refusal)) => return Err(End::Failed(refusal)),
                Err(end) => return Err(end),
            }
        }
    }

    async fn page(&mut self, path: &str, limit: Option<u32>, token: &str) -> Result<ListMeta, End> {
        let what = self.listing();
        let mut url = format!("{path}?labelSelector={}", encode(self.target.selector()));
        if let Some(limit) = limit {
            url.push_str(&format!("&limit={limit}"));
        }
        if !token.is_empty() {
            url.push_str(&format!("&continue={}", encode(token)));
        }
        let mut body = request::get(&self.client, &what, &url, JSON).await?.body;
        let mut page = Page::default();
        let mut piece = Vec::new();
        while request::read(&what, &mut body, request::ANSWER_TIMEOUT, &mut piece).await? {
            let mut items = Vec::new();
            let target = &self.target;
            page.feed(&piece, &mut |raw| items.push(target.decode(raw)))
                .map_err(|error| Refusal::broken(&what, &error.to_string()))?;
            piece.clear();
            for item in items {
                match item {
                    Some(item) => self.target.deliver(Delivery::Item(item)).await?,
                    None => WatchCounters::count(&self.counters.undecodable),
                }
            }
        }
        self.counters.oversize.fetch_add(page.oversize, Ordering::Relaxed);
        Ok(page.finish().map_err(|error| Refusal::broken(&what, &error.to_string()))?)
    }

    /// Watches until the stream ends.
    async fn watch(&mut self, path: &str, position: u64) -> Result<(), End> {
        WatchCounters::count(&self.counters.opened);
        let what = format!("watching {}", self.target.what());
        let timeout = self.retry.shorten(self.settings.timeout, 20).as_secs().max(1);
        let selector = encode(self.target.selector());
        let url = format!(
            "{path}?labelSelector={selector}&watch=true&allowWatchBookmarks=true&resourceVersion={position}&timeoutSeconds={timeout}"
        );
        let mut lines = Lines::new(request::get(&self.client, &what, &url, JSON).await?.body);
        self.opened = Some(Instant::now());
        loop {
            // However a stream ends (closed in time, cut, silent), it is taken up again where it ended.
            let line = lines.next(&what, self.settings.silence).await.inspect_err(|cut| {
                tracing::debug!("{}", cut.error.message);
            });
            match line {
                Ok(None) | Err(_) => return Ok(()),
                Ok(Some(Line::Text(line))) => {
                    self.target.arrived(lines.arrived());
                    self.change(&what, &line).await?;
                }
                Ok(Some(Line::TooLong)) => {
                    tracing::warn!(kind = self.target.what(), "skipped an object that is too large to be read");
                    WatchCounters::count(&self.counters.oversize);
                }
            }
        }
    }

    /// One line of a watch.
    async fn change(&mut self, what: &str, line: &[u8]) -> Result<(), End> {
        let Ok(change) = serde_json::from_slice::<Change<'_>>(line) else {
            WatchCounters::count(&self.counters.undecodable);
            // What it was meant to say is lost; only a list can tell.
            self.position = None;
            return Err(End::Failed(Refusal::broken(what, "a line of the answer is not a watch event")));
        };
        let raw = change.object.get().as_bytes();
        if change.kind == "ERROR" {
            return Err(request::refused_in_stream(what, raw).into());
        }
        let at = serde_json::from_slice::<Positioned>(raw).unwrap_or_default().metadata.resource_version.parse().ok();
        let delivery = match (change.kind, at) {
            ("BOOKMARK", Some(at)) => Some(Delivery::Bookmark(at)),
            ("ADDED" | "MODIFIED", _) => self.target.decode(raw).map(Delivery::Item),
            ("DELETED", _) => self.target.decode(raw).map(Delivery::Gone),
            _ => None,
        };
        match delivery {
            Some(delivery) => self.target.deliver(delivery).await?,
            None => WatchCounters::count(&self.counters.undecodable),
        }
        // After the delivery: a reader that is cancelled in between sees it again.
        self.position = at.or(self.position);
        Ok(())
    }

    fn listing(&self) -> String {
        format!("listing {}", self.target.what())
    }
}
