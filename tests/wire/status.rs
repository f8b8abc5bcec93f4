//! Writes of an Application.

use driftless::cluster::status::write_application;
use driftless::engine::application::{REFRESH, RESOURCES_FINALIZER};
use driftless::engine::effect::WriteApplication;
use driftless::engine::event::{RequestError, RequestErrorReason};
use driftless::engine::ids::AppKey;
use driftless::engine::status::ApplicationStatus;
use serde_json::{Value, json};

use super::script::{EPOCH, Reply, Script, conflict, context, status};

const APP: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/shop";

fn write() -> WriteApplication {
    WriteApplication {
        app: AppKey::new("argocd", "shop"),
        request: 1,
        uid: "u1".to_owned(),
        resource_version: 5,
        status: None,
        clear_operation: false,
        remove_annotation: None,
        remove_finalizers: false,
        reread: false,
        epoch: EPOCH,
    }
}

fn app(resource_version: u64, finalizers: &[&str]) -> Reply {
    Reply::Json(
        200,
        json!({"metadata": {"uid": "u1", "resourceVersion": resource_version.to_string(), "finalizers": finalizers}}),
    )
}

async fn run(script: &Script, writes: usize, subresource: bool, write: &WriteApplication) -> Result<u64, RequestError> {
    write_application(&script.client, &context(writes), subresource, write).await
}

fn guarded(resource_version: &str, operations: Vec<Value>) -> Value {
    let mut patch = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": "u1"}),
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version}),
    ];
    patch.extend(operations);
    Value::Array(patch)
}

fn everything() -> (WriteApplication, Value, [Value; 2]) {
    let status = ApplicationStatus { source_type: Some("Directory".to_owned()), ..ApplicationStatus::default() };
    let value = serde_json::to_value(&status).unwrap();
    let write = WriteApplication {
        status: Some(Box::new(status)),
        clear_operation: true,
        remove_annotation: Some(REFRESH),
        ..write()
    };
    let rest = [
        json!({"op": "remove", "path": "/operation"}),
        json!({"op": "remove", "path": "/metadata/annotations/argocd.argoproj.io~1refresh"}),
    ];
    (write, json!({"op": "add", "path": "/status", "value": value}), rest)
}

#[tokio::test]
async fn without_a_status_subresource_everything_is_one_patch() {
    let (write, status, rest) = everything();
    let script = Script::replies(vec![app(6, &[])]);
    assert_eq!(run(&script, 1, false, &write).await, Ok(6));
    let sent = script.requests().pop().unwrap();
    assert_eq!(sent.line(), format!("PATCH {APP}"));
    assert_eq!(sent.content_type.as_deref(), Some("application/json-patch+json"));
    assert_eq!(sent.query["fieldManager"], "driftless");
    let [operation, annotation] = rest;
    assert_eq!(sent.body, guarded("5", vec![status, operation, annotation]));
}

#[tokio::test]
async fn with_a_status_subresource_the_status_goes_first() {
    let (write, status, rest) = everything();
    let script = Script::replies(vec![app(6, &[]), app(7, &[])]);
    assert_eq!(run(&script, 2, true, &write).await, Ok(7));
    assert_eq!(script.lines(), [format!("PATCH {APP}/status"), format!("PATCH {APP}")]);
    let sent = script.requests();
    assert_eq!(sent[0].body, guarded("5", vec![status]));
    assert_eq!(sent[1].body, guarded("6", rest.to_vec()));

    // The second write is fenced by itself.
    let script = Script::replies(vec![app(6, &[])]);
    assert!(run(&script, 1, true, &write).await.is_err());
    let only_rest = WriteApplication { status: None, ..write };
    let script = Script::replies(vec![app(6, &[])]);
    assert_eq!(run(&script, 1, true, &only_rest).await, Ok(6));
    assert_eq!(script.lines(), [format!("PATCH {APP}")]);
}

#[tokio::test]
async fn only_our_finalizers_are_removed_and_only_of_the_version_that_was_seen() {
    let background = "resources-finalizer.argocd.argoproj.io/background";
    let write = WriteApplication { remove_finalizers: true, ..write() };
    let script =
        Script::replies(vec![app(5, &["a.example/x", RESOURCES_FINALIZER, background, "b.example/y"]), app(6, &[])]);
    assert_eq!(run(&script, 1, true, &write).await, Ok(6));
    assert_eq!(script.lines(), [format!("GET {APP}"), format!("PATCH {APP}")]);
    let replace = json!({"op": "replace", "path": "/metadata/finalizers", "value": ["a.example/x", "b.example/y"]});
    assert_eq!(script.requests()[1].body, guarded("5", vec![replace]));

    let script = Script::replies(vec![app(6, &[RESOURCES_FINALIZER])]);
    assert_eq!(run(&script, 1, true, &write).await.unwrap_err().reason, RequestErrorReason::Conflict);
    let script = Script::replies(vec![app(5, &["a.example/x"])]);
    assert_eq!(run(&script, 1, true, &write).await, Ok(5));
}

#[tokio::test]
async fn races_are_conflicts_even_where_the_patch_does_not_fit_any_more() {
    let (write, ..) = everything();
    let script = Script::replies(vec![conflict()]);
    assert_eq!(run(&script, 1, false, &write).await.unwrap_err().reason, RequestErrorReason::Conflict);

    let unfit = || status(422, "Invalid", "the server rejected our request due to an error in our request", json!({}));
    let script = Script::replies(vec![unfit(), app(9, &[])]);
    assert_eq!(run(&script, 1, false, &write).await.unwrap_err().reason, RequestErrorReason::Conflict);
    let script = Script::replies(vec![unfit(), app(5, &[])]);
    assert_eq!(run(&script, 1, false, &write).await.unwrap_err().reason, RequestErrorReason::Invalid);
}

#[tokio::test]
async fn nothing_is_written_behind_the_fence() {
    let (write, ..) = everything();
    let script = Script::replies(vec![]);
    assert!(run(&script, 0, false, &write).await.is_err());
    assert!(script.requests().is_empty());
}
