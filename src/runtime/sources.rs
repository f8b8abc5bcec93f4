//! Git and rendering at work: listing refs, rendering commits, and finding the bodies of manifests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, watch};

use super::bodies::Bodies;
use super::journal::RecentManifests;
use super::outside::Blocking;
use super::remotes::with_remotes;
use crate::cluster::discovery::{Discovery, DiscoveryHandle};
use crate::cluster::repositories::{RepositorySecrets, SecretType};
use crate::engine::application::Source;
use crate::engine::desired::{DesireContext, Desired, RenderInputs, desire};
use crate::engine::effect::{ManifestRef, Render, Trace};
use crate::engine::event::{
    RenderFailure, RenderFailureReason, Rendered, RequestError, RequestErrorReason, SourceError,
};
use crate::engine::hash::{Hash, HashKey};
use crate::engine::ids::{AppKey, Gvk, Revision};
use crate::engine::revision::{Ancestry, Refs};
use crate::engine::scope::scopes_hash;
use crate::engine::tracking::instance_name;
use crate::git::{Commit, CredentialStore, Credentials, Repositories, RepositorySecret, SecretKind};
use crate::render::environment::{Environment, without_password};
use crate::render::{self, RenderContext, RenderError, RenderOptions, Rendering, Tree};
use crate::store::Store;

/// Repositories that are listed or fetched at the same time.
const GIT_CONCURRENCY: usize = 8;
/// Questions about a history at the same time. They have places of their own: a server that is slow to answer them must not
/// keep other repositories from being listed.
const TRACE_CONCURRENCY: usize = 2;

/// What rendering needs to know of the installation.
#[derive(Clone, Debug)]
pub(super) struct Installation {
    /// Installation id.
    pub(super) instance: Arc<str>,
    /// Namespace whose Applications have plain names in tracking ids.
    pub(super) control_namespace: Arc<str>,
    /// Key of the hashes of Secrets.
    pub(super) hash_key: HashKey,
}

/// Git, the renderers and the manifests. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sources(Arc<Inner>);

struct Inner {
    repositories: Arc<dyn Repositories>,
    blocking: Blocking,
    options: RenderOptions,
    installation: Installation,
    discovery: Arc<DiscoveryHandle>,
    secrets: watch::Receiver<Arc<RepositorySecrets>>,
    /// `None`: there is no usable store.
    store: Option<Arc<Store>>,
    recent: RecentManifests,
    bodies: Mutex<Bodies>,
    git: Semaphore,
    traces: Semaphore,
    cancel: Arc<AtomicBool>,
}

impl Sources {
    /// Everything that reads repositories. `cancel`, once set, ends what is under way.
    pub(super) fn new(
        (repositories, blocking): (Arc<dyn Repositories>, Blocking),
        options: RenderOptions,
        installation: Installation,
        discovery: Arc<DiscoveryHandle>,
        secrets: watch::Receiver<Arc<RepositorySecrets>>,
        store: (Option<Arc<Store>>, RecentManifests),
        cancel: Arc<AtomicBool>,
    ) -> Self {
        let (store, recent) = store;
        Self(Arc::new(Inner {
            repositories,
            blocking,
            options,
            installation,
            discovery,
            secrets,
            store,
            recent,
            bodies: Mutex::default(),
            git: Semaphore::new(GIT_CONCURRENCY),
            traces: Semaphore::new(TRACE_CONCURRENCY),
            cancel,
        }))
    }

    /// The refs of the repository at `url`.
    pub(super) async fn list_refs(&self, url: Arc<str>) -> Result<Arc<Refs>, SourceError> {
        self.remote(move |inner| {
            let credentials = inner.credentials(&url)?;
            inner.repositories.list_refs(&url, credentials.as_ref(), &inner.cancel).map(Arc::new)
        })
        .await
        .unwrap_or_else(|| Err(SourceError { message: STOPPED.into() }))
    }

    /// What a commit desires of an application.
    pub(super) async fn render(&self, job: Render) -> Result<Rendered, RenderFailure> {
        let job = Arc::new(job);
        let result = self.render_once(job.clone()).await;
        if result.as_ref().is_err_and(|failure| failure.reason == RenderFailureReason::UnknownKind) {
            // Its definition may be newer than what is known of the API server.
            if self.0.discovery.refresh().await.is_ok() {
                return self.render_once(job).await;
            }
        }
        result
    }

    /// How a commit stands to an older one.
    pub(super) async fn trace(&self, question: Trace) -> Result<Ancestry, SourceError> {
        // Never closed.
        let _place = self.0.traces.acquire().await;
        self.blocking(move |inner| {
            let Trace { url, since, revision, reference, .. } = &question;
            let credentials = inner.credentials(url)?;
            let pair = (since, revision);
            inner.repositories.ancestry(url, credentials.as_ref(), pair, reference.as_deref(), &inner.cancel)
        })
        .await
        .unwrap_or_else(|| Err(SourceError { message: STOPPED.into() }))
    }

    async fn render_once(&self, job: Arc<Render>) -> Result<Rendered, RenderFailure> {
        self.remote(move |inner| inner.render(&job))
            .await
            .unwrap_or_else(|| Err(RenderFailure { reason: RenderFailureReason::Source, message: STOPPED.into() }))
    }

    /// The canonical body of a manifest: from memory, from the store, or by rendering again.
    pub(super) async fn body(&self, manifest: ManifestRef) -> Result<Arc<[u8]>, RequestError> {
        self.blocking(move |inner| inner.body(&manifest)).await.unwrap_or_else(|| Err(passing(STOPPED.into())))
    }

    /// The canonical body with this hash, if it is at hand without rendering.
    pub(super) async fn body_at_hand(&self, hash: Hash) -> Option<Arc<[u8]>> {
        self.blocking(move |inner| inner.at_hand(hash)).await.flatten()
    }

    /// Runs blocking work that may wait for a server, of which there is only so much at a time; `None` if it was stopped.
    async fn remote<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> T + Send + 'static) -> Option<T> {
        let _place = self.0.git.acquire().await.ok()?;
        self.blocking(work).await
    }

    /// Runs blocking work; `None` if it was stopped.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> T + Send + 'static) -> Option<T> {
        let inner = self.0.clone();
        self.0.blocking.run(move || work(&inner)).await
    }
}

/// What is rendered: an application at a commit.
struct Subject<'a> {
    app: &'a AppKey,
    namespace: &'a str,
    project: &'a str,
    source: &'a Source,
    revision: &'a Revision,
}

const STOPPED: &str = "the agent is being stopped";

impl Inner {
    fn credentials(&self, url: &str) -> Result<Option<Credentials>, SourceError> {
        let secrets = self.secrets.borrow().clone();
        let mut parsed = Vec::new();
        for (name, secret) in &secrets.secrets {
            let kind = match secret.kind {
                SecretType::Repository => SecretKind::Repository,
                SecretType::Credentials => SecretKind::RepoCreds,
            };
            match RepositorySecret::parse(name, kind, &secret.data) {
                Ok(secret) => parsed.push(secret),
                // One broken Secret must not stop the repositories of the others.
                Err(error) => tracing::warn!(secret = %name, error = %error.message, "repository Secret can't be used"),
            }
        }
        CredentialStore::new(parsed).find(url)
    }

    fn open(&self, url: &str, revision: &Revision, reference: Option<&str>) -> Result<Box<dyn Commit>, SourceError> {
        let credentials = self.credentials(url)?;
        self.repositories.open(url, credentials.as_ref(), revision, reference, &self.cancel)
    }

    fn render(&self, job: &Render) -> Result<Rendered, RenderFailure> {
        let source_error = |message: String| RenderFailure { reason: RenderFailureReason::Source, message };
        let tree = self
            .open(&job.source.repo_url, &job.revision, job.reference.as_deref())
            .map_err(|error| source_error(error.message))?;
        // An error is no reason not to render: the question is asked again where the answer matters.
        let since = job.since.as_ref().map(|since| (since.clone(), tree.ancestry(since).unwrap_or(Ancestry::Unknown)));
        let discovery = self.discovery.current();
        let subject = Subject {
            app: &job.app,
            namespace: &job.namespace,
            project: &job.project,
            source: &job.source,
            revision: &job.revision,
        };
        if let Some(previous) = &job.previous
            && self.memo(&subject, &discovery, previous) == previous.options
            && self.environment(&subject).unchanged(previous)
            && render::unchanged(&*tree, previous).map_err(|error| source_error(error.message))?
        {
            return Ok(Rendered { revision: job.revision.clone(), desired: None, inputs: previous.clone(), since });
        }
        let (desired, inputs) = self.desire(&*tree, &subject, &discovery)?;
        self.keep(&desired).map_err(source_error)?;
        let (desired, inputs) = (Some(Arc::new(desired.set)), Arc::new(inputs));
        Ok(Rendered { revision: job.revision.clone(), desired, inputs, since })
    }

    /// Renders, and makes the desired set.
    fn desire(
        &self,
        tree: &dyn Commit,
        subject: &Subject<'_>,
        discovery: &Discovery,
    ) -> Result<(Desired, RenderInputs), RenderFailure> {
        let rendering = self.render_source(tree, subject)?;
        let instance_name = self.instance_name(subject);
        let scopes = |gvk: &Gvk| discovery.scope(gvk);
        let context = self.context(subject, &instance_name, &scopes);
        let desired = desire(rendering.manifests, &context)?;
        let mut inputs = rendering.inputs;
        inputs.kinds = desired.set.objects.iter().map(gvk_of).collect();
        inputs.kinds.sort();
        inputs.kinds.dedup();
        inputs.options = Some(context.memo(render::options(subject.source, &self.options), desired.scopes));
        Ok((desired, inputs))
    }

    /// Renders, with what other repositories it takes.
    fn render_source(&self, tree: &dyn Commit, subject: &Subject<'_>) -> Result<Rendering, RenderFailure> {
        let environment = self.environment(subject);
        let rendering = with_remotes(
            |remotes| {
                let context =
                    RenderContext { options: self.options.clone(), environment: environment.clone(), remotes };
                render::render(tree, subject.source, &context)
            },
            |error| match error {
                RenderError::Needs(need) => Some((**need).clone()),
                RenderError::Failed(_) => None,
            },
            |need| {
                let opened = self.open(&need.remote.clone_url(), &need.remote.revision, None);
                opened.map(|tree| tree as Box<dyn Tree>).map_err(|error| {
                    let message = format!("{}{}", need.place, error.message);
                    RenderFailure { reason: RenderFailureReason::Source, message }.into()
                })
            },
        );
        rendering.map_err(RenderError::into_failure)
    }

    fn context<'a>(
        &'a self,
        subject: &Subject<'a>,
        instance_name: &'a str,
        scopes: &'a dyn Fn(&Gvk) -> Option<crate::engine::scope::Scope>,
    ) -> DesireContext<'a> {
        DesireContext {
            app: subject.app,
            instance_name,
            installation: &self.installation.instance,
            namespace: subject.namespace,
            scopes,
            hash_key: &self.installation.hash_key,
        }
    }

    fn instance_name(&self, subject: &Subject<'_>) -> String {
        instance_name(subject.app, &self.installation.control_namespace)
    }

    /// What variables in the source stand for.
    fn environment(&self, subject: &Subject<'_>) -> Environment {
        let source = subject.source;
        Environment {
            name: self.instance_name(subject).into(),
            namespace: subject.namespace.into(),
            project: subject.project.into(),
            revision: subject.revision.as_str().into(),
            repo_url: without_password(&source.repo_url).into(),
            path: source.path.as_deref().unwrap_or_default().into(),
            target_revision: source.target_revision.as_deref().unwrap_or_default().into(),
        }
    }

    /// What the memo's options would be now, if the same kinds were used.
    fn memo(&self, subject: &Subject<'_>, discovery: &Discovery, previous: &RenderInputs) -> Option<Hash> {
        let instance_name = self.instance_name(subject);
        let scopes = |gvk: &Gvk| discovery.scope(gvk);
        let used = scopes_hash(previous.kinds.iter().map(|gvk| (gvk, discovery.scope(gvk))));
        let options = render::options(subject.source, &self.options);
        Some(self.context(subject, &instance_name, &scopes).memo(options, used))
    }

    /// Keeps the bodies where applies find them: Secrets in memory only, everything else in the store, or in memory as well
    /// if the store is of no use.
    fn keep(&self, desired: &Desired) -> Result<(), String> {
        let pairs = || desired.set.objects.iter().zip(&desired.bodies);
        let stored = self.store_bodies(desired)?;
        let mut cache = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        for (object, body) in pairs() {
            if !stored || object.key.is_secret() {
                cache.put(object.hash, body.as_slice().into());
            }
        }
        Ok(())
    }

    /// Whether the store has the bodies of everything but Secrets now; `false` if there is no store that can be written.
    fn store_bodies(&self, desired: &Desired) -> Result<bool, String> {
        let Some(store) = self.store.as_ref().filter(|store| store.broken().is_none()) else { return Ok(false) };
        let public = || desired.set.objects.iter().zip(&desired.bodies).filter(|(object, _)| !object.key.is_secret());
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).extend(public().map(|(object, _)| object.hash));
        match store.put_manifests(public().map(|(object, body)| (object.hash, body.as_slice()))) {
            Ok(_) => Ok(true),
            // The journal tells of it with its next transaction.
            Err(_) if store.broken().is_some() => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    fn at_hand(&self, hash: Hash) -> Option<Arc<[u8]>> {
        let cached = self.bodies.lock().unwrap_or_else(PoisonError::into_inner).get(hash);
        cached.or_else(|| Some(self.store.as_ref()?.manifest(hash).ok()??.into()))
    }

    fn body(&self, manifest: &ManifestRef) -> Result<Arc<[u8]>, RequestError> {
        if let Some(body) = self.at_hand(manifest.hash) {
            return Ok(body);
        }
        let tree =
            self.open(&manifest.source.repo_url, &manifest.revision, None).map_err(|error| passing(error.message))?;
        let discovery = self.discovery.current();
        let subject = Subject {
            app: &manifest.app,
            namespace: &manifest.namespace,
            project: &manifest.project,
            source: &manifest.source,
            revision: &manifest.revision,
        };
        let (desired, _) = self.desire(&*tree, &subject, &discovery).map_err(|failure| passing(failure.message))?;
        self.keep(&desired).map_err(passing)?;
        let found = desired.set.objects.iter().position(|object| object.hash == manifest.hash);
        found.and_then(|index| desired.bodies.get(index)).map(|body| body.as_slice().into()).ok_or_else(|| {
            passing(format!(
                "the manifest is not what {} renders to any more; it is rendered anew",
                manifest.revision.short()
            ))
        })
    }
}

fn gvk_of(object: &crate::engine::desired::DesiredObject) -> Gvk {
    Gvk { group: object.key.group.clone(), version: object.version.clone(), kind: object.key.kind.clone() }
}

fn passing(message: String) -> RequestError {
    RequestError { reason: RequestErrorReason::Transient { retry_after: None }, message }
}

/// Ends what is under way at repositories.
pub(super) fn cancel(flag: &AtomicBool) {
    flag.store(true, Ordering::Relaxed);
}
