//! Field selectors as the query brings them: `metadata.name=web,status.phase!=Running`.

use serde_json::Value;

use super::resources::Resource;
use super::status::Status;
use super::store::{Key, Stored};

/// Resources that are selected by more than name and namespace, with the fields. The names are the API server's own and
/// are paths but for those of `ALIASES`.
const SELECTABLE: &[(&str, &[&str])] = &[
    ("namespaces", &["metadata.name", "name", "status.phase"]),
    ("nodes", &["metadata.name", "spec.unschedulable"]),
    ("secrets", &["metadata.name", "metadata.namespace", "type"]),
    (
        "pods",
        &[
            "metadata.name",
            "metadata.namespace",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
    ),
    (
        "events",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
            "metadata.name",
            "metadata.namespace",
        ],
    ),
    (
        "events.events.k8s.io",
        &[
            "reason",
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reportingController",
            "type",
            "metadata.name",
            "metadata.namespace",
        ],
    ),
    ("replicationcontrollers", &["metadata.name", "metadata.namespace", "status.replicas"]),
    ("replicasets.apps", &["metadata.name", "metadata.namespace", "status.replicas"]),
    ("jobs.batch", &["metadata.name", "metadata.namespace", "status.successful"]),
    ("services", &["metadata.name", "metadata.namespace", "spec.clusterIP", "spec.type"]),
];
/// Fields whose name is no path.
const ALIASES: &[(&str, &str)] =
    &[("name", "metadata.name"), ("status.successful", "status.succeeded"), ("source", "source.component")];
/// Fields that count as zero or false while they are absent.
const ABSENT: &[(&str, &str)] = &[
    ("status.successful", "0"),
    ("status.replicas", "0"),
    ("spec.unschedulable", "false"),
    ("spec.hostNetwork", "false"),
];

/// A selector; all of its terms must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<Term>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    field: String,
    value: String,
    equal: bool,
}

impl FieldSelector {
    /// Reads a selector for a resource; an empty one selects all.
    pub fn parse(text: &str, resource: &Resource) -> Result<Self, Status> {
        let mut terms = Vec::new();
        for part in split(text) {
            let term = Term::parse(&part)
                .ok_or_else(|| Status::bad_request(format!("invalid selector: '{text}'; can't understand '{part}'")))?;
            term.check(resource)?;
            terms.push(term);
        }
        Ok(Self(terms))
    }

    /// The objects of one name.
    pub fn name(name: &str) -> Self {
        Self(vec![Term { field: "metadata.name".to_owned(), value: name.to_owned(), equal: true }])
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one name that is selected, if it is only one.
    pub fn only_name(&self) -> Option<&str> {
        self.0.iter().find(|term| term.equal && term.field == "metadata.name").map(|term| term.value.as_str())
    }

    /// Whether an object is selected.
    pub fn matches(&self, key: &Key, object: &Stored) -> bool {
        let mut body = None;
        self.0.iter().all(|term| {
            let equal = match term.field.as_str() {
                "metadata.name" | "name" => key.name() == term.value,
                "metadata.namespace" => key.namespace().unwrap_or_default() == term.value,
                field => text_of(body.get_or_insert_with(|| object.value()), field) == term.value,
            };
            equal == term.equal
        })
    }
}

impl Term {
    fn parse(text: &str) -> Option<Self> {
        let at = text.find('=')?;
        let (left, right) = text.split_at(at);
        let value = right.strip_prefix("==").or_else(|| right.strip_prefix('='))?;
        let (field, equal) = match left.strip_suffix('!') {
            Some(field) => (field, false),
            None => (left, true),
        };
        Some(Self { field: field.to_owned(), value: unescape(value), equal })
    }

    fn check(&self, resource: &Resource) -> Result<(), Status> {
        let name = resource.qualified();
        let field = &self.field;
        match SELECTABLE.iter().find(|(known, _)| *known == name) {
            Some((_, fields)) if fields.contains(&field.as_str()) => Ok(()),
            Some(_) => Err(Status::bad_request(format!("field label not supported: {field}"))),
            None if matches!(field.as_str(), "metadata.name" | "metadata.namespace") => Ok(()),
            None if resource.custom && is_selectable(resource, field) => Ok(()),
            None if resource.custom => Err(Status::bad_request(format!("field label not supported: {field}"))),
            None => {
                let only = r#"only "metadata.name", "metadata.namespace""#;
                Err(Status::bad_request(format!("{field:?} is not a known field selector: {only}")))
            }
        }
    }
}

/// Whether the definition of a custom resource lets it be selected by a field.
fn is_selectable(resource: &Resource, field: &str) -> bool {
    let listed = resource.definition.get("selectableFields").and_then(Value::as_array);
    let paths = listed.into_iter().flatten().filter_map(|selectable| selectable.get("jsonPath")?.as_str());
    paths.map(|path| path.trim_start_matches('.')).any(|path| path == field)
}

/// Cuts at commas that are not escaped.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        match (c, parts.last_mut()) {
            (',', _) if !escaped => parts.push(String::new()),
            (c, Some(part)) => part.push(c),
            (_, None) => {}
        }
        escaped = c == '\\' && !escaped;
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Takes the backslashes off that stand before a backslash, a comma or `=`.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\\' && chars.peek().is_some_and(|next| matches!(next, '\\' | ',' | '=')) {
            out.extend(chars.next());
        } else {
            out.push(c);
        }
    }
    out
}

/// The value of a field as text; empty if there is none.
fn text_of(object: &Value, field: &str) -> String {
    let path = ALIASES.iter().find(|(name, _)| *name == field).map_or(field, |(_, path)| path);
    let found = path.split('.').try_fold(object, |value, part| value.get(part));
    let absent = ABSENT.iter().find(|(name, _)| *name == field).map_or("", |(_, value)| value);
    match found {
        None | Some(Value::Null) => absent.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim::apiserver::resources::Resources;

    #[test]
    fn what_a_selector_selects() {
        let resources = Resources::default();
        let pods = resources.get("", "v1", "pods").unwrap();
        let body = json!({"metadata": {}, "spec": {"nodeName": "a,b"}, "status": {"phase": "Running"}});
        let object = Stored::transient(&body);
        let key = Key::new(Some("shop"), "web");
        for (text, expected) in [
            ("", true),
            ("metadata.name=web", true),
            ("metadata.name!=web", false),
            ("metadata.namespace==shop,status.phase=Running", true),
            ("spec.nodeName=a\\,b", true),
            ("spec.hostNetwork=false", true),
            ("status.phase=Pending", false),
        ] {
            assert_eq!(FieldSelector::parse(text, pods).unwrap().matches(&key, &object), expected, "{text}");
        }
        assert_eq!(FieldSelector::parse("a", pods).unwrap_err().message, "invalid selector: 'a'; can't understand 'a'");
        assert_eq!(FieldSelector::parse("a=b", pods).unwrap_err().message, "field label not supported: a");
    }
}
