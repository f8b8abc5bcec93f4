//! A proxy between an agent and its API server that counts requests and plays tricks with them.
//!
//! It speaks plain HTTP to the agent and TLS to the API server. Bodies of answers, watches among them, are passed on as
//! they come. It runs on a thread of its own, so blocking tests can use it.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use hyper::http::HeaderValue;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::control_plane::{ControlPlane, install_tls};
use super::request::Entry;

/// How long [`Proxy::wait_until`] waits.
const WAIT_LIMIT: Duration = Duration::from_secs(90);
/// Largest request body that is passed on, in bytes.
const MAX_BODY: usize = 16 << 20;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;

/// State of the way to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    /// Bytes are taken and nothing is answered.
    Held,
    /// There are no connections and there will be none.
    Cut,
    Stopped,
}

/// What is done with a request that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trick {
    /// Answer with this status; the API server doesn't see it.
    Fail(u16),
    /// Pass it on, and close the connection instead of answering.
    LoseAnswer,
    /// Pass it on after a time.
    Delay(Duration),
}

struct Rule {
    matches: Box<dyn Fn(&Entry) -> bool + Send>,
    trick: Trick,
    times: usize,
}

#[derive(Default)]
struct State {
    log: Vec<Entry>,
    rules: Vec<Rule>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    link: watch::Sender<Link>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes the entry of a request, unless the log was emptied since it came.
    fn update(&self, number: u64, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.state().log.iter_mut().find(|entry| entry.number == number) {
            change(entry);
        }
        self.changed.notify_all();
    }
}

/// A running proxy; it ends when dropped.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
    folder: TempDir,
}

impl Proxy {
    /// Starts one in front of a control plane. Requests that name no user are sent as `user`: kubectl sends no token
    /// over plain HTTP.
    pub(crate) fn start(control_plane: &ControlPlane, user: &str) -> Self {
        install_tls();
        let config = kube::config::Kubeconfig::read_from(control_plane.kubeconfig()).unwrap();
        let cluster = config.clusters[0].cluster.clone().unwrap();
        let authority = std::fs::read(cluster.certificate_authority.unwrap()).unwrap();
        let server = cluster.server.unwrap();
        let token = HeaderValue::try_from(format!("Bearer {user}-token")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared =
            Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), link: watch::Sender::new(Link::Up) });
        let of_thread = shared.clone();
        let thread = std::thread::spawn(move || {
            let client = reqwest::Client::builder()
                .tls_certs_only(reqwest::Certificate::from_pem_bundle(&authority).unwrap())
                .no_proxy()
                // A connection for each request in flight, so that dropping one cuts nothing else.
                .http1_only()
                .build()
                .unwrap();
            let upstream = Arc::new(Upstream { client, server, token });
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                serve(tokio::net::TcpListener::from_std(listener).unwrap(), &of_thread, &upstream).await;
            });
        });
        let folder = tempfile::tempdir().unwrap();
        Self { shared, address, thread: Some(thread), folder }
    }

    /// A kubeconfig whose only way leads through this proxy, for the context and user `user`.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        let mut text = String::from("apiVersion: v1\nkind: Config\n");
        let _ = writeln!(text, "clusters: [{{name: test, cluster: {{server: \"http://{}\"}}}}]", self.address);
        let _ = writeln!(text, "users: [{{name: {user}, user: {{token: {user}-token}}}}]");
        let _ = writeln!(text, "contexts: [{{name: {user}, context: {{cluster: test, user: {user}}}}}]");
        let _ = writeln!(text, "current-context: {user}");
        let path = self.folder.path().join(user);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Everything that was asked since the start or the last [`Proxy::reset`], in order.
    pub(crate) fn log(&self) -> Vec<Entry> {
        self.shared.state().log.clone()
    }

    /// The writes that the API server received, dry runs not among them.
    pub(crate) fn writes(&self) -> Vec<Entry> {
        self.log().into_iter().filter(|entry| entry.reached && entry.verb.is_write()).collect()
    }

    /// Empties the log.
    pub(crate) fn reset(&self) {
        self.shared.state().log.clear();
    }

    /// Plays a trick on the next `times` requests that match. Earlier rules win.
    pub(crate) fn trick(&self, times: usize, trick: Trick, matches: impl Fn(&Entry) -> bool + Send + 'static) {
        self.shared.state().rules.push(Rule { matches: Box::new(matches), trick, times });
    }

    /// Drops all connections, and every new one at once.
    pub(crate) fn cut(&self) {
        self.shared.link.send_replace(Link::Cut);
    }

    /// Takes requests and answers none, and passes nothing more of running answers. What was held goes on when healed,
    /// unless the client has given it up.
    pub(crate) fn hold(&self) {
        self.shared.link.send_replace(Link::Held);
    }

    /// Ends [`Proxy::cut`] and [`Proxy::hold`].
    pub(crate) fn heal(&self) {
        self.shared.link.send_replace(Link::Up);
    }

    /// Waits until the log satisfies `condition`; a test whose condition never comes fails with the log.
    pub(crate) fn wait_until(&self, condition: impl Fn(&[Entry]) -> bool) {
        let started = Instant::now();
        let mut state = self.shared.state();
        while !condition(&state.log) {
            assert!(started.elapsed() < WAIT_LIMIT, "not within {WAIT_LIMIT:?}: {:#?}", state.log);
            state = self.shared.changed.wait_timeout(state, Duration::from_secs(1)).unwrap().0;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.link.send_replace(Link::Stopped);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Upstream {
    client: reqwest::Client,
    server: String,
    token: HeaderValue,
}

async fn serve(listener: tokio::net::TcpListener, shared: &Arc<Shared>, upstream: &Arc<Upstream>) {
    let mut link = shared.link.subscribe();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = link.changed() => match *link.borrow_and_update() {
                Link::Cut => connections.abort_all(),
                Link::Stopped => return,
                Link::Up | Link::Held => {}
            },
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { continue };
                if *link.borrow() == Link::Cut {
                    continue;
                }
                let (shared, upstream) = (shared.clone(), upstream.clone());
                connections.spawn(async move {
                    let service = service_fn(|request| handle(request, shared.clone(), upstream.clone()));
                    // Clients may leave as they like.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn handle(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    upstream: Arc<Upstream>,
) -> Result<Response<Body>, BoxError> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await?.to_bytes();
    let (number, trick) = admit(&shared, &parts, &body);
    healed(&shared).await;
    match trick {
        Some(Trick::Fail(status)) => {
            shared.update(number, |entry| entry.status = Some(status));
            return refusal(status);
        }
        Some(Trick::Delay(time)) => tokio::time::sleep(time).await,
        Some(Trick::LoseAnswer) | None => {}
    }
    shared.update(number, |entry| {
        entry.reached = true;
        entry.sent_at = Some(Instant::now());
    });
    let of_task = shared.clone();
    // What was sent is carried out whether or not the client lives to see the answer, and the log tells what came of it.
    let sent = tokio::spawn(async move {
        let answer = upstream.send(parts, body).await?;
        of_task.update(number, |entry| {
            entry.status = Some(answer.status().as_u16());
            entry.answered_at = Some(Instant::now());
        });
        Ok::<_, BoxError>(answer)
    });
    let answer = sent.await??;
    let status = answer.status().as_u16();
    if trick == Some(Trick::LoseAnswer) {
        return Err("the answer was lost".into());
    }
    healed(&shared).await;
    let mut response = Response::builder().status(status);
    for (name, value) in answer.headers() {
        if ![CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH].contains(name) {
            response = response.header(name, value);
        }
    }
    let chunks = stream::unfold((answer, shared), |(mut answer, shared)| async {
        let chunk = answer.chunk().await.map_err(BoxError::from).transpose()?;
        healed(&shared).await;
        Some((chunk.map(Frame::data), (answer, shared)))
    });
    Ok(response.body(BodyExt::boxed_unsync(StreamBody::new(chunks)))?)
}

/// Writes the request into the log; its number, and what is to be done with it.
fn admit(shared: &Shared, parts: &Parts, body: &Bytes) -> (u64, Option<Trick>) {
    let mut state = shared.state();
    let number = state.log.last().map_or(1, |last| last.number + 1);
    let entry = Entry::new(number, parts, body);
    let rule = state.rules.iter_mut().find(|rule| rule.times > 0 && (rule.matches)(&entry));
    let trick = rule.map(|rule| {
        rule.times -= 1;
        rule.trick
    });
    state.log.push(entry);
    drop(state);
    shared.changed.notify_all();
    (number, trick)
}

/// Waits until the link is up.
async fn healed(shared: &Shared) {
    // The sender is in `shared`, so this ends only by the link's state, or with the whole connection.
    let _ = shared.link.subscribe().wait_for(|link| *link == Link::Up).await;
}

fn refusal(status: u16) -> Result<Response<Body>, BoxError> {
    let body = serde_json::json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": status,
        "reason": "ServiceUnavailable", "message": "the test's proxy refuses this request",
    });
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {});
    Ok(Response::builder().status(status).header(CONTENT_TYPE, "application/json").body(body.boxed_unsync())?)
}

impl Upstream {
    async fn send(&self, parts: Parts, body: Bytes) -> Result<reqwest::Response, BoxError> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut headers = parts.headers;
        for name in [HOST, CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH] {
            headers.remove(name);
        }
        headers.entry(AUTHORIZATION).or_insert_with(|| self.token.clone());
        let request = self.client.request(parts.method.clone(), format!("{}{path}", self.server)).headers(headers);
        let request = if parts.method == Method::GET && body.is_empty() { request } else { request.body(body) };
        Ok(request.send().await?)
    }
}
