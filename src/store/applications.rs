//! Table `applications`: (namespace, name) → [`ApplicationRecord`].

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::engine::ids::AppKey;
use crate::engine::record::ApplicationRecord;

use super::codec;
use super::error::StoreError;

const NAME: &str = "applications";
pub(super) const TABLE: TableDefinition<'static, (&str, &str), &[u8]> = TableDefinition::new(NAME);

pub(super) fn write(
    txn: &WriteTransaction,
    writes: &[(&AppKey, Option<&ApplicationRecord>)],
) -> Result<(), StoreError> {
    if writes.is_empty() {
        return Ok(());
    }
    let mut table = txn.open_table(TABLE)?;
    for (key, record) in writes {
        let key = (&*key.namespace, &*key.name);
        match record {
            Some(record) => drop(table.insert(key, &*codec::encode(NAME, record)?)?),
            None => drop(table.remove(key)?),
        }
    }
    Ok(())
}

/// Calls `each` with every record, in the order of the keys.
pub(super) fn scan(txn: &ReadTransaction, mut each: impl FnMut(AppKey, ApplicationRecord)) -> Result<(), StoreError> {
    for entry in txn.open_table(TABLE)?.iter()? {
        let (key, value) = entry?;
        let (namespace, name) = key.value();
        each(AppKey::new(namespace, name), codec::decode(NAME, value.value())?);
    }
    Ok(())
}
