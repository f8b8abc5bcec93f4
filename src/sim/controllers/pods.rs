//! Pods as if there were nodes that run them: they get a node, start, become ready or fail, come to an end, and go.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::apiserver::acting::Acting;
use super::super::apiserver::meta;
use super::super::apiserver::store::Place;
use super::super::kinds::value::{at, items, set, text, texts};
use super::workload::{Failure, condition, conditions, fate_of_pod};
use super::{controller, job};

pub(super) const TABLE: &str = "pods";
/// Who the nodes write as.
const MANAGER: &str = "kubelet";
/// How often a container that ends again and again was started when that is told.
const RESTARTS: i64 = 3;

/// The name of a node, counted from 0.
pub(super) fn node(index: u32) -> String {
    format!("node-{}", index + 1)
}

/// The address of a node.
fn address(node: &str) -> String {
    let index: u32 = node.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    format!("192.0.2.{}", index % 256)
}

/// Whether a pod has come to its end.
pub(super) fn has_ended(pod: &Value) -> bool {
    matches!(text(pod, "status.phase"), "Succeeded" | "Failed")
}

/// Whether a pod tells that it fails, or never becomes ready.
pub(super) fn is_failing(pod: &Value) -> bool {
    text(pod, "status.phase") == "Failed"
        || items(pod, "status.containerStatuses").iter().any(|status| at(status, "ready") == false)
}

/// Since when a pod is ready.
pub(super) fn ready_since(pod: &Value) -> Option<Timestamp> {
    let conditions = items(pod, "status.conditions");
    let ready = condition(conditions, "Ready").filter(|ready| text(ready, "status") == "True")?;
    text(ready, "lastTransitionTime").parse().ok()
}

/// Takes a pod one step further.
pub(super) fn look_at(acting: &mut Acting<'_>, place: &Place) {
    let Some(pod) = acting.get(TABLE, &place.1) else { return };
    let uid = meta::text(&pod, "uid").to_owned();
    let pace = acting.settings().pace;
    if meta::get(&pod, "deletionTimestamp").is_some() {
        if !text(&pod, "spec.nodeName").is_empty() && acting.has_passed(place, &uid, "stop", pace.stop) {
            acting.delete(TABLE, &place.1, true);
        }
        return;
    }
    if text(&pod, "spec.nodeName").is_empty() {
        if let Some(node) = wanted_node(acting, &pod, &uid) {
            acting.bind(&place.1, &node);
        }
        return;
    }
    let fate = fate_of_pod(acting, &pod);
    let delay = fate.delay.unwrap_or(pace.start);
    let ends = comes_to_an_end(&pod);
    match (text(&pod, "status.phase"), fate.failure) {
        ("Succeeded" | "Failed", _) => {}
        ("Running", None) if ends => {
            if acting.has_passed(place, &uid, "run", pace.run) {
                write(acting, &pod, State::Succeeded);
            }
        }
        ("Running", None) if ready_since(&pod).is_some() => {}
        ("Running", Some(_)) if is_failing(&pod) => {}
        ("Pending", Some(Failure::Image)) if is_failing(&pod) => {}
        (_, failure) => {
            // What has run fails at once; all else takes the time that it takes to start.
            let started = failure.is_some() && ready_since(&pod).is_some();
            if started || acting.has_passed(place, &uid, "start", delay) {
                let state = match failure {
                    None => State::Running,
                    Some(Failure::Image) => State::NoImage,
                    Some(_) if ends => State::Failed,
                    Some(Failure::Crash) => State::Crashing,
                    Some(Failure::Never) => State::NotReady,
                };
                write(acting, &pod, state);
            }
        }
    }
}

/// Whether a pod is one that ends by itself.
fn comes_to_an_end(pod: &Value) -> bool {
    let of_job = controller(pod).is_some_and(|(table, _)| table == job::TABLE);
    of_job || text(pod, "spec.restartPolicy") != "Always"
}

/// The node that a pod goes to; `None`: there is none for it.
fn wanted_node(acting: &Acting<'_>, pod: &Value, uid: &str) -> Option<String> {
    let terms =
        items(pod, "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
    let fields = terms.iter().flat_map(|term| items(term, "matchFields"));
    let named = fields.filter(|field| text(field, "key") == "metadata.name").flat_map(|field| texts(field, "values"));
    if let Some(name) = named.into_iter().next() {
        return Some(name.to_owned());
    }
    let nodes = acting.settings().nodes;
    // Any node will do, as long as it is the same one each time that is asked.
    (nodes > 0).then(|| node(number_of(uid) % nodes))
}

/// A number that a uid stands for.
fn number_of(uid: &str) -> u32 {
    uid.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

/// What a pod tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    NotReady,
    Crashing,
    NoImage,
    Succeeded,
    Failed,
}

impl State {
    fn phase(self) -> &'static str {
        match self {
            Self::Running | Self::NotReady | Self::Crashing => "Running",
            Self::NoImage => "Pending",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    /// Why it is not ready, with the sentence for people.
    fn reason(self, names: &str) -> Option<(&'static str, String)> {
        match self {
            Self::Running => None,
            Self::Succeeded => Some(("PodCompleted", String::new())),
            Self::Failed => Some(("PodFailed", String::new())),
            _ => Some(("ContainersNotReady", format!("containers with unready status: [{names}]"))),
        }
    }

    /// The state of a container, and its last one.
    fn container(self, name: &str, image: &str, began: &str, now: &str) -> (Value, Value) {
        let ended = |code: i64, reason: &str| json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": began, "finishedAt": now}});
        let waits = |reason: &str, message: String| json!({"waiting": {"reason": reason, "message": message}});
        match self {
            Self::Running | Self::NotReady => (json!({"running": {"startedAt": now}}), json!({})),
            Self::Crashing => {
                let message = format!("back-off 40s restarting failed container={name}");
                (waits("CrashLoopBackOff", message), ended(1, "Error"))
            }
            Self::NoImage => (waits("ImagePullBackOff", format!("Back-off pulling image {image:?}")), json!({})),
            Self::Succeeded => (ended(0, "Completed"), json!({})),
            Self::Failed => (ended(1, "Error"), json!({})),
        }
    }
}

/// Writes what a pod tells of itself.
fn write(acting: &mut Acting<'_>, pod: &Value, state: State) {
    let now = acting.now_text();
    let began = match text(pod, "status.startTime") {
        "" => now.clone(),
        known => known.to_owned(),
    };
    let generation = meta::generation(pod);
    let names: Vec<_> = items(pod, "spec.containers").iter().map(|container| text(container, "name")).collect();
    let told = state.reason(&names.join(" "));
    let before = conditions(pod);
    let condition = |kind: &str, holds: bool| {
        let status = if holds { "True" } else { "False" };
        let known = condition(&before, kind).filter(|known| text(known, "status") == status);
        let time = known.map_or(now.as_str(), |known| text(known, "lastTransitionTime"));
        let mut condition = json!({
            "type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": time,
            "observedGeneration": generation,
        });
        if let Some((reason, message)) = told.as_ref().filter(|_| !holds) {
            set(&mut condition, "reason", *reason);
            if !message.is_empty() {
                set(&mut condition, "message", message.as_str());
            }
        }
        condition
    };
    let over = matches!(state, State::Succeeded | State::Failed);
    let ready = state == State::Running;
    let address = address(text(pod, "spec.nodeName"));
    let [_, _, third, fourth] = number_of(meta::text(pod, "uid")).to_be_bytes();
    let own = format!("10.244.{third}.{fourth}");
    let mut status = json!({
        "phase": state.phase(),
        "conditions": [
            condition("PodReadyToStartContainers", !over),
            condition("Initialized", true),
            condition("Ready", ready),
            condition("ContainersReady", ready),
            condition("PodScheduled", true),
        ],
        "containerStatuses": containers(pod, state, &began, &now),
        "hostIP": address,
        "hostIPs": [{"ip": address}],
        "podIP": own,
        "podIPs": [{"ip": own}],
        "qosClass": at(pod, "status.qosClass"),
        "startTime": began,
        "observedGeneration": generation,
    });
    let initial = initial_containers(pod, &began, &now);
    if !initial.is_empty() {
        set(&mut status, "initContainerStatuses", initial);
    }
    let mut new = pod.clone();
    set(&mut new, "status", status);
    acting.update(MANAGER, TABLE, Some("status"), &new);
}

fn containers(pod: &Value, state: State, began: &str, now: &str) -> Value {
    let statuses = items(pod, "spec.containers").iter().map(|container| {
        let (name, image) = (text(container, "name"), text(container, "image"));
        let (current, last) = state.container(name, image, began, now);
        json!({
            "name": name,
            "image": image,
            "imageID": if state == State::NoImage { "" } else { image },
            "ready": state == State::Running,
            "started": matches!(state, State::Running | State::NotReady),
            "restartCount": if state == State::Crashing { RESTARTS } else { 0 },
            "state": current,
            "lastState": last,
        })
    });
    statuses.collect()
}

/// Containers that have ended before the others start.
fn initial_containers(pod: &Value, began: &str, now: &str) -> Vec<Value> {
    let statuses = items(pod, "spec.initContainers").iter().map(|container| {
        let (name, image) = (text(container, "name"), text(container, "image"));
        let (state, last) = State::Succeeded.container(name, image, began, now);
        json!({
            "name": name, "image": image, "imageID": image, "ready": true, "started": false, "restartCount": 0,
            "state": state, "lastState": last,
        })
    });
    statuses.collect()
}

/// What a node is, for `index` counted from 0.
pub(in crate::sim) fn node_object(index: u32, now: &str) -> Value {
    let name = node(index);
    let resources = json!({"cpu": "8", "memory": "32Gi", "pods": "110"});
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "lastHeartbeatTime": now, "lastTransitionTime": now,
        })
    };
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        }},
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "addresses": [{"type": "InternalIP", "address": address(&name)}, {"type": "Hostname", "address": name}],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID"),
                condition("Ready", "True", "KubeletReady"),
            ],
        },
    })
}
