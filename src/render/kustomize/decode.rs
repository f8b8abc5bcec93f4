//! Values to typed settings, as Go's JSON decoder fills a struct: names of fields in any case, null for what is left
//! out, no conversion between types.

use std::collections::BTreeMap;

use super::error::{KustomizeError, join_field};
use super::value::{Kind, Map, Value};

/// What can be decoded from a value.
pub trait Decode: Sized {
    /// Decodes a value that is not null.
    fn decode(value: &Value) -> Result<Self, DecodeError>;
}

/// Why a value can't be decoded, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    field: String,
    reason: String,
}

impl DecodeError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { field: String::new(), reason: reason.into() }
    }

    pub(super) fn expected(what: &str, found: &Value) -> Self {
        Self::new(format!("{what} is needed, and {} is given", found.describe()))
    }

    pub(super) fn below(mut self, field: &str) -> Self {
        self.field = join_field(field, &self.field);
        self
    }
}

impl From<DecodeError> for KustomizeError {
    fn from(error: DecodeError) -> Self {
        Self { field: error.field, ..Self::new(error.reason) }
    }
}

impl Decode for String {
    fn decode(value: &Value) -> Result<Self, DecodeError> {
        match value {
            Value::Str(text) => Ok(text.to_string()),
            Value::Plain(plain) if plain.kind() == Kind::Time => Ok(plain.text().to_owned()),
            Value::Plain(_) => {
                let error = DecodeError::expected("a string", value);
                Err(DecodeError { reason: format!("{}; write it with quotes", error.reason), ..error })
            }
            other => Err(DecodeError::expected("a string", other)),
        }
    }
}

impl Decode for bool {
    fn decode(value: &Value) -> Result<Self, DecodeError> {
        value.as_bool().ok_or_else(|| DecodeError::expected("`true` or `false`", value))
    }
}

impl Decode for i64 {
    fn decode(value: &Value) -> Result<Self, DecodeError> {
        let number = match value {
            Value::Plain(plain) if matches!(plain.kind(), Kind::Int | Kind::Float) => {
                super::scalar::print_number(plain.text())
            }
            _ => None,
        };
        number.and_then(|text| text.parse().ok()).ok_or_else(|| DecodeError::expected("a whole number", value))
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(value: &Value) -> Result<Self, DecodeError> {
        T::decode(value).map(Some)
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(value: &Value) -> Result<Self, DecodeError> {
        T::decode(value).map(Self::new)
    }
}

impl<T: Decode + Default> Decode for Vec<T> {
    fn decode(value: &Value) -> Result<Self, DecodeError> {
        let items = value.as_seq().ok_or_else(|| DecodeError::expected("a list", value))?;
        let decode = |(index, item): (usize, &Value)| {
            if item.is_null() {
                return Ok(T::default());
            }
            T::decode(item).map_err(|error| error.below(&format!("[{index}]")))
        };
        items.iter().enumerate().map(decode).collect()
    }
}

impl Decode for BTreeMap<String, String> {
    fn decode(value: &Value) -> Result<Self, DecodeError> {
        let map = value.as_map().ok_or_else(|| DecodeError::expected("a mapping", value))?;
        let decode = |(key, value): (&str, &Value)| {
            let text = if value.is_null() { String::new() } else { String::decode(value).map_err(|e| e.below(key))? };
            Ok((key.to_owned(), text))
        };
        map.iter().map(decode).collect()
    }
}

impl Decode for Value {
    fn decode(value: &Value) -> Result<Self, DecodeError> {
        Ok(value.clone())
    }
}

impl Decode for Map {
    fn decode(value: &Value) -> Result<Self, DecodeError> {
        value.as_map().cloned().ok_or_else(|| DecodeError::expected("a mapping", value))
    }
}

/// The entries of a mapping in the order in which Go's decoder sees them, without those that are null.
pub(super) fn entries(value: &Value) -> Result<Vec<(&str, &Value)>, DecodeError> {
    let map = value.as_map().ok_or_else(|| DecodeError::expected("a mapping", value))?;
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    Ok(entries)
}

/// Declares a struct that is decoded from a mapping. Unknown fields are errors.
macro_rules! settings {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* $key:literal => $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl $crate::render::kustomize::decode::Decode for $name {
            fn decode(value: &$crate::render::kustomize::value::Value)
                -> Result<Self, $crate::render::kustomize::decode::DecodeError> {
                let mut settings = Self::default();
                for (key, value) in $crate::render::kustomize::decode::entries(value)? {
                    match Self::field(key) {
                        $(Some($key) => if !value.is_null() {
                            let decoded = <$type as $crate::render::kustomize::decode::Decode>::decode(value);
                            settings.$field = decoded.map_err(|error| error.below(key))?;
                        },)*
                        _ => return Err($crate::render::kustomize::decode::DecodeError::new(format!(
                            "the field {key:?} is unknown; remove it or correct its name"
                        ))),
                    }
                }
                Ok(settings)
            }
        }

        impl $name {
            /// The field that `key` names in any case.
            fn field(key: &str) -> Option<&'static str> {
                const FIELDS: &[&str] = &[$($key),*];
                FIELDS.iter().find(|field| **field == key)
                    .or_else(|| FIELDS.iter().find(|field| field.eq_ignore_ascii_case(key)))
                    .copied()
            }
        }
    };
}
pub(super) use settings;
