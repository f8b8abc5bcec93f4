//! The durable store, and what a crash leaves of it.

use std::collections::BTreeMap;

use driftless::engine::ids::{AppKey, Gvk, ObjectKey};
use driftless::engine::record::{ApplicationRecord, ObjectRecord, StoreOp, StoreSnapshot};

/// What is on disk, and what is gathered for the next transaction.
#[derive(Debug, Default)]
pub(crate) struct ModelStore {
    pub(crate) applications: BTreeMap<AppKey, ApplicationRecord>,
    pub(crate) objects: BTreeMap<ObjectKey, ObjectRecord>,
    pub(crate) positions: BTreeMap<Gvk, u64>,
    pub(crate) complete: bool,
    pub(crate) epoch: Option<(String, i32)>,
    pub(crate) gathered: Vec<StoreOp>,
}

impl ModelStore {
    /// Commits what was gathered.
    pub(crate) fn flush(&mut self) {
        for op in std::mem::take(&mut self.gathered) {
            match op {
                StoreOp::PutObject(key, record) => drop(self.objects.insert(key, *record)),
                StoreOp::DeleteObject(key) => drop(self.objects.remove(&key)),
                StoreOp::PutApplication(key, record) => drop(self.applications.insert(key, *record)),
                StoreOp::DeleteApplication(key) => drop(self.applications.remove(&key)),
                StoreOp::PutPosition(watch, at) => drop(self.positions.insert(watch, at)),
                StoreOp::DeletePosition(watch) => drop(self.positions.remove(&watch)),
                StoreOp::MarkComplete => self.complete = true,
                StoreOp::PutEpoch(uid, epoch) => self.epoch = Some((uid, epoch)),
                StoreOp::PutSource(..) | StoreOp::Audit(_) => {}
            }
        }
    }

    /// The process died: what was gathered is lost.
    pub(crate) fn crash(&mut self) {
        self.gathered.clear();
    }

    /// What a start finds.
    pub(crate) fn snapshot(&self) -> StoreSnapshot {
        let pairs = |key: &AppKey, record: &ApplicationRecord| (key.clone(), record.clone());
        StoreSnapshot {
            applications: self.applications.iter().map(|(key, record)| pairs(key, record)).collect(),
            objects: self.objects.iter().map(|(key, record)| (key.clone(), record.clone())).collect(),
            positions: self.positions.iter().map(|(watch, at)| (watch.clone(), *at)).collect(),
            sources: Vec::new(),
            complete: self.complete,
            epoch: self.epoch.clone(),
        }
    }
}
