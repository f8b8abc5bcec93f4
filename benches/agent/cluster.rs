//! The cluster as the benchmark sees it: its own requests and its own watches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::{broadcast, oneshot};
use tokio::task::AbortHandle;

/// Events that a reader may be behind.
const BEHIND: usize = 1 << 16;
/// How long a watch may take to begin.
const BEGIN: Duration = Duration::from_secs(30);

/// Applications.
pub(crate) fn applications() -> ApiResource {
    resource("argoproj.io", "v1alpha1", "Application", "applications")
}

/// A resource by its names.
pub(crate) fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

/// A state of an object, with the time at which the watch told it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) object: DynamicObject,
}

impl Seen {
    /// Whether it is the object of this namespace and name.
    pub(crate) fn is(&self, namespace: &str, name: &str) -> bool {
        let metadata = &self.object.metadata;
        metadata.namespace.as_deref() == Some(namespace) && metadata.name.as_deref() == Some(name)
    }

    pub(crate) fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> &str {
        self.object.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// A value at a JSON pointer outside of the metadata.
    pub(crate) fn value(&self, pointer: &str) -> Option<&str> {
        self.object.data.pointer(pointer)?.as_str()
    }

    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.object.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// Resource version; 0 if it has none.
    pub(crate) fn resource_version(&self) -> u64 {
        self.object.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// Whether the Application is Synced to `revision`, with its last operation ended well.
    pub(crate) fn synced(&self, revision: &str) -> bool {
        self.value("/status/sync/status") == Some("Synced")
            && self.value("/status/sync/revision") == Some(revision)
            && self.value("/status/operationState/phase") == Some("Succeeded")
    }
}

/// A watch. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: broadcast::Sender<Arc<Seen>>,
    task: AbortHandle,
}

impl Watch {
    /// Watches the objects with these labels in all namespaces. Returns when the list is done.
    pub(crate) async fn start(client: Client, resource: &ApiResource, labels: &str) -> anyhow::Result<Self> {
        let api: Api<DynamicObject> = Api::all_with(client, resource);
        let (seen, _) = broadcast::channel(BEHIND);
        let (begun, done) = oneshot::channel();
        let mut begun = Some(begun);
        let told = seen.clone();
        let mut events = Box::pin(watcher(api, watcher::Config::default().labels(labels)).default_backoff());
        let task = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                match event {
                    Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                        // Nobody may be interested just now.
                        let _ = told.send(Arc::new(Seen { at: Instant::now(), object }));
                    }
                    Ok(watcher::Event::InitDone) => {
                        let _ = begun.take().map(|begun| begun.send(()));
                    }
                    Ok(_) => {}
                    Err(error) => eprintln!("the benchmark's own watch: {error}"),
                }
            }
        });
        let watch = Self { seen, task: task.abort_handle() };
        tokio::time::timeout(BEGIN, done).await.with_context(|| format!("no list of {}", resource.plural))??;
        Ok(watch)
    }

    /// What is seen from now on.
    pub(crate) fn follow(&self) -> Follow {
        Follow(self.seen.subscribe())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a watch.
#[derive(Debug)]
pub(crate) struct Follow(broadcast::Receiver<Arc<Seen>>);

impl Follow {
    /// Waits for at most `limit` until `wanted` is satisfied; returns what satisfied it.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut wanted: impl FnMut(&Seen) -> bool,
    ) -> anyhow::Result<Arc<Seen>> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            match tokio::time::timeout_at(deadline, self.0.recv()).await {
                Ok(Ok(seen)) if wanted(&seen) => return Ok(seen),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => bail!("{what}: the benchmark's own watch: {error}"),
                Err(_) => bail!("{what}: not within {} s", limit.as_secs()),
            }
        }
    }
}

/// A request with a JSON body; the answer as JSON.
pub(crate) async fn send(
    client: &Client,
    method: http::Method,
    path: &str,
    content: &str,
    body: &Value,
) -> anyhow::Result<Value> {
    let request = http::Request::builder().method(method).uri(path).header(http::header::CONTENT_TYPE, content);
    let text = client.request_text(request.body(serde_json::to_vec(body)?)?).await.with_context(|| path.to_owned())?;
    Ok(serde_json::from_str(&text)?)
}

/// The text of a GET.
pub(crate) async fn read(client: &Client, path: &str) -> anyhow::Result<String> {
    let request = http::Request::get(path).body(Vec::new())?;
    client.request_text(request).await.with_context(|| path.to_owned())
}

/// A JSON merge patch, by a person.
pub(crate) async fn edit(client: &Client, path: &str, patch: &Value) -> anyhow::Result<Value> {
    let path = format!("{path}?fieldManager=kubectl-edit");
    send(client, http::Method::PATCH, &path, "application/merge-patch+json", patch).await
}
