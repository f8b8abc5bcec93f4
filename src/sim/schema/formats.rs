//! Whether texts are of their format, which a type that only merges does not look at.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::{Format, Type, quantity};

/// A value that is not of its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// The format.
    pub format: Format,
    /// The value.
    pub value: String,
}

/// Finds the first value that is not of its format.
///
/// # Errors
/// That value.
pub fn check_formats(of: Type<'_>, value: &Value) -> Result<(), FormatError> {
    match (of.format(), value) {
        (Format::Json | Format::Raw, _) => Ok(()),
        (format, Value::String(text)) => {
            let fits = match format {
                Format::Quantity => quantity::canonical(text).is_some(),
                Format::Time | Format::MicroTime => text.is_empty() || text.parse::<Timestamp>().is_ok(),
                // Line ends inside are skipped, as Go does.
                Format::Bytes => STANDARD.decode(text.replace(['\n', '\r'], "")).is_ok(),
                _ => true,
            };
            if fits { Ok(()) } else { Err(FormatError { format, value: text.clone() }) }
        }
        (_, Value::Array(items)) => match of.list() {
            Some(list) => items.iter().try_for_each(|item| check_formats(list.items, item)),
            None => Ok(()),
        },
        (_, Value::Object(members)) => members.iter().try_for_each(|(name, value)| match of.member(name) {
            Some(of) => check_formats(of, value),
            None => Ok(()),
        }),
        _ => Ok(()),
    }
}
