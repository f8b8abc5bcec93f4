//! Volumes and their classes.

use serde_json::Value;

use super::{AGE, BuiltIn, NAME, or};
use crate::sim::kinds::value::{at, has, items, text, texts};

pub(super) const VOLUMES: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Capacity", |o, _| or(text(o, "spec.capacity.storage"), "0").into()),
    BuiltIn::text("Access Modes", |o, _| modes(o, "spec.accessModes").into()),
    BuiltIn::text("Reclaim Policy", |o, _| text(o, "spec.persistentVolumeReclaimPolicy").into()),
    BuiltIn::text("Status", |o, _| phase(o).into()),
    BuiltIn::text("Claim", |o, _| {
        let claim = at(o, "spec.claimRef");
        if claim.is_null() { "".into() } else { format!("{}/{}", text(claim, "namespace"), text(claim, "name")).into() }
    }),
    CLASS,
    ATTRIBUTES,
    BuiltIn::text("Reason", |o, _| text(o, "status.reason").into()),
    AGE,
    MODE,
];

pub(super) const CLAIMS: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Status", |o, _| phase(o).into()),
    BuiltIn::text("Volume", |o, _| text(o, "spec.volumeName").into()),
    BuiltIn::text("Capacity", |o, _| match text(o, "spec.volumeName") {
        "" => "".into(),
        _ => or(text(o, "status.capacity.storage"), "0").into(),
    }),
    BuiltIn::text("Access Modes", |o, _| match text(o, "spec.volumeName") {
        "" => "".into(),
        _ => modes(o, "status.accessModes").into(),
    }),
    CLASS,
    ATTRIBUTES,
    AGE,
    MODE,
];

pub(super) const CLASSES: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Provisioner", |o, _| text(o, "provisioner").into()),
    BuiltIn::text("ReclaimPolicy", |o, _| or(text(o, "reclaimPolicy"), "Delete").into()),
    BuiltIn::text("VolumeBindingMode", |o, _| or(text(o, "volumeBindingMode"), "Immediate").into()),
    BuiltIn::text("AllowVolumeExpansion", |o, _| flag(o, "allowVolumeExpansion", false)),
    AGE,
];

pub(super) const DRIVERS: &[BuiltIn] = &[
    NAME,
    BuiltIn::boolean("AttachRequired", |o, _| flag(o, "spec.attachRequired", true)),
    BuiltIn::boolean("PodInfoOnMount", |o, _| flag(o, "spec.podInfoOnMount", false)),
    BuiltIn::boolean("StorageCapacity", |o, _| flag(o, "spec.storageCapacity", false)),
    BuiltIn::text("TokenRequests", |o, _| {
        let audiences: Vec<&str> =
            items(o, "spec.tokenRequests").iter().map(|request| text(request, "audience")).collect();
        if has(o, "spec.tokenRequests") { audiences.join(",").into() } else { "<unset>".into() }
    }),
    BuiltIn::boolean("RequiresRepublish", |o, _| flag(o, "spec.requiresRepublish", false)),
    BuiltIn::text("Modes", |o, _| or(&texts(o, "spec.volumeLifecycleModes").join(","), "<none>").into()),
    AGE,
];

const CLASS: BuiltIn = BuiltIn::text("StorageClass", |o, _| {
    // The annotation is older than the field and goes before it.
    let annotated = at(o, "metadata.annotations").get("volume.beta.kubernetes.io/storage-class");
    annotated.and_then(Value::as_str).unwrap_or_else(|| text(o, "spec.storageClassName")).into()
});
const ATTRIBUTES: BuiltIn =
    BuiltIn::text("VolumeAttributesClass", |o, _| or(text(o, "spec.volumeAttributesClassName"), "<unset>").into());
const MODE: BuiltIn = BuiltIn::text("VolumeMode", |o, _| or(text(o, "spec.volumeMode"), "<unset>").into()).wide();

fn flag(object: &Value, path: &str, missing: bool) -> Value {
    at(object, path).as_bool().unwrap_or(missing).into()
}

fn phase(object: &Value) -> &str {
    if has(object, "metadata.deletionTimestamp") { "Terminating" } else { text(object, "status.phase") }
}

fn modes(object: &Value, path: &str) -> String {
    let found = texts(object, path);
    let short =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let known = short.into_iter().filter(|(mode, _)| found.contains(mode)).map(|(_, short)| short);
    known.collect::<Vec<_>>().join(",")
}

/// Whether a class is that of claims that name none, which lists of them tell.
pub(in crate::sim::apiserver) fn is_default(class: &Value) -> bool {
    let names = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    names.iter().any(|name| at(class, "metadata.annotations").get(name) == Some(&"true".into()))
}
