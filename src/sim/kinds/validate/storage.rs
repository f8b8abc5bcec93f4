//! Volumes, claims and classes.

use serde_json::Value;

use super::{Errors, IMMUTABLE, forbidden, immutable, invalid, invalid_shown, named, one_of, required, selectors};
use crate::sim::apiserver::names;
use crate::sim::apiserver::status::FieldError;
use crate::sim::kinds::value::{at, has, is_blank, items, members, text, texts};
use crate::sim::kinds::{amount, internal};

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
/// What a volume may be, in the order in which it is looked at.
const SOURCES: [&str; 22] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

fn modes(errors: &mut Errors, object: &Value) {
    for mode in items(object, "spec.accessModes") {
        if !MODES.iter().any(|known| mode == known) {
            errors.push(FieldError::not_supported("spec.accessModes", mode, &MODES));
        }
    }
    let modes = texts(object, "spec.accessModes");
    if modes.len() > 1 && modes.contains(&"ReadWriteOncePod") {
        forbidden(errors, "spec.accessModes", "may not use ReadWriteOncePod with other access modes");
    }
}

pub(in crate::sim::kinds) fn claim(claim: &Value, errors: &mut Errors) {
    if items(claim, "spec.accessModes").is_empty() {
        errors.push(FieldError::required("spec.accessModes", "at least 1 access mode is required"));
    }
    if has(claim, "spec.selector") {
        selectors::check(errors, "spec.selector", at(claim, "spec.selector"));
    }
    modes(errors, claim);
    let storage = at(claim, "spec.resources.requests.storage");
    if storage.is_null() {
        required(errors, "spec.resources[storage]");
    } else if amount::parse(storage.as_str().unwrap_or_default()).is_some_and(|amount| amount <= 0) {
        invalid(errors, "spec.resources[storage]", storage, "must be greater than zero");
    }
    class_name(errors, claim);
    one_of(errors, at(claim, "spec"), "spec", "volumeMode", &VOLUME_MODES);
}

fn class_name(errors: &mut Errors, object: &Value) {
    let class = text(object, "spec.storageClassName");
    if !class.is_empty() {
        named(errors, "spec.storageClassName", class, names::subdomain);
    }
}

/// A claim as the server shows it.
pub(super) fn shown_claim(claim: &Value) -> String {
    internal::shown("PersistentVolumeClaim", claim)
}

pub(in crate::sim::kinds) fn update_claim(new: &Value, old: &Value, errors: &mut Errors) {
    let mut before = at(old, "spec").clone();
    if !has(&before, "storageClassName") && !has(old, "metadata.annotations.volume.beta.kubernetes.io/storage-class") {
        super::super::value::keep(&mut before, at(new, "spec"), "storageClassName");
    }
    // A claim is bound once, and a bound one may grow.
    if is_blank(at(&before, "volumeName")) {
        super::super::value::keep(&mut before, at(new, "spec"), "volumeName");
    } else {
        let bound = text(old, "status.phase") == "Bound";
        for field in ["resources.requests", "volumeAttributesClassName"].into_iter().filter(|_| bound) {
            super::super::value::keep(&mut before, at(new, "spec"), field);
        }
    }
    let after = at(new, "spec");
    if before != *after {
        let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound \
            claims";
        let difference = internal::difference("PersistentVolumeClaimSpec", &before, after);
        forbidden(errors, "spec", format!("{why}\n{difference}"));
    }
    let size = |claim: &Value, path: &str| amount::parse(text(claim, path)).unwrap_or(0);
    let (wanted, had) = (size(new, "spec.resources.requests.storage"), size(old, "spec.resources.requests.storage"));
    if wanted < had && wanted <= size(old, "status.capacity.storage") {
        let detail = "field can not be less than status.capacity";
        forbidden(errors, "spec.resources.requests.storage", detail);
    }
    if at(new, "spec.volumeMode") != at(old, "spec.volumeMode") {
        invalid(errors, "volumeMode", at(new, "spec.volumeMode"), IMMUTABLE);
    }
}

pub(in crate::sim::kinds) fn volume(volume: &Value, errors: &mut Errors) {
    let spec = at(volume, "spec");
    if items(spec, "accessModes").is_empty() {
        required(errors, "spec.accessModes");
    }
    modes(errors, volume);
    if is_blank(at(spec, "capacity")) {
        required(errors, "spec.capacity");
        errors.push(FieldError::not_supported("spec.capacity", &Value::Null, &["storage"]));
    }
    for (name, value) in members(spec, "capacity") {
        if amount::parse(value.as_str().unwrap_or_default()).is_some_and(|amount| amount <= 0) {
            invalid(errors, format!("spec.capacity[{name}]"), value, "must be greater than zero");
        }
    }
    one_of(errors, spec, "spec", "persistentVolumeReclaimPolicy", &["Delete", "Recycle", "Retain"]);
    let found: Vec<&str> = SOURCES.into_iter().filter(|source| has(spec, source)).collect();
    for source in found.iter().skip(1) {
        forbidden(errors, format!("spec.{source}"), "may not specify more than 1 volume type");
    }
    if found.first() == Some(&"local") && !has(spec, "nodeAffinity") {
        errors.push(FieldError::required("spec.nodeAffinity", "Local volume requires node affinity"));
    }
    if found.is_empty() {
        errors.push(FieldError::required("spec", "must specify a volume type"));
    }
    class_name(errors, volume);
    one_of(errors, spec, "spec", "volumeMode", &VOLUME_MODES);
}

pub(in crate::sim::kinds) fn update_volume(new: &Value, old: &Value, errors: &mut Errors) {
    let sources = |volume: &Value| {
        let found = SOURCES
            .into_iter()
            .filter_map(|source| at(volume, "spec").get(source).map(|value| (source.to_owned(), value.clone())));
        Value::Object(found.collect())
    };
    let (before, after) = (sources(old), sources(new));
    if before != after {
        let why = "spec.persistentvolumesource is immutable after creation";
        let difference = internal::difference("PersistentVolumeSource", &before, &after);
        forbidden(errors, "spec.persistentvolumesource", format!("{why}\n{difference}"));
    }
    if at(new, "spec.volumeMode") != at(old, "spec.volumeMode") {
        invalid(errors, "volumeMode", at(new, "spec.volumeMode"), IMMUTABLE);
    }
}

pub(in crate::sim::kinds) fn class(class: &Value, errors: &mut Errors) {
    let provisioner = text(class, "provisioner");
    if provisioner.is_empty() {
        required(errors, "provisioner");
    } else {
        named(errors, "provisioner", &provisioner.to_lowercase(), names::qualified_name);
    }
    if at(class, "parameters").get("").is_some() {
        invalid(errors, "parameters", &"".into(), "field can not be empty.");
    }
    one_of(errors, class, "", "reclaimPolicy", &["Delete", "Retain"]);
    one_of(errors, class, "", "volumeBindingMode", &["Immediate", "WaitForFirstConsumer"]);
}

pub(in crate::sim::kinds) fn update_class(new: &Value, old: &Value, errors: &mut Errors) {
    for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
        if at(new, field) != at(old, field) {
            invalid_shown(errors, field, "null".to_owned(), IMMUTABLE);
        }
    }
}

pub(in crate::sim::kinds) fn driver(driver: &Value, errors: &mut Errors) {
    for mode in items(driver, "spec.volumeLifecycleModes") {
        let known = ["Persistent", "Ephemeral"];
        if !known.iter().any(|known| mode == known) {
            errors.push(FieldError::not_supported("spec.volumeLifecycleModes", mode, &known));
        }
    }
}

pub(in crate::sim::kinds) fn update_driver(new: &Value, old: &Value, errors: &mut Errors) {
    if at(new, "spec.attachRequired") != at(old, "spec.attachRequired") {
        invalid(errors, "spec.attachedRequired", at(new, "spec.attachRequired"), IMMUTABLE);
    }
    immutable(errors, new, old, "spec.fsGroupPolicy");
    immutable(errors, new, old, "spec.volumeLifecycleModes");
}
