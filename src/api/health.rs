//! `/livez`, `/readyz`, `/healthz`: what they mean, and the form in which kube-apiserver prints them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use tokio::time::Instant;

use super::ApiState;
use crate::engine::view::View;

/// The process is dead once its loop has not turned for this long.
pub const STALL_LIMIT: Duration = Duration::from_secs(30);
/// Most reasons that one check prints.
const MAX_REASONS: usize = 5;

/// What the health checks know beside the view. Clones share one state.
#[derive(Clone, Debug)]
pub struct HealthState(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origin: Instant,
    /// Milliseconds from the origin to the loop's last turn, plus one; 0 before the first.
    heartbeat: AtomicU64,
    /// Whether the store is open, or why not.
    store: Mutex<Result<(), String>>,
}

impl Default for HealthState {
    fn default() -> Self {
        Self::new()
    }
}

impl HealthState {
    /// The state of a process whose loop has not begun and whose store is not open yet.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            origin: Instant::now(),
            heartbeat: AtomicU64::new(0),
            store: Mutex::new(Err("not opened yet".to_owned())),
        }))
    }

    /// The loop has turned. To be called at least every few seconds from the first turn on, also when nothing happens.
    pub fn touch(&self) {
        let passed = u64::try_from(self.0.origin.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.0.heartbeat.store(passed + 1, Ordering::Relaxed);
    }

    /// The store is open, or can't be used, with the reason.
    pub fn set_store(&self, state: Result<(), String>) {
        *self.0.store.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Time since the loop's last turn; `None` before the first.
    fn stalled(&self) -> Option<Duration> {
        let beat = self.0.heartbeat.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.0.origin.elapsed().saturating_sub(Duration::from_millis(beat)))
    }

    /// Alive: the loop turns, or has not begun (the store may be under repair).
    fn loop_check(&self) -> Check {
        let stalled = self.stalled().filter(|stalled| *stalled > STALL_LIMIT);
        Check::new("loop", stalled.map(|stalled| format!("has not turned for {} s", stalled.as_secs())))
    }

    /// Ready: the agent knows enough to take over. A standby is ready; neither Git nor a single Application counts.
    fn ready_checks(&self, view: &View) -> Vec<Check> {
        let store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let applications = (!view.applications_listed).then(|| "have not been listed yet".to_owned());
        let lease = (!view.lease_known).then(|| "its state is not known yet".to_owned());
        vec![
            Check::new("store", store.err()),
            Check::new("applications", applications),
            Check::new("watches", pending(&view.watches_pending)),
            Check::new("lease", lease),
        ]
    }
}

fn pending(watches: &[String]) -> Option<String> {
    if watches.is_empty() {
        return None;
    }
    let shown: Vec<&str> = watches.iter().take(MAX_REASONS).map(String::as_str).collect();
    let more = watches.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Some(format!("{} not synced once: {}{more}", watches.len(), shown.join(", ")))
}

/// One named check.
#[derive(Debug)]
struct Check {
    name: &'static str,
    /// Why it failed; `None`: it did not.
    problem: Option<String>,
}

impl Check {
    const fn new(name: &'static str, problem: Option<String>) -> Self {
        Self { name, problem }
    }
}

/// Answer of `endpoint` in kube-apiserver's form: `ok`, or one line for each check if one failed or `verbose` is asked.
fn report(endpoint: &str, checks: &[Check], verbose: bool, failure: StatusCode) -> (StatusCode, String) {
    let failed = checks.iter().any(|check| check.problem.is_some());
    if !failed && !verbose {
        return (StatusCode::OK, "ok".to_owned());
    }
    let mut text = String::new();
    for check in checks {
        // Writing to a String can't fail.
        let _ = match &check.problem {
            None => writeln!(text, "[+]{} ok", check.name),
            Some(problem) => writeln!(text, "[-]{} failed: {}", check.name, problem.replace(['\n', '\r'], " ")),
        };
    }
    let verdict = if failed { "failed" } else { "passed" };
    let _ = writeln!(text, "{endpoint} check {verdict}");
    (if failed { failure } else { StatusCode::OK }, text)
}

/// Whether the query holds the key `verbose`, with or without a value.
fn is_verbose(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some("verbose")))
}

/// `GET /livez`: 200, or 500 once the loop has stalled for [`STALL_LIMIT`].
pub(super) async fn livez(State(state): State<ApiState>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    let checks = [state.health.loop_check()];
    report("livez", &checks, is_verbose(query.as_deref()), StatusCode::INTERNAL_SERVER_ERROR)
}

/// `GET /readyz`: 200, or 503 while the agent does not know enough to lead or to stand by.
pub(super) async fn readyz(State(state): State<ApiState>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    let view = state.view.borrow().clone();
    let checks = state.health.ready_checks(&view);
    report("readyz", &checks, is_verbose(query.as_deref()), StatusCode::SERVICE_UNAVAILABLE)
}

/// `GET /healthz`: both, and 500 if either fails.
pub(super) async fn healthz(State(state): State<ApiState>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    let view = state.view.borrow().clone();
    let mut checks = vec![state.health.loop_check()];
    checks.extend(state.health.ready_checks(&view));
    report("healthz", &checks, is_verbose(query.as_deref()), StatusCode::INTERNAL_SERVER_ERROR)
}
