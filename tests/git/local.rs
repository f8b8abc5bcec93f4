//! Repositories on the same disk.

use super::{GO_ON, Setup, content};
use crate::support::git::{GitRepo, git_command};

#[test]
fn paths_and_file_urls_are_read_where_they_are() {
    let repo = GitRepo::new();
    let first = repo.commit(&[("a", "1")], "first");
    repo.annotated_tag("v1", &first);
    let second = repo.commit(&[("a", "2")], "second");
    let setup = Setup::new();
    for url in [repo.path().to_str().unwrap().to_owned(), format!("file://{}", repo.path().display())] {
        let refs = setup.mirrors.list_refs(&url, None, &GO_ON).unwrap();
        assert_eq!(refs.head.as_ref(), Some(&second));
        assert_eq!(refs.refs.get("refs/tags/v1"), Some(&first));
        assert_eq!(refs.refs.len(), 2);
        assert_eq!(content(&setup.open(&url, &first).unwrap(), "a"), "1");
    }
    repo.prune();
    let url = repo.path().to_str().unwrap().to_owned();
    assert_eq!(content(&setup.open(&url, &second).unwrap(), "a"), "2", "packed");
    assert_eq!(setup.mirrors.list_refs(&url, None, &GO_ON).unwrap().refs.len(), 2, "packed refs");
    assert!(!setup.folder.path().join("mirrors").exists(), "nothing is copied");
    let missing = driftless::engine::ids::Revision::parse(&"12".repeat(20)).unwrap();
    assert!(setup.open(&url, &missing).unwrap_err().contains("was not found"));
}

#[test]
fn work_trees_are_repositories_other_folders_are_not() {
    let repo = GitRepo::new();
    let commit = repo.commit(&[("a", "1")], "first");
    let setup = Setup::new();
    let clone = setup.folder.path().join("clone");
    let output = git_command().arg("clone").arg("-q").arg(repo.path()).arg(&clone).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(content(&setup.open(clone.to_str().unwrap(), &commit).unwrap(), "a"), "1");
    for path in [setup.folder.path().to_str().unwrap(), "/nonexistent/repository"] {
        let error = setup.list_error(path, None);
        assert!(error.contains("was not found"), "{error}");
    }
}

#[test]
fn the_agents_own_mirrors_are_not_read() {
    let repo = GitRepo::new();
    let commit = repo.commit(&[("a", "1")], "first");
    let (server, setup) = (crate::support::git_server::GitServer::start(&repo), Setup::new());
    drop(setup.open(&server.url(), &commit).unwrap());
    let mirror = setup.generations().remove(0);
    let error = setup.open(mirror.to_str().unwrap(), &commit).unwrap_err();
    assert!(error.contains("own mirrors"), "{error}");
    // It is a repository, for people who look into it.
    let shown = git_command().arg("--git-dir").arg(&mirror).args(["show", &format!("{commit}:a")]).output().unwrap();
    assert_eq!(shown.stdout, b"1", "{shown:?}");
}

/// Runs itself again without a `PATH`: neither reading nor fetching over HTTP needs a program.
#[test]
fn no_program_is_needed() {
    const URLS: &str = "DRIFTLESS_TEST_URLS";
    if let Ok(given) = std::env::var(URLS) {
        let setup = Setup::new();
        for url in given.split(' ') {
            let head = setup.mirrors.list_refs(url, None, &GO_ON).unwrap().head.unwrap();
            assert_eq!(content(&setup.open(url, &head).unwrap(), "a"), "1");
        }
        println!("read everything");
        return;
    }
    let repo = GitRepo::new();
    repo.commit(&[("a", "1")], "first");
    let server = crate::support::git_server::GitServer::start(&repo);
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "git::local::no_program_is_needed", "--nocapture"])
        .env("PATH", "")
        .env(URLS, format!("{} {}", repo.path().display(), server.url()))
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("read everything"), "{shown}");
}
