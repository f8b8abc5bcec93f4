//! What gix' HTTP transport calls: requests that are sent when their answer is first read, and readers of the answer.

use std::cell::RefCell;
use std::io::{self, BufRead, Read, Write};
use std::rc::Rc;

use gix::protocol::transport::client::blocking_io::http::{GetResponse, Http, PostBodyDataKind, PostResponse};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::{Request, Session};
use crate::git::fault::Fault;

/// Longest request body: wants, haves and shallow boundaries.
const MAX_REQUEST: usize = 4 << 20;

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
pub(in crate::git) struct RequestBody<'a>(Shared<'a>);

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
pub(in crate::git) struct Answer<'a> {
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
pub(in crate::git) struct Backend<'a>(pub(in crate::git) Rc<Session<'a>>);

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
