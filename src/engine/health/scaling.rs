//! How many replicas there are and must be: HorizontalPodAutoscaler, PodDisruptionBudget.

use serde_json::Value;

use super::conditions::{Condition, all, is_false, is_true};
use super::{Health, annotation};

/// Annotation that holds the conditions of an autoscaler in `autoscaling/v1`, as JSON text.
const V1_CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

/// `health_hpa.go`, versions with `status.conditions`.
pub(super) fn horizontal_pod_autoscaler(object: &Value) -> Health {
    by_conditions(all(object))
}

/// `health_hpa.go`, version v1.
pub(super) fn horizontal_pod_autoscaler_v1(object: &Value) -> Health {
    let Some(text) = annotation(object, V1_CONDITIONS) else {
        return by_conditions(std::iter::empty());
    };
    match serde_json::from_str::<Option<Vec<Value>>>(text) {
        Ok(conditions) => by_conditions(conditions.iter().flatten().map(Condition::read)),
        Err(error) => Health::unknown(format!("failed to convert conditions annotation to typed: {error}")),
    }
}

/// The first condition that says anything decides.
fn by_conditions<'a>(conditions: impl Iterator<Item = Condition<'a>>) -> Health {
    for condition in conditions {
        match (condition.kind, condition.reason) {
            ("AbleToScale", "FailedGetScale" | "FailedUpdateScale")
            | ("ScalingActive", "FailedGetResourceMetric" | "InvalidSelector") => {
                return Health::degraded(condition.message);
            }
            ("AbleToScale" | "ScalingLimited", _) if is_true(&condition) => return Health::healthy(condition.message),
            _ => {}
        }
    }
    Health::progressing("Waiting to Autoscale")
}

/// Argo CD's script `policy/PodDisruptionBudget/health.lua`: too few Pods to disrupt any is a normal state.
pub(super) fn pod_disruption_budget(object: &Value) -> Health {
    let mut health = Health::progressing("Waiting for status");
    for condition in all(object) {
        let message = format!("PodDisruptionBudget has {}", condition.reason);
        if is_false(&condition) && condition.reason != "InsufficientPods" {
            return Health::degraded(message);
        }
        health = Health::healthy(message);
    }
    health
}
