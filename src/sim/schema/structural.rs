//! Schemas of custom resources, as their definitions carry them (`openAPIV3Schema`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::rules::Rule;
use super::{ListKind, custom, normal};

/// Deepest nesting of a schema.
const MAX_DEPTH: usize = 64;

/// A schema that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct StructuralError {
    /// Where in the schema, as `properties[spec].items`.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

/// The schema of one version of a custom resource.
#[derive(Clone, Debug)]
pub struct Structural {
    pub(super) root: Node,
}

/// One level of a schema.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// Its type; none with `x-kubernetes-int-or-string` or where anything goes.
    pub(super) kind: Option<Kind>,
    pub(super) properties: BTreeMap<String, Self>,
    pub(super) items: Option<Box<Self>>,
    pub(super) additional: Additional,
    pub(super) default: Option<Value>,
    pub(super) nullable: bool,
    pub(super) int_or_string: bool,
    pub(super) preserve_unknown: bool,
    pub(super) embedded: bool,
    pub(super) list: Option<ListKind>,
    pub(super) atomic_map: bool,
    pub(super) rules: Rules,
    /// Rules in CEL.
    pub(super) validations: Vec<Rule>,
}

/// The types of JSON schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

/// Members that are no properties.
#[derive(Clone, Debug, Default)]
pub(super) enum Additional {
    /// Nothing is said of them.
    #[default]
    Unsaid,
    /// Allowed or forbidden.
    Allowed(bool),
    /// Of this schema.
    Of(Box<Node>),
}

/// What values must hold beside their type.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) format: String,
    pub(super) required: Vec<String>,
    pub(super) values: Vec<Value>,
    pub(super) minimum: Option<f64>,
    pub(super) maximum: Option<f64>,
    pub(super) exclusive_minimum: bool,
    pub(super) exclusive_maximum: bool,
    pub(super) multiple_of: Option<f64>,
    pub(super) length: (Option<u64>, Option<u64>),
    pub(super) items: (Option<u64>, Option<u64>),
    pub(super) properties: (Option<u64>, Option<u64>),
    pub(super) unique: bool,
    pub(super) pattern: Option<Pattern>,
    pub(super) all_of: Vec<Node>,
    pub(super) any_of: Vec<Node>,
    pub(super) one_of: Vec<Node>,
    pub(super) not: Option<Box<Node>>,
}

/// A regular expression, and how it was written.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    pub(super) regex: regex::Regex,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

impl Structural {
    /// Reads the `openAPIV3Schema` of a version of a definition.
    ///
    /// # Errors
    /// If it is no schema: an unknown type, keys without a list, a pattern that is none, or nested too deep.
    pub fn read(schema: &Value) -> Result<Self, StructuralError> {
        let mut path = Vec::new();
        Ok(Self { root: Reader { path: &mut path }.node(schema)? })
    }

    /// Removes what the schema does not know, and returns the paths of what it removed, as `spec.more[0].x`.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        custom::prune(&self.root, object)
    }

    /// Writes numbers, the metadata of the object and that of the resources embedded in it as the server does; an empty list of
    /// managed fields means nothing here.
    pub fn normalize(&self, object: &mut Value) {
        custom::numbers(object);
        normal::metadata(object);
        custom::embedded(&self.root, object);
    }

    /// The resources that are embedded in an object, with their paths.
    pub fn embedded<'o>(&self, object: &'o Value) -> Vec<(String, &'o Value)> {
        let mut found = Vec::new();
        custom::embedded_objects(&self.root, object, &mut String::new(), &mut found);
        found
    }

    /// Drops each `null` where none is allowed, and fills in the defaults.
    pub fn default(&self, object: &mut Value) {
        custom::default(&self.root, object);
    }

    /// Fills in the defaults.
    pub fn fill(&self, object: &mut Value) {
        custom::fill(&self.root, object);
    }
}

struct Reader<'a> {
    path: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn error(&self, message: impl Into<String>) -> StructuralError {
        StructuralError { path: self.path.join("."), message: message.into() }
    }

    fn at<T>(
        &mut self,
        step: String,
        f: impl FnOnce(&mut Self) -> Result<T, StructuralError>,
    ) -> Result<T, StructuralError> {
        if self.path.len() >= MAX_DEPTH {
            return Err(self.error(format!("the schema is nested deeper than {MAX_DEPTH}")));
        }
        self.path.push(step);
        let read = f(self)?;
        self.path.pop();
        Ok(read)
    }

    fn node(&mut self, schema: &Value) -> Result<Node, StructuralError> {
        let flag = |name: &str| schema.get(name).and_then(Value::as_bool).unwrap_or_default();
        let mut node = Node {
            kind: self.kind(schema)?,
            default: schema.get("default").filter(|default| !default.is_null()).cloned(),
            nullable: flag("nullable"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            preserve_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            list: self.list(schema)?,
            atomic_map: schema.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic"),
            rules: self.rules(schema)?,
            validations: Rule::read_all(schema),
            ..Node::default()
        };
        for (name, of) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let of = self.at(format!("properties[{name}]"), |reader| reader.node(of))?;
            node.properties.insert(name.clone(), of);
        }
        if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
            node.items = Some(Box::new(self.at("items".to_owned(), |reader| reader.node(items))?));
        }
        node.additional = match schema.get("additionalProperties") {
            Some(Value::Bool(allowed)) => Additional::Allowed(*allowed),
            Some(of @ Value::Object(_)) => {
                Additional::Of(Box::new(self.at("additionalProperties".to_owned(), |reader| reader.node(of))?))
            }
            _ => Additional::Unsaid,
        };
        Ok(node)
    }

    fn kind(&self, schema: &Value) -> Result<Option<Kind>, StructuralError> {
        Ok(Some(match schema.get("type").and_then(Value::as_str) {
            None | Some("") => return Ok(None),
            Some("object") => Kind::Object,
            Some("array") => Kind::Array,
            Some("string") => Kind::String,
            Some("integer") => Kind::Integer,
            Some("number") => Kind::Number,
            Some("boolean") => Kind::Boolean,
            Some(other) => return Err(self.error(format!("{other:?} is no type of JSON schema"))),
        }))
    }

    fn list(&self, schema: &Value) -> Result<Option<ListKind>, StructuralError> {
        let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
        Ok(Some(match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
            None => return Ok(None),
            Some("atomic") => ListKind::Atomic,
            Some("set") => ListKind::Set,
            Some("map") => {
                let keys =
                    keys.ok_or_else(|| self.error("x-kubernetes-list-type map needs x-kubernetes-list-map-keys"))?;
                ListKind::Map(keys.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            Some(other) => return Err(self.error(format!("{other:?} is no x-kubernetes-list-type"))),
        }))
    }

    fn rules(&mut self, schema: &Value) -> Result<Rules, StructuralError> {
        let number = |name: &str| schema.get(name).and_then(Value::as_f64);
        let count = |name: &str| schema.get(name).and_then(Value::as_u64);
        let flag = |name: &str| schema.get(name).and_then(Value::as_bool).unwrap_or_default();
        let text = |name: &str| schema.get(name).and_then(Value::as_str).unwrap_or_default();
        let strings = |name: &str| schema.get(name).and_then(Value::as_array).into_iter().flatten();
        let pattern = match text("pattern") {
            "" => None,
            text => {
                let regex = regex::Regex::new(text);
                let regex = regex.map_err(|error| self.error(format!("pattern {text:?}: {error}")))?;
                Some(Pattern { text: text.to_owned(), regex })
            }
        };
        let not = match schema.get("not") {
            Some(not) => Some(Box::new(self.at("not".to_owned(), |reader| reader.node(not))?)),
            None => None,
        };
        Ok(Rules {
            format: text("format").to_owned(),
            required: strings("required").filter_map(Value::as_str).map(str::to_owned).collect(),
            values: strings("enum").cloned().collect(),
            minimum: number("minimum"),
            maximum: number("maximum"),
            exclusive_minimum: flag("exclusiveMinimum"),
            exclusive_maximum: flag("exclusiveMaximum"),
            multiple_of: number("multipleOf"),
            length: (count("minLength"), count("maxLength")),
            items: (count("minItems"), count("maxItems")),
            properties: (count("minProperties"), count("maxProperties")),
            unique: flag("uniqueItems"),
            pattern,
            all_of: self.alternatives(schema, "allOf")?,
            any_of: self.alternatives(schema, "anyOf")?,
            one_of: self.alternatives(schema, "oneOf")?,
            not,
        })
    }

    fn alternatives(&mut self, schema: &Value, name: &str) -> Result<Vec<Node>, StructuralError> {
        let list = schema.get(name).and_then(Value::as_array).into_iter().flatten().enumerate();
        list.map(|(at, of)| self.at(format!("{name}[{at}]"), |reader| reader.node(of))).collect()
    }
}
