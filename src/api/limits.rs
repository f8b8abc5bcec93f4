//! What one client can take from the agent.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use super::applications::Problem;

/// How long the agent works on one request.
pub(super) const HANDLER_TIMEOUT: Duration = Duration::from_secs(10);
/// Most requests for metrics or of the API in work at the same time, each.
pub(super) const MAX_REQUESTS: usize = 16;

/// A bound on requests in work.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_REQUESTS)))
    }
}

/// Answers 503 where [`MAX_REQUESTS`] are in work, and 504 after [`HANDLER_TIMEOUT`].
pub(super) async fn bounded(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let Ok(_permit) = gate.0.try_acquire() else {
        return Problem::unavailable("too many requests at the same time; try again").into_response();
    };
    match tokio::time::timeout(HANDLER_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!("no answer within {} s", HANDLER_TIMEOUT.as_secs());
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message).into_response()
        }
    }
}

/// Refuses what a web page could send through a name that resolves to this machine (DNS rebinding): the `Host` must be
/// `localhost` or a loopback address, as kubectl port-forward and every local client send it.
pub(super) async fn local_host_only(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(is_local) {
        return next.run(request).await;
    }
    let message = "the Host header must name localhost or a loopback address";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "Misdirected", message.to_owned()).into_response()
}

/// Whether a `Host` header names this machine.
fn is_local(host: &str) -> bool {
    let Ok(authority) = host.parse::<axum::http::uri::Authority>() else { return false };
    let name = authority.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let loopback = address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    loopback || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn hosts_that_are_this_machine() {
        for host in ["localhost", "LOCALHOST:8081", "127.0.0.1", "127.0.0.1:8081", "127.9.9.9", "[::1]:8081", "[::1]"] {
            assert!(is_local(host), "{host}");
        }
        for host in
            ["", "example.com", "localhost.example.com", "10.0.0.1:8081", "127.0.0.1.nip.io", "[::2]", "::1", "a b"]
        {
            assert!(!is_local(host), "{host}");
        }
    }
}
