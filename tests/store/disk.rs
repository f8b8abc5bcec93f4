//! A disk that loses power: what was synced stays; of what was not, each sector holds some earlier or later state.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use driftless::store::backend::{BackendError, StorageBackend};
use rand::Rng;
use rand::rngs::StdRng;

/// What a disk writes in one piece.
const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// As the running process sees it.
    live: Vec<u8>,
    /// As of the last sync.
    durable: Vec<u8>,
    /// Changes since the last sync, in order.
    unsynced: Vec<Change>,
    /// Changes and syncs so far.
    operations: u64,
    /// The operation from which on everything fails, and how.
    fails: Option<(u64, io::ErrorKind)>,
    /// Cleared when something fails: the power of the machine.
    power: Option<Arc<AtomicBool>>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Len(usize),
}

impl Disk {
    pub(crate) fn holding(image: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.state().live.clone_from(&image);
        disk.state().durable = image;
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// From the given operation on (counted from now), everything fails.
    pub(crate) fn fail_after(&self, operations: u64, kind: io::ErrorKind) {
        let mut state = self.state();
        state.fails = Some((state.operations + operations, kind));
    }

    /// What fails is not the disk alone: `power` is cleared with it.
    pub(crate) fn shares(&self, power: Arc<AtomicBool>) {
        self.state().power = Some(power);
    }

    /// What a process that opens the disk now, without a crash, would find.
    pub(crate) fn live(&self) -> Vec<u8> {
        self.state().live.clone()
    }

    /// What is on the disk after a loss of power.
    pub(crate) fn crash(&self, rng: &mut StdRng) -> Vec<u8> {
        let state = self.state();
        let mut lengths = vec![state.durable.len()];
        // For each sector, the states that it went through.
        let mut sectors: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        let mut now = state.durable.clone();
        for change in &state.unsynced {
            let before = now.len();
            change.apply(&mut now);
            if now.len() != before {
                lengths.push(now.len());
            }
            let touched = match change {
                Change::Write(offset, data) => *offset..offset + data.len(),
                Change::Len(len) => *len.min(&before)..*len.max(&before),
            };
            for sector in touched.start / SECTOR..touched.end.div_ceil(SECTOR) {
                let history = sectors.entry(sector).or_insert_with(|| vec![sector_of(&state.durable, sector)]);
                history.push(sector_of(&now, sector));
            }
        }
        // Some crashes lose nearly all, some nearly nothing, most something in between.
        let (newest, oldest) = (rng.random_range(0.0..=1.0), rng.random_range(0.0..=1.0));
        let mut image = state.durable.clone();
        image.resize(lengths[rng.random_range(0..lengths.len())], 0);
        for (sector, history) in sectors {
            let index = match () {
                () if rng.random_bool(newest) => history.len() - 1,
                () if rng.random_bool(oldest) => 0,
                () => rng.random_range(0..history.len()),
            };
            let start = sector * SECTOR;
            let end = (start + SECTOR).min(image.len());
            if start < end {
                image[start..end].copy_from_slice(&history[index][..end - start]);
            }
        }
        image
    }
}

fn sector_of(bytes: &[u8], sector: usize) -> Vec<u8> {
    let mut content = vec![0; SECTOR];
    let rest = bytes.get(sector * SECTOR..).unwrap_or_default();
    let length = rest.len().min(SECTOR);
    content[..length].copy_from_slice(&rest[..length]);
    content
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Len(len) => bytes.resize(*len, 0),
            Self::Write(offset, data) => {
                if bytes.len() < offset + data.len() {
                    bytes.resize(offset + data.len(), 0);
                }
                bytes[*offset..offset + data.len()].copy_from_slice(data);
            }
        }
    }
}

impl State {
    fn count(&mut self) -> io::Result<()> {
        self.operations += 1;
        self.check()
    }

    fn check(&self) -> io::Result<()> {
        match self.fails {
            Some((from, kind)) if self.operations > from => {
                if let Some(power) = &self.power {
                    power.store(false, Ordering::Relaxed);
                }
                Err(io::Error::from(kind))
            }
            _ => Ok(()),
        }
    }

    /// A change that fails may nevertheless reach the disk, if it is the first to fail.
    fn change(&mut self, change: Change) -> io::Result<()> {
        let dead = self.check().is_err();
        let result = self.count();
        if result.is_ok() {
            change.apply(&mut self.live);
        }
        if !dead {
            self.unsynced.push(change);
        }
        result
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.state().check()?;
        Ok(self.state().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        state.check()?;
        let offset = usize::try_from(offset).unwrap();
        let Some(bytes) = state.live.get(offset..offset + out.len()) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state().change(Change::Len(usize::try_from(len).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.count()?;
        state.durable = state.live.clone();
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state().change(Change::Write(usize::try_from(offset).unwrap(), data.to_vec()))
    }

    // One process at a time: every lock is granted.
    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(false)
    }
}
