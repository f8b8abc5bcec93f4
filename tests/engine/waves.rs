//! Waves: what is sent together, what a wave waits for, and in which order things go (Argo CD, "Sync Phases and Waves").

use std::collections::BTreeMap;
use std::time::Duration;

use driftless::engine::application::{RESOURCES_FINALIZER, Retry};
use driftless::engine::effect::Effect;
use driftless::engine::event::RequestErrorReason;
use driftless::engine::health::HealthCode;
use driftless::engine::ids::ObjectKey;
use driftless::engine::status::OperationState;

use super::harness::{Rig, applied, applies, config_map, deletes, deployment};
use super::model::git::{Content, Folder};

/// Commits these objects with the numbers of their waves, and one text for all.
fn commit(rig: &mut Rig, text: &str, objects: &[(ObjectKey, i32)]) {
    let manifests: BTreeMap<_, _> =
        objects.iter().map(|(key, wave)| (key.clone(), Content { wave: *wave, ..Content::from(text) })).collect();
    rig.commit_folder("a", Folder::Manifests(manifests));
}

fn rig(objects: &[(ObjectKey, i32)]) -> Rig {
    let mut rig = Rig::new();
    commit(&mut rig, "1", objects);
    rig.application("a");
    rig
}

fn without_retries(rig: &mut Rig) {
    rig.respec("a", |spec| {
        spec.sync_policy.as_mut().unwrap().retry = Some(Retry { limit: Some(0), ..Retry::default() });
    });
}

/// Names of the objects that were deleted since the last call.
fn pruned(rig: &mut Rig) -> Vec<String> {
    deletes(&rig.effects()).iter().map(|delete| delete.key.name.to_string()).collect()
}

fn becomes(rig: &mut Rig, name: &str, health: HealthCode) {
    rig.world.cluster.touch(&deployment(name), |object| object.health = health);
    rig.run_now();
}

fn operation(rig: &Rig) -> OperationState {
    (**rig.world.application("a").status.operation_state.as_ref().unwrap()).clone()
}

fn hook_phase(rig: &Rig, name: &str) -> String {
    let result = operation(rig).sync_result.unwrap();
    result.resources.iter().find(|one| &*one.name == name).unwrap().hook_phase.clone().into_owned()
}

fn is_apply(name: &'static str) -> impl Fn(&Effect) -> bool {
    move |effect| matches!(effect, Effect::Apply(apply) if &*apply.key.name == name)
}

#[test]
fn a_wave_begins_at_the_moment_at_which_the_one_before_is_healthy() {
    let mut rig = rig(&[
        (deployment("second"), 0),
        (config_map("third"), 7),
        (deployment("first"), -1),
        (deployment("also-first"), -1),
    ]);
    rig.run();
    assert_eq!(applied(&rig.effects()), ["also-first", "first"]);
    assert_eq!(
        operation(&rig).message.as_deref(),
        Some("waiting for healthy state of apps/Deployment/also-first and 1 more resources")
    );
    becomes(&mut rig, "also-first", HealthCode::Healthy);
    assert!(applies(&rig.effects()).is_empty(), "one of two");
    becomes(&mut rig, "first", HealthCode::Healthy);
    assert_eq!(applied(&rig.effects()), ["second"], "without a moment's delay");
    // It was healthy once: what becomes of it now does not stop the others.
    becomes(&mut rig, "first", HealthCode::Degraded);
    becomes(&mut rig, "second", HealthCode::Healthy);
    assert_eq!(applied(&rig.effects()), ["third"]);
    rig.run();
    assert_eq!((rig.phase("a"), rig.status("a")), ("Succeeded", "Synced"));
}

#[test]
fn the_last_of_several_waves_is_waited_for_and_a_single_one_is_not() {
    for (wave, expected) in [(1, "Running"), (0, "Succeeded")] {
        let mut rig = rig(&[(config_map("first"), 0), (deployment("last"), wave)]);
        rig.run();
        assert_eq!(applied(&rig.effects()), ["first", "last"]);
        assert_eq!(rig.phase("a"), expected, "{wave}");
        becomes(&mut rig, "last", HealthCode::Healthy);
        rig.run();
        assert_eq!(rig.phase("a"), "Succeeded", "{wave}");
    }
}

#[test]
fn what_a_wave_waits_for_by_health() {
    for (health, phase) in [
        (HealthCode::Healthy, "Succeeded"),
        (HealthCode::Degraded, "Failed"),
        (HealthCode::Progressing, "Running"),
        (HealthCode::Suspended, "Running"),
        (HealthCode::Unknown, "Running"),
    ] {
        let mut rig = rig(&[(deployment("first"), 0), (config_map("second"), 1)]);
        without_retries(&mut rig);
        rig.run();
        becomes(&mut rig, "first", health);
        rig.run();
        assert_eq!(rig.phase("a"), phase, "{health:?}");
        assert_eq!(rig.is_live("second"), phase == "Succeeded", "{health:?}");
    }
}

#[test]
fn a_degraded_wave_fails_the_sync_and_says_why() {
    let mut rig = rig(&[(deployment("first"), 0), (config_map("second"), 1)]);
    without_retries(&mut rig);
    rig.run();
    becomes(&mut rig, "first", HealthCode::Degraded);
    rig.run();
    let message = operation(&rig).message.unwrap();
    assert_eq!(message, "1 of 1 objects are degraded, apps/Deployment:prod/first first: it is degraded");
    assert_eq!(hook_phase(&rig, "first"), "Failed");
    rig.effects();
    becomes(&mut rig, "first", HealthCode::Healthy);
    rig.poll();
    assert!(applies(&rig.effects()).is_empty(), "a failed revision is not tried again");
    commit(&mut rig, "2", &[(deployment("first"), 0), (config_map("second"), 1)]);
    rig.poll();
    becomes(&mut rig, "first", HealthCode::Healthy);
    rig.run();
    assert_eq!((rig.phase("a"), rig.is_live("second")), ("Succeeded", true), "a newer one is");
}

#[test]
fn an_object_that_is_refused_lets_its_wave_end_and_no_other_begin() {
    let mut rig = rig(&[(config_map("one"), 0), (config_map("two"), 0), (config_map("later"), 1)]);
    without_retries(&mut rig);
    let held = rig.run_until(is_apply("one"));
    rig.refuse(&held, RequestErrorReason::Invalid);
    rig.run();
    assert_eq!(rig.phase("a"), "Failed");
    assert_eq!([rig.is_live("one"), rig.is_live("two"), rig.is_live("later")], [false, true, false]);
}

#[test]
fn a_wave_in_which_nothing_changed_is_waited_for_as_well() {
    let objects = [(deployment("first"), 0), (config_map("second"), 1)];
    let mut rig = rig(&objects);
    rig.run();
    becomes(&mut rig, "first", HealthCode::Healthy);
    rig.run();
    becomes(&mut rig, "first", HealthCode::Progressing);
    rig.effects();
    let changed = Content { wave: 1, ..Content::from("2") };
    let manifests = [(objects[0].0.clone(), Content::from("1")), (objects[1].0.clone(), changed)];
    rig.commit_folder("a", Folder::Manifests(manifests.into()));
    rig.poll();
    assert!(applies(&rig.effects()).is_empty());
    becomes(&mut rig, "first", HealthCode::Healthy);
    assert_eq!(applied(&rig.effects()), ["second"]);
}

#[test]
fn a_newer_commit_supersedes_a_wave_that_is_stuck() {
    let mut rig = rig(&[(deployment("first"), 0), (config_map("second"), 1)]);
    rig.run();
    rig.effects();
    commit(&mut rig, "2", &[(deployment("first"), 0), (config_map("second"), 1)]);
    rig.poll();
    let sent = rig.effects();
    assert_eq!(applied(&sent), ["first"], "the new one's first wave is the next that is sent");
    let told = |effect: &Effect| matches!(effect, Effect::Notify(notice) if notice.reason == "Superseded");
    assert!(sent.iter().any(told));
    becomes(&mut rig, "first", HealthCode::Healthy);
    rig.run();
    assert_eq!((rig.phase("a"), rig.status("a")), ("Succeeded", "Synced"));
}

#[test]
fn after_a_restart_a_sync_goes_on_in_the_wave_in_which_it_was() {
    let mut rig = rig(&[(deployment("first"), 0), (deployment("second"), 1), (config_map("third"), 2)]);
    rig.run();
    becomes(&mut rig, "first", HealthCode::Healthy);
    rig.run();
    rig.effects();
    rig.restart(true);
    rig.run();
    assert!(applies(&rig.effects()).is_empty(), "what is applied is not applied again, and the wave is still open");
    assert_eq!(rig.phase("a"), "Running");
    becomes(&mut rig, "second", HealthCode::Healthy);
    rig.run();
    assert_eq!(applied(&rig.effects()), ["third"]);
    assert_eq!(rig.phase("a"), "Succeeded");
}

#[test]
fn prunes_go_wave_by_wave_from_the_last() {
    let mut rig = rig(&[
        (config_map("kept"), 0),
        (config_map("first"), -1),
        (config_map("second"), 0),
        (config_map("third"), 5),
        (config_map("third-too"), 5),
    ]);
    rig.run();
    rig.world.cluster.touch(&config_map("third"), |object| object.finalizer = true);
    rig.run();
    rig.effects();
    commit(&mut rig, "1", &[(config_map("kept"), 0)]);
    rig.poll();
    assert_eq!(pruned(&mut rig), ["third", "third-too"]);
    assert_eq!(operation(&rig).message.as_deref(), Some("waiting for deletion of 1 objects of wave 5"));
    rig.world.cluster.touch(&config_map("third"), |object| object.finalizer = false);
    rig.run();
    assert_eq!(pruned(&mut rig), ["second", "first"]);
    assert_eq!((rig.phase("a"), rig.status("a")), ("Succeeded", "Synced"));
}

#[test]
fn a_deleted_application_goes_wave_by_wave_from_the_last() {
    let mut rig = rig(&[(config_map("first"), -1), (config_map("second"), 0), (config_map("third"), 5)]);
    rig.run();
    rig.world.cluster.touch(&config_map("third"), |object| object.finalizer = true);
    rig.run();
    rig.effects();
    rig.change("a", |app| {
        app.finalizers = vec![RESOURCES_FINALIZER.into()];
        app.deleting = true;
    });
    rig.run();
    assert_eq!(pruned(&mut rig), ["third"]);
    rig.pass(Duration::from_secs(600));
    assert!(pruned(&mut rig).is_empty());
    rig.world.cluster.touch(&config_map("third"), |object| object.finalizer = false);
    rig.run();
    assert_eq!(pruned(&mut rig), ["second", "first"]);
}
