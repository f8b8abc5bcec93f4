//! A server behind a network that fails.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tokio_util::sync::CancellationToken;

use super::lines::{Mangler, Piece};
use super::{Asked, End, Faults, Lines, Plan};
use crate::sim::apiserver::status::Status;
use crate::sim::news::News;
use crate::sim::shared::{Body as WholeBody, Shared};

/// The body of an answer, which may break off.
pub type Body = UnsyncBoxBody<Bytes, Broken>;

/// A connection broke, or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection was reset")]
pub struct Broken;

/// A request that the server has carried out, as its audit log has it.
#[derive(Clone, Debug)]
pub struct Audited<'r> {
    /// Name of the client.
    pub client: &'r str,
    /// How it was asked.
    pub method: &'r Method,
    /// What was asked.
    pub uri: &'r Uri,
    /// What it was answered with, whatever of that has reached the client.
    pub code: StatusCode,
    /// Revisions before and after it: they differ if something was written.
    pub revisions: (u64, u64),
}

/// Takes the audit log. Called before anything else happens on the server.
pub type Audit = Arc<dyn Fn(&Audited<'_>) + Send + Sync>;

/// A server as a client sees it whose requests meet faults. Clones are the same network.
#[derive(Clone)]
pub struct Faulty {
    shared: Shared,
    client: Arc<str>,
    network: Arc<Network>,
    audit: Option<Audit>,
}

struct Network {
    faults: Mutex<Faults>,
    /// How often the server was started again: connections of before break.
    restarts: News,
}

impl Faulty {
    /// A network in front of `shared`.
    pub fn new(shared: Shared, faults: Faults) -> Self {
        let network = Network { faults: Mutex::new(faults), restarts: News::default() };
        Self { shared, client: "".into(), network: Arc::new(network), audit: None }
    }

    /// The same network, whose requests are told to `audit`.
    #[must_use]
    pub fn audited(self, audit: Audit) -> Self {
        Self { audit: Some(audit), ..self }
    }

    /// The same network, for the client of this name.
    #[must_use]
    pub fn client(&self, name: &str) -> Self {
        Self { client: name.into(), ..self.clone() }
    }

    /// The rules that hold now, to be changed.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        // Nothing that holds them panics half-way.
        self.network.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the server again: its watch cache begins anew, and every connection breaks. What was stored stays.
    pub fn restart(&self) {
        self.shared.with(|server, _| server.compact());
        self.network.restarts.tell();
    }

    /// Answers a request, unless a fault has it otherwise.
    pub async fn respond<B>(&self, request: Request<B>) -> Result<Response<Body>, Broken>
    where
        B: hyper::body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let restarted = self.network.restarts.next();
        let (mut head, body) = request.into_parts();
        let plan = {
            let asked = Asked::of(&self.client, &head.method, &head.uri);
            self.faults().plan(&asked, self.shared.now())
        };
        pass(plan.delay).await;
        if plan.end.is_some_and(|end| !end.is_carried_out()) {
            return ended(plan.end).await;
        }
        if let Some(revisions) = plan.stale {
            head.uri = stale(&head.uri, self.shared.with(|server, _| server.revision()).saturating_sub(revisions));
        }
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        let response = self.carry_out(head, body).await;
        pass(plan.delay).await;
        if plan.end.is_some() {
            return ended(plan.end).await;
        }
        if restarted.is_cancelled() {
            return Err(Broken);
        }
        let response = undiscovered(response, &plan).await;
        Ok(mangled(response, plan.lines, restarted))
    }
}

impl Faulty {
    async fn carry_out(&self, head: Parts, body: Bytes) -> Response<WholeBody> {
        let asked = self.audit.as_ref().map(|audit| (audit, head.method.clone(), head.uri.clone()));
        let revision = || self.shared.with(|server, _| server.revision());
        let before = revision();
        // Of a body that is there it is answered at once: nothing else happens in between.
        let response = self.shared.respond(Request::from_parts(head, Full::new(body))).await;
        if let Some((audit, method, uri)) = asked {
            let revisions = (before, revision());
            audit(&Audited { client: &self.client, method: &method, uri: &uri, code: response.status(), revisions });
        }
        response
    }
}

async fn pass(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// What comes instead of an answer.
async fn ended(end: Option<End>) -> Result<Response<Body>, Broken> {
    match end {
        Some(End::Error { code, retry_after, .. }) => Ok(error(code, retry_after)),
        Some(End::Silent { .. }) => pending().await,
        Some(End::Refused | End::Reset { .. }) | None => Err(Broken),
    }
}

/// An error as the API server, or what stands before it, words it.
fn error(code: u16, retry_after: Option<u32>) -> Response<Body> {
    let text = match code {
        429 => "Too many requests, please try again later.\n".to_owned(),
        503 | 502 => "the server is currently unable to handle the request\n".to_owned(),
        _ => Status::internal(format!("simulated failure {code}")).to_value().to_string(),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// The same list, as of a revision. A request for a revision of its own choice, or for the next page, stays as it is.
fn stale(uri: &Uri, revision: u64) -> Uri {
    let query = uri.query().unwrap_or_default();
    let names: Vec<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    if ["watch", "continue", "resourceVersion", "resourceVersionMatch"].iter().any(|name| names.contains(name)) {
        return uri.clone();
    }
    let and = if query.is_empty() { "" } else { "&" };
    let wanted = format!("{}?{query}{and}resourceVersion={revision}&resourceVersionMatch=Exact", uri.path());
    wanted.parse().unwrap_or_else(|_| uri.clone())
}

/// The answer without the groups that are left out of discovery.
async fn undiscovered(response: Response<WholeBody>, plan: &Plan) -> Response<WholeBody> {
    if plan.undiscovered.is_empty() {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let bytes = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(never) => match never {},
    };
    let mut bytes = bytes;
    if let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(&bytes) {
        let is_left_out = |name: Option<&serde_json::Value>| {
            name.and_then(serde_json::Value::as_str).is_some_and(|name| plan.undiscovered.iter().any(|out| out == name))
        };
        // The aggregated form, and the older one.
        for (list, name) in [("items", "/metadata/name"), ("groups", "/name")] {
            if let Some(groups) = value.get_mut(list).and_then(serde_json::Value::as_array_mut) {
                groups.retain(|group| !is_left_out(group.pointer(name)));
            }
        }
        bytes = value.to_string().into();
        head.headers.insert(CONTENT_LENGTH, bytes.len().into());
    }
    Response::from_parts(head, Full::new(bytes).boxed_unsync())
}

/// The answer with its body as the faults have it.
fn mangled(response: Response<WholeBody>, lines: Lines, restarted: CancellationToken) -> Response<Body> {
    let (head, body) = response.into_parts();
    if lines.is_nothing() && head.headers.contains_key(CONTENT_LENGTH) {
        return Response::from_parts(head, body.map_err(|never| match never {}).boxed_unsync());
    }
    let late = lines.late;
    let state = (body, Mangler::new(lines), restarted);
    let pieces = stream::unfold(Some(state), move |state| async move {
        let (mut body, mut mangler, restarted) = state?;
        loop {
            match mangler.next() {
                Some(Piece::Bytes(bytes)) => {
                    pass(late).await;
                    return Some((Ok(Frame::data(bytes)), Some((body, mangler, restarted))));
                }
                Some(Piece::End) => return None,
                Some(Piece::Break) => return Some((Err(Broken), None)),
                Some(Piece::Hush) => {
                    // Until the server is started again; nobody else ends it.
                    restarted.cancelled().await;
                    return Some((Err(Broken), None));
                }
                None => {}
            }
            tokio::select! {
                // In a fixed order, so that a run can be repeated.
                biased;
                () = restarted.cancelled() => return Some((Err(Broken), None)),
                frame = body.frame() => take_in(&mut mangler, frame),
            }
        }
    });
    Response::from_parts(head, StreamBody::new(pieces).boxed_unsync())
}

fn take_in(mangler: &mut Mangler, frame: Option<Result<Frame<Bytes>, Infallible>>) {
    match frame.map(|Ok(frame)| frame) {
        Some(frame) => mangler.push(frame.data_ref().map_or(&[][..], |data| data)),
        None => mangler.end(),
    }
}

impl<B> tower::Service<Request<B>> for Faulty
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Broken>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let faulty = self.clone();
        Box::pin(async move { faulty.respond(request).await })
    }
}
