//! What becomes of an object of a built-in kind between being read and being written: Go's structs forget which empty values
//! were set, always write others, and write scalars in one form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map as Members, Value};

use super::{Field, Format, Map, Scalar, Type, quantity};

/// A value that is not of its format: where, and the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// The type of the format, as `Quantity`.
    pub format: Format,
    /// The value.
    pub value: String,
}

/// Brings an object of a built-in kind into the form in which the server keeps it. `value` has no unknown fields.
///
/// # Errors
/// The first value that is not of its format.
pub fn normalize(of: Type<'_>, value: Value) -> Result<Value, FormatError> {
    match value {
        Value::Object(members) => match of.map() {
            Some(map) if !matches!(of.format(), Format::Json | Format::Raw) => {
                members_of(map, members).map(Value::Object)
            }
            _ => Ok(Value::Object(members)),
        },
        Value::Array(items) => match of.list() {
            Some(list) if !matches!(of.format(), Format::Json | Format::Raw) => {
                let items = items.into_iter().map(|item| match item {
                    // An item can't be absent: null is what was never set.
                    Value::Null => Ok(unset(list.items)),
                    item => normalize(list.items, item),
                });
                items.collect::<Result<_, _>>().map(Value::Array)
            }
            _ => Ok(Value::Array(items)),
        },
        scalar => scalar_of(of, scalar),
    }
}

fn members_of(map: Map<'_>, mut members: Members<String, Value>) -> Result<Members<String, Value>, FormatError> {
    let mut written = Members::new();
    for (name, field, of) in map.fields() {
        let sent = members.remove(name).filter(|value| !value.is_null());
        if let Some(value) = field_of(field, of, sent)? {
            written.insert(name.to_owned(), value);
        }
    }
    if let Some(of) = map.elements() {
        for (name, value) in members {
            let value = if value.is_null() { unset(of) } else { normalize(of, value)? };
            written.insert(name, value);
        }
    }
    Ok(written)
}

/// What is written of a field; `None`: it is left out.
fn field_of(field: &Field, of: Type<'_>, sent: Option<Value>) -> Result<Option<Value>, FormatError> {
    let by_value =
        matches!(field.default, Some(Value::Object(_))) && of.map().is_some_and(|map| map.elements().is_none());
    let Some(value) = sent else {
        return Ok(if by_value {
            Some(normalize(of, Value::Object(Members::new()))?)
        } else if field.required && !field.pointer {
            Some(unset(of))
        } else {
            None
        });
    };
    let value = normalize(of, value)?;
    let empty = match &value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty() && !by_value,
    };
    let kept = field.required
        || field.pointer
        || !empty
        || matches!(of.format(), Format::Json | Format::Raw | Format::Quantity | Format::IntOrString);
    Ok(kept.then_some(value))
}

/// What is written of a value that was never set.
fn unset(of: Type<'_>) -> Value {
    match (of.format(), of.scalar()) {
        (Format::IntOrString, _) => 0.into(),
        (Format::Quantity, _) => "0".into(),
        (Format::Time | Format::MicroTime | Format::Raw | Format::Json | Format::Bytes, _) => Value::Null,
        (_, Some(Scalar::Numeric)) => 0.into(),
        (_, Some(Scalar::Boolean)) => false.into(),
        (_, Some(Scalar::String)) => "".into(),
        _ => match of.map() {
            Some(map) if map.elements().is_none() => members_of(map, Members::new()).map_or(Value::Null, Value::Object),
            _ => Value::Null,
        },
    }
}

fn scalar_of(of: Type<'_>, value: Value) -> Result<Value, FormatError> {
    let format = of.format();
    let wrong = |value: &str| FormatError { format, value: value.to_owned() };
    Ok(match (format, &value) {
        (Format::Quantity, Value::String(text)) => quantity::canonical(text).ok_or_else(|| wrong(text))?.into(),
        (Format::Quantity, Value::Number(number)) => {
            quantity::canonical(&number.to_string()).ok_or_else(|| wrong(&number.to_string()))?.into()
        }
        (Format::Time, Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into(),
            Err(_) => return Err(wrong(text)),
        },
        (Format::MicroTime, Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into(),
            Err(_) => return Err(wrong(text)),
        },
        (Format::Bytes, Value::String(text)) => {
            // Line ends inside are skipped, as Go does.
            let text: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
            STANDARD.encode(STANDARD.decode(&text).map_err(|_| wrong(&text))?).into()
        }
        _ => value,
    })
}
