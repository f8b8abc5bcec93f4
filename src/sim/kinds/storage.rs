//! Volumes, claims and their classes: what is filled in.

use serde_json::{Value, json};

use super::pods;
use super::value::{at, fill, fill_blank, has, inside, is_blank, keep, set, take};

pub(super) fn claim(claim: &mut Value) {
    fill_blank(claim, "status.phase", "Pending");
    fill(claim, "spec.volumeMode", "Filesystem");
    fill(claim, "spec.resources", json!({}));
}

/// A claim is protected while it is used, and knows its source under both names.
pub(super) fn create_claim(claim: &mut Value) {
    protect(claim, "kubernetes.io/pvc-protection");
    set(claim, "status", json!({"phase": "Pending"}));
    let (source, reference) = (at(claim, "spec.dataSource").clone(), at(claim, "spec.dataSourceRef").clone());
    match (source, reference) {
        (Value::Null, Value::Null) => {}
        (source, Value::Null) => set(claim, "spec.dataSourceRef", source),
        (Value::Null, mut reference) if is_blank(at(&reference, "namespace")) => {
            fill(&mut reference, "apiGroup", Value::Null);
            set(claim, "spec.dataSourceRef", reference.clone());
            set(claim, "spec.dataSource", reference);
        }
        _ => {}
    }
}

pub(super) fn update_claim(claim: &mut Value, old: &Value) {
    if at(claim, "spec.dataSource") == at(old, "spec.dataSource") && has(old, "spec.dataSourceRef") {
        keep(claim, old, "spec.dataSourceRef");
    }
}

pub(super) fn volume(volume: &mut Value) {
    fill_blank(volume, "status.phase", "Pending");
    fill_blank(volume, "spec.persistentVolumeReclaimPolicy", "Retain");
    fill(volume, "spec.volumeMode", "Filesystem");
    if let Some(spec) = inside(volume, "spec") {
        pods::volume_source(spec);
    }
}

pub(super) fn create_volume(volume: &mut Value) {
    protect(volume, "kubernetes.io/pv-protection");
    let created = at(volume, "metadata.creationTimestamp").clone();
    set(volume, "status", json!({"phase": "Pending", "lastPhaseTransitionTime": created}));
}

fn protect(object: &mut Value, finalizer: &str) {
    fill(object, "metadata.finalizers", json!([]));
    if let Some(Value::Array(finalizers)) = inside(object, "metadata.finalizers")
        && !finalizers.iter().any(|known| known == finalizer)
    {
        finalizers.push(finalizer.into());
    }
}

pub(super) fn class(class: &mut Value) {
    fill(class, "reclaimPolicy", "Delete");
    fill(class, "volumeBindingMode", "Immediate");
}

pub(super) fn driver(driver: &mut Value) {
    fill(driver, "spec.attachRequired", true);
    const FLAGS: [&str; 5] =
        ["podInfoOnMount", "preventPodSchedulingIfMissing", "requiresRepublish", "seLinuxMount", "storageCapacity"];
    for flag in FLAGS {
        fill(driver, &format!("spec.{flag}"), false);
    }
    fill(driver, "spec.fsGroupPolicy", "ReadWriteOnceWithFSType");
    fill_blank(driver, "spec.volumeLifecycleModes", json!(["Persistent"]));
}

/// Drivers begin without a generation, and count their changes from there.
pub(super) fn create_driver(driver: &mut Value) {
    take(driver, "metadata.generation");
}
