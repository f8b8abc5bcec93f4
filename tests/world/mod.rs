//! Simulated worlds: replicas that run the agent's own code under virtual time, against the model of the API server, with
//! repositories in memory and disks that lose power. A seed says everything that happens.
//!
//! `DRIFTLESS_SEED=N cargo test world::one_seed -- --nocapture` replays one seed and prints what happened;
//! `DRIFTLESS_WORLDS=A..B` runs others than the first ones.

mod git;
mod ledger;
mod plan;
mod ports;
mod replica;
mod scenario;
mod trace;
#[expect(clippy::module_inception, reason = "the world is what this is about")]
mod world;

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::Rng;

use self::ledger::Of;
use self::world::World;

/// Seeds that are run if nothing else is said.
const SEEDS: Range<u64> = 0..1000;
/// How long the agents may take until everything is as Git says, once nothing fails any more: the longest pauses of
/// retries and of contested objects are five minutes.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// After this long a watch that has fallen silent was found out and begun anew, and what failed was tried again.
const SILENCE: Duration = Duration::from_secs(120);
/// How long nothing may happen then.
const QUIET: Duration = Duration::from_secs(40);

/// What came of a world.
#[derive(Debug, Default)]
struct Outcome {
    trace: Vec<String>,
    failure: Option<String>,
    deletions: u64,
    holders: usize,
    steps: u64,
}

/// Runs something under virtual time.
fn simulated<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(work)
}

fn run(seed: u64) -> Outcome {
    simulated(async {
        let mut world = World::new(seed, if seed.is_multiple_of(5) { 3 } else { 2 });
        let (failure, steps) = history(seed, &mut world).await;
        let state = std::mem::take(&mut *world.ledger.state());
        let failure = failure.or_else(|| state.violations.first().cloned());
        Outcome {
            trace: world.site.trace.take(),
            failure,
            deletions: state.deletions,
            holders: state.holders.len(),
            steps,
        }
    })
}

/// A random history, then peace, a restart, and the loss of all stores. Tells the first thing that was wrong.
async fn history(seed: u64, world: &mut World) -> (Option<String>, u64) {
    world.furnish();
    for index in 0..world.replicas.len() {
        world.start(index);
    }
    let steps = world.random.random_range(6..16);
    for _ in 0..steps {
        let pause = if world.random.random_bool(0.3) { 300 } else { 20_000 };
        let pause = Duration::from_millis(world.random.random_range(0..pause));
        world.pass(pause).await;
        world.step(seed.is_multiple_of(4)).await;
    }
    world.mend();
    let failure = peace(world).await;
    if failure.is_some() {
        world.show();
    }
    (failure, steps)
}

async fn peace(world: &mut World) -> Option<String> {
    if let Some(difference) = converge(world).await {
        return Some(format!("not as Git says after {PATIENCE:?}: {difference}"));
    }
    world.pass(SILENCE).await;
    if let Some(write) = quiet(world).await.first() {
        return Some(format!("settled, and yet: {write:?}"));
    }
    for replica in &mut world.replicas {
        replica.stop(&world.site.trace).await;
    }
    if let Some(failure) = again(world, "after a restart").await {
        return Some(failure);
    }
    for replica in &mut world.replicas {
        replica.crash(&world.site.trace, &mut world.random);
        replica.lose_disk(&world.site.trace);
    }
    again(world, "without their stores").await
}

/// Starts all replicas: they must not write to anything but Applications' status, for nothing has changed.
async fn again(world: &mut World, when: &str) -> Option<String> {
    for index in 0..world.replicas.len() {
        world.start(index);
    }
    let writes = quiet(world).await;
    // Without a store and without selfHeal, what a person has deleted or hidden looks like what was never applied.
    let is_healed =
        |text: &str| world.apps.iter().all(|app| app.is("selfHeal") || !text.contains(&format!("/{}-", app.name)));
    if let Some((_, write)) = writes.iter().find(|(of, text)| *of == Of::Object && is_healed(text)) {
        return Some(format!("{when}: {write}"));
    }
    world.difference().map(|difference| format!("{when}: {difference}"))
}

/// Waits until everything is as Git says; what is not, if that takes too long.
async fn converge(world: &mut World) -> Option<String> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let difference = world.difference()?;
        if tokio::time::Instant::now() >= deadline {
            return Some(difference);
        }
        world.pass(Duration::from_secs(2)).await;
    }
}

/// Lets time pass, and tells what was written in it.
async fn quiet(world: &mut World) -> Vec<(Of, String)> {
    world.take_writes();
    world.pass(QUIET).await;
    world.take_writes()
}

fn report(seed: u64, outcome: &Outcome) -> String {
    format!(
        "seed {seed}: {}\n  replay: DRIFTLESS_SEED={seed} cargo test --test tests -- world::one_seed --nocapture",
        outcome.failure.as_deref().unwrap_or("well")
    )
}

#[test]
fn every_world_comes_to_what_git_says() {
    let seeds = std::env::var("DRIFTLESS_WORLDS").map_or(SEEDS, |range| {
        let (from, to) = range.split_once("..").expect("DRIFTLESS_WORLDS is A..B");
        from.parse().unwrap()..to.parse().unwrap()
    });
    let (next, failures) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let sums = Mutex::new((0, 0, 0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(seed);
                    if outcome.failure.is_some() {
                        println!("{}", report(seed, &outcome));
                        failures.lock().unwrap().push(report(seed, &outcome));
                    }
                    let mut sums = sums.lock().unwrap();
                    *sums = (sums.0 + outcome.steps, sums.1 + outcome.deletions, sums.2 + outcome.holders);
                    if (seed - seeds.start) % 100 == 99 {
                        println!("{} worlds", seed - seeds.start + 1);
                    }
                }
            });
        }
    });
    let (steps, deletions, holders) = sums.into_inner().unwrap();
    println!(
        "{} worlds: {steps} steps, {deletions} deletions, {holders} holders of the Lease",
        seeds.end - seeds.start
    );
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} worlds failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn one_seed() {
    let seed = std::env::var("DRIFTLESS_SEED").map_or(1, |seed| seed.parse().unwrap());
    let outcome = run(seed);
    if std::env::var_os("DRIFTLESS_SEED").is_some() {
        println!("{}", outcome.trace.join("\n"));
    }
    assert!(outcome.failure.is_none(), "{}", report(seed, &outcome));
}

#[test]
fn one_seed_gives_one_trace() {
    for seed in [3, 8] {
        let (first, second) = (run(seed), run(seed));
        let differs = first.trace.iter().zip(&second.trace).position(|(a, b)| a != b);
        if let Some(at) = differs {
            panic!("seed {seed}, line {at}:\n{}\n{}", first.trace[at], second.trace[at]);
        }
        assert_eq!(first.trace.len(), second.trace.len(), "seed {seed}");
        assert!(first.trace.len() > 500, "seed {seed}");
    }
}
