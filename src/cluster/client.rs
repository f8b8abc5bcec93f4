//! Clients for the API server, and whose identity they act under.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::client::ClientBuilder;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::observe::{ObserverLayer, RequestObserver};

/// How long opening a connection may take. What a request may take is decided where it is sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for the Lease, whose renewals can't wait.
const LEASE_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Which API server, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// Kubeconfig to read. Without it and without `context`: the identity of the pod that this process runs in.
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig (of `KUBECONFIG` or `~/.kube/config` if none is named); its current one if absent.
    pub context: Option<String>,
}

/// The clients of one cluster. They share nothing: load on one can't hold up another. None retries by itself, so that
/// every retry is bounded and seen where it is decided.
#[derive(Clone)]
pub struct Clients {
    /// For lists, watches and single reads.
    pub watch: Client,
    /// For writes.
    pub write: Client,
    /// For the Lease only.
    pub lease: Client,
    /// Namespace of the pod, or of the kubeconfig's context.
    pub namespace: String,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not in a pod, or its service account is not mounted.
    #[error(
        "no in-cluster identity: {0}; run in a pod with a mounted service account token, or name a kubeconfig or context"
    )]
    InCluster(#[source] InClusterError),
    /// The kubeconfig can't be used.
    #[error("kubeconfig{}: {source}", .path.as_deref().map(|path| format!(" {}", path.display())).unwrap_or_default())]
    Kubeconfig {
        /// The file that was asked for; `None`: the default one.
        path: Option<PathBuf>,
        /// What is wrong with it.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// The configuration names something that can't be set up (a proxy, a certificate, an auth plugin).
    #[error("setting up a client for {server}: {source}")]
    Setup {
        /// URL of the API server.
        server: String,
        /// What is wrong.
        #[source]
        source: Box<kube::Error>,
    },
}

impl Clients {
    /// Reads the configuration and sets up the clients. Sends nothing. Each request is reported to `observer`.
    pub async fn connect(settings: &ClientSettings, observer: Arc<dyn RequestObserver>) -> Result<Self, ClientError> {
        let mut config = configuration(settings).await?;
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.headers.push((USER_AGENT, user_agent()));
        let namespace = config.default_namespace.clone();
        let mut lease = config.clone();
        lease.connect_timeout = Some(LEASE_CONNECT_TIMEOUT);
        Ok(Self {
            watch: client(config.clone(), &observer)?,
            write: client(config, &observer)?,
            lease: client(lease, &observer)?,
            namespace,
        })
    }
}

async fn configuration(settings: &ClientSettings) -> Result<Config, ClientError> {
    let failed = |source| ClientError::Kubeconfig { path: settings.kubeconfig.clone(), source: Box::new(source) };
    let options = KubeConfigOptions { context: settings.context.clone(), ..KubeConfigOptions::default() };
    match &settings.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(failed)
        }
        None if settings.context.is_some() => Config::from_kubeconfig(&options).await.map_err(failed),
        // Not `Config::infer`: it would prefer a kubeconfig that happens to lie in the image.
        None => Config::incluster().map_err(ClientError::InCluster),
    }
}

fn client(config: Config, observer: &Arc<dyn RequestObserver>) -> Result<Client, ClientError> {
    let server = config.cluster_url.to_string();
    let builder =
        ClientBuilder::try_from(config).map_err(|source| ClientError::Setup { server, source: Box::new(source) })?;
    Ok(builder.with_layer(&ObserverLayer::new(observer.clone())).build())
}

fn user_agent() -> HeaderValue {
    HeaderValue::from_static(concat!("driftless/", env!("CARGO_PKG_VERSION")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::observe::Unobserved;

    const KUBECONFIG: &str = r#"
apiVersion: v1
kind: Config
current-context: one
clusters:
- {name: plain, cluster: {server: "http://127.0.0.1:8001"}}
users:
- {name: nobody, user: {}}
contexts:
- {name: one, context: {cluster: plain, user: nobody, namespace: tools}}
- {name: two, context: {cluster: plain, user: nobody}}
"#;

    fn observer() -> Arc<dyn RequestObserver> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Arc::new(Unobserved)
    }

    #[tokio::test]
    async fn kubeconfigs_with_plain_http_servers_work() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, KUBECONFIG).unwrap();
        for (context, namespace) in [(None, "tools"), (Some("two"), "default")] {
            let settings = ClientSettings { kubeconfig: Some(path.clone()), context: context.map(str::to_owned) };
            let clients = Clients::connect(&settings, observer()).await.unwrap();
            assert_eq!(clients.namespace, namespace);
        }
    }

    #[tokio::test]
    async fn errors_name_the_file_and_the_context() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let missing = ClientSettings { kubeconfig: Some(path.clone()), context: None };
        let error = Clients::connect(&missing, observer()).await.err().unwrap().to_string();
        assert!(error.contains("config"), "{error}");
        std::fs::write(&path, KUBECONFIG).unwrap();
        let wrong = ClientSettings { kubeconfig: Some(path), context: Some("three".into()) };
        let error = Clients::connect(&wrong, observer()).await.err().unwrap().to_string();
        assert!(error.contains("three"), "{error}");
    }
}
