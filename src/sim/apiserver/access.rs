//! Who somebody is, and what they may do: tokens, and role-based access control over the roles and bindings that are kept.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::Value;

use super::ApiServer;
use super::request::Address;
use super::resources::Resource;
use super::status::Status;
use super::store::Key;
use crate::sim::kinds::value::{items, text};

/// The group that may do anything.
const MASTERS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";
/// The group of roles and bindings.
pub(super) const RBAC: &str = "rbac.authorization.k8s.io";
/// Paths that everybody may read, and those that everybody may who is known; `*` ends a prefix.
const PUBLIC: [&str; 5] = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
const DISCOVERY: [&str; 8] = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/version", "/version/*"];

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// Id.
    pub uid: String,
    /// Groups.
    pub groups: Vec<String>,
}

impl User {
    /// Somebody of a name, who is known.
    pub fn known(name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().copied().chain([AUTHENTICATED]).map(str::to_owned).collect();
        Self { name: name.to_owned(), uid: name.to_owned(), groups }
    }

    fn anonymous() -> Self {
        let groups = vec!["system:unauthenticated".to_owned()];
        Self { name: "system:anonymous".to_owned(), uid: String::new(), groups }
    }
}

impl User {
    /// Whether they may do anything.
    pub(super) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }

    /// Whether it is known who they are.
    pub(super) fn is_known(&self) -> bool {
        self.groups.iter().any(|group| group == AUTHENTICATED)
    }

    /// The subject of a binding that is them.
    pub(super) fn subject<'b>(&self, binding: &'b Value) -> Option<&'b Value> {
        items(binding, "subjects").iter().find(|subject| {
            let (name, namespace) = (text(subject, "name"), text(subject, "namespace"));
            match text(subject, "kind") {
                "User" => name == self.name,
                "Group" => self.groups.iter().any(|group| group == name),
                "ServiceAccount" => format!("system:serviceaccount:{namespace}:{name}") == self.name,
                _ => false,
            }
        })
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Something with a resource.
    Resource {
        /// Verb.
        verb: &'a str,
        /// Group.
        group: &'a str,
        /// Plural name.
        resource: &'a str,
        /// Subresource; empty: none.
        subresource: &'a str,
        /// Namespace; empty: all, or the resource has none.
        namespace: &'a str,
        /// Name; empty: not known.
        name: &'a str,
    },
    /// Something with a path that is no resource.
    Path {
        /// Verb: the method in small letters.
        verb: &'a str,
        /// Path.
        path: &'a str,
    },
}

impl<'a> Action<'a> {
    /// What a request to a resource is.
    pub fn of(verb: &'a str, address: &Address<'a>) -> Self {
        // A namespace counts as being in itself.
        let own = address.name.filter(|_| address.plural == "namespaces" && address.group.is_empty());
        Self::Resource {
            verb,
            group: address.group,
            resource: address.plural,
            subresource: address.subresource.unwrap_or_default(),
            namespace: address.namespace.or(own).unwrap_or_default(),
            name: address.name.unwrap_or_default(),
        }
    }
}

impl ApiServer {
    /// Who sends a request.
    pub(super) fn authenticate(&self, headers: &HeaderMap) -> Result<User, Status> {
        if self.accounts.is_empty() {
            return Ok(User::known("admin", &[MASTERS]));
        }
        let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        match sent.and_then(|sent| sent.strip_prefix("Bearer ")) {
            None => Ok(User::anonymous()),
            Some(token) => self.user(token).cloned().ok_or_else(Status::unauthorized),
        }
    }

    /// Whom a token is of.
    pub(super) fn user(&self, token: &str) -> Option<&User> {
        self.accounts.iter().find(|(known, _)| known == token).map(|(_, user)| user)
    }

    /// Refuses what somebody may not do.
    pub(super) fn authorize(&self, user: &User, action: Action<'_>) -> Result<(), Status> {
        if self.allows(user, action).is_some() {
            return Ok(());
        }
        let name = &user.name;
        match action {
            Action::Path { verb, path } => {
                Err(Status::forbidden_path(format!("forbidden: User {name:?} cannot {verb} path {path:?}")))
            }
            Action::Resource { verb, group, resource, subresource, namespace, name: object } => {
                let part = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
                let scope = match namespace {
                    "" => "at the cluster scope".to_owned(),
                    namespace => format!("in the namespace {namespace:?}"),
                };
                let why =
                    format!("User {name:?} cannot {verb} resource \"{resource}{part}\" in API group {group:?} {scope}");
                let named = Resource::named(group, resource);
                Err(Status::forbidden(&named, object, &why))
            }
        }
    }

    /// Why somebody may do something; `None`: they may not.
    pub(super) fn allows(&self, user: &User, action: Action<'_>) -> Option<String> {
        if user.is_master() {
            return Some(String::new());
        }
        if let Action::Path { verb: "get" | "head", path } = action {
            let known = user.is_known();
            let fits = |pattern: &str| path_matches(pattern, path);
            if PUBLIC.iter().any(|pattern| fits(pattern)) || (known && DISCOVERY.iter().any(|pattern| fits(pattern))) {
                return Some(String::new());
            }
        }
        // Everybody who is known may ask about themselves.
        if let Action::Resource { verb: "create", group, resource, .. } = action
            && ["authentication.k8s.io", "authorization.k8s.io"].contains(&group)
            && resource.starts_with("selfsubject")
            && user.is_known()
        {
            return Some(String::new());
        }
        let mut bindings = self.bindings("clusterrolebindings", None);
        if let Action::Resource { namespace, .. } = action
            && !namespace.is_empty()
        {
            bindings.extend(self.bindings("rolebindings", Some(namespace)));
        }
        bindings.iter().find_map(|(key, binding)| self.binding_allows(user, action, key, binding))
    }

    pub(super) fn bindings(&self, plural: &str, namespace: Option<&str>) -> Vec<(Key, Value)> {
        let listed = self.store.list(&format!("{plural}.{RBAC}"), namespace, None, None).unwrap_or_default();
        listed.into_iter().map(|(key, stored)| (key.clone(), stored.value())).collect()
    }

    fn binding_allows(&self, user: &User, action: Action<'_>, key: &Key, binding: &Value) -> Option<String> {
        let subject = user.subject(binding)?;
        let (kind, role) = (text(binding, "roleRef.kind"), text(binding, "roleRef.name"));
        let rules = self.role(kind, role, key.namespace().unwrap_or_default())?;
        rules.iter().any(|rule| rule_allows(rule, action)).then(|| {
            let (binding_kind, told) = match key.namespace() {
                Some(namespace) => ("RoleBinding", format!("{}/{namespace}", key.name())),
                None => ("ClusterRoleBinding", key.name().to_owned()),
            };
            let (to, name) = (text(subject, "kind"), text(subject, "name"));
            let name = match text(subject, "namespace") {
                "" => name.to_owned(),
                namespace => format!("{name}/{namespace}"),
            };
            format!("RBAC: allowed by {binding_kind} {told:?} of {kind} {role:?} to {to} {name:?}")
        })
    }
}

fn path_matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => path == pattern,
    }
}

fn rule_allows(rule: &Value, action: Action<'_>) -> bool {
    let list = |name: &str| -> Vec<&str> {
        let values = rule.get(name).and_then(Value::as_array);
        values.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let has = |name: &str, wanted: &str| list(name).iter().any(|known| *known == "*" || *known == wanted);
    match action {
        Action::Path { verb, path } => {
            has("verbs", verb) && list("nonResourceURLs").iter().any(|pattern| path_matches(pattern, path))
        }
        Action::Resource { verb, group, resource, subresource, name, .. } => {
            let whole = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
            let any = format!("*/{subresource}");
            let resources = list("resources");
            let fits = resources
                .iter()
                .any(|known| *known == "*" || *known == whole || (!subresource.is_empty() && *known == any));
            let names = list("resourceNames");
            has("verbs", verb) && has("apiGroups", group) && fits && (names.is_empty() || names.contains(&name))
        }
    }
}
