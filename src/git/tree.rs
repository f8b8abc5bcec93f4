//! Reading files of one commit from the object database.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::objs::tree::EntryKind as GitKind;
use gix::objs::{Find, FindHeader, Kind};

use super::fault::{Fault, detail};
use super::history;
use super::limits::GitLimits;
use super::mirror::Generation;
use super::mirrors::parse;
use super::remote::chain;
use crate::engine::event::SourceError;
use crate::engine::ids::Revision;
use crate::engine::revision::Ancestry;
use crate::render::{Entry, EntryKind, Tree, TreeError};

/// Largest folder (its entries as Git stores them), in bytes.
const MAX_FOLDER: u64 = 32 << 20;
/// Largest commit object that is decoded for its author and message, in bytes.
const MAX_COMMIT: u64 = 1 << 20;
/// Longest subject of a commit, in characters.
const MAX_SUBJECT: usize = 200;
/// Entries of folders that are kept decoded: about 100 bytes each.
const MAX_CACHED: usize = 200_000;
/// Memory for the bases of deltas, in bytes.
const DELTA_CACHE: usize = 16 << 20;

/// What people want to know of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// `Name <email>`.
    pub author: String,
    /// When it was committed, in seconds since 1970.
    pub committed_at: i64,
    /// First line of the message, at most 200 characters.
    pub subject: String,
}

/// A repository at one commit. Reading is exclusive: threads that read at the same time open the commit once each.
pub struct GitTree {
    revision: Revision,
    commit: ObjectId,
    root: ObjectId,
    limits: GitLimits,
    reader: Mutex<Reader>,
    /// Keeps the mirror on disk while it is read. `None` for a local repository.
    generation: Option<Arc<Generation>>,
}

/// One entry of a decoded folder.
struct Item {
    name: Arc<str>,
    kind: EntryKind,
    id: ObjectId,
}

impl Item {
    fn entry(&self) -> Entry {
        Entry { kind: self.kind, id: self.id.to_string().into() }
    }
}

/// The entries of a folder, ordered by name.
type Folder = Arc<Vec<Item>>;

struct Reader {
    objects: gix::odb::HandleArc,
    buffer: Vec<u8>,
    folders: HashMap<ObjectId, Folder>,
    /// Entries in `folders`.
    cached: usize,
    /// Folders that were decoded so far.
    seen: HashSet<ObjectId>,
    /// Entries in them.
    entries: usize,
}

impl fmt::Debug for GitTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitTree").field("revision", &self.revision).finish_non_exhaustive()
    }
}

impl GitTree {
    pub(super) fn new(
        objects: &Arc<gix::odb::Store>,
        generation: Option<Arc<Generation>>,
        (commit, root): (ObjectId, ObjectId),
        revision: &Revision,
        limits: &GitLimits,
    ) -> Self {
        let mut objects = objects.to_cache_arc();
        objects.set_pack_cache(|| Box::new(gix::odb::pack::cache::lru::StaticLinkedList::<64>::new(DELTA_CACHE)));
        let reader = Reader {
            objects,
            buffer: Vec::new(),
            folders: HashMap::new(),
            cached: 0,
            seen: HashSet::new(),
            entries: 0,
        };
        Self {
            revision: revision.clone(),
            commit,
            root,
            limits: limits.clone(),
            reader: Mutex::new(reader),
            generation,
        }
    }

    /// The commit that is read.
    pub const fn revision(&self) -> &Revision {
        &self.revision
    }

    /// Author, time and subject of the commit.
    pub fn commit(&self) -> Result<CommitInfo, SourceError> {
        let failed = |error: TreeError| SourceError { message: error.message };
        let mut reader = self.reader();
        let data = self.object(&mut reader, self.commit, Kind::Commit, MAX_COMMIT).map_err(failed)?;
        let broken = |_| SourceError { message: format!("commit {} can't be decoded", self.revision) };
        let hash = gix::hash::Kind::Sha1;
        let decoded = gix::objs::CommitRef::from_bytes(data, hash).map_err(broken)?;
        let author = decoded.author().map_err(broken)?.trim();
        let subject = decoded.message.to_str_lossy();
        Ok(CommitInfo {
            author: detail(&format!("{} <{}>", author.name.to_str_lossy(), author.email.to_str_lossy())),
            committed_at: decoded.committer().map_err(broken)?.seconds(),
            subject: detail(subject.trim_start().lines().next().unwrap_or_default())
                .chars()
                .take(MAX_SUBJECT)
                .collect(),
        })
    }

    /// How the commit stands to `old`, as far as what is at hand tells: no server is asked.
    pub fn ancestry(&self, old: &Revision) -> Result<Ancestry, SourceError> {
        let failed = |fault: Fault| SourceError { message: format!("commit {}: {fault}", self.revision.short()) };
        let old = parse(old).map_err(failed)?;
        let reader = self.reader();
        let limit = usize::try_from(self.limits.history_depth).unwrap_or(usize::MAX);
        history::ancestry((old, self.commit), limit, |id| history::link(&reader.objects, id)).map_err(failed)
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, what: impl fmt::Display) -> TreeError {
        TreeError { message: format!("commit {}: {what}", self.revision.short()) }
    }

    /// The content of an object of the expected kind, not larger than `limit`: that is looked up before it is read.
    fn object<'r>(&self, reader: &'r mut Reader, id: ObjectId, kind: Kind, limit: u64) -> Result<&'r [u8], TreeError> {
        let damaged = |what: String| {
            if let Some(generation) = &self.generation {
                generation.mark_damaged();
            }
            self.error(format!("object {id} can't be read ({what}); the mirror is fetched anew at the next try"))
        };
        let header = match FindHeader::try_header(&reader.objects, &id) {
            Ok(Some(header)) => header,
            Ok(None) => return Err(damaged("it is missing".into())),
            Err(error) => return Err(damaged(detail(&chain(&error)))),
        };
        if header.kind != kind {
            return Err(self.error(format!("object {id} is a {}, not a {kind}", header.kind)));
        }
        if header.size > limit {
            let size = header.size;
            return Err(self.error(format!(
                "{kind} {id} has {size} bytes, more than the limit of {limit}; make it smaller, or raise the limit of file sizes"
            )));
        }
        match reader.objects.try_find(&id, &mut reader.buffer) {
            Ok(Some(data)) => Ok(data.data),
            Ok(None) => Err(damaged("it is missing".into())),
            Err(error) => Err(damaged(detail(&chain(&error)))),
        }
    }

    fn folder(&self, reader: &mut Reader, id: ObjectId, path: &str) -> Result<Folder, TreeError> {
        if let Some(folder) = reader.folders.get(&id) {
            return Ok(Arc::clone(folder));
        }
        let data = self.object(reader, id, Kind::Tree, MAX_FOLDER)?;
        let mut entries = Vec::new();
        for entry in gix::objs::TreeRefIter::from_bytes(data, gix::hash::Kind::Sha1) {
            let entry = entry
                .map_err(|error| self.error(format!("folder {path:?} can't be decoded: {}", detail(&chain(&error)))))?;
            let name = entry.filename.to_str_lossy();
            if matches!(&*name, "" | "." | "..") || name.contains(['/', '\0']) {
                return Err(self.error(format!("folder {path:?} has an entry with the impossible name {name:?}")));
            }
            let kind = match entry.mode.kind() {
                GitKind::Tree => EntryKind::Folder,
                GitKind::Blob | GitKind::BlobExecutable => EntryKind::File,
                GitKind::Link => EntryKind::Link,
                GitKind::Commit => EntryKind::Submodule,
            };
            entries.push(Item { name: Arc::from(&*name), kind, id: entry.oid.to_owned() });
        }
        // Git sorts folders as if their name ended in a slash.
        entries.sort_by(|a: &Item, b| a.name.cmp(&b.name));
        if reader.seen.insert(id) {
            reader.entries = reader.entries.saturating_add(entries.len());
        }
        if reader.entries > self.limits.max_entries {
            let limit = self.limits.max_entries;
            return Err(self.error(format!(
                "more than {limit} files and folders were read; narrow the path, or raise the limit of entries"
            )));
        }
        if reader.cached.saturating_add(entries.len()) > MAX_CACHED {
            reader.folders.clear();
            reader.cached = 0;
        }
        reader.cached += entries.len();
        let folder = Arc::new(entries);
        reader.folders.insert(id, Arc::clone(&folder));
        Ok(folder)
    }

    fn find(&self, reader: &mut Reader, path: &str) -> Result<Option<(EntryKind, ObjectId)>, TreeError> {
        let (mut kind, mut id) = (EntryKind::Folder, self.root);
        if path.is_empty() {
            return Ok(Some((kind, id)));
        }
        if path.split('/').count() > self.limits.max_depth {
            let limit = self.limits.max_depth;
            return Err(self.error(format!("path {path:?} is deeper than {limit} folders; raise the limit of depth")));
        }
        for part in path.split('/') {
            if matches!(part, "" | "." | "..") {
                return Err(self.error(format!(
                    "path {path:?} must be relative to the repository, without empty, . and .. parts"
                )));
            }
            if kind != EntryKind::Folder {
                return Ok(None);
            }
            let folder = self.folder(reader, id, path)?;
            let found = folder.binary_search_by(|item| (*item.name).cmp(part));
            let Some(item) = found.ok().and_then(|index| folder.get(index)) else { return Ok(None) };
            (kind, id) = (item.kind, item.id);
        }
        Ok(Some((kind, id)))
    }

    fn id(&self, id: &str) -> Result<ObjectId, TreeError> {
        ObjectId::from_hex(id.as_bytes()).map_err(|_| self.error(format!("{id:?} is not an object id")))
    }
}

impl Tree for GitTree {
    fn lookup(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        let found = self.find(&mut self.reader(), path)?;
        Ok(found.map(|(kind, id)| Entry { kind, id: id.to_string().into() }))
    }

    fn list(&self, path: &str) -> Result<Vec<(Arc<str>, Entry)>, TreeError> {
        let mut reader = self.reader();
        match self.find(&mut reader, path)? {
            Some((EntryKind::Folder, id)) => {
                let folder = self.folder(&mut reader, id, path)?;
                Ok(folder.iter().map(|item| (Arc::clone(&item.name), item.entry())).collect())
            }
            Some(_) => Err(self.error(format!("{path:?} is not a folder"))),
            None => Err(self.error(format!("folder {path:?} does not exist"))),
        }
    }

    fn read(&self, id: &str) -> Result<Vec<u8>, TreeError> {
        let id = self.id(id)?;
        self.object(&mut self.reader(), id, Kind::Blob, self.limits.max_file).map(<[u8]>::to_vec)
    }
}
