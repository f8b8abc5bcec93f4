//! Hashes of ConfigMaps and Secrets, which end their names.

use super::go_json;
use super::resource::Resource;
use super::value::{Map, Value};

/// Length of a hash, in characters.
const LENGTH: usize = 10;

/// The hash of what a ConfigMap or a Secret holds. The name is no part of it: kustomize looks for it where it isn't.
pub(super) fn content_hash(resource: &Resource) -> Result<String, String> {
    let (fields, optional): (&[&str], _) = match resource.kind() {
        "ConfigMap" => (&["data"], "binaryData"),
        "Secret" => (&["type", "data"], "stringData"),
        kind => {
            return Err(format!(
                "only ConfigMaps and Secrets get a hash, not a {kind}; leave its kind as it was generated, or generate \
                 it with `disableNameSuffixHash`"
            ));
        }
    };
    let mut content = Map::new();
    content.insert("kind", Value::str(resource.kind()));
    content.insert("name", Value::str(""));
    for field in fields {
        content.insert(*field, hashed(resource.value.get(field)));
    }
    let extra = resource.value.get(optional).filter(|value| !value.is_scalar());
    if let Some(extra) = extra {
        content.insert(optional, hashed(Some(extra)));
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, go_json::to_json(&Value::Map(content))?.as_bytes());
    let hexadecimal = digest.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok(hexadecimal.take(LENGTH).map(letter).collect())
}

/// What of a field goes into the hash: scalars as they are written, and nothing else than mappings beside them.
fn hashed(value: Option<&Value>) -> Value {
    match value {
        None => Value::str(""),
        Some(Value::Map(map)) => Value::Map(map.clone()),
        Some(Value::Seq(_)) => Value::null(),
        Some(scalar) => Value::str(scalar.text().unwrap_or_default()),
    }
}

/// A hexadecimal digit, with the letters and digits replaced that could make a word.
fn letter(digit: u8) -> char {
    match digit {
        0 => 'g',
        1 => 'h',
        3 => 'k',
        10 => 'm',
        14 => 't',
        digit => char::from_digit(digit.into(), 16).unwrap_or('g'),
    }
}
