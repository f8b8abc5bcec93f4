//! What an agent has of the world outside of it: [`run`](super::run) gives it this machine's, a simulation its own.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::settings::Settings;
use crate::cluster::client::Clients;
use crate::cluster::clock::Clocks;
use crate::git::{Mirrors, Repositories};
use crate::store::{OpenReport, Store, StoreOptions};

/// Opens the store, and says what that did; blocks.
pub type OpenStore = Box<dyn FnOnce() -> anyhow::Result<(Store, OpenReport)> + Send>;

/// Everything that an agent reaches outside of itself. Of the clocks, tokio's is not among them: a simulation pauses it.
pub struct Outside {
    /// Name of the machine or pod, for the Lease and for Events.
    pub host: String,
    /// The API server.
    pub clients: Clients,
    /// Repositories.
    pub repositories: Arc<dyn Repositories>,
    /// The clocks.
    pub clocks: Clocks,
    /// Randomness.
    pub random: Random,
    /// Where work that blocks is done.
    pub blocking: Blocking,
    /// Runs the agent's tasks.
    pub tasks: Tasks,
}

impl Outside {
    /// This machine's, with `clients` for its cluster.
    pub(super) fn of_this_machine(settings: &Settings, clients: Clients) -> Self {
        let host = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
        let mirrors = Mirrors::new(settings.git_folder(), settings.git_limits()).with_ssh(settings.ssh());
        Self {
            host: host.unwrap_or_else(|_| "driftless".into()),
            clients,
            repositories: Arc::new(mirrors),
            clocks: Clocks::system(),
            random: Random::new(rand::random()),
            blocking: Blocking::Threads,
            tasks: Tasks::default(),
        }
    }
}

/// Opens the store in its file on this machine.
pub(super) fn store_file(path: PathBuf) -> OpenStore {
    Box::new(move || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("the data folder {} can't be made", folder.display()))?;
        }
        Store::open(&path, &StoreOptions::default())
            .with_context(|| format!("the store {} can't be opened", path.display()))
    })
}

/// Randomness, for what need not be secret but for [`Random::key`]. Clones draw from the same sequence.
#[derive(Clone)]
pub struct Random(Arc<Mutex<StdRng>>);

impl Random {
    /// The sequence that `seed` begins. It is as hard to guess as its seed: keys take all of it.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_seed(seed))))
    }

    /// A number.
    pub fn number(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// A key.
    pub fn key(&self) -> [u8; 32] {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random()
    }
}

/// Where work that blocks is done.
#[derive(Clone)]
pub enum Blocking {
    /// On threads of its own.
    Threads,
    /// On the task that asks, after a wait: for simulations, in which no time passes while something is done.
    Here(Arc<dyn Fn() -> Duration + Send + Sync>),
}

impl Blocking {
    /// Does `work`; `None` if it was stopped before it began, or panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        match self {
            Self::Threads => tokio::task::spawn_blocking(work).await.ok(),
            Self::Here(pause) => {
                tokio::time::sleep(pause()).await;
                Some(work())
            }
        }
    }
}

/// Runs tasks until all are ended at once, as a process does that dies. Clones run the same ones.
#[derive(Clone, Debug, Default)]
pub struct Tasks(CancellationToken);

impl Tasks {
    /// Runs a task. It gives `None` if it was ended before it was done.
    pub fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<Option<T>> {
        tokio::spawn(self.0.clone().run_until_cancelled_owned(task))
    }

    /// Ends all of them, and those that are yet to come, wherever they are.
    pub fn kill(&self) {
        self.0.cancel();
    }
}
