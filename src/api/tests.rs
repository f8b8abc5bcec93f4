//! Both servers over real sockets, asked as a stranger would ask them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::*;
use crate::engine::view::ApplicationView;

const LOOPBACK: &str = "127.0.0.1:0";

struct Agent {
    publish: watch::Sender<Arc<View>>,
    objects: mpsc::Receiver<ObjectsRequest>,
    health: HealthState,
    public: SocketAddr,
    local: SocketAddr,
    shutdown: CancellationToken,
    served: tokio::task::JoinHandle<()>,
}

impl Agent {
    async fn start() -> Self {
        let (publish, view) = watch::channel(Arc::new(View::default()));
        let (sender, objects) = mpsc::channel(OBJECTS_QUEUE);
        let state = ApiState { objects: sender, ..state(view) };
        let health = state.health.clone();
        let loopback = LOOPBACK.parse().unwrap();
        let server = Server::bind(loopback, loopback, state).await.unwrap();
        let (public, local) = server.addresses().unwrap();
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(server.run(shutdown.clone()));
        Self { publish, objects, health, public, local, shutdown, served }
    }

    async fn public(&self, path: &str) -> (u16, String) {
        get(self.public, path).await
    }

    async fn api(&self, path: &str) -> (u16, serde_json::Value) {
        let (status, body) = get(self.local, path).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    fn publish(&self, change: impl FnOnce(&mut View)) {
        let mut view = View::clone(&self.publish.borrow());
        change(&mut view);
        self.publish.send_replace(Arc::new(view));
    }

    fn publish_applications(&self) {
        let names = [("argocd", "shop"), ("argocd", "blog"), ("driftless", "shop")];
        let applications: BTreeMap<_, _> = names
            .into_iter()
            .map(|(namespace, name)| {
                let (namespace_, name_) = (namespace.to_owned(), name.to_owned());
                let view =
                    ApplicationView { namespace: namespace_, name: name_, objects: 2, ..ApplicationView::default() };
                (AppKey::new(namespace, name), Arc::new(view))
            })
            .collect();
        self.publish(|view| view.applications = Arc::new(applications));
    }
}

/// The state of an agent whose loop is gone.
fn state(view: watch::Receiver<Arc<View>>) -> ApiState {
    let metrics = Arc::new(Metrics::new(view.clone()));
    ApiState { view, objects: mpsc::channel(1).0, health: HealthState::new(), metrics }
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let answer =
        exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (status(head), body.to_owned())
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn readiness_follows_what_the_agent_knows() {
    let agent = Agent::start().await;
    let (status, body) = agent.public("/readyz").await;
    assert_eq!(status, 503);
    assert_eq!(
        body,
        "[-]store failed: not opened yet\n[-]applications failed: have not been listed yet\n[+]watches ok\n\
         [-]lease failed: its state is not known yet\nreadyz check failed\n"
    );

    agent.health.set_store(Ok(()));
    agent.publish(|view| {
        view.applications_listed = true;
        view.lease_known = true;
        view.watches_pending = (0..7).map(|n| format!("v1, Kind=K{n}")).collect();
    });
    let (status, body) = agent.public("/readyz").await;
    assert_eq!(status, 503);
    assert!(
        body.contains("[-]watches failed: 7 not synced once: v1, Kind=K0") && body.contains(", and 2 more\n"),
        "{body}"
    );

    // A standby, with applications that are broken.
    agent.publish(|view| view.watches_pending.clear());
    agent.publish_applications();
    assert_eq!(agent.public("/readyz").await, (200, "ok".to_owned()));
    let verbose = "[+]store ok\n[+]applications ok\n[+]watches ok\n[+]lease ok\nreadyz check passed\n";
    for path in ["/readyz?verbose", "/readyz?verbose=true", "/readyz?a=b&verbose"] {
        assert_eq!(agent.public(path).await, (200, verbose.to_owned()), "{path}");
    }
    assert_eq!(agent.public("/readyz?verbosely").await.1, "ok");

    agent.health.set_store(Err("disk\nfull".to_owned()));
    let (status, body) = agent.public("/healthz").await;
    assert_eq!(status, 500);
    assert!(body.contains("[+]loop ok\n[-]store failed: disk full\n"), "{body}");
}

// Without sockets: while a runtime with a paused clock waits for one, the clock jumps ahead.
#[tokio::test(start_paused = true)]
async fn life_is_the_loop_and_nothing_else() {
    let state = state(watch::channel(Arc::new(View::default())).1);
    let health = state.health.clone();
    let routes = server::public_routes(state);
    let livez = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = routes.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1024).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    // Before the first turn, for as long as it takes to repair a store.
    tokio::time::advance(2 * STALL_LIMIT).await;
    assert_eq!(livez("/livez").await, (200, "ok".to_owned()));
    health.touch();
    assert_eq!(livez("/livez?verbose").await, (200, "[+]loop ok\nlivez check passed\n".to_owned()));
    tokio::time::advance(STALL_LIMIT).await;
    assert_eq!(livez("/livez").await.0, 200);
    tokio::time::advance(Duration::from_secs(1)).await;
    let dead = "[-]loop failed: has not turned for 31 s\nlivez check failed\n";
    assert_eq!(livez("/livez").await, (500, dead.to_owned()));
    health.touch();
    assert_eq!(livez("/livez").await.0, 200);
}

#[tokio::test]
async fn metrics_are_open_metrics_text() {
    let agent = Agent::start().await;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", agent.public);
    let answer = exchange(agent.public, &request).await.to_lowercase();
    assert_eq!(status(&answer), 200);
    assert!(
        answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("# eof\n"));
}

#[tokio::test]
async fn each_listener_serves_its_own() {
    let agent = Agent::start().await;
    assert_eq!(agent.public("/api/v1/applications").await.0, 404);
    assert_eq!(agent.api("/metrics").await.0, 404);
    let post = format!(
        "POST /api/v1/applications HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        agent.local
    );
    assert_eq!(status(&exchange(agent.local, &post).await), 405);
}

#[tokio::test]
async fn applications_are_listed_in_order() {
    let agent = Agent::start().await;
    let (status, body) = agent.api("/api/v1/applications").await;
    assert_eq!((status, body), (200, serde_json::json!({"leader": false, "items": []})));
    agent.publish_applications();
    agent.publish(|view| (view.leader, view.epoch) = (true, Some(3)));
    let (_, body) = agent.api("/api/v1/applications").await;
    assert_eq!((&body["leader"], &body["epoch"]), (&true.into(), &3.into()));
    let names: Vec<_> =
        body["items"].as_array().unwrap().iter().map(|item| [&item["namespace"], &item["name"]]).collect();
    assert_eq!(names, [["argocd", "blog"], ["argocd", "shop"], ["driftless", "shop"]]);
}

#[tokio::test]
async fn an_application_comes_with_its_objects() {
    let mut agent = Agent::start().await;
    agent.publish_applications();
    let local = agent.local;
    let asked = tokio::spawn(async move { get(local, "/api/v1/applications/argocd/shop").await });
    let request = agent.objects.recv().await.unwrap();
    assert_eq!(request.app, AppKey::new("argocd", "shop"));
    let object = ObjectView { kind: "Service".to_owned(), name: "web".to_owned(), ..ObjectView::default() };
    request.reply.send(Some(vec![object])).unwrap();
    let (status, body) = asked.await.unwrap();
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!((&body["name"], &body["objects"]), (&"shop".into(), &2.into()));
    assert_eq!(body["resources"][0]["kind"], "Service");

    let (status, body) = agent.api("/api/v1/applications/argocd/none").await;
    assert_eq!((status, &body["reason"]), (404, &"NotFound".into()));
    assert!(body["message"].as_str().unwrap().contains("argocd/none"), "{body}");
    assert!(agent.objects.try_recv().is_err(), "the loop must not be asked for what the view does not know");
}

#[tokio::test]
async fn a_loop_that_does_not_answer_is_told_apart() {
    let mut agent = Agent::start().await;
    agent.publish_applications();
    let path = "/api/v1/applications/argocd/shop";
    let local = agent.local;

    // It takes the request and drops it.
    let asked = tokio::spawn(get(local, path));
    drop(agent.objects.recv().await.unwrap());
    assert_eq!(asked.await.unwrap().0, 503);

    // It takes the request and never answers.
    let asked = tokio::spawn(get(local, path));
    let kept = agent.objects.recv().await.unwrap();
    tokio::time::pause();
    assert_eq!(asked.await.unwrap().0, 504);
    tokio::time::resume();
    drop(kept);

    agent.objects.close();
    let (status, body) = agent.api(path).await;
    assert_eq!(status, 503);
    assert!(body["message"].as_str().unwrap().contains("shutting down"), "{body}");
}

#[tokio::test]
async fn requests_in_work_are_bounded() {
    let mut agent = Agent::start().await;
    agent.publish_applications();
    let path = "/api/v1/applications/argocd/shop";
    let mut kept = Vec::new();
    let mut asked = Vec::new();
    for _ in 0..limits::MAX_REQUESTS {
        asked.push(tokio::spawn(get(agent.local, path)));
        kept.push(agent.objects.recv().await.unwrap());
    }
    let (status, body) = agent.api(path).await;
    assert_eq!((status, &body["code"]), (503, &503.into()));
    // Health is another matter.
    assert_eq!(agent.public("/livez").await.0, 200);
    for request in kept {
        request.reply.send(Some(Vec::new())).unwrap();
    }
    for asked in asked {
        assert_eq!(asked.await.unwrap().0, 200);
    }
}

#[tokio::test]
async fn a_foreign_host_name_is_refused() {
    let agent = Agent::start().await;
    let path = "/api/v1/applications";
    for (host, expected) in [("localhost:8081", 200), ("rebind.example.com", 421), ("127.0.0.1.nip.io:8081", 421)] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(status(&exchange(agent.local, &request).await), expected, "{host}");
    }
}

#[tokio::test]
async fn the_api_is_for_this_machine() {
    let state = state(watch::channel(Arc::new(View::default())).1);
    let (any, loopback) = ("0.0.0.0:0".parse().unwrap(), LOOPBACK.parse().unwrap());
    let error = Server::bind(loopback, any, state.clone()).await.unwrap_err();
    assert!(error.to_string().contains("only a loopback address is allowed"), "{error}");

    let taken = tokio::net::TcpListener::bind(LOOPBACK).await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = Server::bind(address, loopback, state).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("can't listen on {address} for health checks and metrics")), "{error}");
}

#[tokio::test]
async fn shutdown_waits_for_answers_under_way_but_not_for_ever() {
    let mut agent = Agent::start().await;
    agent.publish_applications();
    let path = "/api/v1/applications/argocd/shop";
    let asked = tokio::spawn(get(agent.local, path));
    let request = agent.objects.recv().await.unwrap();
    let idle = TcpStream::connect(agent.public).await.unwrap();
    agent.shutdown.cancel();
    request.reply.send(Some(Vec::new())).unwrap();
    assert_eq!(asked.await.unwrap().0, 200);
    agent.served.await.unwrap();
    drop(idle);
}
