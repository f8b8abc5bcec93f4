//! One replica: the agent's own code, on a machine that can lose power.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use clap::Parser;
use driftless::cluster::client::Clients;
use driftless::cluster::clock::Clocks;
use driftless::engine::time::Instant;
use driftless::runtime::outside::{Blocking, Outside, Random, Tasks};
use driftless::runtime::settings::Settings;
use driftless::runtime::{Agent, Showing};
use driftless::sim::faults::{Body, Broken, Faulty};
use driftless::store::{Store, StoreOptions};
use http::{Request, Response};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;

use super::git::Git;
use super::trace::Trace;
use crate::store::disk::Disk;

/// Namespace of the agents.
pub(crate) const NAMESPACE: &str = "driftless";

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    settings: Settings,
}

fn settings() -> Settings {
    let flags =
        ["driftless", "--namespace", NAMESPACE, "--poll-interval", "10s", "--poll-jitter", "2s", "--prune-wait", "20s"];
    Args::parse_from(flags).settings
}

/// What replicas live in.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) network: Faulty,
    pub(crate) git: Git,
    pub(crate) trace: Trace,
    /// Time since 1970 at which the world began.
    pub(crate) epoch: Duration,
    pub(crate) origin: tokio::time::Instant,
}

/// A machine, and the agent that runs on it if it is on.
pub(crate) struct Replica {
    pub(crate) name: String,
    /// What is on its disk while it is off.
    image: Vec<u8>,
    /// By how much its wall clock is wrong, in seconds.
    wrong: Arc<AtomicI64>,
    running: Option<Running>,
}

struct Running {
    power: Power,
    disk: Disk,
    tasks: Tasks,
    stopped: CancellationToken,
    main: tokio::task::JoinHandle<Option<()>>,
}

impl Replica {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), image: Vec::new(), wrong: Arc::default(), running: None }
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Switches it on.
    pub(crate) fn start(&mut self, site: &Site, random: &mut StdRng) {
        site.trace.line(format_args!("{} starts", self.name));
        let (power, tasks, stopped) = (Power::on(), Tasks::default(), CancellationToken::new());
        let disk = Disk::holding(std::mem::take(&mut self.image));
        let outside = self.outside(site, random, &power, &tasks);
        let (showing, _readers) = Showing::new();
        let agent = Agent::new(settings(), outside, showing, stopped.clone());
        disk.shares(power.0.clone());
        let backend = disk.clone();
        let store = move || Ok(Store::with_backend(backend, &StoreOptions::default())?);
        let (trace, name) = (site.trace.clone(), self.name.clone());
        let main = tasks.spawn(async move {
            if let Err(error) = agent.run(Box::new(store)).await {
                trace.line(format_args!("{name} ended: {error:#}"));
            }
        });
        self.running = Some(Running { power, disk, tasks, stopped, main });
    }

    fn outside(&self, site: &Site, random: &mut StdRng, power: &Power, tasks: &Tasks) -> Outside {
        let client = |role: &str| {
            let client = format!("{}/{role}", self.name);
            let network = site.network.client(&client);
            kube::Client::new(Wire { network, power: power.clone(), trace: site.trace.clone(), client }, NAMESPACE)
        };
        let (epoch, origin, wrong) = (site.epoch, site.origin, self.wrong.clone());
        let wall = move || {
            let now = (epoch + origin.elapsed()).as_secs();
            Duration::from_secs(now.saturating_add_signed(wrong.load(Ordering::Relaxed)))
        };
        let mut pauses = StdRng::seed_from_u64(random.random());
        let pauses = std::sync::Mutex::new(move || Duration::from_millis(pauses.random_range(0..40)));
        Outside {
            host: self.name.clone(),
            clients: Clients {
                watch: client("watch"),
                write: client("write"),
                lease: client("lease"),
                namespace: NAMESPACE.to_owned(),
            },
            repositories: Arc::new(site.git.clone()),
            clocks: Clocks {
                monotonic: Arc::new(move || Instant::from_origin(origin.elapsed())),
                wall: Arc::new(wall),
            },
            random: Random::new(random.random()),
            blocking: Blocking::Here(Arc::new(move || (pauses.lock().unwrap())())),
            tasks: tasks.clone(),
        }
    }

    /// Asks it to stop, as SIGTERM does, and waits for it.
    pub(crate) async fn stop(&mut self, trace: &Trace) {
        let Some(running) = self.running.take() else { return };
        trace.line(format_args!("{} is asked to stop", self.name));
        running.stopped.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(60), running.main).await;
        assert!(ended.is_ok(), "{} does not stop", self.name);
        trace.line(format_args!("{} has stopped", self.name));
        running.power.cut();
        self.image = running.disk.live();
        running.tasks.kill();
    }

    /// Cuts its power: of what its disk was writing, anything may be there.
    pub(crate) fn crash(&mut self, trace: &Trace, random: &mut StdRng) {
        let Some(running) = self.running.take() else { return };
        trace.line(format_args!("{} crashes", self.name));
        running.power.cut();
        self.image = running.disk.crash(random);
        running.tasks.kill();
    }

    /// Lets the power go in the midst of what the disk does a little later.
    pub(crate) fn crash_while_writing(&self, random: &mut StdRng) {
        if let Some(running) = &self.running {
            running.disk.fail_after(random.random_range(1..60), io::ErrorKind::Other);
        }
    }

    /// Whether its power went by itself.
    pub(crate) fn is_dark(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.power.is_on())
    }

    /// Replaces its disk by an empty one; it has to be off.
    pub(crate) fn lose_disk(&mut self, trace: &Trace) {
        assert!(self.running.is_none());
        trace.line(format_args!("{} gets an empty disk", self.name));
        self.image.clear();
    }

    /// Sets its wall clock wrong.
    pub(crate) fn set_wrong(&self, seconds: i64) {
        self.wrong.store(seconds, Ordering::Relaxed);
    }
}

/// Whether a machine has power.
#[derive(Clone, Debug)]
struct Power(Arc<AtomicBool>);

impl Power {
    fn on() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn cut(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A client's way to the API server, as long as there is power.
#[derive(Clone)]
struct Wire {
    network: Faulty,
    power: Power,
    trace: Trace,
    client: String,
}

impl tower::Service<Request<kube::client::Body>> for Wire {
    type Response = Response<Body>;
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Broken>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let Self { network, power, trace, client } = self.clone();
        Box::pin(async move {
            let asked = format!("{client} {} {}", request.method(), request.uri());
            if !power.is_on() {
                return pending().await;
            }
            let answer = network.respond(request).await;
            if !power.is_on() {
                return pending().await;
            }
            match &answer {
                Ok(response) => trace.line(format_args!("{asked}: {}", response.status().as_u16())),
                Err(error) => trace.line(format_args!("{asked}: {error}")),
            }
            answer
        })
    }
}
