//! Servers that are down, slow or hostile; limits.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use driftless::git::GitLimits;
use driftless::render::Tree as _;

use super::fetching::noise;
use super::{GO_ON, Setup, content, hasty};
use crate::support::git::GitRepo;
use crate::support::git_server::{Behaviour, GitServer};

#[test]
fn each_fault_is_named() {
    let repo = GitRepo::new();
    let commit = repo.commit(&[("a", "1")], "first");
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    let cases = [
        (Behaviour::Status(500), "the server answered HTTP 500"),
        (Behaviour::Status(503), "the server answered HTTP 503"),
        (Behaviour::Status(429), "too many requests"),
        (Behaviour::Status(404), "the repository was not found"),
        (Behaviour::Status(403), "authentication failed: access is denied"),
        (Behaviour::Status(401), "authentication failed: credentials are needed"),
        (Behaviour::Status(200), "the answer is not understood"),
        (Behaviour::Drop, "can't be reached: the connection broke"),
    ];
    for (behaviour, expected) in cases {
        server.behave(behaviour.clone());
        let listing = setup.list_error(&server.url(), None);
        assert!(listing.contains(expected) && listing.contains("127.0.0.1"), "{behaviour:?}: {listing}");
        let opening = setup.open(&server.url(), &commit).unwrap_err();
        assert!(opening.contains(expected), "{behaviour:?}: {opening}");
    }
    server.behave(Behaviour::Refuse("access denied\u{1b}[31m by policy".into()));
    let error = setup.open(&server.url(), &commit).unwrap_err();
    assert!(error.contains("by policy") && !error.contains('\u{1b}'), "{error}");
    server.behave(Behaviour::Serve);
    assert_eq!(content(&setup.open(&server.url(), &commit).unwrap(), "a"), "1", "nothing of it sticks");
}

#[test]
fn a_server_that_is_down_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = Setup::new().list_error(&format!("http://user:hunter2@127.0.0.1:{port}/x"), None);
    assert!(error.contains("can't be reached") && !error.contains("hunter2") && !error.contains("user"), "{error}");
}

#[test]
fn silent_and_dripping_servers_end_at_the_deadline() {
    let repo = GitRepo::new();
    let commit = repo.commit(&[("a", "1")], "first");
    for behaviour in [Behaviour::Hang, Behaviour::Drip] {
        let (server, setup) = (GitServer::start(&repo), Setup::with(hasty()));
        server.behave(behaviour);
        let error = setup.list_error(&server.url(), None);
        assert!(error.contains("no complete answer"), "{error}");
        let error = setup.open(&server.url(), &commit).unwrap_err();
        assert!(error.contains("no complete answer"), "{error}");
    }
}

#[test]
fn the_cancel_flag_ends_a_wait() {
    let repo = GitRepo::new();
    let commit = repo.commit(&[("a", "1")], "first");
    let (server, setup) =
        (GitServer::start(&repo), Setup::with(GitLimits { timeout: Duration::from_secs(3600), ..Default::default() }));
    server.behave(Behaviour::Hang);
    let cancel = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| setup.mirrors.open(&server.url(), None, &commit, None, &cancel));
        server.wait_for_requests(1);
        cancel.store(true, Ordering::Relaxed);
        let error = waiting.join().unwrap().unwrap_err().message;
        assert!(error.contains("interrupted"), "{error}");
    });
}

#[test]
fn limits_name_themselves() {
    let repo = GitRepo::new();
    let deep = "d/".repeat(20) + "f";
    let commit = repo.commit(&[("big", &noise(1, 5000)), ("a", "1"), ("b", "2"), (&deep, "x")], "first");
    let server = GitServer::start(&repo);
    let limits = |change: fn(&mut GitLimits)| {
        let mut limits = GitLimits::default();
        change(&mut limits);
        Setup::with(limits)
    };

    let setup = limits(|limits| limits.max_file = 4999);
    let tree = setup.open(&server.url(), &commit).unwrap();
    let big = tree.lookup("big").unwrap().unwrap();
    let error = tree.read(&big.id).unwrap_err().message;
    assert!(error.contains("5000 bytes") && error.contains("limit of 4999"), "{error}");
    assert_eq!(content(&tree, "a"), "1");

    let setup = limits(|limits| limits.max_depth = 10);
    let tree = setup.open(&server.url(), &commit).unwrap();
    assert!(tree.lookup(&deep).unwrap_err().message.contains("deeper than 10"));

    let setup = limits(|limits| limits.max_entries = 3);
    let tree = setup.open(&server.url(), &commit).unwrap();
    assert!(tree.list("").unwrap_err().message.contains("more than 3"));

    let setup = limits(|limits| limits.max_transfer = 3000);
    let error = setup.open(&server.url(), &commit).unwrap_err();
    assert!(error.contains("limit exceeded"), "{error}");

    let setup = limits(|limits| limits.max_mirrors = 1);
    drop(setup.open(&server.url(), &commit).unwrap());
    let error = setup.open(&format!("{}/other.git", server.base()), &commit).unwrap_err();
    assert!(error.contains("limit of mirrors"), "{error}");

    let setup = limits(|limits| limits.local_repositories = false);
    let error = setup.list_error(repo.path().to_str().unwrap(), None);
    assert!(error.contains("switched off"), "{error}");
}

#[test]
fn urls_that_are_none_never_show_credentials() {
    let setup = Setup::new();
    for url in ["ftp://me:hunter2@host/x", "./repo", "ext::sh -c x", "ssh://-oProxyCommand=x/repo", "https://"] {
        let error = setup.mirrors.list_refs(url, None, &GO_ON).unwrap_err().message;
        assert!(error.contains("not usable") && !error.contains("hunter2"), "{error}");
    }
}
