//! One API server that many clients use: in this process through [`tower::Service`], and over HTTP on loopback.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_TYPE, HeaderValue, WARNING};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited, StreamBody};
use hyper::body::Frame as BodyFrame;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::apiserver::decode::MAX_BODY;
use super::apiserver::reply::Reply;
use super::apiserver::status::Status;
use super::apiserver::watch::{Frame, Watch};
use super::apiserver::{Answer, ApiServer};

/// Lines of a watch are sent together up to this many bytes.
const BATCH: usize = 64 << 10;
/// Connections that are served at the same time; more wait.
const MAX_CONNECTIONS: usize = 1024;
/// Wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// How long a client may take to send the head of a request.
const HEAD_LIMIT: Duration = Duration::from_secs(30);

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;
/// What tells the time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A server that is shared. Clones are the same server.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    server: Mutex<ApiServer>,
    /// The newest revision, for the watches that wait.
    revision: watch::Sender<u64>,
    now: Now,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("revision", &*self.0.revision.borrow()).finish_non_exhaustive()
    }
}

impl Shared {
    /// Shares a server. `now` tells it the time.
    pub fn new(server: ApiServer, now: Now) -> Self {
        let (revision, _) = watch::channel(server.revision());
        Self(Arc::new(Inner { server: Mutex::new(server), revision, now }))
    }

    /// Does something with the server, of which watches learn.
    pub fn with<R>(&self, act: impl FnOnce(&mut ApiServer, Timestamp) -> R) -> R {
        // Nothing in the server panics half-way; what another thread did before it did is whole.
        let mut server = self.0.server.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut server, (self.0.now)());
        let revision = server.revision();
        drop(server);
        self.0.revision.send_if_modified(|known| std::mem::replace(known, revision) != revision);
        result
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.0.now)()
    }

    /// Answers a request.
    pub async fn respond<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let body = match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let message = format!("Request entity too large: limit is {MAX_BODY}");
                return response(Status::too_large(message).into());
            }
            Err(error) => return response(Status::bad_request(error.to_string()).into()),
        };
        let request = Request::from_parts(head, body);
        match self.with(|server, now| server.handle(&request, now)) {
            Answer::Reply(reply) => response(reply),
            Answer::Watch(watch) => self.stream(*watch),
        }
    }

    /// Serves HTTP until `stopped` is cancelled; open connections are dropped then.
    pub async fn serve(self, listener: TcpListener, stopped: CancellationToken) {
        let places = Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
        loop {
            let place = tokio::select! {
                () = stopped.cancelled() => return,
                place = places.clone().acquire_owned() => place,
            };
            let accepted = tokio::select! {
                () = stopped.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // One connection failed, or there are no descriptors left for now.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            // Answers are small and somebody waits for them. A client that has gone already finds its end below.
            let _ = stream.set_nodelay(true);
            let (shared, stopped) = (self.clone(), stopped.clone());
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request| {
                    let shared = shared.clone();
                    async move { Ok::<_, Infallible>(shared.respond(request).await) }
                });
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    () = stopped.cancelled() => {}
                    // A client that breaks off is no failure of the server.
                    _ = connection => {}
                }
                drop(place);
            });
        }
    }

    /// The lines of a watch, as they come.
    fn stream(&self, watch: Watch) -> Response<Body> {
        let state = (self.clone(), watch, self.0.revision.subscribe());
        let lines = stream::unfold(state, |(shared, mut watch, mut changed)| async move {
            loop {
                changed.mark_unchanged();
                let (lines, frame) = shared.lines(&mut watch);
                if !lines.is_empty() {
                    return Some((Ok(BodyFrame::data(lines)), (shared, watch, changed)));
                }
                let Frame::Wait(until) = frame else { return None };
                let wait = until.duration_since((shared.0.now)());
                let wait = Duration::try_from(wait).unwrap_or_default();
                tokio::select! {
                    // In a fixed order, so that a simulation can be repeated.
                    biased;
                    // The sender lives as long as `shared` does.
                    _ = changed.changed() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
        });
        let mut response = Response::new(StreamBody::new(lines).boxed_unsync());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    /// All lines that there are, up to a batch, and what came behind them.
    fn lines(&self, watch: &mut Watch) -> (Bytes, Frame) {
        let server = self.0.server.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.0.now)();
        let mut lines = BytesMut::new();
        loop {
            match server.next(watch, now) {
                Frame::Line(pieces) => pieces.iter().for_each(|piece| lines.extend_from_slice(piece)),
                other => return (lines.freeze(), other),
            }
            if lines.len() >= BATCH {
                return (lines.freeze(), Frame::Wait(now));
            }
        }
    }
}

fn response(reply: Reply) -> Response<Body> {
    let length: usize = reply.body.iter().map(Bytes::len).sum();
    let pieces = stream::iter(reply.body).ready_chunks(1024).map(|pieces| {
        let joined = match pieces.as_slice() {
            [one] => one.clone(),
            pieces => pieces.concat().into(),
        };
        Ok(BodyFrame::data(joined))
    });
    let mut response = Response::new(StreamBody::new(pieces).boxed_unsync());
    *response.status_mut() = http::StatusCode::from_u16(reply.code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_LENGTH, length.into());
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::try_from(reply.content_type).unwrap_or(HeaderValue::from_static("text/plain")),
    );
    if let Some(seconds) = reply.retry_after {
        headers.insert(http::header::RETRY_AFTER, seconds.into());
    }
    for warning in reply.warnings {
        let told = format!("299 - \"{}\"", warning.replace('\\', "\\\\").replace('"', "\\\""));
        headers.extend(HeaderValue::try_from(told).map(|value| (WARNING, value)));
    }
    response
}

impl<B> tower::Service<Request<B>> for Shared
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = self.clone();
        Box::pin(async move { Ok(shared.respond(request).await) })
    }
}
