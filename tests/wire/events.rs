//! Kubernetes Events.

use driftless::cluster::events::Recorder;
use driftless::engine::effect::Notice;
use driftless::engine::ids::AppKey;
use driftless::engine::time::Timestamp;
use serde_json::json;

use super::script::{Reply, Script, TIMEOUT};

fn notice(app: &str, message: &str) -> Notice {
    Notice {
        app: AppKey::new("argocd", app),
        uid: "u1".to_owned(),
        warning: true,
        reason: "DriftReverted",
        message: message.to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_becomes_an_event_on_the_application() {
    let script = Script::new(|_, _| Reply::Json(201, json!({})));
    let (recorder, task) = Recorder::new(script.client.clone(), "replica-0".to_owned(), TIMEOUT);
    recorder.record(notice("shop", "kubectl-edit changed .spec.replicas"), Timestamp(1_795_428_000));
    recorder.record(notice("shop", "kubectl-edit changed .spec.replicas"), Timestamp(1_795_428_000));
    drop(recorder);
    task.await;
    let sent = script.requests();
    assert_eq!(sent[0].line(), "POST /api/v1/namespaces/argocd/events");
    let event = &sent[0].body;
    assert_eq!(
        event["involvedObject"],
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "namespace": "argocd", "name": "shop", "uid": "u1"})
    );
    assert_eq!(
        (&event["type"], &event["reason"], &event["message"], &event["lastTimestamp"]),
        (
            &json!("Warning"),
            &json!("DriftReverted"),
            &json!("kubectl-edit changed .spec.replicas"),
            &json!("2026-11-23T10:00:00Z")
        )
    );
    assert_ne!(event["metadata"]["name"], sent[1].body["metadata"]["name"]);
    assert!(event["metadata"]["name"].as_str().unwrap().starts_with("shop."));
}

#[tokio::test(start_paused = true)]
async fn a_storm_in_one_application_is_limited_and_counted() {
    let script = Script::new(|_, _| Reply::Json(201, json!({})));
    let (recorder, task) = Recorder::new(script.client.clone(), "replica-0".to_owned(), TIMEOUT);
    for _ in 0..100 {
        recorder.record(notice("shop", "drift"), Timestamp(0));
    }
    recorder.record(notice("calm", "synced"), Timestamp(0));
    // More than the queue holds, while nothing is written.
    for _ in 0..500 {
        recorder.record(notice("other", "drift"), Timestamp(0));
    }
    let count = recorder.clone();
    drop(recorder);
    let (task, ()) = (tokio::spawn(task), tokio::task::yield_now().await);
    while script.requests().len() < 51 {
        tokio::task::yield_now().await;
    }
    let dropped_at_last = 601 - 51;
    while count.dropped() < dropped_at_last {
        tokio::task::yield_now().await;
    }
    drop(count);
    task.await.unwrap();
    let of =
        |app: &str| script.requests().iter().filter(|request| request.body["involvedObject"]["name"] == *app).count();
    assert_eq!((of("shop"), of("calm"), of("other")), (25, 1, 25));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_not_taken_is_counted_and_holds_up_nothing() {
    let script = Script::replies(vec![Reply::Silence, Reply::Text(403, "no"), Reply::Json(201, json!({}))]);
    let (recorder, task) = Recorder::new(script.client.clone(), "replica-0".to_owned(), TIMEOUT);
    let count = recorder.clone();
    for app in ["a", "b", "c"] {
        recorder.record(notice(app, "x"), Timestamp(0));
    }
    drop(recorder);
    let task = tokio::spawn(task);
    while script.requests().len() < 3 {
        tokio::time::sleep(TIMEOUT).await;
    }
    assert_eq!(count.dropped(), 2);
    drop(count);
    task.await.unwrap();
}
