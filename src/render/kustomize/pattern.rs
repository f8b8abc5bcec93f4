//! Regular expressions as Go reads them.
//!
//! Both languages descend from RE2, but a class like `\w` means ASCII in Go, and inside of brackets `[`, `&&`, `--` and `~~`
//! mean themselves.

use regex::{Regex, RegexBuilder};

/// Longest pattern.
const MAX_PATTERN: usize = 4096;
/// Largest compiled pattern, in bytes.
const MAX_COMPILED: usize = 1 << 20;

/// Compiles a pattern that may match anywhere.
pub(super) fn anywhere(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("a pattern has more than {MAX_PATTERN} characters; make it shorter"));
    }
    let translated = translate(pattern)?;
    RegexBuilder::new(&translated)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .build()
        .map_err(|_| format!("`{pattern}` is no regular expression, or too large a one; correct it"))
}

/// A pattern that must match a text as a whole.
pub(super) enum Whole {
    /// One that [`is_simple`].
    Simple(String),
    Regex(Regex),
}

impl Whole {
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        if is_simple(pattern) {
            return Ok(Self::Simple(pattern.to_owned()));
        }
        // By itself first: parentheses that only match each other around it are a mistake.
        anywhere(pattern)?;
        anywhere(&format!("^(?:{pattern})$")).map(Self::Regex)
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Simple(pattern) => strip_simple(pattern, text) == Some(""),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Whether all characters of a pattern mean themselves, but for dots. That of most names does, and needs no compiling.
pub(super) fn is_simple(pattern: &str) -> bool {
    pattern.len() <= MAX_PATTERN
        && pattern.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/:@.".contains(&byte))
}

/// What of `text` follows what a simple pattern matches at its start.
pub(super) fn strip_simple<'t>(pattern: &str, text: &'t str) -> Option<&'t str> {
    let mut rest = text.chars();
    let mut pairs = pattern.chars().map(|wanted| (wanted, rest.next()));
    let matches =
        pairs.all(|(wanted, found)| found == Some(wanted) || wanted == '.' && !matches!(found, None | Some('\n')));
    matches.then_some(rest.as_str())
}

/// A pattern in the notation of this language that means what it means in Go.
fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'Q') => {
                chars.next();
                quoted(&mut chars, &mut out);
            }
            '\\' => escape(chars.next(), false, &mut out)?,
            '[' => class(&mut chars, &mut out)?,
            // A flag that only this language has: white space is ignored.
            '(' if chars.peek() == Some(&'?') => {
                out.push(c);
                let mut flags = chars.clone().skip(1).take_while(|c| c.is_ascii_alphabetic() || *c == '-');
                if flags.any(|flag| !matches!(flag, 'i' | 'm' | 's' | 'U' | '-' | 'P')) && !named(&chars) {
                    return Err(format!("`{pattern}` has a flag that is unknown; remove it"));
                }
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

/// Whether `?P<` or `?<` follows.
fn named(chars: &std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    let start: String = chars.clone().take(3).collect();
    start == "?P<" || start.starts_with("?<")
}

/// What stands between `\Q` and `\E`, or the end, means itself.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        if c == '\\' && chars.peek() == Some(&'E') {
            chars.next();
            break;
        }
        text.push(c);
    }
    out.push_str(&regex::escape(&text));
}

/// What follows a backslash. `inside` of brackets.
fn escape(c: Option<char>, inside: bool, out: &mut String) -> Result<(), String> {
    let ascii = match c {
        Some('d') => Some(if inside { "0-9" } else { "[0-9]" }),
        Some('w') => Some(if inside { "0-9A-Za-z_" } else { "[0-9A-Za-z_]" }),
        Some('s') => Some(if inside { r"\t\n\x0c\r " } else { r"[\t\n\x0c\r ]" }),
        Some('D') => Some("[^0-9]"),
        Some('W') => Some("[^0-9A-Za-z_]"),
        Some('S') => Some(r"[^\t\n\x0c\r ]"),
        Some('b') if !inside => Some(r"(?-u:\b)"),
        Some('B') if !inside => Some(r"(?-u:\B)"),
        Some('C') => return Err(r"`\C` can't be used; write `.` instead".to_owned()),
        None => return Err("a pattern ends with a backslash; remove it".to_owned()),
        Some(other) => {
            out.push('\\');
            out.push(other);
            None
        }
    };
    out.push_str(ascii.unwrap_or_default());
    Ok(())
}

/// A class in brackets, behind its `[`.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) -> Result<(), String> {
    out.push('[');
    if chars.peek() == Some(&'^') {
        chars.next();
        out.push('^');
    }
    let mut first = true;
    while let Some(c) = chars.next() {
        match c {
            ']' if !first => {
                out.push(']');
                return Ok(());
            }
            // A class by name, like `[:alpha:]`.
            '[' if chars.peek() == Some(&':') => {
                out.push('[');
                while let Some(c) = chars.next() {
                    out.push(c);
                    if c == ':' && chars.peek() == Some(&']') {
                        chars.next();
                        out.push(']');
                        break;
                    }
                }
            }
            '\\' => escape(chars.next(), true, out)?,
            '[' | ']' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '-' if first || chars.peek() == Some(&']') => out.push_str("\\-"),
            c => out.push(c),
        }
        first = false;
    }
    Err("a class in brackets isn't closed; add `]`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        let cases = [
            (r"a.*", "abc", true),
            ("a.c-d/", "aéc-d/", true),
            ("a.c", "ac", false),
            ("a.c", "a\nc", false),
            ("a.c", "abcd", false),
            ("a", "ba", false),
            ("a|b", "b", true),
            ("a|b", "ab", false),
            (r"\d+", "12", true),
            (r"\d", "٣", false),
            (r"\w", "é", false),
            (r"[\w-]+", "a-b", true),
            ("[a&&b]+", "&ab", true),
            ("[[a]+", "[a", true),
            ("[]a]+", "]a", true),
            ("[[:alpha:]]+", "ab", true),
            ("[^a-c]", "d", true),
            (r"\Qa.b\E", "a.b", true),
            (r"\Qa.b\E", "axb", false),
            ("(?i)ABC", "abc", true),
            ("(?P<x>a)(?<y>b)", "ab", true),
            (r"a\.b", "a.b", true),
            (r"[\S]", "x", true),
            ("a\\bb?", "a", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(Whole::new(pattern).unwrap().is_match(text), expected, "{pattern} {text}");
        }
        assert!(anywhere("b").unwrap().is_match("abc"));
    }

    #[test]
    fn what_go_refuses_is_an_error() {
        for pattern in ["(", "a)(b", "[a", "*", r"\C", r"a\", "(?x)a", "a{2,1}", "(?=a)"] {
            assert!(Whole::new(pattern).is_err(), "{pattern}");
        }
    }
}
