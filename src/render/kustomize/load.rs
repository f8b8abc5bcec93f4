//! The files of a build, read through a recorder: which of them a kustomization may read, and how much.

use std::collections::BTreeMap;

use super::BuildOptions;
use super::error::{ErrorKind, KustomizeError};
use crate::render::helm::Helm;
use crate::render::limits::RenderLimits;
use crate::render::recorder::Recorder;
use crate::render::remote::{self, MAX_REMOTES, Remote, RemoteFolder, is_remote};
use crate::render::walk::{KUSTOMIZATIONS, join};
use crate::render::{Entry, EntryKind, Tree};

/// Which files a kustomization may read. Folders of other kustomizations may be anywhere in the repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadRestriction {
    /// Those in its folder and below.
    #[default]
    RootOnly,
    /// All in the repository.
    None,
}

/// An entry, and the tree of the other repository that it is in, if it is in one.
type InTree<'t> = (Entry, Option<&'t dyn Tree>);

/// Reads the files of one build. Paths of [`RemoteFolder::path`] are in other repositories; what is read there is not
/// recorded, for the commit stands in a file that is.
pub struct Loader<'a, 't> {
    recorder: &'a mut Recorder<'t>,
    limits: &'a RenderLimits,
    options: &'a BuildOptions<'a>,
    files: usize,
    bytes: u64,
}

impl<'a, 't> Loader<'a, 't> {
    /// A loader that has read nothing yet.
    pub fn new(recorder: &'a mut Recorder<'t>, limits: &'a RenderLimits, options: &'a BuildOptions<'a>) -> Self {
        Self { recorder, limits, options, files: 0, bytes: 0 }
    }

    /// The bounds of the build.
    pub const fn limits(&self) -> &RenderLimits {
        self.limits
    }

    /// Whether Helm charts may be rendered.
    pub const fn helm(&self) -> &'a Helm {
        &self.options.helm
    }

    /// Adds all files below the folder `path` to `files`, with paths below `to`. `false` if there is no such folder.
    pub fn folder_files(
        &mut self,
        path: &str,
        to: &str,
        files: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<bool, KustomizeError> {
        let Some((Entry { kind: EntryKind::Folder, .. }, remote)) = self.lookup(path)? else { return Ok(false) };
        let mut open = vec![String::new()];
        while let Some(below) = open.pop() {
            let folder = join(path, &below);
            let entries = match (remote, remote::split_path(&folder)) {
                (Some(tree), Some((_, folder))) => tree.list(folder)?,
                _ => self.recorder.list(&folder)?,
            };
            for (name, entry) in entries {
                let below = join(&below, &name);
                if entry.kind != EntryKind::Folder {
                    let file = join(path, &below);
                    let missing = || KustomizeError::new(format!("there is no file `{file}` any more"));
                    files.insert(join(to, &below), self.read(&file)?.ok_or_else(missing)?);
                } else if below.matches('/').count() < self.limits.max_folder_depth {
                    open.push(below);
                } else {
                    let what = format!("`{}` is too deep", join(path, &below));
                    return Err(KustomizeError::limit(what, RenderLimits::MAX_FOLDER_DEPTH));
                }
            }
        }
        Ok(true)
    }

    /// The content of the file that the kustomization in the folder `root` calls `path`.
    pub fn load(&mut self, root: &str, path: &str) -> Result<Vec<u8>, KustomizeError> {
        let file = self.permitted(root, path)?;
        self.read(&file)?
            .ok_or_else(|| KustomizeError::new(format!("there is no file `{file}`; correct the path or add it")))
    }

    /// The same as text.
    pub fn text(&mut self, root: &str, path: &str) -> Result<String, KustomizeError> {
        utf8(self.load(root, path)?).map_err(|error| error.in_file(&resolve(root, path).unwrap_or_default()))
    }

    /// The same, if there is such a file.
    pub fn text_if_there(&mut self, root: &str, path: &str) -> Result<Option<String>, KustomizeError> {
        let file = self.permitted(root, path)?;
        let content = self.read(&file)?;
        content.map(|bytes| utf8(bytes).map_err(|error| error.in_file(&file))).transpose()
    }

    /// Path from the repository's root of a file that the kustomization in `root` may read.
    fn permitted(&self, root: &str, path: &str) -> Result<String, KustomizeError> {
        if is_remote(path) {
            return Err(KustomizeError::new(format!(
                "`{path}` is not in the repository, and remote files are not read; commit the file and name its path"
            )));
        }
        let file = resolve(root, path)?;
        let below = root.is_empty() || file.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        // As in kustomize, no option lets the files of another repository read more than theirs.
        let restricted =
            self.options.load_restriction == LoadRestriction::RootOnly || remote::split_path(root).is_some();
        if restricted && !below {
            return Err(KustomizeError::new(format!(
                "`{file}` is not in or below the kustomization's folder `{root}`; move it there, or make a base of the folder that it is in"
            )));
        }
        Ok(file)
    }

    /// The folder of another repository that an entry of a kustomization names, as a path. An error that asks for its
    /// commit, if that is not at hand.
    pub fn remote_folder(&self, entry: &str) -> Result<RemoteFolder, KustomizeError> {
        let found = RemoteFolder::parse(entry, &self.options.remote_bases);
        let found = found.map_err(|error| KustomizeError::new(format!("this is a URL: {error}")))?;
        self.remote_tree(&found.remote)?;
        Ok(found)
    }

    fn remote_tree(&self, remote: &Remote) -> Result<&'a dyn Tree, KustomizeError> {
        if let Some(tree) = self.options.remotes.get(remote) {
            return Ok(tree);
        }
        if self.options.remotes.len() >= MAX_REMOTES {
            let reason = format!(
                "the build reads more than {MAX_REMOTES} commits of other repositories; put copies of some into the repository"
            );
            return Err(KustomizeError::new(reason));
        }
        let reason = format!("{remote} is not at hand; it is fetched");
        Err(KustomizeError { kind: ErrorKind::Remote(Box::new(remote.clone())), ..KustomizeError::new(reason) })
    }

    /// What is at `path`.
    fn lookup(&mut self, path: &str) -> Result<Option<InTree<'a>>, KustomizeError> {
        match remote::split_path(path) {
            None => Ok(self.recorder.lookup(path)?.map(|entry| (entry, None))),
            Some((remote, path)) => {
                let tree = self.remote_tree(&remote)?;
                Ok(tree.lookup(path)?.map(|entry| (entry, Some(tree))))
            }
        }
    }

    /// The content of a file. `None` if nothing is there.
    fn read(&mut self, file: &str) -> Result<Option<Vec<u8>>, KustomizeError> {
        let Some((Entry { kind, id }, remote)) = self.lookup(file)? else { return Ok(None) };
        let other = match kind {
            EntryKind::File => None,
            EntryKind::Folder => return Ok(None),
            EntryKind::Link => Some("a symbolic link, which is never followed; put the file itself there"),
            EntryKind::Submodule => Some("a Git submodule, which isn't read; put the files themselves there"),
        };
        if let Some(other) = other {
            return Err(KustomizeError::new(format!("`{file}` is {other}")));
        }
        let size = remote.map_or_else(|| self.recorder.size(&id), |tree| tree.size(&id))?;
        if size > self.limits.max_file_size {
            let what = format!("`{file}` has {size} bytes, more than {}", self.limits.max_file_size);
            return Err(KustomizeError::limit(what, RenderLimits::MAX_FILE_SIZE));
        }
        self.files += 1;
        self.bytes = self.bytes.saturating_add(size);
        if self.files > self.limits.max_files {
            let what = format!("the build reads more than {} files", self.limits.max_files);
            return Err(KustomizeError::limit(what, RenderLimits::MAX_FILES));
        }
        if self.bytes > self.limits.max_total_size {
            let what = format!("the build reads more than {} bytes", self.limits.max_total_size);
            return Err(KustomizeError::limit(what, RenderLimits::MAX_TOTAL_SIZE));
        }
        Ok(Some(remote.map_or_else(|| self.recorder.read(&id), |tree| tree.read(&id))?))
    }

    /// Whether there is a folder at `path`.
    pub fn folder_exists(&mut self, path: &str) -> Result<bool, KustomizeError> {
        // To look a folder up makes everything in it count as read, so it is not if its kustomization tells.
        if self.kustomization(path)?.is_some() {
            return Ok(true);
        }
        Ok(self.lookup(path)?.is_some_and(|(entry, _)| entry.kind == EntryKind::Folder))
    }

    /// Name and content of the kustomization file in `folder`. `None` if there is none.
    pub fn kustomization(&mut self, folder: &str) -> Result<Option<(&'static str, String)>, KustomizeError> {
        let mut found = None;
        for name in KUSTOMIZATIONS {
            let path = join(folder, name);
            let Some(content) = self.read(&path)? else { continue };
            if let Some((other, _)) = &found {
                return Err(KustomizeError::new(format!(
                    "there are two kustomization files in one folder, `{other}` and `{name}`; remove one of them"
                ))
                .in_file(&path));
            }
            found = Some((name, utf8(content).map_err(|error| error.in_file(&path))?));
        }
        Ok(found)
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, KustomizeError> {
    String::from_utf8(bytes).map_err(|_| KustomizeError::new("the file is no UTF-8 text"))
}

/// The path from the repository's root of what `path` means in the folder `root`. It stays in the repository of that.
pub(in crate::render) fn resolve(root: &str, path: &str) -> Result<String, KustomizeError> {
    if path.is_empty() {
        return Err(KustomizeError::new("a path is empty; name a file or a folder, or remove the entry"));
    }
    if path.starts_with('/') {
        return Err(KustomizeError::new(format!(
            "`{path}` is absolute; write it relative to the kustomization's folder"
        )));
    }
    if path.contains('\0') {
        return Err(KustomizeError::new("a path has a NUL character in it; remove it"));
    }
    let (remote, root) = remote::split_path(root).map_or((None, root), |(remote, root)| (Some(remote), root));
    let mut parts: Vec<&str> = root.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => {
                return Err(KustomizeError::new(format!("`{path}` leaves the repository; keep what it needs inside")));
            }
            ".." => {}
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    Ok(remote.map_or_else(|| path.clone(), |remote| join(&remote.to_string(), &path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMOTE: &str = "https://h/o/r?ref=0123456789012345678901234567890123456789/a";

    #[test]
    fn paths_stay_in_the_repository() {
        let cases = [
            ("a/b", "c.yaml", Some("a/b/c.yaml")),
            ("a/b", "../c//./d", Some("a/c/d")),
            ("a/b", "../..", Some("")),
            ("a/b", "../../..", None),
            ("a", "x/../../../y", None),
            ("a", "/etc/passwd", None),
            ("a", "", None),
            ("a", "x\0y", None),
            (REMOTE, "b/../c", Some("https://h/o/r?ref=0123456789012345678901234567890123456789/a/c")),
            (REMOTE, "../", Some("https://h/o/r?ref=0123456789012345678901234567890123456789")),
            (REMOTE, "../../x", None),
        ];
        for (root, path, expected) in cases {
            assert_eq!(resolve(root, path).ok().as_deref(), expected, "{root} {path}");
        }
    }
}
