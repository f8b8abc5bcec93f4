//! The files of a build, read through a recorder: which of them a kustomization may read, and how much.

use std::collections::BTreeMap;

use super::error::KustomizeError;
use crate::render::limits::RenderLimits;
use crate::render::recorder::Recorder;
use crate::render::walk::{KUSTOMIZATIONS, join};
use crate::render::{Entry, EntryKind};

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

/// Reads the files of one build.
pub struct Loader<'a, 't> {
    recorder: &'a mut Recorder<'t>,
    limits: &'a RenderLimits,
    restriction: LoadRestriction,
    files: usize,
    bytes: u64,
    /// Folders that were looked at, with their targets if they are links.
    links: BTreeMap<String, Option<String>>,
}

impl<'a, 't> Loader<'a, 't> {
    /// A loader that has read nothing yet.
    pub fn new(recorder: &'a mut Recorder<'t>, limits: &'a RenderLimits, restriction: LoadRestriction) -> Self {
        Self { recorder, limits, restriction, files: 0, bytes: 0, links: BTreeMap::new() }
    }

    /// The bounds of the build.
    pub const fn limits(&self) -> &RenderLimits {
        self.limits
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
            let (folder, name) = file.rsplit_once('/').unwrap_or(("", &file));
            file = join(&self.real_folder(folder)?, name);
            let entry = self.recorder.lookup(&file)?;
            if let Some(link) = entry.as_ref().filter(|entry| entry.kind == EntryKind::Link) {
                file = self.target(&file, link)?;
                continue;
            }
            self.permit(root, &file)?;
            let content = entry.map_or(Ok(None), |entry| self.read(&file, &entry))?;
            return Ok((file, content));
        }
        Err(too_many_links(path))
    }

    /// Fails if the kustomization in `root` may not read `file`.
    fn permit(&self, root: &str, file: &str) -> Result<(), KustomizeError> {
        let below = root.is_empty() || file.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        if self.restriction == LoadRestriction::RootOnly && !below {
            return Err(KustomizeError::new(format!(
                "`{file}` is not in or below the kustomization's folder `{root}`; move it there, or make a base of the folder that it is in"
            )));
        }
        Ok(())
    }

    /// The folder that `folder` is once symbolic links on the way to it, and itself, are followed. It may be missing.
    pub fn real_folder(&mut self, folder: &str) -> Result<String, KustomizeError> {
        let mut real = String::new();
        let mut followed = 0;
        let parts = |path: &str| -> Vec<String> {
            path.rsplit('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let mut ahead = parts(folder);
        while let Some(part) = ahead.pop() {
            let at = join(&real, &part);
            if !self.links.contains_key(&at) {
                let link = self.recorder.link(&at)?;
                let target = link.map(|link| self.target(&at, &link)).transpose()?;
                self.links.insert(at.clone(), target);
            }
            match self.links.get(&at).cloned().flatten() {
                None => real = at,
                Some(_) if followed == MAX_LINKS => return Err(too_many_links(folder)),
                Some(target) => {
                    followed += 1;
                    ahead.extend(parts(&target));
                    real.clear();
                }
            }
        }
        Ok(real)
    }

    /// The path that the symbolic link at `path` leads to.
    fn target(&self, path: &str, link: &Entry) -> Result<String, KustomizeError> {
        let size = self.recorder.size(&link.id)?;
        let bytes = if size > MAX_TARGET { Vec::new() } else { self.recorder.read(&link.id)? };
        let target = String::from_utf8(bytes).unwrap_or_default();
        let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
        resolve(folder, &target).map_err(|_| {
            KustomizeError::new(format!(
                "`{path}` is a symbolic link to nothing in the repository; make it lead to a relative path inside of it"
            ))
        })
    }

    /// The content of what is at `file`. `None` if that is a folder.
    fn read(&mut self, file: &str, entry: &Entry) -> Result<Option<Vec<u8>>, KustomizeError> {
        let Entry { kind, id } = entry;
        match kind {
            EntryKind::File => {}
            EntryKind::Folder | EntryKind::Link => return Ok(None),
            EntryKind::Submodule => {
                let reason = format!("`{file}` is a Git submodule, which isn't read; put the files themselves there");
                return Err(KustomizeError::new(reason));
            }
        }
        let size = self.recorder.size(id)?;
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
        Ok(Some(self.recorder.read(id)?))
    }

    /// Whether there is a folder at `path`.
    pub fn folder_exists(&mut self, path: &str) -> Result<bool, KustomizeError> {
        let path = self.real_folder(path)?;
        // To look a folder up makes everything in it count as read, so it is not if its kustomization tells.
        if self.kustomization(&path)?.is_some() {
            return Ok(true);
        }
        Ok(self.recorder.lookup(&path)?.is_some_and(|entry| entry.kind == EntryKind::Folder))
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

/// Whether a path names something outside of the repository.
pub(super) fn is_remote(path: &str) -> bool {
    path.contains("://")
        || ["git@", "git::", "github.com/", "github.com:", "gh:"].iter().any(|start| path.starts_with(start))
        || path.contains("?ref=")
}

/// The path from the repository's root of what `path` means in the folder `root`.
pub(super) fn resolve(root: &str, path: &str) -> Result<String, KustomizeError> {
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
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ];
        for (root, path, expected) in cases {
            assert_eq!(resolve(root, path).ok().as_deref(), expected, "{root} {path}");
        }
    }

    #[test]
    fn remote_paths_are_told_apart() {
        for path in ["https://x/y", "git@x:y", "github.com/a/b?ref=v1", "ssh://x", "git::https://x"] {
            assert!(is_remote(path), "{path}");
        }
        for path in ["a/b", "../github.com/a", "a@b", "a:b"] {
            assert!(!is_remote(path), "{path}");
        }
    }
}
