//! Epochs, and what a restart and a take-over may do.

use driftless::engine::effect::{Effect, Purpose};
use driftless::engine::event::RequestErrorReason;
use driftless::engine::ids::Epoch;
use driftless::engine::record::StoreOp;

use super::harness::{Rig, applied, applies, config_map, deletes, writes};
use super::model::replica::Request;

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

#[test]
fn drift_that_a_standby_has_seen_is_put_back_by_one_apply_once_it_leads() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.elect(None);
    rig.run();
    rig.world.cluster.edit(&config_map("one"), |_| {});
    rig.run();
    rig.effects();
    rig.world.elect(Some(0));
    rig.run();
    let effects = rig.effects();
    let sent = applies(&effects);
    assert_eq!(sent.len(), 1, "{sent:#?}");
    // With what is needed to tell who changed it: the executor would read it else.
    assert!(matches!(&sent[0].purpose, Purpose::Heal { managed_fields: Some(_) }), "{sent:#?}");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Look { .. })));
    assert!(rig.is_desired("a", &config_map("one")));
}

#[test]
fn a_conflict_is_answered_by_the_watch_and_by_a_read_where_the_watch_is_late() {
    let mut rig = Rig::synced(&["one"]);
    rig.change("a", |app| {
        app.annotations.insert("argocd.argoproj.io/refresh".into(), "normal".into());
    });
    let write = |effect: &Effect| matches!(effect, Effect::WriteApplication(_));
    let rereads = |request: &Request| matches!(&request.effect, Effect::WriteApplication(write) if write.reread);
    let first = rig.run_until(write);
    assert!(!rereads(&first));
    rig.refuse(&first, RequestErrorReason::Conflict);
    // The watch shows nothing: the next conflict is looked into.
    let second = rig.run_until(write);
    assert!(rereads(&second));
    rig.refuse(&second, RequestErrorReason::Conflict);
    // Now it does, and nothing is waited for any more.
    rig.change("a", |app| {
        app.annotations.insert("example.com/note".into(), "edited".into());
    });
    rig.run_now();
    let effects = rig.effects();
    let last = *writes(&effects).last().unwrap();
    assert!(!last.reread && last.remove_annotation.is_some());
    assert!(!rig.world.application("a").annotations.contains_key("argocd.argoproj.io/refresh"));
}

#[test]
fn a_conflict_with_what_the_watch_has_shown_already_is_not_waited_for() {
    let mut rig = Rig::synced(&["one"]);
    rig.change("a", |app| {
        app.annotations.insert("argocd.argoproj.io/refresh".into(), "normal".into());
    });
    let first = rig.run_until(|effect| matches!(effect, Effect::WriteApplication(_)));
    rig.change("a", |app| {
        app.annotations.insert("example.com/note".into(), "edited".into());
    });
    rig.run_now();
    rig.effects();
    rig.answer(&first);
    rig.run_now();
    assert_eq!(writes(&rig.effects()).len(), 1);
    assert!(!rig.world.application("a").annotations.contains_key("argocd.argoproj.io/refresh"));
}
