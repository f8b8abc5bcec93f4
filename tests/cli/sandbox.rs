//! `driftless sandbox`, as somebody uses it who has neither kubectl nor a cluster. The tour with kubectl is in
//! `tests/real/sandbox.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::control_plane;
use crate::support::sandbox::{Surroundings, runs, take_the_tour};

/// How long processes may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

fn entries(folder: &TempDir) -> usize {
    fs::read_dir(folder.path()).unwrap().count()
}

#[test]
fn every_line_of_the_tour_works_without_kubectl() {
    let mut sandbox = Surroundings::new(None).sandbox(&[]);
    take_the_tour(&mut sandbox);
    assert!(!sandbox.told.contains("kubectl"), "{}", sandbox.told);
    assert!(!sandbox.told.contains('\x1b'), "no colours where no terminal is");
    let replicas: Vec<u64> = pids(&sandbox.state());
    let (code, left) = sandbox.end("INT");
    assert_eq!(code, Some(0));
    assert_eq!(entries(&left), 0, "it leaves nothing behind");
    assert!(!replicas.iter().any(|pid| runs(*pid)), "and nobody");
}

fn pids(state: &Value) -> Vec<u64> {
    state["replicas"].as_array().unwrap().iter().map(|replica| replica["pid"].as_u64().unwrap()).collect()
}

#[test]
fn a_killed_sandbox_takes_its_agents_along_and_the_next_one_clears_up() {
    let surroundings = Surroundings::new(None);
    let mut sandbox = surroundings.sandbox(&["--output", "json"]);
    let state: Value = serde_json::from_str(&sandbox.wait_line("{")).unwrap();
    assert_eq!((state["ready"].as_bool(), state["pid"].as_u64()), (Some(true), Some(u64::from(sandbox.id()))));
    let replicas = pids(&sandbox.state());
    assert!(replicas.iter().all(|pid| runs(*pid)));
    let (code, left) = sandbox.end("KILL");
    assert_eq!((code, entries(&left)), (None, 1));
    let until = Instant::now() + PATIENCE;
    while replicas.iter().any(|pid| runs(*pid)) {
        assert!(Instant::now() < until, "agents are left behind");
        std::thread::sleep(Duration::from_millis(50));
    }

    let mut again = Surroundings { temporary: left, ..Surroundings::new(None) }.sandbox(&["--no-agent", "-o", "json"]);
    again.wait_line("{");
    assert!(!again.folder().join("repository").exists(), "what the other one left is gone");
    let (code, left) = again.end("TERM");
    assert_eq!((code, entries(&left)), (Some(0), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_alone_is_a_test_double() {
    let arguments = ["--no-agent", "--output", "json", "--objects", "25", "--apps", "2"];
    let mut sandbox = Surroundings::new(None).sandbox(&arguments);
    let state: Value = serde_json::from_str(&sandbox.wait_line("{")).unwrap();
    let kubeconfig = std::path::PathBuf::from(state["kubeconfig"].as_str().unwrap());
    let mode = fs::metadata(&kubeconfig).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds a token");
    assert_eq!(state["replicas"], serde_json::json!([]));

    let client = control_plane::client(&kubeconfig, "sandbox").await;
    let maps: Api<ConfigMap> = Api::all(client.clone());
    let listed = maps.list(&ListParams::default()).await.unwrap();
    let namespaces: Vec<_> = listed.iter().map(|map| map.metadata.namespace.clone().unwrap()).collect();
    let count = |name: &str| namespaces.iter().filter(|namespace| *namespace == name).count();
    assert_eq!((namespaces.len(), count("load-0001"), count("load-0002")), (25, 13, 12));
    let names: Vec<_> = Api::<Namespace>::all(client).list(&ListParams::default()).await.unwrap().items;
    assert!(names.iter().all(|namespace| namespace.metadata.name.as_deref() != Some("argocd")));

    // Who has no token, or another one, may do nothing; and a client that does not know the certificate is told so.
    let server = state["server"].as_str().unwrap();
    let careless = reqwest::Client::builder().danger_accept_invalid_certs(true).no_proxy().build().unwrap();
    let url = format!("{server}/api/v1/configmaps");
    assert_eq!(careless.get(&url).send().await.unwrap().status(), 403);
    assert_eq!(careless.get(&url).bearer_auth("guessed").send().await.unwrap().status(), 401);
    let careful = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(careful.get(&url).send().await.unwrap_err().is_connect());
    let (code, left) = tokio::task::spawn_blocking(move || sandbox.end("INT")).await.unwrap();
    assert_eq!((code, entries(&left)), (Some(0), 0));
}

#[test]
fn changes_by_hand_say_what_is_wrong_with_them() {
    let surroundings = Surroundings::new(None);
    let refused = |output: std::process::Output, code: i32, text: &str| {
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(text), "{told}");
    };
    let drift = |object: &str, value: &str| ["sandbox", "drift", "edit", object, value].map(str::to_owned).to_vec();
    let run = |surroundings: &Surroundings, arguments: Vec<String>| {
        surroundings.driftless(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    refused(run(&surroundings, drift("configmap/a", "data.a=b")), 1, "no sandbox in");
    let missing = drift("configmap/a", "data.a=b");
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("sandbox");
    let mut sandbox = surroundings.sandbox(&["--no-agent", "--dir", dir.to_str().unwrap(), "-o", "json"]);
    sandbox.wait_line("{");
    let there = |arguments: Vec<String>| {
        let elsewhere = Surroundings::new(None);
        run(&elsewhere, [arguments, vec!["--dir".to_owned(), dir.to_str().unwrap().to_owned()]].concat())
    };
    refused(there(missing), 1, "configmaps \"a\" not found");
    refused(there(drift("nothing/a", "data.a=b")), 1, "knows no kind \"nothing\"");
    refused(there(drift("namespace/default", "metadata")), 2, "PATH=VALUE");
    let labelled = there(drift("ns/default", r"metadata.labels.example\.com/a=b"));
    assert!(labelled.status.success(), "{labelled:?}");
    let second = Surroundings::new(None).driftless(&["sandbox", "--no-agent", "--dir", dir.to_str().unwrap()]);
    refused(second, 1, "another sandbox runs in");
    let (code, _) = sandbox.end("TERM");
    assert_eq!(code, Some(0));
    assert!(dir.join("kubeconfig").exists(), "a folder that was named stays");
}

#[test]
fn kept_data_goes_on_where_it_ended() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("kept");
    let data = ["--data", dir.to_str().unwrap()];
    let mut sandbox = Surroundings::new(None).sandbox(&data);
    sandbox.wait_line("All 10 applications are Synced and Healthy");
    sandbox.wait_line("What happens:");
    let program = env!("CARGO_BIN_EXE_driftless");
    let to = format!("--dir {}", dir.display());
    sandbox.run_shell(&format!("{program} sandbox drift edit namespace/default metadata.labels.kept=yes {to}"));
    let overlay = dir.join("repository/apps/order-service/overlays/production/kustomization.yaml");
    fs::write(&overlay, fs::read_to_string(&overlay).unwrap().replace("count: 3", "count: 4")).unwrap();
    sandbox.run_shell(&format!("git -C {}/repository commit --all --message four", dir.display()));
    sandbox.wait_line("synced to");
    let (code, left) = sandbox.end("INT");
    assert_eq!((code, entries(&left)), (Some(0), 0));
    let mode = fs::metadata(dir.join("api-server.redb")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds Secrets");

    let mut again = Surroundings::new(None).sandbox(&[&data[..], &["--output", "json"]].concat());
    let state: Value = serde_json::from_str(&again.wait_line("{")).unwrap();
    assert_eq!(state["ready"], true);
    let kubeconfig = std::path::PathBuf::from(state["kubeconfig"].as_str().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = control_plane::client(&kubeconfig, "sandbox").await;
        let namespace = Api::<Namespace>::all(client.clone()).get("default").await.unwrap();
        assert_eq!(namespace.metadata.labels.unwrap()["kept"], "yes");
        let web = Api::<Deployment>::namespaced(client, "production").get("order-service").await.unwrap();
        assert_eq!(web.spec.unwrap().replicas, Some(4));
    });
    assert_eq!(again.end("TERM").0, Some(0));
}
