//! The model of the API server where tests expect a control plane: over TLS, with the same users.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftless::sim::apiserver::ApiServer;
use driftless::sim::apiserver::access::User;
use driftless::sim::apiserver::lifecycle::Controllers;
use driftless::sim::serve::Face;
use driftless::sim::shared::Shared;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::control_plane::install_tls;
use super::git_server::{CA, tls};

/// Users, each a context, with the token `NAME-token`.
const USERS: [&str; 4] = ["admin", "alice", "bob", "agent"];

/// The users as the model knows them: all but `agent` may do everything.
pub(crate) fn accounts() -> Vec<(String, User)> {
    let group = |name| if name == "agent" { "driftless:agents" } else { "system:masters" };
    USERS.map(|name| (format!("{name}-token"), User::known(name, &[group(name)]))).into()
}

/// A model that is served until this is dropped.
#[derive(Debug)]
pub(super) struct ModelPlane {
    stopped: CancellationToken,
    runtime: Option<Runtime>,
}

impl ModelPlane {
    /// Starts one that collects garbage, and writes its kubeconfig into a folder.
    pub(super) fn start(folder: &Path) -> (Self, PathBuf) {
        install_tls();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let controllers = Controllers { namespaces: true, garbage: true, ..Controllers::default() };
        let server = ApiServer::new(1, controllers, accounts(), Timestamp::now());
        let shared = Shared::new(server, Arc::new(Timestamp::now));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let stopped = CancellationToken::new();
        let stop = stopped.clone();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            shared.serve_as(&Face { tls: Some(tls()) }, listener, stop).await;
        });

        let kubeconfig = folder.join("kubeconfig");
        let authority = folder.join("ca.pem");
        std::fs::write(&authority, CA).unwrap();
        let each = |entry: &dyn Fn(&str) -> String| USERS.map(entry).concat();
        let users = each(&|name| format!("- {{name: {name}, user: {{token: {name}-token}}}}\n"));
        let contexts = each(&|name| format!("- {{name: {name}, context: {{cluster: model, user: {name}}}}}\n"));
        let authority = authority.display();
        std::fs::write(
            &kubeconfig,
            format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: admin\nclusters:\n- name: model\n  cluster: {{server: \
                 \"https://{address}\", certificate-authority: {authority}}}\nusers:\n{users}contexts:\n{contexts}"
            ),
        )
        .unwrap();
        (Self { stopped, runtime: Some(runtime) }, kubeconfig)
    }
}

impl Drop for ModelPlane {
    fn drop(&mut self) {
        self.stopped.cancel();
        // It may be dropped where another runtime runs, in which nothing can be waited for.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}
