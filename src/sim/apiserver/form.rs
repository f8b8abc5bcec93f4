//! The forms in which a client can have answers: what of objects is told, and whether as JSON or as YAML.

use http::HeaderMap;
use http::header::ACCEPT;
use serde_json::Value;

use super::reply::{JSON, Reply};
use super::resources::Resource;
use super::status::Status;

/// The other type of answers.
const YAML: &str = "application/yaml";
/// What errors say can be had, though this server does not speak protobuf.
const OFFERED: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
/// The same of watches.
const STREAMED: &str = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
/// The type of aggregated discovery, by its parameters.
const AGGREGATED: [(&str, &str); 3] = [("g", "apidiscovery.k8s.io"), ("v", "v2"), ("as", "APIGroupDiscoveryList")];

/// How objects are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Whole,
    /// Their metadata alone.
    Metadata {
        /// In this version.
        version: MetaVersion,
        /// Whether a list is what was asked for.
        of_list: bool,
    },
    /// Lines for people.
    Table(MetaVersion),
}

/// A version of the forms that are not the objects' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaVersion {
    /// `v1`.
    V1,
    /// `v1beta1`, which is the same by another name.
    V1Beta1,
}

impl MetaVersion {
    /// Group and version.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// One of the types that a client accepts.
struct Range<'h> {
    media: &'h str,
    parameters: Vec<(&'h str, &'h str)>,
}

impl Range<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// Whether it is YAML; `None`: it is nothing that this server writes.
    fn yaml(&self) -> Option<bool> {
        match self.media {
            JSON | "application/*" | "*/*" => Some(false),
            YAML => Some(true),
            _ => None,
        }
    }

    /// Whether the server's router lets it pass, which looks at types alone.
    fn is_routed(&self, offered: &str) -> bool {
        self.media == "*/*" || offered.split(", ").any(|offer| offer == self.media)
    }

    fn form(&self) -> Option<Form> {
        let Some(shape) = self.get("as") else { return Some(Form::Whole) };
        let version = match (self.get("g"), self.get("v")) {
            (Some("meta.k8s.io"), Some("v1")) => MetaVersion::V1,
            (Some("meta.k8s.io"), Some("v1beta1")) => MetaVersion::V1Beta1,
            _ => return None,
        };
        match shape {
            "Table" => Some(Form::Table(version)),
            "PartialObjectMetadata" => Some(Form::Metadata { version, of_list: false }),
            "PartialObjectMetadataList" => Some(Form::Metadata { version, of_list: true }),
            _ => None,
        }
    }
}

/// What a client accepts, what it likes best first.
fn ranges(headers: &HeaderMap) -> Vec<Range<'_>> {
    let texts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let mut ranges: Vec<Range<'_>> = texts
        .map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            Range { media, parameters: parts.filter_map(|part| part.split_once('=')).collect() }
        })
        .filter(|range| !range.media.is_empty())
        .collect();
    let weight = |range: &Range<'_>| range.get("q").and_then(|q| q.parse::<f64>().ok()).unwrap_or(1.0);
    ranges.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    ranges
}

/// The form of the answer to a request for a resource. A client that says nothing gets objects as they are.
///
/// # Errors
/// That nothing of what the client accepts can be had.
pub fn accepted(headers: &HeaderMap, resource: &Resource, verb: &str) -> Result<Form, Status> {
    let ranges = ranges(headers);
    if ranges.is_empty() {
        return Ok(Form::Whole);
    }
    let streams = matches!(verb, "list" | "watch");
    let offered = if streams { format!("{OFFERED}, {STREAMED}") } else { OFFERED.to_owned() };
    // Custom resources have no routes.
    if !resource.custom && !ranges.iter().any(|range| range.is_routed(OFFERED)) {
        return Err(Status::not_acceptable(&offered));
    }
    let watched = verb == "watch";
    let fits = |range: &Range<'_>| range.yaml().is_some_and(|yaml| !(yaml && watched));
    let form = ranges.iter().filter(|range| fits(range)).find_map(Range::form);
    form.ok_or_else(|| Status::only_acceptable(if watched { STREAMED } else { OFFERED }))
}

/// Whether a client that asks for a discovery document takes the one that holds all of them.
///
/// # Errors
/// That nothing of what the client accepts can be had.
pub fn aggregated(headers: &HeaderMap, path: &str) -> Result<bool, Status> {
    let ranges = ranges(headers);
    // Groups come from a part of the server that has no router.
    let is_group = path == "/apis" || path.starts_with("/apis/") && path.split('/').count() == 3;
    let offered = if path == "/version" { JSON } else { OFFERED };
    if !ranges.is_empty() && !is_group && !ranges.iter().any(|range| range.is_routed(offered)) {
        return Err(Status::not_acceptable(offered));
    }
    let is_root = matches!(path, "/api" | "/apis");
    let whole = |range: &&Range<'_>| is_root && AGGREGATED.iter().all(|(name, value)| range.get(name) == Some(*value));
    let known = |range: &&Range<'_>| path == "/version" || range.get("as").is_none() || whole(range);
    match ranges.iter().filter(|range| range.yaml().is_some()).find(known) {
        Some(range) => Ok(whole(&range)),
        None if ranges.is_empty() => Ok(false),
        None => Err(Status::only_acceptable(OFFERED)),
    }
}

/// An answer as its client wants it written.
pub fn written(reply: Reply, headers: &HeaderMap) -> Reply {
    let yaml = ranges(headers).iter().find_map(Range::yaml).unwrap_or_default();
    if !yaml || reply.content_type != JSON {
        return reply;
    }
    let value: Value = serde_json::from_slice(&reply.bytes()).unwrap_or_default();
    match serde_saphyr::to_string(&value) {
        Ok(text) => Reply { content_type: YAML.to_owned(), body: vec![text.into()], ..reply },
        // What JSON can tell, YAML can, too.
        Err(_) => reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())])
    }

    #[test]
    fn the_first_form_that_can_be_told_is_taken() {
        let resource = Resource::named("", "configmaps");
        for (accept, expected) in [
            ("", Some(Form::Whole)),
            ("application/vnd.kubernetes.protobuf,application/json", Some(Form::Whole)),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some(Form::Table(MetaVersion::V1))),
            ("application/json,application/json;as=Table;v=v1;g=meta.k8s.io;q=0.1", Some(Form::Whole)),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                Some(Form::Metadata { version: MetaVersion::V1, of_list: true }),
            ),
            ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Some(Form::Whole)),
            ("application/yaml", Some(Form::Whole)),
            ("text/html", None),
            ("text/html,application/*", None),
        ] {
            assert_eq!(accepted(&headers(accept), &resource, "get").ok(), expected, "{accept}");
        }
        assert_eq!(accepted(&HeaderMap::new(), &resource, "get"), Ok(Form::Whole));
        assert!(accepted(&headers("application/yaml"), &resource, "watch").is_err());
    }

    #[test]
    fn answers_are_written_as_yaml_for_who_wants_that() {
        let reply = || Reply::json(200, &serde_json::json!({"a": "true", "b": [1]}));
        let yaml = written(reply(), &headers("application/yaml"));
        assert_eq!(yaml.content_type, YAML);
        let read: Value = serde_saphyr::from_slice(&yaml.bytes()).unwrap();
        assert_eq!(read, serde_json::json!({"a": "true", "b": [1]}));
        assert_eq!(written(reply(), &headers("application/json,application/yaml")), reply());
    }
}
