//! The order of the output.

use std::cmp::Ordering;

use super::error::KustomizeError;
use super::kustomization::SortOptions;
use super::resource::{Gvk, Id, Resources};

/// Order of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By kind, so that what others need comes first.
    #[default]
    Legacy,
    /// As the resources were read and made.
    Fifo,
}

/// Kinds that come first in the legacy order, in this order.
const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
/// Kinds that come last in the legacy order, in this order.
const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Orders resources. Without options the order is the legacy one.
pub fn sort(resources: &mut Resources, options: Option<&SortOptions>) -> Result<(), KustomizeError> {
    let (mut first, mut last) = (FIRST.to_vec(), LAST.to_vec());
    match options.map(|options| (options.order.as_str(), &options.legacy)) {
        Some(("fifo", None)) => return Ok(()),
        Some(("fifo", Some(_))) => {
            return Err(KustomizeError::new("the order `fifo` has no such options; remove them")
                .in_field("sortOptions.legacySortOptions"));
        }
        Some(("legacy", Some(legacy))) => {
            first = legacy.order_first.iter().map(String::as_str).collect();
            last = legacy.order_last.iter().map(String::as_str).collect();
        }
        Some(("legacy", None)) | None => {}
        Some(_) => {
            return Err(KustomizeError::new("`fifo` or `legacy` is needed").in_field("sortOptions.order"));
        }
    }
    resources.list.sort_by(|a, b| compare(a.id(), a.namespace(), b.id(), b.namespace(), &first, &last));
    Ok(())
}

/// Rank of a kind: negative if it comes first, positive if it comes last. What is in both comes last, and the last of
/// two equal ones counts.
fn rank(kind: &str, first: &[&str], last: &[&str]) -> i64 {
    let position =
        |kinds: &[&str]| kinds.iter().rposition(|other| *other == kind).and_then(|at| i64::try_from(at).ok());
    match (position(last), position(first)) {
        (Some(at), _) => at + 1,
        (None, Some(at)) => at - i64::try_from(first.len()).unwrap_or(i64::MAX),
        (None, None) => 0,
    }
}

/// What orders kinds of the same rank. What is missing is written so that it comes late.
fn sort_text(gvk: Gvk<'_>) -> String {
    fn or<'t>(text: &'t str, missing: &'t str) -> &'t str {
        if text.is_empty() { missing } else { text }
    }
    format!("{}_{}_{}", or(gvk.group, "~G"), or(gvk.version, "~V"), or(gvk.kind, "~K"))
}

fn compare(a: Id<'_>, namespace_a: &str, b: Id<'_>, namespace_b: &str, first: &[&str], last: &[&str]) -> Ordering {
    if a.gvk != b.gvk {
        let ranks = rank(a.gvk.kind, first, last).cmp(&rank(b.gvk.kind, first, last));
        let texts = sort_text(a.gvk).cmp(&sort_text(b.gvk));
        let core = a.gvk.group.is_empty() || b.gvk.group.is_empty();
        let namespaces = a.gvk.kind == "Namespace" && b.gvk.kind == "Namespace" && core;
        return ranks.then(if namespaces { texts.reverse() } else { texts });
    }
    let text = |id: Id<'_>, namespace: &str| {
        let or = |text: &str, missing: &str| if text.is_empty() { missing.to_owned() } else { text.to_owned() };
        format!("{}|{}", or(namespace, "~X"), or(id.name, "~N"))
    };
    text(a, namespace_a).cmp(&text(b, namespace_b))
}

/// The order of kinds in the tables of fields.
pub(super) fn compare_kinds(a: Gvk<'_>, b: Gvk<'_>) -> Ordering {
    rank(a.kind, &FIRST, &LAST).cmp(&rank(b.kind, &FIRST, &LAST)).then_with(|| sort_text(a).cmp(&sort_text(b)))
}
