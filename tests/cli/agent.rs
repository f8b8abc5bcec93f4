//! `driftless get` and `driftless probe` against the agent's own HTTP side.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use driftless::api::{ApiState, HealthState, Metrics, OBJECTS_QUEUE, ObjectsRequest, Server};
use driftless::engine::ids::AppKey;
use driftless::engine::status::{Condition, HealthStatus, SyncStatus};
use driftless::engine::view::{ApplicationView, ObjectView, View};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::commands::{Done, driftless};

struct Agent {
    public: SocketAddr,
    local: SocketAddr,
    _view: watch::Sender<Arc<View>>,
}

/// An agent whose loop answers with `objects` for every application.
async fn agent(view: View, objects: Vec<ObjectView>) -> Agent {
    let (publish, view) = watch::channel(Arc::new(view));
    let (sender, mut asked) = mpsc::channel::<ObjectsRequest>(OBJECTS_QUEUE);
    tokio::spawn(async move {
        while let Some(request) = asked.recv().await {
            let _ = request.reply.send(Some(objects.clone()));
        }
    });
    let health = HealthState::new();
    health.set_store(Ok(()));
    let metrics = Arc::new(Metrics::new(view.clone()));
    let loopback = "127.0.0.1:0".parse().unwrap();
    let state = ApiState { view, objects: sender, health, metrics };
    let server = Server::bind(loopback, loopback, state).await.unwrap();
    let (public, local) = server.addresses().unwrap();
    tokio::spawn(server.run(CancellationToken::new()));
    Agent { public, local, _view: publish }
}

impl Agent {
    async fn get(&self, args: &[&str]) -> Done {
        let url = format!("http://{}", self.local);
        driftless(&[&["get", "--api-url", &url], args].concat()).await
    }
}

fn application(namespace: &str, name: &str, sync: &str) -> (AppKey, Arc<ApplicationView>) {
    let view = ApplicationView {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        project: "default".to_owned(),
        repo_url: "https://git.example.com/shop".to_owned(),
        path: "deploy".to_owned(),
        target_revision: "main".to_owned(),
        sync: SyncStatus { status: sync.to_owned(), revision: Some("0123abc".to_owned()), ..SyncStatus::default() },
        health: HealthStatus { status: "Healthy".to_owned(), ..HealthStatus::default() },
        conditions: vec![Condition {
            kind: "SyncError".to_owned(),
            message: "one\n\u{1b}[2Jtwo".to_owned(),
            last_transition_time: Some("2026-11-23T10:00:00Z".to_owned()),
        }],
        objects: 1,
        ..ApplicationView::default()
    };
    (AppKey::new(namespace, name), Arc::new(view))
}

fn shop() -> View {
    let applications = BTreeMap::from([
        application("argocd", "blog", "Synced"),
        application("argocd", "shop", "OutOfSync"),
        application("driftless", "shop", "Synced"),
    ]);
    View { applications: Arc::new(applications), applications_listed: true, lease_known: true, ..View::default() }
}

fn deployment() -> ObjectView {
    ObjectView {
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        sync: "OutOfSync".to_owned(),
        drift: Some("kubectl-edit changed .spec.replicas".to_owned()),
        ..ObjectView::default()
    }
}

#[tokio::test]
async fn applications_are_tabled_as_kubectl_would() {
    let agent = agent(shop(), Vec::new()).await;
    agent.get(&["apps"]).await.printed(
        "NAMESPACE   NAME   SYNC STATUS   HEALTH STATUS\n\
         argocd      blog   Synced        Healthy\n\
         argocd      shop   OutOfSync     Healthy\n\
         driftless   shop   Synced        Healthy\n",
    );
    agent.get(&["apps", "-n", "driftless", "-o", "wide"]).await.printed(
        "NAMESPACE   NAME   SYNC STATUS   HEALTH STATUS   REVISION   PROJECT   REPO                           PATH     TARGET   OBJECTS   OUT OF SYNC\n\
         driftless   shop   Synced        Healthy         0123abc    default   https://git.example.com/shop   deploy   main     1         0\n",
    );
    agent.get(&["apps", "-n", "nowhere"]).await.printed("No applications found.\n");
}

#[tokio::test]
async fn an_application_is_shown_with_conditions_and_objects() {
    let agent = agent(shop(), vec![deployment()]).await;
    agent.get(&["app", "blog"]).await.printed(
        "NAMESPACE   NAME   SYNC STATUS   HEALTH STATUS\n\
         argocd      blog   Synced        Healthy\n\
         \n\
         CONDITION   SINCE                  MESSAGE\n\
         SyncError   2026-11-23T10:00:00Z   one  [2Jtwo\n\
         \n\
         KIND         NAMESPACE   NAME   SYNC STATUS   HEALTH STATUS\n\
         Deployment   shop        web    OutOfSync     <none>\n",
    );
    let done = agent.get(&["app", "argocd/shop", "-o", "json"]).await.succeeded();
    let json: serde_json::Value = serde_json::from_str(&done).unwrap();
    assert_eq!((&json["sync"]["status"], &json["resources"][0]["kind"]), (&"OutOfSync".into(), &"Deployment".into()));
    let done = agent.get(&["app", "shop", "--namespace=argocd", "-o", "yaml"]).await.succeeded();
    assert_eq!(serde_saphyr::from_str::<serde_json::Value>(&done).unwrap(), json);
}

#[tokio::test]
async fn an_application_must_be_named_without_doubt() {
    let agent = agent(shop(), Vec::new()).await;
    agent
        .get(&["app", "shop"])
        .await
        .failed(1, "several namespaces: argocd, driftless\nhint: choose one with --namespace");
    agent.get(&["app", "none"]).await.failed(1, "serves no application \"none\"");
    agent.get(&["app", "argocd/none"]).await.failed(1, "serves no application \"none\"");
}

#[tokio::test]
async fn objects_are_tabled_for_one_application_and_for_all() {
    let agent = agent(shop(), vec![deployment()]).await;
    agent.get(&["objects", "blog", "-o", "wide"]).await.printed(
        "KIND         NAMESPACE   NAME   SYNC STATUS   HEALTH STATUS   API VERSION   PRUNE    DRIFT                                 ERROR\n\
         Deployment   shop        web    OutOfSync     <none>          apps/v1       <none>   kubectl-edit changed .spec.replicas   <none>\n",
    );
    agent.get(&["objects"]).await.printed(
        "APPLICATION      KIND         NAMESPACE   NAME   SYNC STATUS   HEALTH STATUS\n\
         argocd/blog      Deployment   shop        web    OutOfSync     <none>\n\
         argocd/shop      Deployment   shop        web    OutOfSync     <none>\n\
         driftless/shop   Deployment   shop        web    OutOfSync     <none>\n",
    );
    let done = agent.get(&["objects", "blog", "-o", "json"]).await.succeeded();
    assert_eq!(serde_json::from_str::<Vec<ObjectView>>(&done).unwrap(), [deployment()]);
}

#[tokio::test]
async fn a_probe_says_what_the_agent_says() {
    let ready = agent(shop(), Vec::new()).await;
    let listen = format!("--listen=0.0.0.0:{}", ready.public.port());
    driftless(&["probe", &listen])
        .await
        .printed("[+]store ok\n[+]applications ok\n[+]watches ok\n[+]lease ok\nreadyz check passed\n");
    driftless(&["probe", "livez", &listen]).await.printed("[+]loop ok\nlivez check passed\n");

    let unready = agent(View::default(), Vec::new()).await;
    let listen = format!("--listen={}", unready.public);
    let done = driftless(&["probe", "readyz", &listen]).await;
    assert_eq!(done.code, Some(1));
    assert!(done.stdout.ends_with("readyz check failed\n"), "{done:?}");
    assert_eq!(driftless(&["probe", "livez", &listen]).await.code, Some(0));
}

#[tokio::test]
async fn nobody_at_home_is_an_error_with_advice() {
    // A port that was free a moment ago and refuses connections.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    driftless(&["probe", &format!("--listen={closed}")])
        .await
        .failed(1, &format!("no agent answers at http://{closed}"));
    driftless(&["get", "apps", &format!("--api-url=http://{closed}")]).await.failed(1, "hint: in a cluster: `kubectl");
    driftless(&["get", "apps", "--api-url=https://127.0.0.1:1"]).await.failed(2, "speaks no TLS");
}
