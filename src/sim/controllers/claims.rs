//! Claims of storage: each gets a volume of its own at once.

use serde_json::{Value, json};

use super::super::apiserver::acting::Acting;
use super::super::apiserver::meta;
use super::super::apiserver::store::{Key, Place};
use super::super::kinds::value::{at, items, set, text};
use super::pods;
use super::workload::MANAGER;

pub(super) const TABLE: &str = "persistentvolumeclaims";
pub(super) const VOLUMES: &str = "persistentvolumes";
/// What keeps a claim that pods use.
const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
/// What keeps a volume that is bound.
const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";
/// What a volume that was made for a claim is annotated with.
const PROVISIONED: &str = "pv.kubernetes.io/provisioned-by";
/// Who makes volumes.
const PROVISIONER: &str = "driftless.dev/sandbox";

/// Binds a claim, or lets it go.
pub(super) fn look_at(acting: &mut Acting<'_>, place: &Place) {
    let Some(claim) = acting.get(TABLE, &place.1) else {
        return;
    };
    if meta::get(&claim, "deletionTimestamp").is_some() {
        let name = meta::text(&claim, "name");
        let used = acting.any(pods::TABLE, meta::text(&claim, "namespace"), |pod| {
            let volumes = items(pod, "spec.volumes").iter();
            !pods::has_ended(pod)
                && volumes.into_iter().any(|volume| text(volume, "persistentVolumeClaim.claimName") == name)
        });
        if used {
            let pause = acting.settings().pace.stop;
            acting.again(place.clone(), acting.now.checked_add(pause).unwrap_or(acting.now));
        } else {
            release(acting, TABLE, &claim, CLAIM_PROTECTION);
        }
        return;
    }
    if text(&claim, "status.phase") == "Bound" {
        return;
    }
    let volume = match text(&claim, "spec.volumeName") {
        "" => format!("pvc-{}", meta::text(&claim, "uid")),
        named => named.to_owned(),
    };
    let key = Key::new(None, &volume);
    if acting.get(VOLUMES, &key).is_none() && text(&claim, "spec.volumeName").is_empty() {
        acting.create(MANAGER, VOLUMES, &made_for(&claim, &volume));
    }
    let Some(found) = acting.get(VOLUMES, &key) else { return };
    bind(acting, claim, &found);
}

fn bind(acting: &mut Acting<'_>, mut claim: Value, volume: &Value) {
    set(&mut claim, "spec.volumeName", meta::text(volume, "name"));
    let mut annotations = meta::get(&claim, "annotations").cloned().unwrap_or_else(|| json!({}));
    if let Some(annotations) = annotations.as_object_mut() {
        for name in ["pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"] {
            annotations.insert(name.to_owned(), "yes".into());
        }
    }
    meta::set(&mut claim, "annotations", annotations);
    let Some(mut claim) = acting.update(MANAGER, TABLE, None, &claim) else { return };
    let status = json!({
        "phase": "Bound", "accessModes": at(volume, "spec.accessModes"), "capacity": at(volume, "spec.capacity"),
    });
    set(&mut claim, "status", status);
    acting.update(MANAGER, TABLE, Some("status"), &claim);
    let mut volume = volume.clone();
    set(&mut volume, "status.phase", "Bound");
    acting.update(MANAGER, VOLUMES, Some("status"), &volume);
}

/// A volume as a claim wants it.
fn made_for(claim: &Value, name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {PROVISIONED: PROVISIONER}},
        "spec": {
            "accessModes": at(claim, "spec.accessModes"),
            "capacity": {"storage": at(claim, "spec.resources.requests.storage")},
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": meta::text(claim, "namespace"),
                "name": meta::text(claim, "name"), "uid": meta::text(claim, "uid"),
            },
            "hostPath": {"path": format!("/var/lib/volumes/{name}")},
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": at(claim, "spec.storageClassName"),
            "volumeMode": at(claim, "spec.volumeMode"),
        },
    })
}

/// Deletes a volume that was made for a claim which is gone.
pub(super) fn look_at_volume(acting: &mut Acting<'_>, place: &Place) {
    let Some(volume) = acting.get(VOLUMES, &place.1) else { return };
    let claimed = at(&volume, "spec.claimRef");
    let key = Key::new(Some(text(claimed, "namespace")), text(claimed, "name"));
    let claim = if claimed.is_null() { None } else { acting.get(TABLE, &key) };
    let held = claim.is_some_and(|claim| meta::text(&claim, "uid") == text(claimed, "uid"));
    let made = meta::get(&volume, "annotations").and_then(|all| all.get(PROVISIONED)?.as_str()) == Some(PROVISIONER);
    if meta::get(&volume, "deletionTimestamp").is_some() {
        if !held {
            release(acting, VOLUMES, &volume, VOLUME_PROTECTION);
        }
    } else if made && !held {
        acting.delete(VOLUMES, &place.1, false);
    }
}

/// Takes a finalizer off.
fn release(acting: &mut Acting<'_>, table: &str, object: &Value, finalizer: &str) {
    let kept: Vec<Value> =
        meta::finalizers(object).into_iter().filter(|name| *name != finalizer).map(Value::from).collect();
    let volume = text(object, "spec.volumeName").to_owned();
    let mut new = object.clone();
    meta::set(&mut new, "finalizers", kept);
    if acting.update(MANAGER, table, None, &new).is_some() && table == TABLE && !volume.is_empty() {
        acting.again((VOLUMES.to_owned(), Key::new(None, &volume)), acting.now);
    }
}
