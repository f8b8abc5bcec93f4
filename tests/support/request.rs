//! A request to an API server, as the proxy logs it.

use std::time::Instant;

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, USER_AGENT};
use hyper::http::request::Parts;

/// What a request is about, as the API server's own metrics and audit tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    /// A server-side apply.
    Apply,
    Delete,
    DeleteCollection,
    /// Any write that is only tried.
    DryRun,
    /// Served kinds, schemas, versions, health: whatever names no resource.
    Discover,
}

impl Verb {
    pub(crate) const fn is_write(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Patch | Self::Apply | Self::Delete | Self::DeleteCollection)
    }
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Counted from 1 since the log was last emptied.
    pub(crate) number: u64,
    /// When it was received.
    pub(crate) at: Instant,
    pub(crate) verb: Verb,
    pub(crate) path: String,
    /// Behind the question mark; empty without one.
    pub(crate) query: String,
    /// Empty where there is none, as for the content type.
    pub(crate) user_agent: String,
    pub(crate) content_type: String,
    /// Plural name of the resource, `leases`; empty for [`Verb::Discover`].
    pub(crate) resource: String,
    /// Empty for what has none.
    pub(crate) name: String,
    /// Of applies and of Leases only.
    pub(crate) body: Option<Bytes>,
    /// Whether it was sent to the API server.
    pub(crate) reached: bool,
    /// When it was sent there.
    pub(crate) sent_at: Option<Instant>,
    /// Of the answer.
    pub(crate) status: Option<u16>,
    /// When the answer's head had come.
    pub(crate) answered_at: Option<Instant>,
}

impl Entry {
    pub(crate) fn new(number: u64, parts: &Parts, body: &Bytes) -> Self {
        let header = |name: HeaderName| {
            parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let content_type = header(CONTENT_TYPE);
        let (resource, name) = resource(&path).unwrap_or_default();
        let verb = verb(&parts.method, &query, &content_type, resource, name);
        Self {
            number,
            at: Instant::now(),
            verb,
            resource: resource.to_owned(),
            name: name.to_owned(),
            body: (content_type.starts_with("application/apply-patch") || resource == "leases").then(|| body.clone()),
            path,
            query,
            user_agent: header(USER_AGENT),
            content_type,
            reached: false,
            sent_at: None,
            status: None,
            answered_at: None,
        }
    }
}

/// Resource and name in a path of the API; `None` for paths that hold no resource.
fn resource(path: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (["api", _, rest @ ..] | ["apis", _, _, rest @ ..]) = &parts[..] else { return None };
    match rest {
        // A namespace itself, and its own subresources.
        ["namespaces", name] | ["namespaces", name, "status" | "finalize"] => Some(("namespaces", name)),
        ["namespaces", _, resource] => Some((resource, "")),
        ["namespaces", _, resource, name, ..] => Some((resource, name)),
        [resource] => Some((resource, "")),
        [resource, name, ..] => Some((resource, name)),
        [] => None,
    }
}

fn verb(method: &Method, query: &str, content_type: &str, resource: &str, name: &str) -> Verb {
    let has = |pair: &str| query.split('&').any(|found| found == pair);
    match *method {
        Method::GET | Method::HEAD if resource.is_empty() => Verb::Discover,
        Method::GET | Method::HEAD if has("watch=true") || has("watch=1") => Verb::Watch,
        Method::GET | Method::HEAD if name.is_empty() => Verb::List,
        Method::GET | Method::HEAD => Verb::Get,
        _ if has("dryRun=All") => Verb::DryRun,
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH if content_type.starts_with("application/apply-patch") => Verb::Apply,
        Method::PATCH => Verb::Patch,
        Method::DELETE if name.is_empty() => Verb::DeleteCollection,
        // Whatever else there may be is counted with the writes, so that it is not overlooked.
        Method::DELETE => Verb::Delete,
        _ => Verb::Update,
    }
}

#[test]
fn requests_are_told_apart() {
    const APPLY: &str = "application/apply-patch+yaml";
    const MERGE: &str = "application/merge-patch+json";
    let cases = [
        ("GET", "/readyz", "", "", Verb::Discover, "", ""),
        ("GET", "/apis/apps/v1", "", "", Verb::Discover, "", ""),
        ("GET", "/api/v1/namespaces", "", "", Verb::List, "namespaces", ""),
        ("GET", "/api/v1/namespaces/shop", "", "", Verb::Get, "namespaces", "shop"),
        ("PUT", "/api/v1/namespaces/shop/finalize", "", "", Verb::Update, "namespaces", "shop"),
        ("GET", "/api/v1/namespaces/shop/pods", "limit=5&watch=1", "", Verb::Watch, "pods", ""),
        ("GET", "/apis/apps/v1/deployments", "watch=true", "", Verb::Watch, "deployments", ""),
        ("POST", "/api/v1/namespaces/shop/configmaps", "", "", Verb::Create, "configmaps", ""),
        ("POST", "/api/v1/namespaces/shop/configmaps", "dryRun=All", "", Verb::DryRun, "configmaps", ""),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/shop/deployments/web",
            "force=true",
            APPLY,
            Verb::Apply,
            "deployments",
            "web",
        ),
        ("PATCH", "/apis/apps/v1/namespaces/shop/deployments/web/scale", "", MERGE, Verb::Patch, "deployments", "web"),
        ("PATCH", "/apis/g/v1/things/x", "a=b&dryRun=All", APPLY, Verb::DryRun, "things", "x"),
        ("DELETE", "/apis/g/v1/things/x", "", "", Verb::Delete, "things", "x"),
        ("DELETE", "/apis/g/v1/things", "", "", Verb::DeleteCollection, "things", ""),
    ];
    for (method, path, query, content_type, verb, resource, name) in cases {
        let request = hyper::Request::builder().method(method).uri(format!("{path}?{query}"));
        let (parts, ()) = request.header(CONTENT_TYPE, content_type).body(()).unwrap().into_parts();
        let entry = Entry::new(1, &parts, &Bytes::from_static(b"body"));
        assert_eq!((entry.verb, &*entry.resource, &*entry.name), (verb, resource, name), "{method} {path}?{query}");
        assert_eq!(entry.body.is_some(), content_type == APPLY);
    }
}
