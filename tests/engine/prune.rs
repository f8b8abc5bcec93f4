//! Deletes. One test for each rule that forbids one: it fails without the rule.

use std::time::Duration;

use driftless::engine::application::{ALLOW_PRUNE, Automated, RESOURCES_FINALIZER};
use driftless::engine::effect::Effect;
use driftless::engine::event::{Event, RequestErrorReason, WatchEvent};
use driftless::engine::ids::{Gvk, ObjectKey};

use super::harness::{Rig, app, config_map, deletes, deployment};
use super::model::applications::{automated, spec};
use super::model::cluster::error;
use super::model::git::{Content, Folder};

fn is_delete(effect: &Effect) -> bool {
    matches!(effect, Effect::Delete(_))
}

/// Everything that could be deleted was given the time for it.
fn kept(rig: &mut Rig, name: &str) {
    rig.pass(Duration::from_secs(400));
    assert!(deletes(&rig.effects()).is_empty());
    assert!(rig.is_live(name));
}

#[test]
fn what_left_git_is_deleted_exactly() {
    let mut rig = Rig::synced(&["one", "two"]);
    let object = rig.object(&config_map("one")).unwrap().clone();
    rig.commit("a", &["two"]);
    rig.poll();
    let effects = rig.effects();
    let sent = deletes(&effects);
    assert_eq!((&*sent[0].uid, sent[0].resource_version), (format!("uid-{}", object.uid).as_str(), object.rv));
    assert_eq!(sent.len(), 1);
    assert!(!rig.is_live("one"));
    assert_eq!(rig.status("a"), "Synced");
    assert!(!rig.store().objects.contains_key(&config_map("one")), "confirmed: it leaves the inventory");
}

#[test]
fn nothing_is_deleted_without_prune() {
    let mut rig = Rig::synced(&["one", "two"]);
    let heals = Automated { self_heal: Some(true), ..Automated::default() };
    rig.change("a", |app| app.spec = Ok(spec("a", Some(heals))));
    rig.commit("a", &["two"]);
    kept(&mut rig, "one");
    assert_eq!(rig.status("a"), "OutOfSync");
    assert!(rig.world.application("a").status.resources.iter().any(|one| one.requires_pruning && one.name == "one"));
    rig.change("a", |app| app.spec = Ok(spec("a", Some(automated()))));
    rig.poll();
    assert!(!rig.is_live("one"), "until it is allowed");
}

#[test]
fn an_empty_rendering_deletes_nothing() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.commit("a", &[]);
    kept(&mut rig, "one");
    assert!(rig.condition("a", "SyncError").contains("nothing is left in Git"));
    rig.change("a", |app| {
        app.spec = Ok(spec("a", Some(Automated { allow_empty: Some(true), ..automated() })));
    });
    rig.poll();
    assert!(!rig.is_live("one"), "unless that is allowed");
}

#[test]
fn a_broken_or_missing_folder_deletes_nothing() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.commit_folder("a", Folder::Broken);
    kept(&mut rig, "one");
    assert!(!rig.condition("a", "ComparisonError").is_empty());
}

#[test]
fn an_unreachable_repository_deletes_nothing() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.commit("a", &["two"]);
    rig.world.git.down = true;
    kept(&mut rig, "one");
    assert!(!rig.condition("a", "ComparisonError").is_empty());
    rig.world.git.down = false;
    rig.poll();
    assert!(!rig.is_live("one"));
}

#[test]
fn more_than_the_allowed_share_waits_for_a_person() {
    let mut rig = Rig::with(|settings| settings.prune_share_minimum = 4);
    rig.commit("a", &["one", "two", "three", "four"]);
    rig.application("a");
    rig.run();
    let revision = rig.commit("a", &["four"]);
    kept(&mut rig, "one");
    let message = rig.condition("a", "SyncError").to_owned();
    assert!(message.contains("3 of 4") && message.contains(ALLOW_PRUNE), "{message}");
    let short = revision.short().to_owned();
    rig.change("a", |app| drop(app.annotations.insert(ALLOW_PRUNE.into(), "1234567".into())));
    kept(&mut rig, "one");
    rig.change("a", |app| drop(app.annotations.insert(ALLOW_PRUNE.into(), short)));
    rig.poll();
    assert!(!rig.is_live("one"));
    assert_eq!(rig.condition("a", "SyncError"), "");
}

#[test]
fn the_live_object_protects_itself() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.world.cluster.touch(&config_map("one"), |object| object.protection.no_prune = true);
    rig.run();
    rig.commit("a", &["two"]);
    kept(&mut rig, "one");
}

#[test]
fn the_manifest_protects_its_object() {
    let mut rig = Rig::new();
    let content = Content { no_prune: true, ..Content::from("1") };
    let manifests = [(config_map("one"), content), (config_map("two"), Content::from("1"))];
    rig.commit_folder("a", Folder::Manifests(manifests.into()));
    rig.application("a");
    rig.run();
    rig.world.cluster.touch(&config_map("one"), |object| object.protection.no_prune = false);
    rig.run();
    rig.commit("a", &["two"]);
    kept(&mut rig, "one");
}

#[test]
fn the_application_protects_its_objects() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.respec("a", |spec| spec.sync_policy.as_mut().unwrap().sync_options.push("Prune=false".into()));
    rig.commit("a", &["two"]);
    kept(&mut rig, "one");
}

#[test]
fn kinds_that_take_much_with_them_are_kept_unless_the_object_says_otherwise() {
    let mut rig = Rig::new();
    let space = ObjectKey::new("", "Namespace", "", "space");
    rig.commit_objects("a", &[space.clone(), config_map("one")]);
    rig.application("a");
    rig.run();
    rig.commit("a", &["one"]);
    rig.poll();
    assert!(rig.object(&space).is_some());
    rig.world.cluster.touch(&space, |object| object.protection.prune_allowed = true);
    rig.commit("a", &["one=2"]);
    rig.poll();
    assert!(rig.object(&space).is_none());
}

#[test]
fn what_lost_its_tracking_id_is_not_ours_to_delete() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.world.git.down = true;
    rig.change("a", |app| app.spec = Ok(spec("a", Some(Automated { prune: Some(true), ..Automated::default() }))));
    rig.world.cluster.edit(&config_map("one"), |object| object.tracking = None);
    rig.run();
    rig.world.git.down = false;
    rig.commit("a", &["two"]);
    kept(&mut rig, "one");
}

#[test]
fn an_object_that_was_made_anew_is_not_the_one_that_was_to_be_deleted() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.commit("a", &["two"]);
    let held = rig.run_until(is_delete);
    rig.world.cluster.remove(&config_map("one"));
    rig.world.cluster.create(&config_map("one"));
    rig.effects();
    rig.answer(&held);
    kept(&mut rig, "one");
}

#[test]
fn a_stale_watch_deletes_nothing() {
    let mut rig = Rig::synced(&["one", "two"]);
    let watch = Gvk::new("", "v1", "ConfigMap");
    rig.step(Event::Watch { watch, event: WatchEvent::ListStarted, arrived: None });
    rig.commit("a", &["two"]);
    kept(&mut rig, "one");
    rig.world.replicas[0].watches.values_mut().for_each(|client| client.position = None);
    rig.run();
    assert!(!rig.is_live("one"), "until the list is complete");
}

#[test]
fn a_lost_store_deletes_nothing_before_every_kind_was_searched() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.commit("a", &["two"]);
    rig.restart(false);
    let sweep = rig.run_until(|effect| matches!(effect, Effect::Sweep));
    rig.effects();
    kept(&mut rig, "one");
    rig.refuse(&sweep, RequestErrorReason::Transient { retry_after: None });
    rig.pass(Duration::from_secs(400));
    assert!(!rig.is_live("one"), "a search that failed is repeated, and then it is deleted");
    assert!(rig.is_live("two"));
}

#[test]
fn a_failed_store_deletes_nothing() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.step(Event::StoreFailed);
    rig.commit("a", &["two"]);
    kept(&mut rig, "one");
}

#[test]
fn nothing_is_deleted_before_the_applications_are_listed() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.commit("a", &["two"]);
    rig.world.restart(0, true);
    rig.world.elect(Some(0));
    rig.world.replicas[0].listed = true;
    kept(&mut rig, "one");
    rig.world.replicas[0].listed = false;
    rig.poll();
    assert!(!rig.is_live("one"));
}

#[test]
fn a_new_leader_deletes_nothing_that_it_did_not_see_leave_in_its_own_epoch() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.commit("a", &["two"]);
    let held = rig.run_until(is_delete);
    rig.world.elect(None);
    rig.run_now();
    rig.world.git.down = true;
    rig.world.elect(Some(0));
    rig.effects();
    rig.answer(&held);
    kept(&mut rig, "one");
    rig.world.git.down = false;
    rig.poll();
    assert!(!rig.is_live("one"));
}

#[test]
fn a_prune_waits_for_the_other_applications_of_the_repository_but_not_for_ever() {
    let mut rig = Rig::with(|settings| settings.render_concurrency = 4);
    rig.commit("a", &["one", "two"]);
    rig.commit("b", &["three"]);
    rig.application("a");
    rig.application("b");
    rig.run();
    rig.effects();
    rig.commit("a", &["two"]);
    let held = rig.run_until(|effect| matches!(effect, Effect::Render(job) if &*job.app.name == "b"));
    rig.pass(Duration::from_secs(50));
    assert!(deletes(&rig.effects()).is_empty());
    assert!(rig.is_live("one"));
    rig.pass(Duration::from_secs(20));
    assert!(!rig.is_live("one"), "a minute");
    rig.answer(&held);
    rig.run();
}

#[test]
fn what_moves_to_another_application_is_handed_over() {
    let mut rig = Rig::new();
    rig.commit("a", &["moves", "two"]);
    rig.commit("b", &["three"]);
    rig.application("a");
    rig.application("b");
    rig.run();
    let uid = rig.object(&config_map("moves")).unwrap().uid;
    let git = &mut rig.world.git;
    let mut commit = git.commits[git.main.as_ref().unwrap()].clone();
    let manifests = |names: [&str; 2]| names.map(|name| (config_map(name), Content::from("1"))).into();
    commit.insert("a".into(), Folder::Manifests([(config_map("two"), Content::from("1"))].into()));
    commit.insert("b".into(), Folder::Manifests(manifests(["moves", "three"])));
    git.commit(commit);
    rig.effects();
    rig.poll();
    assert!(deletes(&rig.effects()).is_empty());
    let object = rig.object(&config_map("moves")).unwrap();
    assert_eq!((object.uid, &*object.tracking.as_ref().unwrap().instance), (uid, "b"));
    assert_eq!((rig.status("a"), rig.status("b")), ("Synced", "Synced"));
}

#[test]
fn what_two_applications_desire_is_inherited_when_one_drops_it() {
    let mut rig = Rig::new();
    rig.commit("a", &["shared", "two"]);
    rig.application("a");
    rig.run();
    rig.commit("b", &["shared", "three"]);
    rig.application("b");
    rig.poll();
    let tracked =
        |rig: &Rig| rig.object(&config_map("shared")).unwrap().tracking.as_ref().unwrap().instance.to_string();
    assert_eq!(tracked(&rig), "a");
    assert!(rig.condition("b", "SharedResourceWarning").contains("shared"));
    rig.commit("a", &["two"]);
    rig.effects();
    rig.poll();
    assert!(deletes(&rig.effects()).is_empty());
    assert_eq!(tracked(&rig), "b");
    assert_eq!((rig.status("a"), rig.status("b")), ("Synced", "Synced"));
}

#[test]
fn an_application_without_the_finalizer_leaves_its_objects() {
    let mut rig = Rig::synced(&["one"]);
    rig.world.applications.delete(&app("a"));
    kept(&mut rig, "one");
    assert!(rig.store().applications.is_empty() && rig.store().objects.is_empty());
    assert!(rig.world.replicas[0].watches.is_empty());
}

/// One application that is being deleted with Argo CD's finalizer.
fn torn_down(rig: &mut Rig) {
    rig.change("a", |app| app.finalizers = vec!["example.io/other".into(), RESOURCES_FINALIZER.into()]);
    rig.world.applications.delete(&app("a"));
}

#[test]
fn the_finalizer_is_kept_until_the_objects_are_gone() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.world.cluster.touch(&config_map("one"), |object| object.finalizer = true);
    rig.run();
    torn_down(&mut rig);
    rig.pass(Duration::from_secs(400));
    assert!(!rig.is_live("two"));
    assert_eq!(rig.world.application("a").finalizers.len(), 2);
    rig.world.cluster.touch(&config_map("one"), |object| object.finalizer = false);
    rig.run();
    assert_eq!(rig.world.application("a").finalizers, ["example.io/other"], "only ours");
}

#[test]
fn a_teardown_deletes_only_what_is_proven_its_own_and_may_be_deleted() {
    let mut rig = Rig::new();
    let definition = ObjectKey::new("apiextensions.k8s.io", "CustomResourceDefinition", "", "widgets.example.io");
    let keys = [config_map("protected"), config_map("foreign"), definition.clone(), deployment("web")];
    rig.commit_objects("a", &keys);
    rig.application("a");
    rig.run();
    rig.change("a", |app| app.spec = Ok(spec("a", None)));
    rig.world.cluster.touch(&config_map("protected"), |object| object.protection.no_delete = true);
    rig.world.cluster.edit(&config_map("foreign"), |object| object.tracking = None);
    rig.run();
    torn_down(&mut rig);
    rig.poll();
    assert!(rig.is_live("protected") && rig.is_live("foreign") && rig.object(&definition).is_some());
    assert!(rig.object(&deployment("web")).is_none());
    assert_eq!(rig.world.application("a").finalizers, ["example.io/other"]);
}

#[test]
fn a_teardown_leaves_what_another_application_desires() {
    let mut rig = Rig::new();
    rig.commit("a", &["shared"]);
    rig.application("a");
    rig.run();
    rig.commit("b", &["shared"]);
    rig.application("b");
    rig.poll();
    torn_down(&mut rig);
    rig.poll();
    assert!(rig.is_live("shared"));
    assert_eq!(&*rig.object(&config_map("shared")).unwrap().tracking.as_ref().unwrap().instance, "b");
}

#[test]
fn a_teardown_that_no_watch_shows_the_end_of_still_ends() {
    let mut rig = Rig::synced(&["one"]);
    rig.change("a", |app| app.spec = Ok(spec("a", None)));
    rig.world.cluster.edit(&config_map("one"), |object| object.label = None);
    rig.run();
    torn_down(&mut rig);
    rig.pass(Duration::from_secs(400));
    assert!(!rig.is_live("one"));
    assert_eq!(rig.world.application("a").finalizers, ["example.io/other"]);
}

#[test]
fn a_delete_that_fails_for_a_passing_reason_is_repeated() {
    let mut rig = Rig::synced(&["one", "two"]);
    rig.commit("a", &["two"]);
    let held = rig.run_until(is_delete);
    rig.step(Event::Deleted {
        key: config_map("one"),
        outcome: driftless::engine::event::DeleteOutcome::Failed(error(RequestErrorReason::Transient {
            retry_after: None,
        })),
    });
    drop(held);
    rig.run();
    assert!(!rig.is_live("one"));
    assert_eq!(rig.status("a"), "Synced");
}
