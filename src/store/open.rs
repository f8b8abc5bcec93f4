//! Opening a file: waiting for its lock, recovering it, setting it aside.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use redb::{Builder, ConcurrencyMode, Database, DatabaseError, ReadableDatabase};

use super::backend::StorageBackend;
use super::error::{OpenError, StoreError, Unusable, contain};
use super::{StoreOptions, load, schema};

/// Files that are kept beside a store's path at most. A disk that spoils every file must not fill itself with them.
pub const MAX_SET_ASIDE: usize = 16;
/// Pause between two attempts to lock a file.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// What opening a store did beside opening it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// There was no store before, or none that could be used: this one is empty.
    pub created: bool,
    /// Schema version that an existing store was migrated from.
    pub migrated_from: Option<u32>,
    /// The file that could not be used.
    pub set_aside: Option<SetAside>,
}

/// A file that was set aside. Displays as what to tell the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where it was.
    pub from: PathBuf,
    /// Where it is now.
    pub to: PathBuf,
    /// Why.
    pub reason: Unusable,
}

impl fmt::Display for SetAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the store {} can't be used ({}); it is kept as {}, and an empty one is filled again from Git and the \
             cluster, without deleting anything until it is complete",
            self.from.display(),
            self.reason,
            self.to.display()
        )
    }
}

/// Opens or makes the store at `path`.
pub(super) fn file(path: &Path, options: &StoreOptions) -> Result<(Database, OpenReport), OpenError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder).map_err(io_error("create the folder", folder))?;
    let set_aside = match locked(path, options)? {
        Ok(opened) => return finish(opened, None, folder),
        Err(reason) => rename(path, reason)?,
    };
    match locked(path, options)? {
        Ok(opened) => finish(opened, Some(set_aside), folder),
        // A new file that can't be used either: whatever the disk does, renaming once more won't help.
        Err(reason) => Err(OpenError::Unusable(reason)),
    }
}

/// Opens or makes a store on `backend`.
pub(super) fn backend(
    backend: impl StorageBackend,
    options: &StoreOptions,
) -> Result<(Database, OpenReport), OpenError> {
    match attempt(|| builder(options).create_with_backend(backend)) {
        Ok(Attempt::Open(opened)) => {
            let report = opened.report(None);
            Ok((opened.db, report))
        }
        Ok(Attempt::Unusable(reason)) => Err(OpenError::Unusable(reason)),
        Ok(Attempt::Locked) => Err(OpenError::Locked { path: PathBuf::new(), waited: Duration::ZERO }),
        Err(error) => Err(failure(Path::new(""), error)),
    }
}

/// How redb is told to treat a store's file.
fn builder(options: &StoreOptions) -> Builder {
    let mut builder = Database::builder();
    builder
        .set_cache_size(options.cache_bytes)
        // Lets `driftless store inspect` read beside us.
        .set_concurrency_mode(ConcurrencyMode::SingleWriter)
        // Reads the whole file once: a plain open trusts one that was closed cleanly, and panics later if it was altered.
        .set_check_integrity_on_open(true);
    builder
}

/// An open file, and the version that it had before, if it was migrated.
struct Opened {
    db: Database,
    migrated_from: Option<u32>,
}

impl Opened {
    fn report(&self, set_aside: Option<SetAside>) -> OpenReport {
        OpenReport {
            created: self.migrated_from == Some(0),
            migrated_from: self.migrated_from.filter(|version| *version > 0),
            set_aside,
        }
    }
}

/// How one attempt to open ended.
enum Attempt {
    Open(Opened),
    Locked,
    Unusable(Unusable),
}

/// Opens, waiting for the lock. The inner error says why the content can't be used.
fn locked(path: &Path, options: &StoreOptions) -> Result<Result<Opened, Unusable>, OpenError> {
    let started = Instant::now();
    loop {
        match attempt(|| builder(options).create(path)).map_err(|error| failure(path, error))? {
            Attempt::Open(opened) => return Ok(Ok(opened)),
            Attempt::Unusable(reason) => return Ok(Err(reason)),
            Attempt::Locked if started.elapsed() >= options.lock_wait => {
                return Err(OpenError::Locked { path: path.to_owned(), waited: options.lock_wait });
            }
            Attempt::Locked => thread::sleep(LOCK_POLL),
        }
    }
}

fn attempt(open: impl FnOnce() -> Result<Database, DatabaseError>) -> Result<Attempt, StoreError> {
    let result = contain(|| {
        let db = match open() {
            Ok(db) => db,
            Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => {
                return Ok(Attempt::Locked);
            }
            Err(error) => return Err(error.into()),
        };
        let migrated_from = match schema::migrate(&db)? {
            schema::Outcome::Current { from } => from,
            schema::Outcome::Unusable(reason) => return Ok(Attempt::Unusable(reason)),
        };
        load::verify(&db.begin_read()?)?;
        Ok(Attempt::Open(Opened { db, migrated_from }))
    });
    match result {
        Err(StoreError::Damaged(what)) => Ok(Attempt::Unusable(Unusable::Damaged(what))),
        other => other,
    }
}

fn finish(opened: Opened, set_aside: Option<SetAside>, folder: &Path) -> Result<(Database, OpenReport), OpenError> {
    let report = opened.report(set_aside);
    if report.created {
        // A new name is only durable with its folder.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync the folder", folder))?;
    }
    Ok((opened.db, report))
}

/// Renames `path` to the first free name beside it.
fn rename(path: &Path, reason: Unusable) -> Result<SetAside, OpenError> {
    for number in 1..=MAX_SET_ASIDE {
        let mut name = OsString::from(path);
        name.push(format!(".unusable-{number}"));
        let to = PathBuf::from(name);
        if fs::symlink_metadata(&to).is_ok() {
            continue;
        }
        fs::rename(path, &to).map_err(io_error("set aside", path))?;
        return Ok(SetAside { from: path.to_owned(), to, reason });
    }
    Err(OpenError::TooManySetAside { path: path.to_owned(), reason, limit: MAX_SET_ASIDE })
}

fn failure(path: &Path, error: StoreError) -> OpenError {
    let source = match error {
        StoreError::Full(source) | StoreError::Io(source) => source,
        other => std::io::Error::other(other),
    };
    OpenError::Io { action: "open the store", path: path.to_owned(), source }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { action, path, source }
}
