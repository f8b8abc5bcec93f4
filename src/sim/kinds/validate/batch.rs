//! Jobs and CronJobs.

use serde_json::Value;

use super::selectors::{self, unchanged};
use super::{Errors, immutable, invalid, invalid_shown, not_negative, one_of, one_of_if_any, pods, required, schedule};
use crate::sim::apiserver::names;
use crate::sim::apiserver::status::FieldError;
use crate::sim::kinds::value::{at, has, text};

/// Longest name of a CronJob: the names of its Jobs end with a time.
const MAX_CRON_NAME: usize = 52;
const NUMBERS: [&str; 5] =
    ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"];

pub(in crate::sim::kinds) fn job(job: &Value, errors: &mut Errors) {
    let selector = at(job, "spec.selector");
    let mut early = Vec::new();
    std::mem::swap(errors, &mut early);
    if selector.is_null() {
        required(errors, "spec.selector");
    } else {
        selectors::check(errors, "spec.selector", selector);
    }
    if at(job, "spec.manualSelector") != true && !selector.is_null() && !has(job, "metadata.resourceVersion") {
        generated(job, errors);
    }
    std::mem::swap(errors, &mut early);
    numbers(errors, "spec", at(job, "spec"));
    errors.extend(early);
    selectors::matches_template(errors, job, selector);
    run_to_end(errors, "spec", at(job, "spec"));
}

/// A selector that is made by the server is what the server makes.
fn generated(job: &Value, errors: &mut Errors) {
    let selector = at(job, "spec.selector");
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let own = |(name, value): (&String, &Value)| {
        name == "batch.kubernetes.io/controller-uid" && value == at(job, "metadata.uid")
    };
    if !labels.is_some_and(|labels| labels.iter().all(own)) || has(selector, "matchExpressions") {
        invalid_shown(errors, "spec.selector", selectors::shown(selector), "`selector` not auto-generated");
    }
}

fn numbers(errors: &mut Errors, base: &str, spec: &Value) {
    for field in NUMBERS {
        not_negative(errors, spec, base, field);
    }
    let managed = text(spec, "managedBy");
    if !managed.is_empty() && !is_domain_path(managed) {
        let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        invalid(errors, format!("{base}.managedBy"), &managed.into(), detail);
    }
    one_of_if_any(errors, spec, base, "completionMode", &["NonIndexed", "Indexed"]);
    one_of_if_any(errors, spec, base, "podReplacementPolicy", &["Failed", "TerminatingOrFailed"]);
    if has(spec, "backoffLimitPerIndex") && text(spec, "completionMode") != "Indexed" {
        let detail = "requires indexed completion mode";
        invalid(errors, format!("{base}.backoffLimitPerIndex"), at(spec, "backoffLimitPerIndex"), detail);
    }
}

/// Whether a text is a domain with a path behind it.
pub(super) fn is_domain_path(text: &str) -> bool {
    text.split_once('/').is_some_and(|(domain, path)| names::subdomain(domain).is_empty() && !path.is_empty())
}

/// Pods that end.
fn run_to_end(errors: &mut Errors, base: &str, spec: &Value) {
    let base = format!("{base}.template");
    pods::template(errors, &base, at(spec, "template"));
    let policy = text(spec, "template.spec.restartPolicy");
    let field = format!("{base}.spec.restartPolicy");
    if matches!(policy, "" | "Always") {
        errors.push(FieldError::required(field, "valid values: \"OnFailure\", \"Never\""));
    } else {
        one_of(errors, at(spec, "template.spec"), &format!("{base}.spec"), "restartPolicy", &["OnFailure", "Never"]);
    }
}

pub(in crate::sim::kinds) fn update_job(new: &Value, old: &Value, errors: &mut Errors) {
    immutable(errors, new, old, "spec.completions");
    unchanged(errors, new, old);
    let suspended = at(old, "spec.suspend") == true && !has(old, "status.startTime");
    if !suspended && at(new, "spec.template") != at(old, "spec.template") {
        let shown = crate::sim::kinds::internal::shown("PodTemplateSpec", at(new, "spec.template"));
        invalid_shown(errors, "spec.template", shown, super::IMMUTABLE);
    }
    immutable(errors, new, old, "spec.completionMode");
    immutable(errors, new, old, "spec.podFailurePolicy");
    immutable(errors, new, old, "spec.backoffLimitPerIndex");
    immutable(errors, new, old, "spec.managedBy");
}

pub(in crate::sim::kinds) fn cron_name(name: &str) -> Vec<String> {
    let problems = names::subdomain(name);
    if problems.is_empty() && name.len() > MAX_CRON_NAME {
        return vec![format!("must be no more than {MAX_CRON_NAME} characters")];
    }
    problems
}

pub(in crate::sim::kinds) fn cron_job(job: &Value, errors: &mut Errors) {
    let schedule = text(job, "spec.schedule");
    let problem = if schedule.contains("TZ") {
        Some("cannot use TZ or CRON_TZ in schedule, use timeZone field instead".to_owned())
    } else {
        schedule::problem(schedule)
    };
    match problem {
        _ if schedule.is_empty() => required(errors, "spec.schedule"),
        Some(problem) => invalid(errors, "spec.schedule", &schedule.into(), problem),
        None => {}
    }
    zone(job, errors);
    not_negative(errors, job, "", "spec.startingDeadlineSeconds");
    one_of(errors, at(job, "spec"), "spec", "concurrencyPolicy", &["Allow", "Forbid", "Replace"]);
    let base = "spec.jobTemplate.spec";
    let template = at(job, base);
    let mut early = Vec::new();
    std::mem::swap(errors, &mut early);
    numbers(errors, base, template);
    run_to_end(errors, base, template);
    if at(template, "manualSelector") == true {
        let field = format!("{base}.manualSelector");
        errors.push(FieldError::not_supported(field, &Value::Bool(true), &["nil", "false"]));
    }
    if has(template, "selector") {
        let detail = "`selector` will be auto-generated";
        invalid_shown(errors, format!("{base}.selector"), selectors::shown(at(template, "selector")), detail);
    }
    std::mem::swap(errors, &mut early);
    errors.extend(early);
    for field in ["spec.successfulJobsHistoryLimit", "spec.failedJobsHistoryLimit"] {
        not_negative(errors, job, "", field);
    }
}

fn zone(job: &Value, errors: &mut Errors) {
    let name = text(job, "spec.timeZone");
    if !has(job, "spec.timeZone") {
        return;
    }
    let problem = if name.eq_ignore_ascii_case("local") || name.is_empty() {
        "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".to_owned()
    } else if jiff::tz::TimeZone::get(name).is_err() {
        format!("unknown time zone {name}")
    } else {
        return;
    };
    invalid(errors, "spec.timeZone", &name.into(), problem);
}
