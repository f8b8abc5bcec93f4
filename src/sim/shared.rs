//! One API server that many clients use: in this process through [`tower::Service`], and over HTTP (`serve.rs`).

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
use jiff::Timestamp;

use super::apiserver::decode::MAX_BODY;
use super::apiserver::reply::Reply;
use super::apiserver::status::Status;
use super::apiserver::watch::{Frame, Watch};
use super::apiserver::{Answer, ApiServer};
use super::disk::{Disk, DiskError, Keeper};
use super::news::News;

/// Lines of a watch are sent together up to this many bytes.
const BATCH: usize = 64 << 10;
/// How long a client may take to send the body of a request.
const BODY_LIMIT: Duration = Duration::from_secs(60);

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;
/// What tells the time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A server that is shared. Clones are the same server.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    server: Mutex<ApiServer>,
    /// A newer revision, for the watches that wait.
    revisions: News,
    now: Now,
    /// Who writes to disk what changes.
    keeper: Option<Keeper>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    /// Shares a server. `now` tells it the time.
    pub fn new(server: ApiServer, now: Now) -> Self {
        Self::with_keeper(server, now, None)
    }

    /// Shares a server whose state is kept on disk. Nobody learns of a write before it is kept; if it can't be, requests
    /// are answered so and watches end.
    pub fn kept(mut server: ApiServer, now: Now, disk: Disk) -> Self {
        server.keep_writes();
        let writes = server.take_writes();
        let keeper = Keeper::start(disk, if writes.is_empty() { server.revision() } else { 0 });
        keeper.take(writes);
        Self::with_keeper(server, now, Some(keeper))
    }

    fn with_keeper(server: ApiServer, now: Now, keeper: Option<Keeper>) -> Self {
        Self(Arc::new(Inner { server: Mutex::new(server), revisions: News::default(), now, keeper }))
    }

    /// Does something with the server, of which watches learn.
    pub fn with<R>(&self, act: impl FnOnce(&mut ApiServer, Timestamp) -> R) -> R {
        // Nothing in the server panics half-way; what another thread did before it did is whole.
        let mut server = self.0.server.lock().unwrap_or_else(PoisonError::into_inner);
        let before = server.revision();
        let result = act(&mut server, (self.0.now)());
        let moved = server.revision() != before;
        if let Some(keeper) = &self.0.keeper {
            // Under the lock, so that writes arrive in their order.
            keeper.take(server.take_writes());
        }
        drop(server);
        if moved {
            self.0.revisions.tell();
        }
        result
    }

    /// Waits until what was done up to a revision may be told.
    async fn wait_until_kept(&self, revision: u64) -> Result<(), Arc<DiskError>> {
        match &self.0.keeper {
            Some(keeper) => keeper.wait(revision).await,
            None => Ok(()),
        }
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
        let body = tokio::time::timeout(BODY_LIMIT, Limited::new(body, MAX_BODY).collect());
        let Ok(body) = body.await else {
            let message = format!("the body of the request was not there within {} s", BODY_LIMIT.as_secs());
            return response(Status::bad_request(message).into());
        };
        let body = match body {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let message = format!("Request entity too large: limit is {MAX_BODY}");
                return response(Status::too_large(message).into());
            }
            Err(error) => return response(Status::bad_request(error.to_string()).into()),
        };
        let request = Request::from_parts(head, body);
        let (answer, revision) = self.with(|server, now| (server.handle(&request, now), server.revision()));
        if let Err(error) = self.wait_until_kept(revision).await {
            return response(Status::internal(error.to_string()).into());
        }
        match answer {
            Answer::Reply(reply) => response(reply),
            Answer::Watch(watch) => self.stream(*watch),
        }
    }

    /// The lines of a watch, as they come.
    fn stream(&self, watch: Watch) -> Response<Body> {
        let lines = stream::unfold((self.clone(), watch), |(shared, mut watch)| async move {
            loop {
                let changed = shared.0.revisions.next();
                let (lines, frame, revision) = shared.lines(&mut watch);
                if !lines.is_empty() {
                    // What can't be kept is not told.
                    shared.wait_until_kept(revision).await.ok()?;
                    return Some((Ok(BodyFrame::data(lines)), (shared, watch)));
                }
                let Frame::Wait(until) = frame else { return None };
                let wait = until.duration_since((shared.0.now)());
                let wait = Duration::try_from(wait).unwrap_or_default();
                tokio::select! {
                    // In a fixed order, so that a simulation can be repeated.
                    biased;
                    () = changed.cancelled() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
        });
        let mut response = Response::new(StreamBody::new(lines).boxed_unsync());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    /// All lines that there are, up to a batch, what came behind them, and the revision at which that was so. What is due
    /// by then is done first: who watches keeps the controllers going.
    fn lines(&self, watch: &mut Watch) -> (Bytes, Frame, u64) {
        self.with(|server, now| {
            server.wake(now);
            let (lines, frame) = batch(server, watch, now);
            let frame = match (frame, server.next_wake()) {
                (Frame::Wait(until), Some(due)) => Frame::Wait(until.min(due)),
                (frame, _) => frame,
            };
            (lines, frame, server.revision())
        })
    }
}

fn batch(server: &ApiServer, watch: &mut Watch, now: Timestamp) -> (Bytes, Frame) {
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
