//! The order of the output.

use std::cmp::Ordering;

use super::error::KustomizeError;
use super::kustomization::SortOptions;
use super::resource::{Gvk, Resource, Resources};

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
    resources.list.sort_by_cached_key(|resource| Key::new(resource, &first, &last));
    Ok(())
}

/// What orders a resource among others.
#[derive(PartialEq, Eq)]
struct Key {
    rank: i64,
    gvk: String,
    name: String,
    /// Whether it is called a namespace, of the core or of another group.
    namespace: Option<bool>,
}

impl Key {
    fn new(resource: &Resource, first: &[&str], last: &[&str]) -> Self {
        let gvk = resource.gvk();
        Self {
            rank: rank(gvk.kind, first, last),
            gvk: sort_text(gvk),
            name: format!("{}|{}", or(resource.namespace(), "~X"), or(resource.name(), "~N")),
            namespace: (gvk.kind == "Namespace").then_some(gvk.group.is_empty()),
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let gvks = self.gvk.cmp(&other.gvk);
        // Namespaces of the core come before others of that name.
        let core = matches!((self.namespace, other.namespace), (Some(a), Some(b)) if a || b);
        let gvks = if core { gvks.reverse() } else { gvks };
        self.rank.cmp(&other.rank).then(gvks).then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
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
    format!("{}_{}_{}", or(gvk.group, "~G"), or(gvk.version, "~V"), or(gvk.kind, "~K"))
}

fn or<'t>(text: &'t str, missing: &'t str) -> &'t str {
    if text.is_empty() { missing } else { text }
}

/// The order of kinds in the tables of fields.
pub(super) fn compare_kinds(a: Gvk<'_>, b: Gvk<'_>) -> Ordering {
    rank(a.kind, &FIRST, &LAST).cmp(&rank(b.kind, &FIRST, &LAST)).then_with(|| sort_text(a).cmp(&sort_text(b)))
}
