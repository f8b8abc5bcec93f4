//! The control plane and the proxy themselves: what the other tests stand on.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::json;

use crate::support::control_plane::{ControlPlane, client, signal};
use crate::support::proxy::{Proxy, Trick};
use crate::support::request::{Entry, Verb};

fn applies(log: &[Entry]) -> usize {
    log.iter().filter(|entry| entry.verb == Verb::Apply).count()
}

/// A server-side apply of a ConfigMap through `kubeconfig`.
async fn apply(maps: &Api<ConfigMap>, name: &str, value: &str) -> kube::Result<ConfigMap> {
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": value}});
    maps.patch(name, &PatchParams::apply("smoke").force(), &Patch::Apply(body)).await
}

#[test]
fn requests_pass_the_proxy_and_are_logged() {
    let control_plane = ControlPlane::shared();
    let namespace = control_plane.namespace("smoke");
    let proxy = Proxy::start(control_plane, "admin");
    let output = control_plane.kubectl_with(
        &proxy.kubeconfig("admin"),
        &["-n", &namespace, "create", "configmap", "settings", "--from-literal=colour=blue"],
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let writes = proxy.writes();
    assert_eq!(writes.len(), 1, "{writes:?}");
    let write = &writes[0];
    assert_eq!((write.verb, &*write.resource, write.status), (Verb::Create, "configmaps", Some(201)));
    assert_eq!(write.path, format!("/api/v1/namespaces/{namespace}/configmaps"));
    assert!(write.user_agent.starts_with("kubectl/"), "{}", write.user_agent);
    assert!(write.content_type.starts_with("application/"), "{}", write.content_type);
    assert!(write.query.contains("fieldManager=kubectl-create"), "{}", write.query);
    assert!(proxy.log().iter().all(|entry| entry.at.elapsed() < Duration::from_secs(600)));
    proxy.reset();
    assert!(proxy.log().is_empty());
    let read =
        control_plane.kubectl(&["-n", &namespace, "get", "configmap", "settings", "-o", "jsonpath={.data.colour}"]);
    assert_eq!(read, "blue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_and_applies_stream_through_a_token_over_plain_http() {
    let control_plane = ControlPlane::shared();
    let namespace = control_plane.namespace("smoke");
    let proxy = Proxy::start(control_plane, "agent");
    // As alice, who may do this; the proxy's own `agent` may not.
    let through = client(&proxy.kubeconfig("alice"), "alice").await;
    let maps = Api::<ConfigMap>::namespaced(through, &namespace);
    let mut watch = maps.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    for round in 0..3 {
        apply(&maps, "settings", &round.to_string()).await.unwrap();
        // Each event comes while the watch runs on, not when it ends.
        let seen = loop {
            match watch.try_next().await.unwrap().expect("the watch ended") {
                WatchEvent::Added(map) | WatchEvent::Modified(map)
                    if map.metadata.name.as_deref() == Some("settings") =>
                {
                    break map.data.unwrap()["key"].clone();
                }
                _ => {}
            }
        };
        assert_eq!(seen, round.to_string());
    }
    let log = proxy.log();
    let applied: Vec<_> = log.iter().filter(|entry| entry.verb == Verb::Apply).collect();
    assert_eq!(applied.iter().map(|entry| entry.status).collect::<Vec<_>>(), [Some(201), Some(200), Some(200)]);
    let body: serde_json::Value = serde_json::from_slice(applied[2].body.as_ref().unwrap()).unwrap();
    assert_eq!((body["data"]["key"].as_str(), &*applied[2].name), (Some("2"), "settings"));
    assert_eq!(log.iter().filter(|entry| entry.verb == Verb::Watch).count(), 1);
    assert!(log.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
    // A user without rights is told so.
    let denied = Api::<ConfigMap>::namespaced(control_plane.client("agent").await, &namespace).get("settings").await;
    assert!(matches!(&denied, Err(kube::Error::Api(status)) if status.code == 403), "{denied:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_or_held_link_lets_nothing_through_until_healed() {
    let control_plane = ControlPlane::shared();
    let namespace = control_plane.namespace("smoke");
    let proxy = Proxy::start(control_plane, "admin");
    let maps = Api::<ConfigMap>::namespaced(client(&proxy.kubeconfig("admin"), "admin").await, &namespace);
    let direct = Api::<ConfigMap>::namespaced(control_plane.client("admin").await, &namespace);
    let mut watch = maps.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    apply(&maps, "before", "1").await.unwrap();
    while !matches!(watch.try_next().await.unwrap().unwrap(), WatchEvent::Added(map) if map.metadata.name.as_deref() == Some("before"))
    {
    }

    proxy.cut();
    assert!(matches!(watch.try_next().await, Err(_) | Ok(None)), "the watch was cut");
    apply(&maps, "cut", "1").await.unwrap_err();
    proxy.heal();
    apply(&maps, "healed", "1").await.unwrap();
    assert!(direct.get_opt("cut").await.unwrap().is_none());

    proxy.hold();
    proxy.reset();
    let held = tokio::spawn({
        let maps = maps.clone();
        async move { apply(&maps, "held", "1").await }
    });
    proxy.wait_until(|log| applies(log) == 1);
    assert!(!held.is_finished() && proxy.writes().is_empty());
    assert!(direct.get_opt("held").await.unwrap().is_none());
    proxy.heal();
    held.await.unwrap().unwrap();
    assert_eq!(proxy.writes().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tricks_are_played_on_what_they_match() {
    let control_plane = ControlPlane::shared();
    let namespace = control_plane.namespace("smoke");
    let proxy = Proxy::start(control_plane, "admin");
    let maps = Api::<ConfigMap>::namespaced(client(&proxy.kubeconfig("admin"), "admin").await, &namespace);
    let direct = Api::<ConfigMap>::namespaced(control_plane.client("admin").await, &namespace);

    // kube sends a request again after a 503; one more failure than it has patience for would fail the test.
    proxy.trick(1, Trick::Fail(409), |entry| entry.verb == Verb::Apply && entry.name == "failing");
    let failed = apply(&maps, "failing", "1").await;
    assert!(matches!(&failed, Err(kube::Error::Api(status)) if status.code == 409), "{failed:?}");
    assert_eq!((applies(&proxy.log()), proxy.writes().len()), (1, 0));
    assert!(direct.get_opt("failing").await.unwrap().is_none());
    apply(&maps, "failing", "1").await.unwrap();
    assert_eq!(proxy.writes().len(), 1);

    proxy.trick(1, Trick::LoseAnswer, |entry| entry.verb == Verb::Apply && entry.name == "in-doubt");
    apply(&maps, "in-doubt", "1").await.unwrap_err();
    assert!(direct.get_opt("in-doubt").await.unwrap().is_some(), "it was done nevertheless");

    let delay = Duration::from_millis(300);
    proxy.trick(1, Trick::Delay(delay), |entry| entry.verb == Verb::Get);
    let started = Instant::now();
    maps.get("in-doubt").await.unwrap();
    assert!(started.elapsed() >= delay);
}

#[test]
fn service_accounts_get_tokens_and_namespaces_go_away() {
    let control_plane = ControlPlane::shared();
    let namespace = control_plane.namespace("smoke");
    control_plane.kubectl(&["-n", &namespace, "create", "serviceaccount", "robot"]);
    let token = control_plane.kubectl(&["-n", &namespace, "create", "token", "robot"]);
    let who = ["--token", token.trim(), "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"];
    assert_eq!(control_plane.kubectl(&who), format!("system:serviceaccount:{namespace}:robot"));
    control_plane.kubectl(&["delete", "namespace", &namespace, "--wait=true", "--timeout=120s"]);
}

#[test]
fn a_control_plane_ends_with_its_owner() {
    let control_plane = ControlPlane::start("");
    let kubeconfig = control_plane.kubeconfig().to_owned();
    // The supervisor and both servers.
    let group = control_plane.group();
    assert!(signal(0, group) && kubeconfig.exists());
    drop(control_plane);
    assert!(!signal(0, group) && !kubeconfig.exists(), "something is left");
}

#[test]
fn a_control_plane_ends_when_its_owner_is_killed() {
    // This test is its own owner: started again with this variable, it owns a control plane and waits.
    const VARIABLE: &str = "DRIFTLESS_TEST_OWNER";
    if std::env::var_os(VARIABLE).is_some() {
        let control_plane = ControlPlane::start("");
        println!("\nGROUP={}", control_plane.group());
        loop {
            std::thread::park();
        }
    }
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["real::smoke::a_control_plane_ends_when_its_owner_is_killed", "--exact", "--nocapture"])
        .env(VARIABLE, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let group = lines.map(Result::unwrap).find_map(|line| line.strip_prefix("GROUP=")?.parse().ok());
    let group: u32 = group.expect("the owner ended without a control plane");
    assert!(signal(0, group));
    owner.kill().unwrap();
    owner.wait().unwrap();
    let killed = Instant::now();
    while signal(0, group) {
        assert!(killed.elapsed() < Duration::from_secs(60), "the control plane has outlived its owner");
        std::thread::sleep(Duration::from_millis(50));
    }
}
