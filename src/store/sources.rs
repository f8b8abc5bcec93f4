//! Table `sources`: repository → [`SourceRecord`].

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::engine::ids::RepoKey;
use crate::engine::record::SourceRecord;

use super::codec;
use super::error::StoreError;

const NAME: &str = "sources";
pub(super) const TABLE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new(NAME);

pub(super) fn write(txn: &WriteTransaction, writes: &[(&RepoKey, &SourceRecord)]) -> Result<(), StoreError> {
    if writes.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(TABLE)?;
    for (key, record) in writes {
        table.insert(&*key.0, &*codec::encode(NAME, record)?)?;
    }
    Ok(())
}

/// Calls `each` with every record, in the order of the keys.
pub(super) fn scan(txn: &ReadTransaction, mut each: impl FnMut(RepoKey, SourceRecord)) -> Result<(), StoreError> {
    for entry in txn.open_table(TABLE)?.iter()? {
        let (key, value) = entry?;
        each(RepoKey(key.value().into()), codec::decode(NAME, value.value())?);
    }
    Ok(())
}
