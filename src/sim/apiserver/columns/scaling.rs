//! How many pods there may be, and how much they may take.

use serde_json::Value;

use super::{AGE, BuiltIn, NAME, or};
use crate::sim::kinds::value::{at, has, items, members, number, text};

pub(super) const AUTOSCALERS: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Reference", |o, _| {
        format!("{}/{}", text(o, "spec.scaleTargetRef.kind"), text(o, "spec.scaleTargetRef.name")).into()
    }),
    BuiltIn::text("Targets", |o, _| targets(o).into()),
    BuiltIn::text("MinPods", |o, _| or(&plain(at(o, "spec.minReplicas")), "<unset>").into()),
    BuiltIn::text("MaxPods", |o, _| number(o, "spec.maxReplicas").into()),
    BuiltIn::text("Replicas", |o, _| number(o, "status.currentReplicas").into()),
    AGE,
];

pub(super) const DISRUPTION_BUDGETS: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Min Available", |o, _| or(&plain(at(o, "spec.minAvailable")), "N/A").into()),
    BuiltIn::text("Max Unavailable", |o, _| or(&plain(at(o, "spec.maxUnavailable")), "N/A").into()),
    BuiltIn::integer("Allowed Disruptions", |o, _| number(o, "status.disruptionsAllowed").into()),
    AGE,
];

pub(super) const PRIORITY_CLASSES: &[BuiltIn] = &[
    NAME,
    BuiltIn::integer("Value", |o, _| number(o, "value").into()),
    BuiltIn::boolean("Global-Default", |o, _| at(o, "globalDefault").as_bool().unwrap_or_default().into()),
    AGE,
    BuiltIn::text("PreemptionPolicy", |o, _| text(o, "preemptionPolicy").into()),
];

pub(super) const RESOURCE_QUOTAS: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Request", |o, _| quota(o, false).into()),
    BuiltIn::text("Limit", |o, _| quota(o, true).into()),
    AGE,
];

/// A number or text as it is; empty if there is none.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn quota(quota: &Value, limits: bool) -> String {
    let hard = members(quota, "status.hard").filter(|(name, _)| name.starts_with("limits.") == limits);
    let parts = hard.map(|(name, hard)| {
        let used = at(quota, "status.used").get(name).map(plain).unwrap_or_default();
        format!("{name}: {}/{}", or(&used, "0"), plain(hard))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// What is measured and what is wanted, of the first two metrics.
fn targets(autoscaler: &Value) -> String {
    let specs = items(autoscaler, "spec.metrics");
    let states = items(autoscaler, "status.currentMetrics");
    let told: Vec<String> =
        specs.iter().enumerate().map(|(index, spec)| metric(spec, states.get(index).unwrap_or(&Value::Null))).collect();
    match told.split_at_checked(2) {
        _ if told.is_empty() => "<none>".to_owned(),
        Some((first, rest)) if !rest.is_empty() => format!("{} + {} more...", first.join(", "), rest.len()),
        _ => told.join(", "),
    }
}

fn metric(spec: &Value, state: &Value) -> String {
    let (source, named) = match text(spec, "type") {
        "External" => ("external", false),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        _ => return "<unknown type>".to_owned(),
    };
    let target = at(spec, &format!("{source}.target"));
    let current = at(state, &format!("{source}.current"));
    let told = |field: &str| or(&plain(at(current, field)), "<unknown>").to_owned();
    if named {
        let name = text(at(spec, source), "name");
        return match at(target, "averageValue") {
            Value::Null => {
                let percent = |value: &Value, missing: &str| match value.as_i64() {
                    Some(value) => format!("{value}%"),
                    None => missing.to_owned(),
                };
                let current = percent(at(current, "averageUtilization"), "<unknown>");
                format!("{name}: {current}/{}", percent(at(target, "averageUtilization"), "<auto>"))
            }
            wanted => format!("{name}: {}/{}", told("averageValue"), plain(wanted)),
        };
    }
    if source == "pods" {
        return format!("{}/{}", told("averageValue"), plain(at(target, "averageValue")));
    }
    if has(target, "averageValue") {
        return format!("{}/{} (avg)", told("averageValue"), plain(at(target, "averageValue")));
    }
    format!("{}/{}", told("value"), plain(at(target, "value")))
}
