//! The course of a watch: list, stream, resume.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use driftless::cluster::watch::{WatchContext, WatchCounters, WatchSettings, run};
use driftless::engine::event::{Event, WatchEvent};
use driftless::engine::ids::Gvk;
use driftless::engine::time;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::server::{INSTANCE, Server, object, page, soon};

/// A watch of ConfigMaps that runs against a [`Server`].
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) context: WatchContext,
    events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(from: Option<u64>) -> Self {
        Self::with(Server::new(), WatchSettings::default(), 100, from)
    }

    pub(crate) fn with(server: Server, settings: WatchSettings, capacity: usize, from: Option<u64>) -> Self {
        let (sender, events) = mpsc::channel(capacity);
        let context = WatchContext {
            reader: server.reader(),
            settings,
            seed: 1,
            events: sender,
            stopped: CancellationToken::new(),
            counters: Arc::new(WatchCounters::default()),
            hurry: Default::default(),
            origin: tokio::time::Instant::now(),
        };
        let task = tokio::spawn(run(context.clone(), Gvk::new("", "v1", "ConfigMap"), from));
        Self { server, context, events, task }
    }

    /// The next event, in short.
    pub(crate) async fn event(&mut self) -> String {
        self.arrival().await.0
    }

    /// The next event, in short, and when it arrived after the start, if it is of an object on the stream.
    async fn arrival(&mut self) -> (String, Option<Duration>) {
        let event = soon(self.events.recv()).await;
        let Some(Event::Watch { watch, event, arrived }) = event else { panic!("no event of a watch") };
        assert_eq!(watch, Gvk::new("", "v1", "ConfigMap"));
        let text = match event {
            WatchEvent::ListStarted => "list".to_owned(),
            WatchEvent::Live(live) => format!("+{} {}", live.key.name, live.resource_version),
            WatchEvent::Gone { key, uid, resource_version } => format!("-{} {uid} {resource_version}", key.name),
            WatchEvent::ListDone { resource_version } => format!("done {resource_version}"),
            WatchEvent::Bookmark { resource_version } => format!("bookmark {resource_version}"),
            WatchEvent::Failed { error } => format!("failed {:?}: {}", error.reason, error.message),
        };
        (text, arrived.map(|at| at.since(time::Instant::from_origin(Duration::ZERO))))
    }

    pub(crate) async fn expect(&mut self, events: &[&str]) {
        for event in events {
            assert_eq!(self.event().await, *event);
        }
    }

    /// The event of a failure whose reason begins with `reason`; its message.
    pub(crate) async fn failure(&mut self, reason: &str) -> String {
        let event = self.event().await;
        assert!(event.starts_with(&format!("failed {reason}")), "{event}");
        event
    }
}

const LIST: &str = "/api/v1/configmaps limit=500";

fn watching(from: u64) -> String {
    format!("/api/v1/configmaps resourceVersion={from} watch=true")
}

#[tokio::test(start_paused = true)]
async fn lists_page_by_page_and_then_watches() {
    let mut run = Running::start(None);
    let asked = run.server.expect(LIST).await;
    assert_eq!(asked.query["labelSelector"], format!("driftless.dev%2Finstance%3D{INSTANCE}"));
    assert_eq!((asked.header("accept"), asked.header("accept-encoding")), ("application/json", "identity"));
    // Consistent: a list at "0" may go back in time.
    assert!(!asked.query.contains_key("resourceVersion"));
    asked.json(&page(10, "to+ken/=", &[object("a", 3), object("b", 5)]));
    run.expect(&["list", "+a 3", "+b 5"]).await;
    let asked = run.server.expect(&format!("/api/v1/configmaps continue={} limit=500", "to%2Bken%2F%3D")).await;
    asked.json(&page(10, "", &[object("c", 7)]));
    run.expect(&["+c 7", "done 10"]).await;
    let asked = run.server.expect(&watching(10)).await;
    assert_eq!((asked.query["allowWatchBookmarks"].as_str(), asked.header("accept-encoding")), ("true", "identity"));
    assert_eq!(asked.query["labelSelector"], format!("driftless.dev%2Finstance%3D{INSTANCE}"));
    let timeout: u64 = asked.query["timeoutSeconds"].parse().unwrap();
    assert!((240..=300).contains(&timeout), "{timeout}");
    let stream = asked.open();
    stream.event("ADDED", &object("d", 11));
    stream.event("MODIFIED", &object("a", 12));
    stream.event("DELETED", &object("b", 13));
    run.expect(&["+d 11", "+a 12", "-b uid-b 13"]).await;
}

#[tokio::test(start_paused = true)]
async fn objects_of_the_stream_tell_when_their_bytes_arrived() {
    let mut run = Running::start(None);
    run.server.expect(LIST).await.json(&page(10, "", &[object("a", 3)]));
    for event in ["list", "+a 3", "done 10"] {
        assert_eq!(run.arrival().await, (event.to_owned(), None));
    }
    let stream = run.server.expect(&watching(10)).await.open();
    let begun = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(5)).await;
    stream.event("MODIFIED", &object("a", 12));
    let (event, arrived) = run.arrival().await;
    let least = begun - run.context.origin + Duration::from_secs(5);
    assert_eq!(event, "+a 12");
    assert!(arrived.is_some_and(|arrived| arrived >= least && arrived < least + Duration::from_secs(5)), "{arrived:?}");
    stream.event("BOOKMARK", &json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": "50"}}));
    assert_eq!(run.arrival().await, ("bookmark 50".to_owned(), None));
}

#[tokio::test(start_paused = true)]
async fn resumes_without_a_list() {
    let mut run = Running::start(Some(42));
    let stream = run.server.expect(&watching(42)).await.open();
    stream.event("BOOKMARK", &json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": "50"}}));
    run.expect(&["bookmark 50"]).await;
    // The server ends every watch in time; it goes on from the bookmark.
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(stream);
    let stream = run.server.expect(&watching(50)).await.open();
    stream.event("MODIFIED", &object("a", 55));
    run.expect(&["+a 55"]).await;
    stream.cut();
    run.server.expect(&watching(55)).await;
    assert_eq!(run.context.counters.lists.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_was_cut_off_is_sent_again() {
    let mut run = Running::start(Some(42));
    let stream = run.server.expect(&watching(42)).await.open();
    let line = json!({"type": "MODIFIED", "object": object("a", 43)}).to_string();
    let (first, second) = line.split_at(line.len() / 2);
    stream.bytes(first);
    stream.bytes(second);
    stream.bytes(format!("\n{first}"));
    run.expect(&["+a 43"]).await;
    stream.cut();
    let stream = run.server.expect(&watching(43)).await.open();
    stream.event("MODIFIED", &object("a", 44));
    run.expect(&["+a 44"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_taken_for_dead() {
    let mut run = Running::start(Some(42));
    let stream = run.server.expect(&watching(42)).await.open();
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert!(run.server.is_quiet());
    stream.event("BOOKMARK", &json!({"metadata": {"resourceVersion": "50"}}));
    run.expect(&["bookmark 50"]).await;
    let heard = Instant::now();
    let again = run.server.expect(&watching(50)).await;
    assert_eq!(heard.elapsed().as_secs(), 95);
    let _stream = again.open();
}

#[tokio::test(start_paused = true)]
async fn waits_for_a_slow_engine() {
    let mut run = Running::with(Server::new(), WatchSettings::default(), 1, None);
    let names: Vec<_> = (0..50).map(|index| object(&format!("n{index}"), index)).collect();
    run.server.expect(LIST).await.json(&page(60, "", &names));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(run.server.is_quiet());
    run.expect(&["list", "+n0 0"]).await;
    while run.event().await != "done 60" {}
    run.server.expect(&watching(60)).await;
}

#[tokio::test(start_paused = true)]
async fn ends_when_it_is_stopped_or_nobody_listens() {
    let mut run = Running::start(Some(42));
    let _stream = run.server.expect(&watching(42)).await.open();
    run.context.stopped.cancel();
    soon(&mut run.task).await.unwrap();

    let mut run = Running::start(Some(42));
    let stream = run.server.expect(&watching(42)).await.open();
    run.events.close();
    stream.event("MODIFIED", &object("a", 44));
    soon(&mut run.task).await.unwrap();
}
