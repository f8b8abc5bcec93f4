//! The store is lost, spoilt or out of reach: nothing wrong is deleted, nothing needless is written, and it is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::{Rng as _, SeedableRng as _};

use super::restart::{
    AUTOMATED, SHORT_LEASE, ask_refresh, config_map, deployment, inventory, labelled, role, secret, service,
    wait_two_renewals,
};
use crate::support::agent::{Agent, Rig};
use crate::support::proxy::Trick;
use crate::support::request::Verb;

const META: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
/// A value that must not be found in any file but Git's own.
const PASSWORD: &str = "correct-horse-battery";
/// The same in base64.
const ENCODED: &str = "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5";

fn store_file(agent: &Agent) -> PathBuf {
    agent.data.join("store.redb")
}

fn wait_complete(rig: &Rig, agent: &Agent) {
    rig.wait("the inventory to be complete", || agent.metric("driftless_inventory_complete") > 0.0);
}

/// An agent that has synced an application of several kinds and settled.
fn settled(prefix: &str) -> (Rig, String, Agent, String) {
    let rig = Rig::new(prefix);
    let shop = rig.destination("shop");
    let files = [
        ("app/a.yaml", config_map("a", "one")),
        ("app/b.yaml", config_map("b", "one")),
        ("app/secret.yaml", secret("login", PASSWORD)),
        ("app/service.yaml", service("web", 80)),
        ("app/deployment.yaml", deployment("web", "1")),
        ("app/role.yaml", role("reader", "get")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let revision = rig.repo.commit(&files, "six objects").to_string();
    rig.application("shop", "app", &shop, AUTOMATED);
    let agent = rig.agent(&SHORT_LEASE);
    rig.wait_synced("shop", &revision);
    agent.wait_leading();
    wait_complete(&rig, &agent);
    wait_two_renewals(&rig);
    (rig, shop, agent, revision)
}

fn restart(rig: &Rig, agent: &Agent) -> Agent {
    rig.agent_in(&agent.data.clone(), &rig.proxy, &SHORT_LEASE)
}

fn truncate(file: &Path) {
    let length = fs::metadata(file).unwrap().len();
    fs::File::options().write(true).open(file).unwrap().set_len(length / 2).unwrap();
}

fn make_newer(file: &Path) {
    let db = redb::Database::open(file).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(META).unwrap().insert("schema", &[9u8][..]).unwrap();
    txn.commit().unwrap();
}

fn schema(file: &Path) -> Vec<u8> {
    use redb::ReadableDatabase as _;
    let db = redb::Database::open(file).unwrap();
    let txn = db.begin_read().unwrap();
    txn.open_table(META).unwrap().get("schema").unwrap().unwrap().value().to_vec()
}

#[test]
fn a_store_that_is_of_no_use_is_kept_aside_and_rebuilt_without_a_write() {
    let (rig, shop, mut agent, revision) = settled("lost");
    let before = rig.get(&shop, &["configmaps,secrets,services,deployments,roles", "-l", "driftless.dev/instance"]);
    type Spoil = fn(&Path);
    let cases: [(&str, Spoil, &str); 4] = [
        ("deleted", |file| fs::remove_file(file).unwrap(), "a new store was made"),
        ("truncated", truncate, "set aside"),
        ("garbage", |file| fs::write(file, "not a database at all").unwrap(), "set aside"),
        ("newer", make_newer, "newer version"),
    ];
    let mut kept = 0;
    for (what, spoil, message) in cases {
        assert!(agent.terminate(), "{}", agent.log());
        let file = store_file(&agent);
        spoil(&file);
        let spoilt = fs::read(&file).ok();
        rig.proxy.reset();
        agent = restart(&rig, &agent);
        agent.wait_ready();
        agent.wait_leading();
        wait_complete(&rig, &agent);
        rig.wait("everything to be compared", || {
            agent.metric("driftless_objects_out_of_sync") == 0.0 && agent.metric("driftless_objects") == 6.0
        });
        rig.refresh("shop");
        rig.wait_synced("shop", &revision);
        wait_two_renewals(&rig);
        assert_eq!(rig.object_writes().len(), 0, "{what}: {:#?}", rig.object_writes());
        assert_eq!(rig.dry_runs(), 0, "{what}");
        assert_eq!(agent.metric("driftless_drift_detected_total"), 0.0, "{what}");
        let log = agent.log();
        assert!(log.contains(message), "{what}: {message:?} is not in\n{log}");
        if let Some(spoilt) = spoilt {
            kept += 1;
            let aside = file.with_file_name(format!("store.redb.unusable-{kept}"));
            // A database that is only too new was recovered and closed, as opening does, and says still what it said.
            if what == "newer" {
                assert_eq!(schema(&aside), [9]);
            } else {
                assert!(fs::read(&aside).unwrap() == spoilt, "{what}: the file was changed");
            }
            assert!(log.contains(aside.to_str().unwrap()), "{what}: {log}");
        }
    }
    assert_eq!(kept, 3);
    let after = rig.get(&shop, &["configmaps,secrets,services,deployments,roles", "-l", "driftless.dev/instance"]);
    assert_eq!(before["items"], after["items"]);
    assert_eq!(labelled(&rig, &shop), inventory(&rig.app("shop")));
}

#[test]
fn what_left_git_while_the_store_was_gone_is_pruned_only_after_every_kind_was_searched() {
    let (rig, shop, mut agent, _) = settled("searched");
    // A second Application, deleted with Argo CD's finalizer while nobody looks.
    let blog = rig.destination("blog");
    let revision =
        rig.repo.commit(&[("blog/c.yaml", &config_map("c", "one")), ("blog/r.yaml", &role("r", "get"))], "a blog");
    rig.application("blog", "blog", &blog, AUTOMATED);
    let finalizer = r#"{"metadata":{"finalizers":["resources-finalizer.argocd.argoproj.io"]}}"#;
    rig.plane.kubectl(&[
        "-n",
        &rig.namespace,
        "patch",
        "applications.argoproj.io",
        "blog",
        "--type=merge",
        "-p",
        finalizer,
    ]);
    rig.wait_synced("blog", revision.as_str());
    rig.refresh("shop");
    rig.wait_synced("shop", revision.as_str());
    assert!(agent.terminate());
    fs::remove_file(store_file(&agent)).unwrap();
    rig.plane.kubectl(&["-n", &rig.namespace, "delete", "applications.argoproj.io", "blog", "--wait=false"]);
    // The last Role leaves Git, and another object changes, so that there is a sync to be done at once.
    rig.repo.remove(&["app/role.yaml"], "no role");
    let revision = rig.repo.commit(&[("app/a.yaml", &config_map("a", "two"))], "a is two").to_string();

    let unreachable = Arc::new(AtomicBool::new(true));
    let flag = unreachable.clone();
    rig.proxy.reset();
    rig.proxy.trick(usize::MAX, Trick::Fail(503), move |entry| {
        flag.load(Ordering::SeqCst) && entry.verb == Verb::List && entry.resource == "roles"
    });
    agent = restart(&rig, &agent);
    rig.wait("the sync to apply what it can", || rig.get(&shop, &["configmap", "a"])["data"]["value"] == "two");
    // Three tries make one sweep: this is the third one.
    rig.proxy.wait_until(|log| {
        log.iter().filter(|entry| entry.resource == "roles" && entry.status == Some(503)).count() > 6
    });
    wait_two_renewals(&rig);
    let deletes = || {
        rig.proxy
            .writes()
            .into_iter()
            .filter(|entry| entry.verb == Verb::Delete && !matches!(entry.status, Some(404 | 409)))
            .map(|entry| entry.path)
            .collect::<Vec<_>>()
    };
    assert_eq!(deletes(), Vec::<String>::new());
    assert!(!rig.get(&shop, &["role", "reader"]).is_null());
    assert!(!rig.get(&blog, &["configmap", "c"]).is_null());
    let app = rig.app("blog");
    assert_eq!(app["metadata"]["finalizers"][0], "resources-finalizer.argocd.argoproj.io", "{app:#}");
    assert_eq!(agent.metric("driftless_inventory_complete"), 0.0);

    unreachable.store(false, Ordering::SeqCst);
    rig.wait("the role to be pruned", || rig.get(&shop, &["role", "reader"]).is_null());
    rig.wait("the deleted Application to be released", || rig.app("blog").is_null());
    rig.wait_synced("shop", &revision);
    assert!(rig.get(&blog, &["configmap", "c"]).is_null() && rig.get(&blog, &["role", "r"]).is_null());
    let mut deleted = deletes();
    deleted.sort();
    let mut expected = vec![
        format!("/api/v1/namespaces/{blog}/configmaps/c"),
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{blog}/roles/r"),
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{shop}/roles/reader"),
    ];
    expected.sort();
    assert_eq!(deleted, expected);
    assert_eq!(labelled(&rig, &shop).len(), 5);
    assert_eq!(agent.metric("driftless_prunes_total"), 3.0);
}

#[test]
fn drift_that_was_made_while_the_store_was_gone_is_reverted() {
    let (rig, shop, mut agent, revision) = settled("drifted");
    agent.kill();
    fs::remove_file(store_file(&agent)).unwrap();
    let kubectl = |arguments: &[&str]| rig.plane.kubectl(&[&["-n", &shop], arguments].concat());
    kubectl(&["patch", "configmap", "a", "--type=merge", "-p", r#"{"data":{"value":"edited"}}"#]);
    kubectl(&["delete", "configmap", "b"]);
    kubectl(&["annotate", "--overwrite", "service", "web", "driftless.dev/manifest=00000000000000000000000000000000"]);
    kubectl(&["scale", "deployment", "web", "--replicas=3"]);
    kubectl(&[
        "patch",
        "role",
        "reader",
        "--type=json",
        "-p",
        r#"[{"op":"replace","path":"/rules/0/verbs","value":["delete"]}]"#,
    ]);
    rig.proxy.reset();
    agent = restart(&rig, &agent);
    let healed = || {
        rig.get(&shop, &["configmap", "a"])["data"]["value"] == "one"
            && rig.get(&shop, &["configmap", "b"])["data"]["value"] == "one"
            && rig.get(&shop, &["role", "reader"])["rules"][0]["verbs"][0] == "get"
            && rig.get(&shop, &["service", "web"])["metadata"]["annotations"]["driftless.dev/manifest"]
                != "00000000000000000000000000000000"
    };
    rig.wait("all drift to be reverted", healed);
    rig.wait_synced("shop", &revision);
    wait_complete(&rig, &agent);
    wait_two_renewals(&rig);
    let mut written: Vec<String> =
        rig.object_writes().into_iter().map(|entry| format!("{} {}", entry.resource, entry.name)).collect();
    written.sort();
    // The replicas are not in Git: nobody's drift.
    assert_eq!(written, ["configmaps a", "configmaps b", "roles reader", "services web"]);
    assert_eq!(rig.get(&shop, &["deployment", "web"])["spec"]["replicas"], 3);
}

fn inspect(agent: &Agent, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_driftless"))
        .args(["store", "inspect", "--data-dir", agent.data.to_str().unwrap()])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_store_of_a_running_agent_can_be_looked_into_and_holds_no_secret() {
    let (rig, shop, agent, revision) = settled("inspect");
    let key = format!("{}/shop", rig.namespace);
    let summary = inspect(&agent, &[]);
    assert!(summary.contains("Inventory:   complete\n") && summary.contains("Epoch:       1 (Lease "), "{summary}");
    let applications = inspect(&agent, &["applications", "--app", &key]);
    assert!(applications.contains(&key) && applications.contains(&revision), "{applications}");
    // What the watches showed is gathered before it is written.
    let all_synced = || {
        let objects = inspect(&agent, &["objects"]);
        objects.lines().count() == 7
            && objects.lines().skip(1).all(|line| line.contains("Synced") && line.contains(&shop))
    };
    rig.wait("the records to be written", all_synced);
    rig.plane.kubectl(&[
        "-n",
        &shop,
        "patch",
        "configmap",
        "a",
        "--type=merge",
        "-p",
        r#"{"data":{"value":"edited"}}"#,
    ]);
    rig.wait("the heal to be in the history", || inspect(&agent, &["history", "--limit", "10"]).contains("healed"));
    assert!(inspect(&agent, &["history", "--app", &key]).contains("kubectl-patch"));
    // An edit of a Secret, and its revert, leave no trace either.
    let edit = r#"{"stringData":{"password":"tr0ub4dor-and-3"}}"#;
    rig.plane.kubectl(&["-n", &shop, "patch", "secret", "login", "--type=merge", "-p", edit]);
    rig.wait("the Secret to be reverted", || rig.get(&shop, &["secret", "login"])["data"]["password"] == ENCODED);
    rig.wait("the second heal to be in the history", || {
        inspect(&agent, &["history"]).lines().filter(|line| line.contains("healed")).count() >= 2
    });
    for file in fs::read_dir(&agent.data).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = fs::read(&file).unwrap();
        for value in [PASSWORD, ENCODED, "tr0ub4dor-and-3", "dHIwdWI0ZG9yLWFuZC0z"] {
            let found = bytes.windows(value.len()).any(|window| window == value.as_bytes());
            assert!(!found, "{value} is in {}", file.display());
        }
    }
}

#[test]
fn an_agent_whose_data_folder_is_of_no_use_says_so() {
    let rig = Rig::new("folder");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("data");
    let taken = folder.path().join("taken");
    fs::create_dir_all(taken.join("store.redb")).unwrap();
    for (data, message) in [(below, "can't be made"), (taken, "store.redb can't be opened")] {
        let output = Command::new(env!("CARGO_BIN_EXE_driftless"))
            .args([
                "run",
                "--kubeconfig",
                rig.proxy.kubeconfig("admin").to_str().unwrap(),
                "--namespace",
                &rig.namespace,
            ])
            .args(["--data-dir", data.to_str().unwrap(), "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && error.contains(message) && error.contains(data.to_str().unwrap()),
            "{error}"
        );
    }
}

#[test]
fn a_disk_that_is_full_stops_prunes_and_nothing_else() {
    let (rig, shop, mut agent, _) = settled("full");
    assert!(agent.terminate());
    // Room for what a start and a few records take, and not for a large commit.
    let blocks = (fs::metadata(store_file(&agent)).unwrap().len() + (128 << 10)) / 512;
    agent = rig.agent_on_full_disk(&agent.data.clone(), blocks, &SHORT_LEASE);
    agent.wait_ready();
    agent.wait_leading();
    let large: Vec<(String, String)> = (0..20)
        .map(|number| (format!("app/large-{number}.yaml"), config_map(&format!("large-{number}"), &noise(number))))
        .collect();
    let large: Vec<(&str, &str)> = large.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    rig.repo.remove(&["app/role.yaml"], "no role");
    let revision = rig.repo.commit(&large, "much").to_string();
    rig.proxy.reset();
    ask_refresh(&rig, "shop");
    rig.wait("everything to be applied", || labelled(&rig, &shop).len() == 6 + large.len());
    rig.wait("the operator to be told", || agent.log().contains("the store can't be written; nothing is pruned"));
    rig.wait("the agent to be unready", || agent.get("/readyz").is_none());
    let app = rig.wait_app("shop", "telling why nothing is pruned", |app| {
        app["status"]["conditions"].to_string().contains("the store can't be written")
    });
    assert_eq!(app["status"]["sync"]["revision"], revision.as_str());
    // Drift is still put back.
    rig.plane.kubectl(&[
        "-n",
        &shop,
        "patch",
        "configmap",
        "a",
        "--type=merge",
        "-p",
        r#"{"data":{"value":"edited"}}"#,
    ]);
    rig.wait("the edit to be reverted", || rig.get(&shop, &["configmap", "a"])["data"]["value"] == "one");
    wait_two_renewals(&rig);
    assert_eq!(agent.get("/livez").as_deref(), Some("ok"));
    assert!(!rig.get(&shop, &["role", "reader"]).is_null());
    assert_eq!(rig.proxy.writes().iter().filter(|entry| entry.verb == Verb::Delete).count(), 0);

    // With room again: the prune that is owed, and no second write of anything.
    agent.kill();
    rig.proxy.reset();
    agent = restart(&rig, &agent);
    rig.wait("the role to be pruned", || rig.get(&shop, &["role", "reader"]).is_null());
    rig.wait_synced("shop", &revision);
    let written: Vec<String> =
        rig.object_writes().into_iter().filter(|entry| entry.status != Some(409)).map(|entry| entry.path).collect();
    assert_eq!(written, [format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{shop}/roles/reader")]);
    assert!(agent.terminate());
}

/// Text that does not compress.
fn noise(seed: u64) -> String {
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    (0..20_000).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect()
}

#[test]
fn an_api_server_that_is_down_at_the_start_is_waited_for() {
    let rig = Rig::new("down");
    let shop = rig.destination("shop");
    let revision = rig.repo.commit(&[("app/a.yaml", &config_map("a", "one"))], "one map").to_string();
    rig.application("shop", "app", &shop, AUTOMATED);
    rig.proxy.cut();
    let agent = rig.agent(&SHORT_LEASE);
    rig.wait("the agent to say that it waits", || agent.log().matches("the API server can't be used yet").count() >= 2);
    assert_eq!(agent.get("/livez").as_deref(), Some("ok"));
    assert_eq!(agent.get("/readyz"), None);
    rig.proxy.heal();
    agent.wait_ready();
    rig.wait_synced("shop", &revision);
    assert_eq!(agent.get("/livez").as_deref(), Some("ok"));
}
