//! Metrics that are read off the published view at each scrape.

use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;

use super::gauge;
use crate::engine::view::{Counters, View};

/// The engine, as its view shows it.
#[derive(Debug)]
pub(super) struct Engine {
    view: watch::Receiver<Arc<View>>,
}

impl Engine {
    pub(super) fn new(view: watch::Receiver<Arc<View>>) -> Self {
        Self { view }
    }
}

impl Collector for Engine {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let view = self.view.borrow().clone();
        replica(&mut encoder, &view)?;
        applications(&mut encoder, &view)?;
        counters(&mut encoder, &view.counters)
    }
}

fn replica(encoder: &mut DescriptorEncoder<'_>, view: &View) -> Result<(), Error> {
    put(encoder, "leader", "1 if this replica leads, else 0.", i64::from(view.leader))?;
    if let Some(epoch) = view.epoch {
        put(encoder, "lease_epoch", "leaseTransitions of the Lease.", i64::from(epoch))?;
    }
    put(encoder, "inventory_complete", "1 if the inventory is complete, else 0.", i64::from(view.inventory_complete))?;
    put(encoder, "watches", "Kinds that are watched.", gauge(view.watches))?;
    put(encoder, "watches_pending", "Kinds whose watch has never delivered a list.", gauge(view.watches_pending.len()))
}

fn applications(encoder: &mut DescriptorEncoder<'_>, view: &View) -> Result<(), Error> {
    let mut by_status: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let (mut objects, mut out_of_sync) = (0_usize, 0_usize);
    for application in view.applications.values() {
        *by_status.entry((&application.sync.status, &application.health.status)).or_default() += 1;
        objects = objects.saturating_add(application.objects);
        out_of_sync = out_of_sync.saturating_add(application.out_of_sync);
    }
    let help = "Applications by sync and health status.";
    let mut family = encoder.encode_descriptor("applications", help, None, MetricType::Gauge)?;
    for ((sync, health), count) in by_status {
        let labels = [("sync_status", sync), ("health_status", health)];
        ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
    }
    put(encoder, "objects", "Objects of all applications.", gauge(objects))?;
    put(encoder, "objects_out_of_sync", "Objects that are not as Git wants them.", gauge(out_of_sync))
}

fn counters(encoder: &mut DescriptorEncoder<'_>, counters: &Counters) -> Result<(), Error> {
    let all = [
        ("drift_detected", "Objects found to differ from what was applied.", counters.drift_detected),
        ("drift_healed", "Drifted objects that were put back.", counters.drift_healed),
        ("applies", "Applies that the API server took.", counters.applied),
        ("apply_failures", "Applies that failed.", counters.apply_failed),
        ("prunes", "Objects deleted because they left Git.", counters.pruned),
        ("syncs", "Syncs that ended well.", counters.syncs_succeeded),
        ("sync_failures", "Syncs that ended badly.", counters.syncs_failed),
        ("renders", "Renderings that were asked for.", counters.renders),
        ("render_hits", "Renderings whose inputs had not changed.", counters.render_hits),
        ("render_failures", "Renderings that failed.", counters.render_failed),
    ];
    for (name, help, value) in all {
        let counter = ConstCounter::new(value);
        counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
    }
    Ok(())
}

fn put(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: i64) -> Result<(), Error> {
    let metric = ConstGauge::new(value);
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}
