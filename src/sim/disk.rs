//! What the server holds, on disk: one file that is written as the server changes, and from which another one goes on.
//!
//! ```text
//! let disk = Disk::open(path)?;
//! let server = match disk.load()? {
//!     Some(saved) => ApiServer::restore(seed, controllers, accounts, saved, now),
//!     None => ApiServer::new(seed, controllers, accounts, now),
//! };
//! let shared = Shared::kept(server, clock, disk);
//! ```
//!
//! Writes are committed in groups, and nobody is told of one, by an answer or on a watch, before it is on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::sync::watch;

use super::apiserver::store::{Key, Saved, Write};

/// Objects by their table and key, with a line break between them: neither has one.
const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
/// Numbers by their names.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
/// The newest revision.
const REVISION: &str = "revision";
/// The form of the file.
const FORM: &str = "form";
/// The form that this program writes and reads.
const CURRENT_FORM: u64 = 1;
/// Most writes of one commit.
const MAX_GROUP: usize = 4096;
/// Memory for pages of the file, in bytes. It is written from end to end and read once.
const CACHE: usize = 8 << 20;

/// The file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Opening, reading or writing it failed.
    #[error("the state in {path} can't be used: {why}", path = path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        why: String,
    },
    /// It is of another form.
    #[error("the state in {path} is of form {found}, and this program knows form {CURRENT_FORM}: use another folder", path = path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: u64,
    },
}

/// A file with the state of a server.
#[derive(Debug)]
pub struct Disk {
    database: Database,
    path: PathBuf,
}

impl Disk {
    /// Opens the file, which is made if it is not there. Another process that has it open is an error.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed(path))?;
        }
        let database = Database::builder().set_cache_size(CACHE).create(path).map_err(failed(path))?;
        Ok(Self { database, path: path.to_owned() })
    }

    /// What was kept; `None`: nothing yet.
    pub fn load(&self) -> Result<Option<Saved>, DiskError> {
        let reading = self.database.begin_read().map_err(failed(&self.path))?;
        let numbers = match reading.open_table(NUMBERS) {
            Ok(numbers) => numbers,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(failed(&self.path)(error)),
        };
        let number = |name: &str| numbers.get(name).map(|found| found.map_or(0, |found| found.value()));
        let found = number(FORM).map_err(failed(&self.path))?;
        if found != CURRENT_FORM {
            return Err(DiskError::Form { path: self.path.clone(), found });
        }
        let mut saved = Saved { revision: number(REVISION).map_err(failed(&self.path))?, objects: Vec::new() };
        let objects = reading.open_table(OBJECTS).map_err(failed(&self.path))?;
        for entry in objects.iter().map_err(failed(&self.path))? {
            let (place, body) = entry.map_err(failed(&self.path))?;
            let Some((table, key)) = place.value().split_once('\n') else {
                return Err(failed(&self.path)("an object has no name"));
            };
            let place = (table.to_owned(), Key::from_text(key));
            saved.objects.push((place, Bytes::copy_from_slice(body.value())));
        }
        Ok(Some(saved))
    }

    /// Keeps writes, all of them or none. When this returns they are on disk.
    pub fn write<'w>(&self, writes: impl IntoIterator<Item = &'w Write>) -> Result<(), DiskError> {
        let writing = self.database.begin_write().map_err(failed(&self.path))?;
        {
            let mut objects = writing.open_table(OBJECTS).map_err(failed(&self.path))?;
            let mut numbers = writing.open_table(NUMBERS).map_err(failed(&self.path))?;
            numbers.insert(FORM, CURRENT_FORM).map_err(failed(&self.path))?;
            for write in writes {
                let place = format!("{}\n{}", write.table, write.key.text());
                match &write.object {
                    Some(body) => drop(objects.insert(place.as_str(), &**body).map_err(failed(&self.path))?),
                    None => drop(objects.remove(place.as_str()).map_err(failed(&self.path))?),
                }
                numbers.insert(REVISION, write.revision).map_err(failed(&self.path))?;
            }
        }
        writing.commit().map_err(failed(&self.path))
    }
}

/// What tells any error as one of a file.
fn failed<E: ToString>(path: &Path) -> impl Fn(E) -> DiskError {
    move |error| DiskError::Failed { path: path.to_owned(), why: error.to_string() }
}

/// Up to where writes are on disk, or why there will be no more.
type Kept = Result<u64, Arc<DiskError>>;

/// Writes what it is told, in groups, in a thread of its own. Dropped, it writes what is left.
#[derive(Debug)]
pub(super) struct Keeper {
    sender: Option<mpsc::Sender<Vec<Write>>>,
    kept: watch::Receiver<Kept>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts. What was written up to `revision` is on disk already, or is told next.
    pub(super) fn start(disk: Disk, revision: u64) -> Self {
        let (sender, receiver) = mpsc::channel::<Vec<Write>>();
        let (told, kept) = watch::channel(Ok(revision));
        let thread = std::thread::spawn(move || {
            while let Ok(mut group) = receiver.recv() {
                while let Some(more) = (group.len() < MAX_GROUP).then(|| receiver.try_recv().ok()).flatten() {
                    group.extend(more);
                }
                let result = disk.write(&group).map(|()| group.last().map_or(0, |last| last.revision));
                let over = result.is_err();
                drop(told.send_replace(result.map_err(Arc::new)));
                if over {
                    // Whoever waits is told so, and all who come later.
                    return;
                }
            }
        });
        Self { sender: Some(sender), kept, thread: Some(thread) }
    }

    /// Takes writes, in their order.
    pub(super) fn take(&self, writes: Vec<Write>) {
        if let (false, Some(sender)) = (writes.is_empty(), &self.sender) {
            // A thread that has ended has told why.
            let _ = sender.send(writes);
        }
    }

    /// Waits until all up to a revision is on disk.
    pub(super) async fn wait(&self, revision: u64) -> Result<(), Arc<DiskError>> {
        let mut kept = self.kept.clone();
        let reached = kept.wait_for(|kept| kept.as_ref().map_or(true, |kept| *kept >= revision)).await;
        match reached.map(|kept| kept.clone()) {
            Ok(Err(error)) => Err(error),
            // The thread ends only by an error, which it has told, or when nobody is left to wait.
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.take() {
            // It has told its errors.
            let _ = thread.join();
        }
    }
}
