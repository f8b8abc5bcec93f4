//! Counting requests.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use driftless::cluster::observe::{ObserverLayer, RequestObserver, Verb};
use http::{Request, Response};
use kube::client::{Body, ClientBuilder};

type Report = (Verb, String, Option<u16>, f64);

#[derive(Default)]
struct Seen(Mutex<Vec<Report>>);

impl RequestObserver for Seen {
    fn observed(&self, verb: Verb, resource: &str, code: Option<u16>, seconds: f64) {
        self.0.lock().unwrap().push((verb, resource.to_owned(), code, seconds));
    }
}

#[tokio::test(start_paused = true)]
async fn every_request_is_reported_once_however_it_ends() {
    let seen = Arc::new(Seen::default());
    let service = tower::service_fn(|request: Request<Body>| async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        match request.uri().path() {
            "/api/v1/pods" => Ok(Response::builder().status(418).body(Body::empty()).unwrap()),
            _ => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        }
    });
    let client = ClientBuilder::new(service, "default").with_layer(&ObserverLayer::new(seen.clone())).build();
    let get = |path: &str| client.send(Request::get(path).body(Body::empty()).unwrap());
    get("/api/v1/pods").await.unwrap();
    get("/api/v1/namespaces/shop/secrets/db").await.unwrap_err();
    tokio::time::timeout(Duration::from_secs(1), get("/apis/apps/v1/deployments?watch=true")).await.unwrap_err();
    tokio::task::yield_now().await;
    assert_eq!(
        *seen.0.lock().unwrap(),
        [
            (Verb::List, "pods".to_owned(), Some(418), 2.0),
            (Verb::Get, "secrets".to_owned(), None, 2.0),
            (Verb::Watch, "deployments.apps".to_owned(), None, 1.0),
        ]
    );
}
