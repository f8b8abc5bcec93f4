//! The shared key of the keyed hashes.

use driftless::cluster::hash_key::hash_key;
use driftless::engine::event::{RequestError, RequestErrorReason};
use driftless::engine::hash::HashKey;
use serde_json::{Value, json};

use super::script::{Reply, Script, TIMEOUT, not_found, status};

const GET: &str = "GET /api/v1/namespaces/driftless/secrets/driftless-hash-key";
const POST: &str = "POST /api/v1/namespaces/driftless/secrets";
/// 32 times the byte 2.
const TWOS: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

async fn run(script: &Script) -> Result<HashKey, RequestError> {
    hash_key(&script.client, "driftless", TIMEOUT, || [2; 32]).await
}

fn secret(data: Value) -> Reply {
    Reply::Json(200, json!({"metadata": {"name": "driftless-hash-key"}, "data": data}))
}

fn absent() -> Reply {
    not_found("secrets", "driftless-hash-key")
}

#[tokio::test]
async fn an_existing_key_is_read() {
    let script = Script::replies(vec![secret(json!({"key": TWOS}))]);
    assert_eq!(run(&script).await.unwrap(), HashKey([2; 32]));
    assert_eq!(script.lines(), [GET]);
}

#[tokio::test]
async fn a_missing_key_is_made_and_the_loser_of_a_race_reads_the_winners() {
    let script = Script::replies(vec![absent(), Reply::Json(201, json!({}))]);
    assert_eq!(run(&script).await.unwrap(), HashKey([2; 32]));
    assert_eq!(script.lines(), [GET, POST]);
    let body = &script.requests()[1].body;
    assert_eq!((&body["data"]["key"], &body["immutable"]), (&json!(TWOS), &json!(true)));

    let exists = status(409, "AlreadyExists", "secrets \"driftless-hash-key\" already exists", json!({"name": "x"}));
    let ones = secret(json!({"key": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}));
    let script = Script::replies(vec![absent(), exists, ones]);
    assert_eq!(run(&script).await.unwrap(), HashKey([1; 32]));
}

#[tokio::test]
async fn a_secret_without_a_usable_key_is_kept_and_not_quoted() {
    for data in [json!({}), json!({"key": "c2hvcnQ="}), json!({"key": "%%hunter2"}), json!({"other": TWOS})] {
        let script = Script::replies(vec![secret(data)]);
        let error = run(&script).await.unwrap_err();
        assert_eq!(error.reason, RequestErrorReason::Invalid);
        assert!(
            error.message.contains("driftless/driftless-hash-key") && !error.message.contains("hunter2"),
            "{error:?}"
        );
        assert_eq!(script.lines(), [GET]);
    }
}
