//! The key of the keyed hashes that are taken of Secrets: a Secret of the agent's namespace, shared by its replicas.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use kube::Client;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

use super::call::{Call, JSON, send};
use super::error;
use super::path::ResourcePath;
use crate::engine::event::{RequestError, RequestErrorReason};
use crate::engine::hash::HashKey;
use crate::engine::names::FIELD_MANAGER;

/// Name of the Secret.
pub const SECRET_NAME: &str = "driftless-hash-key";
/// Its one entry.
const ENTRY: &str = "key";
/// How often a Secret that appears and disappears is tried for.
const MAX_TRIES: u32 = 3;

/// Reads the hash key from the Secret [`SECRET_NAME`] in `namespace`, and makes it of 32 random bytes from `random` if
/// there is none. Of replicas that do so at once one wins, and the others read what it made.
///
/// A Secret without a usable key is an error that says what to do: another key makes every hash of a Secret that any
/// replica holds worthless, so it is never replaced silently.
pub async fn hash_key(
    client: &Client,
    namespace: &str,
    timeout: Duration,
    random: impl Fn() -> [u8; 32],
) -> Result<HashKey, RequestError> {
    let resource = ResourcePath::core("Secret", "secrets", true);
    let get = Call::get(resource.object(namespace, SECRET_NAME)?, timeout).secret(true);
    let mut lost = error::unanswered("nothing was asked");
    for _ in 0..MAX_TRIES {
        match send(client, &get).await {
            Ok(answer) => return read(namespace, &answer.body),
            Err(error) if error.reason == RequestErrorReason::NotFound => {}
            Err(error) => return Err(error),
        }
        let fresh = random();
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET_NAME, "labels": {"app.kubernetes.io/name": "driftless"}},
            "type": "Opaque",
            "immutable": true,
            "data": {ENTRY: STANDARD.encode(fresh)},
        });
        let create = Call::new(Method::POST, resource.collection(namespace)?, timeout)
            .with_query("fieldManager", FIELD_MANAGER)
            .with_body(JSON, secret.to_string().into_bytes())
            .secret(true);
        match send(client, &create).await {
            Ok(_) => return Ok(HashKey(fresh)),
            Err(error) if error.reason == RequestErrorReason::Conflict => lost = error,
            Err(error) => return Err(error),
        }
    }
    Err(lost)
}

fn read(namespace: &str, body: &[u8]) -> Result<HashKey, RequestError> {
    #[derive(Deserialize)]
    struct Secret {
        #[serde(default)]
        data: Data,
    }
    #[derive(Default, Deserialize)]
    struct Data {
        key: Option<String>,
    }
    let secret: Secret = serde_json::from_slice(body).map_err(|_| error::unreadable("it is no Secret"))?;
    let bytes = secret.data.key.and_then(|text| STANDARD.decode(text.trim()).ok());
    let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(HashKey).ok_or_else(|| {
        error::invalid(format!(
            "Secret {namespace}/{SECRET_NAME} has no entry `{ENTRY}` of 32 bytes: restore it, or delete it and restart every replica"
        ))
    })
}
