//! What the server's audit log shows of the agents, judged at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use driftless::sim::apiserver::Answer;
use driftless::sim::faults::{Audit, Audited};
use driftless::sim::shared::Shared;
use http::Method;
use serde_json::Value;

use super::replica::NAMESPACE;

/// What writes are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Of {
    Lease,
    Event,
    HashKey,
    Application,
    Object,
}

/// Everything that agents wrote. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    /// What the agents have written, by what it was, since that was last looked at.
    pub(crate) writes: BTreeMap<Of, Vec<String>>,
    /// What must never happen and did.
    pub(crate) violations: Vec<String>,
    /// Paths of objects that are nobody's but their maker's.
    pub(crate) foreign: BTreeSet<String>,
    /// Paths of objects that Git has once had no more, or whose Application was deleted.
    pub(crate) removable: BTreeSet<String>,
    /// Who has held the Lease.
    pub(crate) holders: BTreeSet<String>,
    /// Deletions.
    pub(crate) deletions: u64,
}

impl Ledger {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What the server tells its audit log to.
    pub(crate) fn audit(&self, shared: &Shared) -> Audit {
        let (ledger, shared) = (self.clone(), shared.clone());
        Arc::new(move |audited| {
            if audited.code.is_success() && audited.revisions.0 != audited.revisions.1 {
                let holder = holder(&shared);
                ledger.state().take(audited, &holder);
            }
        })
    }
}

impl State {
    fn take(&mut self, audited: &Audited<'_>, holder: &str) {
        let path = audited.uri.path();
        let of = match () {
            () if path.contains("/leases") => Of::Lease,
            () if path.contains("/events") => Of::Event,
            () if path.starts_with(&format!("/api/v1/namespaces/{NAMESPACE}/secrets")) => Of::HashKey,
            () if path.contains("/applications/") => Of::Application,
            () => Of::Object,
        };
        let text = format!("{} {} {path}", audited.client, audited.method);
        if of == Of::Lease {
            self.holders.insert(holder.to_owned());
        }
        if matches!(of, Of::Application | Of::Object) {
            let writer = audited.client.split('/').next().unwrap_or_default();
            if !holder.starts_with(&format!("{writer}_")) {
                self.violations.push(format!("{text}, while {holder:?} holds the Lease"));
            }
        }
        if of == Of::Object && self.foreign.contains(path) {
            self.violations.push(format!("{text} is not the agents' to write"));
        }
        if audited.method == Method::DELETE && of == Of::Object {
            self.deletions += 1;
            if !self.removable.contains(path) {
                self.violations.push(format!("{text}, which Git has always had"));
            }
        }
        self.writes.entry(of).or_default().push(text);
    }
}

/// Who holds the Lease, by the server.
fn holder(shared: &Shared) -> String {
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/driftless");
    let request = http::Request::get(path).body(Bytes::new()).unwrap();
    match shared.with(|server, now| server.handle(&request, now)) {
        Answer::Reply(reply) => {
            let lease: Value = serde_json::from_slice(&reply.bytes()).unwrap();
            lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
        }
        Answer::Watch(_) => unreachable!("a get is no watch"),
    }
}
