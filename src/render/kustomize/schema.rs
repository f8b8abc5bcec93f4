//! What kustomize knows about the structure of kinds: which lists merge by which keys, and which kinds are namespaced.
//!
//! The built-in table is made by `hack/tools/schema.sh` of the very schema that kustomize embeds, which is older than the
//! Kubernetes of today: a kind or a field that it lacks merges as that of a custom resource does.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// Made by `hack/tools/schema.sh`; the comments on top of it explain its lines.
const TABLE: &str = include_str!("tables/kubernetes.txt");

static BUILT_IN: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(Schema::parse(TABLE)));

/// Longest chain of references that is followed to find a type. Beyond it there is a cycle, and no type.
const MAX_REFERENCES: usize = 64;

/// Structure of kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    types: HashMap<Box<str>, Type>,
    /// By API version, then kind.
    kinds: HashMap<Box<str>, HashMap<Box<str>, KindEntry>>,
}

/// What is known about one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct KindEntry {
    /// Name of its type.
    definition: Option<Box<str>>,
    namespaced: Option<bool>,
}

/// Structure of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Type {
    /// It is the type of this name, and nothing else here counts.
    pub(super) reference: Option<Box<str>>,
    /// It is a list that merges: by these keys, or as a set if there are none.
    pub(super) merges_by: Option<Vec<Box<str>>>,
    /// Of a list: what its elements are.
    pub(super) element: Option<Box<Self>>,
    /// Of a mapping: the fields that are known by name.
    pub(super) fields: HashMap<Box<str>, Self>,
    /// Of a mapping: what all other fields are.
    pub(super) others: Option<Box<Self>>,
}

/// The structure of one value: where a walk through an object stands in the schema.
#[derive(Clone, Copy, Debug)]
pub struct Node<'s> {
    schema: &'s Schema,
    at: &'s Type,
}

impl Schema {
    /// What kustomize has built in.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// The same, to be shared.
    pub fn built_in_shared() -> Arc<Self> {
        Arc::clone(&BUILT_IN)
    }

    /// The structure of a kind. `None` if the schema doesn't have it.
    pub fn kind(&self, api_version: &str, kind: &str) -> Option<Node<'_>> {
        let name = self.kinds.get(api_version)?.get(kind)?.definition.as_deref()?;
        let at = self.types.get(name)?;
        Some(Node { schema: self, at })
    }

    /// Whether objects of a kind have a namespace. `None` if the schema doesn't say.
    pub fn is_namespaced(&self, api_version: &str, kind: &str) -> Option<bool> {
        self.kinds.get(api_version)?.get(kind)?.namespaced
    }

    /// Adds a type.
    pub(super) fn define(&mut self, name: &str, at: Type) {
        self.types.insert(name.into(), at);
    }

    /// Says which type a kind has.
    pub(super) fn define_kind(&mut self, api_version: &str, kind: &str, definition: &str) {
        self.entry(api_version, kind).definition = Some(definition.into());
    }

    /// Says whether a kind is namespaced.
    pub(super) fn scope_kind(&mut self, api_version: &str, kind: &str, namespaced: bool) {
        self.entry(api_version, kind).namespaced = Some(namespaced);
    }

    /// Adds everything that `other` says; what it says again replaces what was said before.
    pub(super) fn extend(&mut self, other: &Self) {
        self.types.extend(other.types.iter().map(|(name, at)| (name.clone(), at.clone())));
        for (api_version, kinds) in &other.kinds {
            for (kind, theirs) in kinds {
                let ours = self.entry(api_version, kind);
                if theirs.definition.is_some() {
                    ours.definition.clone_from(&theirs.definition);
                }
                ours.namespaced = theirs.namespaced.or(ours.namespaced);
            }
        }
    }

    /// The scopes of the built-in kinds without their structure: kustomize knows those with every schema.
    pub(super) fn scopes_only() -> Self {
        let mut scopes = Self::default();
        for (api_version, kinds) in &BUILT_IN.kinds {
            for (kind, entry) in kinds {
                scopes.entry(api_version, kind).namespaced = entry.namespaced;
            }
        }
        scopes
    }

    fn entry(&mut self, api_version: &str, kind: &str) -> &mut KindEntry {
        self.kinds.entry(api_version.into()).or_default().entry(kind.into()).or_default()
    }

    /// Reads a table. Lines that it doesn't understand are left out; a test sees to it that there are none.
    fn parse(table: &str) -> Self {
        let mut schema = Self::default();
        let mut current = None;
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next(), words.next(), words.next()) {
                (Some("definition"), Some(name), None, ..) => {
                    schema.define(name, Type::default());
                    current = Some(name);
                }
                (Some("resource"), Some(api_version), Some(kind), Some(scope), definition) => {
                    let entry = schema.entry(api_version, kind);
                    entry.definition = definition.map(Into::into);
                    entry.namespaced = match scope {
                        "namespaced" => Some(true),
                        "cluster" => Some(false),
                        _ => None,
                    };
                }
                (Some(field), Some(text), None, ..) => {
                    let definition = current.and_then(|name: &str| schema.types.get_mut(name));
                    if let Some((definition, at)) = definition.zip(Type::parse(text)) {
                        definition.fields.insert(field.into(), at);
                    }
                }
                _ => {}
            }
        }
        schema
    }
}

impl Type {
    /// A type as the table writes it.
    fn parse(text: &str) -> Option<Self> {
        if text == "." {
            return Some(Self::default());
        }
        if let Some(name) = text.strip_prefix('@') {
            return Some(Self { reference: Some(name.into()), ..Self::default() });
        }
        if let Some(others) = text.strip_prefix("{}") {
            return Some(Self { others: Some(Box::new(Self::parse(others)?)), ..Self::default() });
        }
        let (keys, element) = text.strip_prefix('[')?.split_once(']')?;
        let merges_by = match keys {
            "" => None,
            "=" => Some(Vec::new()),
            _ => Some(keys.split(',').map(Into::into).collect()),
        };
        Some(Self { merges_by, element: Some(Box::new(Self::parse(element)?)), ..Self::default() })
    }
}

impl<'s> Node<'s> {
    /// The structure of a field. `None` if the schema has no such field.
    pub fn field(self, name: &str) -> Option<Self> {
        let at = self.at.fields.get(name).or(self.at.others.as_deref())?;
        self.resolve(at)
    }

    /// The structure of the elements of a list.
    pub fn element(self) -> Option<Self> {
        self.resolve(self.at.element.as_deref()?)
    }

    /// If it is a list that merges: the keys that tell elements apart, or none if it is a set of scalars. `None` if
    /// it is replaced as a whole.
    pub fn merges_by(self) -> Option<&'s [Box<str>]> {
        self.at.merges_by.as_deref()
    }

    fn resolve(self, at: &'s Type) -> Option<Self> {
        let mut at = at;
        for _ in 0..MAX_REFERENCES {
            match &at.reference {
                None => return Some(Self { at, ..self }),
                Some(name) => at = self.schema.types.get(name)?,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(node: Node<'_>) -> Option<Vec<&str>> {
        node.merges_by().map(|keys| keys.iter().map(AsRef::as_ref).collect())
    }

    #[test]
    fn containers_merge_by_name_and_their_ports_by_number_and_protocol() {
        let deployment = Schema::built_in().kind("apps/v1", "Deployment").unwrap();
        let pod = deployment.field("spec").unwrap().field("template").unwrap().field("spec").unwrap();
        let containers = pod.field("containers").unwrap();
        assert_eq!(keys(containers), Some(vec!["name"]));
        let container = containers.element().unwrap();
        assert_eq!(keys(container.field("ports").unwrap()), Some(vec!["containerPort", "protocol"]));
        assert_eq!(keys(container.field("args").unwrap()), None);
        assert!(container.field("args").unwrap().element().is_some());
        assert!(container.field("nothing").is_none());
        assert!(pod.field("nodeSelector").unwrap().field("any.key").is_some());
    }

    #[test]
    fn finalizers_are_a_set() {
        let meta = Schema::built_in().kind("v1", "Pod").unwrap().field("metadata").unwrap();
        assert_eq!(keys(meta.field("finalizers").unwrap()), Some(vec![]));
    }

    #[test]
    fn scopes_are_known_for_built_in_kinds_alone() {
        let schema = Schema::built_in();
        assert_eq!(schema.is_namespaced("v1", "Namespace"), Some(false));
        assert_eq!(schema.is_namespaced("apps/v1", "Deployment"), Some(true));
        assert_eq!(schema.is_namespaced("example.com/v1", "Widget"), None);
        let scopes = Schema::scopes_only();
        assert_eq!(scopes.is_namespaced("v1", "Namespace"), Some(false));
        assert!(scopes.kind("v1", "Namespace").is_none());
    }

    #[test]
    fn every_line_of_the_table_is_understood() {
        let mut definitions = 0;
        let mut resources = 0;
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<_> = line.split(' ').collect();
            match words.as_slice() {
                ["definition", _] => definitions += 1,
                ["resource", _, _, "namespaced" | "cluster" | "unknown"]
                | ["resource", _, _, "namespaced" | "cluster" | "unknown", _] => resources += 1,
                [_, text] => assert!(Type::parse(text).is_some(), "{line}"),
                _ => panic!("{line}"),
            }
        }
        let schema = Schema::built_in();
        assert_eq!(schema.types.len(), definitions);
        assert_eq!(schema.kinds.values().map(HashMap::len).sum::<usize>(), resources);
        assert!(definitions > 500 && resources > 200);
    }

    #[test]
    fn a_cycle_of_references_has_no_type() {
        let mut schema = Schema::default();
        schema.define("a", Type::parse("@b").unwrap());
        schema.define("b", Type::parse("@a").unwrap());
        schema.define("kind", Type { fields: [("x".into(), Type::parse("@a").unwrap())].into(), ..Type::default() });
        schema.define_kind("v1", "K", "kind");
        assert!(schema.kind("v1", "K").unwrap().field("x").is_none());
    }
}
