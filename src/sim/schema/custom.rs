//! What the server does to custom resources that it reads: unknown fields go, defaults come; and how their types merge.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map as Members, Value};

use super::structural::{Additional, Kind, Node, Structural};
use super::{DEDUCED, Definition, Field, Format, Id, ListDefinition, ListKind, MapDefinition, Patch, Scalar, Schema};
use super::{Schemas, Types, UNTYPED, normal};

/// Fields that every object has, whatever its schema says.
const META: [&str; 3] = ["apiVersion", "kind", "metadata"];

pub(super) fn prune(root: &Node, object: &mut Value) -> Vec<String> {
    let root = Node { embedded: true, ..root.clone() };
    let mut pruned = Vec::new();
    prune_value(Some(&root), object, &mut String::new(), &mut pruned);
    pruned.sort();
    pruned
}

/// `None`: nothing is known, so that nothing stays.
fn prune_value(node: Option<&Node>, value: &mut Value, path: &mut String, pruned: &mut Vec<String>) {
    let keeps = node.is_some_and(|node| node.preserve_unknown);
    let length = path.len();
    match value {
        Value::Object(members) => {
            members.retain(|name, value| {
                if node.is_some_and(|node| node.embedded) && META.contains(&name.as_str()) {
                    return true;
                }
                step(path, name);
                let known = node.and_then(|node| known(node, name));
                match known {
                    Some(of) => prune_value(of, value, path, pruned),
                    None if keeps => {}
                    None => pruned.push(path.clone()),
                }
                path.truncate(length);
                keeps || known.is_some()
            });
        }
        Value::Array(items) => {
            let mut of = node.and_then(|node| node.items.as_deref()).cloned();
            // What a list preserves, its items do, too; without a schema of theirs nothing is looked into.
            if keeps {
                let Some(of) = &mut of else { return };
                of.preserve_unknown = true;
            }
            for (at, item) in items.iter_mut().enumerate() {
                path.push_str(&format!("[{at}]"));
                prune_value(of.as_ref(), item, path, pruned);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

/// Whether a member is known at all, and its schema if it has one.
fn known<'n>(node: &'n Node, name: &str) -> Option<Option<&'n Node>> {
    match (node.properties.get(name), &node.additional) {
        (Some(of), _) => Some(Some(of)),
        (None, Additional::Of(of)) => Some(Some(of)),
        // Members may be there, but nothing is known of what is in them.
        (None, Additional::Allowed(_)) => Some(None),
        (None, Additional::Unsaid) => None,
    }
}

fn step(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

/// Writes whole numbers without a fraction, as the server does.
pub(super) fn numbers(value: &mut Value) {
    /// Up to here a floating point number tells all integers apart.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Object(members) => members.values_mut().for_each(numbers),
        Value::Array(items) => items.iter_mut().for_each(numbers),
        Value::Number(number) => {
            let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT);
            if let Some(whole) = float.and_then(|float| format!("{float:.0}").parse::<i64>().ok()) {
                *value = whole.into();
            }
        }
        _ => {}
    }
}

/// Writes the metadata of embedded resources as the server does.
pub(super) fn embedded(node: &Node, value: &mut Value) {
    if node.embedded {
        normal::metadata(value);
    }
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if let Some(of) = of_member(Some(node), name) {
                    embedded(of, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(of) = node.items.as_deref() {
                items.iter_mut().for_each(|item| embedded(of, item));
            }
        }
        _ => {}
    }
}

/// Finds embedded resources, with their paths as pruned fields are told.
pub(super) fn embedded_objects<'o>(
    node: &Node,
    value: &'o Value,
    path: &mut String,
    found: &mut Vec<(String, &'o Value)>,
) {
    let length = path.len();
    match value {
        Value::Object(members) => {
            if node.embedded {
                found.push((path.clone(), value));
            }
            for (name, value) in members {
                if let Some(of) = of_member(Some(node), name) {
                    step(path, name);
                    embedded_objects(of, value, path, found);
                    path.truncate(length);
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if let Some(of) = node.items.as_deref() {
                    path.push_str(&format!("[{at}]"));
                    embedded_objects(of, item, path, found);
                    path.truncate(length);
                }
            }
        }
        _ => {}
    }
}

pub(super) fn default(root: &Node, object: &mut Value) {
    drop_nulls(Some(root), object);
    fill(root, object);
}

fn of_member<'n>(node: Option<&'n Node>, name: &str) -> Option<&'n Node> {
    let node = node?;
    match (node.properties.get(name), &node.additional) {
        (Some(of), _) => Some(of),
        (None, Additional::Of(of)) => Some(of),
        _ => None,
    }
}

/// Whether the value is a `null` that the schema does not allow.
fn is_wrong_null(node: Option<&Node>, value: &Value) -> bool {
    value.is_null() && node.is_some_and(|node| !node.nullable)
}

fn drop_nulls(node: Option<&Node>, value: &mut Value) {
    match value {
        Value::Object(members) => members.retain(|name, value| {
            let of = of_member(node, name);
            if is_wrong_null(of, value) && of.is_some_and(|of| of.default.is_none()) {
                return false;
            }
            drop_nulls(of, value);
            true
        }),
        Value::Array(items) => {
            let of = node.and_then(|node| node.items.as_deref());
            items.iter_mut().for_each(|item| drop_nulls(of, item));
        }
        _ => {}
    }
}

pub(super) fn fill(node: &Node, value: &mut Value) {
    match value {
        Value::Object(members) => fill_members(node, members),
        Value::Array(items) => {
            let Some(of) = node.items.as_deref() else { return };
            for item in items {
                if is_wrong_null(Some(of), item) {
                    *item = of.default.clone().unwrap_or_default();
                }
                fill(of, item);
            }
        }
        _ => {}
    }
}

fn fill_members(node: &Node, members: &mut Members<String, Value>) {
    for (name, of) in &node.properties {
        let Some(default) = &of.default else { continue };
        if members.get(name).is_none_or(|value| is_wrong_null(Some(of), value)) {
            members.insert(name.clone(), default.clone());
        }
    }
    for (name, value) in members {
        match (node.properties.get(name), &node.additional) {
            (Some(of), _) => fill(of, value),
            (None, Additional::Of(of)) => {
                if is_wrong_null(Some(of), value) {
                    *value = of.default.clone().unwrap_or_default();
                }
                fill(of, value);
            }
            _ => {}
        }
    }
}

impl Structural {
    /// The type that objects of this schema merge by.
    pub fn schema(&self) -> Schema {
        let meta = Schemas::builtin().named("meta.v1.ObjectMeta");
        let mut builder = match meta {
            Some(meta) => Builder { meta: meta.root, types: Types::over(meta.types) },
            None => Builder { meta: UNTYPED, types: Types::new() },
        };
        let root = Node { kind: Some(Kind::Object), embedded: true, ..self.root.clone() };
        let root = builder.node(&root, false);
        Schema { types: Arc::new(builder.types), root }
    }
}

struct Builder {
    types: Types,
    /// The type of metadata.
    meta: Id,
}

impl Builder {
    /// `preserve`: a level above allows unknown fields, which goes for all that is below it.
    fn node(&mut self, node: &Node, preserve: bool) -> Id {
        let preserve = preserve || node.preserve_unknown;
        let kind = if node.int_or_string { None } else { node.kind };
        let scalar =
            |scalar, format| Definition { scalar: Some(scalar), format: Some(format), ..Definition::default() };
        let definition = match kind {
            None => Definition {
                name: String::new(),
                scalar: Some(Scalar::Untyped),
                format: Some(Format::Json),
                list: Some(self.list(node, preserve)),
                map: Some(self.map(node, preserve)),
            },
            Some(Kind::Object) => Definition { map: Some(self.map(node, preserve)), ..Definition::default() },
            Some(Kind::Array) => Definition { list: Some(self.list(node, preserve)), ..Definition::default() },
            Some(Kind::Integer | Kind::Number) => scalar(Scalar::Numeric, Format::Plain),
            Some(Kind::Boolean) => scalar(Scalar::Boolean, Format::Plain),
            Some(Kind::String) => match node.rules.format.as_str() {
                "" | "byte" => scalar(Scalar::String, Format::Plain),
                _ => scalar(Scalar::Untyped, Format::Plain),
            },
        };
        self.types.add(definition)
    }

    fn list(&mut self, node: &Node, preserve: bool) -> ListDefinition {
        let items = node.items.as_deref().map_or(UNTYPED, |items| self.node(items, preserve));
        ListDefinition { kind: node.list.clone().unwrap_or(ListKind::Atomic), items }
    }

    fn map(&mut self, node: &Node, preserve: bool) -> MapDefinition {
        let field = |id, default: &Option<Value>| Field {
            id,
            default: default.clone(),
            always: false,
            pointer: false,
            patch: Patch::default(),
            values: Vec::new(),
        };
        let mut fields: BTreeMap<String, Field> = node
            .properties
            .iter()
            .map(|(name, of)| (name.clone(), field(self.node(of, preserve), &of.default)))
            .collect();
        let elements = match &node.additional {
            // Properties that every object has don't count.
            Additional::Unsaid if preserve || fields.is_empty() && !node.embedded => Some(DEDUCED),
            Additional::Unsaid | Additional::Allowed(false) => None,
            Additional::Allowed(true) => Some(DEDUCED),
            Additional::Of(of) => Some(self.node(of, preserve)),
        };
        if node.embedded {
            let string = Definition { scalar: Some(Scalar::String), ..Definition::default() };
            let string = self.types.add(string);
            fields.insert("apiVersion".to_owned(), field(string, &None));
            fields.insert("kind".to_owned(), field(string, &None));
            fields.insert("metadata".to_owned(), field(self.meta, &None));
        }
        MapDefinition { fields: Arc::new(fields), elements, atomic: node.atomic_map }
    }
}
