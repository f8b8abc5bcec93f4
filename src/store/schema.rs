//! The schema version and the migrations between versions.

use redb::{Database, ReadableDatabase, WriteTransaction};

use super::error::{StoreError, Unusable};
use super::{applications, audit, codec, manifests, meta, objects, positions, sources};

/// Version of the tables that this program writes. A file of a higher version is set aside, never touched.
pub const SCHEMA_VERSION: u32 = 1;

/// A step from one version to the next, run in one transaction together with the new version number.
struct Migration {
    from: u32,
    run: fn(&WriteTransaction) -> Result<(), StoreError>,
}

/// Every step there ever was, in order; version 0 is a file without tables.
const MIGRATIONS: &[Migration] = &[Migration { from: 0, run: create_tables }];

fn create_tables(txn: &WriteTransaction) -> Result<(), StoreError> {
    txn.open_table(meta::TABLE)?;
    txn.open_table(applications::TABLE)?;
    txn.open_table(objects::TABLE)?;
    txn.open_table(manifests::TABLE)?;
    txn.open_table(sources::TABLE)?;
    txn.open_table(positions::TABLE)?;
    txn.open_table(audit::TABLE)?;
    Ok(())
}

/// What became of a file's schema.
pub(super) enum Outcome {
    /// It is current; `from` is the version it was migrated from, if it was.
    Current {
        /// Version before, 0 for a new file.
        from: Option<u32>,
    },
    /// It can't be made current.
    Unusable(Unusable),
}

/// Brings the tables to [`SCHEMA_VERSION`].
pub(super) fn migrate(db: &Database) -> Result<Outcome, StoreError> {
    let found = match version(db)? {
        Some(found) if found > SCHEMA_VERSION => {
            return Ok(Outcome::Unusable(Unusable::Newer { found, known: SCHEMA_VERSION }));
        }
        Some(SCHEMA_VERSION) => return Ok(Outcome::Current { from: None }),
        Some(found) => found,
        None => return Ok(Outcome::Unusable(Unusable::Damaged("it has tables, but no schema version".to_owned()))),
    };
    for migration in MIGRATIONS.iter().filter(|migration| migration.from >= found) {
        let mut txn = db.begin_write()?;
        txn.set_two_phase_commit(true);
        (migration.run)(&txn)?;
        {
            let mut table = txn.open_table(meta::TABLE)?;
            table.insert(meta::SCHEMA, &*codec::encode("meta", &(migration.from + 1))?)?;
        }
        txn.commit()?;
    }
    Ok(Outcome::Current { from: Some(found) })
}

/// The schema version of a file: 0 if it has no tables, `None` if it has tables but no version.
pub(super) fn version(db: &impl ReadableDatabase) -> Result<Option<u32>, StoreError> {
    let txn = db.begin_read()?;
    if txn.list_tables()?.next().is_none() && txn.list_multimap_tables()?.next().is_none() {
        return Ok(Some(0));
    }
    let table = match txn.open_table(meta::TABLE) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match table.get(meta::SCHEMA)? {
        // The version is read before anything else is known of the file, so its form never changes.
        Some(value) => codec::decode("meta", value.value()).map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_lead_without_a_gap_to_the_current_version() {
        let steps: Vec<u32> = MIGRATIONS.iter().map(|migration| migration.from).collect();
        assert_eq!(steps, (0..SCHEMA_VERSION).collect::<Vec<_>>());
    }
}
