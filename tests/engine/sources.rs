//! Repositories: when they are listed, what is rendered, and what a failure changes.

use std::time::Duration;

use driftless::engine::application::REFRESH;
use driftless::engine::effect::Effect;
use driftless::engine::event::Event;
use driftless::engine::ids::ObjectKey;

use super::harness::{Rig, applies, config_map};
use super::model::git::Folder;

fn listings(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::ListRefs { .. })).count()
}

fn renders(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Render(_))).count()
}

#[test]
fn a_repository_is_listed_once_for_all_its_applications_and_rendered_only_when_it_moves() {
    let mut rig = Rig::synced(&["one"]);
    rig.application("b");
    rig.commit("b", &["two"]);
    rig.poll();
    rig.effects();
    rig.pass(Duration::from_secs(600));
    let effects = rig.effects();
    assert!((3..=5).contains(&listings(&effects)), "{}", listings(&effects));
    assert_eq!(renders(&effects), 0);
}

#[test]
fn a_refresh_is_served_by_a_listing_that_began_after_it() {
    let mut rig = Rig::synced(&["one"]);
    let early = rig.run_until(|effect| matches!(effect, Effect::ListRefs { .. }));
    rig.change("a", |app| drop(app.annotations.insert(REFRESH.into(), "normal".into())));
    rig.run_now();
    rig.answer(&early);
    let late = rig.hold(|effect| matches!(effect, Effect::ListRefs { .. })).expect("another listing");
    rig.run_now();
    assert!(rig.world.application("a").annotations.contains_key(REFRESH), "what was listed before says nothing");
    rig.answer(&late);
    rig.run_now();
    assert!(!rig.world.application("a").annotations.contains_key(REFRESH));
}

#[test]
fn a_hard_refresh_renders_anew_and_applies_nothing() {
    let mut rig = Rig::synced(&["one"]);
    rig.change("a", |app| drop(app.annotations.insert(REFRESH.into(), "hard".into())));
    rig.run();
    let effects = rig.effects();
    let job = effects.iter().find_map(|effect| if let Effect::Render(job) = effect { Some(job) } else { None });
    assert!(job.unwrap().previous.is_none());
    assert!(applies(&effects).is_empty());
    assert!(rig.world.application("a").annotations.is_empty());
}

#[test]
fn a_refresh_that_arrives_while_a_write_is_under_way_is_not_lost() {
    let mut rig = Rig::synced(&["one"]);
    rig.change("a", |app| drop(app.annotations.insert(REFRESH.into(), "normal".into())));
    let held = rig.run_until(|effect| matches!(effect, Effect::WriteApplication(_)));
    rig.world.execute(0, &held, None);
    rig.change("a", |app| drop(app.annotations.insert(REFRESH.into(), "normal".into())));
    rig.run();
    assert!(rig.world.application("a").annotations.is_empty());
}

#[test]
fn a_broken_commit_is_told_once_and_not_rendered_again() {
    let mut rig = Rig::synced(&["one"]);
    rig.commit_folder("a", Folder::Broken);
    rig.poll();
    rig.effects();
    rig.poll();
    assert_eq!(renders(&rig.effects()), 0);
    assert_eq!(rig.notices().iter().filter(|reason| **reason == "RenderFailed").count(), 1);
    assert_eq!(rig.status("a"), "Unknown");
    rig.world.cluster.edit(&config_map("one"), |_| {});
    rig.run();
    assert!(rig.object(&config_map("one")).is_some_and(|object| object.edit == 0), "what is installed is still healed");
}

#[test]
fn a_kind_that_is_not_served_is_tried_again_when_it_is() {
    let mut rig = Rig::new();
    let widget = ObjectKey::new("example.io", "Widget", "prod", "w");
    rig.commit_objects("a", std::slice::from_ref(&widget));
    rig.application("a");
    rig.run();
    assert!(rig.condition("a", "ComparisonError").contains("Widget"));
    rig.world.cluster.served.insert(widget.group_kind());
    let kinds = rig.world.cluster.kinds();
    rig.step(Event::Discovered { kinds });
    rig.run();
    assert_eq!(rig.status("a"), "Synced");
    assert_eq!(rig.condition("a", "ComparisonError"), "");
}

#[test]
fn a_force_push_back_is_followed() {
    let mut rig = Rig::synced(&["one"]);
    let old = rig.world.git.main.clone();
    rig.commit("a", &["one=2"]);
    rig.poll();
    assert!(rig.is_desired("a", &config_map("one")));
    rig.world.git.main = old;
    rig.poll();
    assert!(rig.is_desired("a", &config_map("one")));
    assert_eq!(rig.status("a"), "Synced");
}

#[test]
fn another_folder_is_rendered_anew() {
    let mut rig = Rig::synced(&["one"]);
    rig.commit("elsewhere", &["one", "two"]);
    rig.poll();
    rig.respec("a", |spec| spec.source.as_mut().unwrap().path = Some("elsewhere".into()));
    rig.run();
    assert!(rig.is_live("two"));
}
