//! The metrics that every Prometheus client has of its process, and the size of its store.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Reads `/proc/self` at each scrape; where there is none, its metrics are left out.
#[derive(Debug)]
pub(super) struct Process {
    started: f64,
}

impl Process {
    pub(super) fn new() -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: started.as_secs_f64() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let started = ConstGauge::new(self.started);
        let help = "Time at which the process started, since the Unix epoch.";
        started.encode(encoder.encode_descriptor(
            "process_start_time",
            help,
            Some(&Unit::Seconds),
            started.metric_type(),
        )?)?;
        if let Some(bytes) = resident_bytes() {
            let resident = ConstGauge::new(bytes);
            let help = "Resident memory of the process.";
            resident.encode(encoder.encode_descriptor(
                "process_resident_memory",
                help,
                Some(&Unit::Bytes),
                resident.metric_type(),
            )?)?;
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            let open = ConstGauge::new(super::gauge(files.count()));
            open.encode(encoder.encode_descriptor(
                "process_open_fds",
                "Open file descriptors.",
                None,
                open.metric_type(),
            )?)?;
        }
        Ok(())
    }
}

/// Reads the size of the store's file at each scrape; left out while there is none.
#[derive(Debug)]
pub(super) struct Store {
    file: Arc<OnceLock<PathBuf>>,
}

impl Store {
    pub(super) fn new(file: Arc<OnceLock<PathBuf>>) -> Self {
        Self { file }
    }
}

impl Collector for Store {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(metadata) = self.file.get().and_then(|file| std::fs::metadata(file).ok()) else { return Ok(()) };
        let size = ConstGauge::new(super::gauge(metadata.len()));
        let help = "Size of the store's file.";
        size.encode(encoder.encode_descriptor("store_size", help, Some(&Unit::Bytes), size.metric_type())?)
    }
}

/// `VmRSS` of this process.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}
