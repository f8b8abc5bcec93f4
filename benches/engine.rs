//! What the pure core costs, without a cluster: `cargo bench --bench engine` prints the median of several samples each.

#![allow(clippy::unwrap_used, reason = "what goes wrong here ends the benchmark")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use driftless::engine::Engine;
use driftless::engine::application::{
    ApplicationSpec, Automated, Destination, ObservedApplication, Source, SyncPolicy,
};
use driftless::engine::decode::{DecodeContext, decode};
use driftless::engine::desired::{DesireContext, Desired, RenderInputs, desire};
use driftless::engine::effect::Effect;
use driftless::engine::event::{Event, Leadership, WatchEvent};
use driftless::engine::hash::{Hash, HashKey};
use driftless::engine::ids::{AppKey, Epoch, Gvk, ObjectKey, TrackingId};
use driftless::engine::live::{LiveObject, Protection};
use driftless::engine::record::{ApplicationRecord, Expected, LiveRecord, ObjectRecord, StoreSnapshot};
use driftless::engine::scope::Scope;
use driftless::engine::settings::EngineSettings;
use driftless::engine::status::ApplicationStatus;
use driftless::engine::time::{Now, Timestamp};
use driftless::engine::tracking::instance_name;
use driftless::render::memory::MemoryTree;
use driftless::render::{RenderContext, render, unchanged};
use serde_json::{Value, json};

/// Samples of which the median is told.
const SAMPLES: usize = 15;
/// How long one sample takes at least.
const SAMPLE: Duration = Duration::from_millis(20);
/// Key of the hashes of Secrets.
const KEY: HashKey = HashKey([7; 32]);
/// Objects of an application.
const OBJECTS: u32 = 40;
/// Applications of the engine's benchmark: 10,000 objects.
const APPS: u32 = 250;

/// Not for its speed, but because the agent's own allocator is what its costs depend on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    if cfg!(debug_assertions) {
        println!("not optimized, and invariants are checked after each step: the times mean nothing");
    }
    decoding();
    stepping();
    rendering();
}

/// Prints how long `work` takes.
fn measure(what: &str, mut work: impl FnMut()) {
    let mut rounds = 1u32;
    loop {
        let begun = Instant::now();
        (0..rounds).for_each(|_| work());
        if begun.elapsed() >= SAMPLE {
            break;
        }
        rounds = rounds.saturating_mul(2);
    }
    let mut samples: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let begun = Instant::now();
            (0..rounds).for_each(|_| work());
            begun.elapsed().as_secs_f64() / f64::from(rounds)
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    println!("{what}: {:.2} µs", samples[SAMPLES / 2] * 1e6);
}

/// From the text of a watch event to hashes and health.
fn decoding() {
    for kind in ["deployment", "configmap", "service"] {
        let (gvk, text) = recorded(kind);
        let context = DecodeContext { hash_key: &KEY, gvk: &gvk };
        assert!(decode(&text, &context).unwrap().footprint.is_some(), "{kind} has no footprint");
        let what = format!("decode a {} of {} B, with footprint and health", gvk.kind, text.len());
        measure(&what, || {
            black_box(decode(black_box(&text), &context).unwrap());
        });
    }
}

/// An object as the API server sent it (recorded for the tests).
fn recorded(kind: &str) -> (Gvk, Vec<u8>) {
    let file = format!("{}/tests/engine/fixtures/{kind}.json", env!("CARGO_MANIFEST_DIR"));
    let cases: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let object = first_object(&cases).unwrap();
    let gvk = Gvk::from_api_version(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    (gvk, serde_json::to_vec(object).unwrap())
}

/// The first value that is an object of the API server with managed fields of ours.
fn first_object(value: &Value) -> Option<&Value> {
    let ours = |entry: &Value| entry["manager"] == "driftless" && entry["operation"] == "Apply";
    if value["metadata"]["managedFields"].as_array().is_some_and(|entries| entries.iter().any(ours)) {
        return Some(value);
    }
    match value {
        Value::Array(items) => items.iter().find_map(first_object),
        Value::Object(map) => map.values().find_map(first_object),
        _ => None,
    }
}

/// Steps of an engine that knows 10,000 objects.
fn stepping() {
    let mut bench = Stepping::new();
    let total = APPS * OBJECTS;
    let mut next = 0;
    let mut version = 10;
    measure(&format!("step: a watch event that changes nothing, of {total} objects"), || {
        bench.watch(next, 1, bench.footprint);
        next = (next + 7919) % total;
    });
    measure(&format!("step: a watch event that changes the status only, of {total} objects"), || {
        version += 1;
        bench.watch(next, version, bench.footprint);
        next = (next + 7919) % total;
    });
    // Seen from a standby, so that nothing is under way afterwards.
    bench.step(Event::Leadership(Leadership::Standby));
    let drifted = Some(Hash::of(b"drifted"));
    measure(&format!("step: drift and its end, of {total} objects"), || {
        version += 2;
        bench.watch(next, version - 1, drifted);
        bench.watch(next, version, bench.footprint);
        next = (next + 7919) % total;
    });
    let mut view = driftless::engine::view::View::default();
    measure(&format!("view after a change of one of {APPS} applications"), || {
        version += 1;
        bench.watch(next, version, bench.footprint);
        let changed = bench.engine.take_changed();
        view = bench.engine.view(&view, &changed);
    });
}

struct Stepping {
    engine: Engine,
    footprint: Option<Hash>,
    effects: Vec<Effect>,
}

impl Stepping {
    fn new() -> Self {
        let (desired, footprint) = (Hash::of(b"desired"), Hash::of(b"footprint"));
        let mut snapshot = StoreSnapshot { complete: true, ..StoreSnapshot::default() };
        let gvk = config_maps();
        snapshot.positions.push((gvk, 1));
        for app in 0..APPS {
            let record = ApplicationRecord { uid: format!("uid-{app}"), ..ApplicationRecord::default() };
            snapshot.applications.push((app_key(app), record));
        }
        for index in 0..APPS * OBJECTS {
            let record = ObjectRecord {
                app: app_key(index / OBJECTS),
                version: "v1".into(),
                desired: Some(desired),
                stage: Default::default(),
                wave: Default::default(),
                no_prune: false,
                expected: Some(Expected { desired, footprint }),
                live: Some(LiveRecord {
                    uid: uid(index),
                    resource_version: 1,
                    footprint: Some(footprint),
                    stamp: Some(desired),
                    health: None,
                    ours: true,
                    protection: 0,
                }),
            };
            snapshot.objects.push((object_key(index), record));
        }
        let mut effects = Vec::new();
        let engine = Engine::new(EngineSettings::default(), snapshot, now(), &mut effects);
        let mut bench = Self { engine, footprint: Some(footprint), effects };
        for app in 0..APPS {
            bench.step(Event::Application(Box::new(application(app))));
        }
        bench.step(Event::ApplicationsListed((0..APPS).map(app_key).collect()));
        bench.step(Event::Leadership(Leadership::Leader { epoch: Epoch(1), lease_uid: "lease".into() }));
        bench
    }

    fn step(&mut self, event: Event) {
        self.engine.step(now(), event, &mut self.effects);
        self.effects.clear();
    }

    fn watch(&mut self, index: u32, resource_version: u64, footprint: Option<Hash>) {
        let key = object_key(index);
        let instance = instance_name(&app_key(index / OBJECTS), &EngineSettings::default().control_namespace);
        let live = LiveObject {
            tracking: Some(TrackingId { instance: instance.into(), object: key.clone() }),
            key,
            version: "v1".into(),
            uid: uid(index),
            resource_version,
            instance: Some((*EngineSettings::default().instance).into()),
            stamp: Some(Hash::of(b"desired")),
            footprint,
            health: None,
            deleting: false,
            wave: 0,
            protection: Protection::default(),
            managed_fields: None,
        };
        let event = WatchEvent::Live(Box::new(live));
        self.step(Event::Watch { watch: config_maps(), event, arrived: None });
    }
}

fn now() -> Now {
    Now {
        instant: driftless::engine::time::Instant::from_origin(Duration::from_secs(1)),
        wall: Timestamp(1_700_000_000),
    }
}

fn config_maps() -> Gvk {
    Gvk::new("", "v1", "ConfigMap")
}

fn app_key(app: u32) -> AppKey {
    AppKey::new("bench", format!("app-{app:03}"))
}

fn object_key(index: u32) -> ObjectKey {
    ObjectKey::new("", "ConfigMap", format!("app-{:03}", index / OBJECTS), format!("settings-{:03}", index % OBJECTS))
}

fn uid(index: u32) -> Arc<str> {
    format!("00000000-0000-4000-8000-{index:012}").into()
}

fn application(app: u32) -> ObservedApplication {
    let automated = Automated { prune: Some(true), self_heal: Some(true), ..Automated::default() };
    let source = Source {
        repo_url: "https://git.example.com/shop.git".into(),
        path: Some(format!("apps/app-{app:03}")),
        target_revision: Some("main".into()),
        ..Source::default()
    };
    let spec = ApplicationSpec {
        project: "default".into(),
        source: Some(source),
        destination: Destination { namespace: Some(format!("app-{app:03}")), ..Destination::default() },
        sync_policy: Some(SyncPolicy { automated: Some(automated), ..SyncPolicy::default() }),
        ..ApplicationSpec::default()
    };
    ObservedApplication {
        key: app_key(app),
        uid: format!("uid-{app}"),
        resource_version: 1,
        spec: Ok(spec),
        annotations: Default::default(),
        finalizers: Vec::new(),
        deleting: false,
        operation: None,
        status: ApplicationStatus::default(),
        status_writer: None,
    }
}

/// A folder of 40 manifests, one a file.
fn rendering() {
    let mut tree = MemoryTree::default();
    for index in 0..OBJECTS {
        let text = serde_saphyr::to_string(&manifest(index)).unwrap();
        tree.put(&format!("app/{index:03}.yaml"), driftless::render::EntryKind::File, text);
    }
    let source = Source { path: Some("app".into()), ..Source::default() };
    let context = RenderContext::default();
    let what = format!("render a folder of {OBJECTS} manifests");
    measure(&what, || {
        black_box(render(&tree, &source, &context).unwrap());
    });
    measure(&format!("{what}, with canonical form and hashes"), || {
        black_box(desired(&tree, &source, &context));
    });
    let inputs: RenderInputs = render(&tree, &source, &context).unwrap().inputs;
    measure(&format!("see that a folder of {OBJECTS} manifests is unchanged"), || {
        assert!(black_box(unchanged(&tree, &inputs).unwrap()));
    });
}

fn desired(tree: &MemoryTree, source: &Source, rendering: &RenderContext<'_>) -> Desired {
    let app = app_key(0);
    let context = DesireContext {
        app: &app,
        instance_name: "bench_app-000",
        installation: "0000000000000000",
        namespace: "app-000",
        scopes: &|_| Some(Scope::Namespaced),
        hash_key: &KEY,
    };
    let desired = desire(render(tree, source, rendering).unwrap().manifests, &context).unwrap();
    assert_eq!(desired.set.objects.len(), OBJECTS as usize);
    desired
}

fn manifest(index: u32) -> Value {
    let name = format!("web-{index:03}");
    if index.is_multiple_of(2) {
        return json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
            "data": {"colour": "blue", "settings.yaml": "log:\n  level: info\ncache:\n  size: 256Mi\n"},
        });
    }
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": "web", "image": "registry.example.com/shop/web:1.4.2",
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "env": [{"name": "LOG_LEVEL", "value": "info"}],
                    "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                }]},
            },
        },
    })
}
