//! The least of an HTTP client: what it costs is not the server's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    /// What the last answer held, if it was kept.
    body: Vec<u8>,
}

/// An answer.
pub(crate) struct Answer<'c> {
    pub(crate) code: u16,
    pub(crate) length: usize,
    body: &'c [u8],
}

impl Answer<'_> {
    /// What stands in the body between two texts, if anything does.
    pub(crate) fn between(&self, from: &str, to: char) -> Option<String> {
        let head = String::from_utf8_lossy(&self.body[..self.body.len().min(1000)]);
        let (_, rest) = head.split_once(from)?;
        rest.split_once(to).map(|(text, _)| text.to_owned()).filter(|text| !text.is_empty())
    }

    /// How often a text stands in the body.
    pub(crate) fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(self.body).matches(text).count()
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::with_capacity(256 << 10, stream), body: Vec::new() }
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer<'_> {
        self.send("GET", path, "", "")
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, content_type: &str, body: &str) -> Answer<'_> {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: sim\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.ask(&request, true)
    }

    /// A list of which nothing but the length is kept.
    pub(crate) fn list(&mut self, path: &str, accept: &str) -> Answer<'_> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: sim\r\naccept: {accept}\r\n\r\n"), false)
    }

    fn ask(&mut self, request: &str, keep: bool) -> Answer<'_> {
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut code, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            assert!(self.stream.read_line(&mut line).unwrap() > 0, "the server has gone");
            let told = line.trim_end();
            if let Some(rest) = told.strip_prefix("HTTP/1.1 ") {
                code = rest[..3].parse().unwrap();
            } else if let Some(rest) = told.to_ascii_lowercase().strip_prefix("content-length:") {
                length = rest.trim().parse().unwrap();
            } else if told.is_empty() {
                break;
            }
        }
        self.body.clear();
        if keep {
            self.body.resize(length, 0);
            self.stream.read_exact(&mut self.body).unwrap();
        } else {
            std::io::copy(&mut (&mut self.stream).take(length as u64), &mut std::io::sink()).unwrap();
        }
        Answer { code, length, body: &self.body }
    }
}

/// Reads a watch until it has told so many events.
pub(crate) async fn count_lines(address: SocketAddr, path: String, wanted: usize) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: sim\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut seen, mut buffer) = (0, vec![0; 64 << 10]);
    let mark = b"\"kind\":\"ConfigMap\"";
    let mut tail: Vec<u8> = Vec::new();
    while seen < wanted {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the watch has ended");
        tail.extend_from_slice(&buffer[..read]);
        seen += tail.windows(mark.len()).filter(|window| window == mark).count();
        // A mark may be cut in two.
        tail.drain(..tail.len().saturating_sub(mark.len() - 1));
    }
}
