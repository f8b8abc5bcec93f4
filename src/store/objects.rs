//! Table `objects`: (group, kind, namespace, name) → [`ObjectRecord`].

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::engine::ids::ObjectKey;
use crate::engine::record::ObjectRecord;

use super::codec;
use super::error::StoreError;
use super::row::Row;

const NAME: &str = "objects";
pub(super) const TABLE: TableDefinition<'static, (&str, &str, &str, &str), &[u8]> = TableDefinition::new(NAME);

pub(super) fn write(txn: &WriteTransaction, writes: &[(&ObjectKey, Option<&ObjectRecord>)]) -> Result<(), StoreError> {
    if writes.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(TABLE)?;
    for (key, record) in writes {
        let key = (&*key.group, &*key.kind, &*key.namespace, &*key.name);
        match record {
            Some(record) => drop(table.insert(key, &*codec::encode(NAME, &Row::from(*record))?)?),
            None => drop(table.remove(key)?),
        }
    }
    Ok(())
}

/// Calls `each` with every record, in the order of the keys.
pub(super) fn scan(txn: &ReadTransaction, mut each: impl FnMut(ObjectKey, ObjectRecord)) -> Result<(), StoreError> {
    for entry in txn.open_table(TABLE)?.iter()? {
        let (key, value) = entry?;
        let (group, kind, namespace, name) = key.value();
        each(ObjectKey::new(group, kind, namespace, name), read(value.value())?);
    }
    Ok(())
}

/// Calls `each` with every record as this transaction sees it.
pub(super) fn scan_for_write(txn: &WriteTransaction, mut each: impl FnMut(ObjectRecord)) -> Result<(), StoreError> {
    for entry in txn.open_table(TABLE)?.iter()? {
        let (_, value) = entry?;
        each(read(value.value())?);
    }
    Ok(())
}

fn read(value: &[u8]) -> Result<ObjectRecord, StoreError> {
    let row: Row = codec::decode(NAME, value)?;
    row.record().ok_or_else(|| StoreError::Damaged(format!("table {NAME}: a value refers to a hash that it lacks")))
}
