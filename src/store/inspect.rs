//! Reading a store's file from outside, live or at rest: plain data for `driftless store inspect`.
//!
//! Nothing is written, locked for long or repaired. Each call sees one moment; a reader pins the pages of that moment
//! only while it reads.

use std::path::{Path, PathBuf};

use redb::{
    Builder, ConcurrencyMode, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, ReadableTableMetadata,
};

use crate::engine::ids::{AppKey, ObjectKey};
use crate::engine::record::{ApplicationRecord, AuditEntry, ObjectRecord};

use super::backend::StorageBackend;
use super::error::{StoreError, contain};
use super::{SCHEMA_VERSION, applications, audit, manifests, meta, objects, positions, schema, sources};

/// Memory for cached pages, in bytes.
const CACHE_BYTES: usize = 4 << 20;

/// Why a file can't be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The file can't be opened for reading.
    #[error("can't read the store {path}: {source}")]
    Open {
        /// File.
        path: PathBuf,
        /// Why not.
        source: StoreError,
    },
    /// A process has it open in a way that shuts readers out.
    #[error("the store {0} is locked by another program; only an agent's lock admits readers")]
    Locked(PathBuf),
    /// It was not closed, and no agent runs on it that could have recovered it.
    #[error("the store {0} was not closed cleanly; start the agent on it, which recovers it, and inspect it then")]
    Unclean(PathBuf),
    /// Another version wrote it.
    #[error("the store {path} has schema {found}; this program reads {SCHEMA_VERSION}")]
    Schema {
        /// File.
        path: PathBuf,
        /// Its version; 0 for a file without tables.
        found: u32,
    },
    /// A read failed.
    #[error(transparent)]
    Read(#[from] StoreError),
}

/// A store's file, open for reading.
pub struct Inspector {
    db: ReadOnlyDatabase,
    path: PathBuf,
}

/// One line of the audit trail with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditLine {
    /// Sequence number; later entries have higher ones.
    pub number: u64,
    /// The entry.
    pub entry: AuditEntry,
}

/// What a store holds, in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// Size of the file in bytes.
    pub file_bytes: u64,
    /// Schema version.
    pub schema: u32,
    /// Whether the inventory is complete.
    pub complete: bool,
    /// Highest epoch seen, with the uid of its Lease.
    pub epoch: Option<(String, i32)>,
    /// Each table, in the order of DESIGN section 5.
    pub tables: Vec<TableStats>,
}

/// Size of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableStats {
    /// Name.
    pub name: &'static str,
    /// Number of entries.
    pub entries: u64,
    /// Bytes of keys and values.
    pub stored_bytes: u64,
    /// Bytes of the pages around them: tree structure and unused space.
    pub overhead_bytes: u64,
}

impl TableStats {
    /// Bytes of key and value of an average entry; 0 for an empty table.
    pub fn average_bytes(&self) -> u64 {
        self.stored_bytes.checked_div(self.entries).unwrap_or(0)
    }
}

impl Inspector {
    /// Opens the store at `path` for reading, beside an agent that writes it or without one.
    ///
    /// # Errors
    /// [`InspectError`].
    pub fn open(path: &Path) -> Result<Self, InspectError> {
        Self::new(path, |builder| builder.open_read_only(path))
    }

    /// Opens a store on a backend as [`Inspector::open`] opens a file.
    ///
    /// # Errors
    /// [`InspectError`], with an empty path.
    pub fn with_backend(backend: impl StorageBackend) -> Result<Self, InspectError> {
        Self::new(Path::new(""), |builder| builder.open_read_only_with_backend(backend))
    }

    fn new(
        path: &Path,
        open: impl FnOnce(&Builder) -> Result<ReadOnlyDatabase, DatabaseError>,
    ) -> Result<Self, InspectError> {
        let failed = |source| InspectError::Open { path: path.to_owned(), source };
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES).set_concurrency_mode(ConcurrencyMode::SingleWriter);
        let db = match contain(|| Ok(open(&builder))).map_err(failed)? {
            Ok(db) => db,
            Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => {
                return Err(InspectError::Locked(path.to_owned()));
            }
            Err(DatabaseError::RepairAborted) => return Err(InspectError::Unclean(path.to_owned())),
            Err(error) => return Err(failed(error.into())),
        };
        match contain(|| schema::version(&db)).map_err(failed)? {
            Some(SCHEMA_VERSION) => Ok(Self { db, path: path.to_owned() }),
            found => Err(InspectError::Schema { path: path.to_owned(), found: found.unwrap_or(0) }),
        }
    }

    /// Every application, in the order of namespace and name.
    ///
    /// # Errors
    /// [`InspectError::Read`].
    pub fn applications(&self) -> Result<Vec<(AppKey, ApplicationRecord)>, InspectError> {
        self.read(|txn| {
            let mut found = Vec::new();
            applications::scan(txn, |key, record| found.push((key, record)))?;
            Ok(found)
        })
    }

    /// The objects of one application, or of all, in the order of group, kind, namespace and name.
    ///
    /// # Errors
    /// [`InspectError::Read`].
    pub fn objects(&self, app: Option<&AppKey>) -> Result<Vec<(ObjectKey, ObjectRecord)>, InspectError> {
        self.read(|txn| {
            let mut found = Vec::new();
            objects::scan(txn, |key, record| {
                if app.is_none_or(|app| record.app == *app) {
                    found.push((key, record));
                }
            })?;
            Ok(found)
        })
    }

    /// The newest entries of the audit trail, of one application or of all, the newest first, `limit` at most.
    ///
    /// # Errors
    /// [`InspectError::Read`].
    pub fn audit(&self, app: Option<&AppKey>, limit: usize) -> Result<Vec<AuditLine>, InspectError> {
        self.read(|txn| {
            let mut found = Vec::new();
            if limit == 0 {
                return Ok(found);
            }
            audit::newest(txn, |number, entry| {
                if app.is_none_or(|app| entry.app == *app) {
                    found.push(AuditLine { number, entry });
                }
                found.len() < limit
            })?;
            Ok(found)
        })
    }

    /// Sizes of the file and of each table. Reads the whole tree structure, not the values.
    ///
    /// # Errors
    /// [`InspectError::Read`].
    pub fn stats(&self) -> Result<Stats, InspectError> {
        let metadata = std::fs::metadata(&self.path).map_err(StoreError::Io)?;
        self.read(|txn| {
            let tables = vec![
                table("meta", &txn.open_table(meta::TABLE)?)?,
                table("sources", &txn.open_table(sources::TABLE)?)?,
                table("applications", &txn.open_table(applications::TABLE)?)?,
                table("objects", &txn.open_table(objects::TABLE)?)?,
                table("manifests", &txn.open_table(manifests::TABLE)?)?,
                table("positions", &txn.open_table(positions::TABLE)?)?,
                table("audit", &txn.open_table(audit::TABLE)?)?,
            ];
            Ok(Stats {
                file_bytes: metadata.len(),
                schema: SCHEMA_VERSION,
                complete: meta::complete(txn)?,
                epoch: meta::epoch(txn)?,
                tables,
            })
        })
    }

    fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, InspectError> {
        Ok(contain(|| work(&self.db.begin_read()?))?)
    }
}

fn table(name: &'static str, table: &impl ReadableTableMetadata) -> Result<TableStats, StoreError> {
    let stats = table.stats()?;
    Ok(TableStats {
        name,
        entries: table.len()?,
        stored_bytes: stats.stored_bytes(),
        overhead_bytes: stats.metadata_bytes() + stats.fragmented_bytes(),
    })
}
