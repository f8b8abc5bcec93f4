//! What the model of the API server costs, over HTTP on loopback with clients in the same process: `cargo bench --bench sim`.
//! `-- --objects 100000 --clients 8` are what it does by default; `--keep FOLDER` keeps the state on disk, too.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what goes wrong here ends the benchmark")]

mod client;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use driftless::sim::apiserver::ApiServer;
use driftless::sim::controllers::Controllers;
use driftless::sim::disk::Disk;
use driftless::sim::shared::Shared;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::client::Client;

/// As the program has it: what things cost depends on it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Bytes of data in a ConfigMap.
const DATA: usize = 1024;
/// Objects of a page.
const PAGE: usize = 500;
/// Watches that are open at the same time, and changes that each is told.
const WATCHES: usize = 100;
const CHANGES: usize = 1000;
/// Workloads that the controllers roll out.
const DEPLOYMENTS: usize = 500;

struct Options {
    objects: usize,
    clients: usize,
    keep: Option<PathBuf>,
}

impl Options {
    fn read() -> Self {
        let mut options = Self { objects: 100_000, clients: 8, keep: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            match name.as_str() {
                "--objects" => options.objects = arguments.next().unwrap().parse().unwrap(),
                "--clients" => options.clients = arguments.next().unwrap().parse().unwrap(),
                "--keep" => options.keep = Some(arguments.next().unwrap().into()),
                // What cargo passes on.
                "--bench" => {}
                other => panic!("unknown option {other}"),
            }
        }
        options
    }
}

fn main() {
    if cfg!(debug_assertions) {
        println!("not optimized: the times mean nothing");
    }
    let options = Options::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let begun = Instant::now();
    let (shared, address) = start(&runtime, &options);
    let started = begun.elapsed();
    let mut client = Client::connect(address);
    assert_eq!(client.get("/version").code, 200);
    println!(
        "start                        {:>9.1} ms until it serves, {:.1} ms until the first answer",
        millis(started),
        millis(begun.elapsed())
    );
    memory("idle");

    create(address, &options);
    memory("after the creates");
    lists(address, &options);
    memory("after the lists");
    updates(address, &options);
    watches(address, &runtime);
    rollouts(address, &shared);
    memory("at the end");
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn start(runtime: &tokio::runtime::Runtime, options: &Options) -> (Shared, std::net::SocketAddr) {
    let now = Timestamp::now();
    let server = ApiServer::new(1, Controllers::all(), Vec::new(), now);
    let clock = Arc::new(Timestamp::now);
    let shared = match &options.keep {
        Some(folder) => Shared::kept(server, clock, Disk::open(&folder.join("objects.redb")).unwrap()),
        None => Shared::new(server, clock),
    };
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(shared.clone().serve(listener, CancellationToken::new()));
    (shared, address)
}

/// Prints what the process holds, clients included.
fn memory(when: &str) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    println!("memory {when:<21} {:>9} MB, {} MB at most so far", field("VmRSS:"), field("VmHWM:"));
}

/// Runs `work` in as many threads as there are clients, each with a connection of its own, with the numbers from 0 to `count`.
fn shared_out(
    address: std::net::SocketAddr,
    clients: usize,
    count: usize,
    work: impl Fn(&mut Client, usize) + Sync,
) -> Duration {
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    work(&mut client, number);
                }
            });
        }
    });
    begun.elapsed()
}

fn report(what: &str, count: usize, took: Duration) {
    let rate = count as f64 / took.as_secs_f64();
    println!("{what:<28} {:>9.2} s, {rate:.0} a second", took.as_secs_f64());
}

fn map(number: usize, data: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"map-{number:06}","labels":{{"app":"load"}}}},"data":{{"data":"{data}"}}}}"#
    )
}

fn create(address: std::net::SocketAddr, options: &Options) {
    let data = "x".repeat(DATA);
    let took = shared_out(address, options.clients, options.objects, |client, number| {
        let answer = client.send("POST", MAPS, "application/json", &map(number, &data));
        assert_eq!(answer.code, 201);
    });
    report(&format!("create {}", options.objects), options.objects, took);
}

fn lists(address: std::net::SocketAddr, options: &Options) {
    let mut client = Client::connect(address);
    for (what, accept) in
        [("list", ""), ("list metadata", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")]
    {
        let begun = Instant::now();
        let answer = client.list(MAPS, accept);
        let took = begun.elapsed();
        println!("{what:<28} {:>9.2} s, {:.0} MB", took.as_secs_f64(), answer.length as f64 / 1e6);
    }
    let begun = Instant::now();
    let answer = client.list(&format!("{MAPS}?labelSelector=app%3Dnone"), "");
    println!("{:<28} {:>9.3} s, {} bytes", "list by a label: none", begun.elapsed().as_secs_f64(), answer.length);
    let begun = Instant::now();
    let (mut pages, mut token) = (0, String::new());
    loop {
        let answer = client.get(&format!("{MAPS}?limit={PAGE}&continue={token}"));
        assert_eq!(answer.code, 200);
        pages += 1;
        match answer.between(r#""continue":""#, '"') {
            Some(next) => token = next.replace('=', "%3D").replace('+', "%2B"),
            None => break,
        }
    }
    assert!(pages >= options.objects / PAGE);
    println!("{:<28} {:>9.2} s, {pages} pages", format!("list by pages of {PAGE}"), begun.elapsed().as_secs_f64());
}

fn updates(address: std::net::SocketAddr, options: &Options) {
    let count = options.objects.min(20_000);
    let took = shared_out(address, options.clients, count, |client, number| {
        let path = format!("{MAPS}/map-{number:06}");
        let answer = client.send("PATCH", &path, "application/merge-patch+json", r#"{"data":{"more":"y"}}"#);
        assert_eq!(answer.code, 200);
    });
    report(&format!("merge patch {count}"), count, took);
    let data = "z".repeat(DATA);
    let took = shared_out(address, options.clients, count, |client, number| {
        let path = format!("{MAPS}/map-{number:06}?fieldManager=bench&force=true");
        let answer = client.send("PATCH", &path, "application/apply-patch+yaml", &map(number, &data));
        assert_eq!(answer.code, 200);
    });
    report(&format!("apply {count}"), count, took);
    let took = shared_out(address, options.clients, count, |client, number| {
        assert_eq!(client.get(&format!("{MAPS}/map-{number:06}")).code, 200);
    });
    report(&format!("get {count}"), count, took);
}

/// Many watches of one resource, each of which is told all changes.
fn watches(address: std::net::SocketAddr, runtime: &tokio::runtime::Runtime) {
    let namespace = r#"{"metadata":{"name":"watched"}}"#;
    let mut client = Client::connect(address);
    assert_eq!(client.send("POST", "/api/v1/namespaces", "application/json", namespace).code, 201);
    let path = "/api/v1/namespaces/watched/configmaps";
    let opened: Vec<_> = (0..WATCHES)
        .map(|_| runtime.spawn(client::count_lines(address, format!("{path}?watch=true"), CHANGES)))
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    let data = "x".repeat(DATA);
    let begun = Instant::now();
    for number in 0..CHANGES {
        assert_eq!(client.send("POST", path, "application/json", &map(number, &data)).code, 201);
    }
    for watch in opened {
        runtime.block_on(watch).unwrap();
    }
    report(&format!("{CHANGES} changes to {WATCHES} watches"), WATCHES * CHANGES, begun.elapsed());
}

/// Deployments until they say that all their pods run.
fn rollouts(address: std::net::SocketAddr, shared: &Shared) {
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let begun = Instant::now();
    shared_out(address, 4, DEPLOYMENTS, |client, number| {
        let body = format!(
            r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"web-{number}"}},"spec":{{"replicas":2,
               "selector":{{"matchLabels":{{"app":"web-{number}"}}}},"template":{{"metadata":{{"labels":{{"app":"web-{number}"}}}},
               "spec":{{"containers":[{{"name":"web","image":"web:1"}}]}}}}}}}}"#
        );
        assert_eq!(client.send("POST", path, "application/json", &body).code, 201);
    });
    let mut client = Client::connect(address);
    let left = || shared.with(|server, _| server.next_wake());
    while left().is_some() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
        client.get("/api/v1/namespaces/default");
        let answer = client.get(path);
        if answer.count(r#""availableReplicas":2"#) == DEPLOYMENTS {
            break;
        }
    }
    report(&format!("roll out {DEPLOYMENTS} Deployments"), DEPLOYMENTS, begun.elapsed());
}
