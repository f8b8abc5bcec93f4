//! The settings of the agent, each declared once: flag, environment variable, key of the settings file, default, help.
//!
//! A flag wins over the environment, the environment over the file of `--config`, the file over the default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

mod file;
mod lease;
mod limits;
#[cfg(test)]
mod tests;
mod values;

pub use file::{SettingsFileError, with_defaults};
pub use lease::{LeasePreset, LeaseSettings};
pub use values::{Bytes, LoadRestrictor, Namespaces};

use crate::render::remote::RemoteBases;

/// Namespace of the agent where nothing says another.
const DEFAULT_NAMESPACE: &str = "driftless";
/// Namespace that Argo CD's users keep their Applications and repository Secrets in.
const ARGO_CD_NAMESPACE: &str = "argocd";
/// Where Kubernetes tells a pod its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Every setting of `driftless run`.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// YAML file with settings: one key for each flag, in kebab-case or camelCase [default: none]
    #[arg(long, env = "DRIFTLESS_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The cluster and what is read in it.
    #[command(flatten)]
    pub cluster: ClusterSettings,
    /// Git.
    #[command(flatten)]
    pub git: GitSettings,
    /// Rendering.
    #[command(flatten)]
    pub render: RenderSettings,
    /// Pruning and drift.
    #[command(flatten)]
    pub sync: SyncSettings,
    /// Election.
    #[command(flatten)]
    pub lease: LeaseSettings,
    /// HTTP.
    #[command(flatten)]
    pub http: HttpSettings,
    /// Logs.
    #[command(flatten)]
    pub log: LogSettings,
    /// What the process finds around it.
    #[arg(skip)]
    pub surroundings: Surroundings,
}

/// Which cluster, as whom, and what is read in it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterSettings {
    /// Kubeconfig file [default: in a pod its service account, else $KUBECONFIG or ~/.kube/config]
    #[arg(long, env = "DRIFTLESS_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current context]
    #[arg(long, env = "DRIFTLESS_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace of the agent: its Lease and its own Secrets [default: the pod's, else `driftless`]
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME", value_parser = values::namespace)]
    pub namespace: Option<String>,
    /// Namespaces whose Applications are served: names with commas between, or `*` [default: the agent's and `argocd`]
    #[arg(long, env = "DRIFTLESS_APPLICATION_NAMESPACES", value_name = "NAMES")]
    pub application_namespaces: Option<Namespaces>,
    /// Namespaces whose repository Secrets are read: names with commas between, or `*` [default: the agent's and `argocd`]
    #[arg(long, env = "DRIFTLESS_REPOSITORY_SECRET_NAMESPACES", value_name = "NAMES")]
    pub repository_secret_namespaces: Option<Namespaces>,
    /// Installation id, 16 hexadecimal digits, that marks the objects of this installation; changing it disowns every
    /// object [default: one id for all replicas, made by the agent]
    #[arg(long, env = "DRIFTLESS_INSTANCE", value_name = "ID", value_parser = values::instance)]
    pub instance: Option<String>,
    /// Folder for the store (store.redb) and the Git mirrors (git/), on a local disk
    #[arg(long, env = "DRIFTLESS_DATA_DIR", value_name = "DIR", default_value = "/var/lib/driftless")]
    pub data_dir: PathBuf,
    /// Most writes to the API server at the same time (1 to 64)
    #[arg(long, env = "DRIFTLESS_APPLY_CONCURRENCY", value_name = "N", default_value = "8", value_parser = count(1, 64))]
    pub apply_concurrency: u32,
    /// How long the API server may take for one request
    #[arg(long, env = "DRIFTLESS_REQUEST_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = values::positive_duration)]
    pub request_timeout: Duration,
}

/// Repositories: how often they are asked, and how much of them is read.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Git")]
pub struct GitSettings {
    /// How often the refs of a repository are listed
    #[arg(long, env = "DRIFTLESS_POLL_INTERVAL", value_name = "DURATION", default_value = "2m", value_parser = values::positive_duration)]
    pub poll_interval: Duration,
    /// At most this much is added to each poll interval, at random
    #[arg(long, env = "DRIFTLESS_POLL_JITTER", value_name = "DURATION", default_value = "30s", value_parser = values::duration)]
    pub poll_jitter: Duration,
    /// How long one listing or fetch of a repository may take
    #[arg(long, env = "DRIFTLESS_GIT_TIMEOUT", value_name = "DURATION", default_value = "2m", value_parser = values::positive_duration)]
    pub git_timeout: Duration,
    /// Most bytes that one fetch receives
    #[arg(long, env = "DRIFTLESS_GIT_MAX_TRANSFER", value_name = "SIZE", default_value = "1Gi")]
    pub git_max_transfer: Bytes,
    /// Largest file that is read from a mirror, in bytes
    #[arg(long, env = "DRIFTLESS_GIT_MAX_FILE_SIZE", value_name = "SIZE", default_value = "16Mi")]
    pub git_max_file_size: Bytes,
    /// Most files and folders that are looked at in one commit
    #[arg(long, env = "DRIFTLESS_GIT_MAX_ENTRIES", value_name = "N", default_value = "1000000", value_parser = count(1, 100_000_000))]
    pub git_max_entries: u32,
    /// Deepest nesting of folders that is read
    #[arg(long, env = "DRIFTLESS_GIT_MAX_DEPTH", value_name = "N", default_value = "64", value_parser = count(1, 1_000))]
    pub git_max_depth: u32,
    /// Packs of a mirror, of which each fetch adds one, after which it is made anew
    #[arg(long, env = "DRIFTLESS_GIT_MAX_PACKS", value_name = "N", default_value = "50", value_parser = count(1, 1_000))]
    pub git_max_packs: u32,
    /// Most repositories that are mirrored
    #[arg(long, env = "DRIFTLESS_GIT_MAX_MIRRORS", value_name = "N", default_value = "1000", value_parser = count(1, 100_000))]
    pub git_max_mirrors: u32,
    /// Most commits that are followed back to tell whether a branch was rewritten, where something would be pruned; 0: never
    /// asked, and what a force-push leaves out is pruned like anything else that left Git
    #[arg(long, env = "DRIFTLESS_GIT_HISTORY_DEPTH", value_name = "N", default_value = "1000", value_parser = count(0, 100_000))]
    pub git_history_depth: u32,
    /// Host keys for Git over ssh, in OpenSSH's known_hosts format [default: ssh's own files]
    #[arg(long, env = "DRIFTLESS_KNOWN_HOSTS", value_name = "FILE")]
    pub known_hosts: Option<PathBuf>,
    /// Whether a repoURL may be a path or file:// URL on the agent's disk [default: false in a pod, else true]
    #[arg(long, env = "DRIFTLESS_ALLOW_LOCAL_REPOSITORIES", value_name = "BOOL")]
    pub allow_local_repositories: Option<bool>,
}

/// What renderings may use, and how much they may produce.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Rendering")]
pub struct RenderSettings {
    /// Largest file of manifests, in bytes
    #[arg(long, env = "DRIFTLESS_RENDER_MAX_FILE_SIZE", value_name = "SIZE", default_value = "10Mi")]
    pub render_max_file_size: Bytes,
    /// Most files that one application reads
    #[arg(long, env = "DRIFTLESS_RENDER_MAX_FILES", value_name = "N", default_value = "10000", value_parser = count(1, 1_000_000))]
    pub render_max_files: u32,
    /// Most bytes of all files that one application reads
    #[arg(long, env = "DRIFTLESS_RENDER_MAX_TOTAL_SIZE", value_name = "SIZE", default_value = "100Mi")]
    pub render_max_total_size: Bytes,
    /// How many folders a file may be below the path of its application
    #[arg(long, env = "DRIFTLESS_RENDER_MAX_FOLDER_DEPTH", value_name = "N", default_value = "32", value_parser = count(1, 1_000))]
    pub render_max_folder_depth: u32,
    /// Most objects of one application
    #[arg(long, env = "DRIFTLESS_RENDER_MAX_OBJECTS", value_name = "N", default_value = "20000", value_parser = count(1, 1_000_000))]
    pub render_max_objects: u32,
    /// Largest object as canonical JSON, in bytes; what is much larger does not fit into etcd
    #[arg(long, env = "DRIFTLESS_RENDER_MAX_OBJECT_SIZE", value_name = "SIZE", default_value = "1536Ki")]
    pub render_max_object_size: Bytes,
    /// Git repositories that kustomizations may build on beside their own: URLs with commas between, each for all below it;
    /// only full commit ids of them are followed [default: none]
    #[arg(long, env = "DRIFTLESS_KUSTOMIZE_REMOTE_BASES", value_name = "URLS")]
    pub kustomize_remote_bases: Option<RemoteBases>,
    /// Which files kustomizations may read: LoadRestrictionsRootOnly for those in their own folder and below, or
    /// LoadRestrictionsNone, as Flux builds, for all in the repository
    #[arg(
        long,
        env = "DRIFTLESS_KUSTOMIZE_LOAD_RESTRICTOR",
        value_name = "NAME",
        default_value = "LoadRestrictionsRootOnly"
    )]
    pub kustomize_load_restrictor: LoadRestrictor,
}

/// What keeps pruning safe and heals from fighting.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Pruning and drift")]
pub struct SyncSettings {
    /// A commit that would prune more than this share of an application, in percent, waits to be confirmed
    #[arg(long, env = "DRIFTLESS_PRUNE_GUARD_PERCENT", value_name = "PERCENT", default_value = "50", value_parser = count(0, 100))]
    pub prune_guard_percent: u32,
    /// The prune guard looks at applications of at least this many objects
    #[arg(long, env = "DRIFTLESS_PRUNE_GUARD_MIN_OBJECTS", value_name = "N", default_value = "10", value_parser = count(0, 1_000_000))]
    pub prune_guard_min_objects: u32,
    /// How long a prune waits for the other applications of the same repository to try the revision
    #[arg(long, env = "DRIFTLESS_PRUNE_WAIT", value_name = "DURATION", default_value = "1m", value_parser = values::duration)]
    pub prune_wait: Duration,
    /// Heals of one object within the contest window before it counts as contested
    #[arg(long, env = "DRIFTLESS_CONTEST_HEALS", value_name = "N", default_value = "20", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub contest_heals: u16,
    /// The contest window
    #[arg(long, env = "DRIFTLESS_CONTEST_WINDOW", value_name = "DURATION", default_value = "1m", value_parser = values::positive_duration)]
    pub contest_window: Duration,
    /// Pause between heals of an object that has become contested; doubles with each heal
    #[arg(long, env = "DRIFTLESS_CONTEST_MIN_PAUSE", value_name = "DURATION", default_value = "10s", value_parser = values::positive_duration)]
    pub contest_min_pause: Duration,
    /// Longest pause between heals of a contested object
    #[arg(long, env = "DRIFTLESS_CONTEST_MAX_PAUSE", value_name = "DURATION", default_value = "5m", value_parser = values::positive_duration)]
    pub contest_max_pause: Duration,
    /// A contested object that needs no heal for this long is contested no more
    #[arg(long, env = "DRIFTLESS_CONTEST_CALM", value_name = "DURATION", default_value = "5m", value_parser = values::positive_duration)]
    pub contest_calm: Duration,
}

/// Where the agent listens.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpSettings {
    /// Address of health checks and metrics
    #[arg(long, env = "DRIFTLESS_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Address of the API; loopback only, for it asks nobody who they are
    #[arg(long, env = "DRIFTLESS_API_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub api_listen: SocketAddr,
}

/// How the agent logs, on standard error.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogSettings {
    /// Form of the log lines
    #[arg(long, env = "DRIFTLESS_LOG_FORMAT", value_name = "FORMAT", default_value = "json")]
    pub log_format: LogFormat,
    /// Least level that is logged: error, warn, info, debug or trace; for one part as `target=level`, with commas between
    #[arg(long, env = "DRIFTLESS_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object in a line.
    Json,
    /// For people.
    Text,
}

/// What the process finds around it, read once at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The process runs in a pod.
    pub in_pod: bool,
    /// Namespace of that pod, as its service account says.
    pub namespace: Option<String>,
}

impl Surroundings {
    /// Reads the environment and the service account's files.
    pub fn detect() -> Self {
        let in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty());
        let namespace = std::fs::read_to_string(Path::new(NAMESPACE_FILE)).ok();
        let namespace = namespace.and_then(|name| values::namespace(name.trim()).ok());
        Self { in_pod, namespace: namespace.filter(|_| in_pod) }
    }
}

/// As whom the agent speaks to the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The service account of its pod.
    ServiceAccount,
    /// A kubeconfig: the one named, or what `$KUBECONFIG` and `~/.kube/config` say.
    Kubeconfig {
        /// File.
        file: Option<PathBuf>,
        /// Context; the file's current one if absent.
        context: Option<String>,
    },
}

/// Settings that contradict each other or promise what can't be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{flag}: {problem}")]
pub struct SettingsError {
    flag: &'static str,
    problem: String,
}

impl SettingsError {
    fn new(flag: &'static str, problem: impl Into<String>) -> Self {
        Self { flag, problem: problem.into() }
    }
}

impl Settings {
    /// As whom to speak to the API server: a kubeconfig or context that was named wins; else the pod's service account;
    /// else the kubeconfig that kubectl would use.
    pub fn identity(&self) -> Identity {
        let cluster = &self.cluster;
        if self.surroundings.in_pod && cluster.kubeconfig.is_none() && cluster.context.is_none() {
            return Identity::ServiceAccount;
        }
        Identity::Kubeconfig { file: cluster.kubeconfig.clone(), context: cluster.context.clone() }
    }

    /// Namespace of the agent.
    pub fn namespace(&self) -> &str {
        let found = self.cluster.namespace.as_deref().or(self.surroundings.namespace.as_deref());
        found.unwrap_or(DEFAULT_NAMESPACE)
    }

    /// Namespaces whose Applications are served.
    pub fn application_namespaces(&self) -> Namespaces {
        self.cluster.application_namespaces.clone().unwrap_or_else(|| self.usual_namespaces())
    }

    /// Namespaces whose repository Secrets are read.
    pub fn repository_secret_namespaces(&self) -> Namespaces {
        self.cluster.repository_secret_namespaces.clone().unwrap_or_else(|| self.usual_namespaces())
    }

    /// Whether a repository may be a folder on the agent's disk. Not in a pod unless allowed: there, whoever may write an
    /// Application could have the agent read its own volumes.
    pub fn allow_local_repositories(&self) -> bool {
        self.git.allow_local_repositories.unwrap_or(!self.surroundings.in_pod)
    }

    /// How long one write may take: at most what is sure to be left of a leader's time when the write begins, for a write
    /// that may outlast it is never begun. In the worst case a renewal was due and has just taken as long as it may.
    pub fn write_timeout(&self) -> Duration {
        let times = self.lease.times().unwrap_or_default();
        let left = times.validity().saturating_sub(times.renew_period()).saturating_sub(times.request_timeout());
        self.cluster.request_timeout.min(left)
    }

    /// File of the store.
    pub fn store_file(&self) -> PathBuf {
        self.cluster.data_dir.join("store.redb")
    }

    /// Folder of the Git mirrors.
    pub fn git_folder(&self) -> PathBuf {
        self.cluster.data_dir.join("git")
    }

    /// Checks what no single value can: addresses, the times of the Lease, and pairs of bounds.
    pub fn check(&self) -> Result<(), SettingsError> {
        let http = &self.http;
        if !http.api_listen.ip().is_loopback() {
            let problem = format!(
                "{} is not a loopback address, and the API asks nobody who they are; use 127.0.0.1:{} and `kubectl port-forward`",
                http.api_listen,
                http.api_listen.port()
            );
            return Err(SettingsError::new("api-listen", problem));
        }
        if http.api_listen.port() != 0 && http.api_listen.port() == http.listen.port() {
            return Err(SettingsError::new("api-listen", "has the port of --listen; give each its own"));
        }
        if self.sync.contest_min_pause > self.sync.contest_max_pause {
            return Err(SettingsError::new("contest-min-pause", "is longer than --contest-max-pause"));
        }
        self.lease.times().map(|_| ())
    }

    fn usual_namespaces(&self) -> Namespaces {
        let own = self.namespace().to_owned();
        let others = Some(ARGO_CD_NAMESPACE.to_owned()).filter(|name| *name != own);
        Namespaces::Only(std::iter::once(own).chain(others).collect())
    }
}

/// Parser of a whole number between two bounds.
fn count(least: u32, most: u32) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(i64::from(least)..=i64::from(most))
}
