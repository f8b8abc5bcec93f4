//! The built agent against the shared control plane: a namespace, a repository and a counting proxy for each test.

use std::cell::Cell;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::control_plane::ControlPlane;
use super::git::GitRepo;
use super::proxy::Proxy;
use super::request::Entry;

/// Longest wait for anything that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one test works with.
pub(crate) struct Rig {
    pub(crate) plane: &'static ControlPlane,
    /// Counts what the agents send.
    pub(crate) proxy: Proxy,
    pub(crate) repo: GitRepo,
    /// Namespace of the agents and of their Applications.
    pub(crate) namespace: String,
    folder: TempDir,
    agents: Cell<u32>,
}

/// A running agent. Killed when dropped.
pub(crate) struct Agent {
    child: Child,
    /// Port of the API.
    pub(crate) api: u16,
    /// Port of health checks and metrics.
    pub(crate) public: u16,
    /// Folder of store and mirrors.
    pub(crate) data: PathBuf,
    log: PathBuf,
}

impl Rig {
    /// A namespace of its own, an empty repository, a proxy; the definition of Applications is installed once.
    pub(crate) fn new(prefix: &str) -> Self {
        let plane = ControlPlane::shared();
        plane.installed.call_once(|| {
            let crds = Command::new(env!("CARGO_BIN_EXE_driftless")).arg("crds").output().unwrap();
            assert!(crds.status.success(), "{}", String::from_utf8_lossy(&crds.stderr));
            install(plane, &crds.stdout);
        });
        Self::on(plane, prefix)
    }

    /// The same on a control plane that has a definition of Applications already.
    pub(crate) fn on(plane: &'static ControlPlane, prefix: &str) -> Self {
        super::init();
        let folder = TempDir::new().unwrap();
        let namespace = plane.namespace(prefix);
        Self {
            proxy: Proxy::start(plane, "admin"),
            repo: GitRepo::new(),
            namespace,
            folder,
            agents: Cell::new(0),
            plane,
        }
    }

    /// Another fresh namespace, for a destination.
    pub(crate) fn destination(&self, prefix: &str) -> String {
        self.plane.namespace(prefix)
    }

    /// Starts an agent with a data folder of its own. `extra` are further arguments of `run`, or others than the usual
    /// ones.
    pub(crate) fn agent(&self, extra: &[&str]) -> Agent {
        let number = self.agents.get() + 1;
        self.agents.set(number);
        self.agent_in(&self.folder.path().join(format!("data-{number}")), &self.proxy, extra)
    }

    /// Starts an agent on a data folder, through a proxy.
    pub(crate) fn agent_in(&self, data: &std::path::Path, proxy: &Proxy, extra: &[&str]) -> Agent {
        self.agent_under(Command::new(env!("CARGO_BIN_EXE_driftless")), data, proxy, extra)
    }

    /// Starts an agent none of whose files can grow beyond so many blocks of 512 bytes: its disk is full.
    pub(crate) fn agent_on_full_disk(&self, data: &std::path::Path, blocks: u64, extra: &[&str]) -> Agent {
        let mut shell = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        shell.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_driftless")]);
        self.agent_under(shell, data, &self.proxy, extra)
    }

    fn agent_under(&self, mut program: Command, data: &std::path::Path, proxy: &Proxy, extra: &[&str]) -> Agent {
        fs::create_dir_all(data).unwrap();
        let (api, public) = (free_port(), free_port());
        let log = data.join(format!("agent-{api}.log"));
        let child = program
            .arg("run")
            .args(["--kubeconfig", proxy.kubeconfig("admin").to_str().unwrap()])
            .args(["--namespace", &self.namespace, "--data-dir", data.to_str().unwrap(), "--log-format", "text"])
            .args(
                [
                    ["--application-namespaces", &self.namespace],
                    ["--repository-secret-namespaces", &self.namespace],
                    ["--log-level", "info"],
                ]
                .into_iter()
                .filter(|[flag, _]| !extra.contains(flag))
                .flatten(),
            )
            .args(["--listen", &format!("127.0.0.1:{public}"), "--api-listen", &format!("127.0.0.1:{api}")])
            .args(extra)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Agent { child, api, public, data: data.to_owned(), log }
    }

    /// Creates an Application of `path` in the rig's repository; `policy` is its `syncPolicy` as YAML flow text.
    pub(crate) fn application(&self, name: &str, path: &str, destination: &str, policy: &str) {
        let (namespace, repo) = (&self.namespace, self.repo.path());
        self.apply(&format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec:\n  project: default\n  source: {{repoURL: {}, path: {path}, targetRevision: main}}\n  \
             destination: {{server: https://kubernetes.default.svc, namespace: {destination}}}\n  syncPolicy: {policy}\n",
            repo.display()
        ));
    }

    /// `kubectl apply` of some YAML.
    pub(crate) fn apply(&self, yaml: &str) {
        let file = self.folder.path().join(format!("apply-{}.yaml", rand::random::<u64>()));
        fs::write(&file, yaml).unwrap();
        self.plane.kubectl(&["apply", "-f", file.to_str().unwrap()]);
    }

    /// Reads an object, `Value::Null` if there is none.
    pub(crate) fn get(&self, namespace: &str, what: &[&str]) -> Value {
        let mut arguments = vec!["-n", namespace, "get", "--ignore-not-found", "-o", "json"];
        arguments.extend(what);
        let text = self.plane.kubectl(&arguments);
        if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    /// Reads an Application.
    pub(crate) fn app(&self, name: &str) -> Value {
        self.get(&self.namespace, &["applications.argoproj.io", name])
    }

    /// Waits until an Application satisfies `condition`, and returns it.
    pub(crate) fn wait_app(&self, name: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let app = self.app(name);
            if condition(&app) {
                return app;
            }
            assert!(begun.elapsed() < PATIENCE, "{name} is not {what}: {:#}", app["status"]);
            pause();
        }
    }

    /// Waits until an Application is Synced at `revision` with its last operation ended.
    pub(crate) fn wait_synced(&self, name: &str, revision: &str) -> Value {
        self.wait_app(name, &format!("synced to {revision}"), |app| {
            let status = &app["status"];
            status["sync"]["status"] == "Synced"
                && status["sync"]["revision"] == revision
                && status["operationState"]["phase"] != "Running"
        })
    }

    /// Asks for a refresh and waits until it was served.
    pub(crate) fn refresh(&self, name: &str) {
        let annotation = "argocd.argoproj.io/refresh";
        let target = format!("applications.argoproj.io/{name}");
        self.plane.kubectl(&[
            "-n",
            &self.namespace,
            "annotate",
            "--overwrite",
            &target,
            &format!("{annotation}=normal"),
        ]);
        self.wait_app(name, "refreshed", |app| app["metadata"]["annotations"].get(annotation).is_none());
    }

    /// Waits until something holds that can only be asked for.
    pub(crate) fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < PATIENCE, "waited for: {what}");
            pause();
        }
    }

    /// Writes that reached the API server since the last reset, but for the Lease, Events and the agent's own Secret.
    pub(crate) fn object_writes(&self) -> Vec<Entry> {
        let own = ["leases", "events", "applications"];
        let mut writes = self.proxy.writes();
        let key = format!("/api/v1/namespaces/{}/secrets", self.namespace);
        writes.retain(|entry| !own.iter().any(|own| entry.resource.starts_with(own)) && entry.path != key);
        writes
    }

    /// Dry runs among the requests since the last reset.
    pub(crate) fn dry_runs(&self) -> usize {
        self.proxy.log().iter().filter(|entry| entry.query.contains("dryRun")).count()
    }
}

impl Agent {
    /// Process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end. Whether it ended well.
    pub(crate) fn terminate(&mut self) -> bool {
        self.ask_to_stop();
        self.child.wait().unwrap().success()
    }

    /// SIGTERM.
    pub(crate) fn ask_to_stop(&self) {
        let status = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Whether the process has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Body of a GET of the public port (`/readyz`, `/metrics`); `None` without an answer of 200.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        http_get(self.public, path)
    }

    /// Body of a GET of the API; `None` without an answer of 200.
    pub(crate) fn api(&self, path: &str) -> Option<String> {
        http_get(self.api, path)
    }

    /// One Prometheus value, summed over its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").unwrap_or_default();
        let of = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        text.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until it is ready, and whether it leads.
    pub(crate) fn wait_ready(&self) -> bool {
        let begun = Instant::now();
        while self.get("/readyz").is_none() {
            assert!(
                begun.elapsed() < PATIENCE,
                "not ready: {:?}\n{}",
                http_get(self.public, "/readyz?verbose"),
                self.log()
            );
            pause();
        }
        self.metric("driftless_leader") > 0.0
    }

    /// Waits until it leads.
    pub(crate) fn wait_leading(&self) {
        let begun = Instant::now();
        while self.metric("driftless_leader") < 1.0 {
            assert!(begun.elapsed() < PATIENCE, "does not lead:\n{}", self.log());
            pause();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- agent log ---\n{}", self.log());
        }
    }
}

/// Installs a definition of Applications.
pub(crate) fn install(plane: &ControlPlane, definition: &[u8]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), definition).unwrap();
    plane.kubectl(&["apply", "--server-side", "-f", file.path().to_str().unwrap()]);
    plane.kubectl(&["wait", "--for=condition=Established", "crd/applications.argoproj.io", "--timeout=60s"]);
}

/// The one pause of polling waits: kubectl and HTTP answers can't be subscribed to.
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn http_get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}
