//! Discovery over the wire: sharing, tags, waiting.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use driftless::cluster::discovery::DiscoveryHandle;
use driftless::engine::event::RequestErrorReason;
use driftless::engine::ids::Gvk;
use driftless::engine::scope::Scope;
use tokio::time::Instant;

use super::server::{Server, group, resource};

fn web() -> Gvk {
    Gvk::new("example.com", "v1", "Web")
}

#[tokio::test(start_paused = true)]
async fn calls_that_come_meanwhile_share_the_next_request() {
    let server = Server::new();
    let discovery = DiscoveryHandle::new(server.client.clone());
    let (first, second, third) = tokio::join!(discovery.refresh(), discovery.refresh(), discovery.refresh());
    assert_eq!(first.unwrap().kinds(), second.unwrap().kinds());
    third.unwrap();
    // What the first one reads may be from before the others came.
    assert_eq!(server.discoveries.load(Ordering::SeqCst), 2 * 2);
    assert_eq!(discovery.current().scope(&Gvk::new("", "v1", "ConfigMap")), Some(Scope::Namespaced));
}

#[tokio::test(start_paused = true)]
async fn refreshes_keep_a_distance_and_use_tags() {
    let server = Server::new();
    server.kinds.lock().unwrap().etag = "\"one\"".to_owned();
    let discovery = DiscoveryHandle::new(server.client.clone());
    discovery.refresh().await.unwrap();
    let known = discovery.current();
    let begun = Instant::now();
    for _ in 0..5 {
        discovery.refresh().await.unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!((server.discoveries.load(Ordering::SeqCst), server.unchanged.load(Ordering::SeqCst)), (12, 10));
    assert!(Arc::ptr_eq(&known, &discovery.current()), "nothing has changed");
    {
        let mut kinds = server.kinds.lock().unwrap();
        kinds.etag = "\"two\"".to_owned();
        kinds.groups[1] = vec![group("example.com", "v1", "Current", vec![resource("webs", "Web")])];
    }
    assert!(discovery.refresh().await.unwrap().resource(&web()).is_some());
    assert!(!Arc::ptr_eq(&known, &discovery.current()));
}

#[tokio::test(start_paused = true)]
async fn a_missing_kind_is_waited_for_only_as_long_as_asked() {
    let server = Server::new();
    let discovery = DiscoveryHandle::new(server.client.clone());
    let error = discovery.resolve(&web(), Duration::ZERO).await.unwrap_err();
    assert_eq!((error.reason, server.discoveries.load(Ordering::SeqCst)), (RequestErrorReason::UnknownKind, 2));
    let begun = Instant::now();
    discovery.resolve(&web(), Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert!(server.discoveries.load(Ordering::SeqCst) < 40);
    let kinds = server.kinds.clone();
    let install = async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        kinds.lock().unwrap().groups[1] = vec![group("example.com", "v1", "Current", vec![resource("webs", "Web")])];
    };
    let begun = Instant::now();
    let web_kind = web();
    let (found, ()) = tokio::join!(discovery.resolve(&web_kind, Duration::from_secs(5)), install);
    assert_eq!(&*found.unwrap().plural, "webs");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn kinds_of_a_group_that_does_not_answer_are_unknown_not_absent() {
    let server = Server::new();
    server.kinds.lock().unwrap().groups[1] = vec![group("example.com", "v1", "Stale", vec![])];
    let discovery = DiscoveryHandle::new(server.client.clone());
    let error = discovery.resolve(&web(), Duration::ZERO).await.unwrap_err();
    assert!(matches!(error.reason, RequestErrorReason::Transient { .. }), "{error:?}");
}
