//! Leaders that are cut off again and again, under a stream of edits and commits.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{AUTOMATED, Checked, Replica, check, commit_maps, epoch, is_fenced};
use crate::support::agent::Rig;
use crate::support::control_plane::ControlPlane;
use crate::support::request::Entry;

/// Pairs of replicas, side by side.
const PAIRS: usize = 5;
/// Maps of each pair; the first is for the rounds' commits, the others are edited.
const MAPS: usize = 4;
/// Short, so that a round is.
const SHORTEST: [&str; 14] = [
    "--lease-duration",
    "2s",
    "--lease-renew-period",
    "250ms",
    "--lease-request-timeout",
    "400ms",
    "--lease-margin",
    "400ms",
    "--poll-interval",
    "300ms",
    "--poll-jitter",
    "0s",
    "--contest-heals",
    "10000",
];

fn rounds() -> usize {
    if std::env::var_os("CI").is_some() { 20 } else { 200 }
}

#[test]
fn a_leader_that_is_cut_off_writes_no_more_when_another_begins() {
    let (left, total) = (AtomicUsize::new(rounds()), rounds());
    let (epochs, writes) = std::thread::scope(|scope| {
        let pairs: Vec<_> = (0..PAIRS).map(|_| scope.spawn(|| Pair::new().run(&left))).collect();
        pairs
            .into_iter()
            .map(|pair| pair.join().unwrap())
            .fold((0, 0), |sum, checked: Checked| (sum.0 + checked.epochs, sum.1 + checked.writes))
    });
    assert!(epochs >= total + PAIRS, "each round brings another epoch: {epochs}");
    println!("{total} rounds of {PAIRS} pairs: {epochs} epochs, {writes} writes, each under the last Lease");
}

struct Pair {
    rig: Rig,
    shop: String,
    replicas: [Replica; 2],
    runtime: tokio::runtime::Runtime,
    round: Cell<usize>,
}

impl Pair {
    fn new() -> Self {
        let rig = Rig::new("cut");
        let shop = rig.destination("shop");
        let revision = commit_maps(&rig, MAPS, "blue");
        rig.application("shop", "app", &shop, AUTOMATED);
        let replicas = [Replica::leader(&rig, &SHORTEST), Replica::start(&rig, &SHORTEST)];
        rig.wait_synced("shop", &revision);
        replicas[1].agent.wait_ready();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { rig, shop, replicas, runtime, round: Cell::new(0) }
    }

    fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.runtime.block_on(self.rig.plane.client("alice")), &self.shop)
    }

    /// Takes rounds while there are any left.
    fn run(mut self, left: &AtomicUsize) -> Checked {
        let processes = self.replicas.each_ref().map(|replica| replica.agent.id());
        let stopped = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // However this ends, the editor ends with it.
            let _guard = Stop(&stopped);
            let (plane, shop, stopped) = (self.rig.plane, &self.shop, &stopped);
            scope.spawn(move || edit_until(plane, shop, stopped));
            let take = |left: usize| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                self.one_round();
            }
        });
        assert_eq!(self.replicas.each_ref().map(|replica| replica.agent.id()), processes);
        assert!(self.replicas.each_mut().iter_mut().all(|replica| replica.agent.is_running()), "nobody has exited");
        check(&self.replicas.each_ref().map(|replica| replica.proxy.log()))
    }

    /// Cuts the leader off in the midst of its writes, waits until the other one works, and mends it.
    fn one_round(&self) {
        let round = self.round.replace(self.round.get() + 1);
        let epochs = self.replicas.each_ref().map(|replica| epoch(&replica.proxy.log()));
        let (leader, other) = if epochs[0] > epochs[1] { (0, 1) } else { (1, 0) };
        let before = epochs[leader];
        let (leader, other) = (&self.replicas[leader], &self.replicas[other]);
        let written = leader.fenced_writes().len();
        leader.proxy.wait_until(|log| log.iter().filter(|entry| is_fenced(entry)).count() > written);
        if round.is_multiple_of(2) {
            leader.proxy.cut();
        } else {
            leader.proxy.hold();
        }
        let text = super::config_map("map-0", &format!("round-{round}"));
        self.rig.repo.commit(&[("app/0.yaml", &text)], "another round");
        other.proxy.wait_until(|log| epoch(log) > before && works(log));
        let maps = self.maps();
        self.rig.wait("the round's commit to be applied", || {
            let map = self.runtime.block_on(maps.get("map-0")).unwrap();
            map.data.unwrap_or_default().get("colour") == Some(&format!("round-{round}"))
        });
        leader.proxy.heal();
        assert!(!leader.agent.wait_ready(), "the other one leads now");
    }
}

/// Whether an object was written after the Lease was acquired last.
fn works(log: &[Entry]) -> bool {
    let Some(acquired) = super::acquisitions(log).pop() else { return false };
    let written = |entry: &&Entry| is_fenced(entry) && entry.resource != "applications";
    log.iter().rfind(written).is_some_and(|entry| entry.sent_at.is_some_and(|sent| sent > acquired.answered_at))
}

/// Sets the flag when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Edits one map after the other by hand.
fn edit_until(plane: &ControlPlane, shop: &str, stopped: &AtomicBool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let maps: Api<ConfigMap> = Api::namespaced(plane.client("alice").await, shop);
        // The pace of the stream, not a wait for anything.
        let mut pace = tokio::time::interval(std::time::Duration::from_millis(150));
        for number in 0.. {
            pace.tick().await;
            if stopped.load(Ordering::Relaxed) {
                return;
            }
            let name = format!("map-{}", 1 + number % (MAPS - 1));
            let patch = Patch::Merge(json!({"data": {"colour": format!("edit-{number}")}}));
            maps.patch(&name, &PatchParams::default(), &patch).await.unwrap();
        }
    });
}
