//! The folder of a sandbox: its kubeconfig, its repository, its logs. One sandbox holds it at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::cli::error::CommandError;

/// Name of the folder, if nothing else was asked for.
const NAME: &str = "driftless-sandbox";
/// How many sandboxes may run at once in folders of that name with a number.
const MAX_SANDBOXES: u32 = 100;
/// By which a folder is known to be a sandbox's; whoever runs it holds a lock on it.
const LOCK: &str = "sandbox.lock";

/// A folder that is held.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    keep: bool,
    _lock: File,
}

impl Folder {
    /// Takes the folder that was asked for, which will stay; or one for temporary files, which is removed when this is
    /// dropped.
    pub(super) fn take(wanted: Option<&Path>) -> Result<Self, CommandError> {
        match wanted {
            Some(path) => Self::named(path),
            None => Self::temporary(&std::env::temp_dir()),
        }
    }

    fn named(path: &Path) -> Result<Self, CommandError> {
        let failure = |error: io::Error| {
            CommandError::failure(format_args!("the folder {} can't be used: {error}", path.display()))
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failure)?;
        let path = path.canonicalize().map_err(failure)?;
        let strange = fs::read_dir(&path).map_err(failure)?.next().is_some() && !path.join(LOCK).exists();
        if strange {
            let problem = format_args!("{} has files in it that are not a sandbox's", path.display());
            return Err(CommandError::failure(problem).hint("--dir names a new folder, or one of an earlier sandbox"));
        }
        match lock(&path).map_err(failure)? {
            Some(lock) => Ok(Self { path, keep: true, _lock: lock }),
            None => Err(CommandError::failure(format_args!("another sandbox runs in {}", path.display()))),
        }
    }

    fn temporary(base: &Path) -> Result<Self, CommandError> {
        let failure = |error: io::Error| {
            CommandError::failure(format_args!("no folder can be made in {}: {error}", base.display()))
                .hint("set TMPDIR, or --dir")
        };
        // As the kernel names it: what others have linked to somewhere else is not followed below.
        let base = base.canonicalize().map_err(failure)?;
        for number in 1..=MAX_SANDBOXES {
            let path = base.join(match number {
                1 => NAME.to_owned(),
                number => format!("{NAME}-{number}"),
            });
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if !is_private(&path).map_err(failure)? {
                        continue;
                    }
                }
                Err(error) => return Err(failure(error)),
            }
            if let Some(lock) = lock(&path).map_err(failure)? {
                // Left behind by a sandbox that was killed.
                clear(&path).map_err(failure)?;
                return Ok(Self { path, keep: false, _lock: lock });
            }
        }
        let problem = format_args!("{MAX_SANDBOXES} sandboxes have folders in {} already", base.display());
        Err(CommandError::failure(problem).hint("stop some, or name another folder with --dir"))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it stays when the sandbox ends.
    pub(super) fn stays(&self) -> bool {
        self.keep
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            eprintln!("warning: {} can't be removed: {error}", self.path.display());
        }
    }
}

/// The folder of the sandbox that a command is for, if none is named.
pub(super) fn usual() -> PathBuf {
    std::env::temp_dir().join(NAME)
}

/// Makes sure that a file is there and only we may read it.
pub(super) fn make_private(path: &Path) -> Result<(), CommandError> {
    let make = || {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))
    };
    make().map_err(|error| CommandError::failure(format_args!("{} can't be written: {error}", path.display())))
}

/// Writes a file that only we may read, whole or not at all.
pub(super) fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let write = || {
        let new = path.with_added_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&new, path)
    };
    write().map_err(|error| CommandError::failure(format_args!("{} can't be written: {error}", path.display())))
}

/// Whether it is a folder of ours that nobody else may look into.
fn is_private(path: &Path) -> io::Result<bool> {
    let me = fs::metadata("/proc/self")?.uid();
    let found = fs::symlink_metadata(path)?;
    Ok(found.is_dir() && found.uid() == me && found.mode() & 0o077 == 0)
}

/// `None`: another process holds it.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == LOCK {
            continue;
        }
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sandbox_has_a_folder_of_its_own_and_removes_it() {
        let base = tempfile::tempdir().unwrap();
        let first = Folder::temporary(base.path()).unwrap();
        let second = Folder::temporary(base.path()).unwrap();
        let names = [&first, &second].map(|folder| folder.path().file_name().unwrap().to_owned());
        assert_eq!(names, ["driftless-sandbox", "driftless-sandbox-2"]);
        fs::write(first.path().join("left"), "x").unwrap();
        drop((first, second));
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_sandbox_left_is_cleared() {
        let base = tempfile::tempdir().unwrap();
        let mut first = Folder::temporary(base.path()).unwrap();
        fs::create_dir(first.path().join("repository")).unwrap();
        fs::write(first.path().join("kubeconfig"), "x").unwrap();
        first.keep = true;
        drop(first);
        let again = Folder::temporary(base.path()).unwrap();
        assert!(again.path().ends_with("driftless-sandbox"));
        assert_eq!(fs::read_dir(again.path()).unwrap().count(), 1, "the lock alone");
    }

    #[test]
    fn folders_of_others_are_left_alone() {
        use std::os::unix::fs::symlink;
        let base = tempfile::tempdir().unwrap();
        let open = base.path().join("driftless-sandbox");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let private = base.path().join("mine");
        DirBuilder::new().mode(0o700).create(&private).unwrap();
        symlink(&private, base.path().join("driftless-sandbox-2")).unwrap();
        let folder = Folder::temporary(base.path()).unwrap();
        assert!(folder.path().ends_with("driftless-sandbox-3"), "{folder:?}");
    }

    #[test]
    fn a_named_folder_stays_and_is_used_again() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("new/folder");
        let folder = Folder::take(Some(&path)).unwrap();
        assert!(Folder::take(Some(&path)).is_err(), "it is in use");
        drop(folder);
        assert!(Folder::take(Some(&path)).unwrap().stays());
        fs::write(base.path().join("something"), "x").unwrap();
        assert!(Folder::take(Some(base.path())).is_err(), "not a sandbox's");
    }
}
