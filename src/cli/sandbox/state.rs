//! What a running sandbox tells the other commands: `sandbox.json`, `kubeconfig` and `leader.pid` in its folder.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::folder;
use crate::cli::error::CommandError;

/// Name of the file for commands.
const FILE: &str = "sandbox.json";
/// Name of the file for clients of the API server.
const KUBECONFIG: &str = "kubeconfig";
/// Name of the file with the process id of the replica that leads.
const LEADER: &str = "leader.pid";

/// A running sandbox. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    /// Process id of the sandbox, and with it of the API server.
    pub(super) pid: u32,
    /// Address of the API server.
    pub(super) server: String,
    /// Its kubeconfig.
    pub(super) kubeconfig: PathBuf,
    /// Address of the HTTP API of the agent that leads, whichever it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) api: Option<String>,
    /// The Git repository, where there are agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repository: Option<PathBuf>,
    /// The agents.
    pub(super) replicas: Vec<ReplicaState>,
    /// Whether all Applications were Synced and Healthy when it was up.
    pub(super) ready: bool,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReplicaState {
    /// Its name.
    pub(super) name: String,
    /// Its process id; `None`: it is about to be started again.
    pub(super) pid: Option<u32>,
    /// Address of its own HTTP API.
    pub(super) api: String,
    /// Whether it leads.
    pub(super) leader: bool,
}

impl State {
    /// Where the kubeconfig of the sandbox in a folder is.
    pub(super) fn kubeconfig_in(folder: &Path) -> PathBuf {
        folder.join(KUBECONFIG)
    }

    /// Writes the files for commands.
    pub(super) fn write(&self, folder: &Path) -> Result<(), CommandError> {
        let text = serde_json::to_string_pretty(self).map_err(CommandError::failure)?;
        folder::write(&folder.join(FILE), &format!("{text}\n"))?;
        let leader = self.replicas.iter().find(|replica| replica.leader).and_then(|replica| replica.pid);
        // Empty while nobody leads: `kill` then says that it lacks an argument.
        folder::write(&folder.join(LEADER), &leader.map(|pid| format!("{pid}\n")).unwrap_or_default())
    }

    /// Reads the sandbox in a folder.
    pub(super) fn read(folder: &Path) -> Result<Self, CommandError> {
        let file = folder.join(FILE);
        let failure = |problem: String| {
            CommandError::failure(format_args!("no sandbox in {}: {problem}", folder.display()))
                .hint("start one with `driftless sandbox`; --dir names the folder of another")
        };
        let text = std::fs::read_to_string(&file).map_err(|error| failure(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| failure(format!("{}: {error}", file.display())))
    }
}

/// Writes the kubeconfig: the context `sandbox`, which may do everything, and the agents' own, `agent`.
pub(super) fn write_kubeconfig(
    folder: &Path,
    server: &str,
    authority: &str,
    users: &[(&str, &str)],
) -> Result<PathBuf, CommandError> {
    use base64::Engine as _;
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    let named: Vec<_> = users.iter().map(|(name, token)| json!({"name": name, "user": {"token": token}})).collect();
    let contexts: Vec<_> =
        users.iter().map(|(name, _)| json!({"name": name, "context": {"cluster": "sandbox", "user": name}})).collect();
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": users.first().map(|(name, _)| *name).unwrap_or_default(),
        "clusters": [{"name": "sandbox", "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": named,
        "contexts": contexts,
    });
    let path = State::kubeconfig_in(folder);
    folder::write(&path, &crate::cli::output::yaml(&config)?)?;
    Ok(path)
}
