use std::collections::BTreeMap;
use std::io::Write as _;

use super::*;
use crate::engine::ids::AppKey;
use crate::engine::status::{HealthStatus, SyncStatus};
use crate::engine::view::{ApplicationView, Counters};

fn application(sync: &str, health: &str) -> Arc<ApplicationView> {
    Arc::new(ApplicationView {
        sync: SyncStatus { status: sync.to_owned(), ..SyncStatus::default() },
        health: HealthStatus { status: health.to_owned(), ..HealthStatus::default() },
        objects: 40,
        out_of_sync: 2,
        ..ApplicationView::default()
    })
}

fn metrics(view: View) -> Metrics {
    Metrics::new(watch::channel(Arc::new(view)).1)
}

#[track_caller]
fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line} is not in\n{text}");
    }
}

#[test]
fn names_and_units_follow_the_conventions() {
    let metrics = metrics(View::default());
    metrics.observe_request("apply", "deployments.apps", 200, Duration::from_millis(20));
    metrics.observe_request("apply", "deployments.apps", 200, Duration::from_millis(20));
    metrics.observe_request("get", "secrets", 0, Duration::from_secs(60));
    metrics.observe_effect("apply", Duration::from_millis(3));
    metrics.observe_step(Duration::from_micros(50));
    metrics.observe_watch_lag(Duration::from_millis(1));
    metrics.set_queue_depth("events", 7);
    let mut store = tempfile::NamedTempFile::new().unwrap();
    store.write_all(&[0; 73_728]).unwrap();
    metrics.measure_store(store.path().to_owned());
    let text = metrics.encode().unwrap();
    assert_lines(
        &text,
        &[
            r#"driftless_api_requests_total{verb="apply",resource="deployments.apps",code="200"} 2"#,
            r#"driftless_api_requests_total{verb="get",resource="secrets",code="0"} 1"#,
            r#"driftless_api_request_duration_seconds_bucket{le="0.025",verb="apply"} 2"#,
            r#"driftless_api_request_duration_seconds_bucket{le="30.0",verb="get"} 0"#,
            r#"driftless_effect_duration_seconds_bucket{le="0.005",effect="apply"} 1"#,
            "driftless_step_duration_seconds_count 1",
            "driftless_watch_lag_seconds_count 1",
            r#"driftless_queue_depth{queue="events"} 7"#,
            "driftless_store_size_bytes 73728",
            "# UNIT driftless_store_size_bytes bytes",
            concat!(r#"driftless_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
            "# EOF",
        ],
    );
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("driftless_") || line.starts_with("process_"), "{line}");
    }
}

#[test]
fn the_process_is_measured() {
    let text = metrics(View::default()).encode().unwrap();
    let resident = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")).unwrap();
    assert!(resident.parse::<u64>().unwrap() > 1 << 20, "{resident}");
    assert!(text.contains("process_start_time_seconds ") && text.contains("process_open_fds "));
}

#[test]
fn the_view_is_read_at_each_scrape() {
    let (publish, view) = watch::channel(Arc::new(View::default()));
    let metrics = Metrics::new(view);
    assert_lines(&metrics.encode().unwrap(), &["driftless_leader 0", "driftless_drift_healed_total 0"]);
    let applications = BTreeMap::from([
        (AppKey::new("argocd", "a"), application("Synced", "Healthy")),
        (AppKey::new("argocd", "b"), application("Synced", "Healthy")),
        (AppKey::new("argocd", "c"), application("OutOfSync", "Degraded")),
    ]);
    publish.send_replace(Arc::new(View {
        leader: true,
        epoch: Some(7),
        watches: 12,
        watches_pending: vec!["v1, Kind=Secret".to_owned()],
        applications: Arc::new(applications),
        counters: Counters { drift_detected: 5, drift_healed: 4, applied: 120, ..Counters::default() },
        ..View::default()
    }));
    assert_lines(
        &metrics.encode().unwrap(),
        &[
            "driftless_leader 1",
            "driftless_lease_epoch 7",
            "driftless_watches 12",
            "driftless_watches_pending 1",
            r#"driftless_applications{sync_status="Synced",health_status="Healthy"} 2"#,
            r#"driftless_applications{sync_status="OutOfSync",health_status="Degraded"} 1"#,
            "driftless_objects 120",
            "driftless_objects_out_of_sync 6",
            "driftless_drift_detected_total 5",
            "driftless_drift_healed_total 4",
            "driftless_applies_total 120",
        ],
    );
}

#[test]
fn the_number_of_series_is_bounded() {
    let metrics = metrics(View::default());
    for number in 0..MAX_SERIES + 10 {
        metrics.observe_request("get", &format!("kind{number}"), 200, Duration::ZERO);
    }
    metrics.observe_request("get", "kind0", 200, Duration::ZERO);
    let text = metrics.encode().unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("driftless_api_requests_total")).count(), MAX_SERIES + 1);
    assert_lines(
        &text,
        &[
            r#"driftless_api_requests_total{verb="get",resource="other",code="200"} 10"#,
            r#"driftless_api_requests_total{verb="get",resource="kind0",code="200"} 2"#,
        ],
    );
}

#[test]
fn a_store_that_is_not_there_has_no_size() {
    let metrics = metrics(View::default());
    assert!(!metrics.encode().unwrap().contains("store_size"));
    metrics.measure_store("/does/not/exist".into());
    assert!(!metrics.encode().unwrap().contains("store_size"));
}
