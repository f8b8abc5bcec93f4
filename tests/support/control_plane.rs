//! A real control plane: etcd, kube-apiserver, controllers where wanted (`hack/control-plane/up.sh`).

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use tempfile::TempDir;

use super::model_plane::ModelPlane;

/// Deletes the content of namespaces, and what has lost its owner.
pub(crate) const GARBAGE_COLLECTION: &str = "namespace-controller,garbage-collector-controller";
/// How long the programs may take to stop before they are killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A running control plane. It ends when this is dropped, and when the test process ends in whatever way: its
/// supervisor watches a pipe that only this process holds open.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    server: Server,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    names: AtomicU64,
    /// The definition of Applications.
    pub(crate) installed: Once,
    _logs: TempDir,
}

#[derive(Debug)]
enum Server {
    Real { supervisor: Child, pipe: Option<ChildStdin> },
    Model { _served: ModelPlane },
}

/// Whether the test that this is called in wants the model in place of a real control plane.
fn is_model() -> bool {
    std::thread::current().name().is_some_and(|test| test.starts_with("model::"))
}

impl ControlPlane {
    /// The model, in the place of one.
    pub(crate) fn model() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (served, kubeconfig) = ModelPlane::start(folder.path());
        let server = Server::Model { _served: served };
        Self { server, kubeconfig, kubectl: kubectl(), names: AtomicU64::new(1), installed: Once::new(), _logs: folder }
    }

    /// Starts one with the given controllers (comma-separated, may be none). Builds the programs if they are not there,
    /// which takes minutes once.
    pub(crate) fn start(controllers: &str) -> Self {
        if is_model() {
            return Self::model();
        }
        let logs = tempfile::tempdir().unwrap();
        let errors = logs.path().join("errors");
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/hack/control-plane/up.sh"));
        command.arg("--until-eof").stdin(Stdio::piped()).stdout(Stdio::piped());
        // A group of its own: an interrupt at the terminal ends us, and so the pipe, and so the supervisor tidies up.
        command.stderr(File::create(&errors).unwrap()).process_group(0);
        if !controllers.is_empty() {
            command.args(["--controllers", controllers]);
        }
        let mut supervisor = command.spawn().unwrap();
        let pipe = supervisor.stdin.take();
        let output = BufReader::new(supervisor.stdout.take().unwrap());
        // The script bounds its own waiting; it ends its output in any case.
        let lines: Vec<String> = output.lines().map(Result::unwrap).take_while(|line| line != "READY").collect();
        let value = |name: &str| {
            let found = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            PathBuf::from(found.unwrap_or_else(|| {
                panic!("no control plane:\n{}", std::fs::read_to_string(&errors).unwrap_or_default());
            }))
        };
        let (kubeconfig, kubectl) = (value("KUBECONFIG"), value("KUBECTL"));
        let server = Server::Real { supervisor, pipe };
        Self { server, kubeconfig, kubectl, names: AtomicU64::new(1), installed: Once::new(), _logs: logs }
    }

    /// The one that all tests of this process share unless they break it. It collects garbage and runs nothing else, so
    /// statuses of workloads are the tests' to write.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        static MODEL: OnceLock<ControlPlane> = OnceLock::new();
        let shared = if is_model() { &MODEL } else { &SHARED };
        shared.get_or_init(|| Self::start(GARBAGE_COLLECTION))
    }

    /// The kubeconfig: `admin` (the current context), `alice` and `bob` may do everything, `agent` nothing that it was
    /// not allowed to. Each user is a context, with the token `NAME-token`.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The program kubectl.
    pub(crate) fn kubectl_program(&self) -> &Path {
        &self.kubectl
    }

    /// Runs kubectl with a kubeconfig.
    pub(crate) fn kubectl_with(&self, kubeconfig: &Path, arguments: &[&str]) -> Output {
        self.kubectl_command(kubeconfig).args(arguments).output().unwrap()
    }

    /// A kubectl with a kubeconfig, that reads no input.
    pub(crate) fn kubectl_command(&self, kubeconfig: &Path) -> Command {
        let mut command = Command::new(&self.kubectl);
        // Discovery is cached where nothing else of this machine is, or a new CRD would be missed.
        command.env("KUBECACHEDIR", kubeconfig.with_extension("cache")).env("KUBECONFIG", kubeconfig);
        command.stdin(Stdio::null());
        command
    }

    /// Runs kubectl as `admin`, expects success, and returns what it printed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.kubectl_with(&self.kubeconfig, arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {arguments:?}: {out}{err}");
        out.into_owned()
    }

    /// A client as one of the users, for the runtime that this is called in.
    pub(crate) async fn client(&self, user: &str) -> kube::Client {
        client(&self.kubeconfig, user).await
    }

    /// Makes a namespace of a name not used before.
    pub(crate) fn namespace(&self, prefix: &str) -> String {
        let name = format!("{prefix}-{}", self.names.fetch_add(1, Ordering::Relaxed));
        self.kubectl(&["create", "namespace", &name]);
        name
    }

    /// Id of the process group of the supervisor and the servers.
    pub(crate) fn group(&self) -> u32 {
        match &self.server {
            Server::Real { supervisor, .. } => supervisor.id(),
            Server::Model { .. } => panic!("the model runs in this process"),
        }
    }
}

/// The real kubectl, built if it is not there, without a control plane.
pub(crate) fn kubectl() -> PathBuf {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from).unwrap_or_else(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/hack/control-plane/build.sh");
        let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success());
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    });
    assets.join("kubectl")
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let Server::Real { supervisor, pipe } = &mut self.server else { return };
        drop(pipe.take());
        let started = Instant::now();
        while matches!(supervisor.try_wait(), Ok(None)) {
            if started.elapsed() > STOP_LIMIT {
                signal(9, supervisor.id());
                let _ = supervisor.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Sends a signal to every process of a group; whether there was one.
pub(crate) fn signal(number: u32, group: u32) -> bool {
    // The shell's own: the program is not everywhere.
    let script = format!("kill -{number} -{group} 2>/dev/null");
    Command::new("sh").args(["-c", &script]).status().unwrap().success()
}

/// A client of the given context of a kubeconfig.
pub(crate) async fn client(kubeconfig: &Path, context: &str) -> kube::Client {
    install_tls();
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..Default::default() };
    let config = kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(kubeconfig).unwrap(), &options);
    kube::Client::try_from(config.await.unwrap()).unwrap()
}

/// Makes ring the TLS provider of this process. Whoever comes second finds it done.
pub(crate) fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
