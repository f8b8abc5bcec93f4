//! The sandbox's tour with the real kubectl.

use std::path::Path;

use crate::support::control_plane;
use crate::support::sandbox::{Surroundings, take_the_tour};

#[test]
fn every_line_of_the_tour_works_with_kubectl() {
    let kubectl = control_plane::kubectl();
    let mut sandbox = Surroundings::new(Some(Path::new(&kubectl))).sandbox(&[]);
    take_the_tour(&mut sandbox);
    assert_eq!(sandbox.told.matches("  kubectl --kubeconfig").count(), 3, "{}", sandbox.told);
    let (code, left) = sandbox.end("INT");
    assert_eq!((code, std::fs::read_dir(left.path()).unwrap().count()), (Some(0), 0));
}
