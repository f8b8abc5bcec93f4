//! What goes wrong with watches, one test a pitfall.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::server::{Server, group, object, page, resource};
use super::watch::Running;

const LIST: &str = "/api/v1/configmaps limit=500";
const WATCH: &str = "/api/v1/configmaps resourceVersion=42 watch=true";

fn status(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "message": message})
}

/// The list that follows when a position is of no use.
async fn lists_anew(run: &mut Running) {
    run.server.expect(LIST).await.json(&page(70, "", &[object("a", 65)]));
    run.expect(&["list", "+a 65", "done 70"]).await;
    let _ = run.server.expect("/api/v1/configmaps resourceVersion=70 watch=true").await.open();
}

#[tokio::test(start_paused = true)]
async fn too_old_as_a_status_lists_anew_at_once() {
    let mut run = Running::start(Some(42));
    run.server.expect(WATCH).await.refuse(410, "too old resource version");
    let refused = Instant::now();
    lists_anew(&mut run).await;
    assert_eq!(refused.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn too_old_inside_a_stream_lists_anew() {
    let mut run = Running::start(Some(42));
    let stream = run.server.expect(WATCH).await.open();
    stream.event("ERROR", &status(410, "too old resource version: 42 (60)"));
    lists_anew(&mut run).await;
}

#[tokio::test(start_paused = true)]
async fn a_position_of_the_future_lists_anew() {
    // etcd was restored from a backup: versions count from an earlier number again.
    for in_stream in [true, false] {
        let mut run = Running::start(Some(42));
        let asked = run.server.expect(WATCH).await;
        if in_stream {
            asked.open().event("ERROR", &status(504, "Timeout: Too large resource version: 42, current: 7"));
        } else {
            let cause =
                json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]});
            asked.refuse_with(504, &[], "Timeout", cause);
        }
        lists_anew(&mut run).await;
    }
}

#[tokio::test(start_paused = true)]
async fn too_old_again_and_again_is_not_a_hot_loop() {
    let mut run = Running::start(Some(42));
    run.server.expect(WATCH).await.refuse(410, "too old");
    let begun = Instant::now();
    for _ in 0..20 {
        run.server.expect(LIST).await.json(&page(42, "", &[]));
        run.expect(&["list", "done 42"]).await;
        run.server.expect(WATCH).await.refuse(410, "too old");
    }
    assert!(begun.elapsed() > Duration::from_secs(100), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_grows_too_old_begins_again_without_pages() {
    let mut run = Running::start(None);
    run.server.expect(LIST).await.json(&page(10, "next", &[object("a", 3)]));
    run.expect(&["list", "+a 3"]).await;
    let asked = run.server.expect("/api/v1/configmaps continue=next limit=500").await;
    asked.refuse(410, "The provided continue parameter is too old");
    run.server.expect("/api/v1/configmaps").await.json(&page(20, "", &[object("b", 15)]));
    run.expect(&["list", "+b 15", "done 20"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_is_void() {
    let mut run = Running::start(None);
    let text = page(10, "", &[object("a", 3), object("b", 4)]).to_string();
    let open = run.server.expect(LIST).await.open();
    open.bytes(text.split_once(r#""name":"b""#).unwrap().0);
    open.cut();
    run.expect(&["list", "+a 3"]).await;
    run.failure("Transient").await;
    run.server.expect(LIST).await.answer(200, &[], "<html>a proxy speaks</html>");
    run.expect(&["list"]).await;
    run.failure("Transient").await;
    lists_anew(&mut run).await;
}

#[tokio::test(start_paused = true)]
async fn a_garbage_line_costs_a_list() {
    let mut run = Running::start(Some(42));
    let stream = run.server.expect(WATCH).await.open();
    stream.event("MODIFIED", &object("a", 43));
    stream.bytes("{\"type\":\"MODIFIED\",\"obj hunter2\n");
    run.expect(&["+a 43"]).await;
    let failure = run.failure("Transient").await;
    assert!(!failure.contains("hunter2"), "{failure}");
    lists_anew(&mut run).await;
    assert_eq!(run.context.counters.undecodable.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_oversize_line_is_skipped() {
    let mut run = Running::start(Some(42));
    let stream = run.server.expect(WATCH).await.open();
    for _ in 0..9 {
        stream.bytes(vec![b'x'; 1 << 20]);
    }
    stream.bytes("\n");
    stream.event("MODIFIED", &object("a", 44));
    run.expect(&["+a 44"]).await;
    assert_eq!(run.context.counters.oversize.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn forbidden_is_reported_and_tried_again_slowly() {
    let mut run = Running::start(None);
    run.server.expect(LIST).await.refuse(403, "configmaps is forbidden: User \"x\" cannot list");
    run.expect(&["list"]).await;
    let failure = run.failure("Forbidden").await;
    assert!(failure.contains("listing ConfigMap"), "{failure}");
    let refused = Instant::now();
    lists_anew(&mut run).await;
    assert!((30..=60).contains(&refused.elapsed().as_secs()), "{:?}", refused.elapsed());
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured() {
    let mut run = Running::start(Some(42));
    run.server.expect(WATCH).await.refuse_with(429, &[("retry-after", "7")], "too many requests", json!({}));
    run.failure("Transient { retry_after: Some(7s) }").await;
    let refused = Instant::now();
    let asked = run.server.expect(WATCH).await;
    assert_eq!(refused.elapsed().as_secs(), 7);
    asked.break_off();
    run.failure("Transient").await;
    // The position outlives failures.
    run.server.expect(WATCH).await;
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_while_it_fails() {
    let mut run = Running::start(Some(42));
    let mut before = Instant::now();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let asked = run.server.expect(WATCH).await;
        pauses.push(before.elapsed());
        asked.refuse(503, "apiserver is shutting down");
        run.failure("Transient").await;
        before = Instant::now();
    }
    assert!(pauses[1] < Duration::from_secs(1) && pauses[11] > Duration::from_secs(14), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(30)), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_at_once_is_not_a_hot_loop() {
    let mut run = Running::start(Some(42));
    let begun = Instant::now();
    for _ in 0..20 {
        drop(run.server.expect(WATCH).await.open());
    }
    assert!(begun.elapsed() > Duration::from_secs(100), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_served_waits_for_discovery() {
    let server = Server::serving([vec![group("", "v1", "Current", vec![])], vec![]]);
    let mut run = Running::with(server, Default::default(), 100, Some(42));
    run.failure("UnknownKind").await;
    run.server.kinds.lock().unwrap().groups[0] =
        vec![group("", "v1", "Current", vec![resource("configmaps", "ConfigMap")])];
    let served = Instant::now();
    // Somebody reads discovery anew; the watch notices. Objects of before are not these: it lists.
    run.context.reader.discovery.refresh().await.unwrap();
    lists_anew(&mut run).await;
    assert!(served.elapsed() < Duration::from_secs(1), "{:?}", served.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_vanished_is_looked_for_again() {
    let mut run = Running::start(Some(42));
    run.server.expect(WATCH).await.answer(404, &[], "404 page not found\n");
    run.failure("UnknownKind").await;
    let before = run.server.discoveries.load(Ordering::SeqCst);
    lists_anew(&mut run).await;
    assert!(run.server.discoveries.load(Ordering::SeqCst) > before);
}

/// Everything that is logged on this thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(crate) fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        tracing::subscriber::set_default(subscriber.with_writer(move || log.clone()).finish())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_decoded_is_skipped_counted_and_not_logged() {
    let log = Log::default();
    let _guard = log.capture();
    let mut run = Running::start(None);
    let mut bad = object("bad", 4);
    bad["metadata"]["resourceVersion"] = json!("hunter2");
    bad["data"] = json!({"password": "hunter2"});
    run.server.expect(LIST).await.json(&page(10, "", &[object("a", 3), bad.clone(), object("c", 5)]));
    run.expect(&["list", "+a 3", "+c 5", "done 10"]).await;
    let stream = run.server.next().await.open();
    stream.event("MODIFIED", &bad);
    stream.event("SURPRISE", &object("x", 11));
    stream.event("MODIFIED", &json!("hunter2"));
    stream.event("MODIFIED", &object("a", 12));
    run.expect(&["+a 12"]).await;
    assert_eq!(run.context.counters.undecodable.load(Ordering::Relaxed), 4);
    let text = log.text();
    assert!(text.contains("bad") && text.contains("can't be decoded"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}
