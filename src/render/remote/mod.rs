//! Folders of other repositories, which kustomizations may build on where a setting allows their URL.
//!
//! A rendering reads no network: it asks for a commit that it doesn't have, whoever called it fetches that, and renders
//! again. Only full commit ids are followed. A tag or branch may be moved, and then the same commit of an application's
//! own repository would stand for other objects than those that were applied, without a commit that says so.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use self::url::{Place, host, split, user};
use super::Tree;
use crate::engine::ids::Revision;

#[cfg(test)]
mod tests;
mod url;

/// Most commits of other repositories that one rendering reads.
pub const MAX_REMOTES: usize = 32;
/// Most URLs that a setting allows.
const MAX_ALLOWED: usize = 256;
/// Stands between URL and commit in the path of a remote folder.
const REF: &str = "?ref=";

/// A commit of another repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remote {
    /// The repository, as a URL with `://`, for that tells its paths from those of the tree. Has no credentials in it.
    url: Arc<str>,
    /// The commit.
    pub revision: Revision,
}

impl Remote {
    /// Where it is cloned from.
    pub fn clone_url(&self) -> String {
        url::clone_url(&self.url)
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{REF}{}", self.url, self.revision)
    }
}

/// A commit that a rendering can't go on without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The commit.
    pub remote: Remote,
    /// The file and field that name it, each with a colon behind it.
    pub place: String,
}

/// The commits of other repositories that are at hand.
#[derive(Clone, Default)]
pub struct Remotes<'t>(BTreeMap<Remote, &'t dyn Tree>);

impl<'t> Remotes<'t> {
    /// Adds one.
    pub fn insert(&mut self, remote: Remote, tree: &'t dyn Tree) {
        self.0.insert(remote, tree);
    }

    /// The tree of one.
    pub fn get(&self, remote: &Remote) -> Option<&'t dyn Tree> {
        self.0.get(remote).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Remotes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The repositories that may be built on: URLs, of each of which everything below it is allowed. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteBases(Vec<String>);

impl RemoteBases {
    /// Name of the setting.
    pub const SETTING: &'static str = "kustomize-remote-bases";

    /// Whether none are allowed.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The URLs in their one spelling.
    pub fn urls(&self) -> &[String] {
        &self.0
    }

    /// Whether what `place` names is one of the URLs, or below one.
    fn allows(&self, place: &Place) -> bool {
        let name = place.name();
        self.0
            .iter()
            .any(|allowed| name.strip_prefix(allowed).is_some_and(|rest| matches!(rest.get(..1), None | Some("/"))))
    }
}

impl FromStr for RemoteBases {
    type Err = String;

    /// Reads URLs with commas between: `https://host/path`, `ssh://user@host/path`, `user@host:path` or `file:///path`,
    /// in each of which the path may be left out.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut urls = Vec::new();
        for url in text.split(',') {
            let url = url.trim();
            let place = host(url).and_then(|(start, path)| start.at(path.trim_end_matches('/')));
            urls.push(place.map_err(|error| format!("{url:?}: {error}"))?.name());
        }
        if urls.len() > MAX_ALLOWED {
            return Err(format!("more than {MAX_ALLOWED} URLs"));
        }
        Ok(Self(urls))
    }
}

/// A folder of another repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFolder {
    /// The commit.
    pub remote: Remote,
    /// The folder, relative to the repository's root.
    pub folder: String,
    /// The repository as kustomize spells it.
    pub clone_url: String,
}

impl RemoteFolder {
    /// Reads an entry of a kustomization: kustomize's own rules for what of a URL is the repository, and what the folder. An
    /// error says what is wrong and what to do; it shows no part of the URL, which may hold a password.
    pub fn parse(entry: &str, allowed: &RemoteBases) -> Result<Self, String> {
        if allowed.is_empty() {
            return Err(format!(
                "it is not in the repository, and remote bases are switched off; put a copy into the repository, or allow the \
                 URL with the setting {}",
                RemoteBases::SETTING
            ));
        }
        let (url, query) = entry.split_once('?').unwrap_or((entry, ""));
        let (start, path) = host(url)?;
        let (repository, folder) = split(&start, path)?;
        let folder = super::kustomize::load::resolve("", &format!("./{folder}")).map_err(|error| error.reason)?;
        let place = start.at(repository)?;
        if !allowed.allows(&place) {
            return Err(format!(
                "the repository {} is not one of those that the setting {} allows; add it there, or put a copy into the \
                 repository",
                place.name(),
                RemoteBases::SETTING
            ));
        }
        let Some(revision) = pinned(query) else {
            return Err(unpinned(&place, query, &folder));
        };
        Ok(Self { remote: Remote { url: place.url().into(), revision }, folder, clone_url: place.kustomize_url() })
    }

    /// The folder as a path: the commit's path, and the folder below it. No path of a tree has `://` in it.
    pub fn path(&self) -> String {
        super::walk::join(&self.remote.to_string(), &self.folder)
    }
}

/// The commit that a path of [`RemoteFolder::path`], or one below it, is in, with the path in its tree. `None`: it is in the
/// tree that is rendered.
pub fn split_path(path: &str) -> Option<(Remote, &str)> {
    let scheme = path.find("://")?;
    let at = scheme + path.get(scheme..)?.find(REF)?;
    let rest = path.get(at + REF.len()..)?;
    let (revision, folder) = rest.split_once('/').unwrap_or((rest, ""));
    Some((Remote { url: path.get(..at)?.into(), revision: Revision::parse(revision)? }, folder))
}

/// Whether kustomize would take an entry for a URL rather than for a path.
pub fn is_remote(entry: &str) -> bool {
    let lower = entry.to_ascii_lowercase();
    entry.contains("://")
        || ["git@", "git::", "github.com/", "github.com:", "gh:"].iter().any(|start| lower.starts_with(start))
        || entry.contains("?ref=")
        || user(entry).is_some_and(|(_, rest)| rest.split('/').next().is_some_and(|host| host.contains(':')))
}

/// The commit that a query names: by `ref`, or else by `version`.
fn pinned(query: &str) -> Option<Revision> {
    Revision::parse(reference(query)).filter(|revision| revision.as_str().len() == 40)
}

/// What a query calls the reference; empty if it names none.
fn reference(query: &str) -> &str {
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value("ref").filter(|text| !text.is_empty()).or_else(|| value("version")).unwrap_or_default()
}

fn unpinned(place: &Place, query: &str, folder: &str) -> String {
    let name = place.name();
    if query.is_empty() && [".yaml", ".yml", ".json"].iter().any(|end| folder.ends_with(end)) {
        return "it names a file, and files are not read from other servers; commit the file, or name a folder of a Git \
                repository with a kustomization, as https://host/repository//folder?ref=COMMIT"
            .into();
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+');
    let reference =
        Some(reference(query)).filter(|text| !text.is_empty() && text.chars().all(plain) && text.len() < 100);
    match reference {
        Some(reference) => format!(
            "`{reference}` can be moved to another commit; write the full commit id that it stands for (`git ls-remote {name} {reference}`) behind `ref=`"
        ),
        None => format!(
            "the URL doesn't say which commit; add `?ref=` and a full commit id, as `git ls-remote {name}` tells them"
        ),
    }
}
