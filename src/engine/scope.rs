//! Whether the objects of a kind live in namespaces.

use std::collections::BTreeMap;

use serde_json::Value;

use super::desired::Manifest;
use super::hash::Hash;
use super::ids::{GroupKind, Gvk};

/// Scope of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Its objects are in no namespace.
    Cluster,
    /// Its objects are in a namespace each.
    Namespaced,
}

/// Hash over the scopes of kinds, for the memo of a rendering: it changes when one of the kinds that were used changes
/// scope, comes or goes, and not when any other does. Whether the API server or a CustomResourceDefinition of the same
/// set told the scope makes no difference.
pub fn scopes_hash<'a>(scopes: impl IntoIterator<Item = (&'a Gvk, Option<Scope>)>) -> Hash {
    let sorted: BTreeMap<_, _> = scopes.into_iter().collect();
    let mut text = String::new();
    for (gvk, scope) in sorted {
        let letter = match scope {
            Some(Scope::Cluster) => 'c',
            Some(Scope::Namespaced) => 'n',
            None => '-',
        };
        text.push_str(&format!("{gvk}\n{letter}\n"));
    }
    Hash::of(text.as_bytes())
}

/// The scopes that are used while a set is made.
pub(super) struct Scopes<'a> {
    served: &'a dyn Fn(&Gvk) -> Option<Scope>,
    defined: BTreeMap<GroupKind, Definition>,
    used: BTreeMap<Gvk, Option<Scope>>,
}

/// What a CustomResourceDefinition of the set says.
struct Definition {
    name: String,
    scope: Scope,
    versions: Vec<String>,
}

impl<'a> Scopes<'a> {
    pub(super) fn new(served: &'a dyn Fn(&Gvk) -> Option<Scope>, manifests: &[Manifest]) -> Self {
        let defined = manifests.iter().filter_map(|manifest| definition(&manifest.value)).collect();
        Self { served, defined, used: BTreeMap::new() }
    }

    /// Scope of a kind: what the API server says, else what the set itself defines.
    pub(super) fn of(&mut self, gvk: &Gvk) -> Option<Scope> {
        if let Some(known) = self.used.get(gvk) {
            return *known;
        }
        let scope = (self.served)(gvk).or_else(|| {
            let definition = self.defined.get(&gvk.group_kind())?;
            definition.versions.iter().any(|version| **version == *gvk.version).then_some(definition.scope)
        });
        self.used.insert(gvk.clone(), scope);
        scope
    }

    /// The kinds that the set defines, by the name of the definition.
    pub(super) fn defined(&self) -> BTreeMap<&str, &GroupKind> {
        self.defined.iter().map(|(kind, definition)| (definition.name.as_str(), kind)).collect()
    }

    /// Hash over everything that was asked.
    pub(super) fn hash(&self) -> Hash {
        scopes_hash(self.used.iter().map(|(gvk, scope)| (gvk, *scope)))
    }
}

fn definition(value: &Value) -> Option<(GroupKind, Definition)> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    if text("/kind")? != "CustomResourceDefinition" || !text("/apiVersion")?.starts_with("apiextensions.k8s.io/") {
        return None;
    }
    let scope = match text("/spec/scope")? {
        "Namespaced" => Scope::Namespaced,
        "Cluster" => Scope::Cluster,
        _ => return None,
    };
    let versions = value.pointer("/spec/versions")?.as_array()?.iter();
    let served = versions.filter(|version| version.get("served") != Some(&Value::Bool(false)));
    let versions = served.filter_map(|version| Some(version.get("name")?.as_str()?.to_owned())).collect();
    let name = text("/metadata/name").unwrap_or_default().to_owned();
    Some((GroupKind::new(text("/spec/group")?, text("/spec/names/kind")?), Definition { name, scope, versions }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn definitions_of_the_set_tell_scopes_that_the_server_does_not() {
        let crd = |kind: &str, scope: &str| Manifest {
            value: json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "spec": {
                    "group": "x.io", "names": {"kind": kind}, "scope": scope,
                    "versions": [{"name": "v1", "served": true}, {"name": "v2"}, {"name": "v0", "served": false}],
                },
            }),
            origin: Default::default(),
        };
        let served = |gvk: &Gvk| (&*gvk.kind == "Known").then_some(Scope::Cluster);
        let set = [crd("Known", "Namespaced"), crd("Wide", "Cluster"), crd("Narrow", "Namespaced"), crd("Odd", "odd")];
        let mut scopes = Scopes::new(&served, &set);
        for (kind, version, expected) in [
            ("Known", "v9", Some(Scope::Cluster)),
            ("Wide", "v1", Some(Scope::Cluster)),
            ("Narrow", "v2", Some(Scope::Namespaced)),
            ("Narrow", "v0", None),
            ("Narrow", "v3", None),
            ("Odd", "v1", None),
        ] {
            assert_eq!(scopes.of(&Gvk::new("x.io", version, kind)), expected, "{kind} {version}");
        }
        assert_eq!(scopes.of(&Gvk::new("y.io", "v1", "Wide")), None);
    }

    #[test]
    fn the_hash_is_of_the_kinds_that_were_used() {
        let (a, b) = (Gvk::new("", "v1", "A"), Gvk::new("", "v1", "B"));
        let hash = scopes_hash([(&a, Some(Scope::Cluster)), (&b, None)]);
        assert_eq!(hash, scopes_hash([(&b, None), (&a, Some(Scope::Cluster))]));
        assert_ne!(hash, scopes_hash([(&a, Some(Scope::Namespaced)), (&b, None)]));
        assert_ne!(hash, scopes_hash([(&a, Some(Scope::Cluster))]));
    }
}
