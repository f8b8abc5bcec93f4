//! Two replicas: who writes when, and what a take-over does and does not do.
//!
//! Each replica has a proxy of its own, whose log says what it asked of the API server and when. What must hold at all
//! times is checked over the logs of both by [`check`]: epochs rise, and nobody writes after another's Lease was granted.

mod behind;
mod cut;
mod hand_over;
mod standing_by;

use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::agent::{Agent, Rig};
use crate::support::proxy::Proxy;
use crate::support::request::{Entry, Verb};

const AUTOMATED: &str = "{automated: {prune: true, selfHeal: true}}";
/// A Lease of 3 s with room for requests on a busy machine, and repositories that are asked often.
const SHORT: [&str; 12] = [
    "--lease-duration",
    "3s",
    "--lease-renew-period",
    "300ms",
    "--lease-request-timeout",
    "700ms",
    "--lease-margin",
    "500ms",
    "--poll-interval",
    "300ms",
    "--poll-jitter",
    "0s",
];

/// An agent with a proxy and a data folder of its own.
struct Replica {
    agent: Agent,
    proxy: Proxy,
    _folder: TempDir,
}

impl Replica {
    fn start(rig: &Rig, extra: &[&str]) -> Self {
        let proxy = Proxy::start(rig.plane, "admin");
        let folder = TempDir::new().unwrap();
        let agent = rig.agent_in(folder.path(), &proxy, extra);
        Self { agent, proxy, _folder: folder }
    }

    /// Starts one, which is the first, and waits until it leads.
    fn leader(rig: &Rig, extra: &[&str]) -> Self {
        let replica = Self::start(rig, extra);
        replica.agent.wait_leading();
        replica
    }

    /// Starts one beside a leader, and waits until it is ready.
    fn standby(rig: &Rig, extra: &[&str]) -> Self {
        let replica = Self::start(rig, extra);
        assert!(!replica.agent.wait_ready(), "there is a leader");
        replica
    }

    /// Writes of this replica that are fenced, as far as they reached the API server.
    fn fenced_writes(&self) -> Vec<Entry> {
        self.proxy.log().into_iter().filter(is_fenced).collect()
    }

    /// The same without the Applications.
    fn object_writes(&self) -> Vec<Entry> {
        let mut writes = self.fenced_writes();
        writes.retain(|entry| entry.resource != "applications");
        writes
    }

    /// Waits until the Lease was renewed `times` more.
    fn wait_renewals(&self, times: usize) {
        let before = grants(&self.proxy.log()).len();
        self.proxy.wait_until(|log| grants(log).len() >= before + times);
    }
}

/// Writes that only a leader may send. Events are news, and the Secret of the hash key is made before there is a leader.
fn is_fenced(entry: &Entry) -> bool {
    let free = ["leases", "events"].contains(&entry.resource.as_str())
        || (entry.resource == "secrets" && entry.verb == Verb::Create);
    entry.reached && entry.verb.is_write() && !free
}

/// A write of the Lease that the API server accepted.
#[derive(Clone, Debug)]
struct Grant {
    /// Empty: it was released.
    holder: String,
    epoch: i64,
    sent_at: Instant,
    answered_at: Instant,
}

/// The accepted writes of the Lease, in order.
fn grants(log: &[Entry]) -> Vec<Grant> {
    let accepted = log.iter().filter(|entry| entry.resource == "leases" && entry.verb.is_write());
    let accepted = accepted.filter(|entry| entry.status.is_some_and(|status| status < 300));
    accepted
        .map(|entry| {
            let lease: Value = serde_json::from_slice(entry.body.as_ref().unwrap()).unwrap();
            Grant {
                holder: lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned(),
                epoch: lease["spec"]["leaseTransitions"].as_i64().unwrap_or_default(),
                sent_at: entry.sent_at.unwrap(),
                answered_at: entry.answered_at.unwrap(),
            }
        })
        .collect()
}

/// The first grant of each epoch that a replica has held.
fn acquisitions(log: &[Entry]) -> Vec<Grant> {
    let mut first: Vec<Grant> = Vec::new();
    for grant in grants(log).into_iter().filter(|grant| !grant.holder.is_empty()) {
        if first.iter().all(|known| known.epoch != grant.epoch) {
            first.push(grant);
        }
    }
    first
}

/// The highest epoch that was acquired through this log; 0 if none was.
fn epoch(log: &[Entry]) -> i64 {
    acquisitions(log).last().map_or(0, |grant| grant.epoch)
}

/// What [`check`] has looked at.
#[derive(Debug, Default)]
struct Checked {
    epochs: usize,
    writes: usize,
}

/// Each epoch belongs to one replica and is above those before it, and whatever only a leader may write was sent by the
/// one whose Lease was granted last.
fn check(logs: &[Vec<Entry>]) -> Checked {
    let mut reigns: Vec<(usize, Grant)> = Vec::new();
    for (replica, log) in logs.iter().enumerate() {
        reigns.extend(acquisitions(log).into_iter().map(|grant| (replica, grant)));
    }
    // Answers may overtake each other on their way; the epochs say in which order the API server accepted.
    reigns.sort_by_key(|(_, grant)| grant.epoch);
    for pair in reigns.windows(2) {
        assert!(pair[0].1.epoch < pair[1].1.epoch, "an epoch is held once: {pair:#?}");
        assert!(pair[0].1.sent_at < pair[1].1.answered_at, "epochs rise: {pair:#?}");
    }
    let mut writes = 0;
    for (replica, log) in logs.iter().enumerate() {
        for entry in log.iter().filter(|entry| is_fenced(entry)) {
            let sent_at = entry.sent_at.unwrap();
            let reign = reigns.iter().rev().find(|(_, grant)| grant.answered_at <= sent_at);
            let holder = reign.map(|(holder, _)| *holder);
            assert_eq!(holder, Some(replica), "{entry:#?} was sent under another's Lease: {reign:#?}");
            writes += 1;
        }
    }
    Checked { epochs: reigns.len(), writes }
}

fn config_map(name: &str, colour: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{colour: {colour}}}\n")
}

/// Commits `count` maps `map-N` of a colour to `app/`; the commit's id.
fn commit_maps(rig: &Rig, count: usize, colour: &str) -> String {
    let files: Vec<(String, String)> =
        (0..count).map(|number| (format!("app/{number}.yaml"), config_map(&format!("map-{number}"), colour))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    rig.repo.commit(&files, colour).to_string()
}

/// Changes a map by hand.
fn edit(rig: &Rig, namespace: &str, name: &str, colour: &str) {
    let patch = format!(r#"{{"data":{{"colour":"{colour}"}}}}"#);
    rig.plane.kubectl(&["-n", namespace, "patch", "configmap", name, "--type=merge", "-p", &patch]);
}

fn colour(rig: &Rig, namespace: &str, name: &str) -> String {
    rig.get(namespace, &["configmap", name])["data"]["colour"].as_str().unwrap_or_default().to_owned()
}
