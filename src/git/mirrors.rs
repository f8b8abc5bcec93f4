//! All repositories: listing their refs and opening their commits.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gix::ObjectId;

use super::credentials::Credentials;
use super::deepen;
use super::fault::Fault;
use super::http::Clients;
use super::limits::GitLimits;
use super::local;
use super::location::{self, Location};
use super::mirror::{Failure, Found, Generation, Mirror, disk};
use super::protocol::{Depth, Destination};
use super::remote::Remote;
use super::ssh::SshSettings;
use super::tree::GitTree;
use super::watch::Watch;
use crate::engine::event::SourceError;
use crate::engine::ids::{RepoKey, Revision};
use crate::engine::revision::{Ancestry, Refs, resolve};

/// The key of a repository: its URL without credentials, in one spelling. An error if the URL is not one that can be
/// read.
pub fn key(url: &str) -> Result<RepoKey, SourceError> {
    Ok(Location::parse(url).map_err(|fault| fault.of(&location::shown(url)))?.key())
}

/// The mirrors of all repositories, in one folder that nobody else writes to.
#[derive(Debug)]
pub struct Mirrors {
    root: PathBuf,
    limits: GitLimits,
    ssh: SshSettings,
    http: Clients,
    open: Mutex<HashMap<RepoKey, Arc<Mirror>>>,
}

impl Mirrors {
    /// Mirrors below `root`, which is created when the first one is needed.
    pub fn new(root: PathBuf, limits: GitLimits) -> Self {
        Self { root, limits, ssh: SshSettings::default(), http: Clients::default(), open: Mutex::default() }
    }

    /// Calls the `ssh` program with these settings.
    #[must_use]
    pub fn with_ssh(mut self, ssh: SshSettings) -> Self {
        self.ssh = ssh;
        self
    }

    /// Lists the branches, tags (peeled) and `HEAD` of a repository. Nothing is fetched: two requests over HTTP. Ends when
    /// `cancel` is set, and at the time limit.
    pub fn list_refs(
        &self,
        url: &str,
        credentials: Option<&Credentials>,
        cancel: &AtomicBool,
    ) -> Result<Refs, SourceError> {
        let watch = Watch::new(self.limits.timeout, cancel);
        self.at(url, credentials, |location, credentials| match location {
            Location::Local(path) => local::list(&self.local(path)?),
            _ => self.remote(location, credentials, watch).list(),
        })
    }

    /// Opens a commit for reading. If it is not at hand it is fetched: by its id, alone, and where the server refuses that,
    /// with the history of `hint_ref` (a full ref name or `HEAD`) or of all branches and tags. A commit that is at hand
    /// needs no server.
    pub fn open(
        &self,
        url: &str,
        credentials: Option<&Credentials>,
        revision: &Revision,
        hint_ref: Option<&str>,
        cancel: &AtomicBool,
    ) -> Result<GitTree, SourceError> {
        let watch = Watch::new(self.limits.timeout, cancel);
        self.at(url, credentials, |location, credentials| {
            let commit = parse(revision)?;
            if let Location::Local(path) = location {
                return local::open(&self.local(path)?, commit, revision, &self.limits);
            }
            let mirror = self.mirror(&location.key())?;
            let found = match mirror.find(commit)? {
                Some(found) => found,
                None => self.fetch(&mirror, &self.remote(location, credentials, watch), commit, hint_ref)?,
            };
            Ok(GitTree::new(&found.objects, Some(found.generation), (commit, found.root), revision, &self.limits))
        })
    }

    /// How the commit `new` stands to `old`. Where what is at hand does not tell, the server is asked for the commits before
    /// `new`, as far as [`GitLimits::history_depth`] goes; the mirror stays as it is.
    pub fn ancestry(
        &self,
        url: &str,
        credentials: Option<&Credentials>,
        (old, new): (&Revision, &Revision),
        hint_ref: Option<&str>,
        cancel: &AtomicBool,
    ) -> Result<Ancestry, SourceError> {
        let at_hand = self.open(url, credentials, new, hint_ref, cancel)?.ancestry(old)?;
        let watch = Watch::new(self.limits.timeout, cancel);
        self.at(url, credentials, |location, credentials| {
            if at_hand != Ancestry::Unknown || matches!(location, Location::Local(_)) {
                return Ok(at_hand);
            }
            let mirror = self.mirror(&location.key())?;
            let max_transfer = self.limits.max_transfer.min(deepen::MAX_RECEIVED);
            let remote = Remote { max_transfer, ..self.remote(location, credentials, watch) };
            deepen::ancestry(&mirror, &remote, (parse(old)?, parse(new)?), self.limits.history_depth)
        })
    }

    /// Forgets and removes the mirrors of all other repositories. One that is being read stays until a later call.
    pub fn retain(&self, wanted: &BTreeSet<RepoKey>) -> Result<(), SourceError> {
        // Held to the end: nobody begins to read what is removed.
        let mut open = self.lock();
        open.retain(|key, mirror| wanted.contains(key) || Arc::strong_count(mirror) > 1 || mirror.is_read());
        let folders: BTreeSet<String> = wanted.iter().chain(open.keys()).map(folder_name).collect();
        let Ok(entries) = fs::read_dir(&self.root) else { return Ok(()) };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let is_mirror = entry.path().join("repository").is_file();
            if is_mirror && name.to_str().is_none_or(|name| !folders.contains(name)) {
                fs::remove_dir_all(entry.path()).map_err(|error| disk(&entry.path(), &error).of("(all)"))?;
            }
        }
        Ok(())
    }

    /// Runs `work` on a URL, and makes its faults errors that name the repository.
    fn at<T>(
        &self,
        url: &str,
        credentials: Option<&Credentials>,
        work: impl FnOnce(&Location, &Credentials) -> Result<T, Fault>,
    ) -> Result<T, SourceError> {
        let shown = || location::shown(url);
        let location = Location::parse(url).map_err(|fault| fault.of(&shown()))?;
        let mut credentials = credentials.cloned().unwrap_or_default();
        // Credentials in the URL count where no Secret has any.
        if let Location::Http { user, password, .. } = &location
            && credentials.authorization().is_none()
        {
            credentials.username = user.as_ref().map(|user| user.expose().to_owned());
            credentials.password = password.clone();
        }
        work(&location, &credentials).map_err(|fault| fault.of(&shown()))
    }

    fn remote<'a>(&'a self, location: &'a Location, credentials: &'a Credentials, watch: Watch<'a>) -> Remote<'a> {
        Remote {
            location,
            credentials,
            ssh: &self.ssh,
            http: &self.http,
            max_transfer: self.limits.max_transfer,
            watch,
        }
    }

    /// A local repository that may be read: not one of the mirrors, whose credentials the reader may not have.
    fn local(&self, path: &std::path::Path) -> Result<PathBuf, Fault> {
        if !self.limits.local_repositories {
            return Err(Fault::Unsupported("repositories on the agent's disk are switched off by a setting".into()));
        }
        let path = path.canonicalize().map_err(|error| Fault::NotFound(error.to_string()))?;
        match self.root.canonicalize() {
            Ok(root) if path.starts_with(&root) => {
                Err(Fault::Unsupported("the agent's own mirrors are no repositories".into()))
            }
            _ => Ok(path),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RepoKey, Arc<Mirror>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mirror(&self, key: &RepoKey) -> Result<Arc<Mirror>, Fault> {
        let mut open = self.lock();
        if let Some(mirror) = open.get(key) {
            return Ok(Arc::clone(mirror));
        }
        if open.len() >= self.limits.max_mirrors {
            let limit = self.limits.max_mirrors;
            return Err(Fault::Limit(format!("{limit} repositories are mirrored already; raise the limit of mirrors")));
        }
        let mirror = Arc::new(Mirror::load(self.root.join(folder_name(key)), &key.0, self.limits.max_packs)?);
        open.insert(key.clone(), Arc::clone(&mirror));
        Ok(mirror)
    }

    /// Fetches a commit, one fetch of a repository at a time.
    fn fetch(
        &self,
        mirror: &Mirror,
        remote: &Remote<'_>,
        commit: ObjectId,
        hint_ref: Option<&str>,
    ) -> Result<Found, Fault> {
        let mut last_failure = mirror.lock(remote.watch)?;
        // Another caller may have fetched it meanwhile, or have failed to: then its result is ours, too.
        if let Some(found) = mirror.find(commit)? {
            return Ok(found);
        }
        if let Some(failure) = last_failure.as_ref().filter(|f| f.commit == commit && f.at >= remote.watch.started()) {
            return Err(failure.fault.clone());
        }
        let result = match fetch_once(mirror, remote, commit, hint_ref) {
            // The damaged mirror was set aside: once more, into an empty one.
            Err(Fault::Corrupt(_)) => fetch_once(mirror, remote, commit, hint_ref),
            result => result,
        };
        if let Err(fault) = &result
            && *fault != Fault::Cancelled
        {
            *last_failure = Some(Failure { at: std::time::Instant::now(), commit, fault: fault.clone() });
        }
        result
    }
}

/// Fetches a commit into the mirror. To be called by the holder of [`Mirror::lock`].
fn fetch_once(mirror: &Mirror, remote: &Remote<'_>, commit: ObjectId, hint_ref: Option<&str>) -> Result<Found, Fault> {
    let generation = mirror.destination()?;
    let fetched = generation
        .objects()
        .and_then(|objects| Ok((fetch_into(&generation, &objects, remote, commit, hint_ref)?, objects)));
    match fetched {
        Ok((root, objects)) => {
            mirror.adopt(&generation);
            Ok(Found { generation, objects, root })
        }
        Err(fault) => {
            if matches!(fault, Fault::Corrupt(_)) {
                mirror.set_aside(&generation)?;
            }
            mirror.abandon(&generation);
            Err(fault)
        }
    }
}

/// Fetches a commit into a generation; its root folder.
fn fetch_into(
    generation: &Generation,
    objects: &Arc<gix::odb::Store>,
    remote: &Remote<'_>,
    commit: ObjectId,
    hint_ref: Option<&str>,
) -> Result<ObjectId, Fault> {
    let into = Destination { folder: &generation.folder, objects };
    let absent = match remote.fetch(vec![commit], generation.haves(objects), Depth::Shallow, &into) {
        // What was sent is not there: an older file of the same name, which can't be read, was in its way.
        Ok(()) => Fault::Corrupt(format!("commit {commit} was received, but can't be found")),
        // The server does not hand out commits by their id.
        Err(fault) if fault.is_refusal() => {
            let refs = remote.list()?;
            let wants = tips(&refs, hint_ref);
            // A tip that was refused as such is refused again.
            if wants.is_empty() || wants == [commit] {
                return Err(fault);
            }
            remote.fetch(wants, generation.haves(objects), Depth::Full, &into)?;
            Fault::CommitMissing(commit.to_string())
        }
        Err(Fault::NotThere) => return Err(Fault::CommitMissing(commit.to_string())),
        Err(fault) => return Err(fault),
    };
    let root = generation.root_of(objects, commit)?.ok_or(absent)?;
    generation.record(commit)?;
    Ok(root)
}

/// The commits whose history is fetched to find another one: that of the hint if it names one, else all.
fn tips(refs: &Refs, hint_ref: Option<&str>) -> Vec<ObjectId> {
    let id = |revision: &Revision| ObjectId::from_hex(revision.as_str().as_bytes()).ok();
    if let Some(tip) = hint_ref.and_then(|name| resolve(refs, name).ok()).and_then(|found| id(&found.revision)) {
        return vec![tip];
    }
    let all: BTreeSet<ObjectId> = refs.refs.values().chain(&refs.head).filter_map(id).collect();
    all.into_iter().collect()
}

/// A commit id as gix has it.
pub(super) fn parse(revision: &Revision) -> Result<ObjectId, Fault> {
    ObjectId::from_hex(revision.as_str().as_bytes()).map_err(|_| Fault::Unsupported("SHA-256 commit ids".into()))
}

/// Name of a repository's folder.
fn folder_name(key: &RepoKey) -> String {
    blake3::hash(key.0.as_bytes()).to_hex().chars().take(32).collect()
}
