//! Epochs, and what a restart and a take-over may do.

use driftless::engine::effect::Effect;
use driftless::engine::ids::Epoch;
use driftless::engine::record::StoreOp;

use super::harness::{Rig, applied, applies, config_map, deletes, writes};

#[test]
fn a_settled_restart_asks_for_its_watches_only() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.restart(true);
    let first = rig.effects();
    assert!(!first.is_empty());
    assert!(first.iter().all(|effect| matches!(effect, Effect::Watch { from: Some(_), .. })), "{first:?}");
    rig.poll();
    let effects = rig.effects();
    assert!(applies(&effects).is_empty() && deletes(&effects).is_empty() && writes(&effects).is_empty());
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Render(_) | Effect::Look { .. } | Effect::Sweep)));
}

#[test]
fn a_lost_store_is_rebuilt_from_the_stamps_without_a_write() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.restart(false);
    rig.poll();
    let effects = rig.effects();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Sweep)));
    assert!(applies(&effects).is_empty() && deletes(&effects).is_empty());
    let store = rig.store();
    assert!(store.objects.values().all(|record| record.expected.is_some()) && store.objects.len() == 2);
    assert!(store.complete && store.applications.len() == 1);
    assert_eq!(rig.status("a"), "Synced");
    rig.world.cluster.edit(&config_map("one"), |_| {});
    rig.run_now();
    assert_eq!(applied(&rig.effects()), ["one"], "and it heals");
}

#[test]
fn the_epoch_is_on_disk_before_anything_is_done_under_it() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.elect(Some(0));
    rig.run_now();
    let effects = rig.effects();
    let put = |effect: &Effect| matches!(effect, Effect::Store { op: StoreOp::PutEpoch(_, 2), before_next: true });
    assert!(effects.iter().any(put));
    rig.world.cluster.edit(&config_map("one"), |_| {});
    rig.run_now();
    assert_eq!(applies(&rig.effects())[0].epoch, Some(Epoch(2)));
}

#[test]
fn a_write_of_an_old_epoch_is_not_sent_and_what_it_was_for_is_decided_anew() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.cluster.edit(&config_map("one"), |_| {});
    let held = rig.run_until(|effect| matches!(effect, Effect::Apply(_)));
    rig.world.elect(Some(0));
    rig.answer(&held);
    assert!(rig.object(&config_map("one")).unwrap().edit > 0, "fenced");
    rig.run();
    assert!(rig.is_desired("a", &config_map("one")));
}

#[test]
fn a_new_leader_syncs_only_what_was_named_since_it_leads() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.elect(None);
    rig.run();
    rig.commit("a", &["one=2"]);
    rig.poll();
    rig.world.git.down = true;
    rig.world.elect(Some(0));
    rig.effects();
    rig.poll();
    assert!(applies(&rig.effects()).is_empty(), "it has rendered it, but not seen it named");
    rig.world.git.down = false;
    rig.poll();
    assert!(rig.is_desired("a", &config_map("one")));
}

#[test]
fn a_sync_that_was_cut_off_goes_on_where_it_was() {
    let mut rig = Rig::new();
    rig.commit("a", &["one", "two"]);
    rig.application("a");
    let held = rig.run_until(|effect| matches!(effect, Effect::Apply(apply) if &*apply.key.name == "two"));
    drop(held);
    rig.run_now();
    assert_eq!(rig.phase("a"), "Running");
    let started = rig.world.application("a").status.operation_state.as_ref().unwrap().started_at.clone();
    rig.restart(true);
    rig.effects();
    rig.poll();
    assert_eq!(applied(&rig.effects()), ["two"]);
    let state = rig.world.application("a").status.operation_state.clone().unwrap();
    assert_eq!((state.phase.as_str(), &state.started_at), ("Succeeded", &started));
}
