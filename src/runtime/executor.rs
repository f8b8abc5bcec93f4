//! Performs effects. Each one runs as a task of its own and answers with an event; the engine bounds how many writes and
//! renderings there are, the channel bounds how many answers wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::outside::Tasks;
use super::sources::Sources;
use crate::api::Metrics;
use crate::cluster::applications::status_subresource;
use crate::cluster::apply::{ApplyContext, ApplyRequest, apply};
use crate::cluster::delete::delete;
use crate::cluster::events::Recorder;
use crate::cluster::fence::InFlight;
use crate::cluster::namespace::ensure_namespace;
use crate::cluster::path::ResourcePath;
use crate::cluster::status::{read_application, write_application};
use crate::cluster::watch::{self, WatchContext};
use crate::cluster::{Client, list};
use crate::engine::desired::stamped;
use crate::engine::effect::{Apply, Delete, Effect, ManifestRef, Notice, Purpose, WriteApplication};
use crate::engine::event::{ApplyOutcome, DeleteOutcome, Event, Inspection, RequestError, RequestErrorReason};
use crate::engine::ids::Gvk;
use crate::engine::scope::Scope;
use crate::engine::{blame::blame, ownership};

/// How long an apply waits for its kind to be served: a definition that was just applied takes some tens of milliseconds.
const KIND_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Writes of Applications and namespaces at the same time, and as many reads of single objects. Each has a connection of
/// its own, and when many applications start at once, all of them would be opened, and kept.
pub(super) const PLACES: usize = 8;

/// Everything that effects need. Cheap to clone.
#[derive(Clone)]
pub(super) struct Executor {
    /// Answers go to the loop.
    pub(super) events: mpsc::Sender<Event>,
    /// Client for writes.
    pub(super) client: Client,
    /// Fence, time limit and hash key of writes.
    pub(super) context: ApplyContext,
    /// What watches are started with; its token ends them all.
    pub(super) watching: WatchContext,
    /// Git, rendering, manifests.
    pub(super) sources: Sources,
    /// Writes Events.
    pub(super) recorder: Recorder,
    /// Writes that are under way: the Lease is released when they have ended.
    pub(super) writes: InFlight,
    /// Places for writes of Applications and namespaces, which the engine does not count.
    pub(super) places: Arc<Semaphore>,
    /// Places for reads of single objects, likewise: what left a watch at once is looked at object by object.
    pub(super) looks: Arc<Semaphore>,
    /// What is counted.
    pub(super) metrics: Arc<Metrics>,
    /// The clocks.
    pub(super) clock: Clock,
    /// Runs the tasks.
    pub(super) tasks: Tasks,
}

/// The watches that run.
#[derive(Debug, Default)]
pub(super) struct Watches(BTreeMap<Gvk, CancellationToken>);

impl Executor {
    /// Performs one effect other than [`Effect::Store`]. Returns at once.
    pub(super) fn perform(&self, effect: Effect, watches: &mut Watches) {
        let name = effect.name();
        match effect {
            // The loop has committed it before anything else was performed.
            Effect::Store { .. } => {}
            Effect::Watch { watch, from } => self.start_watch(watch, from, watches),
            Effect::Unwatch { watch } => {
                if let Some(token) = watches.0.remove(&watch) {
                    token.cancel();
                }
            }
            Effect::Notify(notice) => self.notify(*notice),
            Effect::ListRefs { repo, url } => self.answer(name, |this| async move {
                let result = this.sources.list_refs(url).await;
                Event::Refs { repo, result }
            }),
            Effect::Render(job) => self.answer(name, |this| async move {
                let (app, request) = (job.app.clone(), job.request);
                Event::Rendered { app, request, result: this.sources.render(*job).await }
            }),
            Effect::Trace(question) => self.answer(name, |this| async move {
                let (app, since, revision) = (question.app.clone(), question.since.clone(), question.revision.clone());
                Event::Traced { app, since, revision, result: this.sources.trace(*question).await }
            }),
            Effect::Discover => self.answer(name, |this| async move {
                // An error leaves the old kinds; whoever misses one asks again.
                let _ = this.watching.reader.discovery.refresh().await;
                Event::Discovered { kinds: this.watching.reader.discovery.current().kinds() }
            }),
            Effect::Look { key, version } => self.answer(name, |this| async move {
                let _place = this.looks.acquire().await;
                let result = list::get(&this.watching.reader, &key, &version).await;
                Event::Looked { key, result: result.map(|live| live.map(Box::new)) }
            }),
            Effect::Inspect { manifest, key, resource_version, managed_fields } => {
                self.answer(name, |this| async move {
                    let desired = manifest.hash;
                    let result = this.inspect(manifest, &managed_fields).await;
                    Event::Inspected { key, desired, resource_version, result }
                });
            }
            Effect::Sweep => self
                .answer(name, |this| async move { Event::Swept { result: list::sweep(&this.watching.reader).await } }),
            Effect::Apply(effect) => self.answer(name, |this| async move {
                let (key, desired) = (effect.key.clone(), effect.manifest.hash);
                Event::Applied { key, desired, outcome: this.apply(*effect).await }
            }),
            Effect::Delete(effect) => self.answer(name, |this| async move {
                Event::Deleted { key: effect.key.clone(), outcome: this.delete(&effect).await }
            }),
            Effect::EnsureNamespace { app, namespace, epoch } => self.answer(name, |this| async move {
                // Never closed.
                let _place = this.places.acquire().await;
                let _writing = this.writes.enter();
                let result = ensure_namespace(&this.client, &this.context.write, &namespace, epoch).await;
                Event::NamespaceEnsured { app, result }
            }),
            Effect::WriteApplication(effect) => self.answer(name, |this| async move {
                let (app, request) = (effect.app.clone(), effect.request);
                let _place = this.places.acquire().await;
                Event::ApplicationWritten { app, request, result: this.write_application(&effect).await }
            }),
        }
    }

    fn start_watch(&self, watch: Gvk, from: Option<u64>, watches: &mut Watches) {
        let token = self.watching.stopped.child_token();
        let context = WatchContext { stopped: token.clone(), ..self.watching.clone() };
        if let Some(old) = watches.0.insert(watch.clone(), token) {
            old.cancel();
        }
        self.tasks.spawn(watch::run(context, watch, from));
    }

    /// Runs something that ends with an event.
    fn answer<F: Future<Output = Event> + Send + 'static>(&self, name: &'static str, work: impl FnOnce(Self) -> F) {
        self.tasks.spawn(self.answered(name, work(self.clone())));
    }

    fn answered(
        &self,
        name: &'static str,
        work: impl Future<Output = Event> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (events, metrics) = (self.events.clone(), self.metrics.clone());
        async move {
            let begun = tokio::time::Instant::now();
            let event = work.await;
            metrics.observe_effect(name, begun.elapsed());
            // The loop is gone only when the process is about to be.
            let _ = events.send(event).await;
        }
    }

    fn notify(&self, notice: Notice) {
        let Notice { app, warning, reason, message, .. } = &notice;
        if *warning {
            tracing::warn!(application = %app, reason, "{message}");
        } else {
            tracing::info!(application = %app, reason, "{message}");
        }
        self.recorder.record(notice, self.clock.now().wall);
    }

    async fn inspect(&self, manifest: ManifestRef, managed_fields: &str) -> Result<Inspection, RequestError> {
        let stamp = manifest.hash;
        let body = self.sources.body(manifest).await?;
        let manifest = stamped(serde_json::from_slice(&body).map_err(|_| broken_manifest())?, stamp);
        Ok(Inspection {
            covered: ownership::covers(&manifest, managed_fields),
            blame: blame(&manifest, managed_fields),
        })
    }

    async fn apply(&self, effect: Apply) -> ApplyOutcome {
        let gvk =
            Gvk { group: effect.key.group.clone(), version: effect.version.clone(), kind: effect.key.kind.clone() };
        let resource = match self.resource(&gvk).await {
            Ok(resource) => resource,
            Err(error) => return ApplyOutcome::Failed(error),
        };
        let manifest = match self.sources.body(effect.manifest.clone()).await {
            Ok(body) => body.to_vec(),
            Err(error) => return ApplyOutcome::Failed(error),
        };
        let previous = match &effect.purpose {
            Purpose::Sync { previous: Some(hash) } => self.sources.body_at_hand(*hash).await.map(|body| body.to_vec()),
            _ => None,
        };
        // Only from here on: what comes before may wait for a repository, and the Lease must not wait for that.
        let _writing = self.writes.enter();
        apply(&self.client, &self.context, ApplyRequest { apply: effect, resource, manifest, previous }).await
    }

    async fn delete(&self, effect: &Delete) -> DeleteOutcome {
        let gvk =
            Gvk { group: effect.key.group.clone(), version: effect.version.clone(), kind: effect.key.kind.clone() };
        match self.resource(&gvk).await {
            Ok(resource) => {
                let _writing = self.writes.enter();
                delete(&self.client, &self.context.write, &resource, effect).await
            }
            Err(error) => DeleteOutcome::Failed(error),
        }
    }

    async fn write_application(&self, effect: &WriteApplication) -> Result<u64, RequestError> {
        let discovery = &self.watching.reader.discovery;
        let subresource = match status_subresource(&discovery.current()) {
            Some(known) => known,
            // The definition was installed after the served kinds were read.
            None => status_subresource(&*discovery.refresh().await?).unwrap_or_default(),
        };
        let writing = self.writes.enter();
        let result = write_application(&self.client, &self.context.write, subresource, effect).await;
        drop(writing);
        if effect.reread
            && result.as_ref().is_err_and(|error| error.reason == RequestErrorReason::Conflict)
            && let Some(observed) = read_application(&self.client, &self.context.write, effect).await
        {
            // It comes before the answer: the engine decides anew on what it is now.
            let _ = self.events.send(Event::Application(observed)).await;
        }
        result
    }

    async fn resource(&self, gvk: &Gvk) -> Result<ResourcePath, RequestError> {
        let resource = self.watching.reader.discovery.resolve(gvk, KIND_PATIENCE).await?;
        Ok(ResourcePath {
            gvk: gvk.clone(),
            plural: resource.plural.clone(),
            namespaced: resource.scope == Scope::Namespaced,
        })
    }
}

fn broken_manifest() -> RequestError {
    RequestError {
        reason: RequestErrorReason::Transient { retry_after: None },
        message: "the stored manifest can't be read; it is rendered anew".into(),
    }
}
