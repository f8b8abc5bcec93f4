//! What the server says it serves: aggregated discovery (v2) and the older documents.

use http::Method;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::reply::Reply;
use super::resources::{Resource, Resources, Subresource};
use super::status::Status;
use super::{Request, form};

/// The type of aggregated discovery.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// The version that the model speaks for; the real server that it is compared with.
const VERSION: (&str, &str, &str) = ("1", "37", "v1.37.2");

/// Answers `/api`, `/apis`, what is below them, and the paths of the server itself.
///
/// # Errors
/// That there is no such version or method, or that the client takes nothing of what can be had.
pub fn answer(resources: &Resources, path: &str, request: &Request) -> Result<Reply, Status> {
    let path = path.trim_end_matches('/');
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let document = match parts.as_slice() {
        ["livez" | "readyz" | "healthz"] => return Ok(Reply::text(200, "ok")),
        ["version"] => Some(version()),
        ["api"] => Some(versions()),
        ["apis"] => Some(groups(resources)),
        ["api", version, ..] => resource_list(resources, "", version),
        ["apis", group] => group_document(resources, group, true),
        ["apis", group, version] => resource_list(resources, group, version),
        _ => None,
    };
    let Some(document) = document else {
        // Groups that are served answer for all that is below them.
        let known = match parts.as_slice() {
            ["api", ..] => true,
            ["apis", group, _, ..] => resources.all().any(|known| known.group == *group && !known.custom),
            _ => false,
        };
        return if known { Err(Status::no_resource()) } else { Ok(Reply::no_page()) };
    };
    let groups = matches!(parts.as_slice(), ["apis"] | ["apis", _]);
    if !groups && request.method() != Method::GET {
        return Err(Status::method_not_allowed());
    }
    Ok(match (form::aggregated(request.headers(), path)?, parts.as_slice()) {
        (true, ["api"]) => aggregated(resources, |group| group.is_empty()),
        (true, _) => aggregated(resources, |group| !group.is_empty()),
        (false, _) => Reply::json(200, &document),
    })
}

fn version() -> Value {
    let (major, minor, git) = VERSION;
    json!({
        "major": major, "minor": minor, "emulationMajor": major, "emulationMinor": minor,
        "minCompatibilityMajor": major, "minCompatibilityMinor": "36",
        "gitVersion": git, "gitCommit": "", "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "", "compiler": "", "platform": "linux/amd64",
    })
}

fn versions() -> Value {
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
    })
}

fn groups(resources: &Resources) -> Value {
    let named = resources.groups().iter().filter(|(group, _)| !group.is_empty());
    let groups: Vec<Value> = named.filter_map(|(group, _)| group_document(resources, group, false)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn group_document(resources: &Resources, group: &str, alone: bool) -> Option<Value> {
    let (_, versions) = resources.groups().iter().find(|(known, _)| known == group && !group.is_empty())?;
    let told: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    let mut document = json!({"name": group, "preferredVersion": told.first(), "versions": told});
    if let (true, Some(document)) = (alone, document.as_object_mut()) {
        document.insert("kind".to_owned(), "APIGroup".into());
        document.insert("apiVersion".to_owned(), "v1".into());
    }
    Some(document)
}

fn resource_list(resources: &Resources, group: &str, version: &str) -> Option<Value> {
    let mut list = Vec::new();
    for resource in resources.of(group, version) {
        list.push(legacy(resource));
        list.extend(resource.subresources.iter().map(|subresource| legacy_subresource(resource, subresource)));
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut document = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": list});
    if let (false, Some(document)) = (group.is_empty(), document.as_object_mut()) {
        document.insert("apiVersion".to_owned(), "v1".into());
    }
    (!list.is_empty()).then_some(document)
}

fn legacy(resource: &Resource) -> Value {
    let mut told = Map::from_iter([
        ("name".to_owned(), resource.plural.as_str().into()),
        ("singularName".to_owned(), resource.singular.as_str().into()),
        ("namespaced".to_owned(), resource.namespaced.into()),
        ("kind".to_owned(), resource.kind.as_str().into()),
        ("verbs".to_owned(), resource.verbs.clone().into()),
    ]);
    if !resource.short_names.is_empty() {
        told.insert("shortNames".to_owned(), resource.short_names.clone().into());
    }
    if !resource.categories.is_empty() {
        told.insert("categories".to_owned(), resource.categories.clone().into());
    }
    if resource.has_verb("get") {
        told.insert("storageVersionHash".to_owned(), storage_hash(resource).into());
    }
    Value::Object(told)
}

/// By which clients see that a kind is stored in another version: a digest of group, version and kind.
fn storage_hash(resource: &Resource) -> String {
    let Resource { group, version, kind, .. } = resource;
    // Two are stored in another form than they are served in.
    let (group, version) = match group.as_str() {
        "events.k8s.io" => ("", "v1"),
        "apiextensions.k8s.io" => ("apiextensions.k8s.io", "v1beta1"),
        group => (group, version.as_str()),
    };
    let digest = digest(&SHA256, format!("{group}/{version}/{kind}").as_bytes());
    STANDARD.encode(digest.as_ref().get(..8).unwrap_or_default())
}

fn legacy_subresource(resource: &Resource, subresource: &Subresource) -> Value {
    let mut told = json!({
        "name": format!("{}/{}", resource.plural, subresource.name),
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": subresource.kind.as_ref().map_or(&resource.kind, |(_, _, kind)| kind),
        "verbs": subresource.verbs,
    });
    if let (Some((group, version, _)), Some(told)) = (&subresource.kind, told.as_object_mut()) {
        told.insert("group".to_owned(), group.as_str().into());
        told.insert("version".to_owned(), version.as_str().into());
    }
    told
}

fn aggregated(resources: &Resources, wanted: impl Fn(&str) -> bool) -> Reply {
    let mut items = Vec::new();
    for (group, versions) in resources.groups().iter().filter(|(group, _)| wanted(group)) {
        let told: Vec<Value> = versions
            .iter()
            .map(|version| {
                let resources: Vec<Value> = resources.of(group, version).map(|resource| entry(resource)).collect();
                json!({"version": version, "resources": resources, "freshness": "Current"})
            })
            .collect();
        let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
        items.push(json!({"metadata": metadata, "versions": told}));
    }
    let document = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    });
    let mut reply = Reply::json(200, &document);
    AGGREGATED.clone_into(&mut reply.content_type);
    reply
}

fn entry(resource: &Resource) -> Value {
    // Built-in kinds leave out what the document says already; those of definitions repeat it.
    let (group, version) =
        if resource.custom { (resource.group.as_str(), resource.version.as_str()) } else { ("", "") };
    let mut told = Map::from_iter([
        ("resource".to_owned(), resource.plural.as_str().into()),
        ("responseKind".to_owned(), json!({"group": group, "version": version, "kind": resource.kind})),
        ("scope".to_owned(), if resource.namespaced { "Namespaced" } else { "Cluster" }.into()),
        ("singularResource".to_owned(), resource.singular.as_str().into()),
        ("verbs".to_owned(), resource.verbs.clone().into()),
    ]);
    if !resource.short_names.is_empty() {
        told.insert("shortNames".to_owned(), resource.short_names.clone().into());
    }
    if !resource.categories.is_empty() {
        told.insert("categories".to_owned(), resource.categories.clone().into());
    }
    if !resource.subresources.is_empty() {
        let subresources = resource.subresources.iter().map(|subresource| {
            let (group, version, kind) = match &subresource.kind {
                Some((group, version, kind)) => (group.as_str(), version.as_str(), kind.as_str()),
                None => (group, version, resource.kind.as_str()),
            };
            json!({
                "subresource": subresource.name, "verbs": subresource.verbs,
                "responseKind": {"group": group, "version": version, "kind": kind},
            })
        });
        told.insert("subresources".to_owned(), subresources.collect());
    }
    Value::Object(told)
}
