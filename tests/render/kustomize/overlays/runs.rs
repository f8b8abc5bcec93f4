//! The runs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::Overlay;
use crate::render::kustomize::program::{Answer, tool};

/// A server of builds through kustomize's Go API, `hack/tools/krusty`.
struct Krusty {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Krusty {
    fn start() -> Self {
        let mut process = Command::new(tool("krusty")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let requests = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, requests, answers }
    }

    fn build(&mut self, overlay: &Overlay) -> Answer {
        let files: serde_json::Map<String, Value> =
            overlay.files.iter().map(|(path, content)| (path.clone(), content.clone().into())).collect();
        let request = json!({"path": overlay.build, "files": files, "fifo": overlay.fifo});
        writeln!(self.requests, "{request}").unwrap();
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

#[test]
fn probe() {
    let mut krusty = Krusty::start();
    let (mut good, mut reasons) = (0, std::collections::BTreeMap::<String, (usize, u64)>::new());
    for seed in 0..2000 {
        match krusty.build(&Overlay::of(seed)) {
            Ok(_) => good += 1,
            Err(error) => {
                reasons
                    .entry(error.chars().rev().take(100).collect::<String>().chars().rev().collect())
                    .or_insert((0, seed))
                    .0 += 1
            }
        }
    }
    println!("{good}");
    let mut sorted: Vec<_> = reasons.into_iter().collect();
    sorted.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    for (reason, (count, seed)) in sorted.iter().take(40) {
        println!("{count} (seed {seed}) {reason:?}");
    }
    println!("{}", Overlay::of(7).as_case());
}
