//! Jobs: pods until enough of them have succeeded, or too many failed.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::super::apiserver::acting::Acting;
use super::super::apiserver::meta;
use super::super::apiserver::store::Place;
use super::super::kinds::value::{at, number, set, text};
use super::pods;
use super::workload::{MANAGER, Pods, condition, conditions, key_of, pod_of, without_zeros, write_status};

pub(super) const TABLE: &str = "jobs.batch";

/// Takes a Job one step further, and tells how it stands.
pub(super) fn look_at(acting: &mut Acting<'_>, place: &Place) {
    let Some(job) = acting.get(TABLE, &place.1) else { return };
    if meta::get(&job, "deletionTimestamp").is_some() {
        return;
    }
    if is_over(&job) {
        return expire(acting, place, &job);
    }
    let pods = Pods::of(acting, &job);
    let ended = |phase: &str| pods.ended.iter().filter(|pod| text(pod, "status.phase") == phase).count() as i64;
    let (mut succeeded, failed) = (ended("Succeeded"), ended("Failed"));
    let shown = i64::from(acting.settings().shown);
    let parallel = number(&job, "spec.parallelism");
    let wanted = at(&job, "spec.completions").as_i64();
    // Those that can be seen succeed for all.
    let visible = wanted.unwrap_or(parallel).min(shown);
    if succeeded >= visible {
        succeeded = wanted.unwrap_or(parallel);
    }
    let mut end = None;
    if failed > number(&job, "spec.backoffLimit") {
        end = Some(End::Failed);
    } else if succeeded >= wanted.unwrap_or(parallel) && (visible > 0 || wanted == Some(0) || shown == 0) {
        end = Some(End::Complete);
    }
    let suspended = at(&job, "spec.suspend") == true;
    let running = if end.is_some() || suspended { 0 } else { parallel.min(visible - ended("Succeeded")).max(0) };
    let active = keep(acting, &job, &pods, usize::try_from(running).unwrap_or(0));
    let status = status(acting, &job, &pods, (active, succeeded, failed), end, suspended);
    write_status(acting, TABLE, &job, status);
}

/// How a Job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    Failed,
}

fn is_over(job: &Value) -> bool {
    let conditions = conditions(job);
    ["Complete", "Failed"].iter().any(|kind| condition(&conditions, kind).is_some())
}

/// Deletes a Job that wants to be forgotten some time after its end.
fn expire(acting: &mut Acting<'_>, place: &Place, job: &Value) {
    let Some(seconds) = at(job, "spec.ttlSecondsAfterFinished").as_i64() else { return };
    let uid = meta::text(job, "uid").to_owned();
    if acting.has_passed(place, &uid, "forget", SignedDuration::from_secs(seconds)) {
        acting.delete(TABLE, &place.1, false);
    }
}

/// Brings the pods that run to their number. Returns it.
fn keep(acting: &mut Acting<'_>, job: &Value, pods: &Pods, running: usize) -> i64 {
    for pod in pods.active.iter().skip(running) {
        acting.delete(pods::TABLE, &key_of(pod), false);
    }
    let there = pods.active.len().min(running);
    let mut made = 0;
    for _ in there..running {
        let mut pod = pod_of(at(job, "spec.template"), job);
        meta::set(&mut pod, "generateName", format!("{}-", meta::text(job, "name")));
        made += usize::from(acting.create(MANAGER, pods::TABLE, &pod).is_some());
    }
    i64::try_from(there + made).unwrap_or(i64::MAX)
}

fn status(
    acting: &Acting<'_>,
    job: &Value,
    pods: &Pods,
    (active, succeeded, failed): (i64, i64, i64),
    end: Option<End>,
    suspended: bool,
) -> Value {
    let now = acting.now_text();
    let ready = pods.active.iter().filter(|pod| pods::ready_since(pod).is_some()).count() as i64;
    let mut status = without_zeros(json!({"active": active, "succeeded": succeeded, "failed": failed}));
    set(&mut status, "ready", if active == 0 { 0 } else { ready });
    set(&mut status, "terminating", pods.terminating);
    set(&mut status, "uncountedTerminatedPods", json!({}));
    let mut list = conditions(job);
    let mut put = |kind: &str, holds: &str, reason: &str, message: &str| {
        let known = condition(&list, kind).filter(|known| text(known, "status") == holds);
        if known.is_none() {
            list.retain(|known| text(known, "type") != kind);
            list.push(json!({
                "type": kind, "status": holds, "reason": reason, "message": message, "lastProbeTime": now,
                "lastTransitionTime": now,
            }));
        }
    };
    match end {
        Some(End::Complete) => {
            let message = "Reached expected number of succeeded pods";
            put("SuccessCriteriaMet", "True", "CompletionsReached", message);
            put("Complete", "True", "CompletionsReached", message);
        }
        Some(End::Failed) => {
            let message = "Job has reached the specified backoff limit";
            put("FailureTarget", "True", "BackoffLimitExceeded", message);
            put("Failed", "True", "BackoffLimitExceeded", message);
        }
        None if suspended => put("Suspended", "True", "JobSuspended", "Job suspended"),
        None if conditions(job).iter().any(|known| text(known, "type") == "Suspended") => {
            put("Suspended", "False", "JobResumed", "Job resumed");
        }
        None => {}
    }
    if end == Some(End::Complete) {
        set(&mut status, "completionTime", now.as_str());
    }
    let began = at(job, "status.startTime");
    if !began.is_null() && !suspended {
        set(&mut status, "startTime", began.clone());
    } else if !suspended {
        set(&mut status, "startTime", now.as_str());
    }
    if !list.is_empty() {
        set(&mut status, "conditions", list);
    }
    status
}
