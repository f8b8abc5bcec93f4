//! Deletes: preconditions and outcomes.

use driftless::cluster::delete::delete;
use driftless::cluster::path::ResourcePath;
use driftless::engine::effect::Delete;
use driftless::engine::event::{DeleteOutcome, RequestErrorReason};
use driftless::engine::ids::{AppKey, Gvk, ObjectKey};
use driftless::engine::options::Propagation;
use serde_json::json;

use super::script::{EPOCH, Reply, Script, conflict, context, not_found, status};

async fn run(script: &Script, writes: usize, propagation: Propagation) -> DeleteOutcome {
    let resource =
        ResourcePath { gvk: Gvk::new("apps", "v1", "Deployment"), plural: "deployments".into(), namespaced: true };
    let effect = Delete {
        propagation,
        app: AppKey::new("argocd", "shop"),
        key: ObjectKey::new("apps", "Deployment", "shop", "web"),
        version: "v1".into(),
        uid: "u1".into(),
        resource_version: 5,
        epoch: EPOCH,
    };
    delete(&script.client, &context(writes), &resource, &effect).await
}

#[tokio::test]
async fn a_delete_names_the_very_object_it_means() {
    for (propagation, policy) in [
        (Propagation::default(), "Foreground"),
        (Propagation::Background, "Background"),
        (Propagation::Orphan, "Orphan"),
    ] {
        let script = Script::replies(vec![Reply::Json(200, json!({"kind": "Status", "status": "Success"}))]);
        assert!(matches!(run(&script, 1, propagation).await, DeleteOutcome::Accepted));
        let sent = script.requests().pop().unwrap();
        assert_eq!(sent.line(), "DELETE /apis/apps/v1/namespaces/shop/deployments/web");
        assert_eq!(
            sent.body,
            json!({
                "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy,
                "preconditions": {"uid": "u1", "resourceVersion": "5"},
            })
        );
        assert_eq!(sent.query["timeout"], "5000ms");
    }
}

#[tokio::test]
async fn outcomes_follow_the_answers() {
    type Check = fn(&DeleteOutcome) -> bool;
    let table: Vec<(Reply, Check)> = vec![
        (Reply::Json(202, json!({})), |outcome| matches!(outcome, DeleteOutcome::Accepted)),
        (not_found("deployments", "web"), |outcome| matches!(outcome, DeleteOutcome::NotFound)),
        (conflict(), |outcome| matches!(outcome, DeleteOutcome::Conflict)),
        (
            Reply::Text(404, "404 page not found"),
            |outcome| matches!(outcome, DeleteOutcome::Failed(error) if error.reason == RequestErrorReason::UnknownKind),
        ),
        (
            status(403, "Forbidden", "no", json!({"name": "web"})),
            |outcome| matches!(outcome, DeleteOutcome::Failed(error) if error.reason == RequestErrorReason::Forbidden),
        ),
        (
            Reply::Broken,
            |outcome| matches!(outcome, DeleteOutcome::Failed(error) if matches!(error.reason, RequestErrorReason::Transient { .. })),
        ),
    ];
    for (reply, check) in table {
        let script = Script::replies(vec![reply]);
        let outcome = run(&script, 1, Propagation::Foreground).await;
        assert!(check(&outcome), "{outcome:?}");
    }
}

#[tokio::test]
async fn nothing_is_deleted_behind_the_fence() {
    let script = Script::replies(vec![]);
    assert!(matches!(run(&script, 0, Propagation::Foreground).await, DeleteOutcome::Fenced));
    assert!(script.requests().is_empty());
}
