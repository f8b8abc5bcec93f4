//! Reading everything the engine starts from.

use std::collections::HashSet;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase};

use crate::engine::ids::{AppKey, ObjectKey};
use crate::engine::record::{ObjectRecord, StoreSnapshot};

use super::error::StoreError;
use super::{applications, audit, meta, objects, positions, sources};

/// One consistent view of all tables but the manifests and the audit trail.
pub(super) fn snapshot(db: &Database) -> Result<StoreSnapshot, StoreError> {
    let txn = db.begin_read()?;
    let mut snapshot =
        StoreSnapshot { complete: meta::complete(&txn)?, epoch: meta::epoch(&txn)?, ..Default::default() };
    let mut names = Names::default();
    applications::scan(&txn, |key, record| snapshot.applications.push((names.app(&key), record)))?;
    objects::scan(&txn, |key, record| snapshot.objects.push((names.object(&key), names.record(record))))?;
    positions::scan(&txn, |gvk, position| snapshot.positions.push((gvk, position)))?;
    sources::scan(&txn, |key, record| snapshot.sources.push((key, record)))?;
    Ok(snapshot)
}

/// Reads every record once, so that a file with one that can't be read is found when it is opened.
pub(super) fn verify(txn: &ReadTransaction) -> Result<(), StoreError> {
    meta::complete(txn)?;
    meta::epoch(txn)?;
    applications::scan(txn, |_, _| ())?;
    objects::scan(txn, |_, _| ())?;
    positions::scan(txn, |_, _| ())?;
    sources::scan(txn, |_, _| ())?;
    audit::newest(txn, |_, _| true)
}

/// Texts that many records share are kept in memory once.
#[derive(Default)]
struct Names(HashSet<Arc<str>>);

impl Names {
    fn shared(&mut self, text: &Arc<str>) -> Arc<str> {
        match self.0.get(text) {
            Some(known) => known.clone(),
            None => {
                self.0.insert(text.clone());
                text.clone()
            }
        }
    }

    fn app(&mut self, key: &AppKey) -> AppKey {
        AppKey { namespace: self.shared(&key.namespace), name: self.shared(&key.name) }
    }

    fn object(&mut self, key: &ObjectKey) -> ObjectKey {
        ObjectKey {
            group: self.shared(&key.group),
            kind: self.shared(&key.kind),
            namespace: self.shared(&key.namespace),
            name: key.name.clone(),
        }
    }

    fn record(&mut self, mut record: ObjectRecord) -> ObjectRecord {
        record.app = self.app(&record.app);
        record.version = self.shared(&record.version);
        record
    }
}
