//! Pods: the state of many containers in one word.

use jiff::Timestamp;
use serde_json::Value;

use super::{AGE, BuiltIn, NAME, ago, or};
use crate::sim::kinds::value::{at, has, items, number, text};

pub(super) const PODS: &[BuiltIn] = &[
    NAME,
    BuiltIn::text("Ready", |o, _| {
        let summary = Summary::of(o);
        format!("{}/{}", summary.ready, summary.total).into()
    }),
    BuiltIn::text("Status", |o, _| Summary::of(o).reason.into()),
    BuiltIn::text("Restarts", |o, now| Summary::of(o).restarts(now).into()),
    AGE,
    BuiltIn::text("IP", |o, _| {
        let address = items(o, "status.podIPs").first().map(|address| text(address, "ip"));
        or(address.unwrap_or_default(), "<none>").into()
    })
    .wide(),
    BuiltIn::text("Node", |o, _| or(text(o, "spec.nodeName"), "<none>").into()).wide(),
    BuiltIn::text("Nominated Node", |o, _| or(text(o, "status.nominatedNodeName"), "<none>").into()).wide(),
    BuiltIn::text("Readiness Gates", |o, _| gates(o).into()).wide(),
];

/// What the row says of a pod's containers.
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: Restarts,
}

#[derive(Clone, Default)]
struct Restarts {
    count: i64,
    last: String,
}

impl Restarts {
    fn add(&mut self, status: &Value) {
        self.count += number(status, "restartCount");
        let finished = text(status, "lastState.terminated.finishedAt");
        // Both are written alike, so that their order is that of their texts.
        if finished > self.last.as_str() {
            self.last = finished.to_owned();
        }
    }
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let phase = text(pod, "status.phase");
        let gated = items(pod, "status.conditions").iter().any(|condition| {
            text(condition, "type") == "PodScheduled" && text(condition, "reason") == "SchedulingGated"
        });
        let reason = if gated { "SchedulingGated" } else { or(text(pod, "status.reason"), phase) };
        let sidecars = items(pod, "spec.initContainers").iter().filter(|container| is_sidecar(container)).count();
        let mut summary = Self {
            ready: 0,
            total: items(pod, "spec.containers").len() + sidecars,
            reason: reason.to_owned(),
            restarts: Restarts::default(),
        };
        let (initialising, sidecars) = summary.init_containers(pod);
        if !initialising || holds(pod, "Initialized") {
            summary.restarts = sidecars;
            summary.containers(pod);
        }
        if has(pod, "metadata.deletionTimestamp") {
            if text(pod, "status.reason") == "NodeLost" {
                summary.reason = "Unknown".to_owned();
            } else if !matches!(phase, "Succeeded" | "Failed") {
                summary.reason = "Terminating".to_owned();
            }
        }
        summary
    }

    /// Whether containers that come first still run, and the restarts of those that go on beside the others.
    fn init_containers(&mut self, pod: &Value) -> (bool, Restarts) {
        let mut sidecars = Restarts::default();
        let specs = items(pod, "spec.initContainers");
        for (index, status) in items(pod, "status.initContainerStatuses").iter().enumerate() {
            self.restarts.add(status);
            let sidecar = specs.iter().any(|spec| at(spec, "name") == at(status, "name") && is_sidecar(spec));
            if sidecar {
                sidecars.add(status);
            }
            let terminated = at(status, "state.terminated");
            let waiting = text(status, "state.waiting.reason");
            if !terminated.is_null() && number(terminated, "exitCode") == 0 {
                continue;
            }
            if sidecar && at(status, "started") == true {
                self.ready += usize::from(at(status, "ready") == true);
                continue;
            }
            self.reason = if !terminated.is_null() {
                format!("Init:{}", end(terminated))
            } else if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{index}/{}", specs.len())
            };
            return (true, sidecars);
        }
        (false, sidecars)
    }

    fn containers(&mut self, pod: &Value) {
        let mut running = false;
        let mut failure = None;
        for status in items(pod, "status.containerStatuses").iter().rev() {
            self.restarts.add(status);
            let terminated = at(status, "state.terminated");
            let waiting = text(status, "state.waiting.reason");
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if !terminated.is_null() {
                self.reason = end(terminated);
                if number(terminated, "exitCode") != 0 {
                    failure = Some(self.reason.clone());
                }
            } else if at(status, "ready") == true && has(status, "state.running") {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" {
            if running && holds(pod, "Ready") {
                self.reason = "Running".to_owned();
            } else if let Some(failure) = failure {
                self.reason = failure;
            } else if running {
                self.reason = "NotReady".to_owned();
            }
        }
    }

    fn restarts(&self, now: Timestamp) -> String {
        let Restarts { count, last } = &self.restarts;
        if *count == 0 || last.is_empty() { count.to_string() } else { format!("{count} ({} ago)", ago(last, now)) }
    }
}

/// How a container ended.
fn end(terminated: &Value) -> String {
    match (text(terminated, "reason"), number(terminated, "signal")) {
        ("", 0) => format!("ExitCode:{}", number(terminated, "exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn is_sidecar(container: &Value) -> bool {
    text(container, "restartPolicy") == "Always"
}

fn holds(pod: &Value, condition: &str) -> bool {
    items(pod, "status.conditions").iter().any(|c| text(c, "type") == condition && text(c, "status") == "True")
}

fn gates(pod: &Value) -> String {
    let gates = items(pod, "spec.readinessGates");
    let open = gates.iter().filter(|gate| holds(pod, text(gate, "conditionType"))).count();
    if gates.is_empty() { "<none>".to_owned() } else { format!("{open}/{}", gates.len()) }
}
