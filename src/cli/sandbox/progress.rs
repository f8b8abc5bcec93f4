//! What is told of a running sandbox: a line for each real change, and nothing else.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// What agents tell that is followed by its end.
const TOLD_OTHERWISE: &str = "SyncStarted";
/// As many digits of a commit id as Git shows.
const SHORT: usize = 7;

/// How a line is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// On its way.
    Busy,
    /// Something is wrong.
    Bad,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// What it is about.
    pub(super) subject: String,
    /// What happened.
    pub(super) text: String,
    /// How it is to be taken.
    pub(super) tone: Tone,
}

/// What is known of the Applications and the leader.
#[derive(Debug, Default)]
pub(super) struct Progress {
    apps: BTreeMap<String, Standing>,
    leader: Option<String>,
}

/// How an Application stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Standing {
    sync: String,
    health: String,
    revision: String,
}

impl Standing {
    fn of(application: &Value) -> Self {
        let text = |pointer| application.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            sync: text("/status/sync/status"),
            health: text("/status/health/status"),
            revision: text("/status/sync/revision"),
        }
    }

    fn is_well(&self) -> bool {
        self.sync == "Synced" && self.health == "Healthy"
    }

    fn tone(&self) -> Tone {
        if self.is_well() {
            Tone::Good
        } else if ["Degraded", "Missing"].contains(&self.health.as_str()) || self.sync == "Unknown" {
            Tone::Bad
        } else {
            Tone::Busy
        }
    }
}

impl Progress {
    /// An event of the watch of Applications.
    pub(super) fn application(&mut self, event: &Value) -> Option<Line> {
        let object = event.get("object")?;
        let name = object.pointer("/metadata/name").and_then(Value::as_str)?;
        let line = |text, tone| Some(Line { subject: name.to_owned(), text, tone });
        match event.get("type").and_then(Value::as_str)? {
            "DELETED" => {
                self.apps.remove(name)?;
                line("deleted".to_owned(), Tone::Busy)
            }
            "ADDED" | "MODIFIED" => {
                let new = Standing::of(object);
                let old = self.apps.insert(name.to_owned(), new.clone()).unwrap_or_default();
                // A commit that changes nothing for it is a new revision, and no news.
                if (&new.sync, &new.health) == (&old.sync, &old.health) || new.sync.is_empty() {
                    return None;
                }
                let revision = new.revision.get(..SHORT).map(|short| format!(" at {short}")).unwrap_or_default();
                line(format!("{}{revision}, {}", new.sync, new.health), new.tone())
            }
            _ => None,
        }
    }

    /// An event of the watch of Leases: `Some` with the replica that leads from now on, if it is another one.
    pub(super) fn lease(&mut self, event: &Value) -> Option<Option<String>> {
        let holder = event.pointer("/object/spec/holderIdentity").and_then(Value::as_str);
        let held = event.get("type").and_then(Value::as_str) != Some("DELETED");
        let holder = holder.filter(|_| held).and_then(|holder| holder.split('_').next());
        let leader = holder.filter(|name| !name.is_empty()).map(str::to_owned);
        if leader == self.leader {
            return None;
        }
        self.leader.clone_from(&leader);
        Some(leader)
    }

    /// How many Applications are Synced and Healthy, and of how many.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.apps.values().filter(|standing| standing.is_well()).count(), self.apps.len())
    }

    /// The Applications that are not Synced and Healthy, and how they stand.
    pub(super) fn unwell(&self) -> impl Iterator<Item = String> {
        let unwell = self.apps.iter().filter(|(_, standing)| !standing.is_well());
        unwell.map(|(name, standing)| match standing.sync.as_str() {
            "" => format!("{name} has no status yet"),
            sync => format!("{name} is {sync} and {}", standing.health),
        })
    }
}

/// A line of an agent's log, as far as it is of interest here.
#[derive(Debug, Deserialize)]
struct Logged {
    level: String,
    message: String,
    application: Option<String>,
    reason: Option<String>,
}

/// What a line of an agent's log tells of an Application.
pub(super) fn notice(logged: &[u8]) -> Option<Line> {
    let Logged { level, message, application, reason } = serde_json::from_slice(logged).ok()?;
    let (application, reason) = (application?, reason?);
    if reason == TOLD_OTHERWISE {
        return None;
    }
    let subject = application.split_once('/').map_or(application.as_str(), |(_, name)| name).to_owned();
    let tone = if level == "INFO" { Tone::Good } else { Tone::Bad };
    let text = match reason.as_str() {
        "Synced" => message,
        "DriftReverted" => format!("reverted {message}"),
        _ => format!("{reason}: {message}"),
    };
    Some(Line { subject, text, tone })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, name: &str, sync: &str, health: &str) -> Value {
        let status = match sync {
            "" => json!({}),
            _ => json!({"sync": {"status": sync, "revision": "0123456789"}, "health": {"status": health}}),
        };
        json!({"type": kind, "object": {"metadata": {"name": name}, "status": status}})
    }

    #[test]
    fn only_changes_are_told() {
        let mut progress = Progress::default();
        let mut told = |event| progress.application(&event).map(|line| (line.text, line.tone));
        assert_eq!(told(event("ADDED", "shop", "", "")), None);
        let busy = Some(("OutOfSync at 0123456, Missing".to_owned(), Tone::Bad));
        assert_eq!(told(event("MODIFIED", "shop", "OutOfSync", "Missing")), busy);
        assert_eq!(told(event("MODIFIED", "shop", "OutOfSync", "Missing")), None);
        let well = Some(("Synced at 0123456, Healthy".to_owned(), Tone::Good));
        assert_eq!(told(event("MODIFIED", "shop", "Synced", "Healthy")), well);
        assert_eq!(told(event("BOOKMARK", "shop", "", "")), None);
        assert_eq!(told(event("DELETED", "shop", "Synced", "Healthy")).unwrap().0, "deleted");
        assert_eq!(told(event("DELETED", "shop", "Synced", "Healthy")), None);
    }

    #[test]
    fn all_are_well_when_each_is() {
        let mut progress = Progress::default();
        progress.application(&event("ADDED", "a", "Synced", "Healthy"));
        progress.application(&event("ADDED", "b", "", ""));
        assert_eq!(progress.count(), (1, 2));
        assert_eq!(progress.unwell().collect::<Vec<_>>(), ["b has no status yet"]);
        progress.application(&event("MODIFIED", "b", "Synced", "Progressing"));
        assert_eq!(progress.unwell().collect::<Vec<_>>(), ["b is Synced and Progressing"]);
    }

    #[test]
    fn a_new_leader_is_told_once() {
        let mut progress = Progress::default();
        let lease = |holder: &str| json!({"type": "MODIFIED", "object": {"spec": {"holderIdentity": holder}}});
        assert_eq!(progress.lease(&lease("replica-1_0f")), Some(Some("replica-1".to_owned())));
        assert_eq!(progress.lease(&lease("replica-1_0f")), None);
        assert_eq!(progress.lease(&lease("")), Some(None));
        assert_eq!(progress.lease(&lease("replica-2_aa")), Some(Some("replica-2".to_owned())));
    }

    #[test]
    fn of_logs_only_what_happened_to_an_application_is_told() {
        let log = |reason: &str| {
            json!({"level": "INFO", "message": "what", "application": "argocd/shop", "reason": reason}).to_string()
        };
        let told = |text: &str| notice(text.as_bytes()).map(|line| format!("{}: {}", line.subject, line.text));
        assert_eq!(told(&log("DriftReverted")).as_deref(), Some("shop: reverted what"));
        assert_eq!(told(&log("Pruned")).as_deref(), Some("shop: Pruned: what"));
        assert_eq!(told(&log("Synced")).as_deref(), Some("shop: what"));
        assert_eq!(told(&log("SyncStarted")), None);
        assert_eq!(told(r#"{"level": "INFO", "message": "starting"}"#), None);
        assert_eq!(told("thread panicked"), None);
    }
}
