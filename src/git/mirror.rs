//! The bare mirror of one repository.
//!
//! gix can't collect garbage, so a mirror is a row of *generations*, each a bare repository of its own: `g1`, `g2`, …. A
//! fetch adds one pack to the newest. When that has [`GitLimits::max_packs`](super::GitLimits) packs, the next fetch goes into
//! an empty one, shallow, which then takes its place; the one before stays for reading until the next change, so that a commit
//! that vanished from the server can be opened for a good while longer, and is removed when its last reader is done. At most
//! two generations are on disk (and one set aside as `damaged`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::Instant;

use gix::ObjectId;
use gix::objs::{Find, FindHeader, Kind};

use super::fault::Fault;
use super::protocol::MAX_ALLOCATION;
use super::remote::chain;
use super::watch::{POLL, Watch};
use crate::engine::revision::Ancestry;

/// Packs that a store can hold beyond the setting: a fetch in full history adds one, too.
const SPARE_SLOTS: usize = 64;

/// One bare repository.
pub(super) struct Generation {
    pub(super) folder: PathBuf,
    /// Open while somebody reads: what is open keeps its packs mapped into memory.
    objects: Mutex<Weak<gix::odb::Store>>,
    slots: u16,
    /// Counts the generations of the mirror that are in use, those that lost their place included.
    _alive: Arc<()>,
    /// Something in it can't be read.
    damaged: AtomicBool,
    /// Its place was taken: remove it with the last reader.
    retired: AtomicBool,
}

impl Generation {
    /// Opens the repository in `folder`, creating it if need be, and removes what an interrupted fetch left behind.
    fn open(folder: PathBuf, max_packs: usize, alive: &Arc<()>) -> Result<Arc<Self>, Fault> {
        let packs = folder.join("objects").join("pack");
        let prepare = || -> std::io::Result<()> {
            fs::create_dir_all(&packs)?;
            fs::create_dir_all(folder.join("refs").join("commits"))?;
            let head = folder.join("HEAD");
            if !head.exists() {
                fs::write(head, "ref: refs/heads/main\n")?;
            }
            sweep(&folder, |name| name.ends_with(".lock"))?;
            sweep(&packs, |name| !name.starts_with("pack-") || name.ends_with(".keep") || name.ends_with(".lock"))
        };
        prepare().map_err(|error| disk(&folder, &error))?;
        let slots = u16::try_from((max_packs + SPARE_SLOTS).min(8192)).unwrap_or(8192);
        let (damaged, retired) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Arc::new(Self { folder, objects: Mutex::default(), slots, _alive: Arc::clone(alive), damaged, retired }))
    }

    /// The objects, shared with whoever reads them already.
    pub(super) fn objects(&self) -> Result<Arc<gix::odb::Store>, Fault> {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = objects.upgrade() {
            return Ok(open);
        }
        let options = gix::odb::store::init::Options {
            slots: gix::odb::store::init::Slots::Given(self.slots),
            use_multi_pack_index: false,
            alloc_limit_bytes: Some(MAX_ALLOCATION),
            current_dir: Some(self.folder.clone()),
            ..Default::default()
        };
        let (folder, hash) = (self.folder.join("objects"), gix::hash::Kind::Sha1);
        let opened = gix::odb::Store::at_opts(folder, hash, &mut std::iter::empty(), options)
            .map_err(|error| Fault::Corrupt(super::fault::detail(&error.to_string())))?;
        let opened = Arc::new(opened);
        *objects = Arc::downgrade(&opened);
        Ok(opened)
    }

    /// The root folder of a commit, if the commit is here. An error if it is, but can't be read.
    pub(super) fn root_of(&self, objects: &Arc<gix::odb::Store>, commit: ObjectId) -> Result<Option<ObjectId>, Fault> {
        root_of(objects, commit).inspect_err(|fault| {
            if matches!(fault, Fault::Corrupt(_)) {
                self.mark_damaged();
            }
        })
    }

    /// Notes that something in here can't be read.
    pub(super) fn mark_damaged(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }

    fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// How many packs there are.
    pub(super) fn packs(&self) -> usize {
        let Ok(entries) = fs::read_dir(self.folder.join("objects").join("pack")) else { return 0 };
        entries.flatten().filter(|entry| entry.path().extension().is_some_and(|suffix| suffix == "pack")).count()
    }

    /// The commits that were fetched into it and are readable: what need not be sent again.
    pub(super) fn haves(&self, objects: &Arc<gix::odb::Store>) -> Vec<ObjectId> {
        let Ok(entries) = fs::read_dir(self.folder.join("refs").join("commits")) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let ids = names.filter_map(|name| ObjectId::from_hex(name.as_bytes()).ok());
        ids.filter(|id| matches!(self.root_of(objects, *id), Ok(Some(_)))).collect()
    }

    /// Records a fetched commit: a ref, so that other Git programs see it, too.
    pub(super) fn record(&self, commit: ObjectId) -> Result<(), Fault> {
        let path = self.folder.join("refs").join("commits").join(commit.to_string());
        fs::write(&path, format!("{commit}\n")).map_err(|error| disk(&path, &error))
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if self.retired.load(Ordering::Relaxed) {
            let _removed_at_the_next_start_otherwise = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The root folder of a commit; `None` if the commit is not in the store.
pub(super) fn root_of(objects: &Arc<gix::odb::Store>, commit: ObjectId) -> Result<Option<ObjectId>, Fault> {
    let handle = objects.to_cache_arc();
    let corrupt = |error: gix::Error| Fault::Corrupt(super::fault::detail(&chain(&error)));
    let mut buffer = Vec::new();
    let Some(data) = handle.try_find(&commit, &mut buffer).map_err(corrupt)? else { return Ok(None) };
    if data.kind != Kind::Commit {
        return Err(Fault::NotACommit(commit.to_string()));
    }
    let root = gix::objs::CommitRefIter::from_bytes(data.data, gix::hash::Kind::Sha1).tree_id().map_err(corrupt)?;
    match handle.try_header(&root).map_err(corrupt)? {
        Some(header) if header.kind == Kind::Tree => Ok(Some(root)),
        _ => Err(Fault::Corrupt(format!("commit {commit} has no folder"))),
    }
}

/// A commit that is at hand.
pub(super) struct Found {
    pub(super) generation: Arc<Generation>,
    pub(super) objects: Arc<gix::odb::Store>,
    pub(super) root: ObjectId,
}

/// The generations of one repository, and the lock that lets one fetch at a time write.
#[derive(Debug)]
pub(super) struct Mirror {
    folder: PathBuf,
    max_packs: usize,
    alive: Arc<()>,
    state: Mutex<State>,
    /// Held during a fetch; holds the last one that failed, so that those who waited for it share its result.
    fetching: Mutex<Option<Failure>>,
    /// Held while a server is asked about the history; holds what it has told last, for the applications of a repository
    /// ask the same. Not the lock of fetches: a newer commit does not wait for a question about older ones.
    told: Mutex<Option<Told>>,
}

/// Two commits, and how the server said that the second stands to the first.
pub(super) type Told = ((ObjectId, ObjectId), Ancestry);

/// Takes the lock as soon as it is free, unless the operation has to end before.
fn wait_for<'a, T>(place: &'a Mutex<T>, watch: Watch<'_>) -> Result<MutexGuard<'a, T>, Fault> {
    loop {
        match place.try_lock() {
            Ok(guard) => return Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                watch.check()?;
                std::thread::sleep(POLL.min(watch.remaining()) / 5);
            }
        }
    }
}

/// A fetch that failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) at: Instant,
    pub(super) commit: ObjectId,
    pub(super) fault: Fault,
}

#[derive(Debug)]
struct State {
    /// Newest first, at most two.
    generations: Vec<Arc<Generation>>,
    /// Number of the next one.
    next: u64,
}

impl Mirror {
    /// Loads the mirror in `folder`; what is not one of the two newest generations is removed.
    pub(super) fn load(folder: PathBuf, repository: &str, max_packs: usize) -> Result<Self, Fault> {
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("repository"), format!("{repository}\n")))
            .map_err(|error| disk(&folder, &error))?;
        let mut numbers: Vec<u64> = fs::read_dir(&folder)
            .map_err(|error| disk(&folder, &error))?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_prefix('g')?.parse().ok())
            .collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        let (mut generations, alive) = (Vec::new(), Arc::new(()));
        for number in &numbers {
            let place = folder.join(format!("g{number}"));
            if generations.len() < 2 {
                generations.push(Generation::open(place, max_packs, &alive)?);
            } else {
                fs::remove_dir_all(&place).map_err(|error| disk(&place, &error))?;
            }
        }
        let next = numbers.first().map_or(1, |newest| newest.saturating_add(1));
        let state = Mutex::new(State { generations, next });
        Ok(Self { folder, max_packs, alive, state, fetching: Mutex::new(None), told: Mutex::new(None) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the place of the one who fetches.
    pub(super) fn lock(&self, watch: Watch<'_>) -> Result<MutexGuard<'_, Option<Failure>>, Fault> {
        wait_for(&self.fetching, watch)
    }

    /// Waits for the place of the one who asks about the history, and for what was told last.
    pub(super) fn told(&self, watch: Watch<'_>) -> Result<MutexGuard<'_, Option<Told>>, Fault> {
        wait_for(&self.told, watch)
    }

    /// An empty folder for what does not belong into the mirror. To be called, and the folder to be used, by the holder of
    /// [`Self::told`].
    pub(super) fn scratch(&self) -> Result<PathBuf, Fault> {
        let place = self.folder.join("scratch");
        if place.exists() {
            fs::remove_dir_all(&place).map_err(|error| disk(&place, &error))?;
        }
        fs::create_dir_all(place.join("objects").join("pack")).map_err(|error| disk(&place, &error))?;
        Ok(place)
    }

    /// The commit, if it is at hand. Damaged generations are set aside.
    pub(super) fn find(&self, commit: ObjectId) -> Result<Option<Found>, Fault> {
        let generations = self.state().generations.clone();
        for generation in generations {
            let look = || -> Result<_, Fault> {
                let objects = generation.objects()?;
                Ok(generation.root_of(&objects, commit)?.map(|root| (objects, root)))
            };
            match if generation.is_damaged() { Err(Fault::Corrupt(String::new())) } else { look() } {
                Ok(Some((objects, root))) => return Ok(Some(Found { generation, objects, root })),
                Ok(None) => {}
                Err(Fault::Corrupt(_)) => self.set_aside(&generation)?,
                Err(fault) => return Err(fault),
            }
        }
        Ok(None)
    }

    /// Moves a damaged generation out of the way. One is kept for whoever wants to know why.
    pub(super) fn set_aside(&self, generation: &Arc<Generation>) -> Result<(), Fault> {
        let mut state = self.state();
        let before = state.generations.len();
        state.generations.retain(|kept| !Arc::ptr_eq(kept, generation));
        if state.generations.len() == before {
            return Ok(());
        }
        let aside = self.folder.join("damaged");
        tracing::warn!(mirror = %generation.folder.display(), kept_as = %aside.display(), "a mirror is damaged and fetched anew");
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(|error| disk(&aside, &error))?;
        }
        fs::rename(&generation.folder, &aside).map_err(|error| disk(&aside, &error))
    }

    /// Where the next fetch goes: the newest generation, or an empty one if there is none or it is full. To be called by the
    /// holder of [`Self::lock`].
    pub(super) fn destination(&self) -> Result<Arc<Generation>, Fault> {
        let mut state = self.state();
        if let Some(newest) = state.generations.first()
            && newest.packs() < self.max_packs
        {
            return Ok(Arc::clone(newest));
        }
        let place = self.folder.join(format!("g{}", state.next));
        state.next += 1;
        if place.exists() {
            fs::remove_dir_all(&place).map_err(|error| disk(&place, &error))?;
        }
        Generation::open(place, self.max_packs, &self.alive)
    }

    /// Puts a generation that was filled first, if it isn't yet, and retires what is too old.
    pub(super) fn adopt(&self, generation: &Arc<Generation>) {
        let mut state = self.state();
        if !state.generations.iter().any(|known| Arc::ptr_eq(known, generation)) {
            state.generations.insert(0, Arc::clone(generation));
        }
        while state.generations.len() > 2
            && let Some(old) = state.generations.pop()
        {
            old.retired.store(true, Ordering::Relaxed);
        }
    }

    /// Gives up a generation that stayed empty because its fetch failed.
    pub(super) fn abandon(&self, generation: &Arc<Generation>) {
        if !self.state().generations.iter().any(|known| Arc::ptr_eq(known, generation)) {
            generation.retired.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a commit of it is open.
    pub(super) fn is_read(&self) -> bool {
        let state = self.state();
        let shared = state.generations.iter().any(|generation| Arc::strong_count(generation) > 1);
        shared || Arc::strong_count(&self.alive) > 1 + state.generations.len()
    }
}

/// Removes the files of a folder whose name `is_stale`.
fn sweep(folder: &Path, is_stale: impl Fn(&str) -> bool) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name().to_str().is_none_or(&is_stale) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

pub(super) fn disk(path: &Path, error: &std::io::Error) -> Fault {
    Fault::Disk(format!("{}: {error}; check the disk", path.display()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_fetch_does_not_wait_for_a_question_about_the_history() {
        let folder = tempfile::tempdir().unwrap();
        let mirror = Mirror::load(folder.path().join("m"), "https://git.example.com/r", 8).unwrap();
        let cancel = AtomicBool::new(false);
        let _asking = mirror.told(Watch::new(Duration::from_secs(1), &cancel)).unwrap();
        assert!(mirror.lock(Watch::new(Duration::ZERO, &cancel)).is_ok());
        assert!(mirror.told(Watch::new(Duration::ZERO, &cancel)).is_err(), "one question at a time");
    }
}
