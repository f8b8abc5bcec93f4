//! Table `positions`: (group, version, kind) → resource version up to which the watch of that kind is in the records.

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::engine::ids::Gvk;

use super::error::StoreError;

pub(super) const TABLE: TableDefinition<'static, (&str, &str, &str), u64> = TableDefinition::new("positions");

pub(super) fn write(txn: &WriteTransaction, writes: &[(&Gvk, Option<u64>)]) -> Result<(), StoreError> {
    if writes.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(TABLE)?;
    for (gvk, position) in writes {
        let key = (&*gvk.group, &*gvk.version, &*gvk.kind);
        match position {
            Some(position) => drop(table.insert(key, position)?),
            None => drop(table.remove(key)?),
        }
    }
    Ok(())
}

/// Calls `each` with every position, in the order of the keys.
pub(super) fn scan(txn: &ReadTransaction, mut each: impl FnMut(Gvk, u64)) -> Result<(), StoreError> {
    for entry in txn.open_table(TABLE)?.iter()? {
        let (key, value) = entry?;
        let (group, version, kind) = key.value();
        each(Gvk::new(group, version, kind), value.value());
    }
    Ok(())
}
