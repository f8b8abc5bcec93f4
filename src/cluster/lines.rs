//! The lines of a watch, from the bytes of its body.

use std::time::Duration;

use kube::client::Body;
use tokio::time::Instant;

use super::request::{self, Refusal};

/// Longest line or object that is decoded. The API server takes requests of 3 MiB and stores at most 1.5 MiB, before
/// what it adds itself.
pub(super) const MAX_OBJECT: usize = 8 * 1024 * 1024;
/// A buffer that grew beyond this is given back when it is empty, so that one big object doesn't cost for ever.
const KEEP: usize = 64 * 1024;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its end.
    Text(Vec<u8>),
    /// It was longer than [`MAX_OBJECT`]; skipped.
    TooLong,
}

/// Splits a body into lines. What stands behind the last line end when the body ends is dropped: it was cut off, and is
/// sent again to who asks from the last position.
pub(super) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// Up to here no line end was found.
    searched: usize,
    limit: usize,
    skipping: bool,
    /// When the last piece of the body came.
    arrived: Instant,
}

impl Lines {
    pub(super) fn new(body: Body) -> Self {
        Self { body, buffer: Vec::new(), searched: 0, limit: MAX_OBJECT, skipping: false, arrived: Instant::now() }
    }

    /// The next line that is not empty; `None` at the end. An error if nothing arrived for `silence`.
    pub(super) async fn next(&mut self, what: &str, silence: Duration) -> Result<Option<Line>, Refusal> {
        loop {
            if let Some(line) = self.take() {
                return Ok(Some(line));
            }
            if !request::read(what, &mut self.body, silence, &mut self.buffer).await? {
                return Ok(None);
            }
            self.arrived = Instant::now();
        }
    }

    /// When the last bytes of the line that was returned last arrived.
    pub(super) const fn arrived(&self) -> Instant {
        self.arrived
    }

    fn take(&mut self) -> Option<Line> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(at) = rest.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                if self.buffer.len() > self.limit {
                    self.skipping = true;
                    self.buffer.clear();
                    self.searched = 0;
                }
                return None;
            };
            let end = self.searched + at;
            let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
            line.pop();
            self.searched = 0;
            if self.buffer.is_empty() && self.buffer.capacity() > KEEP {
                self.buffer = Vec::new();
            }
            if std::mem::take(&mut self.skipping) || line.len() > self.limit {
                return Some(Line::TooLong);
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(Line::Text(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn split(text: &str, limit: usize) -> Vec<Line> {
        let mut lines = Lines { limit, ..Lines::new(Body::from(text.as_bytes().to_vec())) };
        let mut all = Vec::new();
        while let Some(line) = lines.next("test", Duration::from_secs(1)).await.unwrap() {
            all.push(line);
        }
        all
    }

    fn text(text: &str) -> Line {
        Line::Text(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn lines_end_at_line_feeds() {
        assert_eq!(split("a\n\n  \nb\r\nc", 9).await, [text("a"), text("b\r")]);
        assert_eq!(split("", 9).await, []);
    }

    #[test]
    fn long_lines_are_skipped_however_they_arrive() {
        let mut lines = Lines { limit: 4, ..Lines::new(Body::empty()) };
        for piece in ["12", "345", "678", "9\nok", "\n"] {
            lines.buffer.extend_from_slice(piece.as_bytes());
            let line = lines.take();
            match piece {
                "9\nok" => assert_eq!(line, Some(Line::TooLong)),
                "\n" => assert_eq!(line, Some(text("ok"))),
                _ => assert_eq!(line, None),
            }
            assert!(lines.buffer.len() <= 5);
        }
    }
}
