//! Roles and their bindings.

use serde_json::Value;

use super::{Errors, IMMUTABLE, invalid, invalid_shown, named, one_of, required, selectors};
use crate::sim::apiserver::names;
use crate::sim::apiserver::status::FieldError;
use crate::sim::kinds::value::{at, has, items, text};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(in crate::sim::kinds) fn role(role: &Value, errors: &mut Errors) {
    rules(role, true, errors);
}

pub(in crate::sim::kinds) fn cluster_role(role: &Value, errors: &mut Errors) {
    rules(role, false, errors);
    if has(role, "aggregationRule") {
        let base = "aggregationRule.clusterRoleSelectors";
        if items(role, base).is_empty() {
            let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            errors.push(FieldError::required(base, detail));
        }
        for (index, selector) in items(role, base).iter().enumerate() {
            selectors::check(errors, &format!("{base}[{index}]"), selector);
        }
    }
}

fn rules(role: &Value, namespaced: bool, errors: &mut Errors) {
    for (index, rule) in items(role, "rules").iter().enumerate() {
        let base = format!("rules[{index}]");
        let is_empty = |field: &str| items(rule, field).is_empty();
        if is_empty("verbs") {
            required(errors, format!("{base}.verbs"));
        }
        if !is_empty("nonResourceURLs") {
            let problem = if namespaced {
                "namespaced rules cannot apply to non-resource URLs"
            } else if !(is_empty("apiGroups") && is_empty("resources") && is_empty("resourceNames")) {
                "rules cannot apply to both regular resources and non-resource URLs"
            } else {
                continue;
            };
            invalid(errors, format!("{base}.nonResourceURLs"), at(rule, "nonResourceURLs"), problem);
            continue;
        }
        if is_empty("apiGroups") {
            let detail = "resource rules must supply at least one api group";
            errors.push(FieldError::required(format!("{base}.apiGroups"), detail));
        }
        if is_empty("resources") {
            let detail = "resource rules must supply at least one resource";
            errors.push(FieldError::required(format!("{base}.resources"), detail));
        }
    }
}

pub(in crate::sim::kinds) fn role_binding(object: &Value, errors: &mut Errors) {
    binding(object, &["Role", "ClusterRole"], errors);
}

pub(in crate::sim::kinds) fn cluster_role_binding(object: &Value, errors: &mut Errors) {
    binding(object, &["ClusterRole"], errors);
}

fn binding(object: &Value, kinds: &[&str], errors: &mut Errors) {
    let role = at(object, "roleRef");
    one_of(errors, role, "roleRef", "apiGroup", &[GROUP]);
    one_of(errors, role, "roleRef", "kind", kinds);
    match text(role, "name") {
        "" => required(errors, "roleRef.name"),
        name => named(errors, "roleRef.name", name, names::path_segment),
    }
    for (index, who) in items(object, "subjects").iter().enumerate() {
        subject(errors, &format!("subjects[{index}]"), who, kinds.len() > 1);
    }
}

fn subject(errors: &mut Errors, base: &str, subject: &Value, namespaced: bool) {
    let name = text(subject, "name");
    if name.is_empty() {
        required(errors, format!("{base}.name"));
    }
    match text(subject, "kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                named(errors, format!("{base}.name"), name, names::subdomain);
            }
            if !text(subject, "apiGroup").is_empty() {
                one_of(errors, subject, base, "apiGroup", &[""]);
            }
            if !namespaced && text(subject, "namespace").is_empty() {
                required(errors, format!("{base}.namespace"));
            }
        }
        "User" | "Group" => one_of(errors, subject, base, "apiGroup", &[GROUP]),
        _ => one_of(errors, subject, base, "kind", &["ServiceAccount", "User", "Group"]),
    }
}

/// The role of a binding stays what it is.
pub(in crate::sim::kinds) fn update_binding(new: &Value, old: &Value, errors: &mut Errors) {
    let role = at(new, "roleRef");
    if role != at(old, "roleRef") {
        let (group, kind, name) = (at(role, "apiGroup"), at(role, "kind"), at(role, "name"));
        let shown = format!("{{\"APIGroup\":{group},\"Kind\":{kind},\"Name\":{name}}}");
        invalid_shown(errors, "roleRef", shown, IMMUTABLE);
    }
}
