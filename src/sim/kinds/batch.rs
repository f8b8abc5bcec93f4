//! Jobs and CronJobs: what is filled in.

use serde_json::{Value, json};

use super::pods;
use super::value::{at, each, fill, fill_blank, has, is_blank, object, set, text};

pub(super) fn job(job: &mut Value) {
    job_spec(job, "spec");
    if !has(job, "spec.completions") && !has(job, "spec.parallelism") {
        fill(job, "spec.completions", 1);
    }
    fill(job, "spec.parallelism", 1);
    let limit = if has(job, "spec.backoffLimitPerIndex") { i64::from(i32::MAX) } else { 6 };
    fill(job, "spec.backoffLimit", limit);
    let labels = at(job, "spec.template.metadata.labels").clone();
    if !labels.is_null() {
        fill_blank(job, "metadata.labels", labels);
    }
    fill(job, "spec.completionMode", "NonIndexed");
    fill(job, "spec.suspend", false);
    let replacement = if has(job, "spec.podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    fill(job, "spec.podReplacementPolicy", replacement);
    fill(job, "spec.manualSelector", false);
    fill(job, "status", json!({}));
}

/// What a Job and the template of one have in common.
fn job_spec(holder: &mut Value, path: &str) {
    pods::template(holder, &format!("{path}.template"));
    for rule in each(holder, &format!("{path}.podFailurePolicy.rules")) {
        for condition in each(rule, "onPodConditions") {
            fill_blank(condition, "status", "True");
        }
    }
}

pub(super) fn cron_job(job: &mut Value) {
    job_spec(job, "spec.jobTemplate.spec");
    object(job, "spec.jobTemplate.metadata");
    fill_blank(job, "spec.concurrencyPolicy", "Allow");
    fill(job, "spec.suspend", false);
    fill(job, "spec.successfulJobsHistoryLimit", 3);
    fill(job, "spec.failedJobsHistoryLimit", 1);
    fill(job, "spec.schedule", "");
    fill(job, "status", json!({}));
}

/// Labels and selects the pods of a new Job by its uid, unless that is done by hand.
pub(super) fn create_job(new: &mut Value) {
    fill(new, "status", json!({}));
    if at(new, "spec.manualSelector") == true {
        return;
    }
    let uid = text(new, "metadata.uid").to_owned();
    let name = text(new, "metadata.name").to_owned();
    // Labels that were taken over from the template go on being its labels.
    let own = at(new, "metadata.labels");
    let shared = is_blank(own) || own == at(new, "spec.template.metadata.labels");
    let labels = [
        ("controller-uid", &uid),
        ("batch.kubernetes.io/controller-uid", &uid),
        ("job-name", &name),
        ("batch.kubernetes.io/job-name", &name),
    ];
    if let Some(template) = object(new, "spec.template.metadata.labels") {
        template.extend(labels.into_iter().map(|(label, value)| (label.to_owned(), value.as_str().into())));
    }
    if shared {
        let labels = at(new, "spec.template.metadata.labels").clone();
        set(new, "metadata.labels", labels);
    }
    if let Some(selected) = object(new, "spec.selector.matchLabels") {
        selected.insert("batch.kubernetes.io/controller-uid".to_owned(), uid.into());
    }
}
