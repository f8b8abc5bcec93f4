//! An API server played by the test: it sees one request after the other and answers each as it likes, with a stream that
//! stays open if need be.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use driftless::cluster::Client;
use driftless::cluster::discovery::DiscoveryHandle;
use driftless::cluster::watch::Reader;
use driftless::engine::hash::HashKey;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{HeaderMap, Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// Installation id in these tests.
pub(crate) const INSTANCE: &str = "0123456789abcdef";

type Pieces = StreamBody<BoxStream<'static, io::Result<Frame<Bytes>>>>;

/// A request that waits for its answer.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    reply: oneshot::Sender<io::Result<Response<Pieces>>>,
}

/// The open body of an answer; dropped, it ends.
pub(crate) struct Open(mpsc::UnboundedSender<io::Result<Frame<Bytes>>>);

impl Open {
    pub(crate) fn bytes(&self, bytes: impl Into<Vec<u8>>) {
        let _ = self.0.send(Ok(Frame::data(Bytes::from(bytes.into()))));
    }

    /// One line of a watch.
    pub(crate) fn event(&self, kind: &str, object: &Value) {
        self.bytes(format!("{}\n", json!({"type": kind, "object": object})));
    }

    /// The connection breaks.
    pub(crate) fn cut(self) {
        let _ = self.0.send(Err(io::ErrorKind::ConnectionReset.into()));
    }
}

impl Asked {
    /// The path with the parameters that these tests look at, in short.
    pub(crate) fn line(&self) -> String {
        let mut line = self.path.clone();
        for name in ["continue", "limit", "resourceVersion", "watch"] {
            if let Some(value) = self.query.get(name) {
                line.push_str(&format!(" {name}={value}"));
            }
        }
        line
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn send(self, answer: io::Result<Response<Pieces>>) {
        let _ = self.reply.send(answer);
    }

    pub(crate) fn answer(self, code: u16, headers: &[(&str, &str)], text: impl Into<Vec<u8>>) {
        let pieces = stream::iter([Ok(Frame::data(Bytes::from(text.into())))]).boxed();
        let builder = headers.iter().fold(Response::builder().status(code), |b, (name, value)| b.header(*name, *value));
        self.send(Ok(builder.body(StreamBody::new(pieces)).unwrap()));
    }

    pub(crate) fn json(self, value: &Value) {
        self.answer(200, &[], value.to_string());
    }

    pub(crate) fn refuse(self, code: u16, message: &str) {
        self.refuse_with(code, &[], message, json!({}));
    }

    pub(crate) fn refuse_with(self, code: u16, headers: &[(&str, &str)], message: &str, details: Value) {
        let status =
            json!({"kind": "Status", "status": "Failure", "code": code, "message": message, "details": details});
        self.answer(code, headers, status.to_string());
    }

    /// Status 200 and a body that stays open.
    pub(crate) fn open(self) -> Open {
        let (sender, receiver) = mpsc::unbounded_channel();
        let pieces = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
        self.send(Ok(Response::new(StreamBody::new(pieces.boxed()))));
        Open(sender)
    }

    /// No answer: the connection breaks.
    pub(crate) fn break_off(self) {
        self.send(Err(io::ErrorKind::ConnectionReset.into()));
    }
}

/// The kinds that the server serves, and how discovery is answered.
#[derive(Default)]
pub(crate) struct Kinds {
    /// `APIGroupDiscoveryList.items` of `/api` and `/apis`.
    pub(crate) groups: [Vec<Value>; 2],
    /// Tag of the answers; none if empty.
    pub(crate) etag: String,
}

/// Waits for what must come within an hour of the paused clock.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(3600), what).await.expect("it never comes")
}

/// The server.
pub(crate) struct Server {
    requests: mpsc::UnboundedReceiver<Asked>,
    pub(crate) client: Client,
    pub(crate) kinds: Arc<Mutex<Kinds>>,
    /// Requests for discovery so far, and how many of them were answered by 304.
    pub(crate) discoveries: Arc<AtomicUsize>,
    pub(crate) unchanged: Arc<AtomicUsize>,
}

impl Server {
    /// A server of ConfigMaps and Secrets, which answers discovery by itself.
    pub(crate) fn new() -> Self {
        let core = vec![resource("configmaps", "ConfigMap"), resource("secrets", "Secret")];
        Self::serving([vec![group("", "v1", "Current", core)], vec![]])
    }

    pub(crate) fn serving(groups: [Vec<Value>; 2]) -> Self {
        let (sender, requests) = mpsc::unbounded_channel();
        let kinds = Arc::new(Mutex::new(Kinds { groups, etag: String::new() }));
        let (discoveries, unchanged) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let service = {
            let (kinds, discoveries, unchanged) = (kinds.clone(), discoveries.clone(), unchanged.clone());
            tower::service_fn(move |request: Request<Body>| {
                let (reply, answer) = oneshot::channel();
                let asked = read(&request, reply);
                match ["/api", "/apis"].iter().position(|path| *path == asked.path) {
                    Some(index) => {
                        discoveries.fetch_add(1, Ordering::SeqCst);
                        let kinds = kinds.lock().unwrap();
                        if !kinds.etag.is_empty() && asked.header("if-none-match") == kinds.etag {
                            unchanged.fetch_add(1, Ordering::SeqCst);
                            asked.answer(304, &[], "");
                        } else {
                            let list = json!({"kind": "APIGroupDiscoveryList", "items": kinds.groups[index]});
                            let etag = [("etag", kinds.etag.as_str())];
                            asked.answer(200, if kinds.etag.is_empty() { &[] } else { &etag }, list.to_string());
                        }
                    }
                    None => drop(sender.send(asked)),
                }
                async { answer.await.unwrap_or_else(|_| Err(io::ErrorKind::ConnectionAborted.into())) }
            })
        };
        Self { requests, client: Client::new(service, "default"), kinds, discoveries, unchanged }
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Asked {
        soon(self.requests.recv()).await.unwrap()
    }

    /// The next request, whose [`Asked::line`] must be `line`.
    pub(crate) async fn expect(&mut self, line: &str) -> Asked {
        let asked = self.next().await;
        assert_eq!(asked.line(), line);
        asked
    }

    /// Whether no request waits.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader {
            client: self.client.clone(),
            discovery: DiscoveryHandle::new(self.client.clone()),
            instance: INSTANCE.into(),
            hash_key: HashKey([7; 32]),
        }
    }
}

fn read(request: &Request<Body>, reply: oneshot::Sender<io::Result<Response<Pieces>>>) -> Asked {
    assert_eq!(request.method(), "GET");
    let query = request.uri().query().unwrap_or_default();
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    Asked {
        path: request.uri().path().to_owned(),
        query: query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        headers: request.headers().clone(),
        reply,
    }
}

/// One group with one version, as aggregated discovery tells of it.
pub(crate) fn group(name: &str, version: &str, freshness: &str, resources: Vec<Value>) -> Value {
    let version = json!({"version": version, "freshness": freshness, "resources": resources});
    json!({"metadata": {"name": name}, "versions": [version]})
}

/// A namespaced kind that can be listed and patched.
pub(crate) fn resource(plural: &str, kind: &str) -> Value {
    let verbs = ["get", "list", "watch", "create", "patch", "delete"];
    json!({"resource": plural, "responseKind": {"kind": kind}, "scope": "Namespaced", "verbs": verbs})
}

/// A ConfigMap of ours.
pub(crate) fn object(name: &str, resource_version: u64) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"),
            "resourceVersion": resource_version.to_string(), "labels": {"driftless.dev/instance": INSTANCE},
        },
        "data": {"a": "b"},
    })
}

/// A page of a list.
pub(crate) fn page(resource_version: u64, token: &str, items: &[Value]) -> Value {
    let metadata = json!({"resourceVersion": resource_version.to_string(), "continue": token});
    json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata, "items": items})
}
