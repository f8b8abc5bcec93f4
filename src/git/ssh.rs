//! Git over the `ssh` program: no shell, no configuration of the user or the machine, no agent, no prompt.

use std::cell::Cell;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::credentials::{Credentials, Secret};
use super::fault::{Fault, detail};
use super::watch::{Watch, no_thread};

/// Most that is kept of what the program writes to its standard error.
const MAX_STDERR: usize = 4096;
/// Size of the pieces in which the program's output is read.
const PIECE: usize = 16 << 10;
/// Pieces that wait to be taken.
const PIECES: usize = 8;
/// How long the program's last words are waited for after its output ended.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(2);

/// How the `ssh` program is called.
#[derive(Clone, Debug)]
pub struct SshSettings {
    /// The program; looked up in `PATH` unless it has a slash.
    pub program: PathBuf,
    /// File with the host keys that are trusted (`known_hosts` format). `None`: those of the user and the machine.
    pub known_hosts: Option<PathBuf>,
    /// Folder for private keys while the program runs, best on a tmpfs. Each is a file of mode 0600, removed afterwards.
    pub key_folder: PathBuf,
}

impl Default for SshSettings {
    fn default() -> Self {
        Self { program: "ssh".into(), known_hosts: None, key_folder: std::env::temp_dir() }
    }
}

/// A running `ssh` program that serves one repository.
pub(super) struct Process {
    child: Child,
    stderr: Arc<Mutex<Vec<u8>>>,
    stderr_ended: Receiver<()>,
    /// Bytes that may still be received; `None` once there were too many.
    left: Rc<Cell<Option<u64>>>,
    limit: u64,
    _key: KeyFile,
}

impl Process {
    /// Starts `git-upload-pack` on `host`. What it writes comes from the reader, at most `limit` bytes; what it reads goes to
    /// the writer.
    pub(super) fn start<'a>(
        settings: &SshSettings,
        (user, host, port, path): (&str, &str, Option<u16>, &str),
        credentials: &Credentials,
        limit: u64,
        watch: Watch<'a>,
    ) -> Result<(Self, Output<'a>, ChildStdin), Fault> {
        let Some(key) = &credentials.ssh_private_key else {
            return Err(Fault::Authentication("an ssh URL needs a Secret with sshPrivateKey".into()));
        };
        let key = KeyFile::write(&settings.key_folder, key)?;
        let mut command = Command::new(&settings.program);
        command.args(arguments(settings, &key.0, credentials.insecure)?);
        let user = if user.is_empty() { credentials.username.as_deref() } else { Some(user) };
        if let Some(user) = user.filter(|user| !user.starts_with('-')) {
            command.args(["-l", user]);
        }
        if let Some(port) = port {
            command.args(["-p", &port.to_string()]);
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        command.arg("--").arg(host).arg(format!("git-upload-pack {}", quote(path)));
        command
            .env("GIT_PROTOCOL", "version=2")
            .env("LC_ALL", "C")
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("SSH_ASKPASS");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            Fault::Unsupported(format!(
                "the ssh program {:?} can't be started: {error}; ssh URLs need it",
                settings.program
            ))
        })?;
        let (Some(stdin), Some(stdout), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Fault::Disk("the ssh program has no pipes".into()));
        };
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (ended, stderr_ended) = sync_channel::<()>(1);
        let kept = Arc::clone(&stderr);
        let listen = move || {
            keep_start(errors, &kept);
            drop(ended);
        };
        std::thread::Builder::new().spawn(listen).map_err(|error| no_thread(&error))?;
        let left = Rc::new(Cell::new(Some(limit)));
        let output = Output { pieces: pump(stdout)?, piece: io::Cursor::default(), left: Rc::clone(&left), watch };
        Ok((Self { child, stderr, stderr_ended, left, limit, _key: key }, output, stdin))
    }

    /// Why the conversation failed, as far as the program or its output say.
    pub(super) fn fault(&self) -> Option<Fault> {
        if self.left.get().is_none() {
            return Some(super::received_too_much(self.limit));
        }
        let _ended = self.stderr_ended.recv_timeout(LAST_WORDS);
        let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        complaint(&String::from_utf8_lossy(&stderr))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn arguments(settings: &SshSettings, key: &Path, insecure: bool) -> Result<Vec<String>, Fault> {
    let text = |path: &Path| {
        let text = path.to_str().filter(|text| !text.contains(['"', '%', '\n']));
        text.map(ToOwned::to_owned).ok_or_else(|| Fault::Unsupported(format!("ssh can't be given the path {path:?}")))
    };
    let mut arguments: Vec<String> = ["-F", "/dev/null", "-T", "-a", "-x", "-i"].map(Into::into).into();
    arguments.push(text(key)?);
    let mut option = |value: String| arguments.extend(["-o".to_owned(), value]);
    for value in
        ["BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none", "ConnectTimeout=20", "ServerAliveInterval=15"]
    {
        option(value.to_owned());
    }
    option("SendEnv=GIT_PROTOCOL".to_owned());
    if insecure {
        option("StrictHostKeyChecking=no".to_owned());
        option("UserKnownHostsFile=/dev/null".to_owned());
        option("GlobalKnownHostsFile=/dev/null".to_owned());
    } else {
        option("StrictHostKeyChecking=yes".to_owned());
        if let Some(known_hosts) = &settings.known_hosts {
            option(format!("UserKnownHostsFile=\"{}\"", text(known_hosts)?));
            option("GlobalKnownHostsFile=/dev/null".to_owned());
        }
    }
    Ok(arguments)
}

/// Quotes for the shell of the other side.
fn quote(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}

/// Sorts what the ssh program or the other side wrote.
fn complaint(stderr: &str) -> Option<Fault> {
    let text = detail(stderr);
    let has = |parts: &[&str]| parts.iter().any(|part| stderr.contains(part));
    if text.is_empty() {
        None
    } else if has(&["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"]) {
        Some(Fault::Authentication(format!("the server's host key is not known; add it to the known hosts ({text})")))
    } else if has(&["Permission denied", "Too many authentication failures", "invalid format", "error in libcrypto"]) {
        Some(Fault::Authentication(format!(
            "the server refused the key; check sshPrivateKey in the repository's Secret ({text})"
        )))
    } else if has(&[
        "does not appear to be a git repository",
        "epository not found",
        "could not be found",
        "does not exist",
    ]) {
        Some(Fault::NotFound(text))
    } else if has(&[
        "resolve hostname",
        "onnection refused",
        "timed out",
        "onnection closed",
        "onnection reset",
        "No route",
        "unreachable",
    ]) {
        Some(Fault::Unreachable(text))
    } else {
        Some(Fault::Protocol(text))
    }
}

/// Keeps the beginning of what is written, and reads on so that the writer isn't blocked.
fn keep_start(mut from: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_STDERR.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(buffer.get(..room).unwrap_or_default());
    }
}

/// Reads on a thread of its own: a pipe can't be read with a deadline. The thread ends with the pipe, or when nobody takes
/// its pieces any more.
fn pump(mut from: impl Read + Send + 'static) -> Result<Receiver<io::Result<Vec<u8>>>, Fault> {
    let (sender, pieces) = sync_channel(PIECES);
    let read = move || {
        let mut buffer = vec![0; PIECE];
        loop {
            let piece = match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => Ok(buffer.get(..read).unwrap_or_default().to_vec()),
                Err(error) => Err(error),
            };
            let failed = piece.is_err();
            if sender.send(piece).is_err() || failed {
                return;
            }
        }
    };
    std::thread::Builder::new().spawn(read).map_err(|error| no_thread(&error))?;
    Ok(pieces)
}

/// What the program writes.
pub(super) struct Output<'a> {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
    left: Rc<Cell<Option<u64>>>,
    watch: Watch<'a>,
}

impl Output<'_> {
    fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            self.watch.check().map_err(|fault| io::Error::other(fault.to_string()))?;
            match self.pieces.recv_timeout(self.watch.pause()) {
                Ok(piece) => return piece.map(Some),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Read for Output<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.piece.read(buffer)?;
        if read > 0 || buffer.is_empty() {
            return Ok(read);
        }
        let Some(piece) = self.next_piece()? else { return Ok(0) };
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.left.set(self.left.get().and_then(|left| left.checked_sub(length)));
        if self.left.get().is_none() {
            return Err(io::Error::other("too much was received"));
        }
        self.piece = io::Cursor::new(piece);
        self.piece.read(buffer)
    }
}

/// A private key on disk, as long as the program needs it.
struct KeyFile(PathBuf);

impl KeyFile {
    fn write(folder: &Path, key: &Secret) -> Result<Self, Fault> {
        let path = folder.join(format!("driftless-key-{:032x}", rand::random::<u128>()));
        let failed =
            |error: io::Error| Fault::Disk(format!("the ssh key can't be written into {}: {error}", folder.display()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let file_of_key = Self(path);
        // OpenSSH refuses a key whose last line is not ended, or that has carriage returns.
        let text = key.expose().replace('\r', "");
        file.write_all(text.trim_end_matches('\n').as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
        Ok(file_of_key)
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_sorted() {
        let cases = [
            ("git@h: Permission denied (publickey).\r\n", "authentication failed: the server refused the key"),
            ("Load key \"x\": error in libcrypto", "authentication failed: the server refused the key"),
            (
                "No ED25519 host key is known\nHost key verification failed.",
                "authentication failed: the server's host key",
            ),
            ("fatal: 'x' does not appear to be a git repository", "the repository was not found"),
            ("ERROR: Repository not found.\nfatal: Could not read", "the repository was not found"),
            ("ssh: Could not resolve hostname h: Name or service not known", "the server can't be reached"),
            ("ssh: connect to host h port 22: Connection refused", "the server can't be reached"),
            ("something else", "the answer is not understood: something else"),
        ];
        for (stderr, expected) in cases {
            assert!(complaint(stderr).unwrap().to_string().starts_with(expected), "{stderr}");
        }
        assert_eq!(complaint(" \n"), None);
    }

    #[test]
    fn paths_are_quoted_for_the_other_side() {
        assert_eq!(quote("/a b'; rm -rf $HOME"), r"'/a b'\''; rm -rf $HOME'");
    }

    #[test]
    fn host_keys_are_checked_unless_told_otherwise() {
        let settings = SshSettings { known_hosts: Some("/etc/known hosts".into()), ..SshSettings::default() };
        let strict = arguments(&settings, Path::new("/k"), false).unwrap().join(" ");
        assert!(
            strict.contains("StrictHostKeyChecking=yes") && strict.contains(r#"UserKnownHostsFile="/etc/known hosts""#)
        );
        let lax = arguments(&settings, Path::new("/k"), true).unwrap().join(" ");
        assert!(lax.contains("StrictHostKeyChecking=no") && !lax.contains("known hosts"));
    }
}
