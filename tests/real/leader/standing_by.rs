//! While one replica leads, the other is warm and silent; and small troubles with the Lease change nothing.

use std::process::Command;

use super::{AUTOMATED, Replica, SHORT, check, colour, commit_maps, edit, epoch, grants};
use crate::support::agent::{Agent, Rig};
use crate::support::proxy::Trick;
use crate::support::request::Verb;

fn stored_objects(agent: &Agent) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_driftless"))
        .args(["store", "inspect", "objects", "--data-dir", agent.data.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn one_leads_and_the_other_knows_the_same_and_writes_nothing() {
    let rig = Rig::new("standby");
    let shop = rig.destination("shop");
    commit_maps(&rig, 5, "blue");
    rig.application("shop", "app", &shop, AUTOMATED);
    let first = Replica::leader(&rig, &SHORT);
    let second = Replica::standby(&rig, &SHORT);
    let green = commit_maps(&rig, 6, "green");
    rig.wait_synced("shop", &green);
    edit(&rig, &shop, "map-3", "red");
    rig.wait("the edit to be reverted", || colour(&rig, &shop, "map-3") == "green");
    rig.repo.remove(&["app/5.yaml"], "one less");
    rig.wait("the map to be pruned", || rig.get(&shop, &["configmap", "map-5"]).is_null());

    // The store of both holds the same: desired and expected hashes, health, versions.
    rig.wait("both stores to say the same", || {
        let (one, other) = (stored_objects(&first.agent), stored_objects(&second.agent));
        one == other && one.matches(" Synced ").count() == 5 && !one.contains("map-5")
    });
    first.wait_renewals(3);
    assert_eq!(second.agent.get("/readyz").as_deref(), Some("ok"));
    assert_eq!((first.agent.metric("driftless_leader"), second.agent.metric("driftless_leader")), (1.0, 0.0));
    assert!(second.agent.metric("driftless_renders_total") >= 3.0, "a standby renders");
    let log = second.proxy.log();
    assert!(log.iter().any(|entry| entry.verb == Verb::Watch && entry.resource == "configmaps"), "a standby watches");
    let attempts: Vec<_> = log.iter().filter(|entry| entry.verb.is_write() || entry.verb == Verb::DryRun).collect();
    assert!(attempts.is_empty(), "a standby writes nothing, not even the Lease while it is held: {attempts:#?}");
    let checked = check(&[first.proxy.log(), log]);
    assert_eq!(checked.epochs, 1);
    assert!(checked.writes >= 5 + 6 + 2, "{checked:?}");
}

#[test]
fn renewals_that_fail_for_a_while_cost_nothing_and_for_long_cost_leadership() {
    let rig = Rig::new("unavailable");
    let shop = rig.destination("shop");
    let blue = commit_maps(&rig, 2, "blue");
    rig.application("shop", "app", &shop, AUTOMATED);
    let mut first = Replica::leader(&rig, &SHORT);
    rig.wait_synced("shop", &blue);
    let second = Replica::standby(&rig, &SHORT);
    let before = epoch(&first.proxy.log());

    // A few refusals, of each kind that a busy API server has.
    for status in [503, 429] {
        first.proxy.trick(3, Trick::Fail(status), |entry| entry.resource == "leases" && entry.verb.is_write());
        first.proxy.wait_until(|log| {
            let refused = log.iter().filter(|entry| entry.resource == "leases" && entry.status == Some(status));
            let last = log.iter().rfind(|entry| entry.resource == "leases" && entry.verb.is_write());
            refused.count() == 3 && last.is_some_and(|entry| entry.status == Some(200))
        });
    }
    first.wait_renewals(2);
    assert_eq!(grants(&first.proxy.log()).last().unwrap().epoch, before, "it still leads in the same epoch");
    assert!(grants(&second.proxy.log()).is_empty());
    edit(&rig, &shop, "map-0", "red");
    rig.wait("the edit to be reverted", || colour(&rig, &shop, "map-0") == "blue");

    // For longer than a Lease lasts: it steps down, and the other takes over.
    first.proxy.trick(usize::MAX, Trick::Fail(503), |entry| entry.resource == "leases" && entry.verb.is_write());
    second.proxy.wait_until(|log| epoch(log) > before);
    rig.wait("the first to stand by", || first.agent.metric("driftless_leader") < 1.0);
    edit(&rig, &shop, "map-1", "red");
    rig.wait("the edit to be reverted", || colour(&rig, &shop, "map-1") == "blue");
    assert!(first.agent.is_running());
    assert_eq!(first.agent.get("/readyz").as_deref(), Some("ok"));
    assert_eq!(second.object_writes().len(), 1, "{:#?}", second.object_writes());
    assert_eq!(check(&[first.proxy.log(), second.proxy.log()]).epochs, 2);
}

#[test]
fn a_lease_that_is_deleted_by_hand_comes_back_in_a_higher_epoch() {
    let rig = Rig::new("deleted");
    let shop = rig.destination("shop");
    let blue = commit_maps(&rig, 1, "blue");
    rig.application("shop", "app", &shop, AUTOMATED);
    let first = Replica::leader(&rig, &SHORT);
    rig.wait_synced("shop", &blue);
    let second = Replica::standby(&rig, &SHORT);
    for _ in 0..3 {
        let highest = || epoch(&first.proxy.log()).max(epoch(&second.proxy.log()));
        let before = highest();
        rig.plane.kubectl(&["-n", &rig.namespace, "delete", "lease", "driftless"]);
        rig.wait("another epoch", || highest() > before);
        edit(&rig, &shop, "map-0", "red");
        rig.wait("the edit to be reverted", || colour(&rig, &shop, "map-0") == "blue");
        assert_eq!(rig.get(&rig.namespace, &["lease", "driftless"])["spec"]["leaseTransitions"], highest());
    }
    assert!(check(&[first.proxy.log(), second.proxy.log()]).epochs >= 4);
}
