//! Values to YAML, byte for byte as kustomize prints resources: through JSON, and with go-yaml v2 from there. Keys are
//! ordered, lists are not indented, lines are folded behind column 80.

use std::cmp::Ordering;

use super::emit::Emitter;
use super::scalar;
use super::value::{Kind, Map, Value};

/// What of a value can't be printed, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct WriteError {
    /// The keys and indexes that lead there, as `spec.ports[0]`.
    pub path: String,
    /// What is wrong.
    pub reason: &'static str,
}

impl WriteError {
    /// A number that JSON has no form for.
    pub(super) const fn not_finite() -> Self {
        Self::new("an infinite number or none (`.inf`, `.nan`) can't be printed")
    }

    const fn new(reason: &'static str) -> Self {
        Self { path: String::new(), reason }
    }

    pub(super) fn below(mut self, step: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{dot}{}", self.path);
        self
    }
}

/// `value` as a YAML document, with a line break at its end.
pub fn to_yaml(value: &Value) -> Result<String, WriteError> {
    let mut text = String::new();
    append_yaml(value, &mut text)?;
    Ok(text)
}

/// Appends `value` as a YAML document to `text`, which is empty or ends with a line break.
pub fn append_yaml(value: &Value, text: &mut String) -> Result<(), WriteError> {
    let mut emitter = Emitter::new(text);
    match value {
        Value::Map(map) if !map.is_empty() => mapping(&mut emitter, map, 0, true)?,
        Value::Seq(items) if !items.is_empty() => sequence(&mut emitter, items, 0, true)?,
        other => scalar(&mut emitter, other, 0)?,
    }
    emitter.finish();
    Ok(())
}

/// Writes the entries of a mapping. `fresh` if the emitter stands where its first key goes.
fn mapping(emitter: &mut Emitter<'_>, map: &Map, indent: usize, mut fresh: bool) -> Result<(), WriteError> {
    for (key, value) in sort_entries(map.iter().collect()) {
        if !fresh {
            emitter.line(indent);
        }
        fresh = false;
        let simple =
            emitter.key(printable(key)?.as_ref(), indent).map_err(|reason| WriteError::new(reason).below(key))?;
        if !simple {
            emitter.line(indent);
        }
        emitter.indicator(":");
        entry(emitter, value, indent, simple).map_err(|error| error.below(key))?;
    }
    Ok(())
}

/// Writes the value behind a key and its colon. Behind a key that is written with `?`, a collection begins on the same line.
fn entry(emitter: &mut Emitter<'_>, value: &Value, indent: usize, simple: bool) -> Result<(), WriteError> {
    match value {
        Value::Map(map) if !map.is_empty() => {
            if simple {
                emitter.line(indent + 2);
            } else {
                emitter.space();
            }
            mapping(emitter, map, indent + 2, true)
        }
        Value::Seq(items) if !items.is_empty() => {
            if simple {
                emitter.line(indent);
                sequence(emitter, items, indent, true)
            } else {
                emitter.space();
                sequence(emitter, items, indent + 2, true)
            }
        }
        other => {
            emitter.space();
            scalar(emitter, other, indent + 2)
        }
    }
}

fn sequence(emitter: &mut Emitter<'_>, items: &[Value], indent: usize, mut fresh: bool) -> Result<(), WriteError> {
    for (index, item) in items.iter().enumerate() {
        if !fresh {
            emitter.line(indent);
        }
        fresh = false;
        emitter.indicator("- ");
        let written = match item {
            Value::Map(map) if !map.is_empty() => mapping(emitter, map, indent + 2, true),
            Value::Seq(items) if !items.is_empty() => sequence(emitter, items, indent + 2, true),
            other => scalar(emitter, other, indent + 2),
        };
        written.map_err(|error| error.below(&format!("[{index}]")))?;
    }
    Ok(())
}

/// Writes a scalar or an empty collection.
fn scalar(emitter: &mut Emitter<'_>, value: &Value, indent: usize) -> Result<(), WriteError> {
    match value {
        Value::Map(_) => emitter.indicator("{}"),
        Value::Seq(_) => emitter.indicator("[]"),
        Value::Str(text) => emitter.string(printable(text)?.as_ref(), indent),
        Value::Plain(plain) => match plain.kind() {
            Kind::Null => emitter.indicator("null"),
            Kind::Empty => emitter.string("", indent),
            Kind::Bool => emitter.indicator(if plain.text().starts_with(['t', 'T']) { "true" } else { "false" }),
            Kind::Int | Kind::Float => {
                let number = scalar::print_number(plain.text());
                let number = number.ok_or_else(WriteError::not_finite)?;
                emitter.indicator(&number);
            }
            Kind::Time => {
                let time = scalar::time(plain.text()).unwrap_or_else(|| plain.text().to_owned());
                emitter.string(&time, indent);
            }
        },
    }
    Ok(())
}

/// `text` as it comes out of JSON that is read as YAML: U+0085 is a line break there, and folded into a space; other
/// control characters behind ASCII are refused.
fn printable(text: &str) -> Result<std::borrow::Cow<'_, str>, WriteError> {
    if text.is_ascii() && !text.contains('\u{7f}') {
        return Ok(text.into());
    }
    let control = |c: char| matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    if text.contains(control) {
        return Err(WriteError::new("control characters are not allowed"));
    }
    Ok(if text.contains('\u{85}') { fold_next_lines(text).into() } else { text.into() })
}

/// Folds U+0085 as a line break in a quoted string: spaces around it go, one becomes a space, each further one a line
/// break.
fn fold_next_lines(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut lines = text.split('\u{85}').peekable();
    let mut first = true;
    let mut empty = 0;
    while let Some(line) = lines.next() {
        let line = if first { line } else { line.trim_start_matches(' ') };
        let line = if lines.peek().is_some() { line.trim_end_matches(' ') } else { line };
        if !first && line.is_empty() && lines.peek().is_some() {
            empty += 1;
            continue;
        }
        if !first {
            if empty == 0 {
                folded.push(' ');
            }
            folded.extend(std::iter::repeat_n('\n', empty));
            empty = 0;
        }
        first = false;
        folded.push_str(line);
    }
    folded
}

/// The order in which go-yaml writes keys: digits by the number they form, letters behind all else.
pub(super) fn compare_keys(a: &str, b: &str) -> Ordering {
    let mut common = a.char_indices().zip(b.chars()).skip_while(|((_, left), right)| left == right);
    let Some(((at, left), right)) = common.next() else {
        return a.len().cmp(&b.len());
    };
    match (left.is_alphabetic(), right.is_alphabetic()) {
        (true, true) => return left.cmp(&right),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // Behind a digit that is no zero, a zero is part of a number: both are compared by their length.
    let within = a.get(..at).unwrap_or_default().chars().rev().take_while(|c| c.is_numeric()).any(|c| c != '0');
    let start = i64::from(within && (left == '0' || right == '0'));
    let number = |text: &str| {
        let digits = text.get(at..).unwrap_or_default().chars().map_while(|c| c.to_digit(10));
        digits.fold((start, 0_usize), |(value, count), digit| {
            (value.wrapping_mul(10).wrapping_add(i64::from(digit)), count + 1)
        })
    };
    number(a).cmp(&number(b)).then(left.cmp(&right))
}

/// Orders entries by their keys. [`compare_keys`] is no total order (`12` < `1a` < `2` < `12`), which the sorts of the
/// standard library may answer with a panic; kustomize's own order is a matter of chance for such keys.
fn sort_entries<'m>(mut entries: Vec<(&'m str, &'m Value)>) -> Vec<(&'m str, &'m Value)> {
    if entries.windows(2).all(|pair| matches!(pair, [a, b] if compare_keys(a.0, b.0).is_lt())) {
        return entries;
    }
    let upper = sort_entries(entries.split_off(entries.len() / 2));
    let lower = sort_entries(entries);
    let mut merged = Vec::with_capacity(lower.len() + upper.len());
    let (mut lower, mut upper) = (lower.into_iter().peekable(), upper.into_iter().peekable());
    loop {
        let next = match (lower.peek(), upper.peek()) {
            (Some(a), Some(b)) if compare_keys(b.0, a.0).is_lt() => upper.next(),
            (Some(_), _) => lower.next(),
            (None, _) => upper.next(),
        };
        let Some(next) = next else { return merged };
        merged.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::Plain;
    use super::*;

    fn print(entries: impl IntoIterator<Item = (&'static str, Value)>) -> String {
        to_yaml(&Value::Map(entries.into_iter().collect())).unwrap()
    }

    #[test]
    fn keys_are_ordered_by_numbers_in_them() {
        let keys = ["a10", "a9", "a", "A", "_x", "1", "10", "9", "a.b", "a-b", ""];
        let text = print(keys.map(|key| (key, Value::str("x"))));
        let expected = ["\"\"", "_x", "\"1\"", "\"9\"", "\"10\"", "A", "a", "a-b", "a.b", "a9", "a10"];
        assert_eq!(text, expected.map(|key| format!("{key}: x\n")).concat());
        // No order fits these; there must be an answer for any number of them.
        let circle = (0..100).flat_map(|n| [format!("{n}"), format!("{n}a"), format!("0{n}")]);
        let map: Map = circle.map(|key| (key, Value::null())).collect();
        assert_eq!(to_yaml(&Value::Map(map)).unwrap().lines().count(), 300);
    }

    #[test]
    fn collections_have_the_layout_of_kustomize() {
        let nested = Value::Seq(vec![
            Value::Seq(vec![Value::int(1), Value::Seq(vec![])]),
            Value::Map([("k", Value::Seq(vec![Value::null()])), ("e", Map::new().into())].into_iter().collect()),
        ]);
        let long: &'static str = Box::leak("k".repeat(130).into_boxed_str());
        let text = print([("list", nested.clone()), (long, nested)]);
        let items =
            |indent: &str| format!("- - 1\n{indent}  - []\n{indent}- e: {{}}\n{indent}  k:\n{indent}  - null\n");
        assert_eq!(text, format!("? {long}\n: {}list:\n{}", items("  "), items("")));
        assert_eq!(to_yaml(&Value::Map(Map::new())).unwrap(), "{}\n");
    }

    #[test]
    fn strings_are_quoted_and_folded_as_by_kustomize() {
        let cases = [
            ("yes", r#""yes""#),
            ("", r#""""#),
            ("a: b", "'a: b'"),
            ("a #b", "'a #b'"),
            ("a#b", "a#b"),
            ("-", "'-'"),
            ("-a", "-a"),
            ("it's", "it's"),
            ("'it'", "'''it'''"),
            ("a\tb", r#""a\tb""#),
            ("a\nb", "|-\n  a\n  b"),
            ("a\n\nb\n", "|\n  a\n\n  b"),
            (" a\n", "|2\n   a"),
            ("a\n\n", "|+\n  a\n"),
            ("a \nb", r#""a \nb""#),
            ("\u{1f600}", r#""\U0001F600""#),
            ("\u{feff}x", r#""\uFEFF\x78""#),
            ("a\u{85} \u{85}b", "|-\n  a\n  b"),
            ("a\u{85}b", "a b"),
            ("a\u{2028}b", "'a\u{2028}  b'"),
            ("é—ü", "é—ü"),
        ];
        for (value, expected) in cases {
            assert_eq!(print([("k", Value::str(value))]), format!("k: {expected}\n"), "{value:?}");
        }
        let long = "this is a long line that should wrap at eighty columns because of the emitter width limit";
        let folded = long.replace(" limit", "\n  limit");
        assert_eq!(print([("k", Value::str(long))]), format!("k: {folded}\n"));
    }

    #[test]
    fn what_kustomize_cannot_print_is_an_error_with_its_path() {
        let infinite = Value::Plain(Plain::new(".inf", Kind::Float));
        let inner = Value::Map([("b", infinite)].into_iter().collect());
        let value = Value::Map([("a", Value::Seq(vec![inner]))].into_iter().collect());
        assert_eq!(to_yaml(&value).unwrap_err().path, "a[0].b");
        assert!(to_yaml(&Value::str("\u{7f}")).is_err());
        let key = |length: usize| Value::Map([("k".repeat(length), Value::null())].into_iter().collect());
        assert!(to_yaml(&key(1022)).is_ok());
        assert!(to_yaml(&key(1023)).is_err());
    }
}
