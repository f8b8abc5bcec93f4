//! The server's HTTP face: HTTP/1.1 on a listener, with TLS or without.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::shared::{Body, Shared};

/// Connections that are served at the same time; more wait.
const MAX_CONNECTIONS: usize = 1024;
/// Wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// How long a client may take to shake hands.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long a client may take to send the head of a request.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// Largest head of a request, in bytes: that of Go's server.
const MAX_HEAD: usize = 1 << 20;
/// How long requests under way are waited for at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// What is served on a listener.
#[derive(Clone, Default)]
pub struct Face {
    /// Certificate and key; `None`: plain HTTP, over which kubectl sends no token.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl std::fmt::Debug for Face {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Face").field("tls", &self.tls.is_some()).finish()
    }
}

impl Shared {
    /// Serves plain HTTP, as [`Shared::serve_as`] does.
    pub async fn serve(self, listener: TcpListener, stopped: CancellationToken) {
        self.serve_as(&Face::default(), listener, stopped).await;
    }

    /// Serves until `stopped` is cancelled. Then watches end, no more requests are taken, and those under way are
    /// answered, for at most five seconds.
    pub async fn serve_as(self, face: &Face, listener: TcpListener, stopped: CancellationToken) {
        let acceptor = face.tls.clone().map(TlsAcceptor::from);
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let connections = TaskTracker::new();
        loop {
            let accepted = stopped.run_until_cancelled(async {
                let place = places.clone().acquire_owned().await;
                (place, listener.accept().await)
            });
            let Some((place, accepted)) = accepted.await else { break };
            let Ok((stream, _)) = accepted else {
                // One connection failed, or there are no descriptors left for now.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            // Answers are small and somebody waits for them. A client that has gone already finds its end below.
            let _ = stream.set_nodelay(true);
            let connection = self.clone().connection(stream, acceptor.clone(), stopped.clone());
            connections.spawn(async move {
                connection.await;
                drop(place);
            });
        }
        connections.close();
        // What is not done by then is cut off.
        let _ = tokio::time::timeout(DRAIN, connections.wait()).await;
    }

    async fn connection(self, stream: TcpStream, acceptor: Option<TlsAcceptor>, stopped: CancellationToken) {
        let Some(acceptor) = acceptor else {
            return self.requests(stream, stopped).await;
        };
        let handshake = stopped.run_until_cancelled(tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)));
        // Who does not speak TLS, or not with us, is told so by the library.
        if let Some(Ok(Ok(stream))) = handshake.await {
            self.requests(stream, stopped).await;
        }
    }

    async fn requests(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send, stopped: CancellationToken) {
        let ends = stopped.clone();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let (shared, ends) = (self.clone(), ends.clone());
            async move { Ok::<_, Infallible>(ending(shared.respond(request).await, ends)) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(MAX_HEAD);
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            // A client that breaks off is no failure of the server.
            _ = connection.as_mut() => return,
            () = stopped.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(DRAIN, connection).await;
    }
}

/// A watch ends when the server does; all else has a length and is sent to its end.
fn ending(response: Response<Body>, stopped: CancellationToken) -> Response<Body> {
    if response.headers().contains_key(CONTENT_LENGTH) {
        return response;
    }
    response.map(|body| {
        let lines = BodyStream::new(body).take_until(stopped.cancelled_owned());
        StreamBody::new(lines).boxed_unsync()
    })
}
