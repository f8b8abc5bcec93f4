//! What Prometheus scrapes: names begin with `driftless_`, times are seconds, sizes are bytes.
//!
//! Counters of the engine are read off the published view at each scrape, so that they are counted in one place only.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::watch;

use crate::engine::view::View;

mod process;
mod view;

/// Most series of requests; resources on top of them are counted as `other`.
const MAX_SERIES: usize = 2_000;
/// Label value of what is not counted by itself.
const OTHER: &str = "other";
/// Buckets for requests and other work that leaves the process, in seconds.
const WORK_BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Buckets for steps of the loop, in seconds.
const STEP_BUCKETS: [f64; 10] = [0.000_01, 0.000_025, 0.000_1, 0.000_25, 0.001, 0.002_5, 0.01, 0.025, 0.1, 1.0];

/// Everything that the agent measures. Methods may be called from any thread.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    /// How many series `requests` was asked to hold.
    request_series: AtomicUsize,
    request_duration: Family<VerbLabels, Histogram, fn() -> Histogram>,
    effect_duration: Family<EffectLabels, Histogram, fn() -> Histogram>,
    step_duration: Histogram,
    watch_lag: Histogram,
    queue_depth: Family<QueueLabels, Gauge>,
    store_file: Arc<OnceLock<PathBuf>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    verb: String,
    resource: String,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerbLabels {
    verb: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EffectLabels {
    effect: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    queue: &'static str,
}

fn work_histogram() -> Histogram {
    Histogram::new(WORK_BUCKETS)
}

impl Metrics {
    /// Metrics of one agent, all at zero; the engine's are read off `view`.
    pub fn new(view: watch::Receiver<Arc<View>>) -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            request_series: AtomicUsize::new(0),
            request_duration: Family::new_with_constructor(work_histogram),
            effect_duration: Family::new_with_constructor(work_histogram),
            step_duration: Histogram::new(STEP_BUCKETS),
            watch_lag: work_histogram(),
            queue_depth: Family::default(),
            store_file: Arc::default(),
        };
        metrics.register(view);
        metrics
    }

    fn register(&mut self, view: watch::Receiver<Arc<View>>) {
        self.registry.register_collector(Box::new(process::Process::new()));
        let own = self.registry.sub_registry_with_prefix("driftless");
        own.register("build", "Version of the agent", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        own.register_collector(Box::new(view::Engine::new(view)));
        own.register_collector(Box::new(process::Store::new(self.store_file.clone())));
        own.register(
            "api_requests",
            "Requests to the API server by verb, resource and HTTP status code; 0: no answer",
            self.requests.clone(),
        );
        own.register_with_unit(
            "api_request_duration",
            "Time until the API server answered",
            Unit::Seconds,
            self.request_duration.clone(),
        );
        own.register_with_unit(
            "effect_duration",
            "Time that the engine's effects took",
            Unit::Seconds,
            self.effect_duration.clone(),
        );
        own.register_with_unit(
            "step_duration",
            "Time that one step of the engine took",
            Unit::Seconds,
            self.step_duration.clone(),
        );
        own.register_with_unit(
            "watch_lag",
            "Time from the arrival of an object on a watch to the end of the step that took it; objects of lists are not counted",
            Unit::Seconds,
            self.watch_lag.clone(),
        );
        own.register("queue_depth", "Entries that wait in a queue", self.queue_depth.clone());
    }

    /// The OpenMetrics text of all metrics.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// A request to the API server: its verb in lower case (`get`, `list`, `watch`, `apply`, …), the resource (plural, with its
    /// group behind a dot unless core), the status code (0: no answer), and the time until the answer's head came.
    pub fn observe_request(&self, verb: &str, resource: &str, code: u16, duration: Duration) {
        let mut labels = RequestLabels { verb: verb.to_owned(), resource: resource.to_owned(), code };
        let known = self.requests.get(&labels).is_some();
        if !known && self.request_series.fetch_add(1, Ordering::Relaxed) >= MAX_SERIES {
            labels.resource = OTHER.to_owned();
        }
        self.requests.get_or_create(&labels).inc();
        self.request_duration.get_or_create(&VerbLabels { verb: labels.verb }).observe(duration.as_secs_f64());
    }

    /// An effect was performed; `effect` is its name, as `Effect::name` has it.
    pub fn observe_effect(&self, effect: &'static str, duration: Duration) {
        self.effect_duration.get_or_create(&EffectLabels { effect }).observe(duration.as_secs_f64());
    }

    /// One step of the engine.
    pub fn observe_step(&self, duration: Duration) {
        self.step_duration.observe(duration.as_secs_f64());
    }

    /// A watch event was taken by the engine this long after it arrived.
    pub fn observe_watch_lag(&self, lag: Duration) {
        self.watch_lag.observe(lag.as_secs_f64());
    }

    /// How many entries wait in `queue`.
    pub fn set_queue_depth(&self, queue: &'static str, depth: usize) {
        self.queue_depth.get_or_create(&QueueLabels { queue }).set(gauge(depth));
    }

    /// Measures the size of the store in this file at each scrape from now on. Only the first call counts.
    pub fn measure_store(&self, file: PathBuf) {
        // A process has one store; a second name for it would be a mistake without a consequence.
        let _ = self.store_file.set(file);
    }
}

/// A number as the value of a gauge.
fn gauge(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
