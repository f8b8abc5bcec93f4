//! Values from and to JSON.

use serde_json::{Map as JsonMap, Number, Value as Json};

use super::scalar;
use super::value::{Kind, Map, Plain, Value};
use super::write::WriteError;

/// The value that `json` is.
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::null(),
        Json::Bool(value) => Value::bool(*value),
        Json::Number(number) => {
            let kind = if number.is_i64() || number.is_u64() { Kind::Int } else { Kind::Float };
            Value::Plain(Plain::new(&number.to_string(), kind))
        }
        Json::String(text) => Value::str(text.clone()),
        Json::Array(items) => Value::Seq(items.iter().map(from_json).collect()),
        Json::Object(map) => {
            Value::Map(map.iter().map(|(key, value)| (key.clone(), from_json(value))).collect::<Map>())
        }
    }
}

/// What a parser reads from the printed `value`.
pub fn to_json(value: &Value) -> Result<Json, WriteError> {
    Ok(match value {
        Value::Str(text) => Json::String(text.to_string()),
        Value::Seq(items) => {
            let items = items.iter().enumerate();
            let items = items.map(|(index, item)| to_json(item).map_err(|error| error.below(&format!("[{index}]"))));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Map(map) => {
            let entries =
                map.iter().map(|(key, value)| Ok((key.to_owned(), to_json(value).map_err(|e| e.below(key))?)));
            Json::Object(entries.collect::<Result<JsonMap<_, _>, WriteError>>()?)
        }
        Value::Plain(plain) => match plain.kind() {
            Kind::Null => Json::Null,
            Kind::Empty => Json::String(String::new()),
            Kind::Bool => Json::Bool(plain.text().starts_with(['t', 'T'])),
            Kind::Time => Json::String(scalar::time(plain.text()).unwrap_or_else(|| plain.text().to_owned())),
            Kind::Int | Kind::Float => {
                let number = scalar::print_number(plain.text()).and_then(|text| text.parse::<Number>().ok());
                Json::Number(number.ok_or_else(WriteError::not_finite)?)
            }
        },
    })
}
