//! Volumes of pods.

use serde_json::Value;

use super::{Errors, duplicate, forbidden, named, required};
use crate::sim::apiserver::names;
use crate::sim::kinds::value::{items, text};

/// Kinds of volumes in the order in which they are looked at, with the field that each needs.
const SOURCES: [(&str, &str); 16] = [
    ("emptyDir", ""),
    ("hostPath", "path"),
    ("gitRepo", "repository"),
    ("gcePersistentDisk", "pdName"),
    ("awsElasticBlockStore", "volumeID"),
    ("secret", "secretName"),
    ("nfs", "server"),
    ("iscsi", "targetPortal"),
    ("glusterfs", "endpoints"),
    ("flexVolume", "driver"),
    ("configMap", "name"),
    ("persistentVolumeClaim", "claimName"),
    ("cephfs", "monitors"),
    ("downwardAPI", ""),
    ("projected", ""),
    ("csi", "driver"),
];

/// What is wrong with the volumes of a pod; the names of those that are right.
pub(super) fn check(errors: &mut Errors, base: &str, spec: &Value) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for (index, volume) in items(spec, "volumes").iter().enumerate() {
        let base = format!("{base}.volumes[{index}]");
        let before = errors.len();
        source(errors, &base, volume);
        let name = text(volume, "name");
        if name.is_empty() {
            required(errors, format!("{base}.name"));
        } else {
            named(errors, format!("{base}.name"), name, names::label);
        }
        if known.iter().any(|known| known == name) {
            duplicate(errors, format!("{base}.name"), format!("{name:?}"));
        }
        if errors.len() == before {
            known.push(name.to_owned());
        }
    }
    known
}

fn source(errors: &mut Errors, base: &str, volume: &Value) {
    let mut found = 0;
    for (source, needed) in SOURCES {
        let Some(value) = volume.get(source).filter(|value| !value.is_null()) else { continue };
        found += 1;
        if found > 1 {
            forbidden(errors, format!("{base}.{source}"), "may not specify more than 1 volume type");
        } else if !needed.is_empty() && super::is_blank(super::at(value, needed)) {
            required(errors, format!("{base}.{source}.{needed}"));
        }
    }
}
