//! The `helm` program, for `driftless build --enable-helm`: called with nothing but the files of a chart and its values,
//! in a folder of its own, with no settings, no cluster and none of our environment.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::engine::hash::Hash;
use crate::render::helm::{Argument, Helm, HelmCall};
use crate::render::kustomize::{BuildOptions, ErrorKind, KustomizeError};

/// Bounds of one call.
const LIMITS: Limits = Limits { time: Duration::from_secs(60), output: 100 << 20 };
/// How often a running call is looked at.
const PAUSE: Duration = Duration::from_millis(5);
/// Most bytes of what a call complains of, and most characters of that which are shown.
const COMPLAINT_LIMIT: u64 = 64 << 10;
const SHOWN: usize = 2000;

/// Bounds of a call.
#[derive(Clone, Copy)]
struct Limits {
    /// How long it may take.
    time: Duration,
    /// Most bytes that it may print.
    output: u64,
}

/// A folder for temporary files that only we may read. It goes when it is no longer needed.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Self, String> {
        let name = format!("driftless-build-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program, and what it printed so far.
pub(super) struct HelmProgram {
    path: PathBuf,
    /// Its version was looked at.
    checked: bool,
    printed: Arc<BTreeMap<Hash, String>>,
}

impl HelmProgram {
    /// The program `command`: a path, or a name that is looked for in `$PATH`.
    pub(super) fn find(command: &str) -> Result<Self, String> {
        let found = if command.contains('/') {
            fs::canonicalize(command).ok()
        } else {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).map(|folder| folder.join(command)).find(|file| file.is_file())
        };
        let path = found.ok_or_else(|| {
            format!("there is no program `{command}`; install Helm 3 or 4, or name its path with --helm-command")
        })?;
        Ok(Self { path, checked: false, printed: Arc::default() })
    }

    /// Calls `build` until it asks for no call that wasn't made.
    pub(super) fn with<T>(
        &mut self,
        options: &BuildOptions<'_>,
        build: impl Fn(&BuildOptions<'_>) -> Result<T, KustomizeError>,
    ) -> Result<T, KustomizeError> {
        loop {
            let error = match build(&BuildOptions { helm: Helm::Allowed(self.printed.clone()), ..options.clone() }) {
                Err(error) => error,
                built => return built,
            };
            let ErrorKind::Helm(call) = &error.kind else { return Err(error) };
            let printed = match self.run(call) {
                Ok(printed) => printed,
                Err(reason) => return Err(KustomizeError { kind: ErrorKind::Content, reason, ..error }),
            };
            Arc::make_mut(&mut self.printed).insert(call.id(), printed);
        }
    }

    fn run(&mut self, call: &HelmCall) -> Result<String, String> {
        let folder = Scratch::new()?;
        let files = folder.0.join("files");
        for (path, content) in &call.files {
            let file = files.join(path);
            let parent = file.parent().unwrap_or(&files);
            let written = fs::create_dir_all(parent).and_then(|()| fs::write(&file, content));
            written.map_err(|error| format!("a file for helm can't be written: {error}"))?;
        }
        if !self.checked {
            check_version(&self.call(&folder.0, ["version", "--short"].map(PathBuf::from).as_slice())?)?;
            self.checked = true;
        }
        let arguments: Vec<PathBuf> = call
            .arguments
            .iter()
            .map(|argument| match argument {
                Argument::Text(text) => PathBuf::from(text),
                Argument::Path(path) => files.join(path),
            })
            .collect();
        self.call(&folder.0, &arguments)
    }

    /// What the program prints.
    fn call(&self, folder: &Path, arguments: &[PathBuf]) -> Result<String, String> {
        let home = folder.join("home");
        fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
        let mut command = Command::new(&self.path);
        command
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .envs([("HOME", &home), ("TMPDIR", &home), ("HELM_CONFIG_HOME", &home)])
            .env("HELM_CACHE_HOME", home.join(".cache"))
            .env("HELM_DATA_HOME", home.join(".data"))
            .env("KUBECONFIG", "/dev/null");
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.map_err(|error| format!("{} can't be started: {error}", self.path.display()))?;
        let (ended, printed, complaint) = wait(child, LIMITS)?;
        if !ended {
            let complaint: String = String::from_utf8_lossy(&complaint).trim().chars().take(SHOWN).collect();
            return Err(format!("helm failed: {complaint}"));
        }
        String::from_utf8(printed).map_err(|_| "what helm printed is no UTF-8 text".to_owned())
    }
}

/// Reads a pipe to its end, or to one byte more than `limit`, in a thread of its own.
fn read(pipe: Option<impl Read + Send + 'static>, limit: u64) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // An error ends what there is to read.
        let _ = pipe.map(|pipe| pipe.take(limit + 1).read_to_end(&mut bytes));
        // Nobody waits any more if the time is over.
        let _ = sender.send(bytes);
    });
    receiver
}

/// Whether the child succeeded, what it printed and what it complained of. It is ended when its time is over or it prints
/// too much.
fn wait(mut child: Child, limits: Limits) -> Result<(bool, Vec<u8>, Vec<u8>), String> {
    let result = outcome(&mut child, limits);
    if result.is_err() {
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
    result
}

fn outcome(child: &mut Child, limits: Limits) -> Result<(bool, Vec<u8>, Vec<u8>), String> {
    let (printed, complaint) = (read(child.stdout.take(), limits.output), read(child.stderr.take(), COMPLAINT_LIMIT));
    let begun = Instant::now();
    let left = || limits.time.saturating_sub(begun.elapsed());
    let late = || format!("helm took longer than {} s", limits.time.as_secs());
    let printed = printed.recv_timeout(left()).map_err(|_| late())?;
    if printed.len() as u64 > limits.output {
        return Err(format!("helm printed more than {} MiB", limits.output >> 20));
    }
    let complaint = complaint.recv_timeout(left()).map_err(|_| late())?;
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => return Ok((status.success(), printed, complaint)),
            None if left().is_zero() => return Err(late()),
            None => std::thread::sleep(PAUSE),
        }
    }
}

/// Refuses what is neither Helm 3 nor Helm 4.
fn check_version(printed: &str) -> Result<(), String> {
    let digits = printed.trim_start_matches(|c: char| !c.is_ascii_digit());
    match digits.split('.').next() {
        Some("3" | "4") => Ok(()),
        _ => Err("the program is neither Helm 3 nor Helm 4; name the path of one with --helm-command".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_end_when_their_time_is_over_or_they_print_too_much() {
        let run = |script: &str, limits| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            wait(command.spawn().unwrap(), limits)
        };
        let limits = Limits { time: Duration::from_secs(30), output: 1000 };
        assert_eq!(run("echo a; echo b >&2", limits).unwrap(), (true, b"a\n".to_vec(), b"b\n".to_vec()));
        assert_eq!(run("echo b >&2; exit 3", limits).unwrap(), (false, Vec::new(), b"b\n".to_vec()));
        assert!(run("while :; do echo xxxxxxxxxxxxxxxxxxxx; done", limits).unwrap_err().contains("printed more"));
        let short = Limits { time: Duration::from_millis(200), output: 1000 };
        let begun = Instant::now();
        assert!(run("exec sleep 20", short).unwrap_err().contains("took longer"));
        assert!(run("exec >&- 2>&-; exec sleep 20", short).unwrap_err().contains("took longer"));
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn versions_are_told_apart() {
        for good in ["v3.14.0+g3fc9f4b\n", "4.0.1", "v4"] {
            assert!(check_version(good).is_ok(), "{good}");
        }
        for bad in ["v2.17.0", "", "helm", "v30.1"] {
            assert!(check_version(bad).is_err(), "{bad}");
        }
    }
}
