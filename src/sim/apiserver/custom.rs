//! Custom resources: how their objects are read, and what is refused in them, by the version of their definition.

use serde_json::Value;

use super::decode::{self, Decoded};
use super::request::FieldValidation;
use super::resources::split_group;
use super::status::{FieldError, Status};
use super::{ApiServer, Call};
use crate::sim::kinds::{Generation, Kind};
use crate::sim::managed::{Versioned, Versions};
use crate::sim::schema::{Schema, Structural};

/// The rules of custom resources whose status is no part of its own.
static CUSTOM: Kind = Kind { generation: Generation::Spec, unconditional_update: false, ..Kind::PLAIN };
/// The rules of those whose status is.
static CUSTOM_WITH_STATUS: Kind =
    Kind { has_status: true, generation: Generation::Spec, unconditional_update: false, ..Kind::PLAIN };

/// After problems of these kinds the rules of a schema are not looked at.
const BLOCKING: [&str; 5] =
    ["FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"];
const UNCHECKED: &str = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";

/// A version of a custom resource.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) structural: Structural,
    pub(super) schema: Schema,
    /// The version as the definition has it.
    pub(super) definition: Value,
    /// The revision at which it was first served: watches from before are too old.
    pub(super) since: u64,
}

impl Version {
    /// The rules of its objects.
    pub(super) fn kind(&self) -> &'static Kind {
        if self.definition.pointer("/subresources/status").is_some() { &CUSTOM_WITH_STATUS } else { &CUSTOM }
    }

    /// Where its scale is, as a path of the definition (`specReplicasPath`).
    pub(super) fn scale_path(&self, name: &str) -> Option<&str> {
        self.definition.pointer("/subresources/scale")?.get(name)?.as_str()
    }

    /// Drops what the schema does not know, which is told, and each `null` that it does not allow; fills in what was left out.
    ///
    /// # Errors
    /// What Go says of metadata that it can't read.
    fn read(&self, object: &mut Value) -> Result<Vec<String>, String> {
        let mut problems = decode::metadata(object, "")?;
        problems.extend(unknown(self.structural.prune(object)));
        let mut embedded = Vec::new();
        for (path, object) in self.structural.embedded(object) {
            let parent = if path.is_empty() { path } else { format!("{path}.") };
            embedded.extend(decode::metadata(object, &parent)?);
        }
        embedded.sort();
        problems.extend(embedded);
        self.store(object);
        Ok(problems)
    }

    /// Makes an object what is kept of it.
    pub(super) fn store(&self, object: &mut Value) {
        self.structural.prune(object);
        self.structural.normalize(object);
        self.structural.default(object);
    }

    /// What is wrong with an object, beside `errors`. `old` is the one before, in which what has not changed may be wrong.
    pub(super) fn check(&self, object: &Value, old: Option<&Value>, part: Option<&str>, errors: &mut Vec<FieldError>) {
        let told = |error: crate::sim::schema::FieldError| FieldError::told(error.reason, error.field, error.message);
        errors.extend(self.structural.validate(object, old, part).into_iter().map(told));
        self.check_scale(object, part, errors);
        if !self.structural.has_rules() {
            return;
        }
        if errors.iter().any(|error| BLOCKING.contains(&error.problem.reason())) {
            errors.push(FieldError::invalid("<nil>", &Value::Null, UNCHECKED));
        } else {
            errors.extend(self.structural.check_rules(object, old).into_iter().map(told));
        }
    }

    /// What a scale shows must be there as numbers that it can show.
    fn check_scale(&self, object: &Value, part: Option<&str>, errors: &mut Vec<FieldError>) {
        let specified = if part.is_none() { self.scale_path("specReplicasPath") } else { None };
        for path in [specified, self.scale_path("statusReplicasPath")].into_iter().flatten() {
            let value = object.pointer(&path.replace('.', "/"));
            match value.map(|value| (value.as_i64(), value)) {
                Some((Some(number), value)) if number < 0 => {
                    errors.push(FieldError::invalid(path, value, "should be a non-negative integer"));
                }
                Some((Some(number), value)) if number > i64::from(i32::MAX) => {
                    let detail = format!("should be less than or equal to {}", i32::MAX);
                    errors.push(FieldError::invalid(path, value, detail));
                }
                _ => {}
            }
        }
    }
}

/// Versions of custom resources have the same members: only the version is another one.
impl Versions for ApiServer {
    fn convert(&self, object: &Value, api_version: &str) -> Option<Versioned> {
        let (group, version) = split_group(api_version);
        let kind = object.get("kind")?.as_str()?;
        let resource = self.resources.by_kind(group, version, kind)?;
        let custom = self.custom.get(&(group.to_owned(), version.to_owned(), resource.plural.clone()))?;
        let mut object = object.clone();
        object.as_object_mut()?.insert("apiVersion".to_owned(), api_version.into());
        Some(Versioned { object, schema: custom.schema.clone() })
    }
}

impl ApiServer {
    /// Reads a custom resource from JSON.
    pub(super) fn read_custom(
        &self,
        call: &Call<'_>,
        body: &[u8],
        validation: FieldValidation,
    ) -> Result<(Value, Vec<String>), Status> {
        let resource = &call.resource;
        let mut decoded = decode::object(body, resource, None)?;
        let text = |member: &str| decoded.object.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        for (member, value) in [("Kind", &kind), ("apiVersion", &api_version)] {
            if value.is_empty() {
                return Err(decode::missing(resource, member, body));
            }
        }
        let (group, version) = split_group(&api_version);
        let read = if group == resource.group && kind == resource.kind {
            let place = (group.to_owned(), version.to_owned(), resource.plural.clone());
            match self.custom.get(&place) {
                Some(known) => known.read(&mut decoded.object),
                None => read_without_schema(&mut decoded.object),
            }
        } else {
            decode::metadata(&decoded.object, "")
        };
        decoded.problems.extend(read.map_err(|why| decode::unfit(resource, &why))?);
        let name = super::meta::text(&decoded.object, "name").to_owned();
        let (object, warnings) = Decoded { ..decoded }.checked(validation, resource)?;
        let wanted = resource.api_version();
        if api_version != wanted {
            let why = "the API version in the data";
            let message = format!("{why} ({api_version}) does not match the expected API version ({wanted})");
            return Err(Status::bad_request(message).warned(warnings));
        }
        if kind != resource.kind {
            let error = FieldError::invalid("kind", &kind.as_str().into(), format!("must be {}", resource.kind));
            return Err(Status::invalid(group, &kind, &name, &[error]).warned(warnings));
        }
        Ok((object, warnings))
    }
}

/// Of a version that is not served, nothing is known but what every object has.
fn read_without_schema(object: &mut Value) -> Result<Vec<String>, String> {
    let mut problems = decode::metadata(object, "")?;
    if let Ok(structural) = Structural::read(&Value::Null) {
        problems.extend(unknown(structural.prune(object)));
    }
    Ok(problems)
}

fn unknown(paths: Vec<String>) -> impl Iterator<Item = String> {
    paths.into_iter().map(|path| format!("unknown field {path:?}"))
}
