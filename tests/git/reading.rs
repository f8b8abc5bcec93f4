//! Reading folders, files and commits.

use std::sync::Arc;

use driftless::git::CommitInfo;
use driftless::render::{EntryKind, Tree};

use super::{Setup, content};
use crate::support::git::GitRepo;

fn names(tree: &dyn Tree, path: &str) -> Vec<(Arc<str>, EntryKind)> {
    tree.list(path).unwrap().into_iter().map(|(name, entry)| (name, entry.kind)).collect()
}

#[test]
fn folders_show_what_is_in_them() {
    let repo = GitRepo::new();
    let first = repo.commit(&[("a.yaml", "1"), ("a/b/c.yaml", "2"), ("a-b", "3"), ("umlaut-ä.yaml", "4")], "first");
    repo.symlink("link", "/etc/passwd");
    let commit = repo.submodule("sub", &first);
    let setup = Setup::new();
    let tree = setup.open(repo.path().to_str().unwrap(), &commit).unwrap();
    let expected = [
        ("a", EntryKind::Folder),
        ("a-b", EntryKind::File),
        ("a.yaml", EntryKind::File),
        ("link", EntryKind::Link),
        ("sub", EntryKind::Submodule),
        ("umlaut-ä.yaml", EntryKind::File),
    ];
    assert_eq!(names(&tree, ""), expected.map(|(name, kind)| (Arc::from(name), kind)));
    assert_eq!(names(&tree, "a"), [(Arc::from("b"), EntryKind::Folder)]);
    assert_eq!(content(&tree, "a/b/c.yaml"), "2");
    assert_eq!(content(&tree, "link"), "/etc/passwd", "the link itself, not where it points");
    assert_eq!(tree.lookup("").unwrap().unwrap().kind, EntryKind::Folder);
    for missing in ["b", "a/x", "a.yaml/x", "link/x", "sub/x", "a/b/c.yaml/d"] {
        assert_eq!(tree.lookup(missing).unwrap(), None, "{missing}");
    }
    for strange in ["/a", "a/", "a//b", "../a", "a/../b", "./a"] {
        assert!(tree.lookup(strange).unwrap_err().message.contains("must be relative"), "{strange}");
    }
    assert!(tree.list("a.yaml").unwrap_err().message.contains("not a folder"));
    assert!(tree.list("nowhere").unwrap_err().message.contains("does not exist"));
    let folder = tree.lookup("a").unwrap().unwrap();
    assert!(tree.read(&folder.id).unwrap_err().message.contains("not a blob"));
    assert!(tree.read("nonsense").unwrap_err().message.contains("not an object id"));
    assert!(tree.read(&"12".repeat(20)).unwrap_err().message.contains("missing"));
}

#[test]
fn commits_tell_who_when_and_what() {
    let repo = GitRepo::new();
    let setup = Setup::new();
    let url = repo.path().to_str().unwrap().to_owned();
    let commit = repo.commit(&[("a", "1")], "Add a\n\nBecause it was missing.");
    let tree = setup.open(&url, &commit).unwrap();
    let expected =
        CommitInfo { author: "Ada <ada@example.com>".into(), committed_at: 1_700_000_001, subject: "Add a".into() };
    assert_eq!(tree.commit().unwrap(), expected);
    assert_eq!(tree.revision(), &commit);
    let long = repo.commit(&[("a", "2")], &"ü".repeat(500));
    let subject = setup.open(&url, &long).unwrap().commit().unwrap().subject;
    assert_eq!(subject, "ü".repeat(200));
}

#[test]
fn names_that_no_checkout_would_allow_are_refused() {
    let repo = GitRepo::new();
    repo.commit(&[("a", "1")], "first");
    let blob = repo.git(&["rev-parse", "main:a"]);
    for name in ["..", ".", "x/y"] {
        // A tree as a hostile pusher would write it.
        let mut tree = format!("100644 {name}\0").into_bytes();
        tree.extend((0..20).map(|n| u8::from_str_radix(&blob[2 * n..2 * n + 2], 16).unwrap()));
        let file = repo.parent().join("tree");
        std::fs::write(&file, tree).unwrap();
        let id = repo.git(&["hash-object", "-t", "tree", "-w", "--literally", file.to_str().unwrap()]);
        let commit = repo.git(&["commit-tree", "-m", "hostile", &id]);
        let commit = driftless::engine::ids::Revision::parse(&commit).unwrap();
        let tree = Setup::new().open(repo.path().to_str().unwrap(), &commit).unwrap();
        let error = tree.list("").unwrap_err().message;
        assert!(error.contains("impossible name"), "{error}");
    }
}

#[test]
fn trees_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let repo = GitRepo::new();
    let commit = repo.commit(&[("a", "1")], "first");
    let tree = Setup::new().open(repo.path().to_str().unwrap(), &commit).unwrap();
    shared(&tree);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(content(&tree, "a"), "1"));
        }
    });
}
