//! The apply of a sync: its request, its outcomes, conflicts, fencing, leftovers.

use std::sync::{Arc, Mutex};

use driftless::cluster::apply::{ApplyContext, ApplyRequest, apply};
use driftless::cluster::path::ResourcePath;
use driftless::engine::effect::{Apply, ManifestRef, Precondition, Purpose};
use driftless::engine::event::{ApplyOutcome, RequestErrorReason};
use driftless::engine::hash::{Hash, HashKey};
use driftless::engine::ids::{AppKey, Gvk, ObjectKey, RepoKey, Revision};
use serde_json::{Value, json};

use super::script::{EPOCH, Recorded, Reply, Script, conflict, context, not_found, status};

pub(super) const CM: &str = "/api/v1/namespaces/shop/configmaps/a";

/// A context whose fence lets `writes` writes through, and the warnings that were passed.
pub(super) fn apply_context(writes: usize) -> (ApplyContext, Arc<Mutex<Vec<String>>>) {
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let sink = warnings.clone();
    let context = ApplyContext {
        write: context(writes),
        hash_key: HashKey([1; 32]),
        on_warning: Arc::new(move |key, text| sink.lock().unwrap().push(format!("{key} {text}"))),
    };
    (context, warnings)
}

pub(super) fn request(kind: (&str, &str, &str, &str), name: &str, manifest: &Value, purpose: Purpose) -> ApplyRequest {
    let (group, version, kind, plural) = kind;
    let body = manifest.to_string().into_bytes();
    let apply = Apply {
        key: ObjectKey::new(group, kind, "shop", name),
        version: version.into(),
        manifest: ManifestRef {
            hash: Hash::of(&body),
            app: AppKey::new("argocd", "shop"),
            repo: RepoKey("https://example.org/r".into()),
            source: Arc::default(),
            namespace: "shop".into(),
            project: "default".into(),
            revision: Revision::parse("0123456789abcdef0123456789abcdef01234567").unwrap(),
        },
        precondition: Precondition::Absent,
        purpose,
        epoch: Some(EPOCH),
    };
    let resource = ResourcePath { gvk: Gvk::new(group, version, kind), plural: plural.into(), namespaced: true };
    ApplyRequest { apply, resource, manifest: body, previous: None }
}

fn manifest(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}, "data": data})
}

fn config_map(data: Value, purpose: Purpose) -> ApplyRequest {
    request(("", "v1", "ConfigMap", "configmaps"), "a", &manifest(data), purpose)
}

const SYNC: Purpose = Purpose::Sync { previous: None };

/// A ConfigMap as the server shows it: `entries` are (manager, operation, data keys).
pub(super) fn live(resource_version: u64, data: Value, entries: &[(&str, &str, &[&str])]) -> Value {
    let entries: Vec<Value> = entries
        .iter()
        .map(|(manager, operation, keys)| {
            let fields: serde_json::Map<_, _> = keys.iter().map(|key| (format!("f:{key}"), json!({}))).collect();
            let mut set = if fields.is_empty() { json!({}) } else { json!({"f:data": fields}) };
            if (*manager, *operation) == ("driftless", "Apply") {
                set["f:metadata"] = json!({"f:annotations": {"f:driftless.dev/manifest": {}}});
            }
            json!({
                "manager": manager, "operation": operation, "apiVersion": "v1", "time": "2026-11-23T10:00:00Z",
                "fieldsType": "FieldsV1", "fieldsV1": set,
            })
        })
        .collect();
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "a", "namespace": "shop", "uid": "u1", "resourceVersion": resource_version.to_string(),
            "creationTimestamp": "2026-11-23T10:00:00Z", "managedFields": entries,
        },
        "data": data,
    })
}

fn ours(resource_version: u64, data: Value, keys: &[&str]) -> Value {
    live(resource_version, data, &[("driftless", "Apply", keys)])
}

async fn run(script: &Script, writes: usize, request: ApplyRequest) -> ApplyOutcome {
    apply(&script.client, &apply_context(writes).0, request).await
}

#[tokio::test]
async fn an_apply_is_one_forced_patch_with_stamp_and_precondition() {
    let script = Script::replies(vec![Reply::Headers(
        201,
        vec![("warning", "299 - \"deprecated\"")],
        ours(5, json!({"x": "1"}), &["x"]),
    )]);
    let (context, warnings) = apply_context(1);
    let request = config_map(json!({"x": "1"}), SYNC);
    let stamp = request.apply.manifest.hash.to_string();
    let outcome = apply(&script.client, &context, request).await;

    let sent = script.requests().pop().unwrap();
    assert_eq!(sent.line(), format!("PATCH {CM}"));
    assert_eq!(sent.content_type.as_deref(), Some("application/apply-patch+yaml"));
    let query = [("fieldManager", "driftless"), ("force", "true"), ("timeout", "5000ms")];
    assert_eq!(sent.query, query.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    let mut body = manifest(json!({"x": "1"}));
    body["metadata"]["annotations"] = json!({"driftless.dev/manifest": stamp});
    body["metadata"]["resourceVersion"] = json!("1");
    assert_eq!(sent.body, body);

    let ApplyOutcome::Applied { live, blame, leftover } = outcome else { panic!("{outcome:?}") };
    assert_eq!((&*live.uid, live.resource_version, live.footprint.is_some()), ("u1", 5, true));
    assert!(blame.is_empty() && leftover.is_none());
    assert_eq!(*warnings.lock().unwrap(), ["/ConfigMap:shop/a deprecated"]);
}

#[tokio::test]
async fn an_update_carries_uid_and_resource_version() {
    let script = Script::replies(vec![Reply::Json(200, ours(6, json!({"x": "2"}), &["x"]))]);
    let mut request = config_map(json!({"x": "2"}), SYNC);
    request.apply.precondition = Precondition::Exactly { uid: "u1".into(), resource_version: 5 };
    assert!(matches!(run(&script, 1, request).await, ApplyOutcome::Applied { .. }));
    let metadata = &script.requests()[0].body["metadata"];
    assert_eq!((&metadata["uid"], &metadata["resourceVersion"]), (&json!("u1"), &json!("5")));
}

#[tokio::test]
async fn after_a_conflict_the_object_is_read_once() {
    let foreign = live(9, json!({"x": "0"}), &[("kubectl", "Update", &["x"])]);
    let immutable = json!({"name": "a", "causes": [{"field": "metadata.uid", "reason": "FieldValueInvalid"}]});
    let wrong_uid = status(422, "Invalid", "metadata.uid: Invalid value: \"u0\": field is immutable", immutable);
    for refusal in [conflict(), wrong_uid] {
        let script = Script::replies(vec![refusal, Reply::Json(200, foreign.clone())]);
        let outcome = run(&script, 9, config_map(json!({"x": "1"}), SYNC)).await;
        let ApplyOutcome::Conflict { live: Some(live) } = outcome else { panic!("{outcome:?}") };
        assert_eq!((live.resource_version, live.footprint), (9, None));
        assert_eq!(script.lines(), [format!("PATCH {CM}"), format!("GET {CM}")]);
    }
    let script = Script::replies(vec![conflict(), not_found("configmaps", "a")]);
    let outcome = run(&script, 9, config_map(json!({"x": "1"}), SYNC)).await;
    assert!(matches!(outcome, ApplyOutcome::Conflict { live: None }), "{outcome:?}");
}

#[tokio::test]
async fn nothing_is_sent_behind_the_fence_or_without_an_epoch() {
    let script = Script::replies(vec![]);
    assert!(matches!(run(&script, 0, config_map(json!({}), SYNC)).await, ApplyOutcome::Fenced));
    let heal = Purpose::Heal { managed_fields: None };
    assert!(matches!(run(&script, 0, config_map(json!({}), heal)).await, ApplyOutcome::Fenced));
    let mut request = config_map(json!({}), SYNC);
    request.apply.epoch = None;
    assert!(matches!(run(&script, 9, request).await, ApplyOutcome::Fenced));
    assert!(script.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_tried_again_and_a_broken_one_is_not() {
    let taken = Reply::Json(200, ours(6, json!({"x": "1"}), &["x"]));
    let script = Script::replies(vec![Reply::Refused, Reply::Refused, taken]);
    let outcome = run(&script, 1, config_map(json!({"x": "1"}), SYNC)).await;
    assert!(matches!(outcome, ApplyOutcome::Applied { .. }), "{outcome:?}");

    for (replies, count) in [
        (vec![Reply::Refused, Reply::Refused, Reply::Refused], 3),
        (vec![Reply::Broken], 1),
        (vec![Reply::Silence], 1),
        (vec![Reply::Text(200, "no object")], 1),
        (vec![Reply::Text(502, "bad gateway")], 1),
        (vec![status(500, "", "failed calling webhook \"x\"", json!({}))], 1),
    ] {
        let script = Script::replies(replies);
        let outcome = run(&script, 1, config_map(json!({"x": "1"}), SYNC)).await;
        let ApplyOutcome::Failed(error) = outcome else { panic!("{outcome:?}") };
        assert_eq!(error.reason, RequestErrorReason::Transient { retry_after: None }, "{error:?}");
        assert_eq!(script.requests().len(), count);
    }
}

#[tokio::test]
async fn failures_are_sorted_and_quote_no_secret() {
    let table = [
        (status(422, "Invalid", "data: Invalid value: hunter2", json!({"name": "a"})), RequestErrorReason::Invalid),
        (
            status(500, "", "failed to create typed patch object (x): .data: expected map, got &{hunter2}", json!({})),
            RequestErrorReason::Invalid,
        ),
        (status(403, "Forbidden", "secrets \"a\" is forbidden", json!({"name": "a"})), RequestErrorReason::Forbidden),
        (not_found("namespaces", "shop"), RequestErrorReason::NamespaceUnavailable),
        (Reply::Text(404, "404 page not found\n"), RequestErrorReason::UnknownKind),
    ];
    for (reply, reason) in table {
        let script = Script::replies(vec![reply]);
        let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "shop"}, "data": {"p": "aHVudGVyMg=="}});
        let outcome = run(&script, 1, request(("", "v1", "Secret", "secrets"), "a", &manifest, SYNC)).await;
        let shown = format!("{outcome:?}");
        let ApplyOutcome::Failed(error) = outcome else { panic!("{shown}") };
        assert_eq!(error.reason, reason, "{error:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
    }
}

#[tokio::test]
async fn a_name_that_would_change_the_path_is_refused_before_sending() {
    let script = Script::replies(vec![]);
    let mut request = config_map(json!({}), SYNC);
    request.apply.key.name = "a/status".into();
    let outcome = run(&script, 1, request).await;
    assert!(
        matches!(&outcome, ApplyOutcome::Failed(error) if error.reason == RequestErrorReason::Invalid),
        "{outcome:?}"
    );
}

fn sync_with_previous() -> ApplyRequest {
    let previous = Hash::of(b"previous");
    let mut request = config_map(json!({"x": "1"}), Purpose::Sync { previous: Some(previous) });
    request.previous = Some(manifest(json!({"x": "1", "y": "2"})).to_string().into_bytes());
    request
}

#[tokio::test]
async fn what_client_side_apply_left_is_taken_over_and_removed() {
    let csa = ("kubectl-client-side-apply", "Update", &["x", "y"][..]);
    let both = json!({"x": "1", "y": "2"});
    let script = Script::replies(vec![
        Reply::Json(200, live(6, both.clone(), &[("driftless", "Apply", &["x"]), csa])),
        Reply::Json(200, live(7, both, &[("driftless", "Apply", &["x", "y"])])),
        Reply::Json(200, ours(8, json!({"x": "1"}), &["x"])),
    ]);
    let outcome = run(&script, 3, sync_with_previous()).await;
    let ApplyOutcome::Applied { live, leftover, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((live.resource_version, leftover), (8, None));
    let sent = script.requests();
    assert_eq!(sent[1].content_type.as_deref(), Some("application/json-patch+json"));
    assert!(guards(&sent[1], "u1", 6), "{:?}", sent[1].body);
    let metadata = &sent[2].body["metadata"];
    assert_eq!((&metadata["uid"], &metadata["resourceVersion"]), (&json!("u1"), &json!("7")));
}

#[tokio::test]
async fn what_others_own_is_reported_with_its_owner() {
    let script = Script::replies(vec![Reply::Json(
        200,
        live(6, json!({"x": "1", "y": "hunter2"}), &[("driftless", "Apply", &["x"]), ("other", "Update", &["y"])]),
    )]);
    let outcome = run(&script, 3, sync_with_previous()).await;
    let ApplyOutcome::Applied { leftover: Some(text), .. } = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("other") && text.contains(".data.y") && !text.contains("hunter2"), "{text}");
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test]
async fn a_takeover_that_fails_leaves_the_apply_as_it_was() {
    let csa = ("kubectl-client-side-apply", "Update", &["x", "y"][..]);
    let answer = live(6, json!({"x": "1", "y": "2"}), &[("driftless", "Apply", &["x"]), csa]);
    let script = Script::replies(vec![Reply::Json(200, answer.clone()), conflict()]);
    let outcome = run(&script, 3, sync_with_previous()).await;
    assert!(matches!(&outcome, ApplyOutcome::Applied { leftover: Some(_), .. }), "{outcome:?}");
    // A patch that does not fit any more because the object was edited in between.
    let unfit = status(422, "Invalid", "the server rejected our request due to an error in our request", json!({}));
    let moved = live(7, json!({"x": "1"}), &[("driftless", "Apply", &["x"])]);
    let script = Script::replies(vec![Reply::Json(200, answer.clone()), unfit, Reply::Json(200, moved)]);
    let outcome = run(&script, 3, sync_with_previous()).await;
    assert!(
        matches!(&outcome, ApplyOutcome::Applied { leftover: Some(text), .. } if text.contains("changed since")),
        "{outcome:?}"
    );
    // Leadership lost after the first write: the second is not sent.
    let script = Script::replies(vec![Reply::Json(200, answer)]);
    assert!(matches!(run(&script, 1, sync_with_previous()).await, ApplyOutcome::Fenced));
    assert_eq!(script.requests().len(), 1);
}

/// Whether a JSON patch holds only for this uid and resource version.
pub(super) fn guards(request: &Recorded, uid: &str, resource_version: u64) -> bool {
    let has = |operation: Value| request.body.as_array().unwrap().contains(&operation);
    has(json!({"op": "test", "path": "/metadata/uid", "value": uid}))
        && has(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version.to_string()}))
}
