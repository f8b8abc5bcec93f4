//! The API server's errors: `Status` objects, with the codes, reasons and sentences by which clients know them.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::resources::Resource;

/// A failure, as it is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// The reason in one word of the API convention; empty: none is given.
    pub reason: &'static str,
    /// The sentence for people.
    pub message: String,
    /// What it is about; `None`: the answer has no such member.
    pub details: Option<Map<String, Value>>,
    /// Texts of `Warning` headers: what was found before the request failed.
    pub warnings: Vec<String>,
}

/// Why a field is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldProblem {
    /// It must be there.
    Required,
    /// Its value can't be.
    Invalid,
    /// It must not be there, or not change.
    Forbidden,
    /// Its value is none of a list.
    NotSupported,
    /// It names what is not there.
    NotFound,
    /// It is there twice.
    Duplicate,
    /// It is longer than may be.
    TooLong,
    /// It has more items than may be.
    TooMany,
    /// Its value is of another type.
    TypeInvalid,
    /// The reason and the sentence are given.
    Told(&'static str),
}

impl FieldProblem {
    /// The reason of a cause, by convention.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::Forbidden => "FieldValueForbidden",
            Self::NotSupported => "FieldValueNotSupported",
            Self::NotFound => "FieldValueNotFound",
            Self::Duplicate => "FieldValueDuplicate",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::Told(reason) => reason,
        }
    }

    /// How the sentence about it begins.
    fn title(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::Forbidden => "Forbidden",
            Self::NotSupported => "Unsupported value",
            Self::NotFound => "Not found",
            Self::Duplicate => "Duplicate value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Told(_) => "",
        }
    }
}

/// One field that is refused.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// Path of the field.
    pub field: String,
    /// What is wrong with it.
    pub problem: FieldProblem,
    /// The value as it is quoted; empty: it is not.
    pub value: String,
    /// What is said of it; may be empty.
    pub detail: String,
}

impl FieldError {
    /// A field that must not be, or not change.
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(field, FieldProblem::Forbidden, String::new(), detail)
    }

    /// A field that is missing.
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(field, FieldProblem::Required, String::new(), detail)
    }

    /// A field whose value can't be. Texts are quoted, other values written as JSON.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: impl Into<String>) -> Self {
        Self::new(field, FieldProblem::Invalid, value.to_string(), detail)
    }

    /// A field whose value can't be, of which the text is known.
    pub fn invalid_text(field: impl Into<String>, value: String, detail: impl Into<String>) -> Self {
        Self::new(field, FieldProblem::Invalid, value, detail)
    }

    /// A field whose value is not one of those known.
    pub fn not_supported(field: impl Into<String>, value: &Value, known: &[&str]) -> Self {
        let known: Vec<String> = known.iter().map(|value| format!("{value:?}")).collect();
        let detail = format!("supported values: {}", known.join(", "));
        Self::new(field, FieldProblem::NotSupported, value.to_string(), detail)
    }

    /// A field of which reason and sentence are known.
    pub fn told(reason: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(field, FieldProblem::Told(reason), String::new(), message)
    }

    /// A field that is longer than `limit` bytes.
    pub fn too_long(field: impl Into<String>, limit: usize) -> Self {
        Self::new(field, FieldProblem::TooLong, String::new(), format!("may not be more than {limit} bytes"))
    }

    fn new(field: impl Into<String>, problem: FieldProblem, value: String, detail: impl Into<String>) -> Self {
        Self { field: field.into(), problem, value, detail: detail.into() }
    }

    /// What is said without the field's path.
    fn message(&self) -> String {
        if let FieldProblem::Told(_) = self.problem {
            return self.detail.clone();
        }
        let mut message = self.problem.title().to_owned();
        for part in [&self.value, &self.detail] {
            if !part.is_empty() {
                message.push_str(": ");
                message.push_str(part);
            }
        }
        message
    }

    fn cause(&self) -> Value {
        json!({"reason": self.problem.reason(), "message": self.message(), "field": self.field})
    }
}

impl Status {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>, details: Option<Value>) -> Self {
        let details = details.and_then(|details| match details {
            Value::Object(details) => Some(details),
            _ => None,
        });
        Self { code: code.as_u16(), reason, message: message.into(), details, warnings: Vec::new() }
    }

    /// The same failure, with what was found before.
    #[must_use]
    pub fn warned(self, warnings: Vec<String>) -> Self {
        Self { warnings, ..self }
    }

    /// The same refusal, with what was sent empty told as empty: objects don't keep that apart from what was not sent.
    #[must_use]
    pub fn as_sent(mut self, sent: &Value) -> Self {
        const NOTHING: &str = "Invalid value: null";
        let causes = self.details.as_mut().and_then(|details| details.get_mut("causes")).and_then(Value::as_array_mut);
        for cause in causes.into_iter().flatten() {
            let (Some(field), Some(message)) = (cause.get("field").and_then(Value::as_str), cause.get("message"))
            else {
                continue;
            };
            let pointer = format!("/{}", field.replace(['.', '['], "/").replace(']', ""));
            let shown = match sent.pointer(&pointer) {
                Some(Value::Object(members)) if members.is_empty() => "Invalid value: {}",
                Some(Value::Array(items)) if items.is_empty() => "Invalid value: []",
                _ => continue,
            };
            self.message = self.message.replace(&format!("{field}: {NOTHING}"), &format!("{field}: {shown}"));
            let message = message.as_str().unwrap_or_default().replacen(NOTHING, shown, 1);
            if let Some(cause) = cause.as_object_mut() {
                cause.insert("message".to_owned(), message.into());
            }
        }
        self
    }

    /// The request can't be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message, None)
    }

    /// No such resource is served.
    pub fn no_resource() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(StatusCode::NOT_FOUND, "NotFound", message, Some(json!({})))
    }

    /// No such object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message, Some(about(resource, name)))
    }

    /// An object of this name is there.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.qualified());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message, Some(about(resource, name)))
    }

    /// A precondition does not hold.
    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.qualified());
        Self::new(StatusCode::CONFLICT, "Conflict", message, Some(about(resource, name)))
    }

    /// Server-side apply would take fields that others own: the causes name them.
    pub fn apply_conflict(message: impl Into<String>, causes: Vec<Value>) -> Self {
        let details = (!causes.is_empty()).then(|| json!({"causes": causes}));
        Self::new(StatusCode::CONFLICT, "Conflict", message, details)
    }

    /// The resource has no such verb.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message, Some(json!({})))
    }

    /// Nobody is known by these credentials.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized", None)
    }

    /// The user, or an admission rule, does not allow it. `name` may be empty.
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let what = resource.qualified();
        let message = match name {
            "" => format!("{what} is forbidden: {why}"),
            name => format!("{what} {name:?} is forbidden: {why}"),
        };
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message, Some(about(resource, name)))
    }

    /// Nothing new comes into a namespace that is being deleted.
    pub fn terminating(resource: &Resource, name: &str, namespace: &str) -> Self {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut status = Self::forbidden(resource, name, &why);
        let cause = json!({
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        });
        status.details.get_or_insert_default().insert("causes".to_owned(), json!([cause]));
        status
    }

    /// A patch that does not fit the object.
    pub fn patch_rejected() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message, Some(json!({})))
    }

    /// The body of a patch of a custom resource is of a type that is not read.
    pub fn unsupported_custom_patch() -> Self {
        let known = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
        let unknown = "the body of the request was in an unknown format - accepted media types include";
        Self::unsupported_media_type(format!("{unknown}: {known}"))
    }

    /// The body of a patch is of a type that is not read.
    pub fn unsupported_patch() -> Self {
        let message = "415: Unsupported Media Type";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message, Some(json!({})))
    }

    /// A path that is no resource, which the user may not use.
    pub fn forbidden_path(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message, Some(json!({})))
    }

    /// A webhook refuses it; the code and the reason are the webhook's own, and these are the usual ones.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message, None)
    }

    /// Fields of an object are refused. `kind` and `group` are those of the object.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let texts: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.field, error.message())).collect();
        let told = match texts.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut details = named(name);
        if !group.is_empty() {
            details.insert("group".to_owned(), group.into());
        }
        if !kind.is_empty() {
            details.insert("kind".to_owned(), kind.into());
        }
        details.insert("causes".to_owned(), errors.iter().map(FieldError::cause).collect());
        let message = format!("{qualified} {name:?} is invalid: {told}");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message, Some(Value::Object(details)))
    }

    /// Options of a request are refused.
    pub fn invalid_options(kind: &str, errors: &[FieldError]) -> Self {
        Self::invalid("meta.k8s.io", kind, "", errors)
    }

    /// The body of the request is of a type that is not read.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message, None)
    }

    /// The answer can't be of a type that the client reads.
    pub fn not_acceptable(known: &str) -> Self {
        let message = format!("406: Not Acceptable\n\nAvailable representations: {known}");
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message, Some(json!({})))
    }

    /// The answer can't be of a type that the client reads, which the server finds behind its router.
    pub fn only_acceptable(known: &str) -> Self {
        let message = format!("only the following media types are accepted: {known}");
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message, None)
    }

    /// The metadata of a list was asked for as that of one object, or the other way round.
    pub fn wrong_shape(resource: &Resource, is_list: bool) -> Self {
        let (wanted, is) = match is_list {
            true => ("PartialObjectMetadata", "is a list"),
            false => ("PartialObjectMetadataList", "is not a list"),
        };
        let told = resource.go_type(is_list);
        let message = format!("you requested {wanted}, but the requested object {is} (*{told})");
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message, None)
    }

    /// The body of the request is larger than `limit`, which is told in this form.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message, None)
    }

    /// A position in the history that is no longer kept.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message, None)
    }

    /// A failure inside the server. Server-side apply answers so when it can't make sense of an object.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message, None)
    }

    /// A failure inside the server, by its usual sentence.
    pub fn internal_error(why: &str) -> Self {
        let message = format!("Internal error occurred: {why}");
        let details = json!({"causes": [{"message": why}]});
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message, Some(details))
    }

    /// A position that the server has not reached, and did not reach while the request waited.
    pub fn too_large_version(wanted: u64, current: u64) -> Self {
        let details = json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        });
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message, Some(details))
    }

    /// The object that is sent.
    pub fn to_value(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if let Some(status) = status.as_object_mut() {
            if !self.reason.is_empty() {
                status.insert("reason".to_owned(), self.reason.into());
            }
            if let Some(details) = &self.details {
                status.insert("details".to_owned(), Value::Object(details.clone()));
            }
        }
        status
    }
}

/// What a failure of one object is about; the plural stands as its kind, by convention.
fn about(resource: &Resource, name: &str) -> Value {
    let mut details = named(name);
    if !resource.group.is_empty() {
        details.insert("group".to_owned(), resource.group.as_str().into());
    }
    details.insert("kind".to_owned(), resource.plural.as_str().into());
    Value::Object(details)
}

fn named(name: &str) -> Map<String, Value> {
    let mut details = Map::new();
    if !name.is_empty() {
        details.insert("name".to_owned(), name.into());
    }
    details
}
