//! Objects as protocol buffers, as clients send them that know the server's own types: kubectl's `create` and `auth` are such. What
//! is read is the JSON that the same client would have sent; answers are JSON, which all of them take.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map as Members, Value, json};

use super::{Format, Map, Scalar, Schemas, Type};

/// What such a body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// How deep messages may stand in one another.
const MAX_DEPTH: usize = 64;
/// The numbers of fields; its first lines say how it is written.
const TABLE: &str = include_str!("numbers.txt");

/// What the fields of types are by their numbers.
static NUMBERS: LazyLock<HashMap<&str, HashMap<u64, &str>>> = LazyLock::new(|| {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let read = lines.map(|line| {
        let (name, fields) = line.split_once(' ').unwrap_or((line, ""));
        let fields = fields.split(' ').filter_map(|field| field.split_once('='));
        (name, fields.filter_map(|(name, number)| Some((number.parse().ok()?, name))).collect())
    });
    read.collect()
});

/// Reads a body. The error is a sentence for people.
pub fn from_protobuf(body: &[u8]) -> Result<Value, String> {
    let broken = || "the protocol buffer can't be read".to_owned();
    let envelope = body.strip_prefix(MAGIC).ok_or("provided data does not appear to be a protobuf message")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in fields(envelope).ok_or_else(broken)? {
        match (field.number, field.data) {
            (1, Data::Bytes(meta)) => {
                api_version = text(meta, 1).ok_or_else(broken)?;
                kind = text(meta, 2).ok_or_else(broken)?;
            }
            (2, Data::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let schemas = Schemas::builtin();
    // Options are of every group.
    let schema = schemas.of(group, version, &kind).or_else(|| schemas.named(&format!("meta.v1.{kind}")));
    let schema = schema.ok_or_else(|| format!("no kind {kind:?} is registered for version {api_version:?}"))?;
    let mut object = message(schema.root(), raw, MAX_DEPTH).ok_or_else(broken)?;
    if let Some(members) = object.as_object_mut() {
        members.insert("apiVersion".to_owned(), api_version.into());
        members.insert("kind".to_owned(), kind.into());
    }
    Ok(object)
}

/// A field of a message.
struct Wire<'b> {
    number: u64,
    data: Data<'b>,
}

enum Data<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// The fields of a message, as they stand; `None`: it is none.
fn fields(mut bytes: &[u8]) -> Option<Vec<Wire<'_>>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let data = match tag & 7 {
            0 => Data::Number(varint(&mut bytes)?),
            1 => Data::Number(u64::from_le_bytes(take(&mut bytes, 8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                Data::Bytes(take(&mut bytes, length)?)
            }
            5 => Data::Number(u32::from_le_bytes(take(&mut bytes, 4)?.try_into().ok()?).into()),
            _ => return None,
        };
        found.push(Wire { number: tag >> 3, data });
    }
    Some(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// The text of a field; empty if it is not there.
fn text(message: &[u8], number: u64) -> Option<String> {
    let found = fields(message)?.into_iter().find(|field| field.number == number);
    match found.map(|field| field.data) {
        Some(Data::Bytes(bytes)) => String::from_utf8(bytes.to_vec()).ok(),
        Some(Data::Number(_)) => None,
        None => Some(String::new()),
    }
}

/// The number of a field, which may be negative; 0 if it is not there.
fn number(message: &[u8], number: u64) -> Option<i64> {
    let found = fields(message)?.into_iter().find(|field| field.number == number);
    match found.map(|field| field.data) {
        Some(Data::Number(value)) => Some(value.cast_signed()),
        Some(Data::Bytes(_)) => None,
        None => Some(0),
    }
}

/// A struct.
fn message(of: Type<'_>, bytes: &[u8], depth: usize) -> Option<Value> {
    let mut members = Members::new();
    if let Some(map) = of.map() {
        fill(of.name(), map, bytes, &mut members, depth.checked_sub(1)?)?;
    }
    Some(Value::Object(members))
}

/// Reads the fields of a struct that is written as the message `name`.
fn fill(name: &str, of: Map<'_>, bytes: &[u8], members: &mut Members<String, Value>, depth: usize) -> Option<()> {
    let numbers = NUMBERS.get(name)?;
    for field in fields(bytes)? {
        let Some(known) = numbers.get(&field.number) else { continue };
        if let Some(inlined) = known.strip_prefix('+') {
            let Data::Bytes(bytes) = field.data else { return None };
            fill(inlined, of, bytes, members, depth.checked_sub(1)?)?;
            continue;
        }
        let Some((_, of)) = of.field(known) else { continue };
        // What may be anything has a list's type as well.
        let single = of.format().is_opaque() || of.format() == Format::IntOrString;
        if let Some(list) = of.list().filter(|_| !single) {
            let item = value(list.items, &field.data, depth)?;
            let items = members.entry(*known).or_insert_with(|| json!([]));
            items.as_array_mut()?.push(item);
        } else if let (Some(elements), false) = (of.map().and_then(Map::elements), single || of.is_struct()) {
            let Data::Bytes(entry) = field.data else { return None };
            let found = fields(entry)?.into_iter().find(|field| field.number == 2);
            let element = value(elements, &found.map_or(Data::Bytes(&[]), |field| field.data), depth)?;
            let map = members.entry(*known).or_insert_with(|| json!({}));
            map.as_object_mut()?.insert(text(entry, 1)?, element);
        } else {
            members.insert((*known).to_owned(), value(of, &field.data, depth)?);
        }
    }
    Some(())
}

fn value(of: Type<'_>, data: &Data<'_>, depth: usize) -> Option<Value> {
    match (data, of.format(), of.scalar()) {
        (Data::Number(number), _, Some(Scalar::Boolean)) => Some((*number != 0).into()),
        (Data::Number(number), Format::Int32 | Format::Int64, _) => Some(number.cast_signed().into()),
        (Data::Number(number), ..) => Some(f64::from_bits(*number).into()),
        (Data::Bytes(bytes), Format::Bytes, _) => Some(STANDARD.encode(bytes).into()),
        (Data::Bytes(bytes), Format::Time, _) => time(bytes, false),
        (Data::Bytes(bytes), Format::MicroTime, _) => time(bytes, true),
        (Data::Bytes(bytes), Format::Quantity, _) => text(bytes, 1).map(Value::String),
        (Data::Bytes(bytes), Format::IntOrString, _) => match number(bytes, 1)? {
            0 => number(bytes, 2).map(Value::from),
            _ => text(bytes, 3).map(Value::String),
        },
        (Data::Bytes(bytes), Format::Raw | Format::Json, _) => serde_json::from_str(&text(bytes, 1)?).ok(),
        (Data::Bytes(bytes), ..) if of.name() == "meta.v1.FieldsV1" => serde_json::from_str(&text(bytes, 1)?).ok(),
        (Data::Bytes(bytes), _, Some(_)) => String::from_utf8(bytes.to_vec()).ok().map(Value::String),
        (Data::Bytes(bytes), ..) => message(of, bytes, depth),
    }
}

/// A time; null if it is not set.
fn time(bytes: &[u8], micro: bool) -> Option<Value> {
    let (seconds, nanos) = (number(bytes, 1)?, number(bytes, 2)?);
    if (seconds, nanos) == (0, 0) {
        return Some(Value::Null);
    }
    let time = Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok()?;
    let format = if micro { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    Some(time.strftime(format).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field with bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw), field(3, b""), field(4, b"")].concat()
    }

    #[test]
    fn objects_are_read() {
        let data = [field(1, b"a"), field(2, b"1")].concat();
        let metadata = [field(1, b"web"), field(8, b"")].concat();
        let body = envelope("v1", "ConfigMap", &[field(1, &metadata), field(2, &data)].concat());
        let read = from_protobuf(&body).unwrap();
        let metadata = json!({"name": "web", "creationTimestamp": null});
        let expected = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}});
        assert_eq!(read, expected);
        assert!(from_protobuf(body.get(..body.len() - 9).unwrap()).is_err());
        assert!(from_protobuf(b"{}").is_err());
    }

    #[test]
    fn what_may_be_a_number_or_a_text_is_read_as_either() {
        for (told, expected) in [
            ([vec![1 << 3, 0, 2 << 3, 7], field(3, b"")].concat(), json!(7)),
            ([vec![1 << 3, 1, 2 << 3, 0], field(3, b"http")].concat(), json!("http")),
        ] {
            let spec = field(1, &field(4, &told));
            let read = from_protobuf(&envelope("v1", "Service", &field(2, &spec))).unwrap();
            assert_eq!(read["spec"]["ports"], json!([{"targetPort": expected}]));
        }
    }

    #[test]
    fn what_json_has_inlined_is_read_from_its_own_message() {
        let source = field(2, &field(1, b"Memory"));
        let volume = [field(1, b"cache"), field(2, &source)].concat();
        let port = [vec![3 << 3, 80], field(4, b"TCP")].concat();
        let spec = [field(1, &volume), field(2, &field(6, &port))].concat();
        let read = from_protobuf(&envelope("v1", "Pod", &field(2, &spec))).unwrap();
        assert_eq!(read["spec"]["volumes"], json!([{"name": "cache", "emptyDir": {"medium": "Memory"}}]));
        assert_eq!(read["spec"]["containers"], json!([{"ports": [{"containerPort": 80, "protocol": "TCP"}]}]));
    }

    #[test]
    fn every_kind_that_is_served_has_numbers() {
        for (group, version, kind) in Schemas::builtin().kinds() {
            let schema = Schemas::builtin().of(group, version, kind).unwrap();
            let name = schema.root().name();
            assert!(NUMBERS.contains_key(name), "{group}/{version} {kind}: {name}");
        }
    }
}
