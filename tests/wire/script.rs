//! A scripted API server: a `tower` service that records each request and answers with what the test says.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use driftless::cluster::fence::{Fence, WriteContext};
use driftless::engine::ids::Epoch;
use http_body_util::{BodyExt, Full};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// Time limit of the requests in these tests.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
/// Epoch of the writes in these tests.
pub(crate) const EPOCH: Epoch = Epoch(7);

/// A request as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recorded {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) content_type: Option<String>,
    /// JSON body; null if there is none.
    pub(crate) body: Value,
}

impl Recorded {
    /// `METHOD path`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn is_dry_run(&self) -> bool {
        self.query.get("dryRun").is_some_and(|value| value == "All")
    }
}

/// What to answer.
#[derive(Clone)]
pub(crate) enum Reply {
    Json(u16, Value),
    Headers(u16, Vec<(&'static str, &'static str)>, Value),
    Text(u16, &'static str),
    /// Nobody listens.
    Refused,
    /// The connection breaks after the request was sent.
    Broken,
    /// Nothing ever comes.
    Silence,
}

/// A `Status` as the API server sends it.
pub(crate) fn status(code: u16, reason: &str, message: &str, details: Value) -> Reply {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "details": details, "code": code,
    });
    Reply::Json(code, status)
}

pub(crate) fn conflict() -> Reply {
    let message = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again";
    status(409, "Conflict", message, json!({"name": "a", "kind": "configmaps"}))
}

pub(crate) fn not_found(kind: &str, name: &str) -> Reply {
    status(404, "NotFound", &format!("{kind} \"{name}\" not found"), json!({"name": name, "kind": kind}))
}

/// The scripted server's log and client.
#[derive(Clone)]
pub(crate) struct Script {
    log: Arc<Mutex<Vec<Recorded>>>,
    pub(crate) client: Client,
}

impl Script {
    /// Answers each request by `handler`, which is told how many came before.
    pub(crate) fn new(handler: impl FnMut(&Recorded, usize) -> Reply + Send + 'static) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let handler = Arc::new(Mutex::new(handler));
        let record = log.clone();
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let (record, handler) = (record.clone(), handler.clone());
            async move {
                let recorded = read(request).await;
                let reply = {
                    let mut record = record.lock().unwrap();
                    let reply = (handler.lock().unwrap())(&recorded, record.len());
                    record.push(recorded);
                    reply
                };
                answer(reply).await
            }
        });
        Self { log, client: Client::new(service, "default") }
    }

    /// Answers in the order given; a request beyond is a failure.
    pub(crate) fn replies(replies: Vec<Reply>) -> Self {
        Self::new(move |request, index| {
            replies.get(index).cloned().unwrap_or_else(|| panic!("unexpected request: {}", request.line()))
        })
    }

    /// What was sent so far.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.log.lock().unwrap().clone()
    }

    /// `METHOD path` of what was sent so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Recorded::line).collect()
    }
}

async fn read(request: http::Request<Body>) -> Recorded {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let query = parts.uri.query().unwrap_or_default();
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), value.to_owned())
    });
    Recorded {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: query.collect(),
        content_type: parts.headers.get("content-type").map(|value| value.to_str().unwrap().to_owned()),
        body: if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() },
    }
}

async fn answer(reply: Reply) -> Result<http::Response<Full<axum::body::Bytes>>, std::io::Error> {
    let respond = |code: u16, headers: Vec<(&str, &str)>, body: Vec<u8>| {
        let builder = headers.into_iter().fold(http::Response::builder().status(code), |b, (k, v)| b.header(k, v));
        Ok(builder.body(Full::new(body.into())).unwrap())
    };
    match reply {
        Reply::Json(code, value) => respond(code, vec![], value.to_string().into_bytes()),
        Reply::Headers(code, headers, value) => respond(code, headers, value.to_string().into_bytes()),
        Reply::Text(code, text) => respond(code, vec![("content-type", "text/plain")], text.into()),
        Reply::Refused => Err(std::io::ErrorKind::ConnectionRefused.into()),
        Reply::Broken => Err(std::io::ErrorKind::ConnectionReset.into()),
        Reply::Silence => match std::future::pending::<Infallible>().await {},
    }
}

/// A fence that lets the first `writes` through, in the right epoch only.
pub(crate) struct TestFence(Mutex<usize>);

impl Fence for TestFence {
    fn may_start(&self, epoch: Epoch, timeout: Duration) -> bool {
        assert_eq!((epoch, timeout), (EPOCH, TIMEOUT));
        let mut left = self.0.lock().unwrap();
        let allowed = *left > 0;
        *left = left.saturating_sub(1);
        allowed
    }
}

/// A context whose fence lets `writes` writes through.
pub(crate) fn context(writes: usize) -> WriteContext {
    WriteContext { fence: Arc::new(TestFence(Mutex::new(writes))), timeout: TIMEOUT }
}
