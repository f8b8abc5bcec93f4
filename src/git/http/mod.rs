//! Smart HTTP, as a backend for gix' transport: unlike the one that gix brings, every wait ends at the deadline, what is
//! received is bounded, and credentials are sent to one origin only.

mod backend;
mod clients;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};

use super::credentials::{Credentials, Secret};
use super::fault::{Fault, causes, detail};
use super::watch::Watch;

pub(super) use backend::Backend;
pub(super) use clients::Clients;

/// Redirects that are followed for one request.
const MAX_REDIRECTS: usize = 5;

/// One conversation with one server.
pub(super) struct Session<'a> {
    runtime: tokio::runtime::Handle,
    client: reqwest::Client,
    origin: Url,
    authorization: Option<HeaderValue>,
    scrub: &'a Credentials,
    watch: Watch<'a>,
    /// Bytes that may still be received.
    budget: Cell<u64>,
    limit: u64,
    /// Base URL after a redirect.
    base: RefCell<Option<String>>,
    /// What went wrong first: gix only passes on text.
    fault: RefCell<Option<Fault>>,
}

impl<'a> Session<'a> {
    /// Prepares a conversation about `url`; no request yet. At most `limit` bytes are received.
    pub(super) fn new(
        clients: &Clients,
        url: &Url,
        credentials: &'a Credentials,
        limit: u64,
        watch: Watch<'a>,
    ) -> Result<Self, Fault> {
        let (runtime, client) = clients.get(credentials)?;
        let authorization = credentials.authorization().as_ref().map(header).transpose()?;
        Ok(Self {
            runtime,
            client,
            origin: url.clone(),
            authorization,
            scrub: credentials,
            watch,
            budget: Cell::new(limit),
            limit,
            base: RefCell::new(None),
            fault: RefCell::new(None),
        })
    }

    /// The first fault of the conversation.
    pub(super) fn take_fault(&self) -> Option<Fault> {
        self.fault.borrow_mut().take()
    }

    /// Remembers the fault, and wraps it for gix.
    fn fail(&self, fault: Fault) -> io::Error {
        let error = io::Error::other(fault.to_string());
        self.fault.borrow_mut().get_or_insert(fault);
        error
    }

    /// Waits for `work` until the operation has to end.
    fn wait<T>(&self, work: impl Future<Output = reqwest::Result<T>>) -> Result<T, Fault> {
        self.runtime.block_on(async {
            tokio::pin!(work);
            loop {
                self.watch.check()?;
                tokio::select! {
                    result = &mut work => return result.map_err(|error| self.classify(error)),
                    () = tokio::time::sleep(self.watch.pause()) => {}
                }
            }
        })
    }

    fn classify(&self, error: reqwest::Error) -> Fault {
        let is_connect = error.is_connect();
        let text = detail(&self.scrub.scrub(causes(&error.without_url())));
        if text.contains("certificate") {
            Fault::Certificate(text)
        } else if is_connect {
            Fault::Unreachable(text)
        } else {
            Fault::Unreachable(format!("the connection broke: {text}"))
        }
    }

    /// Sends a request and follows redirects of GET requests.
    fn send(&self, request: &Request) -> Result<reqwest::Response, Fault> {
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut headers = request.headers.clone();
            if let Some(authorization) = self.authorization.as_ref().filter(|_| same_authority(&url, &self.origin)) {
                headers.insert(AUTHORIZATION, authorization.clone());
            }
            let mut builder = self.client.request(request.method.clone(), url.clone()).headers(headers);
            if request.method == Method::POST {
                builder = builder.body(request.body.clone());
            }
            let response = self.wait(builder.send())?;
            if !response.status().is_redirection() {
                return self.accept(response, request);
            }
            url = redirect(&url, &response, request)?;
        }
        Err(Fault::Server(format!("more than {MAX_REDIRECTS} redirects; set repoURL to the URL where they lead")))
    }

    /// Sorts an answer by its status, and notes where redirects led.
    fn accept(&self, response: reqwest::Response, request: &Request) -> Result<reqwest::Response, Fault> {
        let status = response.status();
        let sent = if self.authorization.is_some() { "the credentials were refused" } else { "credentials are needed" };
        match status {
            status if status.is_success() => {}
            StatusCode::UNAUTHORIZED => {
                return Err(Fault::Authentication(format!(
                    "{sent} (HTTP 401); check username and password in the repository's Secret"
                )));
            }
            StatusCode::FORBIDDEN => {
                return Err(Fault::Authentication(format!(
                    "access is denied (HTTP 403, {sent}); check the rights of the user or token"
                )));
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                return Err(Fault::NotFound(format!("HTTP {}", status.as_u16())));
            }
            StatusCode::TOO_MANY_REQUESTS => return Err(Fault::Unreachable("too many requests (HTTP 429)".into())),
            status if status.is_server_error() => {
                return Err(Fault::Server(format!("HTTP {status}; it is tried again")));
            }
            status => return Err(Fault::Server(format!("HTTP {status}; check the URL"))),
        }
        let reached = response.url().as_str();
        if reached != request.url.as_str() {
            let base = reached
                .strip_suffix(&request.tail)
                .ok_or_else(|| Fault::Protocol("it redirects to a place that is not a Git repository".into()))?;
            *self.base.borrow_mut() = Some(base.to_owned());
        }
        Ok(response)
    }

    /// Counts what was received.
    fn receive(&self, bytes: usize) -> Result<(), Fault> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let left = self.budget.get().checked_sub(bytes).ok_or_else(|| super::received_too_much(self.limit))?;
        self.budget.set(left);
        Ok(())
    }
}

fn header(value: &Secret) -> Result<HeaderValue, Fault> {
    let mut value = HeaderValue::from_str(value.expose()).map_err(|_| {
        Fault::Authentication("the token in the repository's Secret has characters that HTTP does not allow".into())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Same host and port, or the change from http to https on the standard ports.
fn same_authority(url: &Url, origin: &Url) -> bool {
    let ports = (url.port_or_known_default(), origin.port_or_known_default());
    let upgraded = url.scheme() == "https" && origin.scheme() == "http" && ports == (Some(443), Some(80));
    url.host_str() == origin.host_str() && (upgraded || (url.scheme() == origin.scheme() && ports.0 == ports.1))
}

/// Where a redirect leads, if it may be followed: never from https to http, and only for GET.
fn redirect(from: &Url, response: &reqwest::Response, request: &Request) -> Result<Url, Fault> {
    let target = response
        .headers()
        .get(LOCATION)
        .and_then(|target| target.to_str().ok())
        .and_then(|target| from.join(target).ok());
    let Some(target) = target else {
        return Err(Fault::Server(format!("HTTP {} without a usable Location", response.status())));
    };
    let secure = target.scheme() == "https" || (target.scheme() == "http" && from.scheme() == "http");
    if !secure || request.method != Method::GET || !target.as_str().ends_with(&request.tail) {
        let host = target.host_str().unwrap_or_default();
        return Err(Fault::Server(format!(
            "with a redirect to {host:?} that can't be followed; set repoURL to the URL where it leads"
        )));
    }
    Ok(target)
}

/// A request as gix wants it sent.
struct Request {
    method: Method,
    url: Url,
    /// What follows the base URL.
    tail: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_to_one_authority() {
        let cases = [
            ("https://h/a", "https://h/b", true),
            ("https://h:443/a", "https://h/b", true),
            ("https://h/a", "http://h/b", true),
            ("http://h/a", "https://h/b", false),
            ("https://h:8443/a", "https://h/b", false),
            ("https://h:8443/a", "http://h:8443/b", false),
            ("https://other/a", "https://h/b", false),
            ("https://h.evil/a", "https://h/b", false),
        ];
        for (url, origin, same) in cases {
            assert_eq!(same_authority(&Url::parse(url).unwrap(), &Url::parse(origin).unwrap()), same, "{url} {origin}");
        }
    }
}
