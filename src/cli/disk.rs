//! A folder on disk as a tree to build from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::render::{Entry, EntryKind, Tree, TreeError};

/// A folder on disk. The id of an entry is its path: such a tree is read once and remembered by nobody.
pub(super) struct DiskTree {
    root: PathBuf,
}

impl DiskTree {
    /// The repository that the folder `path` is in (or all that is on the disk, if it is in none), and the path of the
    /// folder in it.
    pub(super) fn around(path: &Path) -> io::Result<(Self, String)> {
        let folder = path.canonicalize()?;
        if !folder.is_dir() {
            return Err(io::Error::other("it is no folder"));
        }
        let root = folder.ancestors().find(|above| above.join(".git").exists()).or_else(|| folder.ancestors().last());
        let root = root.unwrap_or(&folder).to_owned();
        let relative = folder.strip_prefix(&root).unwrap_or(&folder);
        let relative = relative.to_str().ok_or_else(|| io::Error::other("its path is no UTF-8 text"))?;
        let relative = relative.replace(std::path::MAIN_SEPARATOR, "/");
        Ok((Self { root }, relative))
    }

    /// What is at `path`, links and what is behind them apart.
    fn entry(&self, path: &str) -> io::Result<Option<Entry>> {
        let mut full = self.root.clone();
        let mut kind = EntryKind::Folder;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if kind != EntryKind::Folder {
                return Ok(None);
            }
            full.push(part);
            kind = match fs::symlink_metadata(&full) {
                Ok(found) if found.is_dir() => EntryKind::Folder,
                Ok(found) if found.is_file() => EntryKind::File,
                Ok(found) if found.is_symlink() => EntryKind::Link,
                Ok(_) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
        }
        Ok(Some(Entry { kind, id: path.into() }))
    }

    fn error(path: &str, error: &io::Error) -> TreeError {
        TreeError { message: format!("`{path}` can't be read: {error}") }
    }
}

impl Tree for DiskTree {
    fn lookup(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        self.entry(path).map_err(|error| Self::error(path, &error))
    }

    fn list(&self, path: &str) -> Result<Vec<(Arc<str>, Entry)>, TreeError> {
        let list = || -> io::Result<Vec<(Arc<str>, Entry)>> {
            let mut entries: Vec<(Arc<str>, Entry)> = Vec::new();
            for entry in fs::read_dir(self.root.join(path))? {
                let Ok(name) = entry?.file_name().into_string() else { continue };
                let full = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                if let Some(entry) = self.entry(&full)? {
                    entries.push((name.into(), entry));
                }
            }
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(entries)
        };
        list().map_err(|error| Self::error(path, &error))
    }

    fn read(&self, id: &str) -> Result<Vec<u8>, TreeError> {
        let path = self.root.join(id);
        let read = match fs::read_link(&path) {
            // As in Git: a link's content is its target.
            Ok(target) => Ok(target.into_os_string().into_encoded_bytes()),
            Err(_) => fs::read(path),
        };
        read.map_err(|error| Self::error(id, &error))
    }

    fn size(&self, id: &str) -> Result<u64, TreeError> {
        fs::symlink_metadata(self.root.join(id)).map(|found| found.len()).map_err(|error| Self::error(id, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_seen_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(".git")).unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/file"), "text").unwrap();
        std::os::unix::fs::symlink("b", folder.path().join("a/link")).unwrap();
        let (tree, path) = DiskTree::around(&folder.path().join("a")).unwrap();
        assert_eq!(path, "a");
        let kind = |path: &str| tree.lookup(path).unwrap().map(|entry| entry.kind);
        assert_eq!(kind("a/b/file"), Some(EntryKind::File));
        assert_eq!(kind("a/link"), Some(EntryKind::Link));
        assert_eq!(kind("a/link/file"), None);
        assert_eq!(kind("a/none"), None);
        assert_eq!(kind(""), Some(EntryKind::Folder));
        let names: Vec<_> = tree.list("a").unwrap().into_iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names, ["b", "link"]);
        let link = tree.lookup("a/link").unwrap().unwrap().id;
        assert_eq!((tree.read(&link).unwrap(), tree.size(&link).unwrap()), (b"b".to_vec(), 1));
        let id = tree.lookup("a/b/file").unwrap().unwrap().id;
        assert_eq!((tree.read(&id).unwrap(), tree.size(&id).unwrap()), (b"text".to_vec(), 4));
    }
}
