//! Counting requests: a tower layer that reports every request to a [`RequestObserver`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Method, Request, Response, Uri};
use kube::client::Body;
use tokio::time::Instant;
use tower::{Layer, Service};

/// What a request does, in the API server's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Read one object, or something that is no object (discovery).
    Get,
    /// Read many.
    List,
    /// Be told of changes.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH, server-side apply included.
    Patch,
    /// DELETE.
    Delete,
    /// Anything else.
    Other,
}

impl Verb {
    /// Lower-case name, as the API server's own metrics spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Is told of every request. Called on the request's task: must not block.
pub trait RequestObserver: Send + Sync {
    /// A request was answered with `code` after `seconds` (until the head of the answer), or ended without an answer
    /// (`None`: connection lost, timed out or given up). `resource` is `plural`, `plural.group` or either with
    /// `/subresource`; never a name of an object, so that its values are as few as the kinds that are served.
    fn observed(&self, verb: Verb, resource: &str, code: Option<u16>, seconds: f64);
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl RequestObserver for Unobserved {
    fn observed(&self, _: Verb, _: &str, _: Option<u16>, _: f64) {}
}

/// Reports the requests of the service below it.
#[derive(Clone)]
pub struct ObserverLayer {
    observer: Arc<dyn RequestObserver>,
}

impl ObserverLayer {
    /// A layer that reports to `observer`.
    pub fn new(observer: Arc<dyn RequestObserver>) -> Self {
        Self { observer }
    }
}

impl<S> Layer<S> for ObserverLayer {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observed { inner, observer: self.observer.clone() }
    }
}

/// A service whose requests are reported; made by [`ObserverLayer`].
#[derive(Clone)]
pub struct Observed<S> {
    inner: S,
    observer: Arc<dyn RequestObserver>,
}

impl<S, B> Service<Request<Body>> for Observed<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (verb, resource) = classify(request.method(), request.uri());
        let mut report =
            Report { observer: self.observer.clone(), verb, resource, code: None, started: Instant::now() };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            report.answered(answer.as_ref().ok().map(|answer| answer.status().as_u16()));
            answer
        })
    }
}

/// Reports when it is dropped, so that a request that its caller gave up is counted as well.
struct Report {
    observer: Arc<dyn RequestObserver>,
    verb: Verb,
    resource: String,
    code: Option<u16>,
    started: Instant,
}

impl Report {
    // A method, so that the future takes the whole report with it and not only its field.
    fn answered(&mut self, code: Option<u16>) {
        self.code = code;
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.observer.observed(self.verb, &self.resource, self.code, self.started.elapsed().as_secs_f64());
    }
}

/// Verb and resource of a request, by the URL scheme of the Kubernetes API conventions.
fn classify(method: &Method, uri: &Uri) -> (Verb, String) {
    let mut parts = uri.path().split('/').filter(|part| !part.is_empty());
    let group = match parts.next() {
        Some("api") => "",
        Some("apis") => parts.next().unwrap_or_default(),
        _ => return (verb(method, true, false), "other".to_owned()),
    };
    let rest: Vec<&str> = parts.skip(1).collect();
    let (plural, name, subresource) = match rest.as_slice() {
        [] => return (verb(method, true, false), "discovery".to_owned()),
        // The namespace itself has the two subresources that no other kind is called by.
        ["namespaces", _, sub @ ("status" | "finalize")] => ("namespaces", true, Some(*sub)),
        ["namespaces", _, plural, rest @ ..] => (*plural, !rest.is_empty(), rest.get(1).copied()),
        [plural, rest @ ..] => (*plural, !rest.is_empty(), rest.get(1).copied()),
    };
    let watch = uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1"));
    let mut resource = plural.to_owned();
    for (mark, part) in [('.', Some(group).filter(|group| !group.is_empty())), ('/', subresource)] {
        if let Some(part) = part {
            resource.push(mark);
            resource.push_str(part);
        }
    }
    (verb(method, name, watch), resource)
}

fn verb(method: &Method, one: bool, watch: bool) -> Verb {
    match *method {
        Method::GET if watch => Verb::Watch,
        Method::GET if one => Verb::Get,
        Method::GET => Verb::List,
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH => Verb::Patch,
        Method::DELETE => Verb::Delete,
        _ => Verb::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_without_names() {
        let cases = [
            (Method::GET, "/api/v1/configmaps?limit=500", Verb::List, "configmaps"),
            (Method::GET, "/api/v1/configmaps?watch=true&resourceVersion=5", Verb::Watch, "configmaps"),
            (Method::GET, "/api/v1/namespaces/shop/configmaps/settings", Verb::Get, "configmaps"),
            (Method::GET, "/api/v1/namespaces/shop", Verb::Get, "namespaces"),
            (Method::GET, "/api/v1/namespaces", Verb::List, "namespaces"),
            (Method::PUT, "/api/v1/namespaces/shop/finalize", Verb::Update, "namespaces/finalize"),
            (Method::PATCH, "/apis/apps/v1/namespaces/shop/deployments/web", Verb::Patch, "deployments.apps"),
            (
                Method::PATCH,
                "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/a/status",
                Verb::Patch,
                "applications.argoproj.io/status",
            ),
            (Method::POST, "/apis/events.k8s.io/v1/namespaces/shop/events", Verb::Create, "events.events.k8s.io"),
            (
                Method::DELETE,
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/x",
                Verb::Delete,
                "clusterroles.rbac.authorization.k8s.io",
            ),
            (Method::GET, "/apis", Verb::Get, "discovery"),
            (Method::GET, "/api", Verb::Get, "discovery"),
            (Method::GET, "/version", Verb::Get, "other"),
        ];
        for (method, uri, verb, resource) in cases {
            assert_eq!(classify(&method, &uri.parse().unwrap()), (verb, resource.to_owned()), "{uri}");
        }
    }
}
