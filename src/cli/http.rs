//! A GET over plain HTTP, for talking to an agent on this machine. Small on purpose: a container probe runs it every few
//! seconds, and needs no TLS, no proxy and no runtime.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

/// Largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Status code.
    pub(super) status: u16,
    /// Body.
    pub(super) body: String,
}

/// Where an agent listens: `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl {
    authority: String,
}

impl std::str::FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("http://") else {
            return Err("must begin with http://, for the agent's API speaks no TLS".to_owned());
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let port = authority.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        match port {
            Some(Ok(_)) if authority.chars().all(plain) => Ok(Self { authority: authority.to_owned() }),
            _ => Err("must be http://HOST:PORT without a path, like http://127.0.0.1:8081".to_owned()),
        }
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

/// Gets `path` (with its query, percent-encoded). The whole exchange takes at most about `timeout`.
pub(super) fn get(url: &BaseUrl, path: &str, timeout: Duration) -> io::Result<Answer> {
    let deadline = Instant::now() + timeout;
    let mut stream = connect(&url.authority, deadline)?;
    // HTTP/1.0: the answer ends with the connection and comes in one piece.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\nAccept: */*\r\n\r\n", url.authority);
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        let count = stream.read(&mut buffer).map_err(|error| match error.kind() {
            // What a read timeout is on Unix.
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            _ => error,
        })?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return parse(&answer);
        };
        answer.extend_from_slice(bytes);
        if answer.len() as u64 > MAX_ANSWER {
            return Err(io::Error::other(format!("the answer is larger than {MAX_ANSWER} bytes")));
        }
    }
}

fn connect(authority: &str, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Time until the deadline; an error if it has passed.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn parse(answer: &[u8]) -> io::Result<Answer> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP, or was cut off");
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(invalid)?;
    let (head, body) = answer.split_at(split);
    let head = std::str::from_utf8(head).map_err(|_| invalid())?;
    let mut lines = head.split("\r\n");
    let mut status = lines.next().unwrap_or_default().split(' ');
    if !status.next().is_some_and(|version| version.starts_with("HTTP/1.")) {
        return Err(invalid());
    }
    let status = status.next().and_then(|code| code.parse().ok()).ok_or_else(invalid)?;
    let body = body.get(4..).unwrap_or_default();
    let length = lines.filter_map(|line| line.split_once(':'));
    let mut length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if length.any(|(_, value)| value.trim().parse() != Ok(body.len())) {
        return Err(invalid());
    }
    Ok(Answer { status, body: String::from_utf8(body.to_vec()).map_err(|_| invalid())? })
}

/// `text` as one segment of a path, percent-encoded.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_plain_http_with_a_port() {
        for good in ["http://127.0.0.1:8081", "http://localhost:8081/", "http://[::1]:8081"] {
            assert!(good.parse::<BaseUrl>().is_ok(), "{good}");
        }
        let bad = [
            "https://127.0.0.1:8081",
            "127.0.0.1:8081",
            "http://127.0.0.1",
            "http://a:1/b",
            "http://u@a:1",
            "http://a\r\n:1",
            "",
        ];
        for bad in bad {
            assert!(bad.parse::<BaseUrl>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn answers_are_read_or_refused() {
        let answer = |status, body: &str| Some(Answer { status, body: body.to_owned() });
        let cases: [(&[u8], Option<Answer>); 8] = [
            (b"HTTP/1.0 200 OK\r\n\r\nok", answer(200, "ok")),
            (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno", answer(503, "no")),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nno", None),
            (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nno", None),
            (b"HTTP/1.1 200 OK\r\n", None),
            (b"SSH-2.0-OpenSSH\r\n\r\n", None),
            (b"HTTP/1.1 200 OK\r\n\r\n\xff", None),
            (b"", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(parse(bytes).ok(), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn segments_are_encoded() {
        assert_eq!(segment("a-b.c_d"), "a-b.c_d");
        assert_eq!(segment("a/b?c d\n"), "a%2Fb%3Fc%20d%0A");
    }
}
