//! Sending reads and sorting their failures. Nothing here logs or keeps the text of an answer.

use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use kube::core::Status;

use crate::engine::event::{RequestError, RequestErrorReason};
use crate::engine::redact;

/// Plain JSON.
pub(super) const JSON: &str = "application/json";
/// Only the metadata of a list's objects.
pub(super) const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// How long the head of an answer, or the next piece of a body that is not a watch, may take. Longer than the API
/// server's own limit of 60 s for a request, so that its answer is seen.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(70);
/// Longest body of a refusal that is read.
const MAX_REFUSAL: usize = 64 * 1024;

/// A read that did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// HTTP status, or that of the `Status` object in a stream; `None`: there was no answer.
    pub(super) code: Option<u16>,
    /// The server said that the resource version lies in its future: its history was replaced by an older one.
    pub(super) ahead: bool,
    /// For the engine.
    pub(super) error: RequestError,
}

impl Refusal {
    /// There was no answer, or it broke off.
    pub(super) fn broken(what: &str, why: &str) -> Self {
        let error = RequestError {
            reason: RequestErrorReason::Transient { retry_after: None },
            message: redact::truncate(format!("{what}: {why}")),
        };
        Self { code: None, ahead: false, error }
    }

    /// The position of the reader is too old for the server.
    pub(super) fn gone(&self) -> bool {
        self.code == Some(410)
    }
}

/// An answer with status 200 (or 304, which has no body).
pub(super) struct Answer {
    /// 200 or 304.
    pub(super) status: StatusCode,
    /// `ETag`, if there is one.
    pub(super) etag: Option<HeaderValue>,
    /// The body, not yet read.
    pub(super) body: Body,
}

/// Sends a GET. `what` says what it is for and begins every error's message.
pub(super) async fn get(client: &Client, what: &str, path: &str, accept: &'static str) -> Result<Answer, Refusal> {
    get_if_changed(client, what, path, accept, None).await
}

/// Sends a GET that is answered by 304 if what is there still has the tag `known`.
pub(super) async fn get_if_changed(
    client: &Client,
    what: &str,
    path: &str,
    accept: &'static str,
    known: Option<HeaderValue>,
) -> Result<Answer, Refusal> {
    // No compression: since 1.37 API servers compress each event of a watch on its own, which common decoders misread.
    let mut request = Request::get(path).header(ACCEPT, accept).header(ACCEPT_ENCODING, "identity");
    if let Some(known) = known {
        request = request.header(IF_NONE_MATCH, known);
    }
    let request = request.body(Body::empty()).map_err(|error| Refusal::broken(what, &error.to_string()))?;
    let answer = match tokio::time::timeout(ANSWER_TIMEOUT, client.send(request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(Refusal::broken(what, &causes(&error))),
        Err(_) => return Err(Refusal::broken(what, "no answer in time; is the API server reachable?")),
    };
    let status = answer.status();
    if status == StatusCode::OK || status == StatusCode::NOT_MODIFIED {
        let etag = answer.headers().get(ETAG).cloned();
        return Ok(Answer { status, etag, body: answer.into_body() });
    }
    let wish = retry_after(answer.headers());
    // A refusal whose text breaks off still is a refusal.
    let text = collect(what, answer.into_body(), MAX_REFUSAL).await.unwrap_or_default();
    Err(refused(what, status.as_u16(), serde_json::from_slice(&text).ok(), wish))
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn collect(what: &str, mut body: Body, limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    while read(what, &mut body, ANSWER_TIMEOUT, &mut bytes).await? {
        if bytes.len() > limit {
            let error = RequestError {
                reason: RequestErrorReason::Invalid,
                message: format!("{what}: the answer is larger than {limit} bytes"),
            };
            return Err(Refusal { code: None, ahead: false, error });
        }
    }
    Ok(bytes)
}

/// Appends the next piece of a body to `bytes`; `false` at its end. An error if nothing arrives for `patience`.
pub(super) async fn read(
    what: &str,
    body: &mut Body,
    patience: Duration,
    bytes: &mut Vec<u8>,
) -> Result<bool, Refusal> {
    loop {
        match tokio::time::timeout(patience, body.frame()).await {
            Ok(None) => return Ok(false),
            Ok(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    bytes.extend_from_slice(data);
                    return Ok(true);
                }
            }
            Ok(Some(Err(error))) => return Err(Refusal::broken(what, &causes(&error))),
            Err(_) => return Err(Refusal::broken(what, "nothing arrived in time")),
        }
    }
}

/// A refusal from the API server's `Status`, or from the bare HTTP status where a proxy or the mux answered.
pub(super) fn refused(what: &str, code: u16, status: Option<Status>, wish: Option<Duration>) -> Refusal {
    let status = status.unwrap_or_default();
    let details = status.details.as_ref();
    let named = details.is_some_and(|details| !details.name.is_empty());
    let wish = wish.or_else(|| {
        let seconds = details.map_or(0, |details| details.retry_after_seconds);
        (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
    });
    let reason = match code {
        401 | 403 => RequestErrorReason::Forbidden,
        404 if named => RequestErrorReason::NotFound,
        404 => RequestErrorReason::UnknownKind,
        409 => RequestErrorReason::Conflict,
        408 | 410 | 429 | 500.. => RequestErrorReason::Transient { retry_after: wish },
        _ => RequestErrorReason::Invalid,
    };
    let ahead = details.is_some_and(|details| details.causes.iter().any(|c| c.reason == "ResourceVersionTooLarge"))
        || status.message.contains("Too large resource version");
    let text = if status.message.is_empty() { "no further message" } else { &status.message };
    // A read carries no values that its refusal could quote.
    let message = redact::server_message(&format!("{what}: {text} (HTTP {code})"), false);
    Refusal { code: Some(code), ahead, error: RequestError { reason, message } }
}

/// `Retry-After` in seconds; the API server sends no dates.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The messages of an error and of what caused it. Transport errors name addresses and reasons, never a body.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    const MAX_CAUSES: usize = 8;
    let mut text = error.to_string();
    let mut cause = error.source();
    for _ in 0..MAX_CAUSES {
        let Some(error) = cause else { break };
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// `text` as one segment of a URL's path, or of a query's value.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn refusals_are_sorted_by_what_they_ask_of_the_caller() {
        use RequestErrorReason as R;
        let status = |details| serde_json::from_value(json!({"message": "m", "details": details})).ok();
        let wish = Some(Duration::from_secs(3));
        let cases = [
            (401, None, None, R::Forbidden),
            (403, None, None, R::Forbidden),
            (404, None, None, R::UnknownKind),
            (404, status(json!({"name": "x", "kind": "configmaps"})), None, R::NotFound),
            (409, None, None, R::Conflict),
            (410, None, None, R::Transient { retry_after: None }),
            (429, None, wish, R::Transient { retry_after: wish }),
            (429, status(json!({"retryAfterSeconds": 3})), None, R::Transient { retry_after: wish }),
            (503, None, None, R::Transient { retry_after: None }),
            (400, None, None, R::Invalid),
            (405, None, None, R::Invalid),
        ];
        for (code, status, wish, reason) in cases {
            let refusal = refused("listing ConfigMap", code, status, wish);
            assert_eq!(refusal.error.reason, reason, "{code}");
            assert!(refusal.error.message.starts_with("listing ConfigMap: "), "{}", refusal.error.message);
        }
    }

    #[test]
    fn a_version_of_the_future_is_recognized() {
        let status =
            json!({"code": 504, "details": {"causes": [{"reason": "ResourceVersionTooLarge", "message": "x"}]}});
        assert!(refused("w", 504, serde_json::from_value(status).ok(), None).ahead);
        assert!(!refused("w", 504, None, None).ahead);
    }

    #[test]
    fn segments_are_encoded() {
        assert_eq!(encode("system:node"), "system:node");
        assert_eq!(encode("a/b?c=ü"), "a%2Fb%3Fc%3D%C3%BC");
    }
}
