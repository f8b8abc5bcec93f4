//! What a script is run against: an API server, real or modelled.

use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use http::{Request, Response};
use serde_json::Value;

/// How long an answer may take. A watch may take longer.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// Events of a watch that nobody has read yet.
const MAX_UNREAD: usize = 10_000;

/// An API server. Paths have no host; the driver has set the `Authorization` header.
pub(crate) trait Server {
    /// Sends a request and gives the whole answer.
    fn call(&mut self, request: Request<Vec<u8>>) -> Response<Vec<u8>>;

    /// Opens a watch: its number if the answer is 200, else the answer.
    fn watch(&mut self, request: Request<Vec<u8>>) -> Result<usize, Box<Response<Vec<u8>>>>;

    /// The next event of a watch.
    fn event(&mut self, watch: usize, limit: Duration) -> Next;

    /// Lets time pass, in which controllers may work.
    fn pass(&mut self, time: Duration);
}

/// What a watch showed.
#[derive(Debug)]
pub(crate) enum Next {
    /// `{type, object}`.
    Event(Value),
    /// The server ended the watch.
    End,
    /// Nothing within the limit.
    Nothing,
}

/// A server behind HTTP, with or without TLS. Its certificate is not checked: it is on loopback, and the tests started it.
#[derive(Debug)]
pub(crate) struct Http {
    base: String,
    client: reqwest::blocking::Client,
    watches: Vec<Receiver<Value>>,
}

impl Http {
    /// A server by its address, like `https://127.0.0.1:6443`.
    pub(crate) fn new(base: &str) -> Self {
        let builder = reqwest::blocking::Client::builder().danger_accept_invalid_certs(true).no_proxy().timeout(None);
        let client = builder.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { base: base.trim_end_matches('/').to_owned(), client, watches: Vec::new() }
    }

    fn send(&self, request: Request<Vec<u8>>, limit: Option<Duration>) -> reqwest::blocking::Response {
        let (parts, body) = request.into_parts();
        let url = format!("{}{}", self.base, parts.uri);
        let mut builder = self.client.request(parts.method, &url).headers(parts.headers).body(body);
        if let Some(limit) = limit {
            builder = builder.timeout(limit);
        }
        builder.send().unwrap_or_else(|error| panic!("{url}: {error:?}"))
    }
}

impl Server for Http {
    fn call(&mut self, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
        whole(self.send(request, Some(REQUEST_LIMIT)))
    }

    fn watch(&mut self, request: Request<Vec<u8>>) -> Result<usize, Box<Response<Vec<u8>>>> {
        let answer = self.send(request, None);
        if answer.status() != 200 {
            return Err(Box::new(whole(answer)));
        }
        let (sender, receiver) = sync_channel(MAX_UNREAD);
        // It ends with the stream, or at the first event after the server has been dropped.
        std::thread::spawn(move || forward(answer, &sender));
        self.watches.push(receiver);
        Ok(self.watches.len() - 1)
    }

    fn event(&mut self, watch: usize, limit: Duration) -> Next {
        match self.watches[watch].recv_timeout(limit) {
            Ok(event) => Next::Event(event),
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
    }

    fn pass(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}

fn whole(answer: reqwest::blocking::Response) -> Response<Vec<u8>> {
    let mut builder = Response::builder().status(answer.status());
    *builder.headers_mut().unwrap() = answer.headers().clone();
    builder.body(answer.bytes().unwrap().to_vec()).unwrap()
}

fn forward(answer: reqwest::blocking::Response, sender: &SyncSender<Value>) {
    for line in BufReader::new(answer).lines() {
        let Ok(line) = line else { return };
        let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
        if sender.send(event).is_err() {
            return;
        }
    }
}
