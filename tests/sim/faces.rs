//! The faces of the model: what is asked over HTTP and through a `tower::Service` is answered by one server.

use std::sync::Arc;
use std::time::Duration;

use driftless::sim::apiserver::ApiServer;
use driftless::sim::apiserver::lifecycle::Controllers;
use driftless::sim::shared::Shared;
use http::Request;
use jiff::Timestamp;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::server::{Http, Next, Server};

/// How long a line of a watch may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn shared() -> Shared {
    let controllers = Controllers { namespaces: true, garbage: true, ..Controllers::default() };
    let server = ApiServer::new(1, controllers, Vec::new(), Timestamp::now());
    Shared::new(server, Arc::new(Timestamp::now))
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_over_http_sees_what_a_client_in_this_process_does() {
    crate::support::control_plane::install_tls();
    let shared = shared();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let stopped = CancellationToken::new();
    let serving = tokio::spawn(shared.clone().serve(listener, stopped.clone()));

    let path = "/api/v1/namespaces/default/configmaps";
    let (opened, is_open) = tokio::sync::oneshot::channel();
    let seen = tokio::task::spawn_blocking(move || {
        let mut http = Http::new(&base);
        let request = Request::get(format!("{path}?watch=true&resourceVersion=1")).body(Vec::new()).unwrap();
        let watch = http.watch(request).unwrap();
        opened.send(()).unwrap();
        let Next::Event(event) = http.event(watch, PATIENCE) else { panic!("no event") };
        let request = Request::delete(format!("{path}/web")).body(Vec::new()).unwrap();
        (event, http.call(request).status(), http.event(watch, PATIENCE))
    });
    is_open.await.unwrap();
    let client = kube::Client::new(shared, "default");
    let api: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::default_namespaced(client);
    let made: k8s_openapi::api::core::v1::ConfigMap = serde_json::from_value(config_map("web")).unwrap();
    api.create(&PostParams::default(), &made).await.unwrap();

    let (event, deleted, last) = seen.await.unwrap();
    assert_eq!((event["type"].as_str(), event["object"]["data"]["a"].as_str()), (Some("ADDED"), Some("b")));
    assert_eq!(deleted, 200);
    assert!(matches!(last, Next::Event(event) if event["type"] == "DELETED"));
    assert!(api.get_opt("web").await.unwrap().is_none());
    stopped.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let body = http_body_util::Full::new(bytes::Bytes::from(vec![b'x'; 4 << 20]));
    let request = Request::post("/api/v1/namespaces/default/configmaps").body(body).unwrap();
    assert_eq!(shared().respond(request).await.status(), 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_ends_its_watches_and_takes_no_more() {
    crate::support::control_plane::install_tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stopped = CancellationToken::new();
    let serving = tokio::spawn(shared().serve(listener, stopped.clone()));
    let stop = stopped.clone();
    let ended = tokio::task::spawn_blocking(move || {
        let mut http = Http::new(&format!("http://{address}"));
        let request = Request::get("/api/v1/namespaces?watch=true&resourceVersion=1").body(Vec::new()).unwrap();
        let watch = http.watch(request).unwrap();
        stop.cancel();
        while let Next::Event(_) = http.event(watch, PATIENCE) {}
        matches!(http.event(watch, PATIENCE), Next::End)
    });
    assert!(ended.await.unwrap(), "it ends by itself, and long before its timeout");
    tokio::time::timeout(PATIENCE, serving).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
