//! Fields that a request can't set: what it says of them is ignored, and nobody owns them by it.

use crate::sim::fields::{FieldSet, Path};

/// The fields that are reset by requests to this subresource (empty: the object itself) of objects of the kind.
///
/// `has_status` says whether the kind has a status subresource; `custom`, whether a definition added it.
#[must_use]
pub fn reset_fields(kind: &str, custom: bool, has_status: bool, subresource: &str) -> FieldSet {
    let below = |names: &'static [&'static str]| Path::of(names);
    match subresource {
        "" if has_status => FieldSet::of([below(&["status"])]),
        "finalize" => FieldSet::of([below(&["status"])]),
        "status" => {
            let more: &[&[&str]] = match kind {
                _ if custom => &[&["metadata"]],
                "Deployment" => &[&["metadata", "labels"]],
                "Pod" => &[&["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]],
                "ServiceCIDR"
                | "ValidatingAdmissionPolicy"
                | "VolumeAttachment"
                | "FlowSchema"
                | "PriorityLevelConfiguration" => &[&["metadata"]],
                _ => &[],
            };
            FieldSet::of([below(&["spec"])].into_iter().chain(more.iter().map(|names| Path::of(names))))
        }
        _ => FieldSet::default(),
    }
}
