//! The runs.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use driftless::render::memory::MemoryTree;
use serde_json::{Value, json};

use super::Overlay;
use crate::render::kustomize::ours::ours;
use crate::render::kustomize::program::{Answer, in_parallel, tool};

/// Number of runs, if it isn't the default, or a range of seeds as `2000..4000`: 20,000 before a release.
const RUNS: &str = "DRIFTLESS_OVERLAYS";
const DEFAULT_RUNS: u64 = 2000;
/// A seed to look at by itself.
const SEED: &str = "DRIFTLESS_OVERLAY";
/// So many of a hundred trees must build, or the test compares nothing but errors.
const LEAST_BUILT: usize = 75;
/// Kustomize may crash once in so many trees.
const MOST_PANICS: usize = 500;

/// A server of builds through kustomize's Go API, `hack/tools/krusty`.
struct Krusty {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Krusty {
    fn start(program: &Path) -> Self {
        let mut process = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let requests = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, requests, answers }
    }

    fn build(&mut self, overlay: &Overlay) -> Answer {
        let files: serde_json::Map<String, Value> =
            overlay.files.iter().map(|(path, content)| (path.clone(), content.clone().into())).collect();
        writeln!(self.requests, "{}", json!({"path": overlay.build, "files": files})).unwrap();
        let mut line = String::new();
        assert!(self.answers.read_line(&mut line).unwrap() > 0, "krusty ended");
        let answer: Value = serde_json::from_str(&line).unwrap();
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["output"].as_str().unwrap().to_owned()),
        }
    }
}

impl Drop for Krusty {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a stretch of seeds gave.
#[derive(Default)]
struct Tally {
    built: usize,
    differences: Vec<String>,
    /// Trees that made kustomize crash: no answer to compare with, so ours may be a build or an error.
    panicked: Vec<String>,
}

/// What kustomize died of, if it did.
fn panic_of(answer: &Answer) -> Option<&str> {
    answer.as_ref().err()?.strip_prefix("panic: ")
}

fn compare(program: &Path, seeds: std::ops::Range<u64>) -> Tally {
    let mut krusty = Krusty::start(program);
    let mut tally = Tally::default();
    for seed in seeds {
        let overlay = Overlay::of(seed);
        let tree = MemoryTree::of(overlay.files.iter().map(|(path, content)| (path.as_str(), content.as_str())));
        let theirs = krusty.build(&overlay);
        let ours = ours(&tree, &overlay.build, false);
        tally.built += usize::from(theirs.is_ok());
        if let Some(cause) = panic_of(&theirs) {
            let outcome = if ours.is_ok() { "we build" } else { "we refuse" };
            tally.panicked.push(format!("seed {seed}: the program panicked ({cause}), {outcome}"));
        } else if let Some(difference) = difference(&theirs, &ours) {
            tally.differences.push(format!("seed {seed}: {difference}"));
        }
    }
    tally
}

/// Where two answers part; `None` if they are the same text, or both failures.
pub(in crate::render::kustomize) fn difference(theirs: &Answer, ours: &Answer) -> Option<String> {
    match (theirs, ours) {
        (Err(_), Err(_)) => None,
        (Ok(theirs), Ok(ours)) if theirs == ours => None,
        (Ok(theirs), Ok(ours)) => {
            let at = theirs.lines().zip(ours.lines()).take_while(|(theirs, ours)| theirs == ours).count();
            let line = |text: &str| text.lines().nth(at).unwrap_or("the end").to_owned();
            Some(format!("line {}: kustomize {:?}, we {:?}", at + 1, line(theirs), line(ours)))
        }
        (Ok(_), Err(error)) => Some(format!("we fail: {error}")),
        (Err(error), Ok(_)) => Some(format!("only kustomize fails: {}", error.lines().next().unwrap_or_default())),
    }
}

#[test]
fn random_overlays_build_alike() {
    let seeds = std::env::var(RUNS).map_or(0..DEFAULT_RUNS, |text| match text.split_once("..") {
        Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
        None => 0..text.parse().unwrap(),
    });
    let runs = seeds.end - seeds.start;
    let program = tool("krusty");
    if let Ok(seed) = std::env::var(SEED) {
        let overlay = Overlay::of(seed.parse().unwrap());
        let answer = Krusty::start(&program).build(&overlay);
        panic!("{}== output ==\n{}", overlay.as_case(), answer.unwrap_or_else(|error| error));
    }
    let stretches: Vec<_> = seeds.clone().step_by(100).map(|from| from..seeds.end.min(from + 100)).collect();
    let tallies = in_parallel(&stretches, |seeds| compare(&program, seeds.clone()));
    let built: usize = tallies.iter().map(|tally| tally.built).sum();
    let (mut differences, mut panicked) = (Vec::new(), Vec::new());
    for tally in tallies {
        differences.extend(tally.differences);
        panicked.extend(tally.panicked);
    }
    println!("{built} of {runs} trees build; {} differences; {} panics", differences.len(), panicked.len());
    panicked.iter().for_each(|panicked| println!("{panicked}"));
    assert!(panicked.len() <= 1 + built / MOST_PANICS, "the program panicked too often to compare with it");
    differences.iter().for_each(|difference| println!("{difference}"));
    assert!(built * 100 >= usize::try_from(runs).unwrap() * LEAST_BUILT, "only {built} of {runs} trees build");
    if let Some(first) = differences.first() {
        let seed = first.trim_start_matches("seed ").split(':').next().unwrap().parse().unwrap();
        panic!("{} of {runs} trees differ; the first as a case:\n{}", differences.len(), Overlay::of(seed).as_case());
    }
}
