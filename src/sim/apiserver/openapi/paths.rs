//! The paths of a resource, with what each takes.

use serde_json::{Map, Value, json};

use crate::sim::apiserver::resources::Resource;
use crate::sim::schema::openapi::{KIND, long, name_of, reference};

/// What a list and a watch take.
const LIST: &str = "allowWatchBookmarks:boolean continue fieldSelector labelSelector limit:integer resourceVersion \
                    resourceVersionMatch sendInitialEvents:boolean shardSelector timeoutSeconds:integer watch:boolean";
/// What a write takes.
const WRITE: &str = "dryRun fieldManager fieldValidation";
const PATCH: &str = "dryRun fieldManager fieldValidation force:boolean";
const DELETE: &str = "dryRun gracePeriodSeconds:integer ignoreStoreReadErrorWithClusterBreakingPotential:boolean \
                      orphanDependents:boolean propagationPolicy";
const DELETE_MANY: &str = "continue dryRun fieldSelector gracePeriodSeconds:integer \
                           ignoreStoreReadErrorWithClusterBreakingPotential:boolean labelSelector limit:integer \
                           orphanDependents:boolean propagationPolicy resourceVersion resourceVersionMatch \
                           sendInitialEvents:boolean shardSelector timeoutSeconds:integer";
/// Types of patches.
const PATCHES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// What is done at a path: the verb, the method, how documents call it, what it takes.
const COLLECTION: [(&str, &str, &str, &str); 3] = [
    ("list", "get", "list", LIST),
    ("create", "post", "post", WRITE),
    ("deletecollection", "delete", "deletecollection", DELETE_MANY),
];
const ITEM: [(&str, &str, &str, &str); 5] = [
    ("get", "get", "get", ""),
    ("update", "put", "put", WRITE),
    ("delete", "delete", "delete", DELETE),
    ("patch", "patch", "patch", PATCH),
    ("create", "post", "post", WRITE),
];

/// The paths of a resource whose objects are of the named type.
pub(super) fn of(resource: &Resource, name: &str) -> Map<String, Value> {
    let Resource { group, version, plural, kind, .. } = resource;
    let base = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let (home, known) = if resource.namespaced {
        (format!("{base}/namespaces/{{namespace}}/{plural}"), vec!["namespace"])
    } else {
        (format!("{base}/{plural}"), Vec::new())
    };
    let mut told = Map::new();
    let own = Of { group, version, kind, name };
    let mut add = |path: String, verbs: &[String], table: &[(&str, &str, &str, &str)], known: &[&str], of: &Of<'_>| {
        let operations = table.iter().filter(|(verb, ..)| verbs.iter().any(|served| served == verb));
        let mut item: Map<String, Value> = operations
            .map(|(_, method, action, takes)| {
                ((*method).to_owned(), of.operation(resource.custom, method, action, takes))
            })
            .collect();
        if !item.is_empty() {
            let places = known.iter().map(|name| parameter(name, "path"));
            item.insert("parameters".to_owned(), places.chain([parameter("pretty", "query")]).collect());
            told.insert(path, item.into());
        }
    };
    add(home.clone(), &resource.verbs, &COLLECTION, &known, &own);
    if resource.namespaced {
        add(format!("{base}/{plural}"), &resource.verbs, &COLLECTION[..1], &[], &own);
    }
    let known = [&["name"][..], &known].concat();
    add(format!("{home}/{{name}}"), &resource.verbs, &ITEM[..4], &known, &own);
    for part in &resource.subresources {
        let path = format!("{home}/{{name}}/{}", part.name);
        let other = part.kind.as_ref().filter(|_| !resource.custom).map(|(group, version, kind)| Of {
            group,
            version,
            kind,
            name: name_of(group, version, kind).unwrap_or(name),
        });
        add(path, &part.verbs, &ITEM, &known, other.as_ref().unwrap_or(&own));
    }
    told
}

/// What an operation is about.
struct Of<'a> {
    group: &'a str,
    version: &'a str,
    kind: &'a str,
    name: &'a str,
}

impl Of<'_> {
    fn operation(&self, custom: bool, method: &str, action: &str, takes: &str) -> Value {
        let content = |name: &str| json!({"application/json": {"schema": reference(name)}});
        // What the real server says of custom resources.
        let takes = match action {
            "deletecollection" if custom => LIST,
            "get" if custom => "resourceVersion",
            _ => takes,
        };
        let parameters: Vec<Value> = takes.split_ascii_whitespace().map(|name| parameter(name, "query")).collect();
        let answered = match action {
            "list" | "delete" | "deletecollection" => json!({"description": "OK"}),
            _ => json!({"description": "OK", "content": content(self.name)}),
        };
        let mut told = json!({
            "responses": {"200": answered},
            "x-kubernetes-action": action,
            KIND: {"group": self.group, "version": self.version, "kind": self.kind},
        });
        let Some(members) = told.as_object_mut() else { return told };
        if !parameters.is_empty() {
            members.insert("parameters".to_owned(), parameters.into());
        }
        let body = match method {
            "post" | "put" => Some(json!({"content": content(self.name), "required": true})),
            "patch" => {
                // Custom resources have no strategic patches.
                let types = PATCHES.iter().filter(|name| !custom || !name.contains("strategic"));
                let types: Map<String, Value> =
                    types.map(|name| ((*name).to_owned(), json!({"schema": {"type": "object"}}))).collect();
                Some(json!({"content": types, "required": true}))
            }
            "delete" => Some(json!({"content": content(&long("meta.v1.DeleteOptions"))})),
            _ => None,
        };
        members.extend(body.map(|body| ("requestBody".to_owned(), body)));
        told
    }
}

/// A parameter: its name and, behind a colon, its type.
fn parameter(told: &str, place: &str) -> Value {
    let (name, kind) = told.split_once(':').unwrap_or((told, "string"));
    let mut parameter = json!({"name": name, "in": place, "schema": {"type": kind, "uniqueItems": true}});
    if let (true, Some(members)) = (place == "path", parameter.as_object_mut()) {
        members.insert("required".to_owned(), true.into());
    }
    parameter
}
