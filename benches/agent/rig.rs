//! What all phases work with: the control plane, the repository, the agent.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::Method;
use kube::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::cluster::{self, Watch};
use super::options::Options;
use super::process::{Agent, Setup};
use super::support::control_plane::ControlPlane;
use super::support::git::GitRepo;
use super::support::git_server::GitServer;
use super::work::{self, KINDS};

/// Connections of the benchmark that write at the same time; as many as the agent uses.
pub(crate) const CONNECTIONS: usize = 8;
/// User of the agents. Its requests are counted by a flow schema of their own.
const USER: &str = "agent";
/// That flow schema.
const FLOW: &str = "driftless-bench";
/// A sync of everything must have ended after this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1800);

/// The control plane and the main agent with its applications.
pub(crate) struct Rig {
    pub(crate) options: Options,
    // Dropped in this order: what needs the API server before the API server.
    pub(crate) main: Option<Main>,
    pub(crate) client: Client,
    folder: TempDir,
    pub(crate) plane: ControlPlane,
}

/// The agent that most phases look at, and its work.
pub(crate) struct Main {
    pub(crate) agent: Agent,
    pub(crate) site: Site,
    /// Applications.
    pub(crate) apps: Watch,
    /// The ConfigMaps of the applications.
    pub(crate) maps: Watch,
}

/// A namespace with Applications, and their repository.
pub(crate) struct Site {
    pub(crate) setup: Setup,
    pub(crate) repository: GitRepo,
    server: GitServer,
    /// Names of the applications; each has a namespace of that name.
    pub(crate) names: Vec<String>,
    /// Objects of each application.
    pub(crate) objects: u32,
    /// The newest commit.
    pub(crate) head: String,
}

impl Rig {
    /// Starts the control plane, and lets the agents do everything.
    pub(crate) async fn start(options: &Options) -> anyhow::Result<Self> {
        let plane = ControlPlane::start(&options.controllers);
        let client = plane.client("admin").await;
        let folder = TempDir::new()?;
        let crds = std::process::Command::new(env!("CARGO_BIN_EXE_driftless")).arg("crds").output()?;
        ensure!(crds.status.success(), "driftless crds: {}", String::from_utf8_lossy(&crds.stderr));
        let file = folder.path().join("setup.yaml");
        std::fs::write(&file, [crds.stdout.as_slice(), b"\n---\n", rights().as_bytes()].concat())?;
        plane.kubectl(&["apply", "--server-side", "-f", file.to_str().context("a path in UTF-8")?]);
        plane.kubectl(&["wait", "--for=condition=Established", "crd/applications.argoproj.io", "--timeout=60s"]);
        Ok(Self { options: options.clone(), plane, client, main: None, folder })
    }

    /// Version of the API server.
    pub(crate) async fn version(&self) -> anyhow::Result<String> {
        let version = self.client.apiserver_version().await?;
        Ok(format!(
            "kube-apiserver {}, etcd without fsync, controllers {}",
            version.git_version, self.options.controllers
        ))
    }

    /// The main agent; the cold run has made it.
    pub(crate) fn main(&self) -> anyhow::Result<&Main> {
        self.main.as_ref().context("there was no cold run")
    }

    /// End of the main agent's log.
    pub(crate) fn agent_log(&self) -> String {
        self.main.as_ref().map(|main| main.agent.log()).unwrap_or_default()
    }

    /// A repository with `apps` applications of `objects` objects, and a namespace for their Applications.
    pub(crate) async fn site(&self, name: &str, apps: u32, objects: u32) -> anyhow::Result<Site> {
        let names: Vec<String> = (0..apps).map(|index| format!("{name}-{index:03}")).collect();
        let files: Vec<(String, String)> = names.iter().flat_map(|app| work::files(app, objects)).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let repository = GitRepo::new();
        let head = repository.commit(&files, "all applications").as_str().to_owned();
        let server = GitServer::start(&repository);
        self.namespace(name).await?;
        let setup = Setup {
            kubeconfig: self.plane.kubeconfig().to_owned(),
            user: USER,
            namespace: name.to_owned(),
            instance: driftless::engine::hash::Hash::of(name.as_bytes())
                .to_string()
                .get(..16)
                .unwrap_or_default()
                .into(),
            data: self.folder.path().join(name),
        };
        Ok(Site { setup, repository, server, names, objects, head })
    }

    /// Makes a namespace.
    pub(crate) async fn namespace(&self, name: &str) -> anyhow::Result<()> {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        cluster::send(&self.client, Method::POST, "/api/v1/namespaces", "application/json", &body).await.map(|_| ())
    }

    /// Creates the Applications of a site, and waits until all are synced. Returns how long that took.
    pub(crate) async fn sync(&self, site: &Site, apps: &Watch) -> anyhow::Result<Duration> {
        let mut follow = apps.follow();
        let url = site.server.url();
        let path = application_path(&site.setup.namespace, "");
        let path = path.trim_end_matches('/');
        let begun = Instant::now();
        let creations = futures_util::stream::iter(&site.names).map(|name| {
            let body = work::application(name, &site.setup.namespace, &url);
            async move { cluster::send(&self.client, Method::POST, path, "application/json", &body).await.map(|_| ()) }
        });
        creations.buffer_unordered(CONNECTIONS).try_collect::<Vec<()>>().await?;
        let mut open: std::collections::BTreeSet<&str> = site.names.iter().map(String::as_str).collect();
        let last = follow.until("all Applications Synced", PATIENCE, |seen| {
            if seen.namespace() == site.setup.namespace && seen.synced(&site.head) {
                open.remove(seen.name());
            }
            open.is_empty()
        });
        let took = last.await?.at.duration_since(begun);
        self.verify(site).await?;
        Ok(took)
    }

    /// Whether exactly the site's objects are in the cluster, with the values of Git, and every Application says so.
    pub(crate) async fn verify(&self, site: &Site) -> anyhow::Result<()> {
        let label = format!("driftless.dev/instance={}", site.setup.instance);
        for kind in &KINDS {
            let path = kind.path("x").replace("/namespaces/x", "");
            let text = cluster::read(&self.client, &format!("{path}?labelSelector={label}")).await?;
            let list: Value = serde_json::from_str(&text)?;
            let found = list["items"].as_array().map_or(0, Vec::len);
            let wanted = kind.share(site.objects) as usize * site.names.len();
            ensure!(found == wanted, "{found} instead of {wanted} {} in the cluster", kind.plural);
            let edited = list["items"].as_array().into_iter().flatten();
            let edited = edited.filter(|item| item["data"]["colour"] == super::phases::edits::EDITED).count();
            ensure!(edited == 0, "{edited} edits are still there");
        }
        let text =
            cluster::read(&self.client, application_path(&site.setup.namespace, "").trim_end_matches('/')).await?;
        let list: Value = serde_json::from_str(&text)?;
        for app in list["items"].as_array().into_iter().flatten() {
            let (name, status) = (&app["metadata"]["name"], &app["status"]);
            ensure!(
                status["sync"]["status"] == "Synced",
                "{name} is {}: {}",
                status["sync"]["status"],
                status["conditions"]
            );
            ensure!(status["sync"]["revision"] == site.head, "{name} is at {}", status["sync"]["revision"]);
            let objects = status["resources"].as_array().map_or(0, Vec::len);
            ensure!(objects == site.objects as usize, "{name} shows {objects} objects");
        }
        Ok(())
    }

    /// Waits until every Application of the site is healthy: the controllers roll workloads out for long after the applies,
    /// and each step of that is told in a status.
    pub(crate) async fn healthy(&self, site: &Site) -> anyhow::Result<()> {
        let path = application_path(&site.setup.namespace, "");
        let begun = Instant::now();
        loop {
            let list: Value = serde_json::from_str(&cluster::read(&self.client, path.trim_end_matches('/')).await?)?;
            let apps = list["items"].as_array().into_iter().flatten();
            let open = apps.filter(|app| app["status"]["health"]["status"] != "Healthy").count();
            if open == 0 {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "{open} Applications are not healthy");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Requests of the agents, as the API server has counted them.
    pub(crate) async fn served(&self) -> anyhow::Result<f64> {
        let text = cluster::read(&self.client, "/metrics").await?;
        let ours = |line: &&str| {
            line.starts_with("apiserver_flowcontrol_dispatched_requests_total{")
                && line.contains(&format!("flow_schema=\"{FLOW}\""))
        };
        Ok(text.lines().filter(ours).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}

/// Path of an Application.
pub(crate) fn application_path(namespace: &str, name: &str) -> String {
    format!("/apis/argoproj.io/v1alpha1/namespaces/{namespace}/applications/{name}")
}

/// What the agents may do, and the flow schema that their requests are counted by.
fn rights() -> String {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": FLOW},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
    });
    let flow = json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": {"name": FLOW},
        "spec": {
            "matchingPrecedence": 2,
            // As the benchmark's own requests, and those of the peers.
            "priorityLevelConfiguration": {"name": "exempt"},
            "rules": [{
                "subjects": [{"kind": "User", "user": {"name": USER}}],
                "resourceRules": [{
                    "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true,
                }],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            }],
        },
    });
    format!("{binding}\n---\n{flow}\n")
}
