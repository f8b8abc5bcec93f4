//! What the server serves: the built-in resources, and those that CustomResourceDefinitions add.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

/// The table of the built-in resources; its first lines say what stands where.
const TABLE: &str = include_str!("resources.txt");
/// All verbs, in the order of the discovery documents.
const ALL_VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
/// Verbs of a subresource unless the table says otherwise.
const SUBRESOURCE_VERBS: [&str; 3] = ["get", "patch", "update"];

/// One resource in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Group; empty: the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Plural name, as in paths.
    pub plural: String,
    /// Singular name.
    pub singular: String,
    /// Kind.
    pub kind: String,
    /// Kind of its lists.
    pub list_kind: String,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// Short names that kubectl takes.
    pub short_names: Vec<String>,
    /// Categories, as `all`.
    pub categories: Vec<String>,
    /// What can be done with it.
    pub verbs: Vec<String>,
    /// Its subresources, by name.
    pub subresources: Vec<Subresource>,
    /// Whether a definition added it.
    pub custom: bool,
    /// The version as its definition has it; null for a built-in one.
    pub definition: Value,
}

/// A part of objects that has a path of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// Name, as `status`.
    pub name: String,
    /// Group, version and kind of what it takes and answers; `None`: the resource's own.
    pub kind: Option<(String, String, String)>,
    /// What can be done with it.
    pub verbs: Vec<String>,
}

impl Resource {
    /// One of which nothing but its name is known.
    pub fn named(group: &str, plural: &str) -> Self {
        Self {
            group: group.to_owned(),
            version: String::new(),
            plural: plural.to_owned(),
            singular: String::new(),
            kind: String::new(),
            list_kind: String::new(),
            namespaced: true,
            short_names: Vec::new(),
            categories: Vec::new(),
            verbs: Vec::new(),
            subresources: Vec::new(),
            custom: false,
            definition: Value::Null,
        }
    }

    /// `plural.group`, by which errors name it.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `group/version`, or the version alone for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The type of its objects, or of its lists, in the server's own code.
    pub fn go_type(&self, list: bool) -> String {
        let kind = if list { &self.list_kind } else { &self.kind };
        match self.group.split('.').next() {
            _ if self.custom => format!("unstructured.Unstructured{}", if list { "List" } else { "" }),
            Some("" | "events") | None => format!("core.{kind}"),
            Some(package) => format!("{package}.{kind}"),
        }
    }

    /// The subresource of a name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|known| known.name == name)
    }

    /// Whether a verb is served.
    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    /// Reads a line of the table.
    fn parse(line: &str) -> Option<Self> {
        let mut columns = line.split_whitespace();
        let (group, version) = split_group(columns.next()?);
        let (plural, kind, scope) = (columns.next()?, columns.next()?, columns.next()?);
        let mut list = || columns.next().map(names);
        let (short_names, categories, verbs) = (list()?, list()?, list()?);
        let all = verbs.iter().any(|verb| verb == "*");
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            singular: kind.to_ascii_lowercase(),
            kind: kind.to_owned(),
            list_kind: format!("{kind}List"),
            namespaced: scope == "namespaced",
            short_names,
            categories,
            verbs: if all { ALL_VERBS.map(str::to_owned).to_vec() } else { verbs },
            subresources: columns.map(Subresource::parse).collect(),
            custom: false,
            definition: Value::Null,
        })
    }
}

impl Subresource {
    /// One of a resource's own kind, with the usual verbs.
    pub fn usual(name: &str) -> Self {
        Self { name: name.to_owned(), kind: None, verbs: SUBRESOURCE_VERBS.map(str::to_owned).to_vec() }
    }

    /// `scale` with the usual verbs.
    pub fn scale() -> Self {
        Self { kind: kind_of("autoscaling/v1/Scale"), ..Self::usual("scale") }
    }

    fn parse(column: &str) -> Self {
        let (rest, kind) = column.split_once(':').unwrap_or((column, ""));
        let (name, verbs) = rest.split_once('=').unwrap_or((rest, ""));
        let mut parsed = Self { kind: kind_of(kind), ..Self::usual(name) };
        if !verbs.is_empty() {
            parsed.verbs = names(verbs);
        }
        parsed
    }
}

/// Reads `group/version/Kind`.
fn kind_of(text: &str) -> Option<(String, String, String)> {
    let (api_version, kind) = text.rsplit_once('/')?;
    let (group, version) = split_group(api_version);
    Some((group.to_owned(), version.to_owned(), kind.to_owned()))
}

/// Cuts `group/version`; a version alone is of the core group.
pub fn split_group(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

fn names(column: &str) -> Vec<String> {
    column.split(',').filter(|name| *name != "-").map(str::to_owned).collect()
}

/// All that is served: `(group, version, plural)` to the resource, and the groups in the order in which they are listed.
#[derive(Clone, Debug)]
pub struct Resources {
    served: BTreeMap<(String, String, String), Arc<Resource>>,
    /// Groups with their versions, the preferred one first.
    groups: Vec<(String, Vec<String>)>,
}

impl Default for Resources {
    fn default() -> Self {
        static BUILTIN: LazyLock<Resources> = LazyLock::new(|| {
            let mut resources = Resources { served: BTreeMap::new(), groups: Vec::new() };
            for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
                resources.extend(Resource::parse(line));
            }
            resources
        });
        BUILTIN.clone()
    }
}

impl Extend<Resource> for Resources {
    /// Adds resources; one that is served already is replaced.
    fn extend<I: IntoIterator<Item = Resource>>(&mut self, resources: I) {
        for resource in resources {
            let Resource { group, version, plural, .. } = &resource;
            match self.groups.iter_mut().find(|(known, _)| known == group) {
                Some((_, versions)) if versions.contains(version) => {}
                Some((_, versions)) => versions.push(version.clone()),
                None => self.groups.push((group.clone(), vec![version.clone()])),
            }
            self.served.insert((group.clone(), version.clone(), plural.clone()), Arc::new(resource));
        }
    }
}

impl Resources {
    /// The resource of a path.
    pub fn get(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.served.get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// Groups with their versions, in the order in which they are listed.
    pub fn groups(&self) -> &[(String, Vec<String>)] {
        &self.groups
    }

    /// The resources of a group and version, by plural name.
    pub fn of<'r>(&'r self, group: &'r str, version: &'r str) -> impl Iterator<Item = &'r Arc<Resource>> {
        self.served.values().filter(move |resource| resource.group == group && resource.version == version)
    }

    /// All resources.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.served.values()
    }

    /// The resource of a kind.
    pub fn by_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.all().find(|resource| resource.group == group && resource.version == version && resource.kind == kind)
    }

    /// Takes a resource away in all its versions, and versions and groups that have none left.
    pub fn remove(&mut self, group: &str, plural: &str) {
        self.served.retain(|(of, _, name), _| of != group || name != plural);
        let served = &self.served;
        for (name, versions) in &mut self.groups {
            versions.retain(|version| served.keys().any(|(group, of, _)| group == name && of == version));
        }
        self.groups.retain(|(_, versions)| !versions.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let resources = Resources::default();
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(resources.all().count(), lines);
        let deployments = resources.get("apps", "v1", "deployments").unwrap();
        assert_eq!(deployments.qualified(), "deployments.apps");
        assert_eq!(deployments.subresource("scale").unwrap(), &Subresource::scale());
        assert!(resources.get("", "v1", "namespaces").is_some_and(|found| !found.has_verb("deletecollection")));
    }

    #[test]
    fn what_a_definition_added_can_go() {
        let mut resources = Resources::default();
        let widgets = Resource::parse("example.com/v1  widgets  Widget  namespaced  -  -  *").unwrap();
        resources.extend([widgets]);
        assert!(resources.by_kind("example.com", "v1", "Widget").is_some());
        resources.remove("example.com", "widgets");
        assert!(resources.groups().iter().all(|(group, _)| group != "example.com"));
    }
}
