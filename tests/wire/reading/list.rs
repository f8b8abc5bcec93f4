//! Single reads and the sweep.

use std::collections::BTreeSet;

use driftless::cluster::list::{get, sweep};
use driftless::cluster::watch::Reader;
use driftless::engine::event::{RequestError, RequestErrorReason, Sweep};
use driftless::engine::ids::{GroupKind, ObjectKey};
use driftless::engine::live::LiveObject;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::server::{Asked, INSTANCE, Server, group, object, page, resource, soon};

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("", "ConfigMap", "shop", name)
}

async fn read(
    server: &mut Server,
    name: &'static str,
    answer: impl FnOnce(Asked),
) -> Result<Option<LiveObject>, RequestError> {
    let reader = server.reader();
    let reading = tokio::spawn(async move { get(&reader, &key(name), "v1").await });
    answer(server.expect(&format!("/api/v1/namespaces/shop/configmaps/{name}")).await);
    soon(reading).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_object_is_there_or_not_or_unknown() {
    let mut server = Server::new();
    let live = read(&mut server, "a", |asked| asked.json(&object("a", 7))).await.unwrap().unwrap();
    assert_eq!((live.key, live.resource_version, &*live.uid), (key("a"), 7, "uid-a"));
    let gone = json!({"name": "a", "kind": "configmaps"});
    let none = read(&mut server, "a", |asked| asked.refuse_with(404, &[], "configmaps \"a\" not found", gone)).await;
    assert_eq!(none, Ok(None));
    let gone = json!({"name": "shop", "kind": "namespaces"});
    let none = read(&mut server, "a", |asked| asked.refuse_with(404, &[], "namespaces \"shop\" not found", gone)).await;
    assert_eq!(none, Ok(None));
    for (code, text) in
        [(404, "404 page not found"), (503, "x"), (200, "{\"metadata\": \"hunter2\"}"), (200, "hunter2")]
    {
        let error = read(&mut server, "a", |asked| asked.answer(code, &[], text)).await.unwrap_err();
        assert!(!error.message.contains("hunter2"), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn names_from_git_cannot_change_the_path() {
    let mut server = Server::new();
    let reader = server.reader();
    for name in ["..", "a/b", "%2e%2e"] {
        let error = get(&reader, &key(name), "v1").await.unwrap_err();
        assert_eq!(error.reason, RequestErrorReason::Invalid, "{name}");
    }
    let unknown = get(&reader, &ObjectKey::new("example.com", "Web", "shop", "a"), "v1").await.unwrap_err();
    assert_eq!(unknown.reason, RequestErrorReason::UnknownKind);
    assert!(server.is_quiet());
}

fn server() -> Server {
    let mut events = resource("events", "Event");
    events["scope"] = json!("Namespaced");
    let mut metrics = resource("nodes", "NodeMetrics");
    metrics["verbs"] = json!(["get", "list"]);
    let core = vec![resource("configmaps", "ConfigMap"), resource("secrets", "Secret"), events];
    let others = vec![
        group("metrics.k8s.io", "v1beta1", "Current", vec![metrics]),
        json!({"metadata": {"name": "example.com"}, "versions": [
            {"version": "v2", "freshness": "Current", "resources": [resource("webs", "Web")]},
            {"version": "v1", "freshness": "Current", "resources": [resource("webs", "Web")]},
        ]}),
    ];
    Server::serving([vec![group("", "v1", "Current", core)], others])
}

fn start(reader: Reader) -> JoinHandle<Result<Sweep, RequestError>> {
    tokio::spawn(async move { sweep(&reader).await })
}

fn metadata(name: &str) -> Value {
    let mut object = object(name, 3);
    object["kind"] = json!("PartialObjectMetadata");
    object.as_object_mut().unwrap().remove("data");
    object
}

#[tokio::test(start_paused = true)]
async fn the_sweep_lists_what_can_be_ours_by_metadata() {
    let mut server = server();
    let sweeping = start(server.reader());
    let mut paths = BTreeSet::new();
    for _ in 0..3 {
        let asked = server.next().await;
        assert!(asked.header("accept").contains("as=PartialObjectMetadataList"), "{}", asked.header("accept"));
        assert_eq!(asked.query["labelSelector"], format!("driftless.dev%2Finstance%3D{INSTANCE}"));
        paths.insert(asked.path.clone());
        match asked.path.as_str() {
            "/api/v1/configmaps" => asked.json(&page(9, "more", &[metadata("b")])),
            "/api/v1/secrets" => asked.refuse(403, "secrets is forbidden"),
            _ => asked.json(&page(9, "", &[metadata("w")])),
        }
    }
    assert_eq!(
        paths.iter().map(String::as_str).collect::<Vec<_>>(),
        ["/api/v1/configmaps", "/api/v1/secrets", "/apis/example.com/v2/webs"]
    );
    server.expect("/api/v1/configmaps continue=more limit=500").await.json(&page(9, "", &[metadata("a")]));
    let Sweep { found, forbidden } = soon(sweeping).await.unwrap().unwrap();
    assert_eq!(forbidden, [GroupKind::new("", "Secret")]);
    let keys: Vec<_> = found.iter().map(|live| live.key.to_string()).collect();
    assert_eq!(keys, ["/ConfigMap:shop/a", "/ConfigMap:shop/b", "example.com/Web:shop/w"]);
    assert!(
        found.iter().all(|live| live.footprint.is_none() && live.health.is_none() && live.managed_fields.is_none())
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_that_does_not_answer_makes_the_sweep_unknown() {
    let mut server = server();
    server.kinds.lock().unwrap().groups[1].push(group("stale.example.com", "v1", "Stale", vec![]));
    let error = sweep(&server.reader()).await.unwrap_err();
    assert!(matches!(error.reason, RequestErrorReason::Transient { .. }), "{error:?}");
    assert!(error.message.contains("stale.example.com/v1"), "{error:?}");
    assert!(server.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn one_list_that_fails_for_good_makes_the_sweep_fail() {
    let cases: [fn(Asked); 3] = [
        |asked| asked.refuse(503, "etcd is away"),
        |asked| asked.json(&page(9, "", &[json!({"metadata": "hunter2"})])),
        |asked| asked.answer(200, &[], "{\"metadata\":{},\"items\":[{}"),
    ];
    for (index, fail) in cases.into_iter().enumerate() {
        let mut server = server();
        let sweeping = start(server.reader());
        let mut tries = 0;
        while !sweeping.is_finished() {
            tokio::select! {
                asked = server.next() => match asked.path.as_str() {
                    "/api/v1/secrets" => {
                        tries += 1;
                        fail(asked);
                    }
                    _ => asked.json(&page(9, "", &[])),
                },
                () = tokio::time::sleep(std::time::Duration::from_secs(3)) => {}
            }
        }
        let error = sweeping.await.unwrap().unwrap_err();
        assert_eq!(tries, [3, 1, 3][index], "{error:?}");
        assert!(!error.message.contains("hunter2"), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_once_is_tried_again() {
    let mut server = server();
    let sweeping = start(server.reader());
    let mut failed = false;
    for _ in 0..4 {
        let asked = server.next().await;
        if asked.path == "/api/v1/secrets" && !failed {
            failed = true;
            asked.refuse_with(429, &[("retry-after", "2")], "too many requests", json!({}));
        } else {
            asked.json(&page(9, "", &[]));
        }
    }
    assert!(soon(sweeping).await.unwrap().unwrap().found.is_empty());
    assert!(failed);
}
