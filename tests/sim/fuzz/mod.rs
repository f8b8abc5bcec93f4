//! Random sequences of writes, asked of two servers and compared step by step.
//!
//! `DRIFTLESS_SEQUENCES=10000` runs that many, `DRIFTLESS_SEQUENCE=17` the one of a seed, `DRIFTLESS_KINDS=ConfigMap,Widget`
//! with these kinds only: `cargo test --test tests real::sim::random`.

mod kinds;
mod more;
mod rng;
mod sequence;

use super::compare::difference;
use super::run::{IMPOSSIBLE, Run};
use super::script::Script;
use super::server::Server;

/// How often a sequence that fails is run again to find a shorter one.
const MAX_TRIES: usize = 150;
/// Sequences that fail and are told before the run ends.
const MAX_TOLD: usize = 5;

/// Two servers that should give the same answers.
pub(crate) struct Pair<'a> {
    pub(crate) left: &'a mut dyn Server,
    pub(crate) right: &'a mut dyn Server,
    /// Namespaces are numbered, for each run of a sequence needs one that is empty.
    used: usize,
}

/// The first step that was answered in two ways.
struct Split {
    step: usize,
    lines: String,
}

impl<'a> Pair<'a> {
    /// Defines on both what the sequences need.
    pub(crate) fn new(left: &'a mut dyn Server, right: &'a mut dyn Server) -> Self {
        let script = Script::parse(&sequence::setup());
        for server in [&mut *left, &mut *right] {
            let mut run = Run::new(server, script.source());
            for step in &script.steps {
                let answer = run.step(step).unwrap_or_else(|why| panic!("{}: {why}", step.name));
                assert!(answer.starts_with("=> 20") || answer.starts_with("=> 409"), "{}: {answer}", step.name);
            }
        }
        Self { left, right, used: 0 }
    }

    /// Runs steps on both, each in a namespace of its own; where they part.
    fn compare(&mut self, steps: &dyn Fn(&str) -> Vec<String>) -> Option<Split> {
        self.used += 1;
        // Of one length, for the lines of an answer are broken before the name is taken out.
        let (left, right) = (format!("fuzz-1-{}", self.used), format!("fuzz-2-{}", self.used));
        let left = answers(self.left, &left, &steps(&left));
        let right = answers(self.right, &right, &steps(&right));
        let step = left.iter().zip(&right).position(|(left, right)| left != right)?;
        Some(Split { step, lines: difference(&left[step], &right[step]) })
    }

    /// Runs the sequence of a seed; if the servers part, the shortest sequence that was found to show it.
    pub(crate) fn run(&mut self, seed: u64, only: &[String]) -> Option<String> {
        let mut split = self.compare(&|namespace| sequence::sequence(seed, namespace, only))?;
        let mut kept: Vec<usize> = (0..=split.step).collect();
        let mut tries = 0;
        let mut at = kept.len();
        while at > 0 && tries < MAX_TRIES {
            at -= 1;
            tries += 1;
            let mut fewer = kept.clone();
            fewer.remove(at);
            let found = self.compare(&|namespace| {
                let steps = sequence::sequence(seed, namespace, only);
                fewer.iter().map(|index| steps[*index].clone()).collect()
            });
            if let Some(found) = found {
                fewer.truncate(found.step + 1);
                at = at.min(fewer.len());
                (kept, split) = (fewer, found);
            }
        }
        let steps = sequence::sequence(seed, "fuzz", only);
        let script: String = kept.iter().map(|index| format!("{}\n", steps[*index])).collect();
        Some(format!("sequence {seed}, {} of its steps:\n\n{script}{}", kept.len(), split.lines))
    }
}

/// The answers to steps, without what the namespace is called.
fn answers(server: &mut dyn Server, namespace: &str, steps: &[String]) -> Vec<String> {
    let head =
        format!("### a namespace\nPOST /api/v1/namespaces\n\n{{\"metadata\": {{\"name\": \"{namespace}\"}}}}\n\n");
    let script = Script::parse(&format!("{head}{}", steps.join("\n")));
    let mut run = Run::new(server, script.source());
    let mut answers = Vec::new();
    for step in &script.steps {
        let answer = run.step(step).unwrap_or_else(|why| format!("{IMPOSSIBLE}{why}\n"));
        answers.push(answer.replace(namespace, "fuzz"));
    }
    // The namespace itself is not part of the sequence.
    answers.remove(0);
    answers
}

/// What the environment asks for: seeds and kinds.
fn wanted(count: u64) -> (std::ops::RangeInclusive<u64>, Vec<String>) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let kinds = std::env::var("DRIFTLESS_KINDS").unwrap_or_default();
    let kinds = kinds.split(',').filter(|kind| !kind.is_empty()).map(str::to_owned).collect();
    let seeds = match number("DRIFTLESS_SEQUENCE") {
        Some(seed) => seed..=seed,
        None => 1..=number("DRIFTLESS_SEQUENCES").unwrap_or(count),
    };
    (seeds, kinds)
}

/// On how many sequences the servers parted, and a text that tells of some.
pub(crate) struct Found {
    pub(crate) parted: usize,
    pub(crate) told: String,
}

/// Runs `count` sequences, or what the environment asks for.
pub(crate) fn run(left: &mut dyn Server, right: &mut dyn Server, count: u64) -> Found {
    let (seeds, kinds) = wanted(count);
    let mut pair = Pair::new(left, right);
    let (mut told, mut parted) = (String::new(), Vec::new());
    for seed in seeds.clone() {
        if parted.len() < MAX_TOLD {
            if let Some(shortest) = pair.run(seed, &kinds) {
                told.push_str(&format!("{shortest}\n"));
                parted.push(seed);
            }
        } else if pair.compare(&|namespace| sequence::sequence(seed, namespace, &kinds)).is_some() {
            parted.push(seed);
        }
    }
    println!("{} of {} sequences were answered alike", seeds.clone().count() - parted.len(), seeds.count());
    if !parted.is_empty() {
        println!("{told}");
    }
    told.push_str(&format!("they parted in the sequences {parted:?}; DRIFTLESS_SEQUENCE=N runs one of them again"));
    Found { parted: parted.len(), told }
}

#[test]
fn a_seed_gives_the_same_sequence_in_every_namespace() {
    for seed in 1..200 {
        let (one, other) = (sequence::sequence(seed, "one", &[]), sequence::sequence(seed, "other", &[]));
        let renamed: Vec<String> =
            one.iter().map(|step| step.replace("/namespaces/one/", "/namespaces/other/")).collect();
        assert_eq!(renamed, other, "{seed}");
        Script::parse(&one.join("\n"));
    }
}
