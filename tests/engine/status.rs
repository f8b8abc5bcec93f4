//! What is written into an Application, when, and by whom.

use std::time::Duration;

use driftless::engine::application::TAKE_OVER;
use driftless::engine::effect::Effect;
use driftless::engine::event::RequestErrorReason;
use driftless::engine::health::HealthCode;
use driftless::engine::ids::ObjectKey;
use driftless::engine::record::StoreOp;

use super::harness::{Rig, applies, config_map, deployment, writes};

#[test]
fn a_settled_agent_asks_for_refs_and_nothing_else() {
    let mut rig = Rig::synced(&["one"]);
    rig.pass(Duration::from_secs(3600));
    for effect in rig.effects() {
        let quiet = matches!(
            effect,
            Effect::ListRefs { .. } | Effect::Store { op: StoreOp::PutSource(..) | StoreOp::PutPosition(..), .. }
        );
        assert!(quiet, "{effect:?}");
    }
}

#[test]
fn a_change_is_written_once() {
    let mut rig = Rig::new();
    rig.commit_objects("a", &[deployment("web")]);
    rig.application("a");
    rig.run();
    assert_eq!(rig.world.application("a").status.health.status, "Progressing");
    rig.effects();
    rig.world.cluster.touch(&deployment("web"), |object| object.health = HealthCode::Healthy);
    rig.run();
    assert_eq!(rig.world.application("a").status.health.status, "Healthy");
    assert_eq!(writes(&rig.effects()).len(), 1);
}

#[test]
fn changes_that_come_together_are_one_write() {
    let mut rig = Rig::new();
    let webs: Vec<ObjectKey> = (0..20).map(|n| deployment(&format!("web-{n}"))).collect();
    rig.commit_objects("a", &webs);
    rig.application("a");
    rig.run();
    rig.effects();
    for web in &webs {
        rig.world.cluster.touch(web, |object| object.health = HealthCode::Healthy);
        rig.pass(Duration::from_millis(10));
    }
    rig.run();
    assert_eq!(writes(&rig.effects()).len(), 1);
}

#[test]
fn a_standby_writes_nothing() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.elect(None);
    rig.run();
    rig.effects();
    rig.world.cluster.edit(&config_map("one"), |_| {});
    rig.commit("a", &["one=2"]);
    rig.poll();
    let effects = rig.effects();
    assert!(writes(&effects).is_empty() && applies(&effects).is_empty());
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Render(_))), "but it is warm");
}

#[test]
fn a_conflict_is_written_again_on_the_newer_state() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.cluster.edit(&config_map("one"), |_| {});
    let held = rig.run_until(|effect| matches!(effect, Effect::WriteApplication(_)));
    rig.change("a", |app| drop(app.annotations.insert("driftless.dev/x".into(), "y".into())));
    rig.answer(&held);
    rig.run();
    assert!(rig.world.application("a").status.resources[0].drift.is_some());
}

#[test]
fn a_write_whose_answer_was_lost_is_not_repeated_for_ever() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.cluster.edit(&config_map("one"), |_| {});
    let held = rig.run_until(|effect| matches!(effect, Effect::WriteApplication(_)));
    rig.world.execute(0, &held, None);
    rig.world.replicas[0].answers.clear();
    rig.refuse(&held, RequestErrorReason::Transient { retry_after: None });
    rig.run();
    rig.effects();
    rig.pass(Duration::from_secs(600));
    assert!(writes(&rig.effects()).is_empty());
}

#[test]
fn what_another_controller_writes_is_left_alone_until_a_person_says_otherwise() {
    let mut rig = Rig::new();
    rig.commit("a", &["one"]);
    rig.application("a");
    rig.change("a", |app| app.status_writer = Some("argocd-application-controller".into()));
    rig.poll();
    let effects = rig.effects();
    assert!(applies(&effects).is_empty() && writes(&effects).is_empty());
    assert!(rig.notices().contains(&"LeftAlone"));
    rig.change("a", |app| drop(app.annotations.insert(TAKE_OVER.into(), "true".into())));
    rig.poll();
    assert_eq!(rig.status("a"), "Synced");
}

#[test]
fn a_spec_that_cannot_be_worked_with_is_a_condition_and_changes_nothing() {
    let mut rig = Rig::synced(&["one"]);
    rig.respec("a", |spec| spec.destination.server = Some("https://elsewhere.example.com".into()));
    rig.run();
    assert!(rig.condition("a", "InvalidSpecError").contains("another cluster"));
    assert!(rig.is_live("one"));
    rig.respec("a", |spec| spec.destination.server = None);
    rig.run();
    assert_eq!(rig.condition("a", "InvalidSpecError"), "");
    assert_eq!(rig.status("a"), "Synced");
}

#[test]
fn history_is_kept_to_its_limit() {
    let mut rig = Rig::new();
    rig.commit("a", &["one"]);
    rig.application("a");
    rig.respec("a", |spec| spec.revision_history_limit = Some(2));
    rig.run();
    for text in ["one=2", "one=3", "one=4"] {
        rig.commit("a", &[text]);
        rig.poll();
    }
    let ids: Vec<i64> = rig.world.application("a").status.history.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [2, 3]);
}
