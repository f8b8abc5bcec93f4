//! What goes wrong on the way to a repository, and history that is rewritten.

use std::fmt::Write as _;
use std::fs;

use crate::support::agent::Rig;
use crate::support::apps::{AUTOMATED, condition, config_map, resource};
use crate::support::git_server::{Behaviour, GitServer};
use crate::support::request::Verb;

#[test]
fn a_git_server_that_fails_changes_nothing() {
    let rig = Rig::new("server");
    let target = rig.destination("server");
    let server = GitServer::start(&rig.repo);
    let first = rig.repo.commit(&[("app/a.yaml", &config_map("a", "blue"))], "a map");
    rig.application_of("shop", &server.url(), "path: app, targetRevision: main", &target, AUTOMATED);
    let _agent = rig.agent(&["--git-timeout", "3s"]);
    rig.wait_well("shop", first.as_str());
    let uid = rig.uid(&target, "configmap", "a");

    let mut good = first;
    let cases: [(Behaviour, &[&str]); 4] = [
        (Behaviour::Drop, &[]),
        (Behaviour::Status(503), &["503"]),
        (Behaviour::Status(404), &["not found"]),
        (Behaviour::Hang, &["no complete answer within 3 s"]),
    ];
    for (number, (behaviour, texts)) in cases.into_iter().enumerate() {
        rig.proxy.reset();
        // What would be pruned if it could be seen.
        let bad = rig.repo.commit(&[("app/b.yaml", &config_map("b", &format!("c{number}")))], "unseen");
        server.behave(behaviour.clone());
        rig.refresh("shop");
        let app = rig.wait_condition("shop", "ComparisonError", texts);
        assert_eq!(app["status"]["sync"]["revision"], good.as_str(), "{behaviour:?}");
        assert_eq!(app["status"]["resources"].as_array().unwrap().len(), if number == 0 { 1 } else { 2 });
        assert_eq!(rig.object_writes().len(), 0, "{behaviour:?}: {:#?}", rig.object_writes());
        server.behave(Behaviour::Serve);
        rig.refresh("shop");
        rig.wait_well("shop", bad.as_str());
        assert_eq!(rig.object_writes().len(), 1, "{behaviour:?}");
        good = bad;
    }
    assert_eq!(rig.uid(&target, "configmap", "a"), uid);
}

fn credentials(rig: &Rig, url: &str, password: &str) {
    rig.apply(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: repository\n  namespace: {}\n  labels: \
         {{argocd.argoproj.io/secret-type: repository}}\nstringData: {{type: git, url: \"{url}\", username: ada, \
         password: {password}}}\n",
        rig.namespace
    ));
}

#[test]
fn wrong_credentials_change_nothing_and_right_ones_go_on() {
    let rig = Rig::new("login");
    let target = rig.destination("login");
    let server = GitServer::start(&rig.repo);
    server.require("ada", "first-pass");
    credentials(&rig, &server.url(), "first-pass");
    let first = rig.repo.commit(&[("app/a.yaml", &config_map("a", "blue"))], "a map");
    rig.application_of("shop", &server.url(), "path: app, targetRevision: main", &target, AUTOMATED);
    let agent = rig.agent(&["--log-level", "debug"]);
    rig.wait_well("shop", first.as_str());

    server.require("ada", "second-pass");
    rig.proxy.reset();
    let second = rig.repo.commit(&[("app/a.yaml", &config_map("a", "green"))], "unseen");
    rig.refresh("shop");
    let app = rig.wait_condition("shop", "ComparisonError", &["authentication failed"]);
    assert_eq!(app["status"]["sync"]["revision"], first.as_str());
    assert_eq!(rig.object_writes().len(), 0);

    credentials(&rig, &server.url(), "second-pass");
    rig.wait("the new password to be used", || {
        rig.refresh("shop");
        rig.app("shop")["status"]["sync"]["revision"] == second.as_str()
    });
    rig.wait_well("shop", second.as_str());
    let told = agent.log() + &rig.app("shop").to_string() + &rig.get(&rig.namespace, &["events"]).to_string();
    for secret in ["first-pass", "second-pass"] {
        assert!(!told.contains(secret), "{secret} is told");
    }
}

#[test]
fn a_branch_that_is_deleted_changes_nothing() {
    let rig = Rig::new("branch");
    let target = rig.destination("branch");
    rig.repo.commit(&[("readme.md", "x")], "the default branch");
    let first = rig.repo.commit_to("release", &[("app/a.yaml", &config_map("a", "blue"))], "a map");
    let source = "path: app, targetRevision: release";
    rig.application_of("shop", rig.repo.path().to_str().unwrap(), source, &target, AUTOMATED);
    let _agent = rig.agent(&[]);
    rig.wait_well("shop", first.as_str());
    let uid = rig.uid(&target, "configmap", "a");
    rig.proxy.reset();
    rig.repo.delete_branch("release");
    rig.refresh("shop");
    let app = rig.wait_condition("shop", "ComparisonError", &["\"release\"", "neither a branch nor a tag"]);
    assert_eq!(app["status"]["resources"].as_array().unwrap().len(), 1);
    rig.wait_two_renewals();
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());

    rig.repo.reset("release", &first);
    let second = rig.repo.commit_to("release", &[("app/a.yaml", &config_map("a", "green"))], "back");
    rig.refresh("shop");
    rig.wait_well("shop", second.as_str());
    assert_eq!(rig.uid(&target, "configmap", "a"), uid);
}

#[test]
fn a_target_that_names_nothing_is_told_before_anything_was_synced() {
    let rig = Rig::new("target");
    let target = rig.destination("target");
    rig.repo.commit(&[("app/a.yaml", &config_map("a", "blue"))], "a map");
    let repo = rig.repo.path();
    let cases = [
        ("branch", "nope", "neither a branch nor a tag"),
        ("short", "\"0123456\"", "shortened commit id"),
        ("range", "\">=3.0.0\"", "version range"),
        ("commit", "\"0123456789012345678901234567890123456789\"", "was not found"),
    ];
    for (name, revision, _) in cases {
        let source = format!("path: app, targetRevision: {revision}");
        rig.application_of(name, repo.to_str().unwrap(), &source, &target, AUTOMATED);
    }
    rig.application_of("nowhere", "/does/not/exist.git", "path: app", &target, AUTOMATED);
    let _agent = rig.agent(&[]);
    for (name, _, text) in cases {
        let app = rig.wait_condition(name, "ComparisonError", &[text]);
        assert_eq!(app["status"]["sync"]["status"], "Unknown", "{name}");
    }
    rig.wait_condition("nowhere", "ComparisonError", &["/does/not/exist.git"]);
    assert!(rig.object_writes().is_empty());
}

/// Ten ConfigMaps in one file, but for those left out.
fn ten(colour: &str, without: &[usize]) -> String {
    let mut text = String::new();
    for number in (0..10).filter(|number| !without.contains(number)) {
        let _ = write!(text, "---\n{}", config_map(&format!("m{number}"), colour));
    }
    text
}

#[test]
fn rewritten_history_is_followed_and_what_follows_it_prunes_by_the_usual_rules() {
    let rig = Rig::new("force");
    let target = rig.destination("force");
    let first = rig.repo.commit(&[("app/a.yaml", &ten("blue", &[]))], "ten maps");
    rig.application("shop", "app", &target, AUTOMATED);
    let _agent = rig.agent(&[]);
    rig.wait_well("shop", first.as_str());
    let second = rig.repo.commit(&[("app/a.yaml", &ten("green", &[]))], "all green");
    rig.refresh("shop");
    rig.wait_well("shop", second.as_str());

    // Back to the older commit: the ref names it, so it is what Git wants.
    rig.proxy.reset();
    rig.repo.reset("main", &first);
    rig.refresh("shop");
    let nothing = "leaves out nothing";
    rig.wait_condition("shop", REWRITTEN, &["refs/heads/main", second.as_str(), first.as_str(), nothing]);
    rig.wait_synced("shop", first.as_str());
    assert_eq!(rig.object_writes().len(), 10);
    assert_eq!(rig.get(&target, &["configmap", "m3"])["data"]["colour"], "blue");

    // A commit on top of it that deletes one object of ten is a push like any other.
    rig.proxy.reset();
    let third = rig.repo.commit(&[("app/a.yaml", &ten("blue", &[3]))], "without one, beside the second");
    rig.repo.prune();
    rig.refresh("shop");
    rig.wait_well("shop", third.as_str());
    rig.wait("m3 to be gone", || rig.get(&target, &["configmap", "m3"]).is_null());
    assert_eq!(rig.object_writes().len(), 1, "{:#?}", rig.object_writes());

    // And one that deletes nine of the ten that the second had.
    rig.repo.reset("main", &first);
    rig.refresh("shop");
    rig.wait_synced("shop", first.as_str());
    rig.proxy.reset();
    let fourth = rig.repo.commit(&[("app/a.yaml", &ten("blue", &[0, 1, 2, 3, 4, 5, 6, 7, 8]))], "nearly nothing");
    rig.refresh("shop");
    let app = rig.wait_condition("shop", "SyncError", &["9 of 10", "driftless.dev/allow-prune"]);
    assert_eq!(app["status"]["sync"]["revision"], fourth.as_str());
    rig.wait_two_renewals();
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());

    // Pushed away again, the question is gone and nothing was lost.
    rig.repo.reset("main", &first);
    rig.refresh("shop");
    rig.wait_synced("shop", first.as_str());
    assert_eq!(condition(&rig.app("shop"), "SyncError"), "");
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());
}

const REWRITTEN: &str = "RepositoryRewrittenWarning";

fn deletes(rig: &Rig) -> Vec<String> {
    let deletes = rig.object_writes().into_iter().filter(|entry| entry.verb == Verb::Delete);
    deletes.map(|entry| entry.name).collect()
}

#[test]
fn what_a_force_push_leaves_out_waits_for_a_word() {
    let rig = Rig::new("rewritten");
    let target = rig.destination("rewritten");
    let server = GitServer::start(&rig.repo);
    rig.repo.git(&["config", "uploadpack.allowFilter", "true"]);
    let base = rig.repo.commit(&[("app/b.yaml", &config_map("b", "blue"))], "a map");
    let first = rig.repo.commit(&[("app/a.yaml", &ten("blue", &[]))], "ten more");
    rig.application_of("shop", &server.url(), "path: app, targetRevision: main", &target, AUTOMATED);
    let mut agent = rig.agent(&[]);
    rig.wait_well("shop", first.as_str());

    // A push that deletes an object asks the repository for no more than one that changes one.
    let cost = |text: &str, gone: &[usize]| {
        server.take_requests();
        let pushed = rig.repo.commit(&[("app/a.yaml", &ten(text, gone))], "a push");
        rig.refresh("shop");
        rig.wait_well("shop", pushed.as_str());
        (pushed, server.take_requests().len())
    };
    let (_, changed) = cost("green", &[]);
    let (second, deleted) = cost("green", &[9]);
    assert_eq!(changed, deleted);
    assert_eq!(deletes(&rig), ["m9"]);

    // Another history, of which the server keeps nothing but what its branch has.
    rig.proxy.reset();
    rig.repo.reset("main", &base);
    rig.repo.commit(&[("app/a.yaml", &ten("red", &[]))], "in another history");
    let third = rig.repo.commit(&[("app/a.yaml", &ten("red", &[0, 1, 2]))], "which leaves three out");
    rig.repo.prune();
    rig.refresh("shop");
    let annotation = format!("driftless.dev/allow-prune={}", third.short());
    let texts = ["refs/heads/main", second.as_str(), third.as_str(), "3 objects", &annotation];
    let app = rig.wait_condition("shop", REWRITTEN, &texts);
    let told = condition(&app, REWRITTEN);
    let app = rig.wait_app("shop", "done", |app| app["status"]["operationState"]["phase"] == "Succeeded");
    assert_eq!(app["status"]["sync"]["status"], "OutOfSync");
    assert_eq!(resource(&app, "ConfigMap", "m1")["requiresPruning"], true);
    assert_eq!(rig.get(&target, &["configmap", "m5"])["data"]["colour"], "red", "what it has is applied");

    // Neither a restart without the store forgets it, nor another commit on top.
    assert!(agent.terminate());
    fs::remove_file(agent.data.join("store.redb")).unwrap();
    let agent = rig.agent_in(&agent.data.clone(), &rig.proxy, &[]);
    agent.wait_leading();
    rig.refresh("shop");
    rig.wait_two_renewals();
    assert_eq!(condition(&rig.app("shop"), REWRITTEN), told);
    let fourth = rig.repo.commit(&[("app/a.yaml", &ten("white", &[0, 1, 2]))], "on top");
    rig.refresh("shop");
    rig.wait_condition("shop", REWRITTEN, &[second.as_str(), fourth.as_str(), "3 objects"]);
    rig.wait_two_renewals();
    assert_eq!(deletes(&rig), [""; 0]);

    rig.annotate("shop", &format!("driftless.dev/allow-prune={}", fourth.short()));
    rig.wait_well("shop", fourth.as_str());
    // They are sent side by side.
    let mut deletes = deletes(&rig);
    deletes.sort_unstable();
    assert_eq!(deletes, ["m0", "m1", "m2"]);
}
