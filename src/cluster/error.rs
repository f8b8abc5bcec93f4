//! From an answer of the API server to what it asks of the caller. The table was measured (kube-apiserver 1.36 and 1.37).

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::engine::event::{RequestError, RequestErrorReason as Reason};
use crate::engine::redact;

/// Longest wait that a `Retry-After` can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
/// How much of an answer that is no `Status` is shown, in bytes.
const MAX_PLAIN_TEXT: usize = 200;

/// `metav1.Status`, in the part that decides. Everything is optional: proxies answer in their own words.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    kind: String,
    message: String,
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    kind: String,
    name: String,
    causes: Vec<Cause>,
    retry_after_seconds: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: String,
    field: String,
}

/// What an answer without success asks of the caller. `is_secret`: the request is about a Secret, whose values the
/// message may quote.
pub(super) fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8], is_secret: bool) -> RequestError {
    let parsed = serde_json::from_slice::<Status>(body).ok().filter(|status| status.kind == "Status");
    let plain = parsed.is_none();
    let parsed = parsed.unwrap_or_default();
    let details = parsed.details.unwrap_or_default();
    let reason = match status.as_u16() {
        500 if is_manifest_at_fault(&parsed.message) => Reason::Invalid,
        401 => Reason::Forbidden,
        403 if is_terminating(&details, &parsed.message) => Reason::NamespaceUnavailable,
        403 => Reason::Forbidden,
        404 if details.kind == "namespaces" => Reason::NamespaceUnavailable,
        404 if plain || details.name.is_empty() => Reason::UnknownKind,
        404 => Reason::NotFound,
        409 => Reason::Conflict,
        // The uid of our bodies and patches is a precondition; on an object that exists its failure is told like this.
        422 if details.causes.iter().any(|cause| cause.field == "metadata.uid") => Reason::Conflict,
        408 | 410 | 429 | 500.. => Reason::Transient { retry_after: retry_after(headers, &details) },
        400.. => Reason::Invalid,
        _ => Reason::Transient { retry_after: None },
    };
    let said = if plain { plain_text(body) } else { parsed.message };
    let said = redact::server_message(said.trim(), is_secret || plain);
    RequestError { reason, message: redact::truncate(sentence(status, reason, &said)) }
}

/// The error of a request that got no answer: the connection failed, or the time was over. A write may have been carried
/// out all the same.
pub(super) fn unanswered(why: &str) -> RequestError {
    RequestError {
        reason: Reason::Transient { retry_after: None },
        message: redact::truncate(format!("no answer from the API server: {why}")),
    }
}

/// The error of an answer that was a success and can't be read. A write was carried out.
pub(super) fn unreadable(what: &str) -> RequestError {
    RequestError {
        reason: Reason::Transient { retry_after: None },
        message: redact::truncate(format!("the API server's answer can't be read: {what}")),
    }
}

/// The error of a request that is not worth sending.
pub(super) fn invalid(message: String) -> RequestError {
    RequestError { reason: Reason::Invalid, message: redact::truncate(message) }
}

/// A manifest that does not fit the schema (unknown field, wrong type, duplicate list key), or whose values can't be read
/// (base64 of a Secret, a quantity), is answered like a fault of the server, and will be for ever.
fn is_manifest_at_fault(message: &str) -> bool {
    message.starts_with("failed to create typed patch object") || message.starts_with("failed to convert new object")
}

/// The error of a write whose object changed after the decision was made.
pub(super) fn moved() -> RequestError {
    RequestError { reason: Reason::Conflict, message: "the object changed since it was looked at".to_owned() }
}

fn is_terminating(details: &Details, message: &str) -> bool {
    details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating") || message.contains("being terminated")
}

fn retry_after(headers: &HeaderMap, details: &Details) -> Option<Duration> {
    let header = headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = header
        .and_then(|text| text.trim().parse::<u64>().ok())
        .or_else(|| (details.retry_after_seconds > 0).then_some(details.retry_after_seconds))?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// First line of an answer that is no `Status`: a proxy's page, or the plain text of the API server's own router.
fn plain_text(body: &[u8]) -> String {
    let start = body.get(..MAX_PLAIN_TEXT).unwrap_or(body);
    String::from_utf8_lossy(start).lines().next().unwrap_or_default().to_owned()
}

fn sentence(status: StatusCode, reason: Reason, said: &str) -> String {
    let said = if said.is_empty() { status.canonical_reason().unwrap_or("no reason given") } else { said };
    let code = status.as_u16();
    match reason {
        Reason::Forbidden if code == 401 => {
            format!("the API server does not know who asks (401: {said}): check the agent's token or kubeconfig")
        }
        Reason::UnknownKind => {
            format!(
                "the API server does not serve this kind ({code}: {said}): install its CustomResourceDefinition or API service"
            )
        }
        Reason::Transient { .. } => format!("the API server failed with {code}: {said}"),
        _ => said.to_owned(),
    }
}

/// The texts of the `Warning` headers (RFC 9111 form `299 - "text"`), as the API server sends them about deprecated or
/// doubtful fields; redacted like any other message.
pub(super) fn warnings(headers: &HeaderMap, is_secret: bool) -> Vec<String> {
    let values = headers.get_all(http::header::WARNING).into_iter().filter_map(|value| value.to_str().ok());
    values.filter_map(warning_text).map(|text| redact::server_message(&text, is_secret)).collect()
}

fn warning_text(value: &str) -> Option<String> {
    let (_, quoted) = value.split_once('"')?;
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Some(text),
            '\\' => text.extend(characters.next()),
            _ => text.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, message: &str, details: &str) -> RequestError {
        let body = format!(
            r#"{{"kind":"Status","status":"Failure","message":{},"details":{details},"code":{code}}}"#,
            serde_json::to_string(message).unwrap()
        );
        classify(StatusCode::from_u16(code).unwrap(), &HeaderMap::new(), body.as_bytes(), false)
    }

    #[test]
    fn answers_are_sorted_by_what_they_ask_for() {
        const TRANSIENT: Reason = Reason::Transient { retry_after: None };
        let table = [
            (500, "failed to create typed patch object (/c; /v1, Kind=ConfigMap): .dat: x", "{}", Reason::Invalid),
            (500, "failed to convert new object (/c; /v1, Kind=Secret) to proper version: x", "{}", Reason::Invalid),
            (500, "failed calling webhook \"a.b\": timeout", "{}", TRANSIENT),
            (422, "ConfigMap \"a\" is invalid: data: Too long", r#"{"name":"a","kind":"ConfigMap"}"#, Reason::Invalid),
            (
                422,
                "ConfigMap \"a\" is invalid: metadata.uid: Invalid value: \"1\": field is immutable",
                r#"{"name":"a","causes":[{"field":"metadata.uid","reason":"FieldValueInvalid"}]}"#,
                Reason::Conflict,
            ),
            (400, "metadata.managedFields must be nil", "{}", Reason::Invalid),
            (401, "Unauthorized", "null", Reason::Forbidden),
            (403, "configmaps is forbidden", r#"{"kind":"configmaps"}"#, Reason::Forbidden),
            (
                403,
                "forbidden: unable to create new content in namespace t",
                r#"{"name":"b","kind":"configmaps","causes":[{"reason":"NamespaceTerminating"}]}"#,
                Reason::NamespaceUnavailable,
            ),
            (404, "namespaces \"n\" not found", r#"{"name":"n","kind":"namespaces"}"#, Reason::NamespaceUnavailable),
            (404, "configmaps \"zz\" not found", r#"{"name":"zz","kind":"configmaps"}"#, Reason::NotFound),
            (404, "the server could not find the requested resource", "{}", Reason::UnknownKind),
            (409, "the object has been modified", r#"{"name":"a"}"#, Reason::Conflict),
            (413, "limit is 3145728", "{}", Reason::Invalid),
            (405, "method not allowed", "{}", Reason::Invalid),
            (
                429,
                "too many",
                r#"{"retryAfterSeconds":7}"#,
                Reason::Transient { retry_after: Some(Duration::from_secs(7)) },
            ),
            (503, "apiserver is shutting down", "{}", TRANSIENT),
            (504, "Timeout: request did not complete", "{}", TRANSIENT),
        ];
        for (code, message, details, expected) in table {
            let error = status(code, message, details);
            assert_eq!(error.reason, expected, "{code} {message}");
            assert!(error.message.contains(message.split(' ').next().unwrap()), "{}", error.message);
        }
    }

    #[test]
    fn answers_that_are_no_status_are_sorted_by_their_code() {
        let headers = HeaderMap::new();
        let router = classify(StatusCode::NOT_FOUND, &headers, b"404 page not found\n", false);
        assert_eq!(router.reason, Reason::UnknownKind);
        let proxy = classify(StatusCode::BAD_GATEWAY, &headers, b"<html>\xff\xfe\nhunter2", false);
        assert_eq!(proxy.reason, Reason::Transient { retry_after: None });
        assert!(!proxy.message.contains("hunter2"));
        assert!(classify(StatusCode::BAD_GATEWAY, &headers, b"", false).message.contains("Bad Gateway"));
    }

    #[test]
    fn retry_after_is_read_and_bounded() {
        for (text, expected) in [("3", Some(3)), ("99999", Some(300)), ("soon", None)] {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", text.parse().unwrap());
            let error = classify(StatusCode::TOO_MANY_REQUESTS, &headers, b"", false);
            assert_eq!(error.reason, Reason::Transient { retry_after: expected.map(Duration::from_secs) });
        }
    }

    #[test]
    fn no_value_of_a_secret_is_in_a_message() {
        let body =
            br#"{"kind":"Status","message":"Secret \"db\" is invalid: data[x]: Invalid value: hunter2","code":422}"#;
        let error = classify(StatusCode::UNPROCESSABLE_ENTITY, &HeaderMap::new(), body, true);
        assert!(!error.message.contains("hunter2"), "{}", error.message);
    }

    #[test]
    fn warnings_are_unquoted() {
        let mut headers = HeaderMap::new();
        headers.append("warning", r#"299 - "use \"kubernetes.io/os\" instead""#.parse().unwrap());
        headers.append("warning", "garbage".parse().unwrap());
        headers.append("warning", r#"299 - "unclosed"#.parse().unwrap());
        assert_eq!(warnings(&headers, false), [r#"use "kubernetes.io/os" instead"#]);
    }
}
