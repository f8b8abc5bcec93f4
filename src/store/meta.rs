//! Table `meta`: single values by name.

use redb::{ReadTransaction, TableDefinition, WriteTransaction};
use serde::de::DeserializeOwned;

use super::codec;
use super::error::StoreError;

const NAME: &str = "meta";
pub(super) const TABLE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new(NAME);

/// Schema version, `u32`.
pub(super) const SCHEMA: &str = "schema";
/// Whether the inventory is complete, `bool`.
const COMPLETE: &str = "complete";
/// Highest epoch seen with the uid of its Lease, `(String, i32)`.
const EPOCH: &str = "epoch";

pub(super) fn write(txn: &WriteTransaction, complete: bool, epoch: Option<(&str, i32)>) -> Result<(), StoreError> {
    if !complete && epoch.is_none() {
        return Ok(());
    }
    let mut table = txn.open_table(TABLE)?;
    if complete {
        table.insert(COMPLETE, &*codec::encode(NAME, &true)?)?;
    }
    if let Some(epoch) = epoch {
        table.insert(EPOCH, &*codec::encode(NAME, &epoch)?)?;
    }
    Ok(())
}

/// Whether the inventory is complete.
pub(super) fn complete(txn: &ReadTransaction) -> Result<bool, StoreError> {
    Ok(value(txn, COMPLETE)?.unwrap_or(false))
}

/// Highest epoch seen, with the uid of its Lease.
pub(super) fn epoch(txn: &ReadTransaction) -> Result<Option<(String, i32)>, StoreError> {
    value(txn, EPOCH)
}

fn value<T: DeserializeOwned>(txn: &ReadTransaction, name: &str) -> Result<Option<T>, StoreError> {
    match txn.open_table(TABLE)?.get(name)? {
        Some(value) => codec::decode(NAME, value.value()).map(Some),
        None => Ok(None),
    }
}
