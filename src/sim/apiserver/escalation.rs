//! Nobody gives away rights that they don't have: what roles and bindings may hold depends on who writes them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::access::{Action, RBAC, User};
use super::meta;
use super::status::Status;
use super::store::Key;
use super::{ApiServer, Call};
use crate::sim::kinds::value::{at, items, text, texts};

/// What everybody has who is known: they may read what the server is, and ask who they are and what they may.
fn common_rules() -> [Value; 4] {
    let paths = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz"];
    let discovery: Vec<&str> = paths.into_iter().chain(["/version", "/version/"]).collect();
    [
        json!({"verbs": ["get"], "nonResourceURLs": discovery}),
        json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"]}),
        json!({"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]}),
        json!({
            "verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
            "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        }),
    ]
}

/// What may do everything.
fn all_rules() -> [Value; 2] {
    [json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}), json!({"verbs": ["*"], "nonResourceURLs": ["*"]})]
}

impl ApiServer {
    /// Refuses a role, or a binding to one, that gives more than its author has.
    pub(super) fn check_escalation(&self, call: &Call<'_>, object: &Value, old: Option<&Value>) -> Result<(), Status> {
        let Some(user) = call.user.filter(|user| call.resource.group == RBAC && !user.is_master()) else {
            return Ok(());
        };
        let namespace = call.address.namespace.unwrap_or_default();
        let unchanged =
            |members: &[&str]| old.is_some_and(|old| members.iter().all(|name| at(old, name) == at(object, name)));
        let may = |verb: &str, resource: &str, name: &str| {
            let action = Action::Resource { verb, group: RBAC, resource, subresource: "", namespace, name };
            self.allows(user, action).is_some()
        };
        let plural = call.resource.plural.as_str();
        let granted = match plural {
            "roles" | "clusterroles" => {
                if unchanged(&["rules"]) || may("escalate", plural, call.address.name.unwrap_or_default()) {
                    return Ok(());
                }
                items(object, "rules").to_vec()
            }
            _ => {
                let (kind, name) = (text(object, "roleRef.kind"), text(object, "roleRef.name"));
                let roles = if kind == "Role" { "roles" } else { "clusterroles" };
                if unchanged(&["roleRef", "subjects"]) || may("bind", roles, name) {
                    return Ok(());
                }
                self.role(kind, name, namespace).ok_or_else(|| match self.resources.get(RBAC, "v1", roles) {
                    Some(resource) => Status::not_found(resource, name),
                    None => Status::no_resource(),
                })?
            }
        };
        let missing = missing(&granted, &self.rules(user, namespace));
        if missing.is_empty() {
            return Ok(());
        }
        let groups: Vec<String> = user.groups.iter().map(|group| format!("{group:?}")).collect();
        let (name, groups) = (&user.name, groups.join(" "));
        let why = format!(
            "user {name:?} (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n{}",
            missing.join("\n")
        );
        Err(Status::forbidden(&call.resource, meta::text(object, "name"), &why))
    }

    /// The rules that hold for somebody in a namespace; empty: in none.
    pub(super) fn rules(&self, user: &User, namespace: &str) -> Vec<Value> {
        let mut rules = Vec::new();
        if user.is_master() {
            rules.extend(all_rules());
        }
        if user.is_known() {
            rules.extend(common_rules());
        }
        let mut bindings = self.bindings("clusterrolebindings", None);
        if !namespace.is_empty() {
            bindings.extend(self.bindings("rolebindings", Some(namespace)));
        }
        for (key, binding) in bindings.iter().filter(|(_, binding)| user.subject(binding).is_some()) {
            let (kind, name) = (text(binding, "roleRef.kind"), text(binding, "roleRef.name"));
            rules.extend(self.role(kind, name, key.namespace().unwrap_or_default()).unwrap_or_default());
        }
        rules
    }

    /// The rules of a role; `None`: there is no such role.
    pub(super) fn role(&self, kind: &str, name: &str, namespace: &str) -> Option<Vec<Value>> {
        let (table, key) = match kind {
            "ClusterRole" => ("clusterroles", Key::new(None, name)),
            _ => ("roles", Key::new(Some(namespace), name)),
        };
        match self.store.get(&format!("{table}.{RBAC}"), &key) {
            Some(stored) => Some(items(&stored.value(), "rules").to_vec()),
            // Every cluster has this one.
            None => (kind == "ClusterRole" && name == "cluster-admin").then(|| all_rules().to_vec()),
        }
    }
}

/// One right: a verb on one resource, object or path.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Right<'r> {
    verb: &'r str,
    /// Group, resource and name of an object; empty: all.
    on: Option<(&'r str, &'r str, &'r str)>,
    /// Without a resource: the path.
    path: &'r str,
}

/// The rights that a rule gives, each alone.
fn rights(rule: &Value) -> Vec<Right<'_>> {
    let list = |name: &str| texts(rule, name);
    let names = match list("resourceNames") {
        names if names.is_empty() => vec![""],
        names => names,
    };
    let mut found = Vec::new();
    for group in list("apiGroups") {
        for resource in list("resources") {
            for verb in list("verbs") {
                found.extend(names.iter().map(|name| Right { verb, on: Some((group, resource, name)), path: "" }));
            }
        }
    }
    for path in list("nonResourceURLs") {
        found.extend(list("verbs").into_iter().map(|verb| Right { verb, on: None, path }));
    }
    found
}

impl Right<'_> {
    fn is_given(&self, rule: &Value) -> bool {
        let list = |name: &str| texts(rule, name);
        let has = |name: &str, wanted: &str| list(name).iter().any(|known| *known == "*" || *known == wanted);
        if !has("verbs", self.verb) {
            return false;
        }
        let Some((group, resource, name)) = self.on else {
            let fits = |known: &&str| match known.strip_suffix('*') {
                Some(prefix) => self.path.starts_with(prefix),
                None => self.path == *known,
            };
            return list("nonResourceURLs").iter().any(fits);
        };
        let part = resource.split_once('/').map(|(_, part)| format!("*/{part}"));
        let names = list("resourceNames");
        let named = names.is_empty() || !name.is_empty() && names.contains(&name);
        has("apiGroups", group)
            && named
            && (has("resources", resource) || part.is_some_and(|part| list("resources").contains(&part.as_str())))
    }
}

/// What is given and not held, as the server writes it.
fn missing(granted: &[Value], held: &[Value]) -> Vec<String> {
    let mut told = Vec::new();
    let mut verbs: BTreeMap<(&str, &str, &str), Vec<&str>> = BTreeMap::new();
    let lacking = granted.iter().flat_map(rights).filter(|right| !held.iter().any(|rule| right.is_given(rule)));
    for right in lacking {
        match right.on {
            Some(on) => {
                let of = verbs.entry(on).or_default();
                if !of.contains(&right.verb) {
                    of.push(right.verb);
                }
            }
            None => told.push(format!("{{NonResourceURLs:[{:?}], Verbs:[{:?}]}}", right.path, right.verb)),
        }
    }
    for ((group, resource, name), verbs) in verbs {
        let verbs: Vec<String> = verbs.into_iter().map(|verb| format!("{verb:?}")).collect();
        let names = if name.is_empty() { String::new() } else { format!(", ResourceNames:[{name:?}]") };
        let verbs = verbs.join(" ");
        told.push(format!("{{APIGroups:[{group:?}], Resources:[{resource:?}]{names}, Verbs:[{verbs}]}}"));
    }
    told.sort();
    told.dedup();
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_held_is_told() {
        let held =
            [json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "*/scale"], "resourceNames": ["a"]})];
        let told = |rule: Value| missing(&[rule], &held).join("; ");
        assert_eq!(
            told(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]})),
            ""
        );
        assert_eq!(
            told(json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]})),
            r#"{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}"#
        );
        assert_eq!(
            told(json!({"verbs": ["get"], "nonResourceURLs": ["/x"]})),
            r#"{NonResourceURLs:["/x"], Verbs:["get"]}"#
        );
        let rule = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["x/scale"], "resourceNames": ["a", "b"]});
        assert_eq!(told(rule), r#"{APIGroups:[""], Resources:["x/scale"], ResourceNames:["b"], Verbs:["get"]}"#);
    }
}
