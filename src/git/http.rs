//! Smart HTTP, as a backend for gix' transport: unlike the one that gix brings, every wait ends at the deadline, what is
//! received is bounded, and credentials are sent to one origin only.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, BufRead, Read, Write};
use std::rc::Rc;

use gix::protocol::transport::client::blocking_io::http::{GetResponse, Http, PostBodyDataKind, PostResponse};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};

use super::credentials::{Credentials, Secret};
use super::fault::{Fault, causes, detail};
use super::watch::Watch;

/// Redirects that are followed for one request.
const MAX_REDIRECTS: usize = 5;
/// Longest request body: wants, haves and shallow boundaries.
const MAX_REQUEST: usize = 4 << 20;
/// Longest wait for a connection.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// One conversation with one server.
pub(super) struct Session<'a> {
    /// `None` only while being dropped.
    runtime: Option<tokio::runtime::Runtime>,
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
    pub(super) fn new(url: &Url, credentials: &'a Credentials, limit: u64, watch: Watch<'a>) -> Result<Self, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Fault::Disk(format!("no network thread: {error}")))?;
        let client = client(credentials)?;
        let authorization = credentials.authorization().as_ref().map(header).transpose()?;
        Ok(Self {
            runtime: Some(runtime),
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
        let Some(runtime) = &self.runtime else { return Err(Fault::Cancelled) };
        runtime.block_on(async {
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

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // A name look-up that hangs must not hold up the caller.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn client(credentials: &Credentials) -> Result<reqwest::Client, Fault> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(concat!("git/driftless-", env!("CARGO_PKG_VERSION")))
        .tls_danger_accept_invalid_certs(credentials.insecure);
    if let Some(ca) = &credentials.ca {
        let certificates = reqwest::Certificate::from_pem_bundle(ca.as_bytes()).unwrap_or_default();
        if certificates.is_empty() {
            return Err(Fault::Certificate("ca.crt holds no certificate in PEM form".into()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some((certificate, key)) = &credentials.client_certificate {
        let pem = format!("{certificate}\n{}", key.expose());
        let identity = reqwest::Identity::from_pem(pem.as_bytes()).map_err(|_| {
            Fault::Certificate(
                "tlsClientCertData and tlsClientCertKey are not a certificate and a key in PEM form".into(),
            )
        })?;
        builder = builder.identity(identity);
    }
    if let Some(proxy) = &credentials.proxy {
        let no_proxy = credentials.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
        let proxy = reqwest::Proxy::all(proxy.expose())
            .map_err(|_| Fault::Unsupported("the proxy in the repository's Secret is not a URL".into()))?;
        builder = builder.proxy(proxy.no_proxy(no_proxy));
    }
    builder.build().map_err(|error| Fault::Certificate(format!("TLS can't be set up: {}", detail(&causes(&error)))))
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

/// A request and its answer. It is sent when the headers of the answer are first read: then the body is complete.
struct Exchange<'a> {
    session: Rc<Session<'a>>,
    request: Request,
    response: Option<reqwest::Response>,
}

impl Exchange<'_> {
    /// Sends the request; the headers of the answer as lines.
    fn headers(&mut self) -> io::Result<Vec<u8>> {
        let response = self.session.send(&self.request).map_err(|fault| self.session.fail(fault))?;
        let mut lines = Vec::new();
        if let Some(value) = response.headers().get(CONTENT_TYPE) {
            lines.extend_from_slice(b"content-type:");
            lines.extend_from_slice(value.as_bytes());
            lines.push(b'\n');
        }
        self.response = Some(response);
        Ok(lines)
    }

    /// The next piece of the answer; empty at its end.
    fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let Some(response) = &mut self.response else { return Ok(Vec::new()) };
        let session = &self.session;
        let chunk = session.wait(response.chunk()).and_then(|chunk| {
            let chunk = chunk.map(|chunk| chunk.to_vec()).unwrap_or_default();
            session.receive(chunk.len())?;
            Ok(chunk)
        });
        chunk.map_err(|fault| self.session.fail(fault))
    }
}

type Shared<'a> = Rc<RefCell<Exchange<'a>>>;

/// Collects the body of a request.
pub(super) struct RequestBody<'a>(Shared<'a>);

impl Write for RequestBody<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let body = &mut self.0.borrow_mut().request.body;
        if body.len() + data.len() > MAX_REQUEST {
            return Err(io::Error::other("the request is too long"));
        }
        body.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Which part of an answer is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Headers,
    Body,
}

/// Reads the headers or the body of an answer.
pub(super) struct Answer<'a> {
    exchange: Shared<'a>,
    side: Side,
    data: Vec<u8>,
    position: usize,
    ended: bool,
}

impl<'a> Answer<'a> {
    fn new(exchange: &Shared<'a>, side: Side) -> Self {
        Self { exchange: Rc::clone(exchange), side, data: Vec::new(), position: 0, ended: false }
    }
}

impl BufRead for Answer<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position >= self.data.len() && !self.ended {
            let mut exchange = self.exchange.borrow_mut();
            self.data = match self.side {
                Side::Headers => exchange.headers()?,
                Side::Body => exchange.chunk()?,
            };
            self.position = 0;
            self.ended = self.side == Side::Headers || self.data.is_empty();
        }
        Ok(self.data.get(self.position..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.position = self.position.saturating_add(amount).min(self.data.len());
    }
}

impl Read for Answer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// The backend that gix' HTTP transport calls.
pub(super) struct Backend<'a>(pub(super) Rc<Session<'a>>);

impl<'a> Backend<'a> {
    fn exchange(
        &self,
        method: Method,
        url: &str,
        base: &str,
        lines: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<Shared<'a>> {
        let tail = url.strip_prefix(base).unwrap_or_default().to_owned();
        let effective = match &*self.0.base.borrow() {
            Some(base) if !url.starts_with(base.as_str()) => format!("{base}{tail}"),
            _ => url.to_owned(),
        };
        let url = Url::parse(&effective)
            .map_err(|error| gix::Error::from_error(self.0.fail(Fault::Url(error.to_string()))))?;
        let mut headers = HeaderMap::new();
        for line in lines {
            let Some((name, value)) = line.as_ref().split_once(':') else { continue };
            let parsed = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value.trim()));
            // The client has a user agent of its own.
            if let (Ok(name), Ok(value)) = parsed
                && name != reqwest::header::USER_AGENT
            {
                headers.append(name, value);
            }
        }
        let request = Request { method, url, tail, headers, body: Vec::new() };
        Ok(Rc::new(RefCell::new(Exchange { session: Rc::clone(&self.0), request, response: None })))
    }
}

impl<'a> Http for Backend<'a> {
    type Headers = Answer<'a>;
    type ResponseBody = Answer<'a>;
    type PostBody = RequestBody<'a>;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Self::Headers, Self::ResponseBody>> {
        let exchange = self.exchange(Method::GET, url, base_url, headers)?;
        Ok(GetResponse { headers: Answer::new(&exchange, Side::Headers), body: Answer::new(&exchange, Side::Body) })
    }

    fn post(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Self::Headers, Self::ResponseBody, Self::PostBody>> {
        let exchange = self.exchange(Method::POST, url, base_url, headers)?;
        Ok(PostResponse {
            post_body: RequestBody(Rc::clone(&exchange)),
            headers: Answer::new(&exchange, Side::Headers),
            body: Answer::new(&exchange, Side::Body),
        })
    }

    fn configure(&mut self, _config: &dyn std::any::Any) -> gix::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.0.base.borrow().clone()
    }
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
