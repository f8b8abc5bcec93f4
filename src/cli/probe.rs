//! `driftless probe`: the check of a container probe, without a shell or curl in the image.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::error::CommandError;
use super::http::{self, BaseUrl};
use super::output;

/// How long the agent may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Probe {
    /// What to ask
    #[arg(default_value = "readyz")]
    endpoint: Endpoint,
    /// Address on which the agent listens for health checks; asked on loopback
    #[arg(long, env = "DRIFTLESS_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Endpoint {
    /// Is the agent alive? If not, it should be restarted
    Livez,
    /// Is it ready?
    Readyz,
    /// Both
    Healthz,
}

impl Probe {
    /// Exits with 0 if the agent says that it is well, and with 1 if it says no or nothing.
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let path = match self.endpoint {
            Endpoint::Livez => "/livez?verbose",
            Endpoint::Readyz => "/readyz?verbose",
            Endpoint::Healthz => "/healthz?verbose",
        };
        let address = SocketAddr::new(local(self.listen.ip()), self.listen.port());
        let url: BaseUrl = format!("http://{address}").parse().map_err(CommandError::usage)?;
        let answer = http::get(&url, path, TIMEOUT)
            .map_err(|error| CommandError::failure(format_args!("no agent answers at {url}: {error}")))?;
        output::print(&answer.body)?;
        Ok(if answer.status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The address by which a process on the same machine reaches a listener on `ip`.
fn local(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}
