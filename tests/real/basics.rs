//! The main road, end to end: commit, apply, heal, prune.

use crate::support::agent::Rig;

const AUTOMATED: &str = "{automated: {prune: true, selfHeal: true}}";

fn config_map(name: &str, colour: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{colour: {colour}}}\n")
}

#[test]
fn a_commit_is_applied_healed_changed_and_pruned() {
    let rig = Rig::new("basics");
    let shop = rig.destination("shop");
    let first = rig
        .repo
        .commit(&[("app/a.yaml", &config_map("a", "blue")), ("app/b.yaml", &config_map("b", "blue"))], "two maps");
    rig.application("shop", "app", &shop, AUTOMATED);
    let agent = rig.agent(&[]);
    rig.wait_synced("shop", first.as_str());
    assert_eq!(rig.object_writes().len(), 2, "one apply for each object: {:?}", rig.object_writes());

    // A change by hand is reverted, and its author is named.
    rig.plane.kubectl(&["-n", &shop, "patch", "configmap", "a", "--type=merge", "-p", r#"{"data":{"colour":"red"}}"#]);
    rig.wait("the edit to be reverted", || rig.get(&shop, &["configmap", "a"])["data"]["colour"] == "blue");
    let app =
        rig.wait_app("shop", "telling the drift", |app| app["status"]["resources"].to_string().contains("reverted"));
    assert!(app["status"]["resources"].to_string().contains("kubectl-patch"), "{:#}", app["status"]["resources"]);
    // The two that were made, the edit and its revert came over a watch.
    rig.wait("the lag of four events", || agent.metric("driftless_watch_lag_seconds_count") >= 4.0);

    // A commit that changes one object applies that one.
    rig.proxy.reset();
    let second = rig.repo.commit(&[("app/b.yaml", &config_map("b", "green"))], "b is green");
    rig.refresh("shop");
    rig.wait_synced("shop", second.as_str());
    assert_eq!(rig.object_writes().len(), 1, "{:?}", rig.object_writes());
    assert_eq!(rig.get(&shop, &["configmap", "b"])["data"]["colour"], "green");

    // A commit that touches nothing renders nothing and writes nothing but the status.
    rig.proxy.reset();
    let third = rig.repo.commit(&[("other/readme.md", "hello")], "a word");
    rig.refresh("shop");
    rig.wait_synced("shop", third.as_str());
    assert_eq!(rig.object_writes().len(), 0, "{:?}", rig.object_writes());
    assert_eq!(agent.metric("driftless_render_hits_total"), 1.0);

    // What leaves Git is pruned.
    let fourth = rig.repo.remove(&["app/b.yaml"], "no b");
    rig.refresh("shop");
    rig.wait_synced("shop", fourth.as_str());
    rig.wait("b to be gone", || rig.get(&shop, &["configmap", "b"]).is_null());
    assert_eq!(rig.get(&shop, &["configmap", "a"])["data"]["colour"], "blue");
}
