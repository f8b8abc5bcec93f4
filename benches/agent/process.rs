//! The agent as a process: what it uses, and what it says that it sent.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// How long anything at start may take.
const START: Duration = Duration::from_secs(90);
/// How often an agent that starts is asked whether it leads.
const ASK: Duration = Duration::from_millis(20);

/// How an agent is started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) kubeconfig: PathBuf,
    /// Context of the kubeconfig.
    pub(crate) user: &'static str,
    /// Namespace of the agent and its Applications.
    pub(crate) namespace: String,
    /// Installation id.
    pub(crate) instance: String,
    /// Folder of the store and the mirrors.
    pub(crate) data: PathBuf,
}

/// A running agent. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
    public: u16,
    log: PathBuf,
    /// When the process was started.
    pub(crate) started: Instant,
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident, with the pages of the program's file.
    pub(crate) resident: f64,
    /// The same at its highest.
    pub(crate) highest: f64,
    /// Resident, without the program: what it has allocated.
    pub(crate) anonymous: f64,
}

/// Requests by verb and resource.
pub(crate) type Requests = BTreeMap<(String, String), u64>;

/// What was counted at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    at: Instant,
    cpu: f64,
    pub(crate) requests: Requests,
    metrics: BTreeMap<String, f64>,
}

/// What happened between two moments.
#[derive(Debug)]
pub(crate) struct Spent {
    pub(crate) seconds: f64,
    /// Processor seconds, in user and kernel mode.
    pub(crate) cpu: f64,
    pub(crate) requests: Requests,
    metrics: BTreeMap<String, f64>,
}

impl Agent {
    /// Starts the built agent, straight at the API server.
    pub(crate) fn start(setup: &Setup) -> anyhow::Result<Self> {
        fs::create_dir_all(&setup.data)?;
        let (api, public) = (free_port()?, free_port()?);
        let log = setup.data.join("agent.log");
        let errors = fs::File::options().create(true).append(true).open(&log)?;
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let started = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_driftless"))
            .arg("run")
            .args(["--kubeconfig", &path(&setup.kubeconfig), "--context", setup.user])
            .args(["--namespace", &setup.namespace, "--application-namespaces", &setup.namespace])
            .args(["--repository-secret-namespaces", &setup.namespace, "--instance", &setup.instance])
            .args(["--data-dir", &path(&setup.data)])
            .args(["--listen", &format!("127.0.0.1:{public}"), "--api-listen", &format!("127.0.0.1:{api}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()?;
        Ok(Self { child, public, log, started })
    }

    /// Waits until it leads and is ready; returns when it was first seen to.
    pub(crate) async fn leading(&self) -> anyhow::Result<Instant> {
        loop {
            if self.metrics().is_ok_and(|text| value(&text, "driftless_leader") > 0.0) && self.get("/readyz").is_ok() {
                return Ok(Instant::now());
            }
            if self.started.elapsed() > START {
                bail!("the agent does not lead after {} s", START.as_secs());
            }
            tokio::time::sleep(ASK).await;
        }
    }

    /// Waits until it is ready: a standby is.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        while self.get("/readyz").is_err() {
            if self.started.elapsed() > START {
                bail!("the agent is not ready after {} s", START.as_secs());
            }
            tokio::time::sleep(ASK).await;
        }
        Ok(())
    }

    /// SIGTERM, without waiting for the end.
    pub(crate) fn terminate(&self) -> anyhow::Result<()> {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        ensure!(status.success(), "the agent can't be stopped");
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Everything counted so far.
    pub(crate) fn counts(&self) -> anyhow::Result<Counts> {
        let text = self.metrics()?;
        Ok(Counts { at: Instant::now(), cpu: self.cpu()?, requests: requests(&text), metrics: values(&text) })
    }

    /// What happened since then.
    pub(crate) fn since(&self, before: &Counts) -> anyhow::Result<Spent> {
        let now = self.counts()?;
        let mut requests = now.requests;
        for (key, count) in &mut requests {
            *count -= before.requests.get(key).copied().unwrap_or_default();
        }
        requests.retain(|_, count| *count > 0);
        let mut metrics = now.metrics;
        for (name, value) in &mut metrics {
            *value -= before.metrics.get(name).copied().unwrap_or_default();
        }
        let seconds = now.at.duration_since(before.at).as_secs_f64();
        Ok(Spent { seconds, cpu: now.cpu - before.cpu, requests, metrics })
    }

    /// Waits until it has sent nothing but Lease renewals for a while.
    pub(crate) async fn quiet(&self, calm: Duration, limit: Duration) -> anyhow::Result<()> {
        let (begun, mut known, mut since) = (Instant::now(), 0, Instant::now());
        while since.elapsed() < calm {
            let sent = requests(&self.metrics()?);
            let sent = sent.iter().filter(|((_, resource), _)| !is_lease(resource)).map(|(_, count)| count).sum();
            if sent != known {
                (known, since) = (sent, Instant::now());
            }
            if begun.elapsed() > limit {
                bail!("the agent does not come to rest within {} s", limit.as_secs());
            }
            tokio::time::sleep(calm / 10).await;
        }
        Ok(())
    }

    /// Its memory now.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kilobytes.map(|kilobytes| kilobytes * 1024.0).with_context(|| format!("no {name} in /proc"))
        };
        Ok(Memory { resident: of("VmRSS:")?, highest: of("VmHWM:")?, anonymous: of("RssAnon:")? })
    }

    /// The end of its log.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn cpu(&self) -> anyhow::Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name of the program, in parentheses, may hold anything.
        let rest = text.rsplit_once(')').context("/proc/PID/stat has no name")?.1;
        let ticks = |index| rest.split_whitespace().nth(index).and_then(|field| field.parse::<f64>().ok());
        let ticks = ticks(11).zip(ticks(12)).context("/proc/PID/stat has no times")?;
        Ok((ticks.0 + ticks.1) / ticks_per_second())
    }

    fn metrics(&self) -> anyhow::Result<String> {
        self.get("/metrics")
    }

    fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.public))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", self.public)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
        if !head.starts_with("HTTP/1.1 200") {
            bail!("{path}: {}", head.lines().next().unwrap_or_default());
        }
        Ok(body.to_owned())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Counts {
    /// Nothing counted yet: for a process that has just been started.
    pub(crate) fn none(at: Instant) -> Self {
        Self { at, cpu: 0.0, requests: Requests::new(), metrics: BTreeMap::new() }
    }
}

impl Spent {
    /// Growth of a metric: of one series, or by its name alone summed over all of them.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        self.metrics.get(name).copied().unwrap_or_default()
    }

    /// Requests that pass `wanted` by verb and resource.
    pub(crate) fn count(&self, wanted: impl Fn(&str, &str) -> bool) -> u64 {
        let wanted = self.requests.iter().filter(|((verb, resource), _)| wanted(verb, resource));
        wanted.map(|(_, count)| count).sum()
    }

    /// Writes of what the applications consist of: not the Lease, not Applications, not Events.
    pub(crate) fn object_writes(&self) -> u64 {
        self.count(|verb, resource| is_write(verb) && !is_own(resource))
    }

    /// Requests, most frequent first: `2 update leases, 1 watch pods`.
    pub(crate) fn describe(&self) -> String {
        let mut sorted: Vec<_> = self.requests.iter().collect();
        sorted.sort_by_key(|(key, count)| (std::cmp::Reverse(**count), (*key).clone()));
        let all = sorted.iter().map(|((verb, resource), count)| format!("{count} {verb} {}", short(resource)));
        let all = all.collect::<Vec<_>>().join(", ");
        if all.is_empty() { "none".into() } else { all }
    }
}

/// Whether the verb is one that writes.
pub(crate) fn is_write(verb: &str) -> bool {
    matches!(verb, "create" | "update" | "patch" | "delete")
}

/// Whether it is a Lease.
pub(crate) fn is_lease(resource: &str) -> bool {
    resource.starts_with("leases")
}

fn is_own(resource: &str) -> bool {
    is_lease(resource) || resource.starts_with("applications.argoproj.io") || resource.starts_with("events")
}

/// A resource without its group.
fn short(resource: &str) -> String {
    let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let plural = plural.split('.').next().unwrap_or(plural);
    if subresource.is_empty() { plural.to_owned() } else { format!("{plural}/{subresource}") }
}

fn requests(text: &str) -> Requests {
    let mut requests = Requests::new();
    for line in text.lines().filter(|line| line.starts_with("driftless_api_requests_total{")) {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let count = line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
        if let (Some(verb), Some(resource), Some(count)) = (label("verb"), label("resource"), count) {
            *requests.entry((verb, resource)).or_default() += count;
        }
    }
    requests
}

/// All values: by name and labels, and by name alone, summed over the labels.
fn values(text: &str) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let number = line.rsplit(' ').next().and_then(|number| number.parse::<f64>().ok());
        *values.entry(name.to_owned()).or_default() += number.unwrap_or_default();
        if let Some((series, _)) = line.rsplit_once(' ').filter(|(series, _)| *series != name) {
            values.insert(series.to_owned(), number.unwrap_or_default());
        }
    }
    values
}

/// One value, summed over its labels.
pub(crate) fn value(text: &str, name: &str) -> f64 {
    values(text).get(name).copied().unwrap_or_default()
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The kernel's unit of processor time.
fn ticks_per_second() -> f64 {
    static TICKS: std::sync::OnceLock<f64> = std::sync::OnceLock::new();
    *TICKS.get_or_init(|| {
        let output = Command::new("getconf").arg("CLK_TCK").output().ok();
        output.and_then(|output| String::from_utf8(output.stdout).ok()?.trim().parse().ok()).unwrap_or(100.0)
    })
}
