//! Patches of all kinds: each makes another state of the object, which then is written as any other.

use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::checks::check_name;
use super::decode;
use super::meta;
use super::options::Options;
use super::rules::repeated_owners;
use super::status::{FieldError, Status};
use super::write::{Ownership, now_text, warned};
use super::{Answer, ApiServer, Call, Request};
use crate::sim::managed::{self, ApplyError};
use crate::sim::patch::{JsonPatchError, PatchError, json, strategic};
use crate::sim::schema::{Schema, check_formats, normalize};

/// Kind of the options of a patch.
const OPTIONS: &str = "PatchOptions";

/// What a patch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own, by the merge keys of the type.
    Strategic,
    /// Server-side apply.
    Apply,
}

impl PatchType {
    pub(super) fn of(call: &Call<'_>, request: &Request) -> Result<Self, Status> {
        let content_type =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" if !call.resource.custom => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            _ if call.resource.custom => Err(Status::unsupported_custom_patch()),
            _ => Err(Status::unsupported_patch()),
        }
    }
}

impl ApiServer {
    pub(super) fn patch(&mut self, call: &Call<'_>, request: &Request) -> Result<Answer, Status> {
        let patch_type = PatchType::of(call, request)?;
        if request.body().len() > decode::MAX_BODY {
            return Err(Status::too_large(format!("Request entity too large: limit is {}", decode::MAX_BODY)));
        }
        let force = call.query.get("force");
        if patch_type == PatchType::Apply {
            if call.query.get("fieldManager").is_none() {
                let error = FieldError::required("fieldManager", "is required for apply patch");
                return Err(Status::invalid_options(OPTIONS, &[error]));
            }
        } else if force.is_some() {
            let error = FieldError::forbidden("force", "may not be specified for non-apply patch");
            return Err(Status::invalid_options(OPTIONS, &[error]));
        }
        let options = Options::of(call, request, OPTIONS)?;
        if patch_type == PatchType::Apply {
            return self.apply(call, request, &options, call.query.flag("force"));
        }
        let key = call.key().ok_or_else(Status::method_not_allowed)?;
        let old = self.object(&call.resource, &key).ok_or_else(|| Status::not_found(&call.resource, key.name()))?;
        let patched = patched(call.schema.as_ref(), patch_type, &old, request.body())?;
        // A JSON value can always be written.
        let body = serde_json::to_vec(&patched).unwrap_or_default();
        let shown = || match serde_json::from_slice(request.body()) {
            // One of these is shown as it was sent, the others as what they make.
            Ok(patch) if patch_type == PatchType::Strategic => crate::sim::typed::plain(&patch),
            _ => patched.to_string(),
        };
        let read = self.read_json(call, &body, options.validation);
        let (mut new, mut warnings) = read.map_err(|status| unfit(call, patch_type, &shown(), status))?;
        warnings.extend(repeated_owners(&mut new, " after mutating admission happens"));
        let changed = check_name(&new, key.name())
            .and_then(|()| self.place(call, &mut new))
            .and_then(|()| self.change(call, &options, &old, new, Ownership::Update))
            .map_err(|status| status.as_sent(&patched));
        warned(warnings, changed)
    }

    fn apply(&mut self, call: &Call<'_>, request: &Request, options: &Options, force: bool) -> Result<Answer, Status> {
        let key = call.key().ok_or_else(Status::method_not_allowed)?;
        let unreadable = |why: String| Status::bad_request(format!("error encoding patch: {why}"));
        let config = decode::yaml(request.body()).map_err(unreadable)?;
        if config.is_null() {
            return Err(Status::bad_request("invalid object type: /, Kind="));
        }
        if meta::get(&config, "managedFields")
            .is_some_and(|entries| entries.as_array().is_none_or(|list| !list.is_empty()))
        {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        if !config.is_object() {
            let what = decode::noun(&config);
            let why = format!("json: cannot unmarshal {what} into Go value of type map[string]interface {{}}");
            let told = format!("error decoding patch: error unmarshaling JSON: while decoding JSON: {why}");
            return Err(Status::bad_request(told));
        }
        let old = self.object(&call.resource, &key);
        let now = now_text(call.now);
        let applied = managed::apply(&self.context(call, &options.manager, &now), old.as_ref(), &config, force);
        let mut new = applied.map_err(refused)?;
        check_name(&new, key.name())?;
        self.place(call, &mut new)?;
        if let (Some(schema), None) = (&call.schema, &call.custom) {
            check_formats(schema.root(), &new).map_err(|error| Status::bad_request(decode::misformed(&error)))?;
            normalize(schema.root(), &mut new);
        }
        let reply = match &old {
            Some(old) => self.change(call, options, old, new, Ownership::Applied)?,
            None if call.address.subresource.is_some() && !call.kind.creates_on_update => {
                return Err(Status::not_found(&call.resource, key.name()));
            }
            None => self.apply_new(call, options, new)?,
        };
        Ok(Answer::Reply(reply))
    }

    /// An apply of an object that is not there makes it. A revision that was sent has no meaning then, a uid does.
    fn apply_new(&mut self, call: &Call<'_>, options: &Options, mut new: Value) -> Result<super::Reply, Status> {
        let name = meta::text(&new, "name").to_owned();
        let uid = meta::text(&new, "uid");
        if !uid.is_empty() {
            let why =
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
            return Err(Status::conflict(&call.resource, &name, &why));
        }
        call.fill(&mut new);
        self.insert(call, new, options.dry_run)
    }
}

pub(super) fn patched(
    schema: Option<&Schema>,
    patch_type: PatchType,
    old: &Value,
    body: &[u8],
) -> Result<Value, Status> {
    let unreadable = |_| Status::bad_request("invalid JSON patch");
    let mut new = old.clone();
    match patch_type {
        PatchType::Json => {
            let patch: Value = serde_json::from_slice(body).map_err(unreadable)?;
            new = json(&new, &patch).map_err(|error| match error {
                JsonPatchError::NoList => {
                    let what = decode::noun(&patch);
                    let why = format!("json: cannot unmarshal {what} into Go value of type []handlers.jsonPatchOp");
                    Status::bad_request(format!("error decoding patch: {why}"))
                }
                JsonPatchError::TooMany(_) => Status::too_large(error.to_string()),
                JsonPatchError::Unfit => Status::patch_rejected(),
            })?;
        }
        PatchType::Merge => {
            let patch: Value = serde_json::from_slice(body).map_err(unreadable)?;
            check_map(&patch)?;
            json_patch::merge(&mut new, &patch);
        }
        PatchType::Strategic => {
            let patch: Value = serde_json::from_slice(body).map_err(unreadable)?;
            check_map(&patch)?;
            let schema = schema.ok_or_else(Status::unsupported_patch)?;
            new = strategic(schema.root(), &new, &patch).map_err(|error| match error {
                PatchError::NoMap | PatchError::Mismatch(..) => Status::bad_request(error.to_string()),
                PatchError::UnknownDirective { .. } | PatchError::NoKey { .. } | PatchError::Order { .. } => {
                    Status::internal(error.to_string())
                }
            })?;
        }
        PatchType::Apply => {}
    }
    Ok(new)
}

fn check_map(patch: &Value) -> Result<(), Status> {
    if patch.is_object() {
        return Ok(());
    }
    let why = format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", decode::noun(patch));
    Err(Status::bad_request(format!("error decoding patch: {why}")))
}

/// What is answered if a patch makes something that is no object of the kind, or has fields that it may not have.
fn unfit(call: &Call<'_>, patch_type: PatchType, shown: &str, status: Status) -> Status {
    let Some((_, why)) = status.message.split_once(&format!(" cannot be handled as a {}: ", call.resource.kind)) else {
        return status;
    };
    // One of these makes values without a way through JSON, which has its own words.
    let why = if patch_type == PatchType::Strategic { unstructured(why) } else { why.to_owned() };
    let message = format!("Invalid value: {shown:?}: {why}");
    let error = FieldError::told("FieldValueInvalid", "patch", message);
    // Here the kind is not known.
    Status::invalid("", "", "", &[error])
}

/// What is said of a value of a wrong type where it was not read from JSON.
fn unstructured(why: &str) -> String {
    let wrong = || {
        let (value, of) = why.strip_prefix("json: cannot unmarshal ")?.split_once(" into Go struct field ")?;
        let of = of.rsplit_once(" of type ")?.1;
        let kind = match value.split(' ').next()? {
            "array" => "slice",
            "object" => "map",
            "number" => "int64",
            other => other,
        };
        Some(match of {
            of if of.starts_with("[]") => format!("cannot restore slice from {kind}"),
            of if of.starts_with("map[") => format!("cannot restore map from {kind}"),
            of if of.contains('.') => format!("cannot restore struct from: {kind}"),
            of => format!("unrecognized type: {of}"),
        })
    };
    wrong().unwrap_or_else(|| why.to_owned())
}

pub(super) fn refused(error: ApplyError) -> Status {
    match error {
        ApplyError::Conflict(conflicts) => Status::apply_conflict(conflicts.to_string(), conflicts.causes()),
        ApplyError::BadRequest(message) => Status::bad_request(message),
        ApplyError::Internal(message) => Status::internal(message),
    }
}
