//! What is recorded of kube-apiserver is asked again: a recording that is not what the server answers fails.

use crate::sim::server::Http;
use crate::sim::{check, subjects};
use crate::support::control_plane::ControlPlane;

/// Asks all subjects that want these controllers.
fn ask_again(controllers: &str) {
    crate::support::init();
    let subjects: Vec<_> = subjects().into_iter().filter(|subject| subject.script.controllers == controllers).collect();
    if subjects.is_empty() {
        return;
    }
    let plane = ControlPlane::start(controllers);
    let address = plane.kubectl(&["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"]);
    let mut server = Http::new(&address);
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
