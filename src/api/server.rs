//! The two listeners and their routes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Router, serve};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connection::Bounded;
use super::limits::{Gate, bounded, local_host_only};
use super::{ApiState, applications, health};

/// Media type of the OpenMetrics text format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How long a shutdown waits for answers under way.
const DRAIN: Duration = Duration::from_secs(2);

/// Why the agent can't listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The API has no authentication yet.
    #[error("the API can't listen on {0}: it asks nobody who they are, so only a loopback address is allowed")]
    NotLoopback(SocketAddr),
    /// The address can't be had.
    #[error("can't listen on {address} for {purpose}: {source}")]
    Bind {
        /// Address.
        address: SocketAddr,
        /// What it is for.
        purpose: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// The HTTP side, bound to its addresses.
#[derive(Debug)]
pub struct Server {
    public: TcpListener,
    local: TcpListener,
    state: ApiState,
}

impl Server {
    /// Listens on `public` for health checks and metrics, and on `local`, a loopback address, for the API. Connections
    /// wait until [`Self::run`].
    pub async fn bind(public: SocketAddr, local: SocketAddr, state: ApiState) -> Result<Self, ListenError> {
        if !local.ip().is_loopback() {
            return Err(ListenError::NotLoopback(local));
        }
        let public = listen(public, "health checks and metrics").await?;
        let local = listen(local, "the API").await?;
        Ok(Self { public, local, state })
    }

    /// Where it listens: for health checks and metrics, and for the API.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.public.local_addr()?, self.local.local_addr()?))
    }

    /// Serves until `shutdown` is cancelled; then takes no more connections and gives answers under way two seconds.
    pub async fn run(self, shutdown: CancellationToken) {
        let public = serve(Bounded::new(self.public), public_routes(self.state.clone()));
        let local = serve(Bounded::new(self.local), api_routes(self.state));
        let public = public.with_graceful_shutdown(shutdown.clone().cancelled_owned());
        let local = local.with_graceful_shutdown(shutdown.clone().cancelled_owned());
        let both = async { tokio::join!(public, local) };
        let drained = async {
            shutdown.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            _ = both => {}
            () = drained => tracing::debug!("connections were still open at shutdown"),
        }
    }
}

async fn listen(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError::Bind { address, purpose, source })
}

/// `/livez`, `/readyz`, `/healthz`, `/metrics`. The checks have no gate: they neither wait nor allocate much, and must
/// answer under load.
pub(super) fn public_routes(state: ApiState) -> Router {
    let metrics =
        Router::new().route("/metrics", get(metrics)).layer(middleware::from_fn_with_state(Gate::new(), bounded));
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/healthz", get(health::healthz))
        .merge(metrics)
        .layer(map_response(plain))
        .with_state(state)
}

/// `/api/v1/…`.
pub(super) fn api_routes(state: ApiState) -> Router {
    Router::new()
        .route("/api/v1/applications", get(applications::list))
        .route("/api/v1/applications/{namespace}/{name}", get(applications::get))
        .fallback(applications::nothing_here)
        .layer(middleware::from_fn_with_state(Gate::new(), bounded))
        .layer(middleware::from_fn(local_host_only))
        .layer(map_response(plain))
        .with_state(state)
}

async fn metrics(State(state): State<ApiState>) -> Response {
    match state.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the metrics can't be written").into_response(),
    }
}

/// Nothing is to be cached or guessed at.
async fn plain(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
