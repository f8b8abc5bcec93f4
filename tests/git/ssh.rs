//! ssh, with a script in place of the program: it drops the options and runs the command on this machine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use driftless::git::{Credentials, SshSettings};

use super::{GO_ON, Setup, content, credentials, entries, hasty};
use crate::support::git::GitRepo;

const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\r\nhunter2\r\n-----END OPENSSH PRIVATE KEY-----";

/// A stub: `script` is run with `$KEY` (the file after `-i`), `$LOG` and `$COMMAND`.
struct Stub {
    setup: Setup,
    url: String,
}

impl Stub {
    fn new(repo: &GitRepo, script: &str) -> Self {
        Self::with(repo, script, driftless::git::GitLimits::default())
    }

    fn with(repo: &GitRepo, script: &str, limits: driftless::git::GitLimits) -> Self {
        let mut setup = Setup::with(limits);
        let program = setup.folder.path().join("ssh-stub");
        let folder = setup.folder.path().display().to_string();
        let prelude = "#!/bin/sh\n\
             LOG=FOLDER/log; printf '%s\\n' \"$*\" >> \"$LOG\"\n\
             while [ $# -gt 0 ]; do case \"$1\" in -i) KEY=\"$2\"; shift 2;; --) shift; break;; *) shift;; esac; done\n\
             shift; COMMAND=\"$*\"\n\
             export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'\n";
        fs::write(&program, prelude.replace("FOLDER", &folder) + script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let keys = setup.folder.path().join("keys");
        fs::create_dir(&keys).unwrap();
        let settings = SshSettings { program, known_hosts: Some(setup.folder.path().join("known")), key_folder: keys };
        setup.mirrors = setup.mirrors.with_ssh(settings);
        Self { setup, url: format!("ssh://git@example.com:2222{}", repo.path().display()) }
    }

    fn credentials(&self) -> Credentials {
        credentials(&self.url, &[("sshPrivateKey", KEY)])
    }

    fn log(&self) -> String {
        fs::read_to_string(self.setup.folder.path().join("log")).unwrap()
    }

    fn keys(&self) -> Vec<PathBuf> {
        entries(&self.setup.folder.path().join("keys"))
    }

    fn list_error(&self) -> String {
        self.setup.list_error(&self.url, Some(&self.credentials()))
    }
}

#[test]
fn refs_and_commits_come_through_the_program() {
    let repo = GitRepo::new();
    let first = repo.commit(&[("a", "1")], "first");
    let stub =
        Stub::new(&repo, "cp \"$KEY\" \"$LOG.key\"; stat -c %a \"$KEY\" > \"$LOG.mode\"; exec sh -c \"$COMMAND\"\n");
    let known = stub.credentials();
    let refs = stub.setup.mirrors.list_refs(&stub.url, Some(&known), &GO_ON).unwrap();
    assert_eq!(refs.head.as_ref(), Some(&first));
    let open = |revision| stub.setup.mirrors.open(&stub.url, Some(&known), revision, Some("HEAD"), &GO_ON);
    assert_eq!(content(&open(&first).unwrap(), "a"), "1");
    let second = repo.commit(&[("b", "2")], "second");
    assert_eq!(content(&open(&second).unwrap(), "b"), "2");

    let log = stub.log();
    assert_eq!(log.lines().count(), 3, "{log}");
    for expected in
        ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "-l git", "-p 2222", "-- example.com"]
    {
        assert!(log.lines().all(|line| line.contains(expected)), "{expected}: {log}");
    }
    assert!(!log.contains("hunter2"));
    let read = |suffix: &str| fs::read_to_string(stub.setup.folder.path().join(format!("log.{suffix}"))).unwrap();
    assert_eq!(read("mode").trim(), "600");
    assert_eq!(read("key"), KEY.replace('\r', "") + "\n");
    assert_eq!(stub.keys(), Vec::<PathBuf>::new(), "the key is gone");
}

#[test]
fn what_the_program_says_is_sorted() {
    let repo = GitRepo::new();
    let cases = [
        ("echo 'git@example.com: Permission denied (publickey).' >&2; exit 255", "authentication failed"),
        ("echo 'Host key verification failed.' >&2; exit 255", "host key is not known"),
        ("echo 'ssh: Could not resolve hostname example.com' >&2; exit 255", "can't be reached"),
        ("echo 'ERROR: Repository not found.' >&2; exit 1", "was not found"),
        ("exit 0", "not understood"),
    ];
    for (script, expected) in cases {
        let stub = Stub::new(&repo, script);
        let error = stub.list_error();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        assert_eq!(stub.keys(), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_silent_program_ends_at_the_deadline() {
    let repo = GitRepo::new();
    let stub = Stub::with(&repo, "exec sleep 600\n", hasty());
    let error = stub.list_error();
    assert!(error.contains("no complete answer"), "{error}");
    assert_eq!(stub.keys(), Vec::<PathBuf>::new());
}

#[test]
fn what_is_missing_is_said() {
    let repo = GitRepo::new();
    let stub = Stub::new(&repo, "exit 1");
    let error = stub.setup.list_error(&stub.url, None);
    assert!(error.contains("sshPrivateKey"), "{error}");
    let mut setup = Setup::new();
    setup.mirrors =
        setup.mirrors.with_ssh(SshSettings { program: "/nonexistent/ssh".into(), ..SshSettings::default() });
    let error = setup.list_error("git@example.com:x/y", Some(&stub.credentials()));
    assert!(error.contains("/nonexistent/ssh") && error.contains("ssh URLs need it"), "{error}");
}
