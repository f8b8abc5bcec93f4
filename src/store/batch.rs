//! One transaction's writes, sorted by the table that they go to.

use crate::engine::ids::{AppKey, Gvk, ObjectKey, RepoKey};
use crate::engine::record::{ApplicationRecord, AuditEntry, ObjectRecord, SourceRecord, StoreOp};

/// The writes to each table, in the order in which they were asked for. `None` as a value means: remove.
#[derive(Default)]
pub(super) struct Batch<'a> {
    pub(super) objects: Vec<(&'a ObjectKey, Option<&'a ObjectRecord>)>,
    pub(super) applications: Vec<(&'a AppKey, Option<&'a ApplicationRecord>)>,
    pub(super) sources: Vec<(&'a RepoKey, &'a SourceRecord)>,
    pub(super) positions: Vec<(&'a Gvk, Option<u64>)>,
    pub(super) audit: Vec<&'a AuditEntry>,
    pub(super) complete: bool,
    pub(super) epoch: Option<(&'a str, i32)>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(ops: &'a [StoreOp]) -> Self {
        let mut batch = Self::default();
        for op in ops {
            match op {
                StoreOp::PutObject(key, record) => batch.objects.push((key, Some(record))),
                StoreOp::DeleteObject(key) => batch.objects.push((key, None)),
                StoreOp::PutApplication(key, record) => batch.applications.push((key, Some(record))),
                StoreOp::DeleteApplication(key) => batch.applications.push((key, None)),
                StoreOp::PutSource(key, record) => batch.sources.push((key, record)),
                StoreOp::PutPosition(gvk, position) => batch.positions.push((gvk, Some(*position))),
                StoreOp::DeletePosition(gvk) => batch.positions.push((gvk, None)),
                StoreOp::Audit(entry) => batch.audit.push(entry),
                StoreOp::MarkComplete => batch.complete = true,
                StoreOp::PutEpoch(uid, epoch) => batch.epoch = Some((uid, *epoch)),
            }
        }
        batch
    }
}
