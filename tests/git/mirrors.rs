//! Mirrors on disk: growth, damage, concurrency.

use std::collections::BTreeSet;
use std::fs;

use driftless::git::{GitLimits, Mirrors, key};
use driftless::render::Tree as _;

use super::fetching::noise;
use super::{GO_ON, Setup, content, entries, only};
use crate::support::git::GitRepo;
use crate::support::git_server::{Behaviour, GitServer};

#[test]
fn a_full_mirror_is_replaced_while_it_is_read() {
    let repo = GitRepo::new();
    let (server, setup) = (GitServer::start(&repo), Setup::with(GitLimits { max_packs: 3, ..Default::default() }));
    let oldest = repo.commit(&[("a", "0"), ("kept", "kept")], "0");
    let reader = setup.open(&server.url(), &oldest).unwrap();
    let mut commits = Vec::new();
    for n in 1..=20 {
        let commit = repo.commit(&[("a", &n.to_string())], "next");
        assert_eq!(content(&setup.open(&server.url(), &commit).unwrap(), "a"), n.to_string());
        commits.push(commit);
        // Two that are used, and the one that is still read.
        assert!(setup.packs().len() <= 9 && setup.generations().len() <= 3, "{:?}", setup.packs());
    }
    assert_eq!(content(&reader, "kept"), "kept", "its generation outlives its place");
    drop(reader);
    assert!(setup.generations().len() <= 2, "{:?}", setup.generations());
    // What the last two generations hold needs no server.
    server.take_requests();
    for commit in commits.iter().rev().take(4) {
        drop(setup.open(&server.url(), commit).unwrap());
    }
    assert_eq!(server.take_requests().len(), 0);
    // What they don't hold is fetched again.
    assert_eq!(content(&setup.open(&server.url(), &oldest).unwrap(), "a"), "0");
}

#[test]
fn a_failed_replacement_leaves_the_full_mirror() {
    let repo = GitRepo::new();
    let first = repo.commit(&[("a", "1")], "first");
    let (server, setup) = (GitServer::start(&repo), Setup::with(GitLimits { max_packs: 1, ..Default::default() }));
    drop(setup.open(&server.url(), &first).unwrap());
    let second = repo.commit(&[("a", "2")], "second");
    server.behave(Behaviour::Status(500));
    assert!(setup.open(&server.url(), &second).is_err());
    assert_eq!(setup.generations().len(), 1);
    assert_eq!(content(&setup.open(&server.url(), &first).unwrap(), "a"), "1");
    server.behave(Behaviour::Serve);
    assert_eq!(content(&setup.open(&server.url(), &second).unwrap(), "a"), "2");
}

#[test]
fn damage_is_set_aside_and_fetched_anew() {
    let repo = GitRepo::new();
    let commit = repo.commit(&[("a", &noise(3, 4000)), ("dir/b", "2")], "first");
    let server = GitServer::start(&repo);
    for damage in [Damage::Truncate, Damage::Overwrite, Damage::GarbageIndex, Damage::RemovePack] {
        let setup = Setup::new();
        drop(setup.open(&server.url(), &commit).unwrap());
        for file in entries(&setup.generations()[0].join("objects/pack")) {
            damage.apply(&file);
        }
        // As after a restart: nothing of the files is in memory.
        let mirrors = Mirrors::new(setup.folder.path().join("mirrors"), GitLimits::default());
        let open = || mirrors.open(&server.url(), None, &commit, None, &GO_ON);
        let read = |tree: &driftless::git::GitTree| {
            let entry = tree.lookup("a")?.expect("a exists");
            tree.read(&entry.id)
        };
        // Some damage shows only when the file is read; then the next try has a fresh mirror.
        let first = open().map(|tree| read(&tree));
        let tree = match first {
            Ok(Ok(text)) => {
                assert_eq!(text, noise(3, 4000).into_bytes(), "{damage:?}");
                open().unwrap()
            }
            Ok(Err(_)) => open().unwrap(),
            Err(error) => panic!("{damage:?}: {}", error.message),
        };
        assert_eq!(read(&tree).unwrap(), noise(3, 4000).into_bytes(), "{damage:?}");
        let mirror = only(&setup.folder.path().join("mirrors"));
        let aside = mirror.join("damaged").is_dir();
        // Without its pack a mirror is not damaged, but empty.
        assert_eq!(aside, !matches!(damage, Damage::RemovePack), "{damage:?}");
    }
}

#[derive(Debug)]
enum Damage {
    Truncate,
    Overwrite,
    GarbageIndex,
    RemovePack,
}

impl Damage {
    fn apply(&self, file: &std::path::Path) {
        let is = |suffix: &str| file.extension().is_some_and(|found| found == suffix);
        let mut permissions = fs::metadata(file).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
        fs::set_permissions(file, permissions).unwrap();
        match self {
            Self::Truncate if is("pack") => {
                let length = fs::metadata(file).unwrap().len();
                fs::OpenOptions::new().write(true).open(file).unwrap().set_len(length / 3).unwrap();
            }
            Self::Overwrite if is("pack") => {
                let mut data = fs::read(file).unwrap();
                let end = data.len() - 20;
                data[12..end].fill(0xa5);
                fs::write(file, data).unwrap();
            }
            Self::GarbageIndex if is("idx") => fs::write(file, "garbage").unwrap(),
            Self::RemovePack => fs::remove_file(file).unwrap(),
            _ => {}
        }
    }
}

#[test]
fn what_an_interrupted_fetch_left_is_removed() {
    let repo = GitRepo::new();
    let first = repo.commit(&[("a", "1")], "first");
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    drop(setup.open(&server.url(), &first).unwrap());
    let generation = setup.generations().remove(0);
    fs::write(generation.join("shallow.lock"), "").unwrap();
    fs::write(generation.join("objects/pack/.tmpX"), "half a pack").unwrap();

    let second = repo.commit(&[("a", "2")], "second");
    let restarted = Mirrors::new(setup.folder.path().join("mirrors"), GitLimits::default());
    let tree = restarted.open(&server.url(), None, &second, None, &GO_ON).unwrap();
    assert_eq!(content(&tree, "a"), "2");
    assert!(!generation.join("shallow.lock").exists() && !generation.join("objects/pack/.tmpX").exists());
}

#[test]
fn many_who_want_one_commit_cause_one_fetch() {
    let repo = GitRepo::new();
    let commit = repo.commit(&[("a", "1")], "first");
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(content(&setup.open(&server.url(), &commit).unwrap(), "a"), "1"));
        }
    });
    assert_eq!(server.take_requests().len(), 2);
    assert_eq!(setup.packs().len(), 1);
}

#[test]
fn different_commits_at_the_same_time() {
    let repo = GitRepo::new();
    let commits: Vec<_> = (0..6).map(|n| repo.commit(&[("a", &n.to_string())], "next")).collect();
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    std::thread::scope(|scope| {
        for (n, commit) in commits.iter().enumerate() {
            let (setup, server) = (&setup, &server);
            scope.spawn(move || assert_eq!(content(&setup.open(&server.url(), commit).unwrap(), "a"), n.to_string()));
        }
    });
    assert_eq!(setup.packs().len(), 6);
}

#[test]
fn mirrors_that_nobody_wants_are_removed() {
    let (one, two) = (GitRepo::new(), GitRepo::new());
    let (first, second) = (one.commit(&[("a", "1")], "one"), two.commit(&[("a", "2")], "two"));
    let (at_one, at_two) = (GitServer::start(&one), GitServer::start(&two));
    let setup = Setup::new();
    drop(setup.open(&at_one.url(), &first).unwrap());
    let reader = setup.open(&at_two.url(), &second).unwrap();
    let wanted = BTreeSet::from([key(&at_one.url()).unwrap()]);
    setup.mirrors.retain(&wanted).unwrap();
    assert_eq!(content(&reader, "a"), "2", "kept while it is read");
    drop(reader);
    setup.mirrors.retain(&wanted).unwrap();
    let kept = only(&setup.folder.path().join("mirrors"));
    let repository = fs::read_to_string(kept.join("repository")).unwrap();
    assert_eq!(repository.trim(), at_one.url().trim_end_matches(".git"));
    assert_eq!(content(&setup.open(&at_two.url(), &second).unwrap(), "a"), "2", "wanted again");
}
