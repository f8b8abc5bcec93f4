//! Table `audit`: sequence number → [`AuditEntry`]. A ring: the newest entries are kept.

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};

use crate::engine::record::AuditEntry;

use super::codec;
use super::error::StoreError;

const NAME: &str = "audit";
pub(super) const TABLE: TableDefinition<'static, u64, &[u8]> = TableDefinition::new(NAME);

/// Entries that one transaction removes beyond those it adds, so that a lowered limit is reached step by step.
const EXTRA_REMOVALS: u64 = 256;

/// Appends `entries` and removes the oldest ones above `limit`.
pub(super) fn write(txn: &WriteTransaction, entries: &[&AuditEntry], limit: u64) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(TABLE)?;
    let mut next = table.last()?.map_or(0, |(last, _)| last.value().saturating_add(1));
    for entry in entries {
        table.insert(next, &*codec::encode(NAME, entry)?)?;
        next = next.saturating_add(1);
    }
    let surplus = table.len()?.saturating_sub(limit);
    for _ in 0..surplus.min(entries.len() as u64 + EXTRA_REMOVALS) {
        table.pop_first()?;
    }
    Ok(())
}

/// Calls `each` with the newest entries, the newest first, until it returns `false`.
pub(super) fn newest(txn: &ReadTransaction, mut each: impl FnMut(u64, AuditEntry) -> bool) -> Result<(), StoreError> {
    for entry in txn.open_table(TABLE)?.iter()?.rev() {
        let (number, value) = entry?;
        if !each(number.value(), codec::decode(NAME, value.value())?) {
            break;
        }
    }
    Ok(())
}
