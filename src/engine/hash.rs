//! Content hashes and the canonical form they are taken of.
//!
//! The canonical form of a JSON value is its text with object keys sorted by bytes and no insignificant white space
//! (DESIGN section 4). [`canonical`] writes it; hashing it gives the same result for every spelling of one value.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The first 128 bits of a BLAKE3 hash. Displays as 32 hexadecimal digits; stored as 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 16]);

impl Hash {
    /// Hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::cut(blake3::hash(bytes))
    }

    /// Keyed hash of `bytes`: for what is taken of a Secret, whose short values could be guessed from a plain hash.
    pub fn keyed(key: &HashKey, bytes: &[u8]) -> Self {
        Self::cut(blake3::keyed_hash(&key.0, bytes))
    }

    /// A hash from its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0u8; 16];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    pub(crate) fn cut(full: blake3::Hash) -> Self {
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&full.as_bytes()[..16]);
        Self(bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::ByteArray::<16>::deserialize(deserializer).map(|bytes| Self(bytes.into_array()))
    }
}

/// The key of the keyed hashes: 32 random bytes in a Secret of the agent's namespace, shared by its replicas. Neither
/// printed nor stored.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey(pub [u8; 32]);

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(..)")
    }
}

/// Appends the canonical form of `value` to `out`.
pub fn canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            // serde_json's map is ordered by key unless a crate in the graph turns on `preserve_order`; sorting here
            // keeps the form independent of that.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by(|a, b| a.0.cmp(b.0));
            out.push(b'{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                scalar(&Value::String(key.clone()), out);
                out.push(b':');
                canonical(value, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                canonical(item, out);
            }
            out.push(b']');
        }
        Value::Number(number) => match number.as_f64() {
            // Go writes an integral float without a fraction; both spellings mean one number to the API server.
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                scalar(&Value::from(float as i64), out);
            }
            _ => scalar(value, out),
        },
        _ => scalar(value, out),
    }
}

fn scalar(value: &Value, out: &mut Vec<u8>) {
    // Writing a scalar into a vector has no way to fail.
    let _ = serde_json::to_writer(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn canonical_form_is_sorted_and_dense() {
        let mut out = Vec::new();
        canonical(&json!({"b": [1, 2.0, "x\n"], "a": {"d": null, "c": true}}), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":{"c":true,"d":null},"b":[1,2,"x\n"]}"#);
    }

    #[test]
    fn hashes_survive_their_text_form() {
        let hash = Hash::of(b"x");
        assert_eq!(Hash::parse(&hash.to_string()), Some(hash));
        assert_eq!(Hash::parse("12"), None);
        assert_ne!(Hash::keyed(&HashKey([1; 32]), b"x"), hash);
    }

    #[test]
    fn hashes_are_sixteen_bytes_in_cbor() {
        let mut out = Vec::new();
        ciborium::into_writer(&Hash::of(b"x"), &mut out).unwrap();
        assert_eq!(out.len(), 17);
        assert_eq!(ciborium::from_reader::<Hash, _>(&out[..]).unwrap(), Hash::of(b"x"));
    }
}
