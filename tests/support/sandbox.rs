//! A running `driftless sandbox`, and what a person at a terminal would see and type.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for anything that has to happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// A sandbox. It is stopped when this is dropped.
pub(crate) struct Sandbox {
    child: Child,
    lines: Receiver<String>,
    /// What it has told so far.
    pub(crate) told: String,
    surroundings: Surroundings,
}

/// A folder for temporary files and a `PATH` of our own.
pub(crate) struct Surroundings {
    pub(crate) temporary: TempDir,
    pub(crate) programs: TempDir,
}

impl Surroundings {
    /// With git and the programs that the tour's lines name, and with kubectl where one is given; with nothing else.
    pub(crate) fn new(kubectl: Option<&Path>) -> Self {
        let programs = TempDir::new().unwrap();
        let path = std::env::var_os("PATH").unwrap();
        for name in ["git", "sh", "sed", "cat"] {
            let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
            symlink(found.unwrap_or_else(|| panic!("{name} is missing")), programs.path().join(name)).unwrap();
        }
        if let Some(kubectl) = kubectl {
            symlink(kubectl, programs.path().join("kubectl")).unwrap();
        }
        Self { temporary: TempDir::new().unwrap(), programs }
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env("PATH", self.programs.path()).env("TMPDIR", self.temporary.path()).stdin(Stdio::null());
        command.env("HOME", self.temporary.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("KUBECACHEDIR", self.programs.path().join("cache"));
        command
    }

    /// Runs `driftless` there.
    pub(crate) fn driftless(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_driftless")).args(arguments).output().unwrap()
    }

    /// Starts a sandbox there.
    pub(crate) fn sandbox(self, arguments: &[&str]) -> Sandbox {
        let errors = fs::File::create(self.programs.path().join("errors")).unwrap();
        let mut command = self.command(env!("CARGO_BIN_EXE_driftless"));
        let mut child = command.arg("sandbox").args(arguments).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Sandbox { child, lines, told: String::new(), surroundings: self }
    }
}

impl Sandbox {
    /// Waits until it tells a line that has this in it, and returns the line.
    pub(crate) fn wait_line(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.told.push_str(&line);
                    self.told.push('\n');
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("it has not told {text:?}:\n{}{}", self.told, self.errors()),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended without telling {text:?}:\n{}{}", self.told, self.errors())
                }
            }
        }
    }

    /// What it has written as errors.
    pub(crate) fn errors(&self) -> String {
        fs::read_to_string(self.surroundings.programs.path().join("errors")).unwrap()
    }

    /// Process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The usual folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.surroundings.temporary.path().join("driftless-sandbox")
    }

    /// What it tells other programs about itself.
    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.folder().join("sandbox.json")).unwrap()).unwrap()
    }

    /// Types a line into a shell.
    pub(crate) fn shell(&self, line: &str) -> Output {
        self.surroundings.command(self.surroundings.programs.path().join("sh")).args(["-c", line]).output().unwrap()
    }

    /// Types a line that works.
    pub(crate) fn run_shell(&self, line: &str) {
        let output = self.shell(line);
        assert!(output.status.success(), "{line}: {output:?}");
    }

    /// Runs a line until what it prints is as expected.
    pub(crate) fn wait_shell(&self, line: &str, what: &str, expected: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let output = self.shell(line);
            let text = String::from_utf8(output.stdout).unwrap();
            if output.status.success() && expected(&text) {
                return text;
            }
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(Instant::now() < until, "{line}: not {what}:\n{text}{errors}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Sends a signal and waits for the end. Gives the code of the exit, and the surroundings that are left.
    pub(crate) fn end(mut self, signal: &str) -> (Option<i32>, TempDir) {
        kill(signal, self.id());
        let code = self.child.wait().unwrap().code();
        // Dropping it has nothing left to stop.
        let empty = Surroundings { temporary: TempDir::new().unwrap(), programs: TempDir::new().unwrap() };
        let Surroundings { temporary, .. } = std::mem::replace(&mut self.surroundings, empty);
        (code, temporary)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            kill("TERM", self.id());
            let _ = self.child.wait();
        }
    }
}

/// Sends a signal to a process.
pub(crate) fn kill(signal: &str, pid: u32) {
    let script = format!("kill -{signal} {pid}");
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
}

/// Whether a process runs.
pub(crate) fn runs(pid: u64) -> bool {
    // One that has ended and was not waited for is none any more.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Types every line of the tour that a sandbox has printed, and looks at what comes of it.
pub(crate) fn take_the_tour(sandbox: &mut Sandbox) {
    sandbox.wait_line("What happens:");
    let commands: Vec<String> =
        sandbox.told.lines().filter_map(|line| line.strip_prefix("  ")).map(str::to_owned).collect();
    let [apps, there, scale, delete, who, edit, commit, deployed, kill_leader, status] = commands.as_slice() else {
        panic!("the tour has other lines: {commands:#?}");
    };
    sandbox.wait_shell(apps, "ten applications, Synced and Healthy", |text| {
        text.lines().filter(|line| line.contains("Synced") && line.contains("Healthy")).count() == 10
    });
    sandbox.wait_shell(there, "what is there", |text| text.contains("order-service"));

    sandbox.run_shell(scale);
    sandbox.run_shell(delete);
    sandbox.wait_shell(who, "who it was", |text| {
        let reverted = |kind: &str, what: &str| {
            text.lines().any(|line| line.starts_with(kind) && line.contains("reverted: ") && line.contains(what))
        };
        reverted("Deployment", ".spec.replicas") && reverted("Service ", "deleted")
    });
    sandbox.wait_line("reverted");
    sandbox.run_shell(edit);
    sandbox.run_shell(commit);
    let program = env!("CARGO_BIN_EXE_driftless");
    let head = sandbox.shell(&format!("git -C {}/repository rev-parse HEAD", sandbox.folder().display()));
    let head = String::from_utf8(head.stdout).unwrap().trim().to_owned();
    let api = sandbox.state()["api"].as_str().unwrap().to_owned();
    let wide = format!("{program} get app order-service-production -o wide --api-url {api}");
    sandbox.wait_shell(&wide, "deployed", |text| {
        text.lines().nth(1).is_some_and(|line| line.contains(&head) && line.contains("Synced"))
    });
    sandbox.wait_shell(deployed, "healthy", |text| text.lines().nth(1).is_some_and(|line| line.contains("Healthy")));

    let leader = || {
        let replicas = sandbox.state()["replicas"].as_array().unwrap().clone();
        replicas.into_iter().find(|replica| replica["leader"] == true)
    };
    let before = leader().unwrap();
    sandbox.run_shell(kill_leader);
    let pid = before["pid"].as_u64().unwrap();
    sandbox.wait_shell(status, "led by the other, with the stopped one started again", |text| {
        let other = leader().is_some_and(|leader| leader["name"] != before["name"]);
        let replicas = sandbox.state()["replicas"].as_array().unwrap().clone();
        // It gives its Lease away before it ends.
        let gone = !runs(pid) && replicas.iter().all(|replica| replica["pid"] != pid);
        other && gone && text.contains("leader") && text.contains("standby")
    });
    // The new leader does what the old one did.
    sandbox.run_shell(scale);
    sandbox.wait_line("reverted");
}
