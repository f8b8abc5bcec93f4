//! `CreateNamespace=true`.

use driftless::cluster::namespace::ensure_namespace;
use driftless::engine::event::{RequestError, RequestErrorReason};
use serde_json::json;

use super::script::{EPOCH, Reply, Script, context, not_found, status};

const GET: &str = "GET /api/v1/namespaces/shop";
const POST: &str = "POST /api/v1/namespaces";

async fn run(script: &Script, writes: usize) -> Result<(), RequestError> {
    ensure_namespace(&script.client, &context(writes), "shop", EPOCH).await
}

#[tokio::test]
async fn an_existing_namespace_is_only_read() {
    let script =
        Script::replies(vec![Reply::Json(200, json!({"metadata": {"name": "shop"}, "status": {"phase": "Active"}}))]);
    run(&script, 0).await.unwrap();
    assert_eq!(script.lines(), [GET]);
}

#[tokio::test]
async fn a_missing_namespace_is_created_and_losing_the_race_is_fine() {
    let exists = status(
        409,
        "AlreadyExists",
        "namespaces \"shop\" already exists",
        json!({"name": "shop", "kind": "namespaces"}),
    );
    for created in [Reply::Json(201, json!({})), exists] {
        let script = Script::replies(vec![not_found("namespaces", "shop"), created]);
        run(&script, 1).await.unwrap();
        assert_eq!(script.lines(), [GET, POST]);
        assert_eq!(
            script.requests()[1].body,
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        );
    }
}

#[tokio::test]
async fn a_terminating_namespace_is_waited_for() {
    let script = Script::replies(vec![Reply::Json(200, json!({"status": {"phase": "Terminating"}}))]);
    assert_eq!(run(&script, 1).await.unwrap_err().reason, RequestErrorReason::NamespaceUnavailable);
}

#[tokio::test]
async fn nothing_is_created_behind_the_fence() {
    let script = Script::replies(vec![not_found("namespaces", "shop")]);
    assert_eq!(run(&script, 0).await.unwrap_err().reason, RequestErrorReason::Transient { retry_after: None });
    assert_eq!(script.lines(), [GET]);
}
