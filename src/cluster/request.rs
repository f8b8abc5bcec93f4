//! Sending reads and sorting their failures. Nothing here logs or keeps the text of an answer.

use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use kube::core::Status;

use super::error;
use crate::engine::event::RequestError;
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
        let error = error::unanswered(why);
        Self::from(RequestError { message: redact::truncate(format!("{what}: {}", error.message)), ..error })
    }

    /// The position of the reader is too old for the server.
    pub(super) fn gone(&self) -> bool {
        self.code == Some(410)
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        Self { code: None, ahead: false, error }
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
    let (parts, body) = answer.into_parts();
    // A refusal whose text breaks off still is a refusal.
    let text = collect(what, body, MAX_REFUSAL).await.unwrap_or_default();
    Err(refused(what, status, &parts.headers, &text))
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn collect(what: &str, mut body: Body, limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    while read(what, &mut body, ANSWER_TIMEOUT, &mut bytes).await? {
        if bytes.len() > limit {
            return Err(error::invalid(format!("{what}: the answer is larger than {limit} bytes")).into());
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

/// The refusal that an answer other than 200 is. Reads carry no values that its message could quote.
fn refused(what: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Refusal {
    let error = error::classify(status, headers, body, false);
    let Status { details, message, .. } = serde_json::from_slice(body).unwrap_or_default();
    let ahead = details.is_some_and(|details| details.causes.iter().any(|c| c.reason == "ResourceVersionTooLarge"))
        || message.contains("Too large resource version");
    let message = redact::truncate(format!("{what}: {}", error.message));
    Refusal { code: Some(status.as_u16()), ahead, error: RequestError { message, ..error } }
}

/// The refusal that an `ERROR` event of a watch is: its object is a `Status`.
pub(super) fn refused_in_stream(what: &str, status: &[u8]) -> Refusal {
    let Status { code, .. } = serde_json::from_slice(status).unwrap_or_default();
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    refused(what, code, &HeaderMap::new(), status)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::RequestErrorReason;

    #[test]
    fn refusals_keep_the_code_and_say_what_for() {
        for (code, reason) in [
            (403, RequestErrorReason::Forbidden),
            (404, RequestErrorReason::UnknownKind),
            (410, RequestErrorReason::Transient { retry_after: None }),
        ] {
            let refusal = refused("listing ConfigMap", StatusCode::from_u16(code).unwrap(), &HeaderMap::new(), b"");
            assert_eq!((refusal.code, refusal.error.reason, refusal.ahead), (Some(code), reason, false));
            assert!(refusal.error.message.starts_with("listing ConfigMap: "), "{}", refusal.error.message);
        }
    }

    #[test]
    fn a_status_in_a_stream_is_a_refusal() {
        let refusal = refused_in_stream("w", br#"{"kind":"Status","message":"too old resource version","code":410}"#);
        assert!(refusal.gone() && refusal.error.message.contains("too old"));
        let ahead = br#"{"kind":"Status","code":504,"details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"x"}]}}"#;
        assert!(refused_in_stream("w", ahead).ahead);
        assert_eq!(refused_in_stream("w", b"5").code, Some(500));
    }
}
