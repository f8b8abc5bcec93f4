//! Builds through kustomize's Go API (`hack/tools/krusty`), one process for all.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// A server of builds.
pub(crate) struct Krusty {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Krusty {
    pub(crate) fn start(program: &Path) -> Self {
        let mut process = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let requests = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, requests, answers }
    }

    /// Builds a folder on disk. Returns the output, unless it isn't wanted, and the time that the build alone took.
    pub(crate) fn build(&mut self, folder: &Path, quiet: bool) -> (String, Duration) {
        writeln!(self.requests, "{}", json!({"path": folder, "quiet": quiet})).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer.get("error"), None, "{}", folder.display());
        let time = Duration::from_nanos(answer["nanoseconds"].as_u64().unwrap());
        (answer["output"].as_str().unwrap_or_default().to_owned(), time)
    }
}

impl Drop for Krusty {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
