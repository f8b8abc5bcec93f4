//! `driftless sandbox status`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::folder;
use super::state::State;
use crate::cli::error::CommandError;
use crate::cli::output;
use crate::cli::table::Table;

#[derive(Debug, Args)]
pub(super) struct Status {
    /// Folder of the sandbox [default: driftless-sandbox in the folder for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Status {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let state = State::read(&self.dir.unwrap_or_else(folder::usual))?;
        output::print(&table(&state))
    }
}

fn table(state: &State) -> String {
    let mut table = Table::new(&["NAME", "PID", "ROLE", "ADDRESS"]);
    table.row(["api-server", &state.pid.to_string(), "", &state.server]);
    if let Some(api) = &state.api {
        table.row(["api-of-leader", &state.pid.to_string(), "", api]);
    }
    for replica in &state.replicas {
        let (pid, role) = match replica.pid {
            None => (String::new(), "stopped"),
            Some(pid) => (pid.to_string(), if replica.leader { "leader" } else { "standby" }),
        };
        table.row([replica.name.as_str(), &pid, role, &replica.api]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::super::state::ReplicaState;
    use super::*;

    #[test]
    fn it_says_who_leads_and_who_is_gone() {
        let replica = |name: &str, pid, leader| ReplicaState {
            name: name.to_owned(),
            pid,
            api: "http://127.0.0.1:18081".to_owned(),
            leader,
        };
        let state = State {
            pid: 7,
            server: "https://127.0.0.1:6443".to_owned(),
            kubeconfig: "kubeconfig".into(),
            api: Some("http://127.0.0.1:8081".to_owned()),
            repository: None,
            replicas: vec![replica("replica-1", None, false), replica("replica-2", Some(9), true)],
            ready: true,
        };
        assert_eq!(
            table(&state),
            "NAME            PID      ROLE      ADDRESS\n\
             api-server      7        <none>    https://127.0.0.1:6443\n\
             api-of-leader   7        <none>    http://127.0.0.1:8081\n\
             replica-1       <none>   stopped   http://127.0.0.1:18081\n\
             replica-2       9        leader    http://127.0.0.1:18081\n"
        );
    }
}
