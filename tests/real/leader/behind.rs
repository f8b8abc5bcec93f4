//! A standby whose Git is behind the leader's takes over.

use super::{AUTOMATED, Replica, SHORT, check, colour, config_map, edit};
use crate::support::agent::Rig;
use crate::support::git::GitRepo;
use crate::support::git_server::{Behaviour, GitServer};

fn application(rig: &Rig, name: &str, server: &GitServer, destination: &str) {
    let (namespace, url) = (&rig.namespace, server.url());
    rig.apply(&format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  project: default\n  source: {{repoURL: '{url}', path: app, targetRevision: main}}\n  \
         destination: {{server: https://kubernetes.default.svc, namespace: {destination}}}\n  syncPolicy: {AUTOMATED}\n"
    ));
}

#[test]
fn a_new_leader_whose_git_is_behind_neither_rolls_back_nor_prunes() {
    let rig = Rig::new("behind");
    let shop = rig.destination("shop");
    let steady = rig.destination("steady");
    let (other, maps) =
        (GitRepo::new(), [("app/a.yaml", config_map("a", "blue")), ("app/b.yaml", config_map("b", "blue"))]);
    let maps: Vec<(&str, &str)> = maps.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let old = rig.repo.commit(&maps, "old");
    let same = other.commit(&maps, "for good");
    let (moving, unmoved) = (GitServer::start(&rig.repo), GitServer::start(&other));
    application(&rig, "shop", &moving, &shop);
    application(&rig, "steady", &unmoved, &steady);
    let mut first = Replica::leader(&rig, &SHORT);
    rig.wait_synced("shop", old.as_str());
    rig.wait_synced("steady", same.as_str());
    // The second one lists its repositories when it starts, and then not for an hour.
    let slow: Vec<&str> = SHORT[..8].iter().copied().chain(["--poll-interval", "1h"]).collect();
    let second = Replica::standby(&rig, &slow);
    rig.wait("the second to have rendered", || {
        second.agent.metric("driftless_objects_out_of_sync") == 0.0 && second.agent.metric("driftless_objects") == 4.0
    });

    // The new commit changes a map, brings one, and takes one away.
    rig.repo.commit(&[("app/a.yaml", &config_map("a", "green")), ("app/c.yaml", &config_map("c", "green"))], "new");
    let new = rig.repo.remove(&["app/b.yaml"], "newer");
    rig.wait_synced("shop", new.as_str());
    rig.wait("b to be pruned", || rig.get(&shop, &["configmap", "b"]).is_null());

    // Git goes away, then the leader; then people edit.
    for server in [&moving, &unmoved] {
        server.behave(Behaviour::Status(503));
    }
    first.agent.kill();
    edit(&rig, &shop, "a", "red");
    edit(&rig, &steady, "a", "red");
    second.agent.wait_leading();
    // What the status records is healed, without Git.
    rig.wait("the steady application to be healed", || colour(&rig, &steady, "a") == "blue");
    let told = |app: &serde_json::Value| app["status"]["conditions"].to_string().contains("503");
    let status = rig.wait_app("shop", "telling that Git is down", told)["status"].clone();
    rig.wait_app("steady", "telling that Git is down", told);
    assert_eq!(status["sync"]["revision"], new.as_str(), "{status:#}");
    assert_eq!(status["sync"]["status"], "Unknown", "{status:#}");
    second.wait_renewals(3);
    let writes = second.object_writes();
    assert_eq!(writes.len(), 1, "one heal and nothing else: {writes:#?}");
    assert_eq!(["a", "b", "c"].map(|name| colour(&rig, &shop, name)), ["red", "", "green"]);
    assert_eq!(rig.app("shop")["status"]["history"].as_array().unwrap().last().unwrap()["revision"], new.as_str());

    // Git is back: it catches up, and reverts the edit.
    for server in [&moving, &unmoved] {
        server.behave(Behaviour::Serve);
    }
    rig.wait("the edit to be reverted", || colour(&rig, &shop, "a") == "green");
    rig.wait_app("shop", "synced again", |app| {
        app["status"]["sync"]["status"] == "Synced" && app["status"]["conditions"].as_array().is_none_or(Vec::is_empty)
    });
    assert_eq!(["a", "b", "c"].map(|name| colour(&rig, &shop, name)), ["green", "", "green"]);
    let writes = second.object_writes();
    assert_eq!(writes.len(), 2, "{writes:#?}");
    check(&[first.proxy.log(), second.proxy.log()]);
}
