//! What runs pods.

use serde_json::Value;

use super::selector::{labels, selector, selector_or_none};
use super::{AGE, BuiltIn, NAME, ago, or};
use crate::sim::kinds::value::{at, has, items, number, text};

const CONTAINERS: BuiltIn = BuiltIn::text("Containers", |o, _| list(o, "spec.template", "name").into()).wide();
const IMAGES: BuiltIn = BuiltIn::text("Images", |o, _| list(o, "spec.template", "image").into()).wide();
const SELECTOR: BuiltIn = BuiltIn::text("Selector", |o, _| selector_or_none(at(o, "spec.selector")).into()).wide();
const DESIRED: BuiltIn = BuiltIn::integer("Desired", |o, _| number(o, "spec.replicas").into());
const CURRENT: BuiltIn = BuiltIn::integer("Current", |o, _| number(o, "status.replicas").into());
const READY: BuiltIn = BuiltIn::integer("Ready", |o, _| number(o, "status.readyReplicas").into());
const READY_OF: BuiltIn = BuiltIn::text("Ready", |o, _| {
    format!("{}/{}", number(o, "status.readyReplicas"), number(o, "spec.replicas")).into()
});

pub(super) const DEPLOYMENTS: &[BuiltIn] = &[
    NAME,
    READY_OF,
    BuiltIn::text("Up-to-date", |o, _| number(o, "status.updatedReplicas").into()),
    BuiltIn::text("Available", |o, _| number(o, "status.availableReplicas").into()),
    AGE,
    CONTAINERS,
    IMAGES,
    BuiltIn::text("Selector", |o, _| selector(at(o, "spec.selector")).into()).wide(),
];

pub(super) const STATEFUL_SETS: &[BuiltIn] = &[NAME, READY_OF, AGE, CONTAINERS, IMAGES];

pub(super) const REPLICA_SETS: &[BuiltIn] = &[NAME, DESIRED, CURRENT, READY, AGE, CONTAINERS, IMAGES, SELECTOR];

pub(super) const REPLICATION_CONTROLLERS: &[BuiltIn] = &[
    NAME,
    DESIRED,
    CURRENT,
    READY,
    AGE,
    CONTAINERS,
    IMAGES,
    BuiltIn::text("Selector", |o, _| labels(o, "spec.selector").into()).wide(),
];

pub(super) const DAEMON_SETS: &[BuiltIn] = &[
    NAME,
    BuiltIn::integer("Desired", |o, _| number(o, "status.desiredNumberScheduled").into()),
    BuiltIn::integer("Current", |o, _| number(o, "status.currentNumberScheduled").into()),
    BuiltIn::integer("Ready", |o, _| number(o, "status.numberReady").into()),
    BuiltIn::integer("Up-to-date", |o, _| number(o, "status.updatedNumberScheduled").into()),
    BuiltIn::integer("Available", |o, _| number(o, "status.numberAvailable").into()),
    BuiltIn::text("Node Selector", |o, _| labels(o, "spec.template.spec.nodeSelector").into()),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) const CONTROLLER_REVISIONS: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Controller", |o, _| controller(o).into()),
    BuiltIn::text("Revision", |o, _| number(o, "revision").into()),
    AGE,
];

pub(super) const POD_TEMPLATES: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Containers", |o, _| list(o, "template", "name").into()),
    BuiltIn::text("Images", |o, _| list(o, "template", "image").into()),
    BuiltIn::text("Pod Labels", |o, _| labels(o, "template.metadata.labels").into()),
];

pub(super) const JOBS: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Status", |o, _| job_status(o).into()),
    BuiltIn::text("Completions", |o, _| completions(o).into()),
    BuiltIn::text("Duration", |o, now| {
        let started = text(o, "status.startTime");
        let completed = text(o, "status.completionTime").parse().unwrap_or(now);
        if started.is_empty() { "".into() } else { ago(started, completed).into() }
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) const CRON_JOBS: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Schedule", |o, _| text(o, "spec.schedule").into()),
    BuiltIn::text("Timezone", |o, _| or(text(o, "spec.timeZone"), "<none>").into()),
    BuiltIn::boolean("Suspend", |o, _| match at(o, "spec.suspend") {
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        _ => "<unset>".into(),
    }),
    BuiltIn::integer("Active", |o, _| items(o, "status.active").len().into()),
    BuiltIn::text("Last Schedule", |o, now| match text(o, "status.lastScheduleTime") {
        "" => "<none>".into(),
        time => ago(time, now).into(),
    }),
    AGE,
    BuiltIn::text("Containers", |o, _| list(o, "spec.jobTemplate.spec.template", "name").into()).wide(),
    BuiltIn::text("Images", |o, _| list(o, "spec.jobTemplate.spec.template", "image").into()).wide(),
    BuiltIn::text("Selector", |o, _| selector_or_none(at(o, "spec.jobTemplate.spec.selector")).into()).wide(),
];

/// One field of all containers of a pod template.
fn list(object: &Value, template: &str, field: &str) -> String {
    let containers = items(object, &format!("{template}.spec.containers"));
    containers.iter().map(|container| text(container, field)).collect::<Vec<_>>().join(",")
}

fn controller(object: &Value) -> String {
    let owners = items(object, "metadata.ownerReferences");
    let Some(owner) = owners.iter().find(|owner| at(owner, "controller") == true) else {
        return "<none>".to_owned();
    };
    let kind = text(owner, "kind").to_lowercase();
    let name = text(owner, "name");
    match text(owner, "apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

fn job_status(job: &Value) -> &'static str {
    let conditions = items(job, "status.conditions");
    let holds = |kind: &str| conditions.iter().any(|c| text(c, "type") == kind && text(c, "status") == "True");
    let states = ["Complete", "Failed", "Terminating", "Suspended", "FailureTarget", "SuccessCriteriaMet"];
    let found = states.into_iter().find(|state| match *state {
        "Terminating" => has(job, "metadata.deletionTimestamp"),
        state => holds(state),
    });
    found.unwrap_or("Running")
}

fn completions(job: &Value) -> String {
    let succeeded = number(job, "status.succeeded");
    match (at(job, "spec.completions").as_i64(), number(job, "spec.parallelism")) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallelism @ 2..) => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}
