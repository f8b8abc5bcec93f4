//! Whether what was sent is meant for the object of the path, and made from the state that it is in.

use serde_json::{Value, json};

use super::Call;
use super::meta;
use super::resources::Resource;
use super::status::{FieldError, Status};
use super::store::Key;

/// The kind and version of what was sent are the resource's, or not said.
pub(super) fn check_kind(
    object: &mut Value,
    resource: &Resource,
    is_known: &dyn Fn(&str, &str) -> bool,
) -> Result<(), Status> {
    let sent = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (api_version, kind) = (sent("apiVersion"), sent("kind"));
    let known = resource.api_version();
    if kind.is_some_and(|kind| kind != resource.kind) || api_version.is_some_and(|version| version != known) {
        let sent = api_version.unwrap_or(&known);
        let version = sent.rsplit('/').next().unwrap_or_default();
        let (kind, wanted) = (kind.unwrap_or(&resource.kind), &resource.kind);
        let why = if is_known(sent, kind) {
            format!("converting ({version}.{kind}) to ({}): unknown conversion", resource.go_type(false))
        } else {
            unregistered(kind, sent)
        };
        return Err(Status::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {wanted}: {why}"
        )));
    }
    if let Some(members) = object.as_object_mut() {
        members.insert("apiVersion".to_owned(), known.into());
        members.insert("kind".to_owned(), resource.kind.as_str().into());
    }
    Ok(())
}

/// What is said of a kind that there isn't.
pub(super) fn unregistered(kind: &str, version: &str) -> String {
    // Where the server's sources keep the list of kinds.
    format!("no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\"")
}

/// The name of what was sent is that of the path.
pub(super) fn check_name(object: &Value, name: &str) -> Result<(), Status> {
    match meta::text(object, "name") {
        "" => {
            let why = "was undeterminable: name must be provided";
            Err(Status::bad_request(format!("the name of the object ({name} based on URL) {why}")))
        }
        sent if sent != name => Err(Status::bad_request(format!(
            "the name of the object ({sent}) does not match the name on the URL ({name})"
        ))),
        _ => Ok(()),
    }
}

/// A uid that was sent must be that of the object, as the store tells it.
pub(super) fn check_uid(call: &Call<'_>, name: &str, sent: &str, there: &str) -> Result<(), Status> {
    if sent.is_empty() || sent == there {
        return Ok(());
    }
    let Resource { group, plural, .. } = &*call.resource;
    let folder = match (group.as_str(), plural.as_str()) {
        ("", "services") => "services/specs".to_owned(),
        ("", "endpoints") => "services/endpoints".to_owned(),
        ("", "nodes") => "minions".to_owned(),
        ("", "replicationcontrollers") => "controllers".to_owned(),
        ("networking.k8s.io", "ingresses") => "ingress".to_owned(),
        (group, plural) if call.resource.custom || group == "apiextensions.k8s.io" => format!("{group}/{plural}"),
        (_, plural) => plural.to_owned(),
    };
    let key = Key::new(call.address.namespace, name);
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{folder}/{}, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: UID in precondition: {sent}, UID in object meta: {there}",
        key.text()
    );
    Err(Status::conflict(&call.resource, name, &why))
}

/// A revision or a uid that was sent must be those of the object.
/// A patch tells a wrong uid as a change of what is immutable.
pub(super) fn check_preconditions(call: &Call<'_>, old: &Value, new: &Value, is_put: bool) -> Result<(), Status> {
    let name = meta::text(old, "name");
    let (sent, there) = (meta::text(new, "uid"), meta::text(old, "uid"));
    if is_put {
        check_uid(call, name, sent, there)?;
    }
    let sent = meta::text(new, "resourceVersion");
    if sent.is_empty() || sent == "0" {
        if call.kind.unconditional_update {
            return Ok(());
        }
        let error = FieldError::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
        // Here the plural stands where other refusals have the kind.
        return Err(Status::invalid(&call.resource.group, &call.resource.plural, name, &[error]));
    }
    if sent.parse::<u64>().is_err() {
        return Err(Status::internal(format!("strconv.ParseUint: parsing {sent:?}: invalid syntax")));
    }
    if sent != meta::text(old, "resourceVersion") {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Status::conflict(&call.resource, name, why));
    }
    Ok(())
}
