//! The Git side against real repositories.

mod faults;
mod fetching;
mod history;
mod http;
mod local;
mod mirrors;
mod reading;
mod ssh;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use driftless::engine::ids::Revision;
use driftless::git::{Credentials, GitLimits, GitTree, Mirrors, RepositorySecret, SecretKind};
use driftless::render::Tree as _;
use tempfile::TempDir;

/// Never set.
static GO_ON: AtomicBool = AtomicBool::new(false);

/// Mirrors in a temporary folder.
struct Setup {
    folder: TempDir,
    mirrors: Mirrors,
}

impl Setup {
    fn new() -> Self {
        Self::with(GitLimits::default())
    }

    fn with(limits: GitLimits) -> Self {
        crate::support::init();
        let folder = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::new(folder.path().join("mirrors"), limits);
        Self { folder, mirrors }
    }

    fn open(&self, url: &str, revision: &Revision) -> Result<GitTree, String> {
        self.mirrors.open(url, None, revision, Some("refs/heads/main"), &GO_ON).map_err(|error| error.message)
    }

    /// Why the refs can't be listed.
    fn list_error(&self, url: &str, credentials: Option<&Credentials>) -> String {
        self.mirrors.list_refs(url, credentials, &GO_ON).unwrap_err().message
    }

    /// The generations of the only mirror.
    fn generations(&self) -> Vec<PathBuf> {
        let mirror = only(&self.folder.path().join("mirrors"));
        let mut found: Vec<_> = entries(&mirror).into_iter().filter(|path| path.join("objects").is_dir()).collect();
        found.retain(|path| !path.ends_with("damaged"));
        found.sort();
        found
    }

    /// The packs of the only mirror.
    fn packs(&self) -> Vec<PathBuf> {
        let packs = self.generations().into_iter().flat_map(|generation| entries(&generation.join("objects/pack")));
        packs.filter(|path| path.extension().is_some_and(|suffix| suffix == "pack")).collect()
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn only(folder: &Path) -> PathBuf {
    let found = entries(folder);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

/// The content of a file.
fn content(tree: &GitTree, path: &str) -> String {
    let entry = tree.lookup(path).unwrap().unwrap_or_else(|| panic!("{path} exists"));
    String::from_utf8(tree.read(&entry.id).unwrap()).unwrap()
}

/// Credentials as a repository Secret gives them.
fn credentials(url: &str, data: &[(&str, &str)]) -> Credentials {
    let url_too = [("url", url)];
    let data = data.iter().chain(&url_too).map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
    let secret = RepositorySecret::parse("repo", SecretKind::Repository, &data).unwrap();
    driftless::git::CredentialStore::new([secret]).find(url).unwrap().unwrap()
}

/// Limits with a short time limit.
fn hasty() -> GitLimits {
    GitLimits { timeout: Duration::from_millis(400), ..GitLimits::default() }
}
