//! The way from the pods that are to those that are wanted, one step at a time.

use serde_json::Value;

use super::super::super::apiserver::meta;
use super::super::super::kinds::value::{number, text};
use super::bounds;
use super::sets::Sets;

/// What is done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// ReplicaSets, by name, get these numbers of pods.
    Scale(Vec<(String, i64)>),
}

/// How many pods the ReplicaSet of a new template begins with.
pub(super) fn first(deployment: &Value, sets: &Sets) -> i64 {
    if text(deployment, "spec.strategy.type") == "Recreate" {
        let over = sets.old.iter().all(|set| number(set, "status.replicas") == 0 && number(set, "spec.replicas") == 0);
        return if over { number(deployment, "spec.replicas") } else { 0 };
    }
    grown(deployment, sets, 0)
}

/// What is to be done next, if anything is.
pub(super) fn next(deployment: &Value, sets: &Sets, paused: bool) -> Option<Step> {
    let wanted = number(deployment, "spec.replicas");
    if paused {
        return scale_only(sets, wanted);
    }
    let new = sets.new.as_ref()?;
    let (current, recreate) = (number(new, "spec.replicas"), text(deployment, "spec.strategy.type") == "Recreate");
    let scale_old = |target: &dyn Fn(&Value) -> i64| {
        let changes = sets.old.iter().filter(|set| number(set, "spec.replicas") != target(set));
        changes.map(|set| (name(set), target(set))).collect::<Vec<_>>()
    };
    if recreate {
        let down = scale_old(&|_| 0);
        if !down.is_empty() {
            return Some(Step::Scale(down));
        }
        let gone = sets
            .old
            .iter()
            .all(|set| number(set, "status.replicas") == 0 && number(set, "status.terminatingReplicas") == 0);
        return (gone && current != wanted).then(|| Step::Scale(vec![(name(new), wanted)]));
    }
    let target = if current > wanted { wanted } else { grown(deployment, sets, current) };
    if target != current {
        return Some(Step::Scale(vec![(name(new), target)]));
    }
    let down = shrunk(deployment, sets, new);
    (!down.is_empty()).then_some(Step::Scale(down))
}

/// While it is paused, a Deployment of one template can still be scaled.
fn scale_only(sets: &Sets, wanted: i64) -> Option<Step> {
    let mut active = sets.all().filter(|set| number(set, "spec.replicas") > 0);
    let only = match (active.next(), active.next()) {
        (Some(only), None) => only,
        (None, _) => sets.all().last()?,
        _ => return None,
    };
    (number(only, "spec.replicas") != wanted).then(|| Step::Scale(vec![(name(only), wanted)]))
}

/// How many pods the new ReplicaSet may have by now.
fn grown(deployment: &Value, sets: &Sets, current: i64) -> i64 {
    let wanted = number(deployment, "spec.replicas");
    let (surge, _) = bounds(deployment);
    let total: i64 = sets.all().map(|set| number(set, "spec.replicas")).sum();
    let room = (wanted + surge - total).max(0);
    current + room.min((wanted - current).max(0))
}

/// The old ReplicaSets that can do with fewer pods: those whose pods are not available first, then the oldest.
fn shrunk(deployment: &Value, sets: &Sets, new: &Value) -> Vec<(String, i64)> {
    let wanted = number(deployment, "spec.replicas");
    let (_, unavailable) = bounds(deployment);
    let least = wanted - unavailable;
    let total: i64 = sets.all().map(|set| number(set, "spec.replicas")).sum();
    let not_yet = (number(new, "spec.replicas") - number(new, "status.availableReplicas")).max(0);
    let mut room = total - least - not_yet;
    let mut targets: Vec<(String, i64, i64)> = Vec::new();
    for set in &sets.old {
        let (replicas, available) = (number(set, "spec.replicas"), number(set, "status.availableReplicas"));
        let sick = (replicas - available).clamp(0, room.max(0));
        room -= sick;
        targets.push((name(set), replicas, replicas - sick));
    }
    let available: i64 = sets.all().map(|set| number(set, "status.availableReplicas")).sum();
    let mut surplus = (available - least).min(room).max(0);
    for (_, _, target) in &mut targets {
        let down = surplus.min(*target);
        *target -= down;
        surplus -= down;
    }
    targets.into_iter().filter(|(_, before, target)| before != target).map(|(name, _, target)| (name, target)).collect()
}

fn name(set: &Value) -> String {
    meta::text(set, "name").to_owned()
}
