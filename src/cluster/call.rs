//! One request to the API server: its parts, its time limit, and its answer, decoded by us from its bytes, because kube
//! logs the text of an answer that it can't decode.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error;
use super::path::encode;
use crate::engine::event::{RequestError, RequestErrorReason};
use crate::engine::names::FIELD_MANAGER;

/// Largest answer that is read, in bytes: well above the largest object that etcd takes (1.5 MB).
const MAX_ANSWER: usize = 16 << 20;
/// How often a request is tried whose connection was refused, so that nothing of it was sent.
const MAX_TRIES: u32 = 3;
/// Wait before the second try; doubled for the third.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// JSON patch (RFC 6902).
pub(super) const JSON_PATCH: &str = "application/json-patch+json";
/// Server-side apply. The body is JSON, which is YAML.
pub(super) const APPLY_PATCH: &str = "application/apply-patch+yaml";
/// A whole object.
pub(super) const JSON: &str = "application/json";

/// A request to be sent.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) content_type: &'static str,
    pub(super) body: Vec<u8>,
    /// Longest time for the whole call, tries included.
    pub(super) timeout: Duration,
    /// The object is a Secret: messages are masked.
    pub(super) is_secret: bool,
}

impl Call {
    /// A GET.
    pub(super) fn get(path: String, timeout: Duration) -> Self {
        Self::new(Method::GET, path, timeout)
    }

    /// A request without a body.
    pub(super) fn new(method: Method, path: String, timeout: Duration) -> Self {
        Self { method, path, query: Vec::new(), content_type: JSON, body: Vec::new(), timeout, is_secret: false }
    }

    /// A JSON patch by our field manager.
    pub(super) fn json_patch(path: String, patch: &Value, timeout: Duration) -> Self {
        Self::new(Method::PATCH, path, timeout)
            .with_body(JSON_PATCH, patch.to_string().into_bytes())
            .with_query("fieldManager", FIELD_MANAGER)
    }

    /// Adds a query parameter.
    pub(super) fn with_query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Sets the body.
    pub(super) fn with_body(mut self, content_type: &'static str, body: Vec<u8>) -> Self {
        self.content_type = content_type;
        self.body = body;
        self
    }

    /// Marks the object as a Secret.
    pub(super) fn secret(mut self, is_secret: bool) -> Self {
        self.is_secret = is_secret;
        self
    }

    fn uri(&self) -> String {
        let mut uri = self.path.clone();
        let mut separator = '?';
        for (name, value) in &self.query {
            uri.push(separator);
            separator = '&';
            uri.push_str(name);
            uri.push('=');
            uri.push_str(&encode(value));
        }
        // Reads and writes alike: what the client has given up on should not go on at the server.
        let millis = self.timeout.as_millis().max(1);
        uri.push_str(&format!("{separator}timeout={millis}ms"));
        uri
    }

    fn request(&self) -> Result<http::Request<Body>, RequestError> {
        let mut builder = http::Request::builder().method(self.method.clone()).uri(self.uri());
        builder = builder.header(header::ACCEPT, JSON);
        if !self.body.is_empty() {
            builder = builder.header(header::CONTENT_TYPE, self.content_type);
        }
        builder.body(Body::from(self.body.clone())).map_err(|error| error::invalid(format!("no such request: {error}")))
    }
}

/// A successful answer.
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// Texts of the `Warning` headers.
    pub(super) warnings: Vec<String>,
}

impl Answer {
    /// The body as JSON.
    pub(super) fn value(&self) -> Result<Value, RequestError> {
        serde_json::from_slice(&self.body).map_err(|error| error::unreadable(&position(&error)))
    }

    /// Uid and resource version of the object in the body.
    pub(super) fn version(&self) -> Result<Version, RequestError> {
        Version::read(&self.body)
    }
}

/// Which state of which object an answer shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) uid: Arc<str>,
    pub(super) resource_version: u64,
}

impl Version {
    /// Reads the metadata of an object's JSON text; the rest is skipped over.
    pub(super) fn read(body: &[u8]) -> Result<Self, RequestError> {
        #[derive(Deserialize)]
        struct Object {
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            uid: Arc<str>,
            resource_version: String,
        }
        let object: Object = serde_json::from_slice(body).map_err(|error| error::unreadable(&position(&error)))?;
        let resource_version = object.metadata.resource_version.parse();
        let resource_version = resource_version.map_err(|_| error::unreadable("its resourceVersion is no number"))?;
        Ok(Self { uid: object.metadata.uid, resource_version })
    }

    /// A JSON patch that holds only for the object in exactly this state: replacing the resource version by the same one
    /// makes it a precondition (409, measured). Through a subresource the API server ignores a uid that is replaced, so
    /// that is tested.
    pub(super) fn guard(&self, operations: Vec<Value>) -> Value {
        let mut patch = vec![
            json!({"op": "test", "path": "/metadata/uid", "value": self.uid}),
            json!({"op": "replace", "path": "/metadata/resourceVersion", "value": self.resource_version.to_string()}),
        ];
        patch.extend(operations);
        Value::Array(patch)
    }
}

/// Where JSON text is wrong, without the text itself: serde's messages quote what they could not read.
fn position(error: &serde_json::Error) -> String {
    format!("unexpected JSON in line {}, column {}", error.line(), error.column())
}

/// Sends a request. An answer other than 2xx is an error, sorted by [`error::classify`].
///
/// A connection that was refused is tried again a few times within the call's time limit, because nothing was sent; any
/// other failure is left to the caller: a write may have been carried out. The client must be without kube's own retries.
pub(super) async fn send(client: &Client, call: &Call) -> Result<Answer, RequestError> {
    let exchange = async {
        let (status, headers, body) = exchange(client, call).await?;
        if !status.is_success() {
            return Err(error::classify(status, &headers, &body, call.is_secret));
        }
        Ok(Answer { body, warnings: error::warnings(&headers, call.is_secret) })
    };
    match tokio::time::timeout(call.timeout, exchange).await {
        Ok(result) => result,
        Err(_) => Err(error::unanswered(&format!("nothing came within {:?}", call.timeout))),
    }
}

/// Sends a JSON patch that is guarded by `version`, of the object at `object`. A patch that does not fit any more (what it
/// tests or removes is gone) is refused with 422 before the guard is looked at: if the object is not in that state, the
/// error is a `Conflict` all the same.
pub(super) async fn send_patch(
    client: &Client,
    call: &Call,
    object: &str,
    version: &Version,
) -> Result<Answer, RequestError> {
    let refused = match send(client, call).await {
        Err(error) if error.reason == RequestErrorReason::Invalid => error,
        result => return result,
    };
    let now = send(client, &Call::get(object.to_owned(), call.timeout).secret(call.is_secret)).await;
    let moved = match now {
        Ok(answer) => answer.version().is_ok_and(|now| now != *version),
        Err(error) => error.reason == RequestErrorReason::NotFound,
    };
    Err(if moved { error::moved() } else { refused })
}

async fn exchange(client: &Client, call: &Call) -> Result<(StatusCode, HeaderMap, Vec<u8>), RequestError> {
    let mut tries = 1;
    let response = loop {
        match client.send(call.request()?).await {
            Ok(response) => break response,
            Err(error) if tries < MAX_TRIES && was_refused(&error) => {
                tokio::time::sleep(RETRY_DELAY * tries).await;
                tries += 1;
            }
            Err(error) => return Err(error::unanswered(&chain(&error))),
        }
    };
    let (parts, body) = response.into_parts();
    match Limited::new(body, MAX_ANSWER).collect().await {
        Ok(collected) => Ok((parts.status, parts.headers, collected.to_bytes().to_vec())),
        Err(error) => Err(error::unanswered(&chain(error.as_ref()))),
    }
}

/// Whether nobody listened: the one failure that is known to be from before anything was sent.
fn was_refused(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            return true;
        }
        next = error.source();
    }
    false
}

/// An error with its causes, in one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_carry_the_query_and_the_time_limit() {
        let call = Call::get("/api/v1/pods".to_owned(), Duration::from_secs(5)).with_query("fieldSelector", "a=b,c");
        assert_eq!(call.uri(), "/api/v1/pods?fieldSelector=a%3Db%2Cc&timeout=5000ms");
        assert_eq!(Call::get("/x".to_owned(), Duration::ZERO).uri(), "/x?timeout=1ms");
    }

    #[test]
    fn errors_of_unreadable_answers_quote_nothing() {
        let answer = Answer { body: br#"{"metadata": hunter2"#.to_vec(), warnings: Vec::new() };
        let shown = format!("{:?} {:?}", answer.value().unwrap_err(), answer.version().unwrap_err());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
