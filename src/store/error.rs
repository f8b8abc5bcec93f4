//! What can go wrong with the store, and what it means to whoever uses it.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::hash::Hash;

/// Why an operation on an open store failed.
///
/// After [`StoreError::Full`], [`StoreError::Io`] and [`StoreError::Damaged`] the store is broken
/// ([`super::Store::broken`]): every later operation returns [`StoreError::Broken`] without touching the disk. What had
/// been committed before stays. The caller goes on without a store, as a replica that lost its own does (nothing is
/// pruned), and may drop this one and open it anew after a pause; opening repairs it or sets it aside. The other errors
/// are about one call and change nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or quota is exhausted.
    #[error("the store's disk is full ({0}); make room or enlarge the volume")]
    Full(io::Error),
    /// Reading or writing the file failed otherwise.
    #[error("the store's file can't be read or written: {0}")]
    Io(io::Error),
    /// The content of the file contradicts itself.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// An earlier operation failed; its error is quoted.
    #[error("the store is out of use since an earlier failure: {0}")]
    Broken(String),
    /// A value has no encoding.
    #[error("table {table}: a value can't be written: {reason}")]
    Unencodable {
        /// Table that it was for.
        table: &'static str,
        /// Why.
        reason: String,
    },
    /// A body was to be stored that is, or may be, a Secret's.
    #[error("manifest {0} is a Secret's; Secrets are never stored")]
    SecretManifest(Hash),
    /// A body was to be stored that is no JSON object with `apiVersion` and `kind`.
    #[error("manifest {0} is not an object with apiVersion and kind")]
    NotAManifest(Hash),
    /// A body was to be stored under a hash that is not its own.
    #[error("manifest {0} has another content than its hash says")]
    WrongHash(Hash),
}

impl StoreError {
    /// Whether the store is of no use after this error.
    pub(super) const fn breaks_store(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Io(_) | Self::Damaged(_))
    }

    pub(super) fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full(error)
            }
            // redb's words for "not a database" and for a file that is shorter than its own layout.
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::Damaged(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => Self::from_io(error),
            redb::Error::Backend(error) => Self::Io(io::Error::other(error)),
            redb::Error::Unsupported => {
                let reason = "its file system lacks byte-range locks, which local disks have";
                Self::Io(io::Error::new(io::ErrorKind::Unsupported, reason))
            }
            redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::LockPoisoned(_) => {
                Self::Broken(error.to_string())
            }
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// Errors of single operations of redb, all seen through its one sum type.
macro_rules! through_redb_error {
    ($($error:ty),+) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                redb::Error::from(error).into()
            }
        }
    )+};
}
through_redb_error!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError
);

/// Why a store could not be opened. The agent then runs without one and tries again later.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open for writing, and kept it for the whole wait.
    #[error(
        "the store {path} has been in use by another process for {} s; each replica needs a file of its own",
        waited.as_secs()
    )]
    Locked {
        /// File.
        path: PathBuf,
        /// How long this process waited.
        waited: Duration,
    },
    /// The file system refused.
    #[error("can't {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is unusable, and there are already as many set aside as are kept.
    #[error(
        "the store {path} can't be used ({reason}), and {limit} files are set aside beside it already; \
         look at them and remove them"
    )]
    TooManySetAside {
        /// File.
        path: PathBuf,
        /// Why it can't be used.
        reason: Unusable,
        /// How many are kept.
        limit: usize,
    },
    /// The content is unusable and there is no file to set aside ([`super::Store::with_backend`]).
    #[error("the store can't be used: {0}")]
    Unusable(Unusable),
}

/// Why the content of a file can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Truncated, overwritten, or no store at all.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// A later version of Driftless wrote it.
    #[error("a newer version wrote it: its schema is {found}, this version knows {known}")]
    Newer {
        /// Schema version in the file.
        found: u32,
        /// Highest schema version that this program knows.
        known: u32,
    },
}

/// Runs `work`, turning a panic into damage: redb checks its invariants with assertions, and a file that was altered
/// behind its back must not take the agent down.
pub(super) fn contain<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("unknown");
        Err(StoreError::Damaged(format!("an internal check failed: {message}")))
    })
}
