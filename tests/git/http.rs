//! Credentials, certificates and redirects over HTTP.

use super::{GO_ON, Setup, content, credentials};
use crate::support::git::GitRepo;
use crate::support::git_server::{Behaviour, CA, GitServer};

#[test]
fn basic_authentication_is_sent_at_once() {
    let repo = GitRepo::new();
    let commit = repo.commit(&[("a", "1")], "first");
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    server.require("me", "hunter2");
    let good = credentials(&server.url(), &[("username", "me"), ("password", "hunter2")]);
    let tree = setup.mirrors.open(&server.url(), Some(&good), &commit, None, &GO_ON).unwrap();
    assert_eq!(content(&tree, "a"), "1");
    let requests = server.take_requests();
    assert!(requests.len() == 2 && requests.iter().all(|request| request.authorization.is_some()), "{requests:?}");

    let bad = credentials(&server.url(), &[("username", "me"), ("password", "wrong-hunter3")]);
    let error = setup.list_error(&server.url(), Some(&bad));
    assert!(error.contains("the credentials were refused") && !error.contains("hunter"), "{error}");
    let error = setup.list_error(&server.url(), None);
    assert!(error.contains("credentials are needed"), "{error}");

    // Credentials in the URL are used, too, but never shown.
    let url = server.url().replace("http://", "http://me:hunter2@");
    setup.mirrors.list_refs(&url, None, &GO_ON).unwrap();
    let error = setup.list_error(&url.replace("hunter2", "hunter4"), None);
    assert!(error.contains("authentication failed") && !error.contains("hunter"), "{error}");
    assert_eq!(driftless::git::key(&url).unwrap(), driftless::git::key(&server.url()).unwrap());
}

#[test]
fn what_a_server_repeats_of_the_credentials_is_masked() {
    let repo = GitRepo::new();
    let commit = repo.commit(&[("a", "1")], "first");
    let (server, setup) = (GitServer::start(&repo), Setup::new());
    server.behave(Behaviour::Refuse("bad token hunter2 or bWU6aHVudGVyMg==".into()));
    let known = credentials(&server.url(), &[("username", "me"), ("password", "hunter2")]);
    let error = setup.mirrors.open(&server.url(), Some(&known), &commit, None, &GO_ON).unwrap_err().message;
    assert!(error.contains("bad token") && !error.contains("hunter2") && !error.contains("bWU6"), "{error}");
}

#[test]
fn certificates_are_verified_against_the_own_ca() {
    let repo = GitRepo::new();
    let commit = repo.commit(&[("a", "1")], "first");
    let (server, setup) = (GitServer::start_tls(&repo), Setup::new());
    let error = setup.list_error(&server.url(), None);
    assert!(error.contains("certificate was refused") && error.contains("ca.crt"), "{error}");

    let trusting = credentials(&server.url(), &[("ca.crt", CA)]);
    let tree = setup.mirrors.open(&server.url(), Some(&trusting), &commit, None, &GO_ON).unwrap();
    assert_eq!(content(&tree, "a"), "1");
    let careless = credentials(&server.url(), &[("insecure", "true")]);
    setup.mirrors.list_refs(&server.url(), Some(&careless), &GO_ON).unwrap();
    let broken = credentials(&server.url(), &[("ca.crt", "no certificate")]);
    assert!(setup.list_error(&server.url(), Some(&broken)).contains("ca.crt holds no certificate"));
}

#[test]
fn redirects_are_followed_without_the_credentials() {
    let repo = GitRepo::new();
    let commit = repo.commit(&[("a", "1")], "first");
    let (front, back, setup) = (GitServer::start(&repo), GitServer::start(&repo), Setup::new());
    front.behave(Behaviour::Redirect(back.base()));
    let known = credentials(&front.url(), &[("username", "me"), ("password", "hunter2")]);
    let tree = setup.mirrors.open(&front.url(), Some(&known), &commit, None, &GO_ON).unwrap();
    assert_eq!(content(&tree, "a"), "1");
    assert!(front.take_requests().iter().all(|request| request.authorization.is_some()));
    let requests = back.take_requests();
    assert_eq!(requests.len(), 2, "the rest of the conversation goes there: {requests:?}");
    assert!(requests.iter().all(|request| request.authorization.is_none()), "{requests:?}");
}

#[test]
fn redirects_that_lead_elsewhere_or_never_end_are_refused() {
    let repo = GitRepo::new();
    let (server, secure, setup) = (GitServer::start(&repo), GitServer::start_tls(&repo), Setup::new());
    server.behave(Behaviour::Redirect(server.base()));
    assert!(setup.list_error(&server.url(), None).contains("more than 5 redirects"));
    server.behave(Behaviour::Redirect("http://127.0.0.1:1/login?from=".into()));
    let error = setup.list_error(&server.url(), None);
    assert!(error.contains("127.0.0.1"), "{error}");
    // Never from https to http.
    secure.behave(Behaviour::Redirect(server.base()));
    let trusting = credentials(&secure.url(), &[("ca.crt", CA)]);
    let error = setup.list_error(&secure.url(), Some(&trusting));
    assert!(error.contains("redirect") && error.contains("can't be followed"), "{error}");
}
