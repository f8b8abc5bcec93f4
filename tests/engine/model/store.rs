//! The durable store, and what a crash leaves of it.

use std::collections::BTreeMap;

use driftless::engine::ids::{AppKey, Gvk, ObjectKey};
use driftless::engine::record::{ApplicationRecord, ObjectRecord, StoreOp, StoreSnapshot};

/// What is on disk, and what is gathered for the next transaction.
#[derive(Debug, Default)]
pub struct ModelStore {
    pub applications: BTreeMap<AppKey, ApplicationRecord>,
    pub objects: BTreeMap<ObjectKey, ObjectRecord>,
    pub positions: BTreeMap<Gvk, u64>,
    pub complete: bool,
    pub epoch: Option<(String, i32)>,
    pub gathered: Vec<StoreOp>,
}

impl ModelStore {
    /// Commits what was gathered.
    pub fn flush(&mut self) {
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
    pub fn crash(&mut self) {
        self.gathered.clear();
    }

    /// What a start finds.
    pub fn snapshot(&self) -> StoreSnapshot {
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
