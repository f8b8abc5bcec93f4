//! The watch of repository Secrets.

use std::sync::Arc;

use driftless::cluster::Namespaces;
use driftless::cluster::repositories::{RepositorySecrets, SecretType, run};
use driftless::cluster::watch::WatchSettings;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::failures::Log;
use super::server::{Server, page, soon};

fn secret(name: &str, resource_version: u64, password: &str) -> Value {
    json!({
        "metadata": {
            "namespace": "argocd", "name": name, "resourceVersion": resource_version.to_string(),
            "labels": {"argocd.argoproj.io/secret-type": "repository"},
        },
        "data": {"password": password},
    })
}

fn start(server: &Server, namespaces: &[&str]) -> watch::Receiver<Arc<RepositorySecrets>> {
    let (sender, receiver) = watch::channel(Arc::default());
    let namespaces = Namespaces::These(namespaces.iter().map(ToString::to_string).collect());
    let stopped = CancellationToken::new();
    tokio::spawn(run(server.client.clone(), namespaces, WatchSettings::default(), 1, sender, stopped));
    receiver
}

#[tokio::test(start_paused = true)]
async fn secrets_are_kept_equal_and_never_logged() {
    let log = Log::default();
    let _guard = log.capture();
    let mut server = Server::new();
    let mut secrets = start(&server, &["argocd"]);
    let asked = server.expect("/api/v1/namespaces/argocd/secrets limit=500").await;
    assert!(
        asked.query["labelSelector"].contains("secret-type%20in%20%28repository%2Crepo-creds%29"),
        "{:?}",
        asked.query
    );
    // "hunter2" and "hunter3" in base64.
    asked.json(&page(10, "", &[secret("a", 3, "aHVudGVyMg=="), secret("b", 4, "aHVudGVyMg==")]));
    let all = soon(secrets.wait_for(|all| all.complete)).await.unwrap().clone();
    assert_eq!(all.secrets.keys().collect::<Vec<_>>(), ["argocd/a", "argocd/b"]);
    assert_eq!(
        (all.secrets["argocd/a"].kind, &*all.secrets["argocd/a"].data["password"]),
        (SecretType::Repository, &b"hunter2"[..])
    );
    let stream = server.expect("/api/v1/namespaces/argocd/secrets resourceVersion=10 watch=true").await.open();
    stream.event("MODIFIED", &secret("a", 11, "aHVudGVyMw=="));
    soon(secrets.wait_for(|all| all.secrets["argocd/a"].data["password"] == b"hunter3")).await.unwrap();
    stream.event("DELETED", &secret("b", 12, "aHVudGVyMg=="));
    soon(secrets.wait_for(|all| all.secrets.len() == 1)).await.unwrap();
    stream.event("MODIFIED", &json!({"metadata": "aHVudGVyMg=="}));
    stream.bytes("aHVudGVyMg== is garbage\n");
    // A new list replaces what was known.
    server.expect("/api/v1/namespaces/argocd/secrets limit=500").await.json(&page(20, "", &[]));
    soon(secrets.wait_for(|all| all.secrets.is_empty())).await.unwrap();
    let text = log.text();
    assert!(!text.contains("hunter") && !text.contains("aHVudGVy"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_may_not_be_read_is_not_waited_for() {
    let log = Log::default();
    let _guard = log.capture();
    let mut server = Server::new();
    let mut secrets = start(&server, &["argocd", "driftless"]);
    for _ in 0..2 {
        let asked = server.next().await;
        if asked.path.contains("/argocd/") {
            asked.refuse(403, "secrets is forbidden");
        } else {
            asked.json(&page(10, "", &[secret("a", 3, "")]));
        }
    }
    assert_eq!(soon(secrets.wait_for(|all| all.complete)).await.unwrap().secrets.len(), 1);
    assert_eq!(log.text().matches("argocd can't be read").count(), 1, "{}", log.text());
}
