//! References by name follow the resources that they mean, whose names a build has changed.

use std::collections::{HashMap, HashSet};

use super::config::{Config, NameReference};
use super::error::KustomizeError;
use super::field_spec::{FieldSpec, Missing, set_entry, set_plain, visit_path};
use super::resource::{Gvk, Previous, Resource, Resources};
use super::value::Value;

/// What of a resource counts when references to it are looked for.
struct Target {
    name: String,
    /// As it is written; empty if none is.
    namespace: String,
    /// The namespace that it had first, and has now: `default` if none is given, a special one if it can't have one.
    namespaces: [String; 2],
    cluster_scoped: bool,
    group: String,
    version: String,
    kind: String,
    previous: Vec<Previous>,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
}

impl Target {
    fn new(resource: &Resource) -> Self {
        let Gvk { group, version, kind } = resource.gvk();
        Self {
            name: resource.name().to_owned(),
            namespace: resource.namespace().to_owned(),
            namespaces: [resource.original_id(), resource.id()].map(|id| id.namespace.to_owned()),
            cluster_scoped: resource.cluster_scoped,
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            previous: resource.previous.clone(),
            prefixes: resource.prefixes.clone(),
            suffixes: resource.suffixes.clone(),
        }
    }

    fn current_namespace(&self) -> &str {
        &self.namespaces[1]
    }

    /// Whether it had a name as something that `selector` selects.
    fn was(&self, selector: Gvk<'_>) -> bool {
        let was = |previous: &Previous| {
            Gvk { group: &self.group, version: &self.version, kind: &previous.kind }.is_selected_by(selector)
        };
        self.previous.iter().any(was)
    }
}

/// Writes the current names of the resources wherever others refer to them.
pub fn update(resources: &mut Resources, config: &Config) -> Result<(), KustomizeError> {
    if resources.list.iter().all(|resource| resource.previous.is_empty()) {
        return Ok(());
    }
    let targets: Vec<Target> = resources.list.iter().map(Target::new).collect();
    let mut by_name: HashMap<&str, Vec<&Target>> = HashMap::new();
    for target in &targets {
        let names: HashSet<&str> = target.previous.iter().map(|previous| previous.name.as_str()).collect();
        for name in names {
            by_name.entry(name).or_default().push(target);
        }
    }
    let mut by_kind: HashMap<&str, Vec<(&NameReference, &FieldSpec)>> = HashMap::new();
    for reference in &config.name_reference {
        if targets.iter().any(|target| target.was(reference.gvk())) {
            for spec in &reference.referrers {
                by_kind.entry(&spec.kind).or_default().push((reference, spec));
            }
        }
    }
    for (resource, own) in resources.list.iter_mut().zip(&targets) {
        let original = resource.original_id().gvk;
        let of_kind = by_kind.get(original.kind).into_iter().chain(by_kind.get("")).flatten();
        let specs: Vec<_> = of_kind.filter(|(_, spec)| spec.is_for(original)).collect();
        if specs.is_empty() {
            continue;
        }
        let search = Search { own, all: &targets, by_name: &by_name, foreign: binding_namespaces(resource)? };
        for (reference, spec) in specs {
            let role = role_of(resource, spec);
            let finder = Finder { search: &search, reference, role };
            // Which kinds it is for was asked of the original kind.
            visit_path(resource, &spec.path, Missing::Skip, &mut |value| finder.update(value))?;
        }
    }
    Ok(())
}

/// Namespaces of the service accounts that a role binding names.
fn binding_namespaces(resource: &Resource) -> Result<HashSet<String>, KustomizeError> {
    let mut namespaces = HashSet::new();
    if resource.kind() != "RoleBinding" {
        return Ok(namespaces);
    }
    for subject in resource.value.get("subjects").and_then(Value::as_seq).unwrap_or_default() {
        let account = subject.get("kind").and_then(Value::text) == Some("ServiceAccount");
        match subject.get("namespace").filter(|_| account) {
            None => {}
            Some(Value::Str(namespace)) => _ = namespaces.insert(namespace.to_string()),
            Some(_) => {
                let reason = format!("{}: the namespace of a subject is no string", resource.describe());
                return Err(KustomizeError::new(reason));
            }
        }
    }
    Ok(namespaces)
}

/// Group and kind of the role that a binding refers to, if `spec` is about that.
fn role_of(resource: &Resource, spec: &FieldSpec) -> Option<(String, String)> {
    let role = resource.value.get("roleRef").filter(|_| spec.path.ends_with("roleRef/name"))?;
    let text = |field| role.get(field).filter(|value: &&Value| !value.is_null()).and_then(Value::text);
    Some((text("apiGroup")?.to_owned(), text("kind")?.to_owned()))
}

/// What one resource may refer to.
struct Search<'t> {
    own: &'t Target,
    all: &'t [Target],
    by_name: &'t HashMap<&'t str, Vec<&'t Target>>,
    /// Other namespaces than its own in which that is.
    foreign: HashSet<String>,
}

impl Search<'_> {
    fn may_refer_to(&self, target: &Target) -> bool {
        self.own.cluster_scoped
            || target.cluster_scoped
            || target.current_namespace() == self.own.current_namespace()
            || self.foreign.contains(&target.namespace)
    }

    /// Which of the two namespaces of a target counts for a reference that names `namespace`: the first one, if
    /// anything had it at first.
    fn namespace_that_counts(&self, namespace: &str) -> usize {
        let had = |target: &Target| target.namespaces[0] == namespace && self.may_refer_to(target);
        usize::from(!self.all.iter().any(had))
    }
}

/// What one field of a resource refers to.
struct Finder<'f, 't> {
    search: &'f Search<'t>,
    reference: &'f NameReference,
    role: Option<(String, String)>,
}

impl<'t> Finder<'_, 't> {
    fn update(&self, value: &mut Value) -> Result<(), String> {
        match value {
            null if null.is_null() => Ok(()),
            Value::Map(_) => self.update_mapping(value),
            Value::Seq(items) => items.iter_mut().try_for_each(|item| match item {
                null if null.is_null() => Ok(()),
                Value::Seq(_) => Err("a name or a mapping with a name is needed, and a list is there".to_owned()),
                Value::Map(_) => self.update_mapping(item),
                _ => self.update_scalar(item),
            }),
            _ => self.update_scalar(value),
        }
    }

    fn update_scalar(&self, value: &mut Value) -> Result<(), String> {
        let name = value.text().unwrap_or_default();
        let same = |targets: &[&Target]| targets.windows(2).all(|pair| matches!(pair, [a, b] if a.name == b.name));
        match self.find(name, &|_| true, &same)? {
            Some(target) if target.name != name => set_plain(value, &target.name),
            _ => Ok(()),
        }
    }

    /// A mapping with a name, and maybe a namespace.
    fn update_mapping(&self, value: &mut Value) -> Result<(), String> {
        let Some(name) = value.get("name") else {
            return Err("a mapping with a `name` is needed, and there is none in it".to_owned());
        };
        let name = name.text().unwrap_or_default().to_owned();
        let namespace = value.get("namespace").map(|namespace| namespace.text().unwrap_or_default().to_owned());
        let counts = namespace.as_deref().map(|namespace| self.search.namespace_that_counts(namespace));
        let in_namespace = |target: &Target| match (&namespace, counts) {
            (Some(namespace), Some(counts)) => target.namespaces.get(counts) == Some(namespace),
            _ => true,
        };
        let same = |targets: &[&Target]| {
            let equal = |a: &Target, b: &Target| a.name == b.name && a.namespace == b.namespace;
            targets.windows(2).all(|pair| matches!(pair, [a, b] if equal(a, b)))
        };
        let Some(target) = self.find(&name, &in_namespace, &same)? else { return Ok(()) };
        if target.name != name || !target.namespace.is_empty() {
            if let Some(value) = value.get_mut("name") {
                set_plain(value, &target.name)?;
            }
            if !target.namespace.is_empty() {
                match value.get_mut("namespace") {
                    Some(value) => set_plain(value, &target.namespace)?,
                    None => set_entry(value, "namespace", &target.namespace, 0)?,
                }
            }
        }
        Ok(())
    }

    /// The resource that was called `name` and is referred to.
    fn find(
        &self,
        name: &str,
        accept: &dyn Fn(&Target) -> bool,
        same: &dyn Fn(&[&Target]) -> bool,
    ) -> Result<Option<&'t Target>, String> {
        let Search { own, by_name, .. } = self.search;
        let role = self.role.as_ref().map(|(group, kind)| Gvk { group, version: "", kind });
        let near = |target: &Target| {
            own.cluster_scoped
                || target.cluster_scoped
                || target.kind == "ServiceAccount"
                || target.current_namespace() == own.current_namespace()
        };
        let named = by_name.get(name).into_iter().flatten().copied();
        let mut found: Vec<&'t Target> = named
            .filter(|target| self.search.may_refer_to(target) && accept(target) && near(target))
            .filter(|target| target.was(self.reference.gvk()) && role.is_none_or(|role| target.was(role)))
            .collect();
        if found.len() != 1 {
            found.retain(|target| same_layers(target, own, true));
        }
        if found.len() > 1 {
            found.retain(|target| same_layers(target, own, false));
        }
        match found.as_slice() {
            [] => Ok(None),
            [target, ..] if found.len() == 1 || same(&found) => Ok(Some(target)),
            _ => Err(format!(
                "it is not clear which of {} resources {name:?} refers to; give them other names",
                found.len()
            )),
        }
    }
}

/// Whether two resources were given the same prefixes and suffixes by the kustomizations that they share.
fn same_layers(a: &Target, b: &Target, none_is_any: bool) -> bool {
    let same = |a: &[String], b: &[String]| {
        if a.is_empty() || b.is_empty() {
            return none_is_any || a.len() == b.len();
        }
        a.iter().rev().zip(b.iter().rev()).all(|(a, b)| a == b)
    };
    same(&a.prefixes, &b.prefixes) && same(&a.suffixes, &b.suffixes)
}
