//! Which kinds the API server serves, and under which paths.
//!
//! Two requests for aggregated discovery (`/api` and `/apis`, stable since Kubernetes 1.30). A group whose server could
//! not be asked is kept and marked as stale: its kinds are unknown, not absent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use kube::Client;
use kube::client::{APIGroupDiscovery, APIGroupDiscoveryList, APIResourceDiscovery, APIVersionDiscovery};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::error;
use super::news::{Listener, News};
use super::path::ResourcePath;
use super::request::{self, Refusal};
use crate::engine::event::{RequestError, RequestErrorReason};
use crate::engine::hash::Hash;
use crate::engine::ids::{Gvk, ObjectKey};
use crate::engine::scope::Scope;

/// What is asked for: the stable format, or the beta one of older servers.
const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                      application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
/// Where core kinds and all others are listed.
const ENDPOINTS: [&str; 2] = ["/api", "/apis"];
/// Longest answer. A cluster with 1,000 custom resources answers with about 1 MB.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// Least time between the beginnings of two refreshes.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// First pause of [`DiscoveryHandle::resolve`]; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause of [`DiscoveryHandle::resolve`].
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One kind in one version, as served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// Name in URLs, e.g. `deployments`.
    pub plural: Arc<str>,
    /// Whether its objects are in namespaces.
    pub scope: Scope,
    /// What can be done with it: `get`, `list`, `watch`, `patch`, ….
    pub verbs: Vec<Box<str>>,
    /// Whether its status is written through `/status` only.
    pub has_status: bool,
}

impl Resource {
    /// Whether the API server takes this verb.
    pub fn supports(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| &**known == verb)
    }

    /// How it is addressed in requests about single objects.
    pub fn path(&self) -> ResourcePath {
        let namespaced = self.scope == Scope::Namespaced;
        ResourcePath { gvk: self.gvk.clone(), plural: self.plural.clone(), namespaced }
    }

    /// Path of all its objects, in all namespaces.
    pub fn collection_path(&self) -> String {
        let root = if self.gvk.group.is_empty() { "/api" } else { "/apis" };
        format!("{root}/{}/{}", self.gvk.api_version(), self.plural)
    }

    /// Path of one object. An error if its namespace doesn't fit the scope of the kind, or a name can't be part of a
    /// path (names come from Git).
    pub fn object_path(&self, key: &ObjectKey) -> Result<String, RequestError> {
        if self.scope == Scope::Cluster && !key.namespace.is_empty() {
            return Err(error::invalid(format!("{key} names a namespace, but its kind is cluster-scoped; remove it")));
        }
        self.path().object(&key.namespace, &key.name)
    }
}

/// The served kinds at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    resources: BTreeMap<Gvk, Arc<Resource>>,
    /// Kinds in the server's order of preference: first per group and kind is the preferred version.
    preferred: Vec<Arc<Resource>>,
    stale: BTreeSet<(Arc<str>, Arc<str>)>,
}

impl Discovery {
    /// The kind, if it is served.
    pub fn resource(&self, gvk: &Gvk) -> Option<&Arc<Resource>> {
        self.resources.get(gvk)
    }

    /// Scope of the kind, if it is served.
    pub fn scope(&self, gvk: &Gvk) -> Option<Scope> {
        self.resource(gvk).map(|resource| resource.scope)
    }

    /// Each kind once, in its preferred version, if it can be listed there.
    pub fn listable(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.preferred.iter().filter(|resource| resource.supports("list"))
    }

    /// Groups and versions that could not be asked: which kinds they serve is unknown, and what was known is kept.
    pub fn stale(&self) -> &BTreeSet<(Arc<str>, Arc<str>)> {
        &self.stale
    }

    /// Hash over the served kinds with path and scope: another one if a kind came, went or changed.
    pub fn kinds(&self) -> Hash {
        let mut text = String::new();
        for (gvk, resource) in &self.resources {
            text.push_str(&format!("{gvk}\n{}\n{:?}\n", resource.plural, resource.scope));
        }
        Hash::of(text.as_bytes())
    }

    /// `answers` are those of [`ENDPOINTS`]; `previous` says what is known about groups that are stale now.
    fn assemble(answers: &[Arc<[Served]>], previous: &Self) -> Self {
        let mut discovery = Self::default();
        for served in answers.iter().flat_map(|answer| answer.iter()) {
            for resource in &served.resources {
                discovery.add(resource.clone());
            }
            if served.stale {
                for (gvk, known) in &previous.resources {
                    if gvk.group == served.group && (gvk.version == served.version || served.version.is_empty()) {
                        discovery.add(known.clone());
                    }
                }
                discovery.stale.insert((served.group.clone(), served.version.clone()));
            }
        }
        discovery
    }

    fn add(&mut self, resource: Arc<Resource>) {
        if self.resources.contains_key(&resource.gvk) {
            return;
        }
        let same = |other: &Arc<Resource>| other.gvk.group == resource.gvk.group && other.gvk.kind == resource.gvk.kind;
        if !self.preferred.iter().any(same) {
            self.preferred.push(resource.clone());
        }
        self.resources.insert(resource.gvk.clone(), resource);
    }
}

/// What one version of a group serves, in the server's order.
#[derive(Debug)]
struct Served {
    group: Arc<str>,
    /// Empty if the server names no version at all.
    version: Arc<str>,
    stale: bool,
    resources: Vec<Arc<Resource>>,
}

impl Served {
    /// Cuts an answer down to what is used.
    fn read(list: &APIGroupDiscoveryList) -> Arc<[Self]> {
        list.items.iter().flat_map(Self::read_group).collect()
    }

    fn read_group(listed: &APIGroupDiscovery) -> Vec<Self> {
        let group: Arc<str> = listed.metadata.as_ref().and_then(|meta| meta.name.as_deref()).unwrap_or_default().into();
        if listed.versions.is_empty() {
            return vec![Self { group, version: "".into(), stale: true, resources: Vec::new() }];
        }
        let version = |listed: &APIVersionDiscovery| {
            let version: Arc<str> = listed.version.as_deref().unwrap_or_default().into();
            let resources = listed.resources.iter().filter_map(|resource| Resource::read(&group, &version, resource));
            let stale = listed.freshness.as_deref() == Some("Stale");
            Self { group: group.clone(), resources: resources.map(Arc::new).collect(), version, stale }
        };
        listed.versions.iter().map(version).collect()
    }
}

impl Resource {
    fn read(group: &Arc<str>, version: &Arc<str>, listed: &APIResourceDiscovery) -> Option<Self> {
        let plural = listed.resource.as_deref().filter(|plural| !plural.is_empty())?;
        let kind = listed.response_kind.as_ref()?.kind.as_deref().filter(|kind| !kind.is_empty())?;
        Some(Self {
            gvk: Gvk::new(group.clone(), version.clone(), kind),
            plural: plural.into(),
            scope: if listed.scope.as_deref() == Some("Namespaced") { Scope::Namespaced } else { Scope::Cluster },
            verbs: listed.verbs.iter().map(|verb| verb.as_str().into()).collect(),
            has_status: listed.subresources.iter().any(|sub| sub.subresource.as_deref() == Some("status")),
        })
    }
}

/// The served kinds, kept for all who need them.
pub struct DiscoveryHandle {
    client: Client,
    current: RwLock<Arc<Discovery>>,
    news: News,
    /// How many refreshes have begun.
    begun: AtomicU64,
    flight: Mutex<Flight>,
}

#[derive(Default)]
struct Flight {
    last_begun: Option<Instant>,
    last_error: Option<RequestError>,
    answers: [Option<Cached>; 2],
}

/// The last answer of one endpoint and its tag.
#[derive(Clone)]
struct Cached {
    etag: Option<HeaderValue>,
    served: Arc<[Served]>,
}

impl DiscoveryHandle {
    /// Nothing is known, and nothing sent, before the first [`Self::refresh`].
    pub fn new(client: Client) -> Arc<Self> {
        Arc::new(Self {
            client,
            current: RwLock::default(),
            news: News::default(),
            begun: AtomicU64::new(0),
            flight: Mutex::default(),
        })
    }

    /// What the last successful refresh showed.
    pub fn current(&self) -> Arc<Discovery> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes when a refresh showed something else than the one before.
    pub(super) fn subscribe(&self) -> Listener {
        self.news.subscribe()
    }

    /// Reads the served kinds anew. Calls that come while another one waits or runs share a request that began after
    /// they came; requests begin at least 100 ms apart. An error leaves what was known as it is.
    pub async fn refresh(&self) -> Result<Arc<Discovery>, RequestError> {
        let asked = self.begun.load(Ordering::SeqCst);
        let mut flight = self.flight.lock().await;
        if self.begun.load(Ordering::SeqCst) > asked {
            return flight.last_error.clone().map_or_else(|| Ok(self.current()), Err);
        }
        if let Some(last) = flight.last_begun {
            tokio::time::sleep_until(last + MIN_INTERVAL).await;
        }
        self.begun.fetch_add(1, Ordering::SeqCst);
        flight.last_begun = Some(Instant::now());
        // In place before the request: what a cancelled refresh leaves to those who wait.
        flight.last_error = Some(Refusal::broken("discovering kinds", "given up").error);
        let result = self.read(&mut flight.answers).await.map_err(|refusal| refusal.error);
        flight.last_error = result.as_ref().err().cloned();
        let fresh = result?;
        if *self.current() != fresh {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
            self.news.tell();
        }
        Ok(self.current())
    }

    /// The kind as served. If it is not known, discovery is read anew, again and again with growing pauses until
    /// `patience` is over: a custom resource is served some tens of milliseconds after its definition was created. With
    /// zero patience it is read once.
    pub async fn resolve(&self, gvk: &Gvk, patience: Duration) -> Result<Arc<Resource>, RequestError> {
        if let Some(resource) = self.current().resource(gvk) {
            return Ok(resource.clone());
        }
        let deadline = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let discovery = self.refresh().await?;
            if let Some(resource) = discovery.resource(gvk) {
                return Ok(resource.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(unknown(gvk, &discovery));
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn read(&self, cache: &mut [Option<Cached>; 2]) -> Result<Discovery, Refusal> {
        let mut answers = Vec::with_capacity(ENDPOINTS.len());
        for (path, cached) in ENDPOINTS.iter().zip(cache.iter_mut()) {
            let fresh = self.endpoint(path, cached.as_ref()).await?;
            answers.push(fresh.served.clone());
            *cached = Some(fresh);
        }
        Ok(Discovery::assemble(&answers, &self.current()))
    }

    async fn endpoint(&self, path: &str, cached: Option<&Cached>) -> Result<Cached, Refusal> {
        const WHAT: &str = "discovering the served kinds";
        let etag = cached.and_then(|cached| cached.etag.clone());
        let answer = request::get_if_changed(&self.client, WHAT, path, ACCEPT, etag).await?;
        if let (StatusCode::NOT_MODIFIED, Some(cached)) = (answer.status, cached) {
            return Ok(cached.clone());
        }
        let body = request::collect(WHAT, answer.body, MAX_ANSWER).await?;
        let list: TypedList =
            serde_json::from_slice(&body).map_err(|_| Refusal::broken(WHAT, "the answer is not in JSON"))?;
        if list.kind != "APIGroupDiscoveryList" {
            let message = format!("{WHAT}: {path} has no aggregated discovery; Kubernetes 1.27 or newer is needed");
            return Err(error::invalid(message).into());
        }
        Ok(Cached { etag: answer.etag, served: Served::read(&list.list) })
    }
}

#[derive(Deserialize)]
struct TypedList {
    #[serde(default)]
    kind: String,
    #[serde(flatten)]
    list: APIGroupDiscoveryList,
}

/// The error for a kind that is not served.
fn unknown(gvk: &Gvk, discovery: &Discovery) -> RequestError {
    let stale = discovery.stale.iter().any(|(group, _)| *group == gvk.group);
    let message = if stale {
        format!("{gvk} is unknown: the server of its API group does not answer")
    } else {
        format!("{gvk} is not served by the API server; is its CustomResourceDefinition installed?")
    };
    let reason =
        if stale { RequestErrorReason::Transient { retry_after: None } } else { RequestErrorReason::UnknownKind };
    RequestError { reason, message }
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
