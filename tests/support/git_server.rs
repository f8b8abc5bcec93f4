//! A smart HTTP server for Git repositories on loopback, which can misbehave: `git http-backend` behind a small HTTP/1.1
//! server of our own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex};

use base64::Engine as _;

use super::git::{GitRepo, git_command};

/// The certificate authority that signed the server's certificate (PEM).
pub(crate) const CA: &str = include_str!("tls/ca.pem");

/// What a server on loopback needs for TLS; [`CA`] signed its certificate.
pub(crate) fn tls() -> Arc<rustls::ServerConfig> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    super::init();
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    Arc::new(config.unwrap())
}

/// How the server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// As Git servers do.
    Serve,
    /// With this status.
    Status(u16),
    /// With a redirect to this base URL.
    Redirect(String),
    /// Not at all, until the server is dropped.
    Hang,
    /// By closing the connection.
    Drop,
    /// With the beginning of the answer, and then one byte after the other without end.
    Drip,
    /// As Git servers do, but with this text as an error of the protocol to requests for objects.
    Refuse(String),
    /// As Git servers do, but commits are not handed out by their id: only with full history.
    RefuseShallow,
    /// As servers do that speak the oldest protocol version only.
    OldProtocol,
}

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    /// Bytes of the answer's body.
    pub(crate) answered: usize,
}

struct State {
    root: PathBuf,
    /// Expected `Authorization` header.
    authorization: Mutex<Option<String>>,
    behaviour: Mutex<Behaviour>,
    requests: Mutex<Vec<Request>>,
    arrived: Condvar,
    stopped: Mutex<bool>,
    stopping: Condvar,
}

/// The server. Stops when dropped.
pub(crate) struct GitServer {
    address: SocketAddr,
    state: Arc<State>,
    tls: bool,
}

impl GitServer {
    /// Serves a repository over HTTP.
    pub(crate) fn start(repo: &GitRepo) -> Self {
        Self::listen(repo, None)
    }

    /// Serves a repository over HTTPS, with a certificate that [`CA`] signed.
    pub(crate) fn start_tls(repo: &GitRepo) -> Self {
        Self::listen(repo, Some(tls()))
    }

    fn listen(repo: &GitRepo, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        super::init();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            root: repo.parent().to_owned(),
            authorization: Mutex::default(),
            behaviour: Mutex::new(Behaviour::Serve),
            requests: Mutex::default(),
            arrived: Condvar::new(),
            stopped: Mutex::new(false),
            stopping: Condvar::new(),
        });
        let server = Self { address, state: Arc::clone(&state), tls: tls.is_some() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if *state.stopped.lock().unwrap() {
                    return;
                }
                let (Ok(stream), state, tls) = (stream, Arc::clone(&state), tls.clone()) else { continue };
                std::thread::spawn(move || match tls {
                    Some(config) => {
                        let connection = rustls::ServerConnection::new(config).unwrap();
                        let mut stream = rustls::StreamOwned::new(connection, stream);
                        let _peer_left = state.answer(&mut stream);
                        stream.conn.send_close_notify();
                        let _peer_left = stream.flush();
                    }
                    None => {
                        let mut stream = stream;
                        let _peer_left = state.answer(&mut stream);
                        let _peer_left = stream.shutdown(Shutdown::Write);
                    }
                });
            }
        });
        server
    }

    /// URL of the repository.
    pub(crate) fn url(&self) -> String {
        format!("{}/repo.git", self.base())
    }

    /// URL of the server.
    pub(crate) fn base(&self) -> String {
        format!("http{}://{}", if self.tls { "s" } else { "" }, self.address)
    }

    /// Asks for basic authentication from now on.
    pub(crate) fn require(&self, user: &str, password: &str) {
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        *self.state.authorization.lock().unwrap() = Some(format!("Basic {encoded}"));
    }

    /// Behaves like this from now on.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.state.behaviour.lock().unwrap() = behaviour;
    }

    /// The requests so far; forgets them.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.state.requests.lock().unwrap())
    }

    /// Waits until `count` requests have come since they were last taken.
    pub(crate) fn wait_for_requests(&self, count: usize) {
        let requests = self.state.requests.lock().unwrap();
        drop(self.state.arrived.wait_while(requests, |requests| requests.len() < count).unwrap());
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        *self.state.stopped.lock().unwrap() = true;
        self.state.stopping.notify_all();
        // Wakes the accepting thread.
        let _gone = TcpStream::connect(self.address);
    }
}

struct Head {
    method: String,
    target: String,
    headers: Headers,
}

/// Names and values.
type Headers = Vec<(String, String)>;

impl Head {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl State {
    /// Reads one request and answers it.
    fn answer(&self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        let (head, body) = read_request(stream)?;
        let behaviour = self.behaviour.lock().unwrap().clone();
        let index = {
            let mut requests = self.requests.lock().unwrap();
            requests.push(Request {
                method: head.method.clone(),
                path: head.target.clone(),
                authorization: head.header("authorization").map(ToOwned::to_owned),
                answered: 0,
            });
            self.arrived.notify_all();
            requests.len() - 1
        };
        let expected = self.authorization.lock().unwrap().clone();
        if expected.is_some() && head.header("authorization") != expected.as_deref() {
            return respond(stream, "401 Unauthorized", &[("WWW-Authenticate", "Basic realm=\"git\"")], b"");
        }
        let wants_objects = body.windows(5).any(|window| window == b"want ");
        let shallow = body.windows(7).any(|window| window == b"deepen ")
            && !body.windows(17).any(|window| window == b"deepen 2147483647");
        match behaviour {
            Behaviour::Status(code) => respond(stream, &format!("{code} Told So"), &[], b"told so"),
            Behaviour::Redirect(base) => {
                respond(stream, "301 Moved", &[("Location", &format!("{base}{}", head.target))], b"")
            }
            Behaviour::Hang => {
                self.wait_for_stop();
                Ok(())
            }
            Behaviour::Drop => Ok(()),
            Behaviour::Drip => self.drip(stream, &head),
            Behaviour::Refuse(text) if wants_objects => refuse(stream, &text),
            Behaviour::RefuseShallow if wants_objects && shallow => refuse(stream, "want not valid"),
            _ => {
                let (status, headers, answer) = self.backend(&head, &body, behaviour == Behaviour::OldProtocol)?;
                if let Some(request) = self.requests.lock().unwrap().get_mut(index) {
                    request.answered = answer.len();
                }
                let headers: Vec<_> = headers.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                respond(stream, &status, &headers, &answer)
            }
        }
    }

    fn wait_for_stop(&self) {
        drop(self.stopping.wait_while(self.stopped.lock().unwrap(), |stopped| !*stopped).unwrap());
    }

    /// A listing that never ends: one byte at a time, as soon as the client has had time for the one before.
    fn drip(&self, stream: &mut (impl Read + Write), head: &Head) -> io::Result<()> {
        let kind = if head.method == "GET" { "advertisement" } else { "result" };
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-{kind}\r\n\r\n")?;
        stream.write_all(b"fff0")?;
        let mut stopped = self.stopped.lock().unwrap();
        while !*stopped {
            stream.write_all(b"x")?;
            stream.flush()?;
            stopped = self.stopping.wait_timeout(stopped, std::time::Duration::from_millis(20)).unwrap().0;
        }
        Ok(())
    }

    /// Runs `git http-backend`.
    fn backend(&self, head: &Head, body: &[u8], old: bool) -> io::Result<(String, Headers, Vec<u8>)> {
        let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
        let mut command = git_command();
        command
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", &head.method)
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("CONTENT_TYPE", head.header("content-type").unwrap_or_default())
            .env("CONTENT_LENGTH", body.len().to_string())
            .env("REMOTE_ADDR", "127.0.0.1");
        if let Some(version) = head.header("git-protocol").filter(|_| !old) {
            command.env("GIT_PROTOCOL", version);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut input = child.stdin.take().unwrap();
        let body = body.to_vec();
        let feeder = std::thread::spawn(move || {
            let _backend_left = input.write_all(&body);
        });
        let output = child.wait_with_output()?;
        let _finished = feeder.join();
        let mut reader = BufReader::new(&output.stdout[..]);
        let (mut status, mut headers) = ("200 OK".to_owned(), Vec::new());
        for (key, value) in read_headers(&mut reader)? {
            if key.eq_ignore_ascii_case("status") { status = value } else { headers.push((key, value)) }
        }
        let mut answer = Vec::new();
        reader.read_to_end(&mut answer)?;
        Ok((status, headers, answer))
    }
}

/// An error of the protocol.
fn refuse(stream: &mut impl Write, text: &str) -> io::Result<()> {
    let line = format!("{:04x}ERR {text}", text.len() + 8);
    respond(stream, "200 OK", &[("Content-Type", "application/x-git-upload-pack-result")], line.as_bytes())
}

fn respond(stream: &mut impl Write, status: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    for (key, value) in headers {
        head.push_str(&format!("{key}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()
}

fn read_request(stream: &mut impl Read) -> io::Result<(Head, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(ToOwned::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let head = Head { method, target, headers: read_headers(&mut reader)? };
    let mut body = Vec::new();
    if head.header("transfer-encoding").is_some_and(|encoding| encoding.contains("chunked")) {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = u64::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            reader.by_ref().take(size).read_to_end(&mut body)?;
            reader.read_line(&mut String::new())?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = head.header("content-length").and_then(|length| length.parse().ok()) {
        reader.by_ref().take(length).read_to_end(&mut body)?;
    }
    Ok((head, body))
}

fn read_headers(reader: &mut impl BufRead) -> io::Result<Headers> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((key, value)) => headers.push((key.to_owned(), value.trim().to_owned())),
            None => return Ok(headers),
        }
    }
}
