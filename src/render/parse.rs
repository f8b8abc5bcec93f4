//! YAML and JSON to values, as `sigs.k8s.io/yaml` (kubectl, Argo CD) reads them, within budgets.
//!
//! Booleans and octal numbers are those of YAML 1.1, and merge keys are followed. Stricter than Go: a key that is written
//! twice is an error. No error quotes the text: it may be a Secret's.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::granit_parser::ErrorKind;
use serde_saphyr::localizer::ExternalMessageSource;
use serde_saphyr::{DuplicateKeyPolicy, Error, MergeKeyPolicy, Options};

/// How deep values nest. The deepest schemas of CustomResourceDefinitions in use stay below half of it.
pub(super) const MAX_NESTING: usize = 100;
/// How many values one document has, aliases expanded.
pub(super) const MAX_VALUES: usize = 500_000;
/// How much text the keys and strings of one document have, aliases expanded, in bytes.
pub(super) const MAX_TEXT: usize = 32 << 20;
/// How many values of one document come out of aliases.
pub(super) const MAX_ALIASED: usize = 100_000;

/// Why a text can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParseError {
    /// Line and column in the text, counted from 1, where they are known.
    pub(super) position: Option<(u32, u32)>,
    /// What is wrong, without any of the text.
    pub(super) reason: String,
}

/// Reads one YAML document.
pub(super) fn yaml(text: &str) -> Result<Value, ParseError> {
    let spent = Spent::default();
    serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| {
        Node { spent: &spent, depth: 0 }.deserialize(deserializer)
    })
    .map_err(|error| {
        let location = error.location();
        let position = location.map(|location| (clamp(location.line()), clamp(location.column())));
        let reason = spent.problem.get().map_or_else(|| describe(&error), str::to_owned);
        ParseError { position, reason }
    })
}

/// Reads one JSON value, with nothing but white space around it.
pub(super) fn json(text: &str) -> Result<Value, ParseError> {
    let spent = Spent::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Node { spent: &spent, depth: 0 }.deserialize(&mut deserializer);
    value.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        let position = (error.line() > 0).then(|| (clamp(error.line() as u64), clamp(error.column() as u64)));
        let reason = spent.problem.get().unwrap_or_else(|| match error.classify() {
            serde_json::error::Category::Eof => "the JSON text ends too early",
            _ => "this is not valid JSON, or more than one value (a JSON file holds one; use a List for several)",
        });
        ParseError { position, reason: reason.to_owned() }
    })
}

fn clamp(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn options() -> Options {
    let mut options = Options::default();
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.merge_keys = MergeKeyPolicy::Merge;
    options.legacy_octal_numbers = true;
    options.strict_booleans = false;
    // Source lines in an error would show Secrets.
    options.with_snippet = false;
    options.alias_limits.max_total_replayed_events = MAX_ALIASED;
    if let Some(budget) = &mut options.budget {
        budget.max_depth = MAX_NESTING;
        budget.max_nodes = MAX_VALUES;
        budget.max_events = 2 * MAX_VALUES;
        budget.max_total_scalar_bytes = MAX_TEXT;
        // One anchor that is used in many places is ordinary; what counts is how much comes of it.
        budget.enforce_alias_anchor_ratio = false;
    }
    options
}

/// What is wrong, in words of the parser's error codes alone: its own messages may quote the text.
fn describe(error: &Error) -> String {
    match error.without_snippet() {
        Error::DuplicateMappingKey { .. } => DUPLICATE_KEY.to_owned(),
        Error::UnknownAnchor { .. } => UNKNOWN_ANCHOR.to_owned(),
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => over_budget(),
        Error::NullIntoString { .. } => "a key is null; write the key before the colon, or quote it".to_owned(),
        Error::NonFiniteFloat { .. } => {
            "infinity and not-a-number have no JSON form; quote the value if it is text".to_owned()
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => "an alias stands inside of its own anchor".to_owned(),
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "`<<` takes a map or a list of maps".to_owned(),
        Error::InvalidBinaryBase64 { .. } | Error::BinaryNotUtf8 { .. } => {
            "a `!!binary` value is not base64 of UTF-8 text; use `binaryData` or `data` with a plain string".to_owned()
        }
        Error::InvalidScalar { .. } | Error::TaggedScalarCannotDeserializeIntoString { .. } => {
            "a value does not fit its tag (`!!int`, `!!bool`, …)".to_owned()
        }
        Error::Eof { .. } => "the text ends too early".to_owned(),
        Error::AliasError { error, .. } => describe(error),
        Error::ExternalMessage { source, .. } => match &**source {
            ExternalMessageSource::Parser(error) => syntax(error.kind()),
            _ => NOT_YAML.to_owned(),
        },
        _ => NOT_YAML.to_owned(),
    }
}

fn syntax(kind: &ErrorKind) -> String {
    match kind {
        // These carry text of the document.
        ErrorKind::Custom(_) | ErrorKind::InputDecoding { .. } | ErrorKind::InputIo { .. } => NOT_YAML.to_owned(),
        ErrorKind::UnexpectedCharacter { .. } => "a character that can't begin a value; quote the value".to_owned(),
        ErrorKind::UnknownAnchor => UNKNOWN_ANCHOR.to_owned(),
        ErrorKind::RecursionLimitExceeded => over_budget(),
        other => other.to_string(),
    }
}

fn over_budget() -> String {
    format!(
        "the document nests deeper than {MAX_NESTING} levels, has more than {MAX_VALUES} values, or makes more than {MAX_ALIASED} values out of aliases"
    )
}

const NOT_YAML: &str = "this is not valid YAML";
const DUPLICATE_KEY: &str = "a key is written twice in one map; keep one of them";
const UNKNOWN_ANCHOR: &str =
    "an alias (`*name`) has no anchor (`&name`) before it in the document; quote the value if it is text";
const TOO_DEEP: &str = "values nest deeper than 100 levels";
const TOO_MANY_VALUES: &str = "the document has more than 500,000 values, aliases expanded";
const TOO_MUCH_TEXT: &str = "the document has more than 32 MiB of text, aliases expanded";

/// What a document has used of its budgets, and which one was not enough.
#[derive(Default)]
struct Spent {
    values: Cell<usize>,
    text: Cell<usize>,
    problem: Cell<Option<&'static str>>,
}

/// Reads one value at some depth.
#[derive(Clone, Copy)]
struct Node<'s> {
    spent: &'s Spent,
    depth: usize,
}

impl Node<'_> {
    fn fail<E: serde::de::Error>(&self, problem: &'static str) -> E {
        self.spent.problem.set(Some(problem));
        E::custom(problem)
    }

    fn value<E: serde::de::Error>(&self) -> Result<(), E> {
        let values = self.spent.values.get() + 1;
        self.spent.values.set(values);
        if values > MAX_VALUES { Err(self.fail(TOO_MANY_VALUES)) } else { Ok(()) }
    }

    fn text<E: serde::de::Error>(&self, length: usize) -> Result<(), E> {
        let text = self.spent.text.get().saturating_add(length);
        self.spent.text.set(text);
        if text > MAX_TEXT { Err(self.fail(TOO_MUCH_TEXT)) } else { Ok(()) }
    }

    fn below<E: serde::de::Error>(&self) -> Result<Self, E> {
        self.value()?;
        let depth = self.depth + 1;
        if depth > MAX_NESTING { Err(self.fail(TOO_DEEP)) } else { Ok(Self { depth, ..*self }) }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.value()?;
        Ok(Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.value()?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.value()?;
        Ok(Value::from(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.value()?;
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        /// Below it every integer has a float of its own.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        self.value()?;
        // Go writes `2.0` as `2`; one spelling, or the hash would depend on it.
        if value.fract() == 0.0 && value.abs() < EXACT { Ok(Value::from(value as i64)) } else { Ok(Value::from(value)) }
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.value()?;
        self.text(value.len())?;
        Ok(Value::from(value))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        self.value()?;
        self.text(value.len())?;
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let item = self.below()?;
        let mut list = Vec::new();
        while let Some(value) = items.next_element_seed(item)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let item = self.below()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.text(key.len())?;
            let value = entries.next_value_seed(item)?;
            if map.insert(key, value).is_some() {
                return Err(self.fail(DUPLICATE_KEY));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
