//! A resource on its way through a build: its value, and what was done to it.

use std::collections::HashSet;

use super::build_metadata::Origin;
use super::error::KustomizeError;
use super::schema::Schema;
use super::value::{Map, Text, Value};

/// Namespace of what has none because it can't have one.
const NO_NAMESPACE: &str = "_non_namespaceable_";

/// Group, version and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gvk<'r> {
    /// Group; empty for the core.
    pub group: &'r str,
    /// Version.
    pub version: &'r str,
    /// Kind.
    pub kind: &'r str,
}

impl<'r> Gvk<'r> {
    /// Takes an API version apart.
    pub fn new(api_version: &'r str, kind: &'r str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group, version, kind }
    }

    /// Whether it is what `selector` says, which has empty parts for what doesn't count.
    pub fn is_selected_by(self, selector: Gvk<'_>) -> bool {
        let matches = |own: &str, selector: &str| selector.is_empty() || own == selector;
        matches(self.group, selector.group)
            && matches(self.version, selector.version)
            && matches(self.kind, selector.kind)
    }
}

/// What a resource is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id<'r> {
    /// Group, version and kind.
    pub gvk: Gvk<'r>,
    /// Name.
    pub name: &'r str,
    /// Namespace: `default` if none is given, and a name that no namespace has if it can't have one.
    pub namespace: &'r str,
}

/// A name that a resource had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// The name.
    pub name: String,
    /// Its namespace, in the form of [`Id::namespace`].
    pub namespace: String,
    /// Its kind.
    pub kind: String,
}

/// What a generated resource does with one of the same name that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behavior {
    /// There must be none.
    #[default]
    Create,
    /// It takes its place, but for the metadata.
    Replace,
    /// Their data are merged.
    Merge,
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// What it says. A mapping.
    pub value: Value,
    /// The names that it had, oldest first.
    pub previous: Vec<Previous>,
    /// Prefixes of names that it was given, innermost first.
    pub prefixes: Vec<String>,
    /// Suffixes of names that it was given, innermost first.
    pub suffixes: Vec<String>,
    /// What a generated resource does with one that is there.
    pub behavior: Behavior,
    /// Whether its name gets a hash of its content.
    pub needs_hash: bool,
    /// Names of the variables that are taken from it.
    pub variables: Vec<String>,
    /// Whether it is known to have no namespace.
    pub cluster_scoped: bool,
    /// Where it comes from, if that is written down.
    pub origin: Option<Origin>,
    /// What changed it, if that is written down.
    pub transformations: Vec<Origin>,
    /// The nodes that several of its strings share, and what they say.
    pub(super) shared: Vec<Text>,
}

impl Resource {
    /// A resource that nothing was done to yet.
    pub fn new(value: Value, schema: &Schema) -> Self {
        let mut resource = Self {
            value,
            previous: Vec::new(),
            prefixes: Vec::new(),
            suffixes: Vec::new(),
            behavior: Behavior::default(),
            needs_hash: false,
            variables: Vec::new(),
            cluster_scoped: false,
            origin: None,
            transformations: Vec::new(),
            shared: Vec::new(),
        };
        resource.rescope(schema);
        resource
    }

    /// Looks up whether it has a namespace. To be called after its API version or kind may have changed.
    pub fn rescope(&mut self, schema: &Schema) {
        self.cluster_scoped = schema.is_namespaced(self.api_version(), self.kind()) == Some(false);
    }

    fn text(&self, field: &str) -> &str {
        self.value.get(field).and_then(Value::text).unwrap_or_default()
    }

    fn metadata_text(&self, field: &str) -> &str {
        let value = self.value.get("metadata").and_then(|metadata| metadata.get(field));
        value.filter(|value| !value.is_null()).and_then(Value::text).unwrap_or_default()
    }

    /// API version.
    pub fn api_version(&self) -> &str {
        self.text("apiVersion")
    }

    /// Kind.
    pub fn kind(&self) -> &str {
        self.text("kind")
    }

    /// Name.
    pub fn name(&self) -> &str {
        self.metadata_text("name")
    }

    /// Namespace as it is written; empty if none is.
    pub fn namespace(&self) -> &str {
        self.metadata_text("namespace")
    }

    /// Group, version and kind.
    pub fn gvk(&self) -> Gvk<'_> {
        Gvk::new(self.api_version(), self.kind())
    }

    /// What it is called now.
    pub fn id(&self) -> Id<'_> {
        let namespace = match self.namespace() {
            _ if self.cluster_scoped => NO_NAMESPACE,
            "" => "default",
            namespace => namespace,
        };
        Id { gvk: self.gvk(), name: self.name(), namespace }
    }

    /// What it was called, oldest first.
    pub fn previous_ids(&self) -> impl DoubleEndedIterator<Item = Id<'_>> {
        let Gvk { group, version, .. } = self.gvk();
        self.previous.iter().map(move |previous| Id {
            gvk: Gvk { group, version, kind: &previous.kind },
            name: &previous.name,
            namespace: &previous.namespace,
        })
    }

    /// What it was called first.
    pub fn original_id(&self) -> Id<'_> {
        self.previous_ids().next().unwrap_or_else(|| self.id())
    }

    /// Everything that it was called and is called.
    pub fn all_ids(&self) -> impl Iterator<Item = Id<'_>> {
        self.previous_ids().chain(std::iter::once(self.id()))
    }

    /// Whether a comma in a former name makes kustomize lose count: it keeps names, namespaces and kinds in lists of texts.
    pub fn has_lost_count(&self) -> bool {
        let commas = |text: fn(&Previous) -> &str| -> usize {
            self.previous.iter().map(|previous| text(previous).matches(',').count()).sum()
        };
        let names = commas(|previous| &previous.name);
        names != commas(|previous| &previous.namespace) || names != commas(|previous| &previous.kind)
    }

    /// Writes down what it is called, before that changes.
    pub fn remember(&mut self) {
        let id = self.id();
        let previous =
            Previous { name: id.name.to_owned(), namespace: id.namespace.to_owned(), kind: id.gvk.kind.to_owned() };
        self.previous.push(previous);
    }

    /// The metadata, which is made if there is none.
    pub fn metadata_mut(&mut self) -> Option<&mut Map> {
        let metadata = self.value.as_map_mut()?.get_or_insert_with("metadata", || Value::Map(Map::new()));
        if metadata.is_null() {
            *metadata = Value::Map(Map::new());
        }
        metadata.as_map_mut()
    }

    /// Sets the name.
    pub fn set_name(&mut self, name: &str) {
        self.set_metadata("name", name);
    }

    /// Sets the namespace. An empty one is taken away.
    pub fn set_namespace(&mut self, namespace: &str) {
        if namespace.is_empty() {
            self.metadata_mut().and_then(|metadata| metadata.remove("namespace"));
        } else {
            self.set_metadata("namespace", namespace);
        }
    }

    fn set_metadata(&mut self, field: &str, text: &str) {
        if let Some(metadata) = self.metadata_mut() {
            let value = metadata.get_or_insert_with(field, || Value::untagged(text));
            value.write_over(text);
            value.quote_if_keyword();
        }
    }

    /// Sets the kind.
    pub fn set_kind(&mut self, kind: &str, schema: &Schema) {
        if let Some(map) = self.value.as_map_mut() {
            map.insert("kind", Value::str(kind));
        }
        self.rescope(schema);
    }

    /// A label, or an annotation: the text of an entry of a mapping in the metadata.
    pub fn metadata_entries(&self, field: &str) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.value.at(&["metadata", field]).and_then(Value::as_map);
        entries.into_iter().flat_map(|map| map.iter().map(|(key, value)| (key, value.text().unwrap_or_default())))
    }

    /// Sets labels or annotations as kustomize does: ordered by name, all of them strings. None at all are taken away.
    pub fn set_metadata_entries(&mut self, field: &str, mut entries: Vec<(String, String)>) {
        entries.sort();
        let Some(metadata) = self.metadata_mut() else { return };
        metadata.remove(field);
        if !entries.is_empty() {
            let entries: Map = entries.into_iter().map(|(key, text)| (key, Value::Str(string(text)))).collect();
            metadata.insert(field, Value::Map(entries));
        }
    }

    /// What it is, for messages.
    pub fn describe(&self) -> String {
        let kind = self.kind();
        match self.namespace() {
            "" => format!("{kind} {}", self.name()),
            namespace => format!("{kind} {namespace}/{}", self.name()),
        }
    }
}

/// A string that is quoted if it has to be.
fn string(text: String) -> Text {
    let mut text = Text::from(text);
    text.quote_if_keyword();
    text
}

/// The resources of a build, in their order. No two are called the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// The resources.
    pub list: Vec<Resource>,
}

impl Resources {
    /// Adds resources, each of which must be called as none that is there.
    pub fn append(&mut self, more: impl IntoIterator<Item = Resource>) -> Result<(), KustomizeError> {
        let mut more = more.into_iter().peekable();
        if more.peek().is_none() {
            return Ok(());
        }
        let start = self.list.len();
        self.list.extend(more);
        if let Some(resource) = self.twice() {
            let reason = format!(
                "{} ({}) is there already; each resource may be added once, or use a patch to change it",
                resource.describe(),
                resource.api_version()
            );
            self.list.truncate(start);
            return Err(KustomizeError::new(reason));
        }
        Ok(())
    }

    /// A resource that is called like one before it.
    pub fn twice(&self) -> Option<&Resource> {
        let mut ids = HashSet::with_capacity(self.list.len());
        self.list.iter().find(|resource| !ids.insert(resource.id()))
    }

    /// Positions of the resources that are or were called so that `matches`.
    pub fn find(&self, matches: impl Fn(Id<'_>) -> bool) -> Vec<usize> {
        let found = |(at, resource): (usize, &Resource)| resource.all_ids().any(&matches).then_some(at);
        self.list.iter().enumerate().filter_map(found).collect()
    }

    /// Adds what a generator made, or merges it with what is there.
    pub fn absorb(&mut self, resource: Resource) -> Result<(), KustomizeError> {
        let id = resource.id();
        let found = self.find(|other| other == id);
        let described = resource.describe();
        match (found.as_slice(), resource.behavior) {
            // Nothing is or was called so.
            ([], Behavior::Create) => {
                self.list.push(resource);
                Ok(())
            }
            ([], _) => Err(KustomizeError::new(format!(
                "there is no {described} to merge with or replace; add it to `resources`, or leave out `behavior`"
            ))),
            ([_], Behavior::Create) => Err(KustomizeError::new(format!(
                "{described} is there already; set `behavior` to `merge` or `replace`, or choose another name"
            ))),
            (&[at], _) => match self.list.get_mut(at) {
                Some(old) => {
                    *old = super::generators::combine(old, resource)?;
                    Ok(())
                }
                None => Ok(()),
            },
            _ => Err(KustomizeError::new(format!("there are several {described} that could be merged with"))),
        }
    }
}
