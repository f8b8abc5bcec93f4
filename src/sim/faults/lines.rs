//! The lines of a body, as faults leave them.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::{Lines, Stop};

/// What a bookmark has that ends the initial events.
const END_BOOKMARK: &[u8] = b"k8s.io/initial-events-end";

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// These bytes.
    Bytes(Bytes),
    /// The body ends.
    End,
    /// Nothing, ever.
    Hush,
    /// The connection breaks.
    Break,
}

/// Takes a body in as it comes, and gives it out as the faults have it.
#[derive(Debug)]
pub(super) struct Mangler {
    lines: Lines,
    /// A line that has not ended yet.
    open: BytesMut,
    whole: VecDeque<Bytes>,
    told: u32,
    /// The body has ended.
    ended: bool,
    /// Half of the last line was told: the connection breaks.
    broken: bool,
}

impl Mangler {
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines, open: BytesMut::new(), whole: VecDeque::new(), told: 0, ended: false, broken: false }
    }

    /// Takes in what came of the body.
    pub(super) fn push(&mut self, data: &[u8]) {
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            self.open.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = self.open.split().freeze();
                self.line(line);
            }
        }
    }

    /// Takes in that the body has ended.
    pub(super) fn end(&mut self) {
        self.ended = true;
        let rest = self.open.split().freeze();
        if !rest.is_empty() {
            self.line(rest);
        }
    }

    fn line(&mut self, line: Bytes) {
        if self.lines.no_end_bookmark && contains(&line, END_BOOKMARK) {
            return;
        }
        if self.lines.twice {
            self.whole.push_back(line.clone());
        }
        self.whole.push_back(line);
    }

    /// What to tell now; `None`: more has to come first.
    pub(super) fn next(&mut self) -> Option<Piece> {
        if self.broken {
            return Some(Piece::Break);
        }
        let stop = self.lines.stop.filter(|(after, _)| self.told >= *after).map(|(_, stop)| stop);
        match stop {
            Some(Stop::End) => return Some(Piece::End),
            Some(Stop::Hush) => return Some(Piece::Hush),
            Some(Stop::Break) => {
                let line = self.whole.pop_front().unwrap_or_default();
                if line.is_empty() && !self.ended {
                    return None;
                }
                self.broken = true;
                return Some(Piece::Bytes(line.slice(..line.len() / 2)));
            }
            None => {}
        }
        match self.whole.pop_front() {
            Some(line) => {
                self.told += 1;
                Some(Piece::Bytes(line))
            }
            None => self.ended.then_some(Piece::End),
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: Lines, parts: &[&str]) -> Vec<String> {
        let mut mangler = Mangler::new(lines);
        let mut told = Vec::new();
        let mut drain = |mangler: &mut Mangler| {
            while let Some(piece) = mangler.next() {
                match piece {
                    Piece::Bytes(bytes) => told.push(String::from_utf8(bytes.to_vec()).unwrap()),
                    end => {
                        told.push(format!("{end:?}"));
                        return;
                    }
                }
            }
        };
        for part in parts {
            mangler.push(part.as_bytes());
            drain(&mut mangler);
        }
        mangler.end();
        drain(&mut mangler);
        told.dedup_by(|a, b| a == b && matches!(a.as_str(), "End" | "Hush" | "Break"));
        told
    }

    #[test]
    fn lines_come_as_the_faults_have_it() {
        let none = Lines::default();
        let stop = |after, how| Lines { stop: Some((after, how)), ..Lines::default() };
        let cases: [(Lines, &[&str], &[&str]); 8] = [
            (none.clone(), &["on", "e\ntwo\n"], &["one\n", "two\n", "End"]),
            (none.clone(), &["{}"], &["{}", "End"]),
            (Lines { twice: true, ..none.clone() }, &["one\n"], &["one\n", "one\n", "End"]),
            (stop(1, Stop::End), &["one\ntwo\n"], &["one\n", "End"]),
            (stop(1, Stop::Hush), &["one\ntwo\n"], &["one\n", "Hush"]),
            (stop(1, Stop::Break), &["one\ntwo\n"], &["one\n", "tw", "Break"]),
            (stop(0, Stop::Break), &["{\"a\": 1}"], &["{\"a\"", "Break"]),
            (
                Lines { no_end_bookmark: true, ..none },
                &["{\"k8s.io/initial-events-end\":\"true\"}\ntwo\n"],
                &["two\n", "End"],
            ),
        ];
        for (lines, parts, expected) in cases {
            assert_eq!(told(lines.clone(), parts), expected, "{lines:?}");
        }
    }
}
