//! How the server writes scalars.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::sim::schema::{Format, Scalar, Type, quantity};

/// A scalar before it is set.
pub(super) fn zero(of: Type<'_>) -> Value {
    match (of.format(), of.scalar()) {
        (Format::Quantity, _) => "0".into(),
        (Format::IntOrString, _) | (_, Some(Scalar::Numeric)) => 0.into(),
        (Format::Bytes, _) => Value::Null,
        (_, Some(Scalar::Boolean)) => false.into(),
        (_, Some(Scalar::String)) => "".into(),
        (_, Some(Scalar::Untyped) | None) => Value::Null,
    }
}

/// Writes a scalar as the server would; what it would refuse stays.
pub(super) fn normal(format: Format, value: &mut Value) {
    let written = match (format, &*value) {
        (Format::Quantity, Value::String(text)) => quantity::canonical(text).map(Value::String),
        (Format::Quantity, Value::Number(number)) => quantity::canonical(&number.to_string()).map(Value::String),
        (Format::Time, Value::String(text)) => time(text, 0).map(Value::String),
        (Format::MicroTime, Value::String(text)) => time(text, 6).map(Value::String),
        (Format::Bytes, Value::String(text)) => bytes(text).map(Value::String),
        _ => None,
    };
    if let Some(written) = written {
        *value = written;
    }
}

/// In UTC, with that many digits of the second.
fn time(text: &str, digits: usize) -> Option<String> {
    let time: jiff::Timestamp = text.parse().ok()?;
    let written = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    Some(if digits == 0 { format!("{written}Z") } else { format!("{written}.{:06}Z", time.subsec_microsecond()) })
}

/// Without the line breaks that base64 may have.
fn bytes(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    Some(STANDARD.encode(STANDARD.decode(text).ok()?))
}

#[test]
fn times_are_written_with_all_their_digits() {
    for (text, digits, written) in [
        ("2026-11-24T01:50:54.130653Z", 6, "2026-11-24T01:50:54.130653Z"),
        ("2026-11-24T02:50:54.000100+01:00", 6, "2026-11-24T01:50:54.000100Z"),
        ("2026-11-24T01:50:54.9Z", 0, "2026-11-24T01:50:54Z"),
    ] {
        assert_eq!(time(text, digits).as_deref(), Some(written));
    }
}
