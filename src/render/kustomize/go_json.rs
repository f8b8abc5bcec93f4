//! Values as JSON in the way that Go's `encoding/json` writes them, and values as kustomize has them after a way through
//! JSON.

use super::value::{Kind, Map, Text, Value};
use super::{emit, scalar};

/// `value` as JSON: keys ordered, `<`, `>` and `&` escaped, numbers as 64-bit floats.
pub(super) fn to_json(value: &Value) -> Result<String, String> {
    let mut out = String::new();
    append(value, None, 0, &mut out)?;
    Ok(out)
}

/// The same over several lines, each level of nesting indented by two blanks.
pub(super) fn to_pretty_json(value: &Value) -> Result<String, String> {
    let mut out = String::new();
    append(value, Some("  "), 0, &mut out)?;
    Ok(out)
}

fn append(value: &Value, indent: Option<&str>, depth: usize, out: &mut String) -> Result<(), String> {
    let line = |depth: usize, out: &mut String| {
        if let Some(indent) = indent {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(indent));
        }
    };
    match value {
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (at, (key, value)) in entries.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                line(depth + 1, out);
                append_string(key, out);
                out.push_str(if indent.is_some() { ": " } else { ":" });
                append(value, indent, depth + 1, out)?;
            }
            if !map.is_empty() {
                line(depth, out);
            }
            out.push('}');
        }
        Value::Seq(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                line(depth + 1, out);
                append(item, indent, depth + 1, out)?;
            }
            if !items.is_empty() {
                line(depth, out);
            }
            out.push(']');
        }
        Value::Str(text) => append_string(text, out),
        Value::Plain(plain) => match plain.kind() {
            Kind::Null => out.push_str("null"),
            Kind::Empty => out.push_str("\"\""),
            Kind::Bool => out.push_str(if value.as_bool() == Some(true) { "true" } else { "false" }),
            Kind::Int | Kind::Float => out.push_str(&number(float(plain.text()))?),
            Kind::Time => {
                append_string(&scalar::time(plain.text()).unwrap_or_else(|| plain.text().to_owned()), out);
            }
        },
    }
    Ok(())
}

/// The number that `text` stands for.
fn float(text: &str) -> Option<f64> {
    scalar::print_number(text)?.parse().ok()
}

/// A number as JSON has it.
pub(super) fn number(value: Option<f64>) -> Result<String, String> {
    let value = value.filter(|value| value.is_finite());
    let value = value.ok_or("an infinite number or none (`.inf`, `.nan`) can't be written as JSON")?;
    if value == 0.0 {
        return Ok(if value.is_sign_negative() { "-0" } else { "0" }.to_owned());
    }
    if (1e-6..1e21).contains(&value.abs()) {
        return Ok(format!("{value}"));
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    Ok(format!("{mantissa}e{sign}{exponent}"))
}

fn append_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// `value` after a way through JSON, Go's floats and YAML: keys ordered, times strings, numbers written as Go writes floats,
/// and quotes where go-yaml puts them.
pub(super) fn round_trip(value: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::Map(map) => {
            let mut entries: Vec<(&str, Value)> =
                map.iter().map(|(key, value)| Ok((key, round_trip(value)?))).collect::<Result<_, String>>()?;
            entries.sort_by_key(|(key, _)| *key);
            Value::Map(entries.into_iter().collect::<Map>())
        }
        Value::Seq(items) => Value::Seq(items.iter().map(round_trip).collect::<Result<_, _>>()?),
        Value::Str(text) => string(text)?,
        Value::Plain(plain) => match plain.kind() {
            Kind::Null => Value::null(),
            Kind::Empty => Value::quoted(""),
            Kind::Bool => Value::bool(value.as_bool() == Some(true)),
            Kind::Int | Kind::Float => {
                let value = float(plain.text());
                number(value)?;
                Value::plain(&float_text(value.unwrap_or_default()))
            }
            Kind::Time => Value::quoted(scalar::time(plain.text()).unwrap_or_else(|| plain.text().to_owned())),
        },
    })
}

/// A string as go-yaml v3 writes and reads it again.
fn string(text: &str) -> Result<Value, String> {
    if emit::breaks_block(text) {
        return Err("a text of several lines begins with a tab, which kustomize can't print; remove the tab".to_owned());
    }
    let bare = Value::plain(text);
    let plain = !text.is_empty()
        && !text.contains('\n')
        && matches!(bare, Value::Str(_))
        && !scalar::needs_quotes(text)
        && emit::may_be_plain(text);
    Ok(if plain { bare } else { Value::Str(Text::styled(text, emit::style_of(text))) })
}

/// A float in Go's shortest notation, with an exponent from a million on and below a ten-thousandth.
pub(super) fn float_text(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
