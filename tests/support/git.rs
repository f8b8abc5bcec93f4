//! Git repositories for tests, made with the `git` program.

use std::cell::Cell;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use driftless::engine::ids::Revision;
use tempfile::TempDir;

/// A bare repository in a temporary folder; its default branch is `main`.
pub(crate) struct GitRepo {
    folder: TempDir,
    /// Commits are a second apart, so that ids don't depend on the clock.
    seconds: Cell<u64>,
}

/// A `git` that reads no configuration of the user or the machine, and trusts every folder.
pub(crate) fn git_command() -> Command {
    let mut command = Command::new("git");
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*");
    for (role, name) in [("AUTHOR", "Ada"), ("COMMITTER", "Ada")] {
        command.env(format!("GIT_{role}_NAME"), name).env(format!("GIT_{role}_EMAIL"), "ada@example.com");
    }
    command
}

impl GitRepo {
    /// An empty repository.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = Self { folder, seconds: Cell::new(1_700_000_000) };
        let path = repo.path();
        let output = git_command().args(["init", "-q", "--bare", "-b", "main"]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        repo
    }

    /// The repository's folder.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("repo.git")
    }

    /// The folder that the repository's folder is in.
    pub(crate) fn parent(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `git` on the repository; what it prints.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = git_command().arg("--git-dir").arg(self.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits files (path, content) to `main`, on top of what is there.
    pub(crate) fn commit(&self, files: &[(&str, &str)], message: &str) -> Revision {
        self.commit_to("main", files, message)
    }

    /// Commits files to a branch.
    pub(crate) fn commit_to(&self, branch: &str, files: &[(&str, &str)], message: &str) -> Revision {
        let entries: Vec<_> = files.iter().map(|(path, content)| Change::Write("100644", path, content)).collect();
        self.change(branch, &entries, message)
    }

    /// Commits the removal of files or folders to `main`.
    pub(crate) fn remove(&self, paths: &[&str], message: &str) -> Revision {
        self.remove_from("main", paths, message)
    }

    /// Commits the removal of files or folders to a branch.
    pub(crate) fn remove_from(&self, branch: &str, paths: &[&str], message: &str) -> Revision {
        let entries: Vec<_> = paths.iter().map(|path| Change::Remove(path)).collect();
        self.change(branch, &entries, message)
    }

    /// Commits a symbolic link to `main`.
    pub(crate) fn symlink(&self, path: &str, target: &str) -> Revision {
        self.change("main", &[Change::Write("120000", path, target)], "link")
    }

    /// Commits a submodule to `main`.
    pub(crate) fn submodule(&self, path: &str, commit: &Revision) -> Revision {
        self.change("main", &[Change::Submodule(path, commit.as_str())], "submodule")
    }

    fn change(&self, branch: &str, changes: &[Change<'_>], message: &str) -> Revision {
        let reference = format!("refs/heads/{branch}");
        let now = self.seconds.get() + 1;
        self.seconds.set(now);
        let mut stream = Vec::new();
        writeln!(stream, "commit {reference}\ncommitter Ada <ada@example.com> {now} +0000").unwrap();
        writeln!(stream, "data {}\n{message}", message.len()).unwrap();
        if self.head(branch).is_some() {
            writeln!(stream, "from {reference}^0").unwrap();
        }
        for change in changes {
            match change {
                Change::Write(mode, path, content) => {
                    writeln!(stream, "M {mode} inline {path}\ndata {}\n{content}", content.len()).unwrap();
                }
                Change::Submodule(path, commit) => writeln!(stream, "M 160000 {commit} {path}").unwrap(),
                Change::Remove(path) => writeln!(stream, "D {path}").unwrap(),
            }
        }
        stream.extend_from_slice(b"\ndone\n");
        let mut import = git_command();
        import.arg("--git-dir").arg(self.path()).args(["fast-import", "--quiet", "--done", "--force"]);
        let mut import = import.stdin(Stdio::piped()).spawn().unwrap();
        import.stdin.take().unwrap().write_all(&stream).unwrap();
        assert!(import.wait().unwrap().success());
        self.head(branch).unwrap()
    }

    /// The commit that a branch names.
    pub(crate) fn head(&self, branch: &str) -> Option<Revision> {
        let reference = format!("refs/heads/{branch}");
        let listed = self.git(&["for-each-ref", "--format=%(objectname)", &reference]);
        Revision::parse(&listed)
    }

    /// Creates a branch, or moves it anywhere: a force-push.
    pub(crate) fn reset(&self, branch: &str, to: &Revision) {
        self.git(&["update-ref", &format!("refs/heads/{branch}"), to.as_str()]);
    }

    /// Deletes a branch.
    pub(crate) fn delete_branch(&self, branch: &str) {
        self.git(&["update-ref", "-d", &format!("refs/heads/{branch}")]);
    }

    /// Creates a lightweight tag.
    pub(crate) fn tag(&self, name: &str, at: &Revision) {
        self.git(&["tag", name, at.as_str()]);
    }

    /// Creates an annotated tag.
    pub(crate) fn annotated_tag(&self, name: &str, at: &Revision) {
        self.git(&["tag", "-a", "-m", "release", name, at.as_str()]);
    }

    /// Removes all objects that no ref reaches.
    pub(crate) fn prune(&self) {
        self.git(&["-c", "gc.reflogExpire=now", "gc", "-q", "--prune=now"]);
    }
}

enum Change<'a> {
    Write(&'a str, &'a str, &'a str),
    Submodule(&'a str, &'a str),
    Remove(&'a str),
}
