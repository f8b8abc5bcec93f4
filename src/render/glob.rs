//! Globs as Argo CD reads them in `directory.include` and `directory.exclude`.
//!
//! Argo CD compiles them without a separator, so `*` and `?` match `/` as well, and `**` means the same as `*`. `{a,b}`
//! are alternatives and may nest, `[a-z]` and `[!a-z]` are classes, `\` takes the next character literally. Argo CD reads a
//! pattern that does not compile as one that matches nothing, which turns a typing error in `include` into an empty
//! application; here it is an error.

use std::iter::Peekable;
use std::str::Chars;

/// Longest pattern, in bytes. Matching costs at most pattern times text.
const MAX_PATTERN: usize = 4096;
/// How deep `{a,{b,c}}` may nest.
const MAX_NESTING: usize = 16;

/// A compiled pattern: a small program that is run for all its possible positions at once, so that no pattern makes
/// matching exponential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    pattern: Box<str>,
    program: Vec<Op>,
}

/// Why a pattern does not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// It is too long.
    #[error("it is longer than {MAX_PATTERN} bytes")]
    TooLong,
    /// It has a NUL character, which no path has.
    #[error("it has a NUL character")]
    Nul,
    /// Alternatives nest too deep.
    #[error("its braces nest deeper than {MAX_NESTING}")]
    TooDeep,
    /// `{` without `}`.
    #[error("a `{{` is not closed by `}}`")]
    OpenBrace,
    /// `[` without `]`.
    #[error("a `[` is not closed by `]`")]
    OpenClass,
    /// `[]`, `[!]` or a range whose end is before its start.
    #[error("a `[…]` is empty or has a range that ends before it starts")]
    EmptyClass,
    /// `\` at the end.
    #[error("it ends with a `\\` that has nothing to escape")]
    TrailingEscape,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Op {
    /// One given character.
    Char(char),
    /// Any one character.
    One,
    /// One character in (or, negated, outside of) the ranges.
    Class { negated: bool, ranges: Vec<(char, char)> },
    /// Go on at both places.
    Split(usize, usize),
    /// Go on there.
    Jump(usize),
}

/// What ended a run of the parser.
#[derive(PartialEq, Eq)]
enum Stop {
    End,
    Comma,
    Brace,
}

impl Glob {
    /// Compiles `pattern`.
    pub fn new(pattern: &str) -> Result<Self, GlobError> {
        if pattern.len() > MAX_PATTERN {
            return Err(GlobError::TooLong);
        }
        if pattern.contains('\0') {
            return Err(GlobError::Nul);
        }
        let mut parser = Parser { rest: pattern.chars().peekable(), program: Vec::new() };
        // At nesting zero neither a comma nor a closing brace means anything, so only the end stops it.
        parser.sequence(0)?;
        Ok(Self { pattern: pattern.into(), program: parser.program })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        let mut threads = Threads::new(self.program.len());
        threads.add(&self.program, 0);
        for character in text.chars() {
            let current = threads.take();
            if current.is_empty() {
                return false;
            }
            for at in current {
                let taken = match self.program.get(at) {
                    Some(Op::Char(expected)) => *expected == character,
                    Some(Op::One) => true,
                    Some(Op::Class { negated, ranges }) => {
                        ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
                    }
                    Some(Op::Split(..) | Op::Jump(_)) | None => false,
                };
                if taken {
                    threads.add(&self.program, at + 1);
                }
            }
        }
        threads.take().contains(&self.program.len())
    }
}

/// The positions that a match stands at. The end of the program is one of them.
struct Threads {
    at: Vec<usize>,
    seen: Vec<bool>,
}

impl Threads {
    fn new(program: usize) -> Self {
        Self { at: Vec::new(), seen: vec![false; program + 1] }
    }

    /// Adds a position and all that are reached from it without a character.
    fn add(&mut self, program: &[Op], start: usize) {
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            match self.seen.get_mut(at) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            match program.get(at) {
                Some(Op::Split(one, other)) => open.extend([*one, *other]),
                Some(Op::Jump(to)) => open.push(*to),
                _ => self.at.push(at),
            }
        }
    }

    fn take(&mut self) -> Vec<usize> {
        self.seen.fill(false);
        std::mem::take(&mut self.at)
    }
}

struct Parser<'p> {
    rest: Peekable<Chars<'p>>,
    program: Vec<Op>,
}

impl Parser<'_> {
    fn sequence(&mut self, nesting: usize) -> Result<Stop, GlobError> {
        while let Some(character) = self.rest.next() {
            match character {
                '*' => self.any(),
                '?' => self.program.push(Op::One),
                '[' => self.class()?,
                '{' => self.alternatives(nesting + 1)?,
                ',' if nesting > 0 => return Ok(Stop::Comma),
                '}' if nesting > 0 => return Ok(Stop::Brace),
                '\\' => {
                    let literal = self.rest.next().ok_or(GlobError::TrailingEscape)?;
                    self.program.push(Op::Char(literal));
                }
                literal => self.program.push(Op::Char(literal)),
            }
        }
        Ok(Stop::End)
    }

    fn any(&mut self) {
        while self.rest.next_if_eq(&'*').is_some() {}
        let at = self.program.len();
        self.program.extend([Op::Split(at + 1, at + 3), Op::One, Op::Jump(at)]);
    }

    fn alternatives(&mut self, nesting: usize) -> Result<(), GlobError> {
        if nesting > MAX_NESTING {
            return Err(GlobError::TooDeep);
        }
        let mut exits = Vec::new();
        loop {
            let split = self.program.len();
            // The second way is known when the alternative has been read; for the last one it stays the first.
            self.program.push(Op::Split(split + 1, split + 1));
            match self.sequence(nesting)? {
                Stop::Comma => {
                    exits.push(self.program.len());
                    self.program.push(Op::Jump(0));
                    let next = self.program.len();
                    self.set(split, Op::Split(split + 1, next));
                }
                Stop::Brace => break,
                Stop::End => return Err(GlobError::OpenBrace),
            }
        }
        let end = self.program.len();
        for exit in exits {
            self.set(exit, Op::Jump(end));
        }
        Ok(())
    }

    fn class(&mut self) -> Result<(), GlobError> {
        let negated = self.rest.next_if_eq(&'!').is_some();
        let mut ranges = Vec::new();
        loop {
            let low = match self.rest.next().ok_or(GlobError::OpenClass)? {
                ']' => break,
                '\\' => self.rest.next().ok_or(GlobError::OpenClass)?,
                literal => literal,
            };
            let mut high = low;
            if self.rest.next_if_eq(&'-').is_some() {
                match self.rest.next().ok_or(GlobError::OpenClass)? {
                    ']' => {
                        ranges.extend([(low, low), ('-', '-')]);
                        break;
                    }
                    '\\' => high = self.rest.next().ok_or(GlobError::OpenClass)?,
                    literal => high = literal,
                }
            }
            if high < low {
                return Err(GlobError::EmptyClass);
            }
            ranges.push((low, high));
        }
        if ranges.is_empty() {
            return Err(GlobError::EmptyClass);
        }
        self.program.push(Op::Class { negated, ranges });
        Ok(())
    }

    fn set(&mut self, at: usize, op: Op) {
        if let Some(slot) = self.program.get_mut(at) {
            *slot = op;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_argo_cd_matches_them() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("*.yaml", &["a.yaml", "a/b.yaml", ".yaml"], &["a.yml", "a.yaml.bak"]),
            ("*", &["", "a", "a/b"], &[]),
            ("**", &["", "a/b"], &[]),
            ("?.json", &["a.json", "/.json"], &["ab.json", ".json"]),
            ("{*.yml,*.yaml}", &["a.yml", "b/a.yaml"], &["a.json"]),
            ("{a,b{c,d},}x", &["ax", "bcx", "bdx", "x"], &["bx", "abx"]),
            (
                "env-[!q]*/[a-c0-9_-].yaml",
                &["env-p1/a.yaml", "env-p/-.yaml", "env-p/7.yaml"],
                &["env-qa/a.yaml", "env-p/d.yaml"],
            ),
            ("config/**", &["config/a.yaml", "config/a/b.yaml"], &["config", "other/config/a.yaml"]),
            (r"a\*b\{c", &["a*b{c"], &["axb{c"]),
            ("a,b}", &["a,b}"], &["a"]),
            ("", &[""], &["a"]),
            ("ä?", &["äö"], &["ä"]),
        ];
        for (pattern, yes, no) in cases {
            let glob = Glob::new(pattern).unwrap();
            for text in *yes {
                assert!(glob.matches(text), "{pattern} should match {text:?}");
            }
            for text in *no {
                assert!(!glob.matches(text), "{pattern} should not match {text:?}");
            }
        }
    }

    #[test]
    fn what_does_not_compile_is_an_error() {
        let deep = "{".repeat(20) + &"}".repeat(20);
        let long = "a".repeat(MAX_PATTERN + 1);
        let cases = [
            ("{a", GlobError::OpenBrace),
            ("{a,{b}", GlobError::OpenBrace),
            ("[a", GlobError::OpenClass),
            ("[", GlobError::OpenClass),
            ("[]", GlobError::EmptyClass),
            ("[!]", GlobError::EmptyClass),
            ("[z-a]", GlobError::EmptyClass),
            ("a\\", GlobError::TrailingEscape),
            ("a\0", GlobError::Nul),
            (&deep, GlobError::TooDeep),
            (&long, GlobError::TooLong),
        ];
        for (pattern, error) in cases {
            assert_eq!(Glob::new(pattern), Err(error), "{pattern}");
        }
    }

    #[test]
    fn no_pattern_takes_exponential_time() {
        let glob = Glob::new(&("{a*,*a}".repeat(200) + "c")).unwrap();
        assert!(!glob.matches(&("a".repeat(400) + "b")));
    }
}
