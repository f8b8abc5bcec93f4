//! What the benchmark shares with the tests.

#[path = "../../tests/support/control_plane.rs"]
pub(crate) mod control_plane;
#[path = "../../tests/support/git.rs"]
pub(crate) mod git;
#[path = "../../tests/support/git_server.rs"]
pub(crate) mod git_server;
#[path = "../../tests/support/model_plane.rs"]
mod model_plane;

/// Installs the TLS provider of the process, as `main` does.
pub(crate) fn init() {
    control_plane::install_tls();
}
