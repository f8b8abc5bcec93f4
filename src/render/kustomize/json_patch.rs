//! JSON patches (RFC 6902), with the habits of the library by which kustomize applies them: negative indexes count from
//! the end of a list, `replace` adds a key that is missing, an operation without a value sets null.

use super::go_json;
use super::read;
use super::value::{Kind, Map, Value};

/// Most operations in one patch.
const MAX_OPERATIONS: usize = 10_000;
/// Most values that the copies of one patch make.
const MAX_COPIED: usize = 1_000_000;

/// A patch: operations in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct JsonPatch {
    operations: Vec<Operation>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Operation {
    kind: Option<String>,
    path: Option<String>,
    from: Option<String>,
    value: Value,
}

/// What `path` leads to: a mapping with a key, or a list with an index.
enum Place<'v> {
    Map(&'v mut Map, String),
    Seq(&'v mut Vec<Value>, String),
}

impl JsonPatch {
    /// Reads a patch, which is JSON if it begins with `[`, else YAML 1.1.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the patch is empty".to_owned());
        }
        let value = if text.starts_with('[') {
            // Only to be as strict as JSON is; the reader of YAML keeps what it needs to know of numbers.
            serde_json::from_str::<serde::de::IgnoredAny>(text)
                .map_err(|error| format!("the patch is no JSON: {error}"))?;
            read::settings(text).map_err(|error| error.to_string())?
        } else {
            read::settings(text).map_err(|error| error.to_string())?
        };
        let items = match value {
            None => return Ok(Self::default()),
            Some(value) if value.is_null() => return Ok(Self::default()),
            Some(Value::Seq(items)) => items,
            Some(other) => return Err(format!("a list of operations is needed, and {} is there", other.describe())),
        };
        if items.len() > MAX_OPERATIONS {
            return Err(format!("the patch has more than {MAX_OPERATIONS} operations; split it"));
        }
        let json = text.starts_with('[');
        let operations = items.into_iter().map(|item| Operation::new(item, json)).collect::<Result<_, _>>()?;
        Ok(Self { operations })
    }

    /// Whether it does nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Applies it to `object`, which also goes through JSON: numbers become floats, and times strings.
    pub(super) fn apply(&self, object: &Value) -> Result<Value, String> {
        let mut result = go_json::round_trip(object)?;
        let mut copied = 0;
        for (index, operation) in self.operations.iter().enumerate() {
            operation.apply(&mut result, &mut copied).map_err(|reason| {
                let kind = operation.kind.as_deref().unwrap_or("without `op`");
                format!("operation {index} ({kind} {:?}): {reason}", operation.path.as_deref().unwrap_or_default())
            })?;
        }
        if result.as_map().is_none() {
            return Err(format!("it leaves {}, and a mapping is needed", result.describe()));
        }
        go_json::round_trip(&result)
    }
}

impl Operation {
    fn new(item: Value, json: bool) -> Result<Self, String> {
        let mut map = match item {
            Value::Map(map) => map,
            null if null.is_null() => Map::new(),
            other => return Err(format!("an operation is {}, and a mapping is needed", other.describe())),
        };
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let [kind, path, from] = ["op", "path", "from"].map(|field| text(map.get(field)));
        let value = map.remove("value").unwrap_or_else(Value::null);
        Ok(Self { kind, path, from, value: if json { value } else { yaml_1_1(value) } })
    }

    fn apply(&self, root: &mut Value, copied: &mut usize) -> Result<(), String> {
        let path = self.path.as_deref().ok_or("it lacks `path`")?;
        match self.kind.as_deref() {
            Some("add") => place(root, path)?.add(self.value.clone()),
            Some("remove") => place(root, path)?.remove().map(|_| ()),
            Some("replace") if path.is_empty() => {
                if self.value.is_scalar() {
                    return Err("the object as a whole can only be replaced by a mapping".to_owned());
                }
                *root = self.value.clone();
                Ok(())
            }
            Some("replace") => place(root, path)?.replace(self.value.clone()),
            Some("move") => {
                let moved = place(root, self.from()?)?.take()?;
                place(root, path)?.add(moved)
            }
            Some("copy") => {
                let copy = place(root, self.from()?)?.get()?;
                *copied += count(&copy);
                if *copied > MAX_COPIED {
                    return Err(format!("the patch copies more than {MAX_COPIED} values"));
                }
                place(root, path)?.add(copy)
            }
            Some("test") => {
                let found = if path.is_empty() { root.clone() } else { place(root, path)?.get()? };
                let same = go_json::to_json(&found)? == go_json::to_json(&self.value)?;
                if same { Ok(()) } else { Err("the value there is another one".to_owned()) }
            }
            _ => Err("`op` is none of `add`, `remove`, `replace`, `move`, `copy` and `test`".to_owned()),
        }
    }

    fn from(&self) -> Result<&str, String> {
        self.from.as_deref().ok_or_else(|| "it lacks `from`".to_owned())
    }
}

/// Follows a path up to its last part. What stands in front of the first `/` doesn't count.
fn place<'v>(root: &'v mut Value, path: &str) -> Result<Place<'v>, String> {
    let (_, below) = path.split_once('/').ok_or("the path leads nowhere; it must begin with `/`")?;
    let mut parts: Vec<String> = below.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    let last = parts.pop().unwrap_or_default();
    let mut value = root;
    for part in &parts {
        value = match value {
            Value::Map(map) => map.get_mut(part),
            Value::Seq(items) => index(part, items.len()).ok().and_then(|at| items.get_mut(at)),
            _ => None,
        }
        .ok_or_else(|| format!("there is no `{part}` on the way"))?;
    }
    match value {
        Value::Map(map) => Ok(Place::Map(map, last)),
        Value::Seq(items) => Ok(Place::Seq(items, last)),
        other => Err(format!("`{last}` would have to be in a mapping or a list, and {} is there", other.describe())),
    }
}

/// The position in a list of `length` that `text` names.
fn index(text: &str, length: usize) -> Result<usize, String> {
    let number: i64 = text.parse().map_err(|_| format!("`{text}` is no index of a list"))?;
    let position = if number < 0 { i64::try_from(length).unwrap_or(i64::MAX).saturating_add(number) } else { number };
    let position = usize::try_from(position).ok().filter(|position| *position < length);
    position.ok_or_else(|| format!("the list has no element {number}"))
}

impl Place<'_> {
    /// A key that is missing has null.
    fn get(&self) -> Result<Value, String> {
        match self {
            Self::Map(map, key) => Ok(map.get(key).cloned().unwrap_or_else(Value::null)),
            Self::Seq(items, text) => {
                let at = index(text, items.len())?;
                Ok(items.get(at).cloned().unwrap_or_else(Value::null))
            }
        }
    }

    fn add(self, value: Value) -> Result<(), String> {
        match self {
            Self::Map(map, key) => {
                map.insert(key, value);
            }
            Self::Seq(items, text) if text == "-" => items.push(value),
            Self::Seq(items, text) => {
                let at = index(&text, items.len() + 1)?;
                items.insert(at, value);
            }
        }
        Ok(())
    }

    fn replace(self, value: Value) -> Result<(), String> {
        match self {
            Self::Map(map, key) => {
                map.insert(key, value);
            }
            Self::Seq(items, text) => {
                let at = index(&text, items.len())?;
                if let Some(slot) = items.get_mut(at) {
                    *slot = value;
                }
            }
        }
        Ok(())
    }

    fn remove(self) -> Result<Value, String> {
        match self {
            Self::Map(map, key) => map.remove(&key).ok_or_else(|| format!("there is no `{key}` to remove")),
            Self::Seq(items, text) => {
                let at = index(&text, items.len())?;
                Ok(items.remove(at))
            }
        }
    }

    fn take(self) -> Result<Value, String> {
        self.remove()
    }
}

/// Number of values in `value`.
fn count(value: &Value) -> usize {
    match value {
        Value::Map(map) => 1 + map.values().map(count).sum::<usize>(),
        Value::Seq(items) => 1 + items.iter().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// A value as YAML 1.1 reads it: `yes` and the like are booleans, times strings.
pub(super) fn yaml_1_1(value: Value) -> Value {
    match value {
        Value::Map(map) => {
            map.into_entries().into_iter().map(|(key, value)| (key, yaml_1_1(value))).collect::<Map>().into()
        }
        Value::Seq(items) => Value::Seq(items.into_iter().map(yaml_1_1).collect()),
        Value::Str(text) if !text.is_quoted() => match &*text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Value::bool(true),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Value::bool(false),
            _ => Value::Str(text),
        },
        Value::Plain(plain) if plain.kind() == Kind::Time => Value::quoted(plain.text()),
        Value::Plain(plain) if plain.kind() == Kind::Empty => Value::null(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::write::to_yaml;
    use super::*;

    fn patched(patch: &str) -> Result<String, String> {
        let object = read::document("a: {b: 1, c: [p, q, r]}\nn: null\nbig: 1000000\nt: 2001-01-01").unwrap().unwrap();
        let object = JsonPatch::parse(patch)?.apply(&object)?;
        Ok(to_yaml(object.get("a").unwrap()).unwrap().replace('\n', ";"))
    }

    #[test]
    fn operations_apply() {
        let cases = [
            ("[{op: add, path: /a/d, value: yes}]", "b: 1;c:;- p;- q;- r;d: true;"),
            ("- {op: add, path: /a/c/-, value: w}", "b: 1;c:;- p;- q;- r;- w;"),
            ("- {op: add, path: /a/c/0, value: w}", "b: 1;c:;- w;- p;- q;- r;"),
            ("- {op: add, path: /a/c/-1, value: w}", "b: 1;c:;- p;- q;- r;- w;"),
            ("- {op: remove, path: /a/c/-1}", "b: 1;c:;- p;- q;"),
            ("- {op: replace, path: /a/q, value: 5}", "b: 1;c:;- p;- q;- r;q: 5;"),
            ("- {op: add, path: /a/q}", "b: 1;c:;- p;- q;- r;q: null;"),
            ("- {op: move, from: /a/b, path: /a/c/1}", "c:;- p;- 1;- q;- r;"),
            ("- {op: copy, from: /a/b, path: /a/x~1y~0z}", "b: 1;c:;- p;- q;- r;x/y~z: 1;"),
            ("- {op: test, path: /a/b, value: 1}\n- {op: remove, path: /a/c}", "b: 1;"),
            ("- {op: test, path: /n, value: null}\n- {op: remove, path: any/a/c}", "b: 1;"),
            ("- {op: replace, path: '', value: {a: {}}}", "{};"),
        ];
        for (patch, expected) in cases {
            let patch = patch
                .strip_prefix('[')
                .and_then(|patch| patch.strip_suffix(']'))
                .map_or_else(|| patch.to_owned(), |patch| format!("- {patch}"));
            assert_eq!(patched(&patch).unwrap(), expected, "{patch}");
        }
    }

    #[test]
    fn what_does_not_apply_is_an_error() {
        for patch in [
            "- {op: remove, path: /a/q}",
            "- {op: add, path: /q/r, value: 1}",
            "- {op: add, path: /a/c/9, value: 1}",
            "- {op: replace, path: /a/c/3, value: 1}",
            "- {op: test, path: /a/b, value: 2}",
            "- {op: test, path: /a/b, value: '1'}",
            "- {op: frobnicate, path: /a}",
            "- {op: add, value: 1}",
            "- {op: add, path: '', value: {}}",
            "- {op: replace, path: '', value: [1]}",
            "- {op: move, path: /a/z}",
            "a: b",
            "",
            "[{op: add}]",
        ] {
            assert!(patched(patch).is_err(), "{patch}");
        }
    }
}
