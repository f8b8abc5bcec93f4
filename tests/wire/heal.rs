//! Healing: blame, the dry run for what nobody explains, removal of what an apply can't undo; and comparing.

use driftless::cluster::apply::{ApplyRequest, apply};
use driftless::engine::effect::{Precondition, Purpose};
use driftless::engine::event::{ApplyOutcome, RequestErrorReason};
use serde_json::{Value, json};

use super::apply::{CM, apply_context, guards, live, request};
use super::script::{Reply, Script, conflict, not_found, status};

fn config_map(purpose: Purpose) -> ApplyRequest {
    let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}, "data": {"x": "1"}});
    let mut request = request(("", "v1", "ConfigMap", "configmaps"), "a", &manifest, purpose);
    request.apply.precondition = Precondition::Exactly { uid: "u1".into(), resource_version: 5 };
    request
}

fn heal(object: &Value) -> Purpose {
    Purpose::Heal { managed_fields: Some(object["metadata"]["managedFields"].to_string().into()) }
}

fn ours(resource_version: u64, x: &str) -> Value {
    live(resource_version, json!({"x": x}), &[("driftless", "Apply", &["x"])])
}

fn stolen() -> Value {
    live(5, json!({"x": "9"}), &[("driftless", "Apply", &[]), ("kubectl-edit", "Update", &["x"])])
}

async fn run(script: &Script, writes: usize, request: ApplyRequest) -> ApplyOutcome {
    apply(&script.client, &apply_context(writes).0, request).await
}

#[tokio::test]
async fn a_field_that_was_taken_is_applied_at_once_with_blame() {
    let script = Script::replies(vec![Reply::Json(200, ours(6, "1"))]);
    let outcome = run(&script, 1, config_map(heal(&stolen()))).await;
    let ApplyOutcome::Applied { live, blame, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(live.resource_version, 6);
    assert_eq!(blame.len(), 1, "{blame:?}");
    assert_eq!(blame[0].manager.as_deref(), Some("kubectl-edit"));
    assert!(!script.requests()[0].is_dry_run());
}

#[tokio::test]
async fn a_missing_object_is_applied_without_further_questions() {
    let script = Script::replies(vec![Reply::Json(201, ours(6, "1"))]);
    let mut request = config_map(Purpose::Heal { managed_fields: None });
    request.apply.precondition = Precondition::Absent;
    let outcome = run(&script, 1, request).await;
    assert!(matches!(outcome, ApplyOutcome::Applied { .. }), "{outcome:?}");
}

#[tokio::test]
async fn managed_fields_that_are_not_at_hand_are_read() {
    let script = Script::replies(vec![Reply::Json(200, stolen()), Reply::Json(200, ours(6, "1"))]);
    let mut request = config_map(Purpose::Heal { managed_fields: None });
    request.apply.precondition = Precondition::Exactly { uid: "u1".into(), resource_version: 5 };
    let outcome = run(&script, 1, request).await;
    let ApplyOutcome::Applied { blame, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(blame[0].manager.as_deref(), Some("kubectl-edit"));
    assert_eq!(script.lines(), [format!("GET {CM}"), format!("PATCH {CM}")]);
}

#[tokio::test]
async fn what_nobody_explains_is_settled_by_a_dry_run_without_a_write() {
    let script = Script::replies(vec![Reply::Json(200, ours(5, "7")), Reply::Json(200, ours(5, "7"))]);
    let outcome = run(&script, 0, config_map(heal(&ours(5, "7")))).await;
    assert!(matches!(&outcome, ApplyOutcome::Compared { live: Some(_), equal: true }), "{outcome:?}");
    assert_eq!(script.lines(), [format!("PATCH {CM}"), format!("GET {CM}")]);
    assert!(script.requests()[0].is_dry_run());
}

#[tokio::test]
async fn what_an_apply_would_change_is_applied_after_the_dry_run() {
    let script = Script::replies(vec![
        Reply::Json(200, ours(5, "1")),
        Reply::Json(200, ours(5, "7")),
        Reply::Json(200, ours(6, "1")),
    ]);
    let outcome = run(&script, 1, config_map(heal(&ours(5, "7")))).await;
    assert!(matches!(&outcome, ApplyOutcome::Applied { blame, .. } if blame.is_empty()), "{outcome:?}");
    let dry: Vec<bool> = script.requests().iter().map(|request| request.is_dry_run()).collect();
    assert_eq!(dry, [true, false, false]);
}

#[tokio::test]
async fn an_object_that_moved_on_is_a_conflict() {
    let script = Script::replies(vec![conflict(), Reply::Json(200, ours(8, "1"))]);
    let outcome = run(&script, 1, config_map(heal(&stolen()))).await;
    assert!(
        matches!(&outcome, ApplyOutcome::Conflict { live: Some(live) } if live.resource_version == 8),
        "{outcome:?}"
    );
}

const SERVICE: &str = "/api/v1/namespaces/shop/services/web";

fn service_request() -> ApplyRequest {
    let manifest = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
    });
    let mut request = request(("", "v1", "Service", "services"), "web", &manifest, heal(&edited(5)));
    request.apply.precondition = Precondition::Exactly { uid: "u1".into(), resource_version: 5 };
    request
}

fn service(resource_version: u64, ports: Value, managed: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": resource_version.to_string(), "managedFields": managed},
        "spec": {"ports": ports},
    })
}

fn entry(manager: &str, operation: &str, fields: Value) -> Value {
    json!({
        "manager": manager, "operation": operation, "apiVersion": "v1", "time": "2026-11-23T10:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:ports": fields}},
    })
}

fn port(port: u16) -> Value {
    json!({(format!("k:{{\"port\":{port},\"protocol\":\"TCP\"}}")): {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}}})
}

/// The Service whose port 80 somebody edited into 8081.
fn edited(resource_version: u64) -> Value {
    let ports = json!([{"name": "http", "port": 8081, "protocol": "TCP"}]);
    service(resource_version, ports, json!([entry("kubectl-edit", "Update", port(8081))]))
}

fn healed(resource_version: u64) -> Value {
    let ports = json!([{"name": "http", "port": 80, "protocol": "TCP"}]);
    service(resource_version, ports, json!([entry("driftless", "Apply", port(80))]))
}

fn duplicate() -> Reply {
    status(
        422,
        "Invalid",
        "Service \"web\" is invalid: spec.ports[1].name: Duplicate value: \"http\"",
        json!({"name": "web", "kind": "Service"}),
    )
}

#[tokio::test]
async fn an_edited_list_key_that_refuses_the_apply_is_removed_once() {
    let script = Script::replies(vec![
        duplicate(),
        Reply::Json(200, edited(5)),
        Reply::Json(200, service(6, json!([]), json!([]))),
        Reply::Json(200, healed(7)),
    ]);
    let outcome = run(&script, 3, service_request()).await;
    let ApplyOutcome::Applied { live, blame, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(live.resource_version, 7);
    // Nobody holds the port that went, and yet it is told who made it go.
    assert_eq!(blame[0].manager.as_deref(), Some("kubectl-edit"), "{blame:?}");
    assert!(blame[0].paths.iter().all(|path| path.starts_with(".spec.ports")), "{blame:?}");
    let patch = format!("PATCH {SERVICE}");
    assert_eq!(script.lines(), [patch.as_str(), &format!("GET {SERVICE}"), &patch, &patch]);
    let sent = script.requests();
    assert!(guards(&sent[2], "u1", 5), "{:?}", sent[2].body);
    let at_ports = |operation: &Value| operation["path"].as_str().unwrap().starts_with("/spec/ports/0");
    assert!(sent[2].body.as_array().unwrap().iter().any(at_ports), "{:?}", sent[2].body);
    assert_eq!(sent[3].body["metadata"]["resourceVersion"], json!("6"));
}

#[tokio::test]
async fn refused_again_is_a_failure_and_not_tried_further() {
    let script = Script::replies(vec![
        duplicate(),
        Reply::Json(200, edited(5)),
        Reply::Json(200, service(6, json!([]), json!([]))),
        duplicate(),
    ]);
    let outcome = run(&script, 9, service_request()).await;
    assert!(
        matches!(&outcome, ApplyOutcome::Failed(error) if error.reason == RequestErrorReason::Invalid),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn nothing_is_removed_from_an_object_that_moved_on_or_behind_the_fence() {
    let script = Script::replies(vec![duplicate(), Reply::Json(200, edited(6)), Reply::Json(200, edited(6))]);
    let outcome = run(&script, 9, service_request()).await;
    assert!(
        matches!(&outcome, ApplyOutcome::Conflict { live: Some(live) } if live.resource_version == 6),
        "{outcome:?}"
    );

    let script = Script::replies(vec![duplicate(), Reply::Json(200, edited(5))]);
    let outcome = run(&script, 1, service_request()).await;
    assert!(matches!(outcome, ApplyOutcome::Fenced), "{outcome:?}");
}

/// A Deployment with these environment variables, each with the value 1; `entries` are (manager, operation, variables).
fn deployment(resource_version: u64, variables: &[&str], entries: &[(&str, &str, &[&str])]) -> Value {
    let env: Vec<Value> = variables.iter().map(|name| json!({"name": name, "value": "1"})).collect();
    let fields = |names: &[&str]| -> Value {
        let variable =
            |name: &&str| (format!("k:{{\"name\":\"{name}\"}}"), json!({".": {}, "f:name": {}, "f:value": {}}));
        let env: serde_json::Map<_, _> = names.iter().map(variable).collect();
        let mut container = json!({".": {}, "f:name": {}});
        if !env.is_empty() {
            container["f:env"] = json!(env);
        }
        let container = json!({"f:containers": {"k:{\"name\":\"c\"}": container}});
        json!({"f:spec": {"f:template": {"f:spec": container}}})
    };
    let entries: Vec<Value> = entries
        .iter()
        .map(|(manager, operation, names)| {
            json!({
                "manager": manager, "operation": operation, "apiVersion": "apps/v1", "time": "2026-11-23T10:00:00Z",
                "fieldsType": "FieldsV1", "fieldsV1": fields(names),
            })
        })
        .collect();
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": resource_version.to_string(),
            "managedFields": entries,
        },
        "spec": {"template": {"spec": {"containers": [{"name": "c", "env": env}]}}},
    })
}

#[tokio::test]
async fn a_twin_that_an_edited_list_key_left_is_removed_after_the_apply() {
    let manifest = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "OURS", "value": "1"}]}]}}},
    });
    let renamed = deployment(5, &["THEIRS"], &[("driftless", "Apply", &[]), ("kubectl-edit", "Update", &["THEIRS"])]);
    let mut request = request(("apps", "v1", "Deployment", "deployments"), "web", &manifest, heal(&renamed));
    request.apply.precondition = Precondition::Exactly { uid: "u1".into(), resource_version: 5 };
    let both = [("driftless", "Apply", &["OURS"][..]), ("kubectl-edit", "Update", &["THEIRS"])];
    let script = Script::replies(vec![
        Reply::Json(200, deployment(6, &["THEIRS", "OURS"], &both)),
        Reply::Json(200, deployment(7, &["OURS"], &both[..1])),
        Reply::Json(200, deployment(8, &["OURS"], &both[..1])),
    ]);
    let outcome = run(&script, 3, request).await;
    assert!(matches!(&outcome, ApplyOutcome::Applied { live, .. } if live.resource_version == 8), "{outcome:?}");
    let sent = script.requests();
    assert!(guards(&sent[1], "u1", 6), "{:?}", sent[1].body);
    assert_eq!(sent[1].content_type.as_deref(), Some("application/json-patch+json"));
    let remove = json!({"op": "remove", "path": "/spec/template/spec/containers/0/env/0"});
    assert!(sent[1].body.as_array().unwrap().contains(&remove), "{:?}", sent[1].body);
}

#[tokio::test]
async fn comparing_looks_at_values_whoever_owns_them() {
    for (value, expected) in [("1", true), ("2", false)] {
        let foreign = live(5, json!({"x": value, "z": "not ours"}), &[("kubectl-create", "Update", &["x", "z"])]);
        let mut would_be = live(5, json!({"x": "1", "z": "not ours"}), &[("driftless", "Apply", &["x"])]);
        // What only our own applies bring is no difference of values.
        would_be["metadata"]["annotations"] = json!({"driftless.dev/manifest": "0123456789abcdef0123456789abcdef"});
        would_be["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"] =
            json!({"f:annotations": {".": {}, "f:driftless.dev/manifest": {}}});
        let script = Script::replies(vec![Reply::Json(200, foreign), Reply::Json(200, would_be)]);
        let mut request = config_map(Purpose::Compare);
        request.apply.epoch = None;
        let outcome = run(&script, 0, request).await;
        let ApplyOutcome::Compared { live: Some(live), equal } = outcome else { panic!("{outcome:?}") };
        assert_eq!((equal, live.footprint), (expected, None));
        let dry: Vec<bool> = script.requests().iter().map(|request| request.is_dry_run()).collect();
        assert_eq!(dry, [false, true]);
    }
}

#[tokio::test]
async fn comparing_with_nothing_is_unequal_and_with_a_moved_object_a_conflict() {
    let script = Script::replies(vec![not_found("configmaps", "a")]);
    let outcome = run(&script, 0, config_map(Purpose::Compare)).await;
    assert!(matches!(outcome, ApplyOutcome::Compared { live: None, equal: false }), "{outcome:?}");
    // Between decision and read, and between read and dry run.
    for before in [6, 5] {
        let mut replies = vec![Reply::Json(200, ours(before, "1"))];
        if before == 5 {
            replies.push(conflict());
        }
        replies.push(Reply::Json(200, ours(6, "1")));
        let script = Script::replies(replies);
        let outcome = run(&script, 0, config_map(Purpose::Compare)).await;
        assert!(matches!(outcome, ApplyOutcome::Conflict { live: Some(_) }), "{outcome:?}");
    }
}
