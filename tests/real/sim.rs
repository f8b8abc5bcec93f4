//! What is recorded of kube-apiserver is asked again: a recording that is not what the server answers fails. And the model is
//! asked beside it what nobody recorded.

use crate::sim::fuzz;
use crate::sim::model::Model;
use crate::sim::server::Http;
use crate::sim::{check, subjects};
use crate::support::control_plane::ControlPlane;

/// Random sequences of writes that the model answers as kube-apiserver does.
const SEQUENCES: u64 = 500;
/// Of these, how many it still answers otherwise. The number only gets lower.
const OPEN: usize = 34;

/// The server of a control plane.
fn server(plane: &ControlPlane) -> Http {
    crate::support::init();
    Http::new(&plane.kubectl(&["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"]))
}

/// Asks all subjects that want these controllers.
fn ask_again(controllers: &str) {
    let subjects: Vec<_> = subjects().into_iter().filter(|subject| subject.script.controllers == controllers).collect();
    if subjects.is_empty() {
        return;
    }
    let plane = ControlPlane::start(controllers);
    let mut server = server(&plane);
    let found: String = subjects.iter().map(|subject| check(subject, &mut server, false)).collect();
    assert!(found.is_empty(), "{found}");
}

#[test]
fn the_recordings_are_what_the_server_answers() {
    ask_again("");
}

#[test]
fn the_recordings_with_controllers_are_what_the_server_answers() {
    ask_again(crate::support::control_plane::GARBAGE_COLLECTION);
}

/// Else what follows would show nothing.
#[test]
fn random_writes_are_answered_alike_by_the_server_twice() {
    let plane = ControlPlane::start("");
    let found = fuzz::run(&mut server(&plane), &mut server(&plane), 50);
    assert_eq!(found.parted, 0, "{}", found.told);
}

#[test]
fn random_writes_are_answered_alike_by_the_model() {
    let plane = ControlPlane::start("");
    let found = fuzz::run(&mut server(&plane), &mut Model::new(1, ""), SEQUENCES);
    assert!(found.parted <= OPEN, "{} sequences, {OPEN} at most\n{}", found.parted, found.told);
}
