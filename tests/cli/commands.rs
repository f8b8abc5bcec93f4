//! The built program: its commands, its errors, its exit codes.

use std::io::Write as _;
use std::process::Stdio;

use tokio::process::Command;

/// What a run of the program left behind.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Done {
    /// What it printed; it must have worked without a complaint.
    #[track_caller]
    pub(super) fn succeeded(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        self.stdout
    }

    /// It worked and printed exactly this.
    #[track_caller]
    pub(super) fn printed(self, expected: &str) {
        let stdout = self.succeeded();
        assert_eq!(stdout, expected, "\n{stdout}");
    }

    /// It failed with this code and an error that holds this text.
    #[track_caller]
    pub(super) fn failed(self, code: i32, expected: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.starts_with("error: ") && self.stderr.contains(expected), "{}", self.stderr);
    }
}

/// Runs the program with no environment and no input.
pub(super) async fn driftless(args: &[&str]) -> Done {
    with_env(args, &[]).await
}

async fn with_env(args: &[&str], env: &[(&str, &str)]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
    command.args(args).env_clear().envs(env.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn the_version_is_told() {
    let expected = concat!("driftless ", env!("CARGO_PKG_VERSION"), "\n");
    driftless(&["version"]).await.printed(expected);
    driftless(&["--version"]).await.printed(expected);
}

#[tokio::test]
async fn help_names_flag_variable_default_and_unit() {
    let help = driftless(&["run", "--help"]).await.succeeded();
    for text in
        ["--poll-interval <DURATION>", "DRIFTLESS_POLL_INTERVAL", "[default: 2m]", "--config <FILE>", "Election:"]
    {
        assert!(help.contains(text), "{text} is not in\n{help}");
    }
    let help = with_env(&["run", "--help"], &[("DRIFTLESS_CONTEXT", "private-name")]).await.succeeded();
    assert!(!help.contains("private-name"), "help must not print the environment");
}

#[tokio::test]
async fn mistakes_on_the_command_line_exit_with_2() {
    driftless(&["run", "--poll-interval=soon"])
        .await
        .failed(2, "'soon' for '--poll-interval <DURATION>': write a number");
    driftless(&["run", "--nonsense"]).await.failed(2, "--nonsense");
    driftless(&["run", "--api-listen=0.0.0.0:8081"])
        .await
        .failed(2, "--api-listen: 0.0.0.0:8081 is not a loopback address");
    driftless(&["run", "--log-level=loud"]).await.failed(2, "--log-level: \"loud\"");
    with_env(&["run"], &[("DRIFTLESS_APPLY_CONCURRENCY", "65")]).await.failed(2, "65");
    assert_eq!(driftless(&[]).await.code, Some(2));
}

#[tokio::test]
async fn mistakes_in_the_settings_file_name_the_file() {
    let cases = [
        ("polInterval: 5m", "unknown key `polInterval`; did you mean `poll-interval`?"),
        ("pollInterval: soon", "invalid value 'soon' for '--poll-interval <DURATION>'"),
        ("apiListen: 10.0.0.1:8081", "--api-listen: 10.0.0.1:8081 is not a loopback address"),
    ];
    for (text, expected) in cases {
        let file = file(text);
        let path = file.path().to_str().unwrap();
        driftless(&["run", "--config", path]).await.failed(2, expected);
        let done = with_env(&["run"], &[("DRIFTLESS_CONFIG", path)]).await;
        assert!(done.stderr.contains(path) || expected.starts_with("--api-listen"), "{}", done.stderr);
        done.failed(2, expected);
    }
    driftless(&["run", "--config=/does/not/exist"]).await.failed(2, "settings file /does/not/exist: can't be opened");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
    let mut child =
        command.args(["run", "--help"]).env_clear().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
