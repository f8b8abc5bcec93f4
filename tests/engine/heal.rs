//! Drift: what is put back, what is only told, and when.

use std::time::Duration;

use driftless::engine::application::Automated;
use driftless::engine::contest::ContestLimits;
use driftless::engine::effect::{Effect, Precondition, Purpose};
use driftless::engine::ids::ObjectKey;

use super::harness::{Rig, applied, applies, config_map};
use super::model::applications::spec;

fn only_reports(rig: &mut Rig) {
    rig.change("a", |app| app.spec = Ok(spec("a", Some(Automated { prune: Some(true), ..Automated::default() }))));
    rig.run();
    rig.effects();
}

#[test]
fn an_edit_is_reverted_at_once_on_exactly_what_was_seen() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.world.cluster.edit(&config_map("one"), |_| {});
    let seen = rig.object(&config_map("one")).unwrap().rv;
    rig.run_now();
    let effects = rig.effects();
    let sent = applies(&effects);
    assert_eq!(applied(&effects), ["one"]);
    assert!(matches!(&sent[0].purpose, Purpose::Heal { managed_fields: Some(_) }));
    assert!(
        matches!(&sent[0].precondition, Precondition::Exactly { resource_version, .. } if *resource_version == seen)
    );
    assert!(rig.is_desired("a", &config_map("one")));
    rig.run();
    assert!(rig.notices().contains(&"DriftReverted"));
    assert_eq!(rig.status("a"), "Synced");
}

#[test]
fn what_is_not_ours_to_say_heals_nothing() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.cluster.touch(&config_map("one"), |object| object.protection.no_delete = true);
    rig.run();
    assert!(applies(&rig.effects()).is_empty());
}

#[test]
fn without_self_heal_an_edit_is_told_with_its_author_and_kept() {
    let mut rig = Rig::synced(&["one"]);
    only_reports(&mut rig);
    rig.world.cluster.edit(&config_map("one"), |_| {});
    rig.run();
    assert!(applies(&rig.effects()).is_empty());
    assert_eq!(rig.status("a"), "OutOfSync");
    let drift = rig.world.application("a").status.resources[0].drift.clone().unwrap();
    assert!(drift.contains("kubectl-edit"), "{drift}");
    assert_eq!(rig.notices().iter().filter(|reason| **reason == "DriftDetected").count(), 1);
    rig.poll();
    assert_eq!(rig.notices().iter().filter(|reason| **reason == "DriftDetected").count(), 1, "once");
}

#[test]
fn switching_self_heal_on_heals_what_was_told_before() {
    let mut rig = Rig::synced(&["one"]);
    only_reports(&mut rig);
    rig.world.cluster.edit(&config_map("one"), |_| {});
    rig.run();
    rig.change("a", |app| app.spec = Ok(spec("a", Some(super::model::applications::automated()))));
    rig.run();
    assert!(rig.is_desired("a", &config_map("one")));
}

#[test]
fn what_was_deleted_by_hand_is_made_anew() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.cluster.delete(&config_map("one"));
    rig.run();
    let effects = rig.effects();
    assert_eq!(applies(&effects)[0].precondition, Precondition::Absent);
    assert!(rig.is_desired("a", &config_map("one")));
}

#[test]
fn a_lost_label_is_put_back_on_the_same_object() {
    let mut rig = Rig::synced(&["one"]);
    let uid = rig.object(&config_map("one")).unwrap().uid;
    rig.world.cluster.edit(&config_map("one"), |object| object.label = None);
    rig.run();
    let effects = rig.effects();
    assert_eq!(applies(&effects)[0].precondition, Precondition::Absent, "it may have been deleted: only create");
    assert!(rig.is_desired("a", &config_map("one")));
    assert_eq!(rig.object(&config_map("one")).unwrap().uid, uid);
}

#[test]
fn without_self_heal_a_lost_label_is_looked_into_before_anything_is_said() {
    let mut rig = Rig::synced(&["one"]);
    only_reports(&mut rig);
    rig.world.cluster.edit(&config_map("one"), |object| object.label = None);
    let held = rig.run_until(|effect| matches!(effect, Effect::Look { .. }));
    rig.answer(&held);
    rig.run();
    assert!(applies(&rig.effects()).is_empty());
    assert_eq!(rig.status("a"), "OutOfSync");
    // No watch shows what becomes of it.
    rig.world.cluster.remove(&config_map("one"));
    rig.pass(Duration::from_secs(130));
    let drift = rig.world.application("a").status.resources[0].drift.clone().unwrap();
    assert!(drift.contains("deleted"), "{drift}");
}

#[test]
fn a_removed_tracking_id_is_drift() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.cluster.edit(&config_map("one"), |object| object.tracking = None);
    rig.run();
    assert!(rig.is_desired("a", &config_map("one")));
}

#[test]
fn a_difference_that_nobody_made_is_settled_without_a_write() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.cluster.touch(&config_map("one"), |object| object.salt += 1);
    let before = rig.object(&config_map("one")).unwrap().clone();
    rig.run();
    assert_eq!(rig.object(&config_map("one")), Some(&before));
    assert_eq!(rig.status("a"), "Synced");
    rig.effects();
    rig.poll();
    assert!(applies(&rig.effects()).is_empty(), "for good");
}

#[test]
fn a_conflict_is_decided_anew_on_what_the_object_is_now() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.cluster.edit(&config_map("one"), |_| {});
    let held = rig.run_until(|effect| matches!(effect, Effect::Apply(_)));
    rig.world.cluster.edit(&config_map("one"), |_| {});
    rig.effects();
    rig.answer(&held);
    rig.run_now();
    assert_eq!(applied(&rig.effects()), ["one"]);
    assert!(rig.is_desired("a", &config_map("one")));
}

#[test]
fn a_contested_object_is_healed_ever_more_slowly_and_its_neighbour_at_once() {
    let limits = ContestLimits { burst: 3, ..ContestLimits::default() };
    let mut rig = Rig::with(|settings| settings.contest = limits);
    rig.commit("a", &["one", "two"]);
    rig.application("a");
    rig.run();
    rig.effects();
    let mut healed = 0;
    for _ in 0..20 {
        rig.world.cluster.edit(&config_map("one"), |_| {});
        rig.pass(Duration::from_millis(100));
        healed += applied(&rig.effects()).len();
    }
    assert_eq!(healed, 3);
    assert_eq!(rig.notices().iter().filter(|reason| **reason == "Contested").count(), 1);
    rig.world.cluster.edit(&config_map("two"), |_| {});
    rig.run_now();
    assert_eq!(applied(&rig.effects()), ["two"]);
    rig.pass(Duration::from_secs(11));
    assert_eq!(applied(&rig.effects()), ["one"], "it is not given up");
}

#[test]
fn drift_in_the_middle_of_a_sync_is_healed() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.commit("a", &["one", "two=2"]);
    let held = rig.run_until(|effect| matches!(effect, Effect::Apply(apply) if &*apply.key.name == "two"));
    rig.world.cluster.edit(&config_map("one"), |_| {});
    rig.run_now();
    rig.answer(&held);
    rig.run();
    assert!(rig.is_desired("a", &config_map("one")) && rig.is_desired("a", &config_map("two")));
    assert_eq!(rig.status("a"), "Synced");
}

#[test]
fn a_namespace_that_was_deleted_is_made_anew() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.cluster.remove(&ObjectKey::new("", "Namespace", "", "prod"));
    rig.run();
    assert!(rig.is_desired("a", &config_map("one")));
}

#[test]
fn an_object_that_is_on_its_way_out_is_made_anew_when_it_is_gone() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.cluster.touch(&config_map("one"), |object| object.finalizer = true);
    rig.world.cluster.delete(&config_map("one"));
    rig.run();
    assert!(applies(&rig.effects()).is_empty());
    rig.world.cluster.touch(&config_map("one"), |object| object.finalizer = false);
    rig.run();
    assert!(rig.is_desired("a", &config_map("one")));
}

#[test]
fn an_answer_that_is_older_than_what_the_watch_has_shown_does_not_hide_a_delete() {
    for created in [true, false] {
        let mut rig = Rig::synced(&["one"]);
        if created {
            rig.commit("a", &["one", "two"]);
        } else {
            rig.world.cluster.edit(&config_map("one"), |_| {});
        }
        let key = config_map(if created { "two" } else { "one" });
        let held = rig.run_until(|effect| matches!(effect, Effect::Apply(_)));
        rig.world.execute(0, &held, None);
        let answer = rig.world.replicas[0].answers.pop().unwrap();
        rig.world.cluster.remove(&key);
        rig.run_now();
        rig.step(answer);
        rig.run();
        assert!(rig.is_desired("a", &key), "{key}");
    }
}
