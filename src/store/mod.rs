//! The durable store: the only code that names `redb`.
//!
//! One file per replica holds what the engine needs to resume: records of applications and objects, watch positions,
//! bodies of manifests, and the audit trail (DESIGN section 5). It is a cache of what Git and the cluster say. A file
//! that can't be used is set aside beside its path, never overwritten or deleted, and a new one is made.
//!
//! All calls block; they belong on a blocking thread. One [`Store::commit`] is one transaction and durable when it
//! returns: the caller groups its writes. Readers of other processes ([`inspect`]) disturb nothing.

mod applications;
mod audit;
mod batch;
mod codec;
mod error;
pub mod inspect;
mod load;
mod manifests;
mod meta;
mod objects;
mod open;
mod positions;
mod row;
mod schema;
mod sources;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use redb::{Database, WriteTransaction};

use crate::engine::hash::Hash;
use crate::engine::record::{StoreOp, StoreSnapshot};

pub use error::{OpenError, StoreError, Unusable};
pub use manifests::{Collected, MAX_COLLECTED};
pub use open::{MAX_SET_ASIDE, OpenReport, SetAside};
pub use schema::SCHEMA_VERSION;

/// What a disk under the store has to do, for simulated ones ([`Store::with_backend`]).
pub mod backend {
    pub use redb::{BackendError, StorageBackend};
}

/// How a store is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Memory for cached pages, in bytes.
    pub cache_bytes: usize,
    /// Entries of the audit trail that are kept.
    pub audit_entries: u64,
    /// How long to wait for another process that has the file open: in a rolling update the old one may still run.
    pub lock_wait: Duration,
}

impl Default for StoreOptions {
    /// 4 MiB, 10,000 entries, 10 s.
    fn default() -> Self {
        Self { cache_bytes: 4 << 20, audit_entries: 10_000, lock_wait: Duration::from_secs(10) }
    }
}

/// An open store. [`StoreError`] says what each failure means for its further use.
pub struct Store {
    db: Database,
    audit_entries: u64,
    /// The error after which nothing is tried any more.
    broken: OnceLock<String>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("broken", &self.broken.get()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store at `path`, or makes one: waits for another process that uses it, recovers it after a crash,
    /// verifies all of it, and migrates it to [`SCHEMA_VERSION`]. An unusable file is renamed to the first free of
    /// `path.unusable-1`, `path.unusable-2`, … and a new one is made in its place; the report says so.
    ///
    /// # Errors
    /// [`OpenError`]: the file system refuses, another process keeps the file, or too many were set aside before.
    pub fn open(path: &Path, options: &StoreOptions) -> Result<(Self, OpenReport), OpenError> {
        let (db, report) = open::file(path, options)?;
        Ok((Self::new(db, options), report))
    }

    /// Opens or makes a store on `backend` instead of a file. A backend has to support the locks of
    /// [`backend::StorageBackend`]; a single process can grant them all.
    ///
    /// # Errors
    /// [`OpenError::Unusable`] where [`Store::open`] would set the file aside; [`OpenError::Io`] with an empty path.
    pub fn with_backend(
        backend: impl backend::StorageBackend,
        options: &StoreOptions,
    ) -> Result<(Self, OpenReport), OpenError> {
        let (db, report) = open::backend(backend, options)?;
        Ok((Self::new(db, options), report))
    }

    const fn new(db: Database, options: &StoreOptions) -> Self {
        Self { db, audit_entries: options.audit_entries, broken: OnceLock::new() }
    }

    /// Everything that the engine starts from, as of one moment.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn load(&self) -> Result<StoreSnapshot, StoreError> {
        self.run(load::snapshot)
    }

    /// Performs `ops` in order in one transaction: all of them are on disk when this returns, or none if it fails.
    /// A watch position and the records that it covers belong into one call.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn commit(&self, ops: &[StoreOp]) -> Result<(), StoreError> {
        if ops.is_empty() {
            return Ok(());
        }
        let batch = batch::Batch::new(ops);
        self.write(|txn| {
            objects::write(txn, &batch.objects)?;
            applications::write(txn, &batch.applications)?;
            sources::write(txn, &batch.sources)?;
            positions::write(txn, &batch.positions)?;
            audit::write(txn, &batch.audit, self.audit_entries)?;
            meta::write(txn, batch.complete, batch.epoch)
        })
    }

    /// Stores canonical manifests under the hashes of their content, in one transaction, and returns how many were not
    /// there before. Secrets are the caller's to leave out; one that comes nevertheless is refused, with the whole call.
    ///
    /// # Errors
    /// [`StoreError::SecretManifest`], [`StoreError::NotAManifest`], [`StoreError::WrongHash`], and what the disk says.
    pub fn put_manifests<'a>(&self, bodies: impl Iterator<Item = (Hash, &'a [u8])>) -> Result<usize, StoreError> {
        let missing = self.run(|db| manifests::missing(db, bodies))?;
        if !missing.is_empty() {
            self.write(|txn| manifests::write(txn, &missing))?;
        }
        Ok(missing.len())
    }

    /// The canonical manifest with this hash; `None`: it is a Secret's, or was collected, and has to be rendered again.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn manifest(&self, hash: Hash) -> Result<Option<Vec<u8>>, StoreError> {
        self.run(|db| manifests::read(db, hash))
    }

    /// Removes manifests that no object record names as desired or last applied, nor `keep`: those that were put but
    /// whose records are still on the way. At most [`MAX_COLLECTED`] a call. Reads every object record, so it is for
    /// once in a while (after a sync, hourly), not for every change.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn collect_manifests(&self, keep: &BTreeSet<Hash>) -> Result<Collected, StoreError> {
        self.write(|txn| manifests::collect(txn, keep))
    }

    /// Why the store is of no use any more, if it is.
    pub fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    /// Closes the file and releases its lock, as dropping does, but tells of failures.
    ///
    /// # Errors
    /// See [`StoreError`]. Whatever was committed is on disk nevertheless.
    pub fn close(self) -> Result<(), StoreError> {
        let Self { db, .. } = self;
        error::contain(|| Ok(db.close()?))
    }

    /// One durable transaction.
    fn write<T>(&self, work: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.run(|db| {
            let mut txn = db.begin_write()?;
            // Twice the syncs, but no reliance on a checksum to tell a torn commit from a whole one.
            txn.set_two_phase_commit(true);
            let result = work(&txn)?;
            txn.commit()?;
            Ok(result)
        })
    }

    fn run<T>(&self, work: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(reason) = self.broken.get() {
            return Err(StoreError::Broken(reason.clone()));
        }
        let result = error::contain(|| work(&self.db));
        if let Err(error) = &result
            && error.breaks_store()
        {
            // Another thread may have been first; its reason is as good.
            let _ = self.broken.set(error.to_string());
        }
        result
    }
}
