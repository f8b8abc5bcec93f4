//! Syncs: what is sent, when, in which order, and what a result means.

use std::time::Duration;

use driftless::engine::application::{Operation, Retry, SyncOperation};
use driftless::engine::effect::{Effect, Precondition};
use driftless::engine::event::RequestErrorReason;
use driftless::engine::ids::{ObjectKey, TrackingId};
use driftless::engine::record::StoreOp;

use super::harness::{Rig, app, applied, applies, config_map, deployment, writes};

fn is_apply(name: &'static str) -> impl Fn(&Effect) -> bool {
    move |effect| matches!(effect, Effect::Apply(apply) if &*apply.key.name == name)
}

#[test]
fn an_object_is_on_disk_before_it_is_applied() {
    let mut rig = Rig::new();
    rig.commit("a", &["one", "two"]);
    rig.application("a");
    rig.run();
    let effects = rig.effects();
    for name in ["one", "two"] {
        let put = |effect: &Effect| matches!(effect, Effect::Store { op: StoreOp::PutObject(key, _), before_next: true } if *key.name == *name);
        let put = effects.iter().position(put).unwrap();
        let sent = effects.iter().position(is_apply(if name == "one" { "one" } else { "two" })).unwrap();
        assert!(put < sent, "{name}");
    }
}

#[test]
fn the_start_is_in_the_status_before_the_first_apply() {
    let mut rig = Rig::new();
    rig.commit("a", &["one"]);
    rig.application("a");
    let write = rig.run_until(|effect| {
        matches!(effect, Effect::WriteApplication(write) if write.status.as_ref().is_some_and(|status| {
            status.operation_state.as_ref().is_some_and(|state| state.phase == "Running")
        }))
    });
    rig.pass(Duration::from_secs(30));
    assert!(applies(&rig.effects()).is_empty(), "the write was not confirmed");
    rig.answer(&write);
    rig.run();
    assert_eq!(applied(&rig.effects()), ["one"]);
}

#[test]
fn what_was_never_seen_is_only_created() {
    let mut rig = Rig::new();
    rig.commit("a", &["one"]);
    rig.application("a");
    rig.run();
    let effects = rig.effects();
    assert_eq!(applies(&effects)[0].precondition, Precondition::Absent);
    rig.commit("a", &["one=2"]);
    rig.poll();
    let effects = rig.effects();
    assert!(matches!(&applies(&effects)[0].precondition, Precondition::Exactly { uid, .. } if &**uid == "uid-2"));
}

#[test]
fn one_changed_object_is_one_apply_and_an_unrelated_commit_is_none() {
    let mut rig = Rig::synced(&["one", "two", "three"]);
    rig.commit("a", &["one", "two=2", "three"]);
    rig.poll();
    assert_eq!(applied(&rig.effects()), ["two"]);
    rig.commit("elsewhere", &["x"]);
    rig.poll();
    assert!(applies(&rig.effects()).is_empty());
    assert_eq!(rig.status("a"), "Synced");
}

#[test]
fn stages_go_one_after_the_other() {
    let mut rig = Rig::new();
    let definition = ObjectKey::new("apiextensions.k8s.io", "CustomResourceDefinition", "", "widgets.example.io");
    let widget = ObjectKey::new("example.io", "Widget", "prod", "w");
    let namespace = ObjectKey::new("", "Namespace", "", "prod");
    let keys = [widget, deployment("web"), config_map("base"), definition, namespace];
    rig.commit_objects("a", &keys);
    rig.application("a");
    let held = rig.run_until(is_apply("prod"));
    rig.run_now();
    assert_eq!(applied(&rig.effects()), ["prod"], "the namespace first, alone");
    rig.answer(&held);
    let held = rig.run_until(is_apply("widgets.example.io"));
    rig.run_now();
    assert_eq!(applied(&rig.effects()), ["widgets.example.io"]);
    rig.answer(&held);
    rig.run();
    assert_eq!(applied(&rig.effects()), ["base", "web", "w"]);
    assert_eq!(rig.status("a"), "Synced");
}

#[test]
fn a_definition_that_fails_stops_what_comes_after() {
    let mut rig = Rig::new();
    let definition = ObjectKey::new("apiextensions.k8s.io", "CustomResourceDefinition", "", "widgets.example.io");
    rig.commit_objects("a", &[definition, config_map("base")]);
    rig.application("a");
    rig.respec("a", |spec| {
        spec.sync_policy.as_mut().unwrap().retry = Some(Retry { limit: Some(0), ..Retry::default() });
    });
    let held = rig.run_until(is_apply("widgets.example.io"));
    rig.effects();
    rig.refuse(&held, RequestErrorReason::Invalid);
    rig.run();
    assert!(applies(&rig.effects()).is_empty());
    assert_eq!(rig.phase("a"), "Failed");
}

#[test]
fn an_object_that_fails_does_not_stop_its_neighbours() {
    let mut rig = Rig::new();
    rig.commit("a", &["one", "two"]);
    rig.application("a");
    rig.respec("a", |spec| {
        spec.sync_policy.as_mut().unwrap().retry = Some(Retry { limit: Some(0), ..Retry::default() });
    });
    let held = rig.run_until(is_apply("one"));
    rig.refuse(&held, RequestErrorReason::Invalid);
    rig.run();
    assert!(rig.is_live("two") && !rig.is_live("one"));
    assert_eq!(rig.phase("a"), "Failed");
    let result = rig.world.application("a").status.operation_state.clone().unwrap().sync_result.clone().unwrap();
    let statuses: Vec<_> = result.resources.iter().map(|one| (&*one.name, &*one.status)).collect();
    assert_eq!(statuses, [("one", "SyncFailed"), ("two", "Synced")]);
    rig.effects();
    rig.poll();
    assert!(applies(&rig.effects()).is_empty(), "a failed revision is not tried again");
    rig.commit("a", &["one=2", "two"]);
    rig.poll();
    assert_eq!(rig.status("a"), "Synced", "but a newer one is");
}

#[test]
fn a_failed_sync_is_tried_again_as_its_policy_says() {
    let mut rig = Rig::new();
    rig.commit("a", &["one"]);
    rig.application("a");
    let held = rig.run_until(is_apply("one"));
    rig.refuse(&held, RequestErrorReason::Invalid);
    rig.run_now();
    assert_eq!(rig.phase("a"), "Running");
    rig.effects();
    rig.pass(Duration::from_millis(4_900));
    assert!(applies(&rig.effects()).is_empty(), "the first wait is 5 s");
    rig.pass(Duration::from_millis(200));
    assert_eq!(applied(&rig.effects()), ["one"]);
    assert_eq!(rig.world.application("a").status.operation_state.as_ref().unwrap().retry_count, Some(1));
}

#[test]
fn a_newer_commit_drops_the_sync_that_is_running() {
    let mut rig = Rig::new();
    rig.commit("a", &["one"]);
    rig.application("a");
    let held = rig.run_until(is_apply("one"));
    rig.refuse(&held, RequestErrorReason::Invalid);
    rig.run_now();
    let newest = rig.commit("a", &["one=2"]);
    rig.change("a", |app| drop(app.annotations.insert("argocd.argoproj.io/refresh".into(), "normal".into())));
    rig.run_now();
    rig.run_now();
    assert_eq!(rig.world.application("a").status.sync.revision.as_deref(), Some(newest.as_str()));
    assert!(rig.is_desired("a", &config_map("one")), "without waiting for the retry of the old one");
    assert!(rig.notices().contains(&"Superseded"));
}

#[test]
fn the_answer_to_an_old_sync_says_nothing_about_the_new_one() {
    let mut rig = Rig::synced(&["one"]);
    rig.commit("a", &["one=2"]);
    let held = rig.run_until(is_apply("one"));
    rig.commit("a", &["one=3"]);
    rig.poll();
    rig.answer(&held);
    rig.run();
    assert!(rig.is_desired("a", &config_map("one")));
    assert_eq!(rig.status("a"), "Synced");
}

#[test]
fn an_object_that_exists_and_is_nobodys_is_adopted_as_it_is() {
    let mut rig = Rig::new();
    rig.world.cluster.create(&config_map("one"));
    rig.commit("a", &["one"]);
    rig.application("a");
    rig.run();
    let effects = rig.effects();
    let sent = applies(&effects);
    assert_eq!(sent[0].precondition, Precondition::Absent);
    assert!(matches!(&sent[1].precondition, Precondition::Exactly { uid, .. } if &**uid == "uid-1"));
    assert!(rig.is_desired("a", &config_map("one")));
}

#[test]
fn what_belongs_to_others_is_not_touched() {
    let key = config_map("one");
    let foreign = TrackingId { instance: "other".into(), object: key.clone() };
    for (label, tracking) in [(Some("ffffffffffffffff"), None), (None, Some(foreign))] {
        let mut rig = Rig::new();
        rig.world.cluster.create(&key);
        rig.world.cluster.touch(&key, |object| {
            object.label = label.map(str::to_owned);
            object.tracking = tracking.clone();
        });
        rig.commit("a", &["one", "two"]);
        rig.application("a");
        rig.poll();
        assert_eq!(rig.object(&key).unwrap().applied, None, "{label:?}");
        assert!(rig.is_live("two"));
        assert_eq!(rig.status("a"), "OutOfSync");
        assert!(rig.condition("a", "SharedResourceWarning").contains("one"));
    }
}

#[test]
fn a_sync_that_somebody_asks_for_is_done_once_and_its_request_removed() {
    let mut rig = Rig::new();
    rig.commit("a", &["one"]);
    rig.application("a");
    rig.respec("a", |spec| spec.sync_policy.as_mut().unwrap().automated = None);
    rig.run();
    assert!(!rig.is_live("one"), "not automated");
    let sync = SyncOperation { prune: true, ..SyncOperation::default() };
    rig.change("a", |app| app.operation = Some(Ok(Operation { sync: Some(sync), ..Operation::default() })));
    rig.run();
    assert!(rig.is_live("one"));
    assert!(rig.world.application("a").operation.is_none());
    assert_eq!(rig.phase("a"), "Succeeded");
    rig.effects();
    rig.poll();
    assert!(applies(&rig.effects()).is_empty());
}

#[test]
fn an_operation_that_cannot_be_carried_out_as_meant_is_refused() {
    let cases = [
        SyncOperation { dry_run: true, ..SyncOperation::default() },
        SyncOperation { sync_options: vec!["Replace=true".into()], ..SyncOperation::default() },
        SyncOperation { revision: Some("v1.2.3".into()), ..SyncOperation::default() },
    ];
    for sync in cases {
        let mut rig = Rig::synced(&["one"]);
        rig.change("a", |app| app.operation = Some(Ok(Operation { sync: Some(sync.clone()), ..Operation::default() })));
        rig.run();
        assert_eq!(rig.phase("a"), "Error", "{sync:?}");
        assert!(rig.world.application("a").operation.is_none());
        assert!(applies(&rig.effects()).is_empty());
    }
}

#[test]
fn the_namespace_is_made_before_anything_is_sent_into_it() {
    let mut rig = Rig::new();
    rig.commit("a", &["one"]);
    rig.application("a");
    let held = rig.run_until(|effect| matches!(effect, Effect::EnsureNamespace { .. }));
    rig.run_now();
    assert!(applies(&rig.effects()).is_empty());
    rig.answer(&held);
    rig.run();
    assert_eq!(rig.status("a"), "Synced");
}

#[test]
fn nothing_is_sent_before_every_watch_has_listed() {
    let mut rig = Rig::new();
    rig.commit_objects("a", &[config_map("one"), deployment("web")]);
    rig.application("a");
    let listed = |rig: &Rig| rig.world.replicas[0].watches.values().filter(|client| client.position.is_some()).count();
    while applies(&rig.effects()).is_empty() {
        assert!(rig.turn());
    }
    assert_eq!(listed(&rig), 2);
}

#[test]
fn requests_are_limited_and_everybody_gets_a_place() {
    let mut rig = Rig::with(|settings| settings.apply_concurrency = 2);
    for name in ["a", "b", "c"] {
        let maps: Vec<String> = (0..4).map(|n| format!("{name}{n}")).collect();
        rig.commit(name, &maps.iter().map(String::as_str).collect::<Vec<_>>());
        rig.application(name);
    }
    let mut most = 0;
    while rig.turn() {
        most = most.max(rig.requests().iter().filter(|request| matches!(request.effect, Effect::Apply(_))).count());
    }
    rig.run();
    assert_eq!(most, 2);
    assert!(["a", "b", "c"].iter().all(|name| rig.status(name) == "Synced"));
    assert!(!writes(&rig.effects()).is_empty() && rig.world.applications.all.contains_key(&app("a")));
}
