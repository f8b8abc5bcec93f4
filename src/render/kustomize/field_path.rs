//! Paths to fields in the notation of replacements and variables: names separated by dots, `[key=value]` and numbers for the
//! elements of lists, `*` for all of them.

use super::value::{Kind, Map, Plain, Value};
use super::{pattern, read};

/// Most values that one path leads to.
const MAX_MATCHES: usize = 100_000;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A field of a mapping.
    Field(String),
    /// The element of a list at a position.
    Index(usize),
    /// The last element of a list, or a field of that name where paths are patterns.
    Last,
    /// The elements of a list with a field of this value, or of this value themselves if the field is empty.
    Element(String, String),
    /// All elements of a list.
    Every,
}

/// What is made where a path ends and nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Create {
    Scalar,
    Map,
    Seq,
}

impl Create {
    /// What can take `value`.
    pub(super) const fn like(value: &Value) -> Self {
        match value {
            Value::Map(_) => Self::Map,
            Value::Seq(_) => Self::Seq,
            _ => Self::Scalar,
        }
    }

    fn value(self) -> Value {
        match self {
            Self::Map => Value::Map(Map::new()),
            Self::Seq => Value::Seq(Vec::new()),
            // Whatever is written over it is read as it looks.
            Self::Scalar => Value::Plain(Plain::new("", Kind::Empty)),
        }
    }
}

/// Splits a path into its steps.
pub(super) fn parse(path: &str) -> Result<Vec<Step>, String> {
    split(path)
        .into_iter()
        .map(|part| step(part.trim()))
        .filter(|step| *step != Ok(Step::Field(String::new())))
        .collect()
}

fn step(part: &str) -> Result<Step, String> {
    if let Ok(index) = part.parse::<i64>() {
        let index = usize::try_from(index).map_err(|_| format!("the index {index} is below zero"))?;
        return Ok(Step::Index(index));
    }
    Ok(match part {
        "-" => Step::Last,
        "*" => Step::Every,
        _ => match part.strip_prefix('[').and_then(|part| part.strip_suffix(']')) {
            None => Step::Field(part.to_owned()),
            Some(inner) => {
                let (key, value) =
                    inner.split_once('=').ok_or_else(|| format!("`{part}` lacks the form `[key=value]`"))?;
                Step::Element(key.to_owned(), value.to_owned())
            }
        },
    })
}

/// Splits a path at its dots, except at those behind a backslash and those in brackets. Brackets without `=` are taken off.
fn split(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in path.strip_prefix('.').unwrap_or(path).split('.') {
        match parts.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push('.');
                last.push_str(part);
            }
            _ => parts.push(part.to_owned()),
        }
    }
    let mut joined = Vec::new();
    let mut parts = parts.into_iter();
    while let Some(mut part) = parts.next() {
        if part.starts_with('[') && !part.ends_with(']') {
            for more in parts.by_ref() {
                part.push('.');
                part.push_str(&more);
                if more.ends_with(']') {
                    break;
                }
            }
            if !part.contains('=') {
                part = part.trim_matches(['[', ']']).to_owned();
            }
        }
        joined.push(part);
    }
    joined
}

/// The one value at a path. Elements of lists are told apart by their whole text.
pub(super) fn lookup<'v>(value: &'v Value, path: &[Step]) -> Result<Option<&'v Value>, String> {
    let mut value = value;
    for step in path {
        let next = match step {
            Step::Field(name) => fields(value)?.and_then(|map| map.get(name)),
            Step::Index(index) => items(value)?.get(*index),
            Step::Last => Some(items(value)?.last().ok_or("a list is empty where its last element is asked for")?),
            Step::Element(key, text) => items(value)?.iter().find(|item| matches_exactly(item, key, text)),
            Step::Every => return Err("`*` can't be used here".to_owned()),
        };
        match next {
            Some(next) => value = next,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// The same, to change.
pub(super) fn lookup_mut<'v>(value: &'v mut Value, path: &[Step]) -> Result<Option<&'v mut Value>, String> {
    let mut value = value;
    for step in path {
        let next = match (step, value) {
            (Step::Field(name), Value::Map(map)) => map.get_mut(name),
            (Step::Index(index), Value::Seq(items)) => items.get_mut(*index),
            (Step::Last, Value::Seq(items)) => items.last_mut(),
            (Step::Element(key, text), Value::Seq(items)) => {
                items.iter_mut().find(|item| matches_exactly(item, key, text))
            }
            _ => None,
        };
        match next {
            Some(next) => value = next,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

fn fields(value: &Value) -> Result<Option<&Map>, String> {
    match value {
        Value::Map(map) => Ok(Some(map)),
        null if null.is_null() => Ok(None),
        other => Err(format!("a mapping is needed on the way, and {} is there", other.describe())),
    }
}

fn items(value: &Value) -> Result<&[Value], String> {
    match value {
        Value::Seq(items) => Ok(items),
        null if null.is_null() => Ok(&[]),
        other => Err(format!("a list is needed on the way, and {} is there", other.describe())),
    }
}

fn matches_exactly(item: &Value, key: &str, text: &str) -> bool {
    if key.is_empty() {
        return item.text().unwrap_or_default() == text;
    }
    item.get(key).is_some_and(|value| value.text().unwrap_or_default() == text)
}

/// Calls `visit` with every value at a path. Elements of lists are told apart by regular expressions. What is missing is
/// made if `create` says what. Returns how many there were.
pub(super) fn visit(
    value: &mut Value,
    path: &[Step],
    create: Option<Create>,
    visit: &mut dyn FnMut(&mut Value) -> Result<(), String>,
) -> Result<usize, String> {
    let found = Walk { create, visit, found: 0, flow: false }.run(value, path)?;
    if found > MAX_MATCHES {
        return Err(format!("the path leads to more than {MAX_MATCHES} values"));
    }
    Ok(found)
}

struct Walk<'w> {
    create: Option<Create>,
    visit: &'w mut dyn FnMut(&mut Value) -> Result<(), String>,
    found: usize,
    /// Whether a mapping on the way stands in braces.
    flow: bool,
}

impl Walk<'_> {
    fn run(mut self, value: &mut Value, path: &[Step]) -> Result<usize, String> {
        self.walk(value, path)?;
        Ok(self.found)
    }

    fn walk(&mut self, value: &mut Value, path: &[Step]) -> Result<(), String> {
        let Some((step, rest)) = path.split_first() else {
            self.found += 1;
            (self.visit)(value)?;
            // In braces kustomize writes `''` for it on the way.
            if self.flow {
                value.settle_empty();
            }
            return Ok(());
        };
        match step {
            Step::Field(name) => self.field(value, name, rest),
            Step::Last => self.field(value, "-", rest),
            Step::Index(index) => {
                let made = self.create.map(|create| make(rest, create));
                let items = items_mut(value)?;
                if let Some(made) = made.filter(|_| items.len() == *index) {
                    items.push(made);
                }
                let count = items.len();
                match items.get_mut(*index) {
                    Some(item) => self.walk(item, rest),
                    None => Err(format!("the list has {count} elements, and none with the index {index}")),
                }
            }
            Step::Every => items_mut(value)?.iter_mut().try_for_each(|item| self.walk(item, rest)),
            Step::Element(key, text) => self.elements(value, key, text, rest),
        }
    }

    fn field(&mut self, value: &mut Value, name: &str, rest: &[Step]) -> Result<(), String> {
        if value.is_null() {
            // What is made in null is lost.
            return match self.create {
                Some(create) => self.walk(&mut make(rest, create), rest),
                None => Ok(()),
            };
        }
        fields(value)?;
        let Some(map) = value.as_map_mut() else { return Ok(()) };
        if self.create.is_none() && !map.contains_key(name) {
            return Ok(());
        }
        let create = self.create.unwrap_or(Create::Scalar);
        let outside = self.flow;
        self.flow |= map.is_flow();
        let field = map.get_or_insert_with(name, || make(rest, create));
        if rest.is_empty() || !field.is_scalar() {
            self.walk(field, rest)?;
            self.flow = outside;
            return Ok(());
        }
        // Kustomize looks for the rest in what the text says, but what it changes there is lost.
        let inner = read::document(field.text().unwrap_or_default()).ok().flatten();
        let inner = inner.filter(|inner| !inner.is_scalar());
        let mut inner =
            inner.ok_or_else(|| format!("`{name}` is {}, and the path goes on below it", field.describe()))?;
        self.found += visit(&mut inner, rest, self.create, &mut |_| Ok(()))?;
        Ok(())
    }

    fn elements(&mut self, value: &mut Value, key: &str, text: &str, rest: &[Step]) -> Result<(), String> {
        let regex = pattern::anywhere(text)?;
        let before = self.found;
        let items = items_mut(value)?;
        for item in items.iter_mut() {
            let matched = if key.is_empty() { Some(&*item) } else { item.get(key) };
            let matched = matched.filter(|value| value.is_scalar()).map(shown);
            if matched.is_some_and(|text| regex.is_match(&text)) {
                if key.is_empty() {
                    self.found += 1;
                    (self.visit)(item)?;
                } else {
                    self.walk(item, rest)?;
                }
            }
        }
        if self.create.is_none() || self.found > before {
            return Ok(());
        }
        let new = Value::plain(text);
        let new = if key.is_empty() { new } else { Value::Map([(key, new)].into_iter().collect()) };
        if !regex.is_match(text) {
            return Err(format!(
                "an element made for `{text}` isn't found by it; use a text without special characters"
            ));
        }
        items.push(new);
        match items.last_mut() {
            Some(item) if key.is_empty() => {
                self.found += 1;
                (self.visit)(item)
            }
            Some(item) => self.walk(item, rest),
            None => Ok(()),
        }
    }
}

/// A scalar as YAML writes it, which patterns are matched with.
fn shown(value: &Value) -> String {
    let text = value.text().unwrap_or_default();
    if value.is_quoted() { format!("\"{text}\"") } else { text.to_owned() }
}

fn items_mut(value: &mut Value) -> Result<&mut Vec<Value>, String> {
    if value.is_null() {
        return Err("null is there where a list is needed".to_owned());
    }
    items(value)?;
    value.as_seq_mut().ok_or_else(|| "a list is needed on the way".to_owned())
}

/// What is made for a field with `rest` of the path below it.
fn make(rest: &[Step], create: Create) -> Value {
    match rest.first() {
        None => create.value(),
        Some(Step::Index(_) | Step::Element(..)) => Value::Seq(Vec::new()),
        Some(_) => Value::Map(Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_at_dots_outside_of_brackets() {
        let field = |name: &str| Step::Field(name.to_owned());
        let cases = [
            ("spec.template", vec![field("spec"), field("template")]),
            (r"a.b\.c/d.e", vec![field("a"), field("b.c/d"), field("e")]),
            ("a.[b.c/d].e", vec![field("a"), field("b.c/d"), field("e")]),
            ("l.[name=a.b].x", vec![field("l"), Step::Element("name".into(), "a.b".into()), field("x")]),
            ("l.0.*.-", vec![field("l"), Step::Index(0), Step::Every, Step::Last]),
            ("l.[=x]", vec![field("l"), Step::Element(String::new(), "x".into())]),
        ];
        for (path, expected) in cases {
            assert_eq!(parse(path).unwrap(), expected, "{path}");
        }
        assert!(parse("a.-1").is_err());
        assert!(parse("a.[x]").is_err());
    }
}
