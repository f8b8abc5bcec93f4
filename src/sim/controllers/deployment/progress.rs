//! The conditions of a Deployment: whether enough pods are there, and whether it gets on.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::super::apiserver::acting::Acting;
use super::super::super::apiserver::meta;
use super::super::super::apiserver::store::Place;
use super::super::super::kinds::value::{at, number, text};
use super::super::workload::{Failure, Fate, condition};
use super::sets::Sets;

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
/// Reasons of the condition that tells of progress.
const ARRIVED: &str = "NewReplicaSetAvailable";
const LATE: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";

/// What a Deployment is at.
#[derive(Debug)]
pub(super) enum Now {
    /// Whatever its ReplicaSets show.
    Going,
    /// It was told to wait.
    Paused,
    /// It has just made this ReplicaSet.
    Created(String),
}

/// Tells whether as many pods are available as must be.
pub(super) fn tell_available(acting: &Acting<'_>, conditions: &mut Vec<Value>, enough: bool) {
    let (status, reason, message) = if enough {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    put(acting, conditions, AVAILABLE, (status, reason, message), false);
}

/// Tells whether the Deployment gets on, and has it looked at again when it should have.
pub(super) fn tell_progress(
    acting: &mut Acting<'_>,
    place: &Place,
    deployment: &Value,
    status: &Value,
    conditions: &mut Vec<Value>,
    sets: &Sets,
    now: Now,
) {
    let known = condition(conditions, PROGRESSING).cloned().unwrap_or_default();
    let reason = text(&known, "reason");
    match now {
        Now::Paused => {
            // Who is late already stays it.
            if reason != LATE {
                put(acting, conditions, PROGRESSING, ("Unknown", PAUSED, "Deployment is paused"), false);
            }
            return;
        }
        Now::Created(name) => {
            let message = format!("Created new replica set {name:?}");
            put(acting, conditions, PROGRESSING, ("True", "NewReplicaSetCreated", &message), true);
        }
        Now::Going if reason == PAUSED => {
            put(acting, conditions, PROGRESSING, ("Unknown", "DeploymentResumed", "Deployment is resumed"), false);
        }
        Now::Going => follow(acting, deployment, status, conditions, sets, &known),
    }
    let Some(known) = condition(conditions, PROGRESSING) else { return };
    if let Some(due) = deadline(deployment, known).filter(|due| *due > acting.now) {
        acting.again(place.clone(), due);
    }
}

fn follow(
    acting: &Acting<'_>,
    deployment: &Value,
    status: &Value,
    conditions: &mut Vec<Value>,
    sets: &Sets,
    known: &Value,
) {
    let counted = |path: &str| number(status, path);
    let is_whole = counted("replicas") == counted("updatedReplicas");
    if is_whole && text(known, "reason") == ARRIVED {
        return;
    }
    let name = sets.new.as_ref().map(|new| meta::text(new, "name"));
    let told = |what: &str| match name {
        Some(name) => format!("ReplicaSet {name:?} {what}"),
        None => format!("Deployment {:?} {what}", meta::text(deployment, "name")),
    };
    let wanted = number(deployment, "spec.replicas");
    let before = |path: &str| number(deployment, &format!("status.{path}"));
    let old = |counts: &dyn Fn(&str) -> i64| counts("replicas") - counts("updatedReplicas");
    let gets_on =
        ["updatedReplicas", "readyReplicas", "availableReplicas"].iter().any(|path| counted(path) > before(path))
            || old(&counted) < old(&before);
    if is_whole && counted("updatedReplicas") == wanted && counted("availableReplicas") == wanted {
        let message = told("has successfully progressed.");
        put(acting, conditions, PROGRESSING, ("True", ARRIVED, &message), false);
    } else if gets_on {
        put(acting, conditions, PROGRESSING, ("True", "ReplicaSetUpdated", &told("is progressing.")), true);
    } else if deadline(deployment, known).is_some_and(|due| due <= acting.now) {
        put(acting, conditions, PROGRESSING, ("False", LATE, &told("has timed out progressing.")), false);
    }
}

/// When a Deployment that has not arrived should have got on.
fn deadline(deployment: &Value, known: &Value) -> Option<Timestamp> {
    if matches!(text(known, "reason"), ARRIVED | LATE | PAUSED | "") {
        return None;
    }
    let fate = Fate::of_workload(deployment);
    let seconds = if fate.failure == Some(Failure::Never) {
        1
    } else {
        at(deployment, "spec.progressDeadlineSeconds").as_i64()?
    };
    let since: Timestamp = text(known, "lastUpdateTime").parse().ok()?;
    // Times of objects have no parts of seconds.
    since.checked_add(SignedDuration::from_secs(seconds.checked_add(1)?)).ok()
}

/// Sets a condition. One that says the same is left alone, unless it is to be `fresh`.
fn put(
    acting: &Acting<'_>,
    conditions: &mut Vec<Value>,
    kind: &str,
    (status, reason, message): (&str, &str, &str),
    fresh: bool,
) {
    let now = acting.now_text();
    let known = condition(conditions, kind).cloned().unwrap_or_default();
    let same_status = text(&known, "status") == status;
    if same_status && text(&known, "reason") == reason && !fresh {
        return;
    }
    let since = if same_status { text(&known, "lastTransitionTime") } else { now.as_str() };
    let new = json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastUpdateTime": now, "lastTransitionTime": since,
    });
    conditions.retain(|condition| text(condition, "type") != kind);
    conditions.push(new);
}
