//! History that is rewritten: it is followed, and what it leaves out is not pruned until somebody says so.

use std::time::Duration;

use driftless::engine::application::{ALLOW_PRUNE, Automated, Operation, SyncOperation};
use driftless::engine::effect::{Effect, Trace};
use driftless::engine::ids::Revision;

use super::harness::{Rig, deletes};
use super::model::applications::{automated, spec};

const REWRITTEN: &str = "RepositoryRewrittenWarning";

fn is_trace(effect: &Effect) -> bool {
    matches!(effect, Effect::Trace(_))
}

/// What was asked of repositories about their history since the last look, and what was deleted.
fn asked(rig: &mut Rig) -> (Vec<Trace>, Vec<String>) {
    let effects = rig.effects();
    let traces = effects.iter().filter_map(|effect| match effect {
        Effect::Trace(trace) => Some((**trace).clone()),
        _ => None,
    });
    (traces.collect(), deletes(&effects).iter().map(|delete| delete.key.name.to_string()).collect())
}

impl Rig {
    fn head(&self) -> Revision {
        self.world.git.main.clone().unwrap()
    }

    /// A force-push: the branch goes on from another commit, with other manifests.
    fn rewrite(&mut self, from: &Revision, maps: &[&str]) -> Revision {
        self.world.git.main = Some(from.clone());
        self.commit("a", maps)
    }

    fn annotate(&mut self, value: &str) {
        self.change("a", |app| drop(app.annotations.insert(ALLOW_PRUNE.into(), value.into())));
    }
}

/// Synced to a second commit, whose parent is returned with it.
fn on_second(maps: &[&str]) -> (Rig, Revision, Revision) {
    let mut rig = Rig::synced(&["base"]);
    let first = rig.head();
    let second = rig.commit("a", maps);
    rig.poll();
    assert_eq!(rig.status("a"), "Synced");
    asked(&mut rig);
    (rig, first, second)
}

/// The same, and the second commit is replaced by one that lacks an object. The prune is held.
fn held() -> (Rig, Revision, Revision) {
    let (mut rig, first, second) = on_second(&["base", "kept", "left"]);
    let third = rig.rewrite(&first, &["base", "kept=2"]);
    rig.pass(Duration::from_secs(400));
    assert!(rig.is_live("left"));
    assert!(rig.condition("a", REWRITTEN).contains(ALLOW_PRUNE), "{}", rig.condition("a", REWRITTEN));
    assert_eq!(asked(&mut rig).1, Vec::<String>::new());
    (rig, second, third)
}

#[test]
fn what_a_rewritten_history_leaves_out_waits_for_a_person() {
    let (mut rig, second, third) = held();
    let told = rig.condition("a", REWRITTEN).to_owned();
    for text in
        ["refs/heads/main", second.as_str(), third.as_str(), "1 objects", &format!("{ALLOW_PRUNE}={}", third.short())]
    {
        assert!(told.contains(text), "{text}: {told}");
    }
    assert_eq!(rig.notices().iter().filter(|reason| **reason == "RepositoryRewritten").count(), 1);
    assert_eq!((rig.phase("a"), rig.status("a")), ("Succeeded", "OutOfSync"), "everything else goes on");
    assert!(rig.is_desired("a", &super::harness::config_map("kept")));
    rig.annotate(second.short());
    rig.poll();
    assert!(rig.is_live("left"), "the word for another commit is none");
    rig.annotate(third.short());
    rig.poll();
    assert_eq!(asked(&mut rig).1, ["left"]);
    assert_eq!((rig.condition("a", REWRITTEN), rig.status("a")), ("", "Synced"));
}

#[test]
fn a_push_prunes_without_a_question() {
    let (mut rig, ..) = on_second(&["base", "left"]);
    rig.commit("a", &["base"]);
    rig.poll();
    assert_eq!(asked(&mut rig), (Vec::new(), vec!["left".to_owned()]));
    assert_eq!(rig.condition("a", REWRITTEN), "");
    // More commits in one push than are at hand: one question, if there is something to prune.
    for maps in [&["base", "one"], &["base", "two"], &["base", "three"]] {
        rig.commit("a", maps);
        rig.commit("a", maps);
        rig.poll();
    }
    let (traces, deleted) = asked(&mut rig);
    assert_eq!((traces.len(), deleted.as_slice()), (2, ["one".to_owned(), "two".to_owned()].as_slice()));
    assert_eq!(rig.condition("a", REWRITTEN), "");
    for text in ["1", "2", "3"] {
        rig.commit("a", &["base", &format!("three={text}")]);
        rig.commit("elsewhere", &[text]);
        rig.commit("elsewhere", &[]);
        rig.poll();
    }
    assert_eq!(asked(&mut rig).0, []);
}

#[test]
fn a_rewritten_history_that_leaves_nothing_out_is_told_until_the_next_push() {
    let (mut rig, first, second) = on_second(&["base", "one"]);
    let third = rig.rewrite(&first, &["base", "one=2"]);
    rig.poll();
    let told = rig.condition("a", REWRITTEN).to_owned();
    assert!(told.contains(second.as_str()) && told.contains(third.as_str()) && !told.contains(ALLOW_PRUNE), "{told}");
    assert_eq!(rig.status("a"), "Synced");
    rig.restart(true);
    rig.poll();
    assert_eq!(rig.condition("a", REWRITTEN), told);
    // What leaves Git by the next commit is pruned as ever.
    rig.commit("a", &["base"]);
    rig.poll();
    assert!(!rig.is_live("one"));
    assert_eq!(rig.condition("a", REWRITTEN), "");
    assert_eq!(asked(&mut rig).0, []);
}

#[test]
fn back_to_an_older_commit_is_a_rewritten_history_too() {
    let (mut rig, first, second) = on_second(&["base", "left"]);
    rig.world.git.main = Some(first.clone());
    rig.pass(Duration::from_secs(400));
    assert!(rig.is_live("left"));
    assert!(rig.condition("a", REWRITTEN).contains(first.as_str()));
    // And forth again: nothing was lost.
    rig.world.git.main = Some(second);
    rig.poll();
    assert_eq!((rig.condition("a", REWRITTEN), rig.status("a")), ("", "Synced"));
    assert_eq!(asked(&mut rig).1, Vec::<String>::new());
}

#[test]
fn the_question_stays_over_further_commits_until_it_is_settled() {
    // A commit on top of the rewritten history does not answer it, and waits with it.
    let (mut rig, second, _) = held();
    let fourth = rig.commit("a", &["base"]);
    rig.pass(Duration::from_secs(400));
    assert!(rig.is_live("left") && rig.is_live("kept"));
    let told = rig.condition("a", REWRITTEN).to_owned();
    assert!(told.contains(second.as_str()) && told.contains(fourth.as_str()) && told.contains("2 objects"), "{told}");
    // One that brings the objects back settles it; what leaves later is pruned as ever.
    rig.commit("a", &["base", "kept", "left"]);
    rig.poll();
    assert_eq!((rig.condition("a", REWRITTEN), rig.status("a")), ("", "Synced"));
    rig.commit("a", &["base", "kept"]);
    rig.poll();
    assert!(!rig.is_live("left"));

    // So does one that has both histories among its ancestors.
    let (mut rig, second, third) = held();
    let merge = rig.commit("a", &["base"]);
    rig.world.git.parents.insert(merge, vec![third, second]);
    rig.poll();
    assert!(!rig.is_live("left") && !rig.is_live("kept"));
    assert_eq!(rig.condition("a", REWRITTEN), "");

    // One that goes on from the first only leaves out what the second had.
    let (mut rig, second, third) = held();
    rig.rewrite(&second, &["base"]);
    rig.pass(Duration::from_secs(400));
    assert!(rig.is_live("left") && rig.is_live("kept"));
    assert!(rig.condition("a", REWRITTEN).contains(third.as_str()));
}

#[test]
fn the_hold_outlives_restarts_leaders_and_stores() {
    for keep_store in [true, false] {
        let (mut rig, second, third) = held();
        let told = rig.condition("a", REWRITTEN).to_owned();
        rig.restart(keep_store);
        rig.pass(Duration::from_secs(400));
        assert!(rig.is_live("left"), "store kept: {keep_store}");
        assert_eq!(rig.condition("a", REWRITTEN), told);
        // The Lease is lost and won again.
        rig.world.elect(None);
        rig.run();
        rig.world.elect(Some(0));
        rig.commit("elsewhere", &["x"]);
        rig.pass(Duration::from_secs(400));
        assert!(rig.is_live("left"), "store kept: {keep_store}");
        assert!(rig.condition("a", REWRITTEN).contains(second.as_str()));
        assert!(!rig.condition("a", REWRITTEN).contains(third.as_str()), "it has moved on");
        rig.annotate(rig.head().short().to_owned().as_str());
        rig.poll();
        assert!(!rig.is_live("left"), "store kept: {keep_store}");
    }
}

#[test]
fn a_history_that_was_rewritten_while_nobody_looked_is_noticed() {
    for keep_store in [true, false] {
        for limit in [None, Some(0)] {
            let mut rig = Rig::synced(&["base"]);
            rig.respec("a", |spec| spec.revision_history_limit = limit);
            let first = rig.head();
            rig.commit("a", &["base", "left"]);
            rig.poll();
            rig.rewrite(&first, &["base", "new"]);
            rig.rewrite(&first, &["base", "newer"]);
            rig.commit("a", &["base", "newest"]);
            rig.restart(keep_store);
            rig.pass(Duration::from_secs(400));
            assert!(rig.is_live("left") && rig.is_live("newest"), "store kept: {keep_store}, {limit:?}");
            assert!(rig.condition("a", REWRITTEN).contains(ALLOW_PRUNE), "store kept: {keep_store}, {limit:?}");
        }
    }
}

#[test]
fn what_is_not_known_is_held() {
    // Further back than is looked.
    let (mut rig, ..) = on_second(&["base", "left"]);
    rig.world.git.depth = 3;
    for text in ["1", "2", "3", "4", "5"] {
        rig.commit("a", &[&format!("base={text}")]);
    }
    rig.pass(Duration::from_secs(800));
    assert!(rig.is_live("left"));
    assert!(rig.condition("a", REWRITTEN).contains("--git-history-depth"), "{}", rig.condition("a", REWRITTEN));
    assert_eq!(asked(&mut rig).0.len(), 1, "the answer would be the same");
    rig.annotate(rig.head().short().to_owned().as_str());
    rig.poll();
    assert!(!rig.is_live("left"));

    // A server that fails is asked again.
    let (mut rig, ..) = on_second(&["base", "left"]);
    rig.commit("a", &["base=1"]);
    rig.commit("a", &["base=2"]);
    let trace = rig.run_until(is_trace);
    rig.world.git.down = true;
    rig.answer(&trace);
    rig.pass(Duration::from_secs(30));
    assert!(rig.is_live("left"));
    assert!(rig.condition("a", REWRITTEN).contains("no route"), "{}", rig.condition("a", REWRITTEN));
    rig.world.git.down = false;
    rig.poll();
    assert!(!rig.is_live("left"));
    assert_eq!((rig.condition("a", REWRITTEN), rig.status("a")), ("", "Synced"));
}

#[test]
fn nothing_is_deleted_before_the_answer() {
    let (mut rig, ..) = on_second(&["base", "left"]);
    rig.commit("a", &["base=1"]);
    rig.commit("a", &["base=2"]);
    let trace = rig.run_until(is_trace);
    rig.pass(Duration::from_secs(100));
    assert!(rig.is_live("left"));
    assert!(rig.is_desired("a", &super::harness::config_map("base")), "applies don't wait for it");
    assert_eq!(rig.phase("a"), "Running");
    assert_eq!(asked(&mut rig).0.len(), 1);
    rig.answer(&trace);
    rig.run();
    assert!(!rig.is_live("left"));
}

#[test]
fn other_ways_for_a_target_to_change_are_no_rewritten_history() {
    let (mut rig, first, second) = on_second(&["base", "left"]);
    // A person points the Application to another revision.
    rig.respec("a", |spec| spec.source.as_mut().unwrap().target_revision = Some(first.to_string()));
    rig.run();
    assert!(!rig.is_live("left"));
    assert_eq!(rig.condition("a", REWRITTEN), "");
    rig.respec("a", |spec| spec.source.as_mut().unwrap().target_revision = Some("v1".into()));
    rig.world.git.tags.insert("refs/tags/v1".into(), second);
    rig.run();
    assert!(rig.is_live("left"));
    // A tag moves.
    rig.world.git.tags.insert("refs/tags/v1".into(), first);
    rig.poll();
    assert!(!rig.is_live("left"));
    assert_eq!((rig.condition("a", REWRITTEN), rig.status("a")), ("", "Synced"));
    assert_eq!(asked(&mut rig).0, []);

    // And while a prune is held.
    let (mut rig, _, third) = held();
    rig.respec("a", |spec| spec.source.as_mut().unwrap().target_revision = Some(third.to_string()));
    rig.run();
    assert!(!rig.is_live("left"));
    assert_eq!(rig.condition("a", REWRITTEN), "");
}

#[test]
fn a_branch_that_is_deleted_and_made_anew_elsewhere_is_rewritten() {
    let (mut rig, first, _) = on_second(&["base", "left"]);
    rig.world.git.main = None;
    rig.poll();
    assert!(!rig.condition("a", "ComparisonError").is_empty());
    rig.rewrite(&first, &["base"]);
    rig.pass(Duration::from_secs(400));
    assert!(rig.is_live("left"));
    assert!(rig.condition("a", REWRITTEN).contains(ALLOW_PRUNE));
}

#[test]
fn a_sync_that_a_person_asks_for_is_held_as_well() {
    let (mut rig, first, _) = on_second(&["base", "left"]);
    rig.change("a", |app| app.spec = Ok(spec("a", None)));
    rig.rewrite(&first, &["base"]);
    rig.commit("a", &["base=2"]);
    rig.poll();
    assert_eq!(asked(&mut rig).0, [], "nobody wants to prune");
    let sync = SyncOperation { prune: true, ..SyncOperation::default() };
    rig.change("a", |app| app.operation = Some(Ok(Operation { sync: Some(sync), ..Operation::default() })));
    rig.run();
    assert!(rig.is_live("left"));
    assert!(rig.condition("a", REWRITTEN).contains(ALLOW_PRUNE));
    assert_eq!(rig.phase("a"), "Succeeded");
}

#[test]
fn an_empty_application_is_held_even_where_that_is_allowed() {
    let (mut rig, first, _) = on_second(&["base", "left"]);
    rig.change("a", |app| app.spec = Ok(spec("a", Some(Automated { allow_empty: Some(true), ..automated() }))));
    rig.rewrite(&first, &[]);
    rig.pass(Duration::from_secs(400));
    assert!(rig.is_live("left") && rig.is_live("base"));
    assert!(rig.condition("a", REWRITTEN).contains("2 objects"));
}

#[test]
fn without_the_guard_a_rewritten_history_prunes_like_any_other() {
    let mut rig = Rig::with(|settings| settings.rewrite_guard = false);
    rig.commit("a", &["base"]);
    rig.application("a");
    rig.run();
    let first = rig.head();
    rig.commit("a", &["base", "left"]);
    rig.poll();
    rig.rewrite(&first, &["base=2"]);
    rig.poll();
    assert!(!rig.is_live("left"));
    assert_eq!(rig.condition("a", REWRITTEN), "");
    assert_eq!(asked(&mut rig).0, []);
}
