//! Bodies of requests: read by the type of the kind, so that unknown and repeated fields are found in the order in which they
//! stand, and are not kept.

use std::cell::RefCell;
use std::fmt;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::request::FieldValidation;
use super::resources::Resource;
use super::status::Status;
use crate::sim::schema::{
    Format, FormatError, Scalar, Schema, Schemas, Type, check_formats, from_protobuf, normalize, time_error,
};

/// Largest body, in bytes, as the real server has it.
pub const MAX_BODY: usize = 3_145_728;
/// What is said of a body in a form that is not read.
const UNKNOWN_FORMAT: &str = "the body of the request was in an unknown format - accepted media types include: \
    application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// An object from a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The object, without what its type does not have.
    pub object: Value,
    /// What was wrong with it, in the order in which it stood.
    pub problems: Vec<String>,
}

impl Decoded {
    /// The object and the warnings, if that is what is wanted of problems.
    pub fn checked(self, validation: FieldValidation, resource: &Resource) -> Result<(Value, Vec<String>), Status> {
        match validation {
            FieldValidation::Ignore => Ok((self.object, Vec::new())),
            FieldValidation::Strict if !self.problems.is_empty() => {
                Err(unfit(resource, &format!("strict decoding error: {}", self.problems.join(", "))))
            }
            _ => Ok((self.object, self.problems)),
        }
    }
}

/// A body as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The JSON.
    pub json: Vec<u8>,
    /// What was wrong with the YAML that it was: the key that is there twice.
    pub problem: Option<String>,
}

/// The body of a request for an object of a resource; YAML is turned into JSON.
pub fn body(headers: &HeaderMap, body: &[u8], resource: &Resource) -> Result<Body, Status> {
    match json_body(headers, body)? {
        Some(json) => Ok(Body { json, problem: None }),
        None => {
            let value = yaml(body).map_err(|why| unknown(resource, &why, body))?;
            // A JSON value can always be written.
            Ok(Body { json: serde_json::to_vec(&value).unwrap_or_default(), problem: repeated_key(body) })
        }
    }
}

/// The body as JSON; `None`: it is YAML.
fn json_body(headers: &HeaderMap, body: &[u8]) -> Result<Option<Vec<u8>>, Status> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("application/json");
    match content_type.split(';').next().unwrap_or_default().trim() {
        "" | "application/json" => Ok(Some(body.to_vec())),
        "application/yaml" => Ok(None),
        "application/vnd.kubernetes.protobuf" => {
            let value = from_protobuf(body).map_err(Status::bad_request)?;
            // A JSON value can always be written.
            Ok(Some(serde_json::to_vec(&value).unwrap_or_default()))
        }
        _ => Err(Status::unsupported_media_type(UNKNOWN_FORMAT)),
    }
}

/// The options that a body holds.
pub fn options(headers: &HeaderMap, body: &[u8], schema: Option<&Schema>, kind: &str) -> Result<Value, Status> {
    let json = match json_body(headers, body)? {
        Some(json) => json,
        None => serde_json::to_vec(&yaml(body).map_err(Status::bad_request)?).unwrap_or_default(),
    };
    typed(&json, schema, kind).map_err(Status::bad_request)
}

/// Reads YAML. Of a key that is there twice the last one counts.
pub fn yaml(body: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    yaml_with(text, serde_saphyr::DuplicateKeyPolicy::LastWins).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        let why = error.to_string();
        let why = match why.split(" at line ").next().unwrap_or_default() {
            // The words of the library that the server reads YAML with.
            "unclosed bracket '['" => "did not find expected ',' or ']'",
            "unclosed bracket '{'" => "did not find expected ',' or '}'",
            other => other,
        };
        format!("yaml: line {line}: {why}")
    })
}

fn yaml_with(text: &str, policy: serde_saphyr::DuplicateKeyPolicy) -> Result<Value, serde_saphyr::Error> {
    let mut options = serde_saphyr::Options::default();
    options.duplicate_keys = policy;
    options.with_snippet = false;
    serde_saphyr::from_str_with_options(text, options)
}

/// The first key that is there twice, as the server tells it.
fn repeated_key(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let error = yaml_with(text, serde_saphyr::DuplicateKeyPolicy::Error).err()?;
    let line = error.location()?.line();
    let key = match &error {
        serde_saphyr::Error::DuplicateMappingKey { key, .. } => key.clone()?,
        _ => return None,
    };
    Some(format!("yaml: unmarshal errors:\n  line {line}: key {key:?} already set in map"))
}

/// Reads an object of a resource. `schema` is `None` where nothing is known of its type.
pub fn object(body: &[u8], resource: &Resource, schema: Option<&Schema>) -> Result<Decoded, Status> {
    if body.len() > MAX_BODY {
        return Err(Status::too_large(format!("Request entity too large: limit is {MAX_BODY}")));
    }
    let problems = RefCell::new(Vec::new());
    let mut object = read(body, schema, &resource.kind, &problems).map_err(|mistake| match mistake {
        Mistake::Kindless(why) => unrecognized(resource, &why, body),
        Mistake::Type(why) => unfit(resource, &why),
    })?;
    if let Some(schema) = schema {
        check_formats(schema.root(), &object).map_err(|error| unfit(resource, &misformed(&error)))?;
        normalize(schema.root(), &mut object);
    }
    Ok(Decoded { object, problems: problems.into_inner() })
}

/// Reads what is no object of a resource, by its type. The error is the server's sentence.
fn typed(body: &[u8], schema: Option<&Schema>, kind: &str) -> Result<Value, String> {
    read(body, schema, kind, &RefCell::new(Vec::new())).map_err(|mistake| match mistake {
        Mistake::Kindless(why) => format!("couldn't get version/kind; json parse error: {why}"),
        Mistake::Type(why) => why,
    })
}

/// Version and kind that JSON says it is of; `None`: it does not say.
pub fn kind(body: &[u8]) -> Option<(String, String)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Meta {
        api_version: String,
        kind: String,
    }
    let meta: Meta = serde_json::from_slice(body).ok()?;
    Some((meta.api_version, meta.kind))
}

/// Why JSON is not read.
enum Mistake {
    /// Its kind can't be found out.
    Kindless(String),
    /// It does not fit its type.
    Type(String),
}

fn read(body: &[u8], schema: Option<&Schema>, kind: &str, problems: &RefCell<Vec<String>>) -> Result<Value, Mistake> {
    /// What the server looks for first, as Go writes its type.
    const META: &str =
        r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
    if body.trim_ascii_start().first() != Some(&b'{')
        && let Ok(value) = serde_json::from_slice::<Value>(body)
    {
        return match value {
            Value::Null => Ok(Value::Object(Map::new())),
            other => {
                Err(Mistake::Kindless(format!("json: cannot unmarshal {} into Go value of type {META}", noun(&other))))
            }
        };
    }
    let node = Node { of: schema.map(Schema::root), path: "", prefix: "", inside: kind, problems };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = node.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| match error.to_string().strip_prefix("json: ") {
        Some(mistake) => {
            // Where it stood is no part of the server's sentence.
            Mistake::Type(format!("json: {}", mistake.split(" at line ").next().unwrap_or_default()))
        }
        None => Mistake::Kindless(syntax(&error)),
    })
}

/// What Go says of a value that is not of its format.
pub fn misformed(error: &FormatError) -> String {
    let value = &error.value;
    match error.format {
        Format::Quantity => {
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".to_owned()
        }
        Format::Bytes => {
            let good = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
            let length = value.chars().take_while(good).count();
            // What ends too early is told by where its last four letters begin.
            let at = if length == value.len() { length / 4 * 4 } else { length };
            format!("illegal base64 data at input byte {at}")
        }
        format => time_error(value, format == Format::MicroTime).unwrap_or_default(),
    }
}

fn syntax(error: &serde_json::Error) -> String {
    if error.is_eof() { "unexpected end of JSON input".to_owned() } else { error.to_string() }
}

/// What is said of an object that is none of the resource's kind.
pub fn unfit(resource: &Resource, why: &str) -> Status {
    let Resource { kind, version, .. } = resource;
    Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
}

fn unrecognized(resource: &Resource, why: &str, body: &[u8]) -> Status {
    unknown(resource, &format!("couldn't get version/kind; json parse error: {why}"), body)
}

/// What is said of an object that lacks what tells its kind.
pub fn missing(resource: &Resource, member: &str, body: &[u8]) -> Status {
    let text = String::from_utf8_lossy(body);
    unknown(resource, &format!("Object '{member}' is missing in '{text}'"), body)
}

fn unknown(resource: &Resource, why: &str, body: &[u8]) -> Status {
    /// Bytes of a body that are shown.
    const SHOWN: usize = 30;
    let (shown, more) = body.split_at(SHOWN.min(body.len()));
    let told = match shown {
        [] => "<empty>".to_owned(),
        [b'{', ..] => String::from_utf8_lossy(shown).into_owned(),
        shown => shown.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let more = if more.is_empty() { "" } else { " ..." };
    let kind = &resource.kind;
    Status::bad_request(format!("the object provided is unrecognized (must be of type {kind}): {why} ({told}{more})"))
}

/// What is unknown in the metadata of an object that has no other type, as `unknown field "metadata.colour"`. `parent` is the
/// path of the object, with a dot at its end.
///
/// # Errors
/// What Go says of metadata that it can't read.
pub fn metadata(object: &Value, parent: &str) -> Result<Vec<String>, String> {
    let (Some(metadata), Some(schema)) = (object.get("metadata"), Schemas::builtin().named("meta.v1.ObjectMeta"))
    else {
        return Ok(Vec::new());
    };
    if metadata.is_null() {
        return Ok(Vec::new());
    }
    let problems = RefCell::new(Vec::new());
    let prefix = format!("{parent}metadata.");
    let node = Node { of: Some(schema.root()), path: "", prefix: &prefix, inside: "ObjectMeta", problems: &problems };
    let read = node.deserialize(metadata).map_err(|error: serde_json::Error| error.to_string())?;
    check_formats(schema.root(), &read).map_err(|error| misformed(&error))?;
    Ok(problems.into_inner())
}

/// What Go calls a JSON value.
pub fn noun(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// One value, read by its type.
#[derive(Clone, Copy)]
struct Node<'a, 't> {
    /// `None`: anything goes.
    of: Option<Type<'t>>,
    path: &'a str,
    /// What stands in front of the path where problems are told.
    prefix: &'a str,
    /// The struct that it is a field of, for the errors.
    inside: &'a str,
    problems: &'a RefCell<Vec<String>>,
}

impl<'t> Node<'_, 't> {
    fn told(&self, problem: &str, name: &str) {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.problems.borrow_mut().push(format!("{problem} field \"{}{}{dot}{name}\"", self.prefix, self.path));
    }

    fn wrong<E: Error>(&self, what: &str) -> E {
        let path: String =
            self.path.split('.').map(|part| part.split('[').next().unwrap_or_default()).collect::<Vec<_>>().join(".");
        E::custom(format!(
            "json: cannot unmarshal {what} into Go struct field {}.{path} of type {}",
            self.inside,
            self.go_type()
        ))
    }

    fn go_type(&self) -> String {
        let Some(of) = self.of else { return "interface {}".to_owned() };
        go_type(of)
    }

    fn takes(&self, scalar: Scalar) -> bool {
        let Some(of) = self.of else { return true };
        let raw = matches!(of.format(), Format::Json | Format::Raw | Format::Quantity | Format::IntOrString);
        raw || of.scalar().is_some_and(|known| known == scalar || known == Scalar::Untyped)
    }
}

fn go_type(of: Type<'_>) -> String {
    match (of.format(), of.scalar(), of.list(), of.map()) {
        (Format::Int32, ..) => "int32".to_owned(),
        (Format::Int64, ..) => "int64".to_owned(),
        (_, Some(Scalar::Boolean), ..) => "bool".to_owned(),
        (_, Some(Scalar::String), ..) => "string".to_owned(),
        (_, Some(_), ..) => "int32".to_owned(),
        (_, None, Some(list), _) => format!("[]{}", go_type(list.items)),
        (_, None, None, Some(map)) => match map.elements() {
            Some(elements) => format!("map[string]{}", go_type(elements)),
            // The package's version and the type, as Go writes it.
            None => {
                let parts: Vec<&str> = of.name().rsplit('.').take(2).collect();
                parts.into_iter().rev().collect::<Vec<_>>().join(".")
            }
        },
        (_, None, None, None) => "interface {}".to_owned(),
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        if self.takes(Scalar::Boolean) { Ok(value.into()) } else { Err(self.wrong("bool")) }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        if self.takes(Scalar::Numeric) { Ok(value.into()) } else { Err(self.wrong("number")) }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        if self.takes(Scalar::Numeric) { Ok(value.into()) } else { Err(self.wrong("number")) }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let whole = self.of.is_some_and(|of| matches!(of.format(), Format::Int32 | Format::Int64));
        if whole || !self.takes(Scalar::Numeric) {
            return Err(self.wrong(&format!("number {value}")));
        }
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        if self.takes(Scalar::String) { Ok(value.into()) } else { Err(self.wrong("string")) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let of = match self.of {
            None => None,
            Some(of) => Some(of.list().ok_or_else(|| self.wrong("array"))?.items),
        };
        let mut list = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, list.len());
            let node = Node { of, path: &path, ..self };
            match items.next_element_seed(node)? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let map = match self.of {
            None => None,
            Some(of) => Some(of.map().ok_or_else(|| self.wrong("object"))?),
        };
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let of = match map.map(|map| map.member(&name)) {
                Some(None) => {
                    self.told("unknown", &name);
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
                found => found.flatten(),
            };
            if object.contains_key(&name) {
                self.told("duplicate", &name);
            }
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            // A map's values are told by the map: its keys are no fields.
            let keyed = map.is_some_and(|map| map.field(&name).is_none());
            let struct_name = self.of.map(Type::name).unwrap_or_default();
            let inside =
                struct_name.rsplit('.').next().filter(|name| !name.is_empty() && !keyed).unwrap_or(self.inside);
            let node = Node { of, path: if keyed { self.path } else { &path }, inside, ..self };
            let value = members.next_value_seed(node)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}
