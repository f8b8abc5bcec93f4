//! Fields of resources that a transformation is for: which kinds, which path, whether it is made where it is missing.

use std::borrow::Cow;

use super::decode::settings;
use super::error::KustomizeError;
use super::read_scalar::made_style;
use super::resource::{Gvk, Resource};
use super::value::{Kind, Map, Plain, Text, Value};

settings! {
/// A field of some kinds of resources.
pub struct FieldSpec {
    /// Group; empty for all.
    "group" => group: String,
    /// Version; empty for all.
    "version" => version: String,
    /// Kind; empty for all.
    "kind" => kind: String,
    /// Names of fields, separated by `/`. Lists on the way are passed through; a name that ends with `[]` must be one.
    "path" => path: String,
    /// Whether the field is made where it is missing.
    "create" => create: bool,
}
}

impl FieldSpec {
    /// A field of one kind.
    pub fn new(group: &str, version: &str, kind: &str, path: &str, create: bool) -> Self {
        let [group, version, kind, path] = [group, version, kind, path].map(str::to_owned);
        Self { group, version, kind, path, create }
    }

    /// What it says about group, version and kind.
    pub fn gvk(&self) -> Gvk<'_> {
        Gvk { group: &self.group, version: &self.version, kind: &self.kind }
    }

    /// Whether it is for resources of this kind.
    pub fn is_for(&self, gvk: Gvk<'_>) -> bool {
        gvk.is_selected_by(self.gvk())
    }

    /// Whether it is for this resource.
    fn is_for_resource(&self, resource: &Resource) -> bool {
        let any_version = self.group.is_empty() && self.version.is_empty();
        (self.kind.is_empty() || self.kind == resource.kind()) && (any_version || self.is_for(resource.gvk()))
    }
}

/// Adds what `more` has and `specs` lacks. Two that are for the same field must agree on whether it is made.
pub fn merge_specs(specs: &mut Vec<FieldSpec>, more: &[FieldSpec]) -> Result<(), KustomizeError> {
    for spec in more {
        let same = specs.iter().find(|known| known.path == spec.path && known.gvk().is_selected_by(spec.gvk()));
        match same {
            Some(known) if known.create != spec.create => {
                return Err(KustomizeError::new(format!(
                    "the field `{}` is given twice, with and without `create`; make both the same",
                    spec.path
                )));
            }
            Some(_) => {}
            None => specs.push(spec.clone()),
        }
    }
    Ok(())
}

/// What is made of a field that is missing, and of null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing.
    Skip,
    /// A mapping.
    Map,
    /// A scalar, empty at first.
    Scalar,
}

/// What a walk to a field does there.
pub type Visit<'v> = &'v mut dyn FnMut(&mut Value) -> Result<(), String>;

/// Calls `visit` with each value at the path of `spec` in `resource`, if it is of the right kind.
pub fn visit(
    resource: &mut Resource,
    spec: &FieldSpec,
    missing: Missing,
    visit: Visit<'_>,
) -> Result<(), KustomizeError> {
    if !spec.is_for_resource(resource) {
        return Ok(());
    }
    let missing = if spec.create { missing } else { Missing::Skip };
    visit_path(resource, &spec.path, missing, visit)
}

/// Calls `visit` with each value at `path`, which is as that of a [`FieldSpec`].
pub(super) fn visit_path(
    resource: &mut Resource,
    path: &str,
    missing: Missing,
    visit: Visit<'_>,
) -> Result<(), KustomizeError> {
    walk(&mut resource.value, Some(relative(path)), missing, visit)
        .map_err(|reason| KustomizeError::new(format!("{}: field `{path}`: {reason}", resource.describe())))
}

fn relative(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

/// Splits a path at each `/`, except where that is written `\/`.
pub(super) fn split_path(path: &str) -> Vec<Cow<'_, str>> {
    let mut rest = Some(relative(path));
    let part = || {
        let (part, behind) = split_first(rest?);
        rest = behind;
        Some(part)
    };
    std::iter::from_fn(part).collect()
}

/// The first part of a path, and the others.
fn split_first(path: &str) -> (Cow<'_, str>, Option<&str>) {
    let (first, mut rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let mut first = Cow::Borrowed(first);
    while let Some(behind) = rest.filter(|_| first.ends_with('\\')) {
        let (more, others) = behind.split_once('/').map_or((behind, None), |(more, others)| (more, Some(others)));
        let name = first.to_mut();
        name.pop();
        name.push('/');
        name.push_str(more);
        rest = others;
    }
    (first, rest)
}

/// Walks down `path`, through all items of the lists on the way. `None` if it is at its end.
fn walk(value: &mut Value, path: Option<&str>, missing: Missing, visit: Visit<'_>) -> Result<(), String> {
    let Some((name, rest)) = path.map(split_first) else {
        return visit(value);
    };
    match value {
        null if null.is_null() => Ok(()),
        Value::Seq(items) => items.iter_mut().try_for_each(|item| walk(item, path, missing, visit)),
        Value::Map(map) => {
            let list = name.strip_suffix("[]");
            let name = list.unwrap_or(&name);
            if name.is_empty() {
                return Err("a name in the path is empty".to_owned());
            }
            let make = || match (missing, rest.is_none()) {
                (Missing::Scalar, true) => Value::Plain(Plain::empty()),
                _ => Value::Map(Map::new()),
            };
            let create = list.is_none() && missing != Missing::Skip;
            let field = if create { Some(map.get_or_insert_with(name, make)) } else { map.get_mut(name) };
            let Some(field) = field else { return Ok(()) };
            if field.is_null() {
                if list.is_some() {
                    *field = Value::Seq(Vec::new());
                } else if create && !(missing == Missing::Scalar && rest.is_none()) {
                    *field = Value::Map(Map::new());
                }
            }
            walk(field, rest, missing, visit)
        }
        other => Err(format!("a list or a mapping is needed on the way, and {} is there", other.describe())),
    }
}

/// Sets a scalar to a string that is not quoted: what it reads as is what it becomes, unless a merge passes it first.
pub(super) fn set_plain(value: &mut Value, text: &str) -> Result<(), String> {
    if !value.is_scalar() {
        return Err(format!("a scalar is needed, and {} is there", value.describe()));
    }
    // What has quotes keeps them, and remains a string.
    let shared = value.shared();
    *value = if value.is_quoted() { value.with_its_quotes(text) } else { Value::untagged(text) };
    value.set_shared(shared);
    Ok(())
}

/// Sets a scalar to a string.
pub(super) fn set_string(value: &mut Value, text: &str) -> Result<(), String> {
    if !value.is_scalar() {
        return Err(format!("a scalar is needed, and {} is there", value.describe()));
    }
    *value = value.with_its_quotes(text);
    Ok(())
}

/// Sets an entry of a mapping to a string. One that is made belongs to the given node, if that isn't 0.
pub(super) fn set_entry(value: &mut Value, key: &str, text: &str, node: u32) -> Result<(), String> {
    if value.is_null() {
        return Err("a mapping is needed, and null is there".to_owned());
    }
    let described = value.describe();
    let Some(map) = value.as_map_mut() else {
        return Err(format!("a mapping is needed, and {described} is there"));
    };
    match map.get_mut(key) {
        Some(there) => there.replace_keeping_quotes(Value::str(text)),
        None => {
            let mut text = Text::styled(text, made_style(text));
            text.set_shared(node);
            map.insert(key, Value::Str(text));
        }
    }
    Ok(())
}

/// Whether a value counts as there: not null, not an empty collection, not an empty scalar without quotes.
pub(super) fn is_given(value: &Value) -> bool {
    match value {
        Value::Plain(plain) => !matches!(plain.kind(), Kind::Null | Kind::Empty),
        Value::Str(_) => true,
        Value::Seq(items) => !items.is_empty(),
        Value::Map(map) => !map.is_empty(),
    }
}
