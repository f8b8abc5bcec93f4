//! What the workload controllers have in common: templates become pods, annotations say how these fare.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::super::apiserver::acting::Acting;
use super::super::apiserver::meta;
use super::super::apiserver::store::{Key, Place};
use super::super::kinds::value::{at, items, set, text};
use super::{controller, pods};

/// The annotation of a workload or of its pod template that makes its pods fail: `CrashLoopBackOff`, `ImagePullBackOff`, or
/// `ProgressDeadlineExceeded`, with which they start and never become ready, and a Deployment says so at once.
pub const FAIL: &str = "sandbox.driftless.dev/fail";
/// The annotation of a workload or of its pod template that says how long its pods take to become ready, as `30s`.
pub const DELAY: &str = "sandbox.driftless.dev/delay";
/// Longest delay that is taken.
const MAX_DELAY: SignedDuration = SignedDuration::from_hours(24);

/// Who the workload controllers write as.
pub(super) const MANAGER: &str = "kube-controller-manager";
/// Letters of hashes in names, as in all names that are made.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// How a pod fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Its containers end again and again.
    Crash,
    /// Its images can't be had.
    Image,
    /// It runs and is never ready.
    Never,
}

/// How the pods of a workload fare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) failure: Option<Failure>,
    pub(super) delay: Option<SignedDuration>,
}

impl Fate {
    /// What the annotations of an object say.
    pub(super) fn of(object: &Value) -> Self {
        let annotation = |name: &str| meta::get(object, "annotations").and_then(|all| all.get(name)?.as_str());
        let failure = match annotation(FAIL) {
            Some("CrashLoopBackOff") => Some(Failure::Crash),
            Some("ImagePullBackOff") => Some(Failure::Image),
            Some("ProgressDeadlineExceeded") => Some(Failure::Never),
            _ => None,
        };
        Self { failure, delay: annotation(DELAY).and_then(delay) }
    }

    /// What this one says, or else the other.
    fn or(self, other: Self) -> Self {
        Self { failure: self.failure.or(other.failure), delay: self.delay.or(other.delay) }
    }

    /// How the pods of a workload fare.
    pub(super) fn of_workload(workload: &Value) -> Self {
        Self::of(workload).or(Self::of(at(workload, "spec.template")))
    }
}

/// Reads a duration: `500ms`, `30s`, `2m`, or a number of seconds.
fn delay(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: i64 = number.parse().ok()?;
    let delay = match unit {
        "ms" => SignedDuration::from_millis(number),
        "s" | "" => SignedDuration::from_secs(number),
        "m" => SignedDuration::from_secs(number.checked_mul(60)?),
        _ => return None,
    };
    Some(delay.min(MAX_DELAY))
}

/// The pods of a workload.
#[derive(Debug)]
pub(super) struct Pods {
    /// Those that are to stay, by name.
    pub(super) active: Vec<Value>,
    /// How many are on their way out.
    pub(super) terminating: usize,
    /// Those that have come to their end.
    pub(super) ended: Vec<Value>,
}

impl Pods {
    /// The pods that a workload controls. Those of which the workload wants something else by now are looked at again.
    pub(super) fn of(acting: &mut Acting<'_>, workload: &Value) -> Self {
        let failure = Fate::of_workload(workload).failure;
        let (mut active, mut ended, mut terminating) = (Vec::new(), Vec::new(), 0);
        for pod in acting.owned(pods::TABLE, meta::text(workload, "uid")) {
            if meta::get(&pod, "deletionTimestamp").is_some() {
                terminating += 1;
            } else if pods::has_ended(&pod) {
                ended.push(pod);
            } else {
                if pods::is_failing(&pod) != failure.is_some() {
                    acting.again((pods::TABLE.to_owned(), key_of(&pod)), acting.now);
                }
                active.push(pod);
            }
        }
        Self { active, terminating, ended }
    }
}

/// How many pods of a workload count as what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// All that are there.
    pub(super) replicas: i64,
    /// Those that are ready.
    pub(super) ready: i64,
    /// Those that have been ready for long enough.
    pub(super) available: i64,
}

/// Counts the pods of a workload that wants `wanted`, of which only the given ones are objects. The others are there, and are
/// ready as soon as all that can be seen are; `before` were ready up to now.
pub(super) fn count(
    acting: &mut Acting<'_>,
    place: &Place,
    workload: &Value,
    pods: &[Value],
    wanted: i64,
    before: i64,
) -> Counts {
    let shown = i64::from(acting.settings().shown).min(wanted);
    let hidden = wanted - shown;
    let waits = SignedDuration::from_secs(at(workload, "spec.minReadySeconds").as_i64().unwrap_or(0));
    let mut counts = Counts { replicas: pods.len() as i64 + hidden, ..Counts::default() };
    for pod in pods {
        let Some(since) = pods::ready_since(pod) else { continue };
        counts.ready += 1;
        let available = since.checked_add(waits).unwrap_or(Timestamp::MAX);
        if available <= acting.now {
            counts.available += 1;
        } else {
            acting.again(place.clone(), available);
        }
    }
    let fate = Fate::of_workload(workload);
    let all_ready = counts.ready >= shown;
    let ready = match () {
        () if fate.failure.is_some() => 0,
        // Without a pod that could be seen to start, the passing of time does.
        () if shown == 0 && before < wanted => {
            let usual = acting.settings().pace.start;
            let length = fate.delay.unwrap_or(usual);
            if acting.has_passed(place, meta::text(workload, "uid"), "start", length) { hidden } else { before }
        }
        () if all_ready => hidden,
        () => (before - shown).clamp(0, hidden),
    };
    counts.ready += ready;
    counts.available += if counts.available >= shown { ready } else { 0 };
    counts
}

/// The reference of what is owned to who controls it.
pub(super) fn owned_by(owner: &Value) -> Value {
    json!([{
        "apiVersion": owner.get("apiVersion"), "kind": owner.get("kind"), "name": meta::text(owner, "name"),
        "uid": meta::text(owner, "uid"), "controller": true, "blockOwnerDeletion": true,
    }])
}

/// A pod made of a template, without a name.
pub(super) fn pod_of(template: &Value, owner: &Value) -> Value {
    let part = |name: &str| at(template, &format!("metadata.{name}")).clone();
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": meta::text(owner, "namespace"),
            "labels": part("labels"),
            "annotations": part("annotations"),
            "finalizers": part("finalizers"),
            "ownerReferences": owned_by(owner),
        },
        "spec": at(template, "spec"),
    });
    meta::tidy(&mut pod);
    pod
}

/// The pods that go first, if there are too many: those that are not ready, and the youngest.
pub(super) fn sort_to_delete(pods: &mut [Value]) {
    pods.sort_by_key(|pod| {
        let created = text(pod, "metadata.creationTimestamp").to_owned();
        (pods::ready_since(pod).is_some(), std::cmp::Reverse(created), text(pod, "metadata.name").to_owned())
    });
}

/// The key of an object.
pub(super) fn key_of(object: &Value) -> Key {
    super::super::apiserver::acting::key_of(object)
}

/// How a pod fares: by its own annotations, or by those of who controls it.
pub(super) fn fate_of_pod(acting: &Acting<'_>, pod: &Value) -> Fate {
    let owner = controller(pod).and_then(|(table, key)| acting.get(&table, &key));
    Fate::of(pod).or(owner.as_ref().map(Fate::of_workload).unwrap_or_default())
}

/// The hash of a template, as it stands in names and labels. It is no hash of kube-controller-manager, which is made of
/// what Go's memory looks like.
pub(super) fn hash(template: &Value) -> String {
    let mut hash = 0x811c_9dc5_u32;
    for byte in sorted(template).to_string().bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    let letter = |digit: u8| LETTERS.get(usize::from(digit) % LETTERS.len()).copied().unwrap_or(b'b');
    hash.to_string().bytes().map(letter).map(char::from).collect()
}

/// A value whose maps are in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut all: Vec<_> = members.iter().collect();
            all.sort_by_key(|(name, _)| *name);
            Value::Object(all.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// A number or a percentage of a whole.
pub(super) fn part_of(value: &Value, whole: i64, round_up: bool) -> i64 {
    let percent = value.as_str().and_then(|text| text.strip_suffix('%')?.parse::<i64>().ok());
    match percent {
        Some(percent) if round_up => (whole * percent + 99) / 100,
        Some(percent) => whole * percent / 100,
        None => value.as_i64().unwrap_or(0),
    }
}

/// A status without what counts zero.
pub(super) fn without_zeros(status: Value) -> Value {
    match status {
        Value::Object(members) => Value::Object(members.into_iter().filter(|(_, value)| *value != 0).collect()),
        other => other,
    }
}

/// Writes a status, if it differs from the one that is there.
pub(super) fn write_status(acting: &mut Acting<'_>, table: &str, workload: &Value, status: Value) {
    if at(workload, "status") == &status {
        return;
    }
    let mut new = workload.clone();
    set(&mut new, "status", status);
    acting.update(MANAGER, table, Some("status"), &new);
}

/// The condition of a type.
pub(super) fn condition<'c>(conditions: &'c [Value], kind: &str) -> Option<&'c Value> {
    conditions.iter().find(|condition| text(condition, "type") == kind)
}

/// The conditions of an object.
pub(super) fn conditions(object: &Value) -> Vec<Value> {
    items(object, "status.conditions").to_vec()
}
