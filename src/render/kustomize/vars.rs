//! Variables: `$(NAME)` in fields of resources.

use std::collections::BTreeMap;

use super::accumulate::Accumulator;
use super::config::Config;
use super::error::KustomizeError;
use super::field_path::{Step, lookup, parse};
use super::field_spec::{Missing, visit};
use super::go_json::float_text;
use super::kustomization::Var;
use super::resource::{Gvk, Id, Resource};
use super::value::{Kind, Value};

/// The field that a variable is taken from if none is named.
const DEFAULT_FIELD: &str = "metadata.name";

/// What a variable stands for.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// A list or a mapping, which can't be put anywhere.
    Other,
}

/// Takes the variables of a kustomization, and marks the resources that they are taken from.
pub(super) fn add(all: &mut Accumulator, vars: &[Var]) -> Result<(), KustomizeError> {
    for (index, var) in vars.iter().enumerate() {
        let in_field = |error: KustomizeError| error.in_field(&format!("vars[{index}]"));
        let found = all.resources.find(|id| is_source(var, id));
        if found.len() > 1 {
            let reason = "there are several such resources; say which one by its namespace";
            return Err(in_field(KustomizeError::new(reason).in_field("objref")));
        }
        let source = found.first().and_then(|at| all.resources.list.get_mut(*at));
        if let Some(resource) = source {
            resource.variables.push(var.name.clone());
        }
    }
    vars.iter().try_for_each(|var| all.add_var(var.clone()))
}

/// Whether something is called as the resource that a variable is taken from.
fn is_source(var: &Var, id: Id<'_>) -> bool {
    let object = &var.object;
    let mut gvk = Gvk { group: &object.group, version: &object.version, kind: &object.kind };
    let parts: Vec<&str> = object.api_version.split('/').collect();
    match parts.as_slice() {
        [""] => {}
        [version] => gvk.version = version,
        [group, version] => (gvk.group, gvk.version) = (group, version),
        _ => {}
    }
    let namespace = if object.namespace.is_empty() { None } else { Some(object.namespace.as_str()) };
    id.gvk == gvk && id.name == object.name && namespace.is_none_or(|namespace| namespace == id.namespace)
}

/// Writes the values of the variables wherever they are named.
pub(super) fn resolve(all: &mut Accumulator, config: &Config) -> Result<(), KustomizeError> {
    let mut contents = BTreeMap::new();
    for var in all.vars.values() {
        let content = content(var, &all.resources.list)
            .map_err(|reason| KustomizeError::new(format!("the variable {:?}: {reason}", var.name)).in_field("vars"))?;
        contents.insert(var.name.as_str(), content);
    }
    if contents.is_empty() {
        return Ok(());
    }
    for resource in &mut all.resources.list {
        for spec in &config.var_reference {
            visit(resource, spec, Missing::Skip, &mut |value| expand_value(value, &contents))?;
        }
        resource.settle_shared();
    }
    Ok(())
}

fn content(var: &Var, resources: &[Resource]) -> Result<Content, String> {
    let marked = |resource: &&Resource| resource.variables.contains(&var.name);
    let resource = resources.iter().find(marked).ok_or("there is no such resource; correct `objref`")?;
    let path = if var.field.field_path.is_empty() { DEFAULT_FIELD } else { &var.field.field_path };
    let steps = parse(path)?.into_iter().flat_map(index_behind);
    let value = lookup(&resource.value, &steps.collect::<Vec<_>>())?;
    let value = value.ok_or_else(|| format!("{} has nothing at `{path}`; correct `fieldref`", resource.describe()))?;
    let text = value.text().unwrap_or_default();
    let unlike = || format!("`{path}` holds a number in a notation that can't be used; write it in decimal");
    Ok(match value {
        Value::Map(_) | Value::Seq(_) => Content::Other,
        Value::Str(_) => Content::Text(text.to_owned()),
        Value::Plain(plain) => match plain.kind() {
            Kind::Int => Content::Int(text.parse().map_err(|_| unlike())?),
            Kind::Float => Content::Float(text.parse().map_err(|_| unlike())?),
            Kind::Bool => Content::Bool(value.as_bool() == Some(true)),
            Kind::Null | Kind::Empty | Kind::Time => Content::Text(text.to_owned()),
        },
    })
}

/// `name[0]` is a field and an index.
fn index_behind(step: Step) -> Vec<Step> {
    let Step::Field(text) = &step else { return vec![step] };
    let split = text.strip_suffix(']').and_then(|text| text.rsplit_once('['));
    let Some((name, index)) = split.and_then(|(name, index)| Some((name, index.parse().ok()?))) else {
        return vec![step];
    };
    let field = (!name.is_empty()).then(|| Step::Field(name.to_owned()));
    field.into_iter().chain([Step::Index(index)]).collect()
}

/// Writes variables into a string, the strings of a mapping, or those of a list that has nothing else.
fn expand_value(value: &mut Value, contents: &BTreeMap<&str, Content>) -> Result<(), String> {
    match value {
        Value::Map(map) => map.iter_mut().for_each(|(_, value)| _ = expand_scalar(value, contents)),
        Value::Seq(items) => {
            for item in items {
                if !expand_scalar(item, contents) {
                    return Err(format!("an element of the list is {}, and a string is needed", item.describe()));
                }
            }
        }
        scalar => _ = expand_scalar(scalar, contents),
    }
    Ok(())
}

/// Writes variables into a string, or into a scalar of no type, which becomes a string by that. `false` for anything else.
fn expand_scalar(value: &mut Value, contents: &BTreeMap<&str, Content>) -> bool {
    if !matches!(value, Value::Str(_)) && !value.is_untagged() {
        return false;
    }
    let new = expand(value.text().unwrap_or_default(), contents);
    value.put(new);
    true
}

/// `text` with the values of the variables. One that is all of the text keeps the type of its value. `$$` stands for `$`.
fn expand(text: &str, contents: &BTreeMap<&str, Content>) -> Value {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        out.push_str(before);
        let Some(next) = behind.chars().next() else {
            // The last character is the dollar sign itself.
            out.push('$');
            rest = "";
            break;
        };
        let tail = behind.get(next.len_utf8()..).unwrap_or_default();
        match (next, tail.split_once(')')) {
            ('$', _) => {
                out.push('$');
                rest = tail;
            }
            ('(', Some((name, tail))) => {
                let content = contents.get(name).filter(|content| **content != Content::Other);
                let whole = out.is_empty() && before.is_empty() && tail.is_empty() && text.len() == name.len() + 3;
                match content {
                    Some(content) if whole => return content.value(),
                    Some(content) => out.push_str(&content.text()),
                    None => out.push_str(&format!("$({name})")),
                }
                rest = tail;
            }
            (next, _) => {
                out.push('$');
                out.push(next);
                rest = tail;
            }
        }
    }
    out.push_str(rest);
    Value::str(out)
}

impl Content {
    fn value(&self) -> Value {
        match self {
            Self::Text(text) => Value::str(text),
            Self::Int(number) => Value::int(*number),
            Self::Float(number) => Value::plain(&format!("{number}")),
            Self::Bool(value) => Value::bool(*value),
            Self::Other => Value::null(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => float_text(*number),
            Self::Bool(value) => value.to_string(),
            Self::Other => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_expand() {
        let contents = BTreeMap::from([
            ("A", Content::Text("a".to_owned())),
            ("R", Content::Text("$(A)".to_owned())),
            ("N", Content::Int(5)),
            ("M", Content::Other),
        ]);
        let cases = [
            ("$(A)", Value::str("a")),
            ("x$(A)y$(A)", Value::str("xaya")),
            ("$(N)", Value::int(5)),
            ("$(N)m", Value::str("5m")),
            ("$$(A)$(A)", Value::str("$(A)a")),
            ("$(R)", Value::str("$(A)")),
            ("$(Q) $(M) $A $", Value::str("$(Q) $(M) $A $")),
            ("$(A", Value::str("$(A")),
            ("$$$$$(A)", Value::str("$$a")),
            ("$(A$(A))", Value::str("$(A$(A))")),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &contents), expected, "{text}");
        }
    }
}
