//! The sandbox's agents: processes of this program, started again when they end, as a kubelet would.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::objects::AGENTS;
use super::progress::{self, Line};

/// How long it takes until a replica that ended is started again: long enough to see another one take over.
const RESTART: Duration = Duration::from_secs(3);
/// A replica that ran for less has failed to start.
const SHORT_LIFE: Duration = Duration::from_secs(10);
/// How often in a row a replica may fail to start.
const MAX_FAILURES: u32 = 5;
/// How long a replica may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// What an agent must not take over from the sandbox's surroundings, beside its own settings.
const STRANGE: [&str; 8] = [
    "KUBECONFIG",
    "POD_NAMESPACE",
    "KUBERNETES_SERVICE_HOST",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
    "ALL_PROXY",
];

/// What is told of the replica of this number.
#[derive(Debug)]
pub(super) enum News {
    /// It runs, as this process.
    Started(usize, u32),
    /// It has ended by itself, or somebody ended it.
    Ended(usize, String),
    /// It tells of an Application.
    Notice(Line),
    /// It can't be kept running.
    Broken(usize, String),
}

/// One agent.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    number: usize,
    /// Its name.
    pub(super) name: String,
    /// Address of its HTTP API.
    pub(super) api: SocketAddr,
    public: SocketAddr,
    program: PathBuf,
    kubeconfig: PathBuf,
    /// What it logs.
    pub(super) log: PathBuf,
    data: PathBuf,
}

impl Replica {
    /// The replica of this number, in a sandbox's folder; nothing is started yet.
    pub(super) fn new(number: usize, folder: &Path, kubeconfig: &Path) -> io::Result<Self> {
        let name = format!("replica-{}", number + 1);
        Ok(Self {
            number,
            api: free_address()?,
            public: free_address()?,
            program: std::env::current_exe()?,
            kubeconfig: kubeconfig.to_owned(),
            log: folder.join(format!("{name}.log")),
            data: folder.join(&name),
            name,
        })
    }

    /// Removes what it kept of an earlier sandbox, whose API server is gone.
    pub(super) fn forget(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(&self.data) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Keeps it running until `stopped` is cancelled; then stops it.
    pub(super) async fn keep(self, news: mpsc::Sender<News>, stopped: CancellationToken) {
        let mut failures = 0;
        loop {
            let begun = Instant::now();
            let ended = match self.once(&news, &stopped).await {
                _ if stopped.is_cancelled() => return,
                Ok(ended) => ended,
                Err(error) => error.to_string(),
            };
            failures = if begun.elapsed() < SHORT_LIFE { failures + 1 } else { 0 };
            let broken = failures >= MAX_FAILURES;
            let told = if broken { News::Broken(self.number, ended) } else { News::Ended(self.number, ended) };
            // Who listens no more is about to stop us.
            if news.send(told).await.is_err() || broken {
                return;
            }
            if stopped.run_until_cancelled(tokio::time::sleep(RESTART)).await.is_none() {
                return;
            }
        }
    }

    /// Runs it once, and says how it ended.
    async fn once(&self, news: &mpsc::Sender<News>, stopped: &CancellationToken) -> io::Result<String> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).await?;
        let mut child = self.command().spawn()?;
        // Waiting would close it.
        let input = child.stdin.take();
        if let Some(pid) = child.id() {
            let _ = news.send(News::Started(self.number, pid)).await;
        }
        let told = child.stderr.take().map(|stderr| tokio::spawn(follow(BufReader::new(stderr), log, news.clone())));
        let ended = match stopped.run_until_cancelled(child.wait()).await {
            Some(ended) => ended,
            None => {
                // The end of its input tells it to give its Lease away and go.
                drop(input);
                finish(&mut child).await
            }
        };
        if let Some(told) = told {
            let _ = told.await;
        }
        ended.map(|status| status.to_string())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        let own = |(name, _): &(OsString, OsString)| name.to_str().is_some_and(|name| name.starts_with("DRIFTLESS_"));
        for (name, _) in std::env::vars_os().filter(own) {
            command.env_remove(name);
        }
        for name in STRANGE {
            command.env_remove(name);
        }
        command
            .args(["sandbox", "replica", "--context", "agent", "--namespace", AGENTS])
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--data-dir")
            .arg(&self.data)
            .args(["--poll-interval", "1s", "--poll-jitter", "0s", "--allow-local-repositories", "true"])
            .args(["--log-format", "json", "--log-level", "info"])
            .arg(format!("--listen={}", self.public))
            .arg(format!("--api-listen={}", self.api))
            .env("POD_NAME", &self.name)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C is for the sandbox, which stops its replicas in order.
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

/// Waits for the end of a replica that was told to stop, for so long.
async fn finish(child: &mut Child) -> io::Result<std::process::ExitStatus> {
    if let Ok(ended) = tokio::time::timeout(STOP_LIMIT, child.wait()).await {
        return ended;
    }
    child.start_kill()?;
    child.wait().await
}

/// Writes what a replica logs to a file, and tells what people want to know at once.
async fn follow(mut lines: impl AsyncBufRead + Unpin, mut log: File, news: mpsc::Sender<News>) {
    let mut line = Vec::new();
    while let Ok(1..) = lines.read_until(b'\n', &mut line).await {
        // A full disk must not stop the agent, which waits for us to read.
        let _ = log.write_all(&line).await;
        if let Some(notice) = progress::notice(&line) {
            let _ = news.send(News::Notice(notice)).await;
        }
        line.clear();
    }
    let _ = log.flush().await;
}

/// An address on loopback that nobody uses. Somebody may be faster to do so.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
