//! What acts beside the API server as if there were a cluster: workloads get their pods and say that they run, claims are
//! bound, load balancers get an address. Each part is small and can be off.
//!
//! Nothing runs. A pod is started by the passing of time, and only so many pods of a workload are objects
//! ([`Controllers::shown`]); of the others the status tells as if they were there. Annotations of a workload or of its pod
//! template make it slow ([`workload::DELAY`]) or make it fail ([`workload::FAIL`]).

mod addresses;
mod claims;
mod daemon_set;
mod deployment;
mod job;
mod pods;
mod replica_set;
mod revisions;
mod stateful_set;
pub mod workload;

use jiff::SignedDuration;

use serde_json::Value;

use super::apiserver::acting::Acting;
use super::apiserver::resources::split_group;
use super::apiserver::store::{Key, Place, Stored};
use super::kinds::value::{at, items, text};

pub(in crate::sim) use self::pods::node_object;

/// Which of the parts run, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controllers {
    /// Empties namespaces that are being deleted.
    pub namespaces: bool,
    /// Deletes what has lost its owner.
    pub garbage: bool,
    /// Keeps ReplicaSets for Deployments and rolls them out.
    pub deployments: bool,
    /// Keeps pods for ReplicaSets.
    pub replica_sets: bool,
    /// Keeps pods, their claims and revisions for StatefulSets.
    pub stateful_sets: bool,
    /// Keeps a pod on every node for DaemonSets.
    pub daemon_sets: bool,
    /// Runs the pods of Jobs until enough of them have succeeded.
    pub jobs: bool,
    /// Places pods on nodes, starts and ends them.
    pub pods: bool,
    /// Binds claims to volumes.
    pub claims: bool,
    /// Gives Services of type LoadBalancer and Ingresses an address.
    pub addresses: bool,
    /// How long things take.
    pub pace: Pace,
    /// How many nodes there are.
    pub nodes: u32,
    /// How many pods of one ReplicaSet, StatefulSet, DaemonSet or Job are objects at most.
    pub shown: u32,
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From a change until who follows it acts.
    pub reaction: SignedDuration,
    /// From when a pod has its node until it is ready, unless it says otherwise.
    pub start: SignedDuration,
    /// From when a pod that comes to an end has begun until it has ended.
    pub run: SignedDuration,
    /// From when a pod is asked to stop until it is gone.
    pub stop: SignedDuration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            reaction: SignedDuration::from_millis(10),
            start: SignedDuration::from_millis(500),
            run: SignedDuration::from_millis(500),
            stop: SignedDuration::from_millis(200),
        }
    }
}

impl Default for Controllers {
    /// None runs.
    fn default() -> Self {
        Self {
            namespaces: false,
            garbage: false,
            deployments: false,
            replica_sets: false,
            stateful_sets: false,
            daemon_sets: false,
            jobs: false,
            pods: false,
            claims: false,
            addresses: false,
            pace: Pace::default(),
            nodes: 1,
            shown: 10,
        }
    }
}

/// The tables whose changes concern the controllers.
const TABLES: &[&str] = &[
    deployment::TABLE,
    replica_set::TABLE,
    stateful_set::TABLE,
    daemon_set::TABLE,
    job::TABLE,
    pods::TABLE,
    claims::TABLE,
    claims::VOLUMES,
    addresses::SERVICES,
    addresses::INGRESSES,
];

impl Controllers {
    /// All of them run.
    pub fn all() -> Self {
        Self {
            namespaces: true,
            garbage: true,
            deployments: true,
            replica_sets: true,
            stateful_sets: true,
            daemon_sets: true,
            jobs: true,
            pods: true,
            claims: true,
            addresses: true,
            ..Self::default()
        }
    }

    /// The tables of which somebody wants to know.
    pub(in crate::sim) fn tables(&self) -> &'static [&'static str] {
        let workloads = self.deployments || self.replica_sets || self.stateful_sets || self.daemon_sets || self.jobs;
        if workloads || self.pods || self.claims || self.addresses { TABLES } else { &[] }
    }
}

/// Looks at a place whose time has come.
pub(in crate::sim) fn look_at(acting: &mut Acting<'_>, place: &Place) {
    let on = acting.settings();
    match place.0.as_str() {
        deployment::TABLE if on.deployments => deployment::look_at(acting, place),
        replica_set::TABLE if on.replica_sets => replica_set::look_at(acting, place),
        stateful_set::TABLE if on.stateful_sets => stateful_set::look_at(acting, place),
        daemon_set::TABLE if on.daemon_sets => daemon_set::look_at(acting, place),
        job::TABLE if on.jobs => job::look_at(acting, place),
        pods::TABLE if on.pods => pods::look_at(acting, place),
        claims::TABLE if on.claims => claims::look_at(acting, place),
        claims::VOLUMES if on.claims => claims::look_at_volume(acting, place),
        addresses::SERVICES | addresses::INGRESSES if on.addresses => addresses::look_at(acting, place),
        _ => {}
    }
}

/// Who controls an object of the store, if it is one that a workload controls.
pub(in crate::sim) fn controller_of(place: &Place, stored: &Stored) -> Option<Place> {
    let controlled = matches!(place.0.as_str(), pods::TABLE | replica_set::TABLE) && !stored.owners.is_empty();
    if controlled { controller(&stored.value()) } else { None }
}

/// The workload that controls an object.
fn controller(object: &Value) -> Option<Place> {
    let owner = items(object, "metadata.ownerReferences").iter().find(|owner| at(owner, "controller") == true)?;
    let (group, _) = split_group(text(owner, "apiVersion"));
    let table = match (group, text(owner, "kind")) {
        ("apps", "Deployment") => deployment::TABLE,
        ("apps", "ReplicaSet") => replica_set::TABLE,
        ("apps", "StatefulSet") => stateful_set::TABLE,
        ("apps", "DaemonSet") => daemon_set::TABLE,
        ("batch", "Job") => job::TABLE,
        _ => return None,
    };
    Some((table.to_owned(), Key::new(Some(text(object, "metadata.namespace")), text(owner, "name"))))
}
