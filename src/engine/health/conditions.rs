//! `status.conditions`, and the rule for custom resources: the conditions that most controllers share, as kstatus
//! (`sigs.k8s.io/cli-utils`) and the Kubernetes API conventions name them.

use serde_json::Value;

use super::{Health, number, text};

/// One entry of `status.conditions`; what is missing is empty.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Condition<'a> {
    /// `type`.
    pub(super) kind: &'a str,
    /// `True`, `False` or `Unknown`.
    pub(super) status: &'a str,
    /// CamelCase word for machines.
    pub(super) reason: &'a str,
    /// Sentence for people.
    pub(super) message: &'a str,
}

impl<'a> Condition<'a> {
    /// Reads one entry.
    pub(super) fn read(entry: &'a Value) -> Self {
        Self {
            kind: text(entry, "/type"),
            status: text(entry, "/status"),
            reason: text(entry, "/reason"),
            message: text(entry, "/message"),
        }
    }

    /// What there is to tell people: the message, or else the reason.
    fn explanation(&self) -> &'a str {
        if self.message.is_empty() { self.reason } else { self.message }
    }
}

/// All conditions of an object, in order.
pub(super) fn all(object: &Value) -> impl Iterator<Item = Condition<'_>> {
    super::list(object, "/status/conditions").map(Condition::read)
}

/// The first condition of a type.
pub(super) fn find<'a>(object: &'a Value, kind: &str) -> Option<Condition<'a>> {
    all(object).find(|condition| condition.kind == kind)
}

/// Whether it says yes.
pub(super) fn is_true(condition: &Condition<'_>) -> bool {
    condition.status == "True"
}

/// Whether it says no.
pub(super) fn is_false(condition: &Condition<'_>) -> bool {
    condition.status == "False"
}

/// Health of a custom resource; `None` if its status has none of the shared words, so that a kind that reports nothing
/// does not hold its application back.
///
/// In this order: `status.observedGeneration` behind `metadata.generation` is Progressing (what the status says is of an
/// older spec); `Stalled` or `Failed` true is Degraded; `Reconciling` true is Progressing; then `Ready`, or without it
/// `Available`, decides: true is Healthy, false is Degraded if its reason names a failure, and Progressing otherwise or
/// while unknown. `observedGeneration` of a `Ready` condition counts like the status' own.
pub(super) fn assess(kind: &str, object: &Value) -> Option<Health> {
    let generation = number(object, "/metadata/generation");
    let observed = number(object, "/status/observedGeneration");
    if let (Some(generation), Some(observed)) = (generation, observed)
        && observed < generation
    {
        return Some(Health::progressing(format!(
            "{kind} generation is {generation}, but latest observed generation is {observed}"
        )));
    }
    let failed = ["Stalled", "Failed"].into_iter().find_map(|name| find(object, name).filter(is_true));
    if let Some(failed) = failed {
        return Some(Health::degraded(failed.explanation()));
    }
    if let Some(reconciling) = find(object, "Reconciling").filter(is_true) {
        return Some(Health::progressing(reconciling.explanation()));
    }
    let ready = find(object, "Ready").or_else(|| find(object, "Available"))?;
    let explanation = ready.explanation();
    Some(match ready.status {
        _ if is_outdated(object, ready.kind) => Health::progressing(explanation),
        "True" => Health::healthy(explanation),
        "False" if names_failure(ready.reason) => Health::degraded(explanation),
        _ => Health::progressing(explanation),
    })
}

/// Whether a condition was written for an older spec (`observedGeneration` of `metav1.Condition`).
fn is_outdated(object: &Value, kind: &str) -> bool {
    let entry = super::list(object, "/status/conditions").find(|entry| text(entry, "/type") == kind);
    let observed = entry.and_then(|entry| number(entry, "/observedGeneration"));
    matches!((observed, number(object, "/metadata/generation")), (Some(observed), Some(now)) if observed < now)
}

/// Whether a reason says that something went wrong rather than that it takes time. Reasons are free words; these parts
/// are what controllers use for failures.
fn names_failure(reason: &str) -> bool {
    const PARTS: [&str; 7] = ["Fail", "Error", "Invalid", "BackOff", "Backoff", "Exceeded", "Denied"];
    PARTS.iter().any(|part| reason.contains(part))
}
