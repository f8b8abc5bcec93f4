//! What runs to an end: Job, CronJob, and Argo's Workflow.

use serde_json::Value;

use super::conditions::{all, is_true};
use super::{Health, list, text};
use crate::engine::time::Timestamp;

/// `health_job.go`: the presence of a condition counts; only for `Suspended` its status does, too.
pub(super) fn job(object: &Value) -> Health {
    let (mut failure, mut end, mut suspended) = (None, None, false);
    for condition in all(object) {
        match condition.kind {
            "Failed" => failure = Some(condition.message),
            "Complete" => end = Some(condition.message),
            "Suspended" => {
                end = Some(condition.message);
                suspended |= is_true(&condition);
            }
            _ => {}
        }
    }
    match (failure, end) {
        (Some(message), _) => Health::degraded(message),
        (None, Some(_)) if suspended => Health::suspended(""),
        (None, Some(message)) => Health::healthy(message),
        (None, None) => Health::progressing(""),
    }
}

/// Argo CD's script `batch/CronJob/health.lua` (since 3.2): Degraded only when the last run is known to have failed.
/// A suspended or running one stays Healthy, so that an application of schedules is not Suspended or Progressing for
/// ever (argo-cd#24428).
pub(super) fn cron_job(object: &Value) -> Health {
    if object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        return Health::healthy("CronJob is Suspended");
    }
    if !object.get("status").is_some_and(Value::is_object) {
        return Health::progressing("Waiting for CronJob");
    }
    let Some(scheduled) = Timestamp::parse(text(object, "/status/lastScheduleTime")) else {
        return Health::healthy("CronJob has not been scheduled yet");
    };
    let Some(succeeded) = Timestamp::parse(text(object, "/status/lastSuccessfulTime")) else {
        return Health::healthy("CronJob has never completed successfully; it may not be healthy");
    };
    if list(object, "/status/active").next().is_some() {
        return Health::healthy("CronJob is running; its last execution may not have been successful");
    }
    if succeeded < scheduled {
        return Health::degraded("CronJob has not completed its last execution successfully");
    }
    Health::healthy("CronJob has completed its last execution successfully")
}

/// `health_argo.go`, for every version of the kind.
pub(super) fn workflow(object: &Value) -> Health {
    let message = text(object, "/status/message");
    match text(object, "/status/phase") {
        "" | "Pending" | "Running" => Health::progressing(message),
        "Succeeded" => Health::healthy(message),
        "Failed" | "Error" => Health::degraded(message),
        _ => Health::unknown(message),
    }
}
