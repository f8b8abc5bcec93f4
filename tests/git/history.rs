//! Telling a push from a rewritten history, and what that costs.

use driftless::engine::ids::Revision;
use driftless::engine::revision::Ancestry::{self, Follows, Rewritten, Unknown};
use driftless::git::GitLimits;

use super::fetching::noise;
use super::{GO_ON, Setup};
use crate::support::git::GitRepo;
use crate::support::git_server::{Behaviour, GitServer};

/// Commits to `main`, one after the other.
fn push(repo: &GitRepo, count: usize) -> Vec<Revision> {
    let commit = |n| repo.commit(&[("a.yaml", &format!("{n}")), ("big", &noise(n as u64, 20_000))], "next");
    (0..count).map(commit).collect()
}

fn ask(setup: &Setup, url: &str, old: &Revision, new: &Revision) -> Result<Ancestry, String> {
    let told = setup.mirrors.ancestry(url, None, (old, new), Some("refs/heads/main"), &GO_ON);
    told.map_err(|error| error.message)
}

#[test]
fn a_commit_forth_back_or_in_its_place_needs_no_request() {
    let repo = GitRepo::new();
    let line = push(&repo, 4);
    repo.reset("main", &line[2]);
    let amended = repo.commit(&[("a.yaml", "amended")], "in the place of the last");
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    for commit in line.iter().skip(2).chain([&amended]) {
        drop(setup.open(&server.url(), commit).unwrap());
    }
    server.take_requests();
    let tree = setup.open(&server.url(), &line[3]).unwrap();
    assert_eq!(tree.ancestry(&line[2]).unwrap(), Follows);
    assert_eq!(tree.ancestry(&line[3]).unwrap(), Follows);
    assert_eq!(tree.ancestry(&amended).unwrap(), Rewritten);
    assert_eq!(tree.ancestry(&line[0]).unwrap(), Unknown, "a commit between is not at hand");
    assert_eq!(setup.open(&server.url(), &line[2]).unwrap().ancestry(&line[3]).unwrap(), Rewritten);
    assert_eq!(ask(&setup, &server.url(), &line[2], &line[3]), Ok(Follows));
    assert_eq!(server.take_requests().len(), 0);
}

#[test]
fn the_server_is_asked_for_commits_alone() {
    let repo = GitRepo::new();
    repo.git(&["config", "uploadpack.allowFilter", "true"]);
    let line = push(&repo, 100);
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    for commit in [&line[0], &line[60], &line[99]] {
        drop(setup.open(&server.url(), commit).unwrap());
    }
    let packs = setup.packs();
    server.take_requests();
    let cost = |old: &Revision, new: &Revision| {
        let told = ask(&setup, &server.url(), old, new);
        let requests = server.take_requests();
        (told, requests.len(), requests.iter().map(|request| request.answered).sum::<usize>())
    };
    let (told, requests, bytes) = cost(&line[60], &line[99]);
    assert_eq!((told, requests), (Ok(Follows), 2));
    assert!(bytes < 20_000, "{bytes}");
    // Another application of the repository asks the same.
    assert_eq!(cost(&line[60], &line[99]), (Ok(Follows), 0, 0));
    // Further than the first few.
    let (told, requests, bytes) = cost(&line[0], &line[99]);
    assert_eq!((told, requests), (Ok(Follows), 4));
    assert!(bytes < 60_000, "{bytes}");
    // Back, and beside: the older one was not a tip for long.
    repo.reset("main", &line[50]);
    let beside = push(&repo, 3).pop().unwrap();
    drop(setup.open(&server.url(), &beside).unwrap());
    server.take_requests();
    let (told, requests, bytes) = cost(&line[99], &beside);
    assert_eq!((told, requests), (Ok(Rewritten), 2));
    assert!(bytes < 20_000, "{bytes}");
    assert_eq!(setup.packs().len(), packs.len() + 1, "the mirror holds whole commits only");
    let mirror = super::only(&setup.folder.path().join("mirrors"));
    assert!(!mirror.join("scratch").exists());
    // What was fetched is as usable as before.
    assert_eq!(super::content(&setup.open(&server.url(), &line[60]).unwrap(), "a.yaml"), "60");
}

#[test]
fn an_older_commit_that_the_server_and_the_mirror_have_lost_is_in_no_history() {
    let repo = GitRepo::new();
    let line = push(&repo, 3);
    repo.reset("main", &line[0]);
    let rewritten = push(&repo, 5).pop().unwrap();
    repo.prune();
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    assert_eq!(ask(&setup, &server.url(), &line[2], &rewritten), Ok(Rewritten));
}

#[test]
fn what_can_not_be_told_is_unknown_or_an_error() {
    let repo = GitRepo::new();
    let line = push(&repo, 10);
    let limits = |history_depth| GitLimits { history_depth, ..GitLimits::default() };
    let (server, setup) = (GitServer::start(&repo), Setup::with(limits(5)));
    assert_eq!(ask(&setup, &server.url(), &line[0], &line[9]), Ok(Unknown), "further than the limit");
    assert_eq!(ask(&setup, &server.url(), &line[6], &line[9]), Ok(Follows));
    server.behave(Behaviour::RefuseShallow);
    assert_eq!(ask(&setup, &server.url(), &line[5], &line[9]), Ok(Unknown), "it does not hand out history");
    server.behave(Behaviour::Status(503));
    let error = ask(&setup, &server.url(), &line[4], &line[9]).unwrap_err();
    assert!(error.contains("503"), "{error}");
    server.behave(Behaviour::Serve);
    let missing = Revision::parse(&"12".repeat(20)).unwrap();
    assert!(ask(&setup, &server.url(), &line[9], &missing).unwrap_err().contains("was not found"));
}

#[test]
fn servers_that_can_not_leave_files_out_and_old_ones_tell_as_well() {
    for behaviour in [Behaviour::Serve, Behaviour::OldProtocol] {
        let repo = GitRepo::new();
        let line = push(&repo, 8);
        let (server, setup) = (GitServer::start(&repo), Setup::new());
        server.behave(behaviour.clone());
        drop(setup.open(&server.url(), &line[4]).unwrap());
        repo.reset("main", &line[3]);
        let beside = push(&repo, 2).pop().unwrap();
        assert_eq!(ask(&setup, &server.url(), &line[1], &beside), Ok(Follows), "{behaviour:?}");
        assert_eq!(ask(&setup, &server.url(), &line[4], &beside), Ok(Rewritten), "{behaviour:?}");
    }
}

#[test]
fn a_repository_on_the_same_disk_is_read_where_it_is() {
    let repo = GitRepo::new();
    let line = push(&repo, 30);
    repo.reset("main", &line[10]);
    let beside = push(&repo, 2).pop().unwrap();
    let setup = Setup::with(GitLimits { history_depth: 25, ..GitLimits::default() });
    let path = repo.path();
    let url = path.to_str().unwrap();
    assert_eq!(ask(&setup, url, &line[10], &line[29]), Ok(Follows));
    assert_eq!(ask(&setup, url, &line[29], &beside), Ok(Rewritten));
    assert_eq!(ask(&setup, url, &line[0], &line[29]), Ok(Unknown), "further than the limit");
}
