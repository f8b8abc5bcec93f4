//! Leader election through a Lease: performs what [`crate::engine::lease`] decides.
//!
//! One task owns the state machine, the client (of its own, so that load can't starve a renewal) and a watch on the one
//! Lease, by which a release is noticed at once. Everybody else reads the published [`LeaseState`], and asks the
//! [`LeaseFence`] before each write.

mod driver;
mod object;
mod watcher;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::watch;

use super::clock::{Clocks, Read};
use super::fence::{Fence, InFlight};
use crate::engine::event::Leadership;
use crate::engine::ids::Epoch;
use crate::engine::lease::{self, Election, LeaseTimes, Role};
use crate::engine::time::Instant;

/// Which Lease, and who wants it.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who wants it: new for each process, so that a restarted one doesn't take itself for its predecessor.
    pub identity: String,
    /// Times of the election.
    pub times: LeaseTimes,
    /// Highest epoch that the store has recorded, with the uid of its Lease.
    pub floor: Option<(String, i32)>,
    /// Picks the jitter.
    pub seed: u64,
}

/// The election as last published. While this replica leads, it changes with each renewal.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseState {
    /// What this replica is.
    pub role: Role,
    /// Highest epoch ever seen, with the uid of its Lease, for the store.
    pub floor: Option<(String, Epoch)>,
    /// Why the last request of the Lease failed; `None` once one succeeds.
    pub error: Option<String>,
}

impl LeaseState {
    fn of(election: &Election) -> Self {
        Self {
            role: election.role(),
            floor: election.floor().map(|(uid, epoch)| (uid.to_owned(), epoch)),
            error: election.error().map(ToString::to_string),
        }
    }

    /// Whether this replica may decide to write; equal from renewal to renewal.
    pub fn leadership(&self) -> Leadership {
        match &self.role {
            Role::Leader { epoch, lease_uid, .. } => Leadership::Leader { epoch: *epoch, lease_uid: lease_uid.clone() },
            _ => Leadership::Standby,
        }
    }

    /// Whether it is known who holds the Lease.
    pub fn is_known(&self) -> bool {
        !matches!(self.role, Role::Follower { holder: None })
    }
}

/// What others have of the election. Cheap to clone.
#[derive(Clone)]
pub struct LeaseHandle {
    state: watch::Receiver<LeaseState>,
    stop: Arc<watch::Sender<bool>>,
    clock: Read<Instant>,
}

impl LeaseHandle {
    /// The state, and its changes. Closed when the election's task has ended.
    pub fn state(&self) -> watch::Receiver<LeaseState> {
        self.state.clone()
    }

    /// The fence of this election's epochs.
    pub fn fence(&self) -> LeaseFence {
        LeaseFence { state: self.state.clone(), clock: self.clock.clone() }
    }

    /// Ends leadership now, and gives the Lease back once nothing is in flight. The election's task ends then.
    pub fn shut_down(&self) {
        self.stop.send_replace(true);
    }
}

/// Sets up an election; the returned task is to be spawned by the caller, and runs until the Lease is released after
/// [`LeaseHandle::shut_down`]. `in_flight` counts the writes that were started: leadership that was lost is not sought
/// again, and the Lease not released, before they have ended.
pub fn election(
    client: Client,
    settings: LeaseSettings,
    clocks: Clocks,
    in_flight: InFlight,
) -> (LeaseHandle, impl Future<Output = ()> + Send + 'static) {
    let machine = Election::new(settings.identity, settings.times, settings.floor, settings.seed);
    let (state, published) = watch::channel(LeaseState::of(&machine));
    let (stop, stopped) = watch::channel(false);
    let handle = LeaseHandle { state: published, stop: Arc::new(stop), clock: clocks.monotonic.clone() };
    let lease = object::LeaseObject::new(client, settings.namespace, settings.name, settings.times, clocks.wall);
    let driver = driver::Driver { machine, lease, clock: clocks.monotonic, in_flight, state, stopped };
    (handle, driver.run())
}

/// Lets a write start while this replica leads in its epoch, and will after the write has ended or timed out.
///
/// It expires by itself: a task that was stopped, or an election that hangs, doesn't lead for longer.
#[derive(Clone)]
pub struct LeaseFence {
    state: watch::Receiver<LeaseState>,
    clock: Read<Instant>,
}

impl Fence for LeaseFence {
    fn may_start(&self, epoch: Epoch, timeout: Duration) -> bool {
        match self.state.borrow().role {
            Role::Leader { epoch: held, valid_until, .. } => {
                held == epoch && lease::Fence { epoch, valid_until }.may_start_write((self.clock)(), timeout)
            }
            _ => false,
        }
    }
}
