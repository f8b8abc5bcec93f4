//! What tests of several subjects need.

pub(crate) mod agent;
pub(crate) mod apps;
pub(crate) mod control_plane;
pub(crate) mod git;
pub(crate) mod git_server;
pub(crate) mod model_plane;
pub(crate) mod proxy;
pub(crate) mod request;
pub(crate) mod sandbox;

use std::sync::Once;

/// Installs the TLS provider of the process, as `main` does. To be called before anything that makes a TLS connection.
pub(crate) fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _installed_by_another_test = rustls::crypto::ring::default_provider().install_default();
    });
}
