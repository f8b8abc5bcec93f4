//! The agent: puts the parts together, and runs the one loop (event → step → effects) until it is told to stop.

mod beginning;
mod bodies;
mod clock;
mod executor;
mod journal;
pub(crate) mod remotes;
pub mod settings;
mod sources;
mod turn;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::beginning::Beginning;
use self::clock::Clock;
use self::executor::Executor;
use self::journal::{Journal, RecentManifests};
use self::settings::{Identity, Settings};
use self::sources::{Installation, Sources};
use self::turn::Turn;
use crate::api::{ApiState, HealthState, Metrics, OBJECTS_QUEUE, Server};
use crate::cluster::apply::ApplyContext;
use crate::cluster::client::{ClientSettings, Clients};
use crate::cluster::clock::Clocks;
use crate::cluster::events::Recorder;
use crate::cluster::fence::{InFlight, WriteContext};
use crate::cluster::lease::{self, LeaseHandle};
use crate::cluster::observe::{RequestObserver, Verb};
use crate::cluster::retry::Hurry;
use crate::cluster::watch::{Reader, WatchContext, WatchCounters, WatchSettings};
use crate::cluster::{Namespaces, applications, repositories};
use crate::engine::Engine;
use crate::engine::event::{Event, Leadership};
use crate::engine::hash::Hash;
use crate::engine::ids::ObjectKey;
use crate::engine::settings::EngineSettings;
use crate::engine::view::View;
use crate::git::Mirrors;

/// Events that wait for the loop. A full queue slows the watches down, and nothing is lost.
const EVENTS: usize = 1024;
/// How long the end of writes under way and the release of the Lease are waited for.
const DRAIN: Duration = Duration::from_secs(10);
/// Namespace whose Applications have plain names in tracking ids, as with Argo CD's controller in its usual place.
const CONTROL_NAMESPACE: &str = "argocd";

/// Runs the agent until SIGTERM or SIGINT, or until `stopped` is cancelled. Errors are of the settings or of this machine; an API server or a repository
/// that can't be reached is waited for.
pub async fn run(settings: Settings, stopped: CancellationToken) -> anyhow::Result<()> {
    stop_on_signal(stopped.clone())?;
    let (view, views) = watch::channel(Arc::new(View::default()));
    let metrics = Metrics::new(views.clone());
    metrics.measure_store(settings.store_file());
    let metrics = Arc::new(metrics);
    let health = HealthState::new();
    let (objects, object_requests) = mpsc::channel(OBJECTS_QUEUE);
    let state = ApiState { view: views, objects, health: health.clone(), metrics: metrics.clone() };
    let server = Server::bind(settings.http.listen, settings.http.api_listen, state).await?;
    let serving = CancellationToken::new();
    let server = tokio::spawn(server.run(serving.clone()));

    let observer = Arc::new(Observer(metrics.clone()));
    let clients = Clients::connect(&client_settings(&settings), observer).await.context("the cluster can't be used")?;
    let Some(begun) = Beginning::of(&settings, &clients, &stopped).await? else {
        return Ok(());
    };
    health.set_store(begun.store.as_ref().map(|_| ()).map_err(Clone::clone));
    let agent = Agent { settings, clients, stopped, health, metrics, clock: Clock::start() };
    agent.run(begun, view, object_requests).await;
    serving.cancel();
    // The listeners close by themselves when the process ends.
    let _ = tokio::time::timeout(DRAIN, server).await;
    Ok(())
}

/// Has a token cancelled by SIGTERM or SIGINT.
fn stop_on_signal(stopped: CancellationToken) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be handled")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be handled")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = stopped.cancelled() => {}
        }
        tracing::info!("stopping");
        stopped.cancel();
    });
    Ok(())
}

/// Counts requests.
struct Observer(Arc<Metrics>);

impl RequestObserver for Observer {
    fn observed(&self, verb: Verb, resource: &str, code: Option<u16>, seconds: f64) {
        let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        self.0.observe_request(verb.as_str(), resource, code.unwrap_or_default(), duration);
    }
}

/// The agent, about to run.
struct Agent {
    settings: Settings,
    clients: Clients,
    stopped: CancellationToken,
    health: HealthState,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl Agent {
    async fn run(
        self,
        begun: Beginning,
        view: watch::Sender<Arc<View>>,
        object_requests: mpsc::Receiver<crate::api::ObjectsRequest>,
    ) {
        let (events, received) = mpsc::channel(EVENTS);
        let instance: Arc<str> = self.instance().into();
        let in_flight = InFlight::default();
        let identity = identity();
        let (lease, elected) = self.election(&identity, begun.snapshot.epoch.clone(), in_flight.clone());
        let elected = tokio::spawn(elected);
        let reading = CancellationToken::new();
        let cancel_git = Arc::new(AtomicBool::new(false));
        let hurry = Hurry::default();
        let (executor, recent) =
            self.executor(&begun, (&instance, identity), &lease, in_flight, (&reading, &hurry), &cancel_git, &events);
        let (journal, thread) = self.journal(&begun, recent, &events);

        let mut first = Vec::new();
        let engine = Engine::new(self.engine_settings(instance), begun.snapshot, self.clock.now(), &mut first);
        let turn = Turn {
            engine,
            events: received,
            objects: object_requests,
            executor,
            journal,
            view,
            health: self.health.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock,
        };
        let ending = CancellationToken::new();
        let turning = tokio::spawn(turn.run(first, ending.clone()));
        tokio::spawn(applications::run(
            self.clients.watch.clone(),
            namespaces(self.settings.application_namespaces()),
            (rand::random(), hurry.clone()),
            events.clone(),
            reading.clone(),
        ));
        tokio::spawn(tell_leadership(lease.clone(), hurry, events.clone()));
        drop(events);

        self.stopped.cancelled().await;
        // No write begins from now on; those under way end, then the Lease is given back; what they brought is stored.
        lease.shut_down();
        if tokio::time::timeout(DRAIN, elected).await.is_err() {
            tracing::warn!("the Lease could not be released in time; it expires by itself");
        }
        reading.cancel();
        sources::cancel(&cancel_git);
        ending.cancel();
        finish(turning).await;
        if let Some(thread) = thread {
            finish(thread).await;
        }
    }

    /// Installation id: by default it follows from the agent's namespace and Lease, which its replicas share.
    fn instance(&self) -> String {
        self.settings.cluster.instance.clone().unwrap_or_else(|| {
            let name = format!("{}\n{}", self.settings.namespace(), self.settings.lease.lease_name);
            let mut id = Hash::of(name.as_bytes()).to_string();
            id.truncate(16);
            id
        })
    }

    fn election(
        &self,
        identity: &str,
        floor: Option<(String, i32)>,
        in_flight: InFlight,
    ) -> (LeaseHandle, impl Future<Output = ()> + Send + 'static) {
        let settings = lease::LeaseSettings {
            namespace: self.settings.namespace().to_owned(),
            name: self.settings.lease.lease_name.clone(),
            identity: identity.to_owned(),
            times: self.settings.lease.times().unwrap_or_default(),
            floor,
            seed: rand::random(),
        };
        lease::election(self.clients.lease.clone(), settings, Clocks::system(), in_flight)
    }

    /// Watches the Secrets that describe repositories.
    fn repositories(&self, reading: &CancellationToken) -> watch::Receiver<Arc<repositories::RepositorySecrets>> {
        let (secrets, known) = watch::channel(Arc::default());
        tokio::spawn(repositories::run(
            self.clients.watch.clone(),
            namespaces(self.settings.repository_secret_namespaces()),
            WatchSettings::default(),
            rand::random(),
            secrets,
            reading.clone(),
        ));
        known
    }

    #[expect(clippy::too_many_arguments, reason = "each is made once, here, and by its own part")]
    fn executor(
        &self,
        begun: &Beginning,
        (instance, identity): (&Arc<str>, String),
        lease: &LeaseHandle,
        writes: InFlight,
        (reading, hurry): (&CancellationToken, &Hurry),
        cancel_git: &Arc<AtomicBool>,
        events: &mpsc::Sender<Event>,
    ) -> (Executor, RecentManifests) {
        let known_secrets = self.repositories(reading);
        let recent = RecentManifests::default();
        let installation = Installation {
            instance: instance.clone(),
            control_namespace: CONTROL_NAMESPACE.into(),
            hash_key: begun.hash_key.clone(),
        };
        let sources = Sources::new(
            Mirrors::new(self.settings.git_folder(), self.settings.git_limits()).with_ssh(self.settings.ssh()),
            self.settings.render_options(),
            installation,
            begun.discovery.clone(),
            known_secrets,
            (begun.store.as_ref().ok().cloned(), recent.clone()),
            cancel_git.clone(),
        );
        let timeout = self.settings.write_timeout();
        let (recorder, recording) = Recorder::new(self.clients.write.clone(), identity, timeout);
        tokio::spawn(recording);
        let reader = Reader {
            client: self.clients.watch.clone(),
            discovery: begun.discovery.clone(),
            instance: instance.clone(),
            hash_key: begun.hash_key.clone(),
        };
        let executor = Executor {
            events: events.clone(),
            client: self.clients.write.clone(),
            context: ApplyContext {
                write: WriteContext { fence: Arc::new(lease.fence()), timeout },
                hash_key: begun.hash_key.clone(),
                on_warning: Arc::new(log_warning),
            },
            watching: WatchContext {
                reader,
                settings: WatchSettings::default(),
                seed: rand::random(),
                events: events.clone(),
                stopped: reading.clone(),
                counters: Arc::new(WatchCounters::default()),
                hurry: hurry.clone(),
                origin: self.clock.origin(),
            },
            sources,
            recorder,
            writes,
            places: Arc::new(Semaphore::new(executor::PLACES)),
            looks: Arc::new(Semaphore::new(executor::PLACES)),
            metrics: self.metrics.clone(),
            clock: self.clock,
        };
        (executor, recent)
    }

    fn journal(
        &self,
        begun: &Beginning,
        recent: RecentManifests,
        events: &mpsc::Sender<Event>,
    ) -> (Option<Journal>, Option<JoinHandle<()>>) {
        let Ok(store) = &begun.store else { return (None, None) };
        let (health, events) = (self.health.clone(), events.downgrade());
        let tasks = tokio::runtime::Handle::current();
        let failed = move |error: String| {
            tracing::error!(error, "the store can't be written; nothing is pruned from now on");
            health.set_store(Err(error));
            if let Some(events) = events.upgrade() {
                // The loop may wait for this very thread: it must not wait for the loop.
                tasks.spawn(async move { events.send(Event::StoreFailed).await });
            }
        };
        let (journal, work) = Journal::new(store.clone(), recent, failed);
        (Some(journal), Some(tokio::task::spawn_blocking(work)))
    }

    fn engine_settings(&self, instance: Arc<str>) -> EngineSettings {
        let (git, sync) = (&self.settings.git, &self.settings.sync);
        EngineSettings {
            instance,
            control_namespace: CONTROL_NAMESPACE.into(),
            poll_interval: git.poll_interval,
            poll_jitter: git.poll_jitter,
            apply_concurrency: self.settings.cluster.apply_concurrency as usize,
            prune_share_percent: sync.prune_guard_percent as usize,
            prune_share_minimum: sync.prune_guard_min_objects as usize,
            prune_wait: sync.prune_wait,
            rewrite_guard: git.git_history_depth > 0,
            contest: self.settings.contest_limits(),
            ..EngineSettings::default()
        }
    }
}

/// Logs what the API server warns of about an object.
fn log_warning(key: &ObjectKey, text: &str) {
    tracing::info!(object = %key, "{text}");
}

/// Name of this process, new each time: for the Lease, and for Events, whose names must not repeat.
fn identity() -> String {
    let host = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    format!("{}_{:016x}", host.unwrap_or_else(|_| "driftless".into()), rand::random::<u64>())
}

/// Tells the loop whenever leadership is won or lost, and the watches when it is won.
async fn tell_leadership(lease: LeaseHandle, hurry: Hurry, events: mpsc::Sender<Event>) {
    let mut state = lease.state();
    let mut told = None;
    loop {
        let (known, leadership) = {
            let state = state.borrow_and_update();
            (state.is_known(), state.leadership())
        };
        if known && told.as_ref() != Some(&leadership) {
            told = Some(leadership.clone());
            if matches!(leadership, Leadership::Leader { .. }) {
                // A leader must see, even if its watches were out of luck until now.
                hurry.now();
            }
            if events.send(Event::Leadership(leadership)).await.is_err() {
                return;
            }
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

/// Waits for a part to end. Its panic would have been logged by the runtime; there is nothing left to stop.
async fn finish(task: JoinHandle<()>) {
    if tokio::time::timeout(DRAIN, task).await.is_err() {
        tracing::warn!("a part of the agent did not stop in time");
    }
}

fn client_settings(settings: &Settings) -> ClientSettings {
    match settings.identity() {
        Identity::ServiceAccount => ClientSettings::default(),
        Identity::Kubeconfig { file, context } => {
            ClientSettings { kubeconfig: file.or_else(default_kubeconfig), context }
        }
    }
}

/// The kubeconfig that kubectl would use.
fn default_kubeconfig() -> Option<PathBuf> {
    let named = std::env::var_os("KUBECONFIG").filter(|name| !name.is_empty());
    let usual = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".kube/config"));
    named.map(PathBuf::from).or_else(usual)
}

fn namespaces(of: settings::Namespaces) -> Namespaces {
    match of {
        settings::Namespaces::All => Namespaces::All,
        settings::Namespaces::Only(names) => Namespaces::These(names),
    }
}
