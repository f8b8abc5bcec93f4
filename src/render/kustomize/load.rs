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

/// Most symbolic links on the way to one file.
const MAX_LINKS: usize = 40;
/// Longest target of a symbolic link, in bytes.
const MAX_TARGET: u64 = 4096;

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
    /// Folders that were looked at, with their targets if they are links.
    links: BTreeMap<String, Option<String>>,
}

impl<'a, 't> Loader<'a, 't> {
    /// A loader that has read nothing yet.
    pub fn new(recorder: &'a mut Recorder<'t>, limits: &'a RenderLimits, options: &'a BuildOptions<'a>) -> Self {
        Self { recorder, limits, options, files: 0, bytes: 0, links: BTreeMap::new() }
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
                    let found = self.lookup(&file)?;
                    let content = found.map_or(Ok(None), |found| self.read(&file, &found))?;
                    let other = || {
                        let reason = format!(
                            "`{file}` is a symbolic link, which is not followed in a chart; put the file there"
                        );
                        KustomizeError::new(reason)
                    };
                    files.insert(join(to, &below), content.ok_or_else(other)?);
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
        let (file, content) = self.located(root, path)?;
        content.ok_or_else(|| KustomizeError::new(format!("there is no file `{file}`; correct the path or add it")))
    }

    /// The same as text.
    pub fn text(&mut self, root: &str, path: &str) -> Result<String, KustomizeError> {
        utf8(self.load(root, path)?).map_err(|error| error.in_file(&resolve(root, path).unwrap_or_default()))
    }

    /// The same, if there is such a file.
    pub fn text_if_there(&mut self, root: &str, path: &str) -> Result<Option<String>, KustomizeError> {
        let (file, content) = self.located(root, path)?;
        content.map(|bytes| utf8(bytes).map_err(|error| error.in_file(&file))).transpose()
    }

    /// Path from the repository's root and content of a file that the kustomization in `root` may read. Symbolic links are
    /// followed within the repository; what counts is where they lead to. No content if nothing is there.
    fn located(&mut self, root: &str, path: &str) -> Result<(String, Option<Vec<u8>>), KustomizeError> {
        if is_remote(path) {
            return Err(KustomizeError::new(format!(
                "`{path}` is not in the repository, and remote files are not read; commit the file and name its path"
            )));
        }
        let mut file = resolve(root, path)?;
        for _ in 0..=MAX_LINKS {
            if !remote::split_path(&file).is_some_and(|(_, inner)| inner.is_empty()) {
                let (folder, name) = file.rsplit_once('/').unwrap_or(("", &file));
                file = join(&self.real_folder(folder)?, name);
            }
            let found = self.lookup(&file)?;
            if let Some(link) = found.as_ref().filter(|(entry, _)| entry.kind == EntryKind::Link) {
                file = self.target(&file, link)?;
                continue;
            }
            self.permit(root, &file)?;
            let content = found.map_or(Ok(None), |found| self.read(&file, &found))?;
            return Ok((file, content));
        }
        Err(too_many_links(path))
    }

    /// Fails if the kustomization in `root` may not read `file`.
    fn permit(&self, root: &str, file: &str) -> Result<(), KustomizeError> {
        let below = root.is_empty() || file.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        // As in kustomize, no option lets the files of another repository read more than theirs.
        let restricted =
            self.options.load_restriction == LoadRestriction::RootOnly || remote::split_path(root).is_some();
        if restricted && !below {
            return Err(KustomizeError::new(format!(
                "`{file}` is not in or below the kustomization's folder `{root}`; move it there, or make a base of the folder that it is in"
            )));
        }
        Ok(())
    }

    /// The folder that `folder` is once symbolic links on the way to it, and itself, are followed. It may be missing.
    pub fn real_folder(&mut self, folder: &str) -> Result<String, KustomizeError> {
        let (repository, inner) =
            remote::split_path(folder).map_or((String::new(), folder), |(remote, inner)| (remote.to_string(), inner));
        let parts = |path: &str| -> Vec<String> {
            path.rsplit('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let mut real = repository.clone();
        let mut followed = 0;
        let mut ahead = parts(inner);
        while let Some(part) = ahead.pop() {
            let at = join(&real, &part);
            if !self.links.contains_key(&at) {
                let target = self.link(&at)?.map(|link| self.target(&at, &link)).transpose()?;
                self.links.insert(at.clone(), target);
            }
            match self.links.get(&at).cloned().flatten() {
                None => real = at,
                Some(_) if followed == MAX_LINKS => return Err(too_many_links(folder)),
                Some(target) => {
                    followed += 1;
                    ahead.extend(parts(target.strip_prefix(&repository).unwrap_or(&target)));
                    real.clone_from(&repository);
                }
            }
        }
        Ok(real)
    }

    /// The symbolic link at `path`, if there is one.
    fn link(&mut self, path: &str) -> Result<Option<InTree<'a>>, KustomizeError> {
        if remote::split_path(path).is_none() {
            return Ok(self.recorder.link(path)?.map(|entry| (entry, None)));
        }
        Ok(self.lookup(path)?.filter(|(entry, _)| entry.kind == EntryKind::Link))
    }

    /// The path that the symbolic link at `path` leads to, in the same repository.
    fn target(&self, path: &str, link: &InTree<'a>) -> Result<String, KustomizeError> {
        let (Entry { id, .. }, remote) = link;
        let size = remote.map_or_else(|| self.recorder.size(id), |tree| tree.size(id))?;
        let bytes = match remote {
            _ if size > MAX_TARGET => Vec::new(),
            None => self.recorder.read(id)?,
            Some(tree) => tree.read(id)?,
        };
        let target = String::from_utf8(bytes).unwrap_or_default();
        let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
        resolve(folder, &target).map_err(|_| {
            KustomizeError::new(format!(
                "`{path}` is a symbolic link to nothing in the repository; make it lead to a relative path inside of it"
            ))
        })
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

    /// The content of what is at `file`. `None` if that is a folder.
    fn read(&mut self, file: &str, found: &InTree<'a>) -> Result<Option<Vec<u8>>, KustomizeError> {
        let (Entry { kind, id }, remote) = found;
        match kind {
            EntryKind::File => {}
            EntryKind::Folder | EntryKind::Link => return Ok(None),
            EntryKind::Submodule => {
                let reason = format!("`{file}` is a Git submodule, which isn't read; put the files themselves there");
                return Err(KustomizeError::new(reason));
            }
        }
        let size = remote.map_or_else(|| self.recorder.size(id), |tree| tree.size(id))?;
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
        Ok(Some(remote.map_or_else(|| self.recorder.read(id), |tree| tree.read(id))?))
    }

    /// Whether there is a folder at `path`.
    pub fn folder_exists(&mut self, path: &str) -> Result<bool, KustomizeError> {
        let path = self.real_folder(path)?;
        // To look a folder up makes everything in it count as read, so it is not if its kustomization tells.
        if self.kustomization(&path)?.is_some() {
            return Ok(true);
        }
        Ok(self.lookup(&path)?.is_some_and(|(entry, _)| entry.kind == EntryKind::Folder))
    }

    /// Name and content of the kustomization file in `folder`, which is no link. `None` if there is none.
    pub fn kustomization(&mut self, folder: &str) -> Result<Option<(&'static str, String)>, KustomizeError> {
        let mut found = None;
        for name in KUSTOMIZATIONS {
            let (path, content) = self.located(folder, name)?;
            let Some(content) = content else { continue };
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

fn too_many_links(path: &str) -> KustomizeError {
    let reason =
        format!("there are more than {MAX_LINKS} symbolic links on the way to `{path}`, or they go in a circle");
    KustomizeError::new(reason)
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
