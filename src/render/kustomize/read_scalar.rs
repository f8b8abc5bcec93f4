//! Scalars of YAML to values: their types by tag, style and text.

use base64::Engine as _;
use serde_saphyr::granit_parser::{ScalarStyle, Tag};

use super::emit::{Style, style_of};
use super::value::{Kind, Plain, Text, Value};
use super::{folded, read, scalar};

/// A scalar as go-yaml v2 reads it.
pub(super) fn settings_scalar(text: String, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, &'static str> {
    match scalar::old_bool(&text) {
        Some(value) if tag.is_none() && style == ScalarStyle::Plain => Ok(Value::bool(value)),
        _ => scalar_value(text, if style == ScalarStyle::Folded { ScalarStyle::Literal } else { style }, tag, false),
    }
}

/// A scalar as go-yaml v3 reads it. `in_flow` if it stands between brackets.
pub(super) fn scalar_value(
    text: String,
    style: ScalarStyle,
    tag: Option<&Tag>,
    in_flow: bool,
) -> Result<Value, &'static str> {
    let text = if style == ScalarStyle::Folded { folded::written_and_read(text) } else { text };
    let string = |text| Value::Str(Text::styled(text, printed_style(style)));
    let core = match tag {
        None if style == ScalarStyle::Plain => None,
        None => return Ok(string(text)),
        Some(tag) => match core_tag(tag) {
            Some(core) => Some(core),
            None => return Ok(string(text)),
        },
    };
    let kind = scalar::kind(&text);
    let plain = |kind| Ok(Value::Plain(Plain::new(&text, kind)));
    match (core, kind) {
        (None, Some(Kind::Null)) if text.is_empty() && in_flow => plain(Kind::Empty),
        // Printed once on its way through kustomize, such a time gets quotes.
        (None, Some(Kind::Time)) if in_flow && text.contains(':') => Ok(Value::quoted(text)),
        (None, Some(kind)) => plain(kind),
        (None, None) | (Some("str"), _) => Ok(string(text)),
        (Some("null"), Some(Kind::Null)) | (Some("float"), Some(Kind::Int | Kind::Float)) => {
            plain(kind.unwrap_or(Kind::Null))
        }
        (Some("bool"), Some(Kind::Bool)) => plain(Kind::Bool),
        (Some("int"), Some(Kind::Int)) => plain(Kind::Int),
        (Some("timestamp"), Some(Kind::Time)) => plain(Kind::Time),
        (Some("binary"), _) => {
            let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(text);
            let bytes = bytes.map_err(|_| "a value with the tag `!!binary` is no base64")?;
            Ok(Value::str(String::from_utf8_lossy(&bytes)))
        }
        _ => Err("a value isn't what its tag says it is"),
    }
}

/// How a scalar of this style is printed again.
const fn printed_style(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

/// The tags of YAML that go-yaml resolves. What has another tag is a string.
fn core_tag(tag: &Tag) -> Option<&'static str> {
    const TAGS: [&str; 7] = ["str", "null", "bool", "int", "float", "timestamp", "binary"];
    let tag = tag.to_string();
    let name = tag.strip_prefix("!!").or_else(|| tag.strip_prefix("tag:yaml.org,2002:"))?;
    TAGS.into_iter().find(|tag| *tag == name)
}

/// How kustomize writes a string that it makes: in double quotes if it would be read as something else, which may also be
/// a mapping or a list.
pub(super) fn made_style(text: &str) -> Style {
    let is_string = || read::settings(text).map_or(true, |value| matches!(value, Some(Value::Str(_))));
    if text.is_empty() || text.contains('\n') || style_of(text) == Style::Plain || is_string() {
        Style::Plain
    } else {
        Style::DoubleQuoted
    }
}

/// Whether a line of `text` seems to have a comment: a `#` behind a blank, outside of quotes. In a block it may be text.
pub(super) fn seems_commented(text: &str) -> bool {
    text.contains('#') && text.lines().any(line_seems_commented)
}

fn line_seems_commented(line: &str) -> bool {
    let (mut quote, mut before) = (None, ' ');
    for c in line.chars() {
        match (quote, c) {
            (None, '#') if matches!(before, ' ' | '\t') => return true,
            (None, '\'' | '"') if matches!(before, ' ' | '\t' | '[' | '{' | ',' | ':' | '\'') => quote = Some(c),
            (Some('"'), '"') if before == '\\' => {}
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        before = c;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_seen_outside_of_quotes() {
        for text in ["# a", "a: b # c", "a: 'b' # c", "- \"a\\\"b\" # c", "a:\t# b", "a: it's # b"] {
            assert!(seems_commented(text), "{text}");
        }
        for text in ["a: b#c", "a: 'b # c'", "a: \"b # c\"", "a: ['it''s # b']", "a: \"\\\" # b\"", "a#"] {
            assert!(!seems_commented(text), "{text}");
        }
    }
}
