//! Values seen through their type: what they hold, how two of them differ, what they are together.
//!
//! The behaviour is that of structured-merge-diff, which the API server uses: types that allow several shapes are taken by what
//! the value is, empty maps and lists are leaves, and `null` is a value of any shape.

mod compare;
mod field_set;
mod merge;
mod reconcile;
mod remove;
mod show;
mod validate;

use std::fmt::{self, Display, Formatter};

use serde_json::Value;

use super::fields::{Element, Exact, Path};
use super::schema::{List, ListKind, Map, Scalar, Type};

pub use compare::{Comparison, compare};
pub use field_set::field_set;
pub use merge::merge;
pub use reconcile::reconcile;
pub use remove::remove;
pub use show::plain;
pub use validate::{Duplicates, validate};

/// What is wrong with a value, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeError {
    /// Where; empty: the object itself.
    pub path: Path,
    /// What.
    pub message: String,
}

/// What is wrong with a value; never empty. Shown as the server shows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct TypeErrors(pub Vec<TypeError>);

impl Display for TypeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let separator = if self.path.0.is_empty() { "" } else { ": " };
        write!(f, "{}{separator}{}", self.path, self.message)
    }
}

impl Display for TypeErrors {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let [one] = self.0.as_slice() {
            return one.fmt(f);
        }
        f.write_str("errors:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl TypeErrors {
    /// `value`, unless there were errors.
    fn or<T>(errors: Vec<TypeError>, value: T) -> Result<T, Self> {
        if errors.is_empty() { Ok(value) } else { Err(Self(errors)) }
    }
}

/// A type, narrowed to the shapes that a value leaves open.
#[derive(Clone, Copy, Debug)]
struct Shapes<'a> {
    map: Option<Map<'a>>,
    scalar: Option<Scalar>,
    list: Option<List<'a>>,
}

/// The shape that a value is taken for.
enum Shape<'a> {
    Map(Map<'a>),
    Scalar(Scalar),
    List(List<'a>),
    None,
}

impl<'a> Shapes<'a> {
    /// The shapes of a type that this value may have: its own if the type allows that, else all, so that the error says what
    /// was expected.
    fn of(of: Type<'a>, value: Option<&Value>) -> Self {
        let all = Self { map: of.map(), scalar: of.scalar(), list: of.list() };
        let none = Self { map: None, scalar: None, list: None };
        match value {
            Some(Value::Object(_)) if all.map.is_some() => Self { map: all.map, ..none },
            Some(Value::Array(_)) if all.list.is_some() => Self { list: all.list, ..none },
            Some(Value::Null | Value::Object(_) | Value::Array(_)) | None => all,
            Some(_) if all.scalar.is_some() => Self { scalar: all.scalar, ..none },
            Some(_) => all,
        }
    }

    /// Whether both leave the same shapes open; they must be of the same type.
    fn same(&self, other: &Self) -> bool {
        let open = |shapes: &Self| (shapes.map.is_some(), shapes.scalar.is_some(), shapes.list.is_some());
        open(self) == open(other)
    }

    fn shape(self) -> Shape<'a> {
        match self {
            Self { map: Some(map), .. } => Shape::Map(map),
            Self { scalar: Some(scalar), .. } => Shape::Scalar(scalar),
            Self { list: Some(list), .. } => Shape::List(list),
            _ => Shape::None,
        }
    }
}

/// By what an item of a list that isn't atomic is told apart.
fn element_of(list: List<'_>, item: &Value) -> Result<Element, String> {
    match list.kind {
        ListKind::Atomic => Err("invalid indexing of non-associative list".to_owned()),
        ListKind::Set => match item {
            Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
            Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
            Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
            scalar => Ok(Element::Value(Exact(scalar.clone()))),
        },
        ListKind::Map(keys) => key_of(list.items, keys, item),
    }
}

fn key_of(items: Type<'_>, keys: &[String], item: &Value) -> Result<Element, String> {
    let members = match item {
        Value::Object(members) => members,
        Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let default = |key: &str| items.map()?.field(key)?.0.default.clone();
    let mut found: Vec<(String, Exact)> = keys
        .iter()
        .filter_map(|key| Some((key.clone(), Exact(members.get(key).cloned().or_else(|| default(key))?))))
        .collect();
    if found.is_empty() {
        let keys: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for \
             any key fields)",
            keys.join(" ")
        ));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Element::Key(found))
}

/// Whether there is nothing in it: it is missing, `null`, of another shape, or empty.
fn is_blank_list(value: Option<&Value>) -> bool {
    value.and_then(Value::as_array).is_none_or(Vec::is_empty)
}

/// The same of maps.
fn is_blank_map(value: Option<&Value>) -> bool {
    value.and_then(Value::as_object).is_none_or(serde_json::Map::is_empty)
}
