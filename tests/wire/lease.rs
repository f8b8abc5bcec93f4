//! The election over the wire: a scripted store of one Lease under paused time, and replicas that fight for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use driftless::cluster::clock::Clocks;
use driftless::cluster::fence::{Fence, InFlight};
use driftless::cluster::lease::{LeaseFence, LeaseHandle, LeaseSettings, election};
use driftless::engine::event::Leadership;
use driftless::engine::ids::Epoch;
use driftless::engine::lease::{LeaseTimes, Role};
use driftless::engine::time::Instant;
use http_body_util::{BodyExt, StreamBody};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/driftless/leases/driftless";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/driftless/leases";

/// One Lease as an API server keeps it.
struct Store {
    lease: Option<Value>,
    version: u64,
    /// Every write that was accepted: holder, transitions.
    writes: Vec<(String, i64)>,
    shown: broadcast::Sender<(&'static str, Value)>,
    watches: usize,
    watchable: bool,
}

#[derive(Clone)]
struct Server(Arc<Mutex<Store>>);

/// The way between one replica and the server; cut or not.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<bool>>);

impl Wire {
    fn cut(&self) {
        *self.0.lock().unwrap() = true;
    }

    fn is_cut(&self) -> bool {
        *self.0.lock().unwrap()
    }
}

type Frames = futures_util::stream::BoxStream<'static, Result<hyper::body::Frame<Bytes>, std::io::Error>>;

impl Server {
    fn new(lease: Option<Value>) -> Self {
        let (shown, _) = broadcast::channel(64);
        Self(Arc::new(Mutex::new(Store {
            lease,
            version: 100,
            writes: Vec::new(),
            shown,
            watches: 0,
            watchable: true,
        })))
    }

    fn client(&self, wire: &Wire) -> Client {
        let (server, wire) = (self.clone(), wire.clone());
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let (server, wire) = (server.clone(), wire.clone());
            async move {
                if wire.is_cut() {
                    std::future::pending::<()>().await;
                }
                Ok::<_, std::io::Error>(server.answer(request, wire).await)
            }
        });
        Client::new(service, "driftless")
    }

    async fn answer(&self, request: http::Request<Body>, wire: Wire) -> http::Response<StreamBody<Frames>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        if parts.uri.query().is_some_and(|query| query.contains("watch=true")) {
            assert_eq!(parts.uri.path(), LEASES);
            assert!(parts.uri.query().unwrap().contains("fieldSelector=metadata.name%3Ddriftless"));
            if !self.0.lock().unwrap().watchable {
                return response(403, Box::pin(futures_util::stream::empty()));
            }
            return response(200, self.watch(wire));
        }
        let (code, value) = self.0.lock().unwrap().request(parts.method.as_str(), parts.uri.path(), &body);
        response(code, Box::pin(futures_util::stream::iter([Ok(frame(value.to_string()))])))
    }

    fn watch(&self, wire: Wire) -> Frames {
        let mut store = self.0.lock().unwrap();
        store.watches += 1;
        let first: VecDeque<_> = store.lease.iter().map(|lease| ("ADDED", lease.clone())).collect();
        let receiver = store.shown.subscribe();
        Box::pin(futures_util::stream::unfold((first, receiver, wire), |(mut first, mut receiver, wire)| async move {
            let (kind, lease) = match first.pop_front() {
                Some(shown) => shown,
                None => receiver.recv().await.ok()?,
            };
            if wire.is_cut() {
                std::future::pending::<()>().await;
            }
            let line = json!({"type": kind, "object": lease}).to_string() + "\n";
            Some((Ok(frame(line)), (first, receiver, wire)))
        }))
    }

    fn lease(&self) -> Value {
        self.0.lock().unwrap().lease.clone().unwrap()
    }

    fn writes(&self) -> Vec<(String, i64)> {
        self.0.lock().unwrap().writes.clone()
    }
}

impl Store {
    fn request(&mut self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        match (method, &self.lease) {
            ("GET", Some(lease)) => {
                assert_eq!(path, LEASE);
                (200, lease.clone())
            }
            ("GET", None) => (404, status(404, "NotFound")),
            ("POST", None) => {
                assert_eq!(path, LEASES);
                let mut lease: Value = serde_json::from_slice(body).unwrap();
                lease["metadata"]["uid"] = json!("lease-1");
                (201, self.keep("ADDED", lease))
            }
            ("POST", Some(_)) => (409, status(409, "AlreadyExists")),
            ("PUT", Some(known)) => {
                assert_eq!(path, LEASE);
                let lease: Value = serde_json::from_slice(body).unwrap();
                if lease["metadata"]["resourceVersion"] != known["metadata"]["resourceVersion"] {
                    return (409, status(409, "Conflict"));
                }
                (200, self.keep("MODIFIED", lease))
            }
            _ => panic!("unexpected {method} {path}"),
        }
    }

    fn keep(&mut self, kind: &'static str, mut lease: Value) -> Value {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let spec = &lease["spec"];
        self.writes
            .push((spec["holderIdentity"].as_str().unwrap().to_owned(), spec["leaseTransitions"].as_i64().unwrap()));
        self.lease = Some(lease.clone());
        // Nobody has to watch.
        let _ = self.shown.send((kind, lease.clone()));
        lease
    }
}

fn frame(text: String) -> hyper::body::Frame<Bytes> {
    hyper::body::Frame::data(Bytes::from(text))
}

fn response(code: u16, frames: Frames) -> http::Response<StreamBody<Frames>> {
    http::Response::builder().status(code).body(StreamBody::new(frames)).unwrap()
}

fn status(code: u16, reason: &str) -> Value {
    json!({
        "kind": "Status", "status": "Failure", "reason": reason, "message": reason, "code": code,
        "details": {"name": "driftless", "kind": "leases"},
    })
}

/// One replica's election.
struct Replica {
    handle: LeaseHandle,
    task: JoinHandle<()>,
    in_flight: InFlight,
    wire: Wire,
}

/// Paused time: what the election and the fence take for the clock.
fn clocks(start: tokio::time::Instant) -> Clocks {
    let monotonic = move || Instant::from_origin(start.elapsed());
    let wall = move || Duration::from_secs(1_795_428_000) + start.elapsed();
    Clocks { monotonic: Arc::new(monotonic), wall: Arc::new(wall) }
}

fn join(server: &Server, identity: &str, start: tokio::time::Instant) -> Replica {
    let wire = Wire::default();
    let in_flight = InFlight::default();
    let settings = LeaseSettings {
        namespace: "driftless".to_owned(),
        name: "driftless".to_owned(),
        identity: identity.to_owned(),
        times: LeaseTimes::default(),
        floor: None,
        seed: 1,
    };
    let (handle, task) = election(server.client(&wire), settings, clocks(start), in_flight.clone());
    Replica { handle, task: tokio::spawn(task), in_flight, wire }
}

async fn until(replica: &Replica, check: impl Fn(&Role) -> bool) {
    replica.handle.state().wait_for(|state| check(&state.role)).await.unwrap();
}

fn leads(role: &Role) -> bool {
    matches!(role, Role::Leader { .. })
}

fn may_write(fence: &LeaseFence, epoch: i32) -> bool {
    fence.may_start(Epoch(epoch), Duration::from_millis(1500))
}

#[tokio::test(start_paused = true)]
async fn the_first_replica_creates_the_lease_and_its_fence_opens_in_its_epoch_only() {
    let server = Server::new(None);
    let replica = join(&server, "a", tokio::time::Instant::now());
    let fence = replica.handle.fence();
    assert!(!may_write(&fence, 1));
    until(&replica, leads).await;
    let state = replica.handle.state().borrow().clone();
    assert_eq!(state.leadership(), Leadership::Leader { epoch: Epoch(1), lease_uid: "lease-1".to_owned() });
    assert!(state.is_known());
    assert!(may_write(&fence, 1) && !may_write(&fence, 0) && !may_write(&fence, 2));
    assert!(!fence.may_start(Epoch(1), Duration::from_secs(5)), "a write that would outlast the lease");
    let spec = &server.lease()["spec"];
    assert_eq!((&spec["holderIdentity"], &spec["leaseDurationSeconds"]), (&json!("a"), &json!(6)));

    // It goes on renewing, with another renewTime each time, under the same epoch.
    let first = spec["renewTime"].clone();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_ne!(server.lease()["spec"]["renewTime"], first);
    assert!(may_write(&fence, 1));
    assert!(server.writes().iter().all(|write| *write == ("a".to_owned(), 1)));
    assert!((25..=35).contains(&server.writes().len()), "{}", server.writes().len());
    assert_eq!(server.0.lock().unwrap().watches, 1, "one watch is enough");
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_over_at_once_and_unknown_fields_stay() {
    let server = Server::new(Some(json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "driftless", "namespace": "driftless", "uid": "lease-9", "resourceVersion": "90", "labels": {"team": "x"}},
        "spec": {"holderIdentity": "", "leaseTransitions": 41, "strategy": "OldestEmulationVersion", "preferredHolder": "p"},
    })));
    let start = tokio::time::Instant::now();
    let first = join(&server, "a", start);
    until(&first, leads).await;
    let second = join(&server, "b", start);
    until(&second, |role| matches!(role, Role::Follower { holder: Some(holder) } if holder == "a")).await;
    tokio::time::sleep(Duration::from_secs(10)).await;

    let stopped_at = tokio::time::Instant::now();
    first.handle.shut_down();
    until(&second, leads).await;
    assert!(stopped_at.elapsed() < Duration::from_millis(200), "{:?}", stopped_at.elapsed());
    first.task.await.unwrap();
    assert!(!may_write(&first.handle.fence(), 42) && may_write(&second.handle.fence(), 43));
    let lease = server.lease();
    assert_eq!(lease["metadata"]["labels"]["team"], "x");
    assert_eq!(
        (&lease["spec"]["strategy"], &lease["spec"]["preferredHolder"]),
        (&json!("OldestEmulationVersion"), &json!("p"))
    );
    let holders: Vec<_> = server.writes().into_iter().map(|(holder, _)| holder).collect();
    let released = holders.iter().position(String::is_empty).unwrap();
    assert!(
        holders[..released].iter().all(|holder| holder == "a")
            && holders[released + 1..].iter().all(|holder| holder == "b")
    );
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_released_only_after_the_last_write_in_flight() {
    let server = Server::new(None);
    let start = tokio::time::Instant::now();
    let first = join(&server, "a", start);
    until(&first, leads).await;
    let second = join(&server, "b", start);
    until(&second, |role| matches!(role, Role::Follower { holder: Some(_) })).await;

    let write = first.in_flight.enter();
    first.handle.shut_down();
    until(&first, |role| matches!(role, Role::Draining { .. })).await;
    assert!(!may_write(&first.handle.fence(), 1));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!leads(&second.handle.state().borrow().role));
    drop(write);
    first.task.await.unwrap();
    until(&second, leads).await;
    assert!(may_write(&second.handle.fence(), 2));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_stops_before_the_next_one_starts() {
    let server = Server::new(None);
    let start = tokio::time::Instant::now();
    let (first, second) = (join(&server, "a", start), join(&server, "b", start));
    let mut first_state = first.handle.state();
    let leading = tokio::select! {
        _ = first_state.wait_for(|state| leads(&state.role)) => 0,
        () = until(&second, leads) => 1,
    };
    let (old, new) = if leading == 0 { (&first, &second) } else { (&second, &first) };
    for round in 1..=3 {
        tokio::time::sleep(Duration::from_millis(3300)).await;
        let (old, new) = if round % 2 == 1 { (old, new) } else { (new, old) };
        let (was, will) = (old.handle.fence(), new.handle.fence());
        assert!(may_write(&was, round));
        old.wire.cut();
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(!(may_write(&was, round) && may_write(&will, round + 1)), "two writers");
            if may_write(&will, round + 1) {
                break;
            }
        }
        assert!(!leads(&old.handle.state().borrow().role));
        *old.wire.0.lock().unwrap() = false;
    }
}

#[tokio::test(start_paused = true)]
async fn an_election_that_hangs_loses_its_fence_by_time_alone() {
    let server = Server::new(None);
    let start = tokio::time::Instant::now();
    let replica = join(&server, "a", start);
    until(&replica, leads).await;
    let fence = replica.handle.fence();
    replica.task.abort();
    assert!(may_write(&fence, 1));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!may_write(&fence, 1));
}

#[tokio::test(start_paused = true)]
async fn without_a_watch_a_release_is_noticed_by_reading() {
    let server = Server::new(None);
    server.0.lock().unwrap().watchable = false;
    let start = tokio::time::Instant::now();
    let first = join(&server, "a", start);
    until(&first, leads).await;
    let second = join(&server, "b", start);
    until(&second, |role| matches!(role, Role::Follower { holder: Some(holder) } if holder == "a")).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    first.handle.shut_down();
    first.task.await.unwrap();
    until(&second, leads).await;
    assert!(may_write(&second.handle.fence(), 2));
}
