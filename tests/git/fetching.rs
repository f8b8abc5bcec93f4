//! What is transferred, and when.

use driftless::engine::revision::{needs_listing, resolve};
use driftless::render::Tree as _;

use super::{GO_ON, Setup, content};
use crate::support::git::GitRepo;
use crate::support::git_server::{Behaviour, GitServer};

#[test]
fn listing_shows_branches_peeled_tags_and_head_in_two_requests() {
    let repo = GitRepo::new();
    let first = repo.commit(&[("a.yaml", "a")], "first");
    repo.tag("v1.0.0", &first);
    repo.annotated_tag("v1.1.0", &first);
    let second = repo.commit(&[("a.yaml", "b")], "second");
    repo.reset("release", &first);
    repo.git(&["update-ref", "refs/pull/1/head", first.as_str()]);
    let (server, setup) = (GitServer::start(&repo), Setup::new());

    let refs = setup.mirrors.list_refs(&server.url(), None, &GO_ON).unwrap();

    assert_eq!(refs.head.as_ref(), Some(&second));
    let listed: Vec<_> = refs.refs.iter().map(|(name, revision)| (&**name, revision)).collect();
    let expected = [
        ("refs/heads/main", &second),
        ("refs/heads/release", &first),
        ("refs/tags/v1.0.0", &first),
        ("refs/tags/v1.1.0", &first),
    ];
    assert_eq!(listed, expected);
    assert_eq!(resolve(&refs, "^1.0.0").unwrap().revision, first);
    assert!(needs_listing("main"));
    let requests = server.take_requests();
    assert!(requests.iter().all(|request| request.path.starts_with("/repo.git/")), "{requests:?}");
    let requests: Vec<_> = requests.into_iter().map(|request| request.method).collect();
    assert_eq!(requests, ["GET", "POST"]);
    assert!(!setup.folder.path().join("mirrors").exists(), "listing fetches nothing");
}

#[test]
fn an_empty_repository_has_no_refs() {
    let repo = GitRepo::new();
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    let refs = setup.mirrors.list_refs(&server.url(), None, &GO_ON).unwrap();
    assert_eq!((refs.head, refs.refs.len()), (None, 0));
}

#[test]
fn a_commit_is_fetched_once_and_its_successor_incrementally() {
    let repo = GitRepo::new();
    // Incompressible, so that the size of an answer tells what is in it.
    let files: Vec<(String, String)> = (0..200).map(|n| (format!("dir{}/{n}.yaml", n % 10), noise(n, 2000))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    repo.commit(&[("old", &noise(1000, 100_000))], "history that nobody needs");
    repo.remove(&["old"], "gone");
    let first = repo.commit(&files, "first");
    let (server, setup) = (GitServer::start(&repo), Setup::new());

    let tree = setup.open(&server.url(), &first).unwrap();
    assert_eq!(content(&tree, "dir7/17.yaml"), noise(17, 2000));
    let initial: usize = server.take_requests().iter().map(|request| request.answered).sum();
    assert!((150_000..390_000).contains(&initial), "the commit without its history: {initial}");
    assert_eq!(setup.packs().len(), 1);

    // Again, and by another process: nothing is asked of the server.
    drop(setup.open(&server.url(), &first).unwrap());
    let restarted = driftless::git::Mirrors::new(setup.folder.path().join("mirrors"), Default::default());
    drop(restarted.open(&server.url(), None, &first, None, &GO_ON).unwrap());
    assert_eq!(server.take_requests().len(), 0);

    let second = repo.commit(&[("dir3/3.yaml", &noise(5000, 2000))], "second");
    let tree = restarted.open(&server.url(), None, &second, Some("refs/heads/main"), &GO_ON).unwrap();
    assert_eq!(content(&tree, "dir3/3.yaml"), noise(5000, 2000));
    assert_eq!(content(&tree, "dir7/17.yaml"), noise(17, 2000));
    let requests = server.take_requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    let incremental: usize = requests.iter().map(|request| request.answered).sum();
    assert!(incremental < 12_000, "only what changed: {incremental}");
    assert_eq!(setup.packs().len(), 2);
}

#[test]
fn an_unchanged_folder_has_the_same_id_in_both_commits() {
    let repo = GitRepo::new();
    let first = repo.commit(&[("a/x.yaml", "1"), ("b/y.yaml", "1")], "first");
    let second = repo.commit(&[("a/x.yaml", "2")], "second");
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    let (old, new) = (setup.open(&server.url(), &first).unwrap(), setup.open(&server.url(), &second).unwrap());
    assert_eq!(old.lookup("b").unwrap(), new.lookup("b").unwrap());
    assert_ne!(old.lookup("a").unwrap(), new.lookup("a").unwrap());
}

#[test]
fn servers_that_refuse_ids_are_asked_for_the_history_of_the_branch() {
    let repo = GitRepo::new();
    let first = repo.commit(&[("a", "1")], "first");
    repo.commit(&[("a", "2")], "second");
    let unrelated = repo.commit_to("other", &[("z", "9")], "unrelated");
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    server.behave(Behaviour::RefuseShallow);
    assert_eq!(content(&setup.open(&server.url(), &first).unwrap(), "a"), "1");
    // Of a branch that the hint does not name: found through all of them.
    let tree = setup.mirrors.open(&server.url(), None, &unrelated, None, &GO_ON).unwrap();
    assert_eq!(content(&tree, "z"), "9");
}

#[test]
fn servers_with_the_oldest_protocol_are_understood() {
    let repo = GitRepo::new();
    let first = repo.commit(&[("a", "1")], "first");
    repo.annotated_tag("v1", &first);
    let second = repo.commit(&[("a", "2")], "second");
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    server.behave(Behaviour::OldProtocol);
    let refs = setup.mirrors.list_refs(&server.url(), None, &GO_ON).unwrap();
    assert_eq!(refs.refs.get("refs/tags/v1"), Some(&first));
    assert_eq!(refs.head, Some(second.clone()));
    assert_eq!(content(&setup.open(&server.url(), &second).unwrap(), "a"), "2");
    let third = repo.commit(&[("b", "3")], "third");
    assert_eq!(content(&setup.open(&server.url(), &third).unwrap(), "a"), "2");
    // Not a tip: such a server hands it out with the branch only.
    assert_eq!(content(&setup.open(&server.url(), &first).unwrap(), "a"), "1");
}

#[test]
fn a_force_push_and_a_deleted_branch_leave_what_was_fetched() {
    let repo = GitRepo::new();
    let first = repo.commit(&[("a", "1")], "first");
    let second = repo.commit(&[("a", "2")], "second");
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    drop(setup.open(&server.url(), &second).unwrap());

    repo.reset("main", &first);
    let rewritten = repo.commit(&[("a", "3")], "rewritten");
    repo.prune();
    assert_eq!(setup.mirrors.list_refs(&server.url(), None, &GO_ON).unwrap().head, Some(rewritten.clone()));
    assert_eq!(content(&setup.open(&server.url(), &rewritten).unwrap(), "a"), "3");
    assert_eq!(content(&setup.open(&server.url(), &second).unwrap(), "a"), "2", "vanished, but at hand");

    repo.delete_branch("main");
    let refs = setup.mirrors.list_refs(&server.url(), None, &GO_ON).unwrap();
    assert_eq!(refs.refs.get("refs/heads/main"), None);
    assert_eq!(content(&setup.open(&server.url(), &rewritten).unwrap(), "a"), "3");
}

#[test]
fn a_commit_that_nobody_has_is_not_found() {
    let repo = GitRepo::new();
    repo.commit(&[("a", "1")], "first");
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    let missing = driftless::engine::ids::Revision::parse(&"12".repeat(20)).unwrap();
    let error = setup.open(&server.url(), &missing).unwrap_err();
    assert!(error.contains(&format!("commit {missing} was not found")), "{error}");
    assert_eq!(server.take_requests().len(), 2, "no history is searched for it");
    server.behave(Behaviour::RefuseShallow);
    let error = setup.open(&server.url(), &missing).unwrap_err();
    assert!(error.contains(&format!("commit {missing} was not found")), "{error}");
    server.behave(Behaviour::Serve);
    // A blob is no commit.
    let blob = repo.git(&["rev-parse", "main:a"]);
    let blob = driftless::engine::ids::Revision::parse(&blob).unwrap();
    let error = setup.open(&server.url(), &blob).unwrap_err();
    assert!(error.contains("not a commit"), "{error}");
}

/// Text that does not compress well, the same for the same seed.
pub(super) fn noise(seed: u64, length: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + (state % 90) as u8)
    };
    (0..length).map(|_| next()).collect()
}
