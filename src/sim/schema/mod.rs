//! What the API server knows about the types of objects: how their fields merge, what they default to, what may be in them.
//!
//! The built-in kinds come from a table that `hack/schema/types.sh` makes of the real server's OpenAPI documents; the types of
//! custom resources come from the schema in their definition ([`Structural`]).

mod builtin;
mod check;
mod custom;
mod formats;
mod normal;
pub mod openapi;
pub mod quantity;
mod rules;
mod strings;
mod structural;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

pub use builtin::Schemas;
pub use check::FieldError;
pub use formats::{FormatError, check_formats, time_error};
pub use normal::{normalize, store, zero};
pub use structural::{Structural, StructuralError};
pub use wire::from_protobuf;

/// Place of a type in its [`Types`].
type Id = usize;
/// The type of values that nothing is known of, in which every list and map is one value.
const UNTYPED: Id = 0;
/// The type of values that nothing is known of, in which maps merge member by member.
const DEDUCED: Id = 1;

/// What a scalar may be, as far as merging looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// An integer or a floating point number.
    Numeric,
    /// A string.
    String,
    /// `true` or `false`.
    Boolean,
    /// Any of them.
    Untyped,
}

/// What a value of a built-in type is in the server's own memory, which decides how it is written back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Nothing special.
    Plain,
    /// An integer of 32 bits.
    Int32,
    /// An integer of 64 bits.
    Int64,
    /// Base64.
    Bytes,
    /// A time in seconds.
    Time,
    /// A time in microseconds.
    MicroTime,
    /// A quantity such as `100m` or `1Gi`.
    Quantity,
    /// An integer or a string.
    IntOrString,
    /// Any object, kept as it was sent.
    Raw,
    /// Anything, kept as it was sent.
    Json,
}

/// How the items of a list belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// The list is one value.
    Atomic,
    /// Each item stands for itself.
    Set,
    /// Items are told apart by these fields.
    Map(Vec<String>),
}

/// How strategic merge patches treat a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Lists merge instead of being replaced: by this field of their items, or as a set if it is empty.
    pub merge_key: Option<String>,
    /// Fields that the patch does not name are dropped (`retainKeys`).
    pub retain_keys: bool,
    /// The field is replaced as a whole.
    pub replace: bool,
}

#[derive(Debug, Default)]
struct Definition {
    /// As the table calls it; empty: it is written as an expression.
    name: String,
    scalar: Option<Scalar>,
    format: Option<Format>,
    list: Option<ListDefinition>,
    map: Option<MapDefinition>,
}

#[derive(Clone, Debug)]
struct ListDefinition {
    kind: ListKind,
    items: Id,
}

#[derive(Clone, Debug, Default)]
struct MapDefinition {
    fields: Arc<BTreeMap<String, Field>>,
    elements: Option<Id>,
    atomic: bool,
}

/// What is known of a field beyond its type.
#[derive(Clone, Debug)]
pub struct Field {
    id: Id,
    /// What it is if it is left out.
    pub default: Option<Value>,
    /// Whether the server writes it even where nothing was set.
    pub always: bool,
    /// Whether the server writes it wherever something was set, even an empty string, zero or an empty list.
    pub pointer: bool,
    /// How strategic merge patches treat it.
    pub patch: Patch,
    /// The strings that it may be; empty: any.
    pub values: Vec<String>,
}

impl Field {
    /// Whether it is a struct that is always there.
    fn is_struct(&self) -> bool {
        matches!(self.default, Some(Value::Object(_)))
    }
}

impl Format {
    /// Whether the server keeps it as it was sent.
    fn is_opaque(self) -> bool {
        matches!(self, Self::Json | Self::Raw)
    }
}

/// Types that refer to each other by their place. Those of `base` come first.
#[derive(Debug, Default)]
struct Types {
    base: Option<Arc<Self>>,
    own: Vec<Definition>,
}

impl Types {
    /// The two types that all others build on.
    fn new() -> Self {
        let of = |elements, atomic| Definition {
            name: String::new(),
            scalar: Some(Scalar::Untyped),
            format: Some(Format::Json),
            list: Some(ListDefinition { kind: ListKind::Atomic, items: UNTYPED }),
            map: Some(MapDefinition { fields: Arc::default(), elements: Some(elements), atomic }),
        };
        Self { base: None, own: vec![of(UNTYPED, true), of(DEDUCED, false)] }
    }

    /// Types beside these, which they may refer to.
    fn over(base: Arc<Self>) -> Self {
        Self { base: Some(base), own: Vec::new() }
    }

    fn len(&self) -> usize {
        self.base.as_ref().map_or(0, |base| base.len()) + self.own.len()
    }

    fn get(&self, id: Id) -> Option<&Definition> {
        match &self.base {
            Some(base) => base.get(id).or_else(|| self.own.get(id.checked_sub(base.len())?)),
            None => self.own.get(id),
        }
    }

    fn add(&mut self, definition: Definition) -> Id {
        self.own.push(definition);
        self.len() - 1
    }
}

/// The type of the objects of one kind in one version. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Schema {
    types: Arc<Types>,
    root: Id,
}

impl Schema {
    /// The type of objects that have no schema: maps merge member by member, lists are one value.
    pub fn deduced() -> Self {
        Self { types: Arc::new(Types::new()), root: DEDUCED }
    }

    /// The type itself.
    pub fn root(&self) -> Type<'_> {
        Type { types: &self.types, id: self.root }
    }

    /// Whether both are the same type of the same table.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.types, &other.types) && self.root == other.root
    }
}

/// A type. It may allow scalars, lists and maps at once: values that nothing is known of do.
#[derive(Clone, Copy, Debug)]
pub struct Type<'a> {
    types: &'a Types,
    id: Id,
}

impl<'a> Type<'a> {
    fn at(self, id: Id) -> Self {
        Self { types: self.types, id }
    }

    fn definition(self) -> Option<&'a Definition> {
        self.types.get(self.id)
    }

    /// Its name in the table, as `core.v1.Container`; empty if it has none.
    pub fn name(self) -> &'a str {
        self.definition().map(|definition| definition.name.as_str()).unwrap_or_default()
    }

    /// What a scalar of this type may be; `None`: it may not be one.
    pub fn scalar(self) -> Option<Scalar> {
        self.definition()?.scalar
    }

    /// What the server makes of its values.
    pub fn format(self) -> Format {
        self.definition().and_then(|definition| definition.format).unwrap_or(Format::Plain)
    }

    /// What a list of this type is; `None`: it may not be one.
    pub fn list(self) -> Option<List<'a>> {
        let list = self.definition()?.list.as_ref()?;
        Some(List { kind: &list.kind, items: self.at(list.items) })
    }

    /// What a map (or struct) of this type is; `None`: it may not be one.
    pub fn map(self) -> Option<Map<'a>> {
        let definition = self.definition()?.map.as_ref()?;
        Some(Map { of: self, definition })
    }

    /// The type of a member of a map of this type, whether a declared field or not.
    pub fn member(self, name: &str) -> Option<Self> {
        self.map()?.member(name)
    }

    /// Whether it is a struct: declared fields and nothing else.
    pub fn is_struct(self) -> bool {
        self.scalar().is_none() && self.map().is_some_and(|map| map.elements().is_none())
    }

    /// Whether maps of this type have no declared field and take anything.
    pub fn is_free_form(self) -> bool {
        let elements = self.map().filter(|map| map.definition.fields.is_empty()).and_then(Map::elements);
        elements.is_some_and(|elements| elements.id == DEDUCED)
    }
}

/// A list's type.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// How its items belong together.
    pub kind: &'a ListKind,
    /// The type of its items.
    pub items: Type<'a>,
}

/// A map's or struct's type.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    of: Type<'a>,
    definition: &'a MapDefinition,
}

impl<'a> Map<'a> {
    /// Whether the map is one value.
    pub fn is_atomic(self) -> bool {
        self.definition.atomic
    }

    /// A declared field and its type.
    pub fn field(self, name: &str) -> Option<(&'a Field, Type<'a>)> {
        let field = self.definition.fields.get(name)?;
        Some((field, self.of.at(field.id)))
    }

    /// The declared fields, by name.
    pub fn fields(self) -> impl Iterator<Item = (&'a str, &'a Field, Type<'a>)> {
        let of = self.of;
        self.definition.fields.iter().map(move |(name, field)| (name.as_str(), field, of.at(field.id)))
    }

    /// The type of members that are no declared fields; `None`: there may be none.
    pub fn elements(self) -> Option<Type<'a>> {
        Some(self.of.at(self.definition.elements?))
    }

    /// The type of the member of this name; `None`: it may not be there.
    pub fn member(self, name: &str) -> Option<Type<'a>> {
        self.field(name).map(|(_, of)| of).or_else(|| self.elements())
    }
}
