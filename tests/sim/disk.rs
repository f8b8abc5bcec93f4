//! The model's state on disk: another server goes on with it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use driftless::sim::apiserver::ApiServer;
use driftless::sim::controllers::Controllers;
use driftless::sim::disk::{Disk, DiskError};
use driftless::sim::shared::Shared;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn open(path: &Path) -> Shared {
    let now = Timestamp::now();
    let disk = Disk::open(path).unwrap();
    let server = match disk.load().unwrap() {
        Some(saved) => ApiServer::restore(1, Controllers::all(), Vec::new(), saved, now),
        None => ApiServer::new(1, Controllers::all(), Vec::new(), now),
    };
    Shared::kept(server, Arc::new(Timestamp::now), disk)
}

async fn ask(shared: &Shared, method: Method, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let answer = shared.respond(request.body(Full::new(body)).unwrap()).await;
    let code = answer.status().as_u16();
    // Of a watch, its first lines.
    let bytes = answer.into_body().frame().await.unwrap().unwrap().into_data().unwrap();
    (code, serde_json::Deserializer::from_slice(&bytes).into_iter().next().unwrap().unwrap())
}

fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_goes_on_with_what_another_one_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/objects.redb");
    let first = open(&path);
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(ask(&first, Method::POST, definitions, definition).await.0, 201);
    for name in ["a", "b", "c"] {
        let map = json!({"metadata": {"name": name}, "data": {"key": name}});
        assert_eq!(ask(&first, Method::POST, MAPS, map).await.0, 201);
    }
    let service = json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}});
    let (_, service) = ask(&first, Method::POST, "/api/v1/namespaces/default/services", service).await;
    ask(&first, Method::DELETE, &format!("{MAPS}/b"), Value::Null).await;
    let (_, before) = ask(&first, Method::GET, MAPS, Value::Null).await;
    assert!(matches!(Disk::open(&path), Err(DiskError::Failed { .. })), "two servers at once");
    drop(first);

    let second = open(&path);
    let (_, after) = ask(&second, Method::GET, MAPS, Value::Null).await;
    assert_eq!(after["items"], before["items"]);
    assert!(revision(&after) >= revision(&before));
    assert_eq!(ask(&second, Method::GET, "/apis/example.com/v1/widgets", Value::Null).await.0, 200);
    // What was given out stays so, and nothing is drawn twice.
    let other = json!({"metadata": {"name": "other"}, "spec": {"ports": [{"port": 80}], "clusterIP": service["spec"]["clusterIP"]}});
    assert_eq!(ask(&second, Method::POST, "/api/v1/namespaces/default/services", other).await.0, 422);
    let (_, made) = ask(&second, Method::POST, MAPS, json!({"metadata": {"name": "d"}})).await;
    assert!(revision(&made) > revision(&after));
    assert!(after["items"].as_array().unwrap().iter().all(|item| item["metadata"]["uid"] != made["metadata"]["uid"]));
    // Of what was before, nothing is known any more; from where it stands, a watch goes on.
    let old = format!("{MAPS}?watch=true&resourceVersion={}", revision(&before) - 1);
    let (_, event) = ask(&second, Method::GET, &old, Value::Null).await;
    assert_eq!((event["type"].as_str(), event["object"]["code"].as_i64()), (Some("ERROR"), Some(410)));
    let current = format!("{MAPS}?watch=true&resourceVersion={}", revision(&after));
    let (_, event) = ask(&second, Method::GET, &current, Value::Null).await;
    assert_eq!((event["type"].as_str(), event["object"]["metadata"]["name"].as_str()), (Some("ADDED"), Some("d")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objects.redb");
    let shared = open(&path);
    let writers = (0..8).map(|writer| {
        let shared = shared.clone();
        tokio::spawn(async move {
            for number in 0..25 {
                let map = json!({"metadata": {"name": format!("map-{writer}-{number}")}});
                assert_eq!(ask(&shared, Method::POST, MAPS, map).await.0, 201);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    // A copy of the file as it is now, with the server still there, is what a killed process would leave.
    let copy = folder.path().join("copy.redb");
    std::fs::copy(&path, &copy).unwrap();
    let saved = Disk::open(&copy).unwrap().load().unwrap().unwrap();
    assert_eq!(saved.objects.iter().filter(|((table, _), _)| table == "configmaps").count(), 200);
    assert!(saved.revision >= 200);
}

#[test]
fn a_file_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objects.redb");
    std::fs::write(&path, "not a database").unwrap();
    let told = Disk::open(&path).unwrap_err().to_string();
    assert!(told.contains("objects.redb"), "{told}");
}
