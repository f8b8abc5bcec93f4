//! Answers: their bytes, and the forms that a client can ask for.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::form::MetaVersion;
use super::resources::Resource;
use super::status::Status;
use super::store::Stored;

/// Type of all answers but plain texts.
pub const JSON: &str = "application/json";

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// HTTP status code.
    pub code: u16,
    /// `Content-Type`.
    pub content_type: String,
    /// Texts of `Warning` headers.
    pub warnings: Vec<String>,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// The body, in pieces: a list is not copied together.
    pub body: Vec<Bytes>,
}

impl Reply {
    /// A JSON value.
    pub fn json(code: u16, value: &Value) -> Self {
        // A JSON value can always be written.
        Self::pieces(code, vec![serde_json::to_vec(value).unwrap_or_default().into()])
    }

    /// JSON in pieces.
    pub fn pieces(code: u16, body: Vec<Bytes>) -> Self {
        Self { code, content_type: JSON.to_owned(), warnings: Vec::new(), retry_after: None, body }
    }

    /// A plain text.
    pub fn text(code: u16, text: &str) -> Self {
        let body = vec![Bytes::copy_from_slice(text.as_bytes())];
        Self {
            code,
            content_type: "text/plain; charset=utf-8".to_owned(),
            warnings: Vec::new(),
            retry_after: None,
            body,
        }
    }

    /// What is answered to a path that is none.
    pub fn no_page() -> Self {
        Self::text(404, "404 page not found\n")
    }

    /// The body in one piece.
    pub fn bytes(&self) -> Bytes {
        match self.body.as_slice() {
            [one] => one.clone(),
            pieces => pieces.concat().into(),
        }
    }
}

impl From<Status> for Reply {
    fn from(status: Status) -> Self {
        let wait = status.details.as_ref().and_then(|details| details.get("retryAfterSeconds"));
        let reply = Self::json(status.code, &status.to_value());
        Self { retry_after: wait.and_then(Value::as_u64), warnings: status.warnings, ..reply }
    }
}

/// The first bytes of an object of a resource: bodies are kept without kind and version, so that one version is told as
/// another.
pub fn head(kind: &str, api_version: &str) -> Bytes {
    format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","#).into()
}

/// An object whole, in two pieces.
pub fn whole(resource: &Resource, stored: &Stored) -> [Bytes; 2] {
    [head(&resource.kind, &resource.api_version()), stored.body.slice(1.min(stored.body.len())..)]
}

/// The metadata of an object, as it stands in its body.
pub fn metadata(stored: &Stored) -> Bytes {
    #[derive(Deserialize)]
    struct Body<'b> {
        #[serde(borrow)]
        metadata: &'b RawValue,
    }
    match serde_json::from_slice::<Body<'_>>(&stored.body) {
        Ok(body) => stored.body.slice_ref(body.metadata.get().as_bytes()),
        Err(_) => Bytes::from_static(b"{}"),
    }
}

/// An object's metadata alone, in pieces.
pub fn partial(stored: &Stored, version: MetaVersion) -> [Bytes; 3] {
    let head: &[u8] = match version {
        MetaVersion::V1 => br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#,
        MetaVersion::V1Beta1 => br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1beta1","metadata":"#,
    };
    [Bytes::from_static(head), metadata(stored), Bytes::from_static(b"}")]
}
