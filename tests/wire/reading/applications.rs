//! The watch of Applications.

use driftless::cluster::{Namespaces, applications};
use driftless::engine::event::Event;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failures::Log;
use super::server::{Server, page, soon};

fn application(namespace: &str, name: &str, resource_version: u64) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {
            "namespace": namespace, "name": name, "uid": "u", "resourceVersion": resource_version.to_string(),
        },
        "spec": {"project": "default", "source": {"repoURL": "https://example.com/a.git"}, "destination": {}},
    })
}

fn start(server: &Server, namespaces: Namespaces) -> mpsc::Receiver<Event> {
    let (events, received) = mpsc::channel(100);
    tokio::spawn(applications::run(
        server.client.clone(),
        namespaces,
        (1, Default::default()),
        events,
        CancellationToken::new(),
    ));
    received
}

async fn next(events: &mut mpsc::Receiver<Event>) -> String {
    match soon(events.recv()).await.unwrap() {
        Event::Application(seen) => {
            format!("+{} {} {}", seen.key, seen.resource_version, seen.spec.map_or_else(|e| e, |spec| spec.project))
        }
        Event::ApplicationGone(key) => format!("-{key}"),
        Event::ApplicationsListed(keys) => format!("listed {}", keys.len()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn applications_come_change_and_go() {
    let mut server = Server::new();
    let mut events = start(&server, Namespaces::All);
    let asked = server.next().await;
    assert_eq!(asked.path, "/apis/argoproj.io/v1alpha1/applications");
    let mut broken = application("argocd", "broken", 2);
    broken["spec"]["syncPolicy"] = json!("hunter2");
    asked.json(&page(10, "", &[application("argocd", "shop", 1), broken]));
    assert_eq!(next(&mut events).await, "+argocd/shop 1 default");
    let broken = next(&mut events).await;
    assert!(broken.starts_with("+argocd/broken 2 spec.syncPolicy: ") && !broken.contains("hunter2"), "{broken}");
    assert_eq!(next(&mut events).await, "listed 2");
    let asked = server.next().await;
    assert_eq!((asked.query["resourceVersion"].as_str(), asked.query["timeoutSeconds"].as_str()), ("10", "60"));
    let stream = asked.open();
    stream.event("MODIFIED", &application("argocd", "shop", 11));
    stream.event("DELETED", &application("argocd", "broken", 12));
    assert_eq!(next(&mut events).await, "+argocd/shop 11 default");
    assert_eq!(next(&mut events).await, "-argocd/broken");
}

#[tokio::test(start_paused = true)]
async fn without_a_definition_it_waits_and_says_so_once() {
    let log = Log::default();
    let guard = log.capture();
    let mut server = Server::new();
    let mut events = start(&server, Namespaces::These(vec!["argocd".into()]));
    let mut before = Instant::now();
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let asked = server.next().await;
        assert_eq!(asked.path, "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications");
        pauses.push(before.elapsed().as_millis());
        before = Instant::now();
        asked.answer(404, &[], "404 page not found\n");
    }
    assert!(pauses[1] <= 200 && pauses[9] >= 15_000, "{pauses:?}");
    assert_eq!(log.text().matches("driftless crds").count(), 1, "{}", log.text());
    server.next().await.json(&page(10, "", &[application("argocd", "shop", 1)]));
    assert_eq!(next(&mut events).await, "+argocd/shop 1 default");
    assert_eq!(next(&mut events).await, "listed 1");
    drop(guard);
    assert!(log.text().contains("can be read again"), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn all_namespaces_are_listed_before_any_counts() {
    let mut server = Server::new();
    let mut events = start(&server, Namespaces::These(vec!["a".into(), "b".into(), "a".into()]));
    let (first, second) = (server.next().await, server.next().await);
    let ((a, b), a_first) = if first.path.contains("/a/") { ((first, second), true) } else { ((second, first), false) };
    assert!(
        a.path.ends_with("/namespaces/a/applications") && b.path.ends_with("/namespaces/b/applications"),
        "{a_first}"
    );
    a.json(&page(10, "", &[application("a", "one", 1)]));
    assert_eq!(next(&mut events).await, "+a/one 1 default");
    let _stream = server.next().await.open();
    assert!(events.try_recv().is_err());
    b.json(&page(10, "", &[]));
    assert_eq!(next(&mut events).await, "listed 1");
}
