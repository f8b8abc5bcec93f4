//! Kustomize side by side: the real program, its Go API in one process, and us, on one repository in one run.
//!
//! usage: `cargo bench --bench render [-- ROUNDS]`

#![allow(clippy::unwrap_used, clippy::panic, reason = "what goes wrong here ends the benchmark")]

mod krusty;
mod repository;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use driftless::engine::desired::RenderInputs;
use driftless::engine::hash::Hash;
use driftless::render::kustomize::{BuildOptions, build, to_yaml};
use driftless::render::memory::MemoryTree;
use driftless::render::{Entry, EntryKind, Recorder, RenderLimits, Tree, TreeError, unchanged};

use krusty::Krusty;
use repository::{Repository, large, overlays};

/// The agent's own allocator: memory and speed depend on it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Overlays of the repository.
const OVERLAYS: usize = 50;
const DEFAULT_ROUNDS: usize = 5;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let first = arguments.next();
    if first.as_deref() == Some("--memory") {
        return memory(arguments.next().as_deref() == Some("large"));
    }
    let rounds = first.map_or(DEFAULT_ROUNDS, |rounds| rounds.parse().unwrap());
    if cfg!(debug_assertions) {
        println!("not optimized: the times mean nothing");
    }
    let repository = overlays(OVERLAYS);
    let disk = tempfile::tempdir().unwrap();
    repository.write_to(disk.path());
    let output = same_output(&repository, disk.path());
    println!(
        "{OVERLAYS} overlays, {} files, {:.0} kB of output; medians of {rounds} rounds\n",
        repository.files.len(),
        kilobytes(output)
    );
    speed(&repository, disk.path(), rounds);
    rebuild(&repository);
    println!();
    for size in ["small", "large"] {
        let this = std::env::current_exe().unwrap();
        let output = Command::new(this).args(["--memory", size]).stderr(Stdio::inherit()).output().unwrap();
        print!("{}", String::from_utf8(output.stdout).unwrap());
    }
}

/// The three must print the same, or there is nothing to compare. Returns the size of all output.
fn same_output(repository: &Repository, disk: &Path) -> usize {
    let program = tool("kustomize");
    let tree = repository.tree();
    let mut api = Krusty::start(&tool("krusty"));
    let mut size = 0;
    for path in &repository.builds {
        let output = Command::new(&program).arg("build").arg(disk.join(path)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let theirs = String::from_utf8(output.stdout).unwrap();
        assert!(theirs == render(&tree, path), "{path}: another output");
        assert!(theirs == api.build(&disk.join(path), false).0, "{path}: another output of the Go API");
        size += theirs.len();
    }
    size
}

fn speed(repository: &Repository, disk: &Path, rounds: usize) {
    let program = tool("kustomize");
    let processes = median(rounds, || {
        let begun = Instant::now();
        for path in &repository.builds {
            let status =
                Command::new(&program).arg("build").arg(disk.join(path)).stdout(Stdio::null()).status().unwrap();
            assert!(status.success());
        }
        begun.elapsed()
    });
    let mut api = Krusty::start(&tool("krusty"));
    let builds = |api: &mut Krusty| repository.builds.iter().map(|path| api.build(&disk.join(path), true).1).sum();
    let _warm: Duration = builds(&mut api);
    let in_process: Duration = median(rounds, || builds(&mut api));
    let tree = repository.tree();
    let ours = median(rounds, || {
        let begun = Instant::now();
        for path in &repository.builds {
            std::hint::black_box(render(&tree, path));
        }
        begun.elapsed()
    });
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let parallel = median(rounds, || in_parallel(&tree, &repository.builds, workers));
    let row = |what: &str, time: Duration| {
        let (milliseconds, times) = (time.as_secs_f64() * 1e3, time.as_secs_f64() / ours.as_secs_f64());
        println!("{what:<44} {milliseconds:>9.1} ms {times:>8.1} times ours");
    };
    row("kustomize build, a process each", processes);
    row("kustomize's Go API, one process", in_process);
    row("Driftless, one thread", ours);
    row(&format!("Driftless, {workers} threads"), parallel);
    println!();
    verdict("at least 30 times faster than processes", processes.as_secs_f64() >= 30.0 * ours.as_secs_f64());
    verdict("at least 5 times faster than the Go API", in_process.as_secs_f64() >= 5.0 * ours.as_secs_f64());
}

/// What one changed file of one overlay costs, when the inputs of all renderings are remembered.
fn rebuild(repository: &Repository) {
    let tree = repository.tree();
    let remembered: Vec<RenderInputs> = repository.builds.iter().map(|path| inputs(&tree, path)).collect();
    let leaf = format!("{}/kustomization.yaml", repository.builds[7]);
    let old = String::from_utf8(repository.files[&leaf].clone()).unwrap();
    let changed = Counting {
        tree: tree.with(&leaf, &format!("{old}nameSuffix: -changed\n")),
        lookups: Cell::new(0),
        reads: Cell::new(0),
    };
    let begun = Instant::now();
    let mut stale = Vec::new();
    for (path, inputs) in repository.builds.iter().zip(&remembered) {
        if !unchanged(&changed, inputs).unwrap() {
            stale.push(path);
        }
    }
    let (checked, lookups, read) = (begun.elapsed(), changed.lookups.get(), changed.reads.get());
    let rendered = Instant::now();
    stale.iter().for_each(|path| drop(render(&changed, path)));
    println!(
        "\none leaf changed: {} of {OVERLAYS} rendered again in {:.2} ms; found by {lookups} look-ups and {read} reads in {:.2} ms",
        stale.len(),
        rendered.elapsed().as_secs_f64() * 1e3,
        checked.as_secs_f64() * 1e3,
    );
    verdict("only the changed overlay is rendered, and nothing is read to find it", stale.len() == 1 && read == 0);
}

/// Prints what one rendering adds to the peak of the process's memory. In a process of its own, so that nothing of
/// before is counted.
fn memory(big: bool) {
    let repository = if big { large() } else { overlays(OVERLAYS) };
    let tree = repository.tree();
    let path = &repository.builds[0];
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");
    let output = render(&tree, path);
    let peak = status("VmHWM:").saturating_sub(before);
    println!(
        "memory of one rendering: {peak} kB beside the tree, for {:.0} kB of output: {:.1} times",
        kilobytes(output.len()),
        peak as f64 / kilobytes(output.len())
    );
}

/// A figure of the process's status, in kB.
fn status(name: &str) -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok()).unwrap()
}

fn render(tree: &dyn Tree, path: &str) -> String {
    let mut recorder = Recorder::new(tree);
    let resources = build(&mut recorder, path, &BuildOptions::default(), &RenderLimits::default());
    to_yaml(&resources.unwrap_or_else(|error| panic!("{path}: {error}"))).unwrap()
}

fn inputs(tree: &dyn Tree, path: &str) -> RenderInputs {
    let mut recorder = Recorder::new(tree);
    build(&mut recorder, path, &BuildOptions::default(), &RenderLimits::default()).unwrap();
    recorder.finish(Hash::of(b""), "Kustomize")
}

fn in_parallel(tree: &MemoryTree, builds: &[String], workers: usize) -> Duration {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for share in builds.chunks(builds.len().div_ceil(workers)) {
            scope.spawn(|| share.iter().for_each(|path| drop(std::hint::black_box(render(tree, path)))));
        }
    });
    begun.elapsed()
}

fn median(rounds: usize, mut work: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<_> = (0..rounds.max(1)).map(|_| work()).collect();
    times.sort();
    times[times.len() / 2]
}

fn verdict(what: &str, holds: bool) {
    println!("{} {what}", if holds { "yes:" } else { "NO: " });
}

fn kilobytes(bytes: usize) -> f64 {
    bytes as f64 / 1000.0
}

/// The path of a program of `hack/tools`.
fn tool(name: &str) -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/hack/tools/build.sh");
    let output = Command::new(script).arg(name).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// A tree that counts what is asked of it.
struct Counting {
    tree: MemoryTree,
    lookups: Cell<usize>,
    reads: Cell<usize>,
}

impl Tree for Counting {
    fn lookup(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        self.lookups.set(self.lookups.get() + 1);
        self.tree.lookup(path)
    }

    fn list(&self, path: &str) -> Result<Vec<(std::sync::Arc<str>, Entry)>, TreeError> {
        self.tree.list(path)
    }

    fn read(&self, id: &str) -> Result<Vec<u8>, TreeError> {
        self.reads.set(self.reads.get() + 1);
        self.tree.read(id)
    }
}

impl Repository {
    fn tree(&self) -> MemoryTree {
        let mut tree = MemoryTree::default();
        for (path, content) in &self.files {
            tree.put(path, EntryKind::File, content.clone());
        }
        tree
    }

    fn write_to(&self, folder: &Path) {
        for (path, content) in &self.files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }
}
