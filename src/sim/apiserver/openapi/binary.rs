//! The types of the document of OpenAPI v2 in its binary form, which kubectl asks for when the documents of v3 don't know a kind:
//! the message `openapi.v2.Document` of gnostic, without paths.

use serde_json::Value;

use super::{TITLE, VERSION};

/// What this form is called.
pub(super) const TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// What clients ask for, too, though it is no valid name.
pub(super) const OLD_TYPE: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// The document in JSON, of which its `definitions` are told.
pub(super) fn document(json: &Value) -> Vec<u8> {
    let mut info = Message::default();
    info.text(1, TITLE).text(2, VERSION);
    let mut document = Message::default();
    document.text(1, "2.0").message(2, &info).message(9, &named(json.get("definitions")));
    document.0
}

/// A message of the wire format: fields, each with its number.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            // The lowest seven bits, and that more follow.
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn integer(&mut self, field: u64, value: u64) -> &mut Self {
        self.number(field << 3);
        self.number(value);
        self
    }

    fn double(&mut self, field: u64, value: f64) -> &mut Self {
        self.number(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.number(field << 3 | 2);
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn text(&mut self, field: u64, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(&mut self, field: u64, message: &Self) -> &mut Self {
        self.bytes(field, &message.0)
    }
}

/// Schemas by name: `Definitions` and `Properties` are the same on the wire.
fn named(schemas: Option<&Value>) -> Message {
    let mut all = Message::default();
    for (name, of) in schemas.and_then(Value::as_object).into_iter().flatten() {
        let mut entry = Message::default();
        entry.text(1, name).message(2, &schema(of));
        all.message(1, &entry);
    }
    all
}

/// Any value, as YAML, of which JSON is a part.
fn any(value: &Value) -> Message {
    let mut any = Message::default();
    any.text(2, &format!("{value}\n"));
    any
}

fn schema(of: &Value) -> Message {
    let mut told = Message::default();
    for (name, value) in of.as_object().into_iter().flatten() {
        let items = value.as_array().into_iter().flatten();
        let mut inner = Message::default();
        match (name.as_str(), value) {
            ("$ref", Value::String(text)) => told.text(1, text),
            ("format", Value::String(text)) => told.text(2, text),
            ("title", Value::String(text)) => told.text(3, text),
            ("description", Value::String(text)) => told.text(4, text),
            ("pattern", Value::String(text)) => told.text(13, text),
            ("multipleOf" | "maximum" | "minimum", Value::Number(number)) => {
                let field = match name.as_str() {
                    "multipleOf" => 6,
                    "maximum" => 7,
                    _ => 9,
                };
                told.double(field, number.as_f64().unwrap_or_default())
            }
            ("exclusiveMaximum", Value::Bool(yes)) => told.integer(8, (*yes).into()),
            ("exclusiveMinimum", Value::Bool(yes)) => told.integer(10, (*yes).into()),
            ("uniqueItems", Value::Bool(yes)) => told.integer(16, (*yes).into()),
            (_, Value::Number(number)) if limit(name).is_some() => {
                told.integer(limit(name).unwrap_or_default(), number.as_u64().unwrap_or_default())
            }
            ("required", Value::Array(_)) => {
                items.filter_map(Value::as_str).for_each(|text| {
                    told.text(19, text);
                });
                continue;
            }
            ("enum", Value::Array(_)) => {
                items.for_each(|item| {
                    told.message(20, &any(item));
                });
                continue;
            }
            ("additionalProperties", Value::Bool(yes)) => {
                inner.integer(2, (*yes).into());
                told.message(21, &inner)
            }
            ("additionalProperties", _) => told.message(21, inner.message(1, &schema(value))),
            ("type", Value::String(text)) => told.message(22, inner.text(1, text)),
            ("items", _) => told.message(23, inner.message(1, &schema(value))),
            ("properties", _) => told.message(25, &named(Some(value))),
            (extension, _) if extension.starts_with("x-") => {
                told.message(31, inner.text(1, extension).message(2, &any(value)))
            }
            _ => continue,
        };
    }
    told
}

/// The number of a field that is a whole number.
fn limit(name: &str) -> Option<u64> {
    let fields = [
        ("maxLength", 11),
        ("minLength", 12),
        ("maxItems", 14),
        ("minItems", 15),
        ("maxProperties", 17),
        ("minProperties", 18),
    ];
    fields.into_iter().find(|(known, _)| *known == name).map(|(_, field)| field)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_stand_behind_their_number_and_length() {
        let mut message = Message::default();
        message.text(1, "2.0").integer(8, 300).double(7, 1.0);
        assert_eq!(message.0, [10, 3, b'2', b'.', b'0', 64, 0xac, 2, 57, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        let told = schema(&json!({"type": "object", "required": ["b"]}));
        assert_eq!(told.0, [0x9a, 1, 1, b'b', 0xb2, 1, 8, 10, 6, b'o', b'b', b'j', b'e', b'c', b't']);
    }
}
