//! The types of the built-in kinds, read from the table beside this file. Its first lines say how it is written.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use super::{
    DEDUCED, Definition, Field, Format, Id, ListDefinition, ListKind, MapDefinition, Patch, Scalar, Schema, Types,
    UNTYPED,
};

pub(super) const TABLE: &str = include_str!("types.txt");

static BUILTIN: LazyLock<Schemas> = LazyLock::new(|| Reader::new(TABLE).read(TABLE));

/// The types of all built-in kinds.
#[derive(Debug)]
pub struct Schemas {
    types: Arc<Types>,
    names: HashMap<String, Id>,
    kinds: HashMap<(String, String, String), Id>,
}

impl Schemas {
    /// The types of kube-apiserver's own kinds.
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// The type of the objects of a kind; the core group is the empty string.
    pub fn of(&self, group: &str, version: &str, kind: &str) -> Option<Schema> {
        let key = (group.to_owned(), version.to_owned(), kind.to_owned());
        Some(Schema { types: Arc::clone(&self.types), root: *self.kinds.get(&key)? })
    }

    /// The type by its name in the table, as `meta.v1.ObjectMeta`.
    pub fn named(&self, name: &str) -> Option<Schema> {
        Some(Schema { types: Arc::clone(&self.types), root: *self.names.get(name)? })
    }

    /// All kinds, as group, version, kind.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.kinds.keys().map(|(group, version, kind)| (group.as_str(), version.as_str(), kind.as_str()))
    }
}

/// How a field differs from the type that it refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Relation {
    Atomic,
    Granular,
    Set,
    Keys(Vec<String>),
}

struct Reader {
    types: Types,
    names: HashMap<String, Id>,
    /// Types that are written as expressions, by their expression and what the field says about it.
    made: HashMap<(String, Option<Relation>), Id>,
    kinds: HashMap<(String, String, String), Id>,
}

impl Reader {
    /// Gives every named type a place, so that they can refer to each other.
    fn new(table: &str) -> Self {
        let mut types = Types::new();
        let mut names = HashMap::new();
        for line in table.lines().filter(|line| !line.starts_with([' ', '#'])) {
            let name = line.split(' ').next().unwrap_or_default();
            names.insert(name.to_owned(), types.add(Definition::default()));
        }
        Self { types, names, made: HashMap::new(), kinds: HashMap::new() }
    }

    fn read(mut self, table: &str) -> Schemas {
        let mut lines = table.lines().filter(|line| !line.starts_with('#')).peekable();
        while let Some(head) = lines.next() {
            let mut fields = BTreeMap::new();
            while let Some(line) = lines.next_if(|line| line.starts_with(' ')) {
                let mut words = line.split_ascii_whitespace();
                let (name, of) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                fields.insert(name.to_owned(), self.field(of, words));
            }
            self.head(head, fields);
        }
        self.relate();
        Schemas { types: Arc::new(self.types), names: self.names, kinds: self.kinds }
    }

    fn head(&mut self, line: &str, fields: BTreeMap<String, Field>) {
        let mut words = line.split_ascii_whitespace();
        let Some(id) = words.next().and_then(|name| self.names.get(name).copied()) else { return };
        // Without fields, a struct takes anything.
        let elements = fields.is_empty().then_some(DEDUCED);
        let map = MapDefinition { fields: Arc::new(fields), elements, atomic: false };
        let mut definition = Definition { map: Some(map), ..Definition::default() };
        for word in words {
            if let Some(expression) = word.strip_prefix(':') {
                definition = self.expression(expression);
            } else if word == "atomic" {
                definition.map.iter_mut().for_each(|map| map.atomic = true);
            } else {
                let mut parts = word.split('/').map(str::to_owned);
                if let (Some(group), Some(version), Some(kind)) = (parts.next(), parts.next(), parts.next()) {
                    self.kinds.insert((group, version, kind), id);
                }
            }
        }
        definition.name = line.split(' ').next().unwrap_or_default().to_owned();
        if let Some(place) = self.types.own.get_mut(id) {
            *place = definition;
        }
    }

    fn field<'t>(&mut self, of: &str, marks: impl Iterator<Item = &'t str>) -> Field {
        let mut field = Field {
            id: UNTYPED,
            default: None,
            always: false,
            pointer: false,
            patch: Patch::default(),
            values: Vec::new(),
        };
        let mut relation = None;
        for mark in marks {
            let (word, rest) = mark.split_once(':').unwrap_or((mark, ""));
            match word {
                "!" => field.always = true,
                "?" => field.pointer = true,
                "atomic" => relation = Some(Relation::Atomic),
                "granular" => relation = Some(Relation::Granular),
                "set" => relation = Some(Relation::Set),
                "map" => relation = Some(Relation::Keys(rest.split(',').map(str::to_owned).collect())),
                "merge" => field.patch.merge_key = Some(rest.to_owned()),
                "retain" => field.patch.retain_keys = true,
                "replace" => field.patch.replace = true,
                "oneof" => field.values = rest.split('|').map(str::to_owned).collect(),
                // What only OpenAPI documents tell.
                "required" | "each" => {}
                _ => field.default = mark.strip_prefix('=').and_then(|json| serde_json::from_str(json).ok()),
            }
        }
        field.id = self.type_of(of, relation);
        field
    }

    /// The place of the type that is written as this expression.
    fn type_of(&mut self, expression: &str, relation: Option<Relation>) -> Id {
        if relation.is_none()
            && let Some(id) = self.names.get(expression)
        {
            return *id;
        }
        let key = (expression.to_owned(), relation);
        if let Some(id) = self.made.get(&key) {
            return *id;
        }
        let mut definition = self.expression(expression);
        match &key.1 {
            Some(Relation::Set) => definition.list.iter_mut().for_each(|list| list.kind = ListKind::Set),
            Some(Relation::Keys(keys)) => {
                definition.list.iter_mut().for_each(|list| list.kind = ListKind::Map(keys.clone()));
            }
            Some(Relation::Atomic) => definition.map.iter_mut().for_each(|map| map.atomic = true),
            Some(Relation::Granular) | None => {}
        }
        let id = self.types.add(definition);
        self.made.insert(key, id);
        id
    }

    fn expression(&mut self, expression: &str) -> Definition {
        let inner = |open, close| expression.strip_prefix(open).and_then(|rest: &str| rest.strip_suffix(close));
        if let Some(inner) = inner('[', ']') {
            let items = self.type_of(inner, None);
            return Definition {
                list: Some(ListDefinition { kind: ListKind::Atomic, items }),
                ..Definition::default()
            };
        }
        if let Some(inner) = inner('{', '}') {
            let map = MapDefinition { elements: Some(self.type_of(inner, None)), ..MapDefinition::default() };
            return Definition { map: Some(map), ..Definition::default() };
        }
        let scalar =
            |scalar, format| Definition { scalar: Some(scalar), format: Some(format), ..Definition::default() };
        let any = |elements, atomic, format| Definition {
            name: String::new(),
            scalar: Some(Scalar::Untyped),
            format: Some(format),
            list: Some(ListDefinition { kind: ListKind::Atomic, items: UNTYPED }),
            map: Some(MapDefinition { fields: Arc::default(), elements: Some(elements), atomic }),
        };
        match expression {
            "string" => scalar(Scalar::String, Format::Plain),
            "bytes" => scalar(Scalar::String, Format::Bytes),
            "bool" => scalar(Scalar::Boolean, Format::Plain),
            "int32" => scalar(Scalar::Numeric, Format::Int32),
            "int64" => scalar(Scalar::Numeric, Format::Int64),
            "number" => scalar(Scalar::Numeric, Format::Plain),
            "time" => scalar(Scalar::Untyped, Format::Time),
            "microtime" => scalar(Scalar::Untyped, Format::MicroTime),
            "quantity" => scalar(Scalar::Untyped, Format::Quantity),
            "int-or-string" => any(DEDUCED, false, Format::IntOrString),
            "json" => any(DEDUCED, false, Format::Json),
            "raw" => any(UNTYPED, true, Format::Raw),
            "object" => Definition {
                map: Some(MapDefinition { elements: Some(DEDUCED), ..MapDefinition::default() }),
                format: Some(Format::Json),
                ..Definition::default()
            },
            // A named type with a relation of its own; its definition may not have been read yet.
            _ => Definition::default(),
        }
    }

    /// Completes the types that are a named type with another relation, now that all named types are read.
    fn relate(&mut self) {
        let made: Vec<_> =
            self.made.iter().map(|((name, relation), id)| (name.clone(), relation.clone(), *id)).collect();
        for (name, relation, id) in made {
            let (Some(named), Some(relation)) = (self.names.get(&name), relation) else { continue };
            let Some(map) = self.types.get(*named).and_then(|definition| definition.map.clone()) else { continue };
            if let Some(place) = self.types.own.get_mut(id) {
                place.map = Some(MapDefinition { atomic: relation == Relation::Atomic, ..map });
            }
        }
    }
}
