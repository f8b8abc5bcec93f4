//! kubectl against the model and against a real kube-apiserver: the same commands, with what it prints and how it ends compared.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use regex::Regex;
use tempfile::TempDir;

use crate::support::control_plane::{ControlPlane, GARBAGE_COLLECTION};

const COMMANDS: &str = include_str!("commands.txt");
/// How many seconds a command may take.
const LIMIT: &str = "60";
/// Set to 1, all that kubectl prints is printed.
const SHOW: &str = "DRIFTLESS_SHOW";

/// Where kubectl runs: a folder with its own configuration, cache and programs.
struct Place {
    folder: TempDir,
    path: std::ffi::OsString,
}

impl Place {
    fn new(plane: &ControlPlane) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("bin");
        fs::create_dir(&programs).unwrap();
        std::os::unix::fs::symlink(plane.kubectl_program(), programs.join("kubectl")).unwrap();
        // A copy: commands change it.
        fs::copy(plane.kubeconfig(), folder.path().join("kubeconfig")).unwrap();
        let known = std::env::var_os("PATH").unwrap();
        let folders: Vec<PathBuf> = std::iter::once(programs).chain(std::env::split_paths(&known)).collect();
        Self { folder, path: std::env::join_paths(folders).unwrap() }
    }

    /// What a line of a shell prints, and how it ends.
    fn run(&self, line: &str) -> String {
        let home = self.folder.path();
        let mut command = Command::new("timeout");
        command
            .args([LIMIT, "sh", "-c", line])
            .current_dir(home)
            .stdin(Stdio::null())
            .env("PATH", &self.path)
            .env("HOME", home);
        command.env("KUBECONFIG", home.join("kubeconfig")).env("KUBECACHEDIR", home.join("cache")).env("TZ", "UTC");
        let output = command.output().unwrap();
        let told = |bytes: &[u8]| {
            // The order of the members of an object means nothing.
            let parsed = serde_json::from_slice::<serde_json::Value>(bytes).ok().filter(serde_json::Value::is_object);
            let text = parsed.map(|value| format!("{value:#}\n"));
            normal(&text.unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned()))
        };
        let (out, errors) = (told(&output.stdout), told(&output.stderr));
        let errors: String = errors.lines().map(|line| format!("! {line}\n")).collect();
        format!("{out}{errors}({})\n", output.status.code().unwrap_or(-1))
    }
}

/// What no two runs share, replaced, and the spaces of tables, which follow from it.
fn normal(text: &str) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let rules = [
            (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
            (r"https?://127\.0\.0\.1:\d+", "<server>"),
            (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| [+-]\d{4})?( UTC)?", "<time>"),
            (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "<time>"),
            (r#"(?i)(resource ?version"?: *)"?\d+"?"#, "$1<rv>"),
            (r"\b10\.0\.\d+\.\d+\b", "<ip>"),
            (r"\b3[0-2]\d{3}\b", "<port>"),
            (r"/\S*(LIVE|MERGED)-\d+/", "<$1>/"),
            (r"/\S*/kubectl-edit-\d+\.yaml", "<edited>"),
            // A token carries its time, and its signature.
            (r"\beyJ[\w-]+\.[\w-]+\.[\w-]+", "<token>"),
            (r"\b(\d+[dhms]){1,2}\b", "<age>"),
            (r" {2,}", "  "),
            (r"(?m) +$", ""),
        ];
        rules.into_iter().map(|(pattern, name)| (Regex::new(pattern).unwrap(), name)).collect()
    });
    let mut text = text.to_owned();
    for (pattern, name) in RULES.iter() {
        text = pattern.replace_all(&text, *name).into_owned();
    }
    text
}

fn steps() -> impl Iterator<Item = &'static str> {
    COMMANDS.split("\n\n").map(str::trim).filter(|step| !step.starts_with('#') && !step.is_empty())
}

fn run_all(place: &Place) -> Vec<String> {
    let show = std::env::var_os(SHOW).is_some();
    let told = steps().map(|step| {
        let told = place.run(step);
        if show {
            println!("{}$ {step}\n{told}", place.folder.path().display());
        }
        told
    });
    told.collect()
}

/// Commands whose output may differ by the second in which each server ran them: managed fields are ordered by their times,
/// and those of one second by name.
const BY_THE_CLOCK: usize = 4;

#[test]
fn kubectl_does_with_the_model_what_it_does_with_a_server() {
    let planes = [ControlPlane::start(GARBAGE_COLLECTION), ControlPlane::model()];
    let [real, model] = planes.each_ref().map(Place::new);
    let (ours, theirs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| run_all(&real));
        (run_all(&model), theirs.join().unwrap())
    });
    let mut told = String::new();
    let mut differing = 0;
    for ((step, its), mine) in steps().zip(&theirs).zip(&ours) {
        if its != mine {
            differing += 1;
            told.push_str(&format!("$ {step}\n--- the server\n{its}--- the model\n{mine}\n"));
        }
    }
    println!("{} commands, {differing} differ", ours.len());
    assert!(ours.len() > 200, "{} commands", ours.len());
    assert!(differing <= BY_THE_CLOCK, "{differing} of {} commands differ\n{told}", ours.len());
}
