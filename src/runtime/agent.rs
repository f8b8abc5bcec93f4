//! One agent: its parts put together, and its end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::DRAIN;
use super::beginning::Beginning;
use super::clock::Clock;
use super::executor::{self, Executor};
use super::journal::{Journal, RecentManifests};
use super::outside::{Blocking, OpenStore, Outside};
use super::settings::{self, Settings};
use super::sources::{self, Installation, Sources};
use super::turn::Turn;
use crate::api::{ApiState, HealthState, Metrics, OBJECTS_QUEUE, ObjectsRequest};
use crate::cluster::apply::ApplyContext;
use crate::cluster::events::Recorder;
use crate::cluster::fence::{InFlight, WriteContext};
use crate::cluster::lease::{self, LeaseHandle};
use crate::cluster::retry::Hurry;
use crate::cluster::watch::{Reader, WatchContext, WatchCounters, WatchSettings};
use crate::cluster::{Namespaces, applications, repositories};
use crate::engine::Engine;
use crate::engine::event::{Event, Leadership};
use crate::engine::hash::Hash;
use crate::engine::ids::ObjectKey;
use crate::engine::settings::EngineSettings;
use crate::engine::view::View;

/// Events that wait for the loop. A full queue slows the watches down, and nothing is lost.
const EVENTS: usize = 1024;
/// Namespace whose Applications have plain names in tracking ids, as with Argo CD's controller in its usual place.
const CONTROL_NAMESPACE: &str = "argocd";

/// What an agent shows of itself. It is there before the agent is, so that it can be asked while the cluster is waited for.
pub struct Showing {
    view: watch::Sender<Arc<View>>,
    objects: mpsc::Receiver<ObjectsRequest>,
    health: HealthState,
    metrics: Arc<Metrics>,
}

impl Showing {
    /// The agent's side of it, and the readers'.
    pub fn new() -> (Self, ApiState) {
        let (view, views) = watch::channel(Arc::new(View::default()));
        let metrics = Arc::new(Metrics::new(views.clone()));
        let health = HealthState::new();
        let (asking, objects) = mpsc::channel(OBJECTS_QUEUE);
        let state = ApiState { view: views, objects: asking, health: health.clone(), metrics: metrics.clone() };
        (Self { view, objects, health, metrics }, state)
    }
}

/// The agent, about to run.
pub struct Agent {
    settings: Settings,
    outside: Outside,
    showing: Showing,
    stopped: CancellationToken,
    clock: Clock,
}

impl Agent {
    /// An agent that runs until `stopped` is cancelled.
    pub fn new(settings: Settings, outside: Outside, showing: Showing, stopped: CancellationToken) -> Self {
        let clock = Clock::start(outside.clocks.wall.clone());
        Self { settings, outside, showing, stopped, clock }
    }

    /// Runs, with the store that `open` opens. Errors are of this machine; an API server or a repository that can't be
    /// reached is waited for.
    pub async fn run(self, open: OpenStore) -> anyhow::Result<()> {
        let Some(begun) = Beginning::of(&self.settings, &self.outside, open, &self.stopped).await? else {
            return Ok(());
        };
        self.showing.health.set_store(begun.store.as_ref().map(|_| ()).map_err(Clone::clone));
        let stopped = self.stopped.clone();
        let parts = self.start(begun);
        stopped.cancelled().await;
        parts.end().await;
        Ok(())
    }

    fn start(self, begun: Beginning) -> Running {
        let (events, received) = mpsc::channel(EVENTS);
        let instance: Arc<str> = self.instance().into();
        let in_flight = InFlight::default();
        // New each time: for the Lease, and for Events, whose names must not repeat.
        let identity = format!("{}_{:016x}", self.outside.host, self.outside.random.number());
        let (lease, elected) = self.election(&identity, begun.snapshot.epoch.clone(), in_flight.clone());
        let tasks = self.outside.tasks.clone();
        let elected = tasks.spawn(elected);
        let reading = CancellationToken::new();
        let cancel_git = Arc::new(AtomicBool::new(false));
        let hurry = Hurry::default();
        let (executor, recent) =
            self.executor(&begun, (&instance, identity), &lease, in_flight, (&reading, &hurry), &cancel_git, &events);
        let (journal, thread) = self.journal(&begun, recent, &events);

        let mut first = Vec::new();
        let engine = Engine::new(self.engine_settings(instance), begun.snapshot, self.clock.now(), &mut first);
        tasks.spawn(applications::run(
            self.outside.clients.watch.clone(),
            namespaces(self.settings.application_namespaces()),
            (self.outside.random.number(), hurry.clone()),
            events.clone(),
            reading.clone(),
        ));
        tasks.spawn(tell_leadership(lease.clone(), hurry, events));
        let turn = Turn {
            engine,
            events: received,
            objects: self.showing.objects,
            executor,
            journal,
            view: self.showing.view,
            health: self.showing.health,
            metrics: self.showing.metrics,
            clock: self.clock,
        };
        let ending = CancellationToken::new();
        let turning = tasks.spawn(turn.run(first, ending.clone()));
        Running { lease, elected, reading, cancel_git, ending, turning, thread }
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
            seed: self.outside.random.number(),
        };
        lease::election(self.outside.clients.lease.clone(), settings, self.outside.clocks.clone(), in_flight)
    }

    /// Watches the Secrets that describe repositories.
    fn repositories(&self, reading: &CancellationToken) -> watch::Receiver<Arc<repositories::RepositorySecrets>> {
        let (secrets, known) = watch::channel(Arc::default());
        self.outside.tasks.spawn(repositories::run(
            self.outside.clients.watch.clone(),
            namespaces(self.settings.repository_secret_namespaces()),
            WatchSettings::default(),
            self.outside.random.number(),
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
            (self.outside.repositories.clone(), self.outside.blocking.clone()),
            self.settings.render_options(),
            installation,
            begun.discovery.clone(),
            known_secrets,
            (begun.store.as_ref().ok().cloned(), recent.clone()),
            cancel_git.clone(),
        );
        let timeout = self.settings.write_timeout();
        let (recorder, recording) = Recorder::new(self.outside.clients.write.clone(), identity, timeout);
        self.outside.tasks.spawn(recording);
        let reader = Reader {
            client: self.outside.clients.watch.clone(),
            discovery: begun.discovery.clone(),
            instance: instance.clone(),
            hash_key: begun.hash_key.clone(),
        };
        let executor = Executor {
            events: events.clone(),
            client: self.outside.clients.write.clone(),
            context: ApplyContext {
                write: WriteContext { fence: Arc::new(lease.fence()), timeout },
                hash_key: begun.hash_key.clone(),
                on_warning: Arc::new(log_warning),
            },
            watching: WatchContext {
                reader,
                settings: WatchSettings::default(),
                seed: self.outside.random.number(),
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
            metrics: self.showing.metrics.clone(),
            clock: self.clock.clone(),
            tasks: self.outside.tasks.clone(),
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
        let (health, events) = (self.showing.health.clone(), events.downgrade());
        let tasks = self.outside.tasks.clone();
        let failed = move |error: String| {
            tracing::error!(error, "the store can't be written; nothing is pruned from now on");
            health.set_store(Err(error));
            if let Some(events) = events.upgrade() {
                // The loop may wait for this very thread: it must not wait for the loop.
                tasks.spawn(async move { events.send(Event::StoreFailed).await });
            }
        };
        if let Blocking::Here(_) = self.outside.blocking {
            return (Some(Journal::here(store.clone(), recent, failed)), None);
        }
        let (journal, work) = Journal::on_thread(store.clone(), recent, failed);
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

/// The parts that an end is asked of.
struct Running {
    lease: LeaseHandle,
    elected: JoinHandle<Option<()>>,
    reading: CancellationToken,
    cancel_git: Arc<AtomicBool>,
    ending: CancellationToken,
    turning: JoinHandle<Option<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    async fn end(self) {
        // No write begins from now on; those under way end, then the Lease is given back; what they brought is stored.
        self.lease.shut_down();
        if tokio::time::timeout(DRAIN, self.elected).await.is_err() {
            tracing::warn!("the Lease could not be released in time; it expires by itself");
        }
        self.reading.cancel();
        sources::cancel(&self.cancel_git);
        self.ending.cancel();
        finish(self.turning).await;
        if let Some(thread) = self.thread {
            finish(thread).await;
        }
    }
}

/// Logs what the API server warns of about an object.
fn log_warning(key: &ObjectKey, text: &str) {
    tracing::info!(object = %key, "{text}");
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
async fn finish<T>(task: JoinHandle<T>) {
    if tokio::time::timeout(DRAIN, task).await.is_err() {
        tracing::warn!("a part of the agent did not stop in time");
    }
}

fn namespaces(of: settings::Namespaces) -> Namespaces {
    match of {
        settings::Namespaces::All => Namespaces::All,
        settings::Namespaces::Only(names) => Namespaces::These(names),
    }
}
