//! The Lease at the API server: read, created and replaced as raw JSON, so that what we don't know of it stays.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use kube::Client;
use serde_json::{Map, Value, json};

use crate::cluster::call::{Call, JSON, send};
use crate::cluster::clock::Read;
use crate::cluster::error;
use crate::cluster::path::ResourcePath;
use crate::engine::event::{RequestError, RequestErrorReason};
use crate::engine::ids::Gvk;
use crate::engine::lease::{LeaseError, LeaseRecord, LeaseTimes};

/// One Lease, with its raw form as last seen.
pub(super) struct LeaseObject {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) times: LeaseTimes,
    wall: Read<Duration>,
    seen: Mutex<Option<Value>>,
}

impl LeaseObject {
    pub(super) fn new(
        client: Client,
        namespace: String,
        name: String,
        times: LeaseTimes,
        wall: Read<Duration>,
    ) -> Self {
        Self { client, namespace, name, times, wall, seen: Mutex::new(None) }
    }

    pub(super) fn resource() -> ResourcePath {
        ResourcePath { gvk: Gvk::new("coordination.k8s.io", "v1", "Lease"), plural: "leases".into(), namespaced: true }
    }

    /// Reads the Lease; `None`: there is none.
    pub(super) async fn read(&self) -> Result<Option<LeaseRecord>, LeaseError> {
        let path = Self::resource().object(&self.namespace, &self.name).map_err(failed)?;
        match send(&self.client, &Call::get(path, self.times.request_timeout())).await {
            Ok(answer) => self.take(answer.value().map_err(failed)?).map(Some),
            Err(error) if error.reason == RequestErrorReason::NotFound => {
                self.keep(None);
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Creates the Lease.
    pub(super) async fn create(&self, record: &LeaseRecord) -> Result<LeaseRecord, LeaseError> {
        let path = Self::resource().collection(&self.namespace).map_err(failed)?;
        let mut lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": self.namespace},
        });
        self.change(&mut lease, record);
        self.write(Method::POST, path, &lease).await
    }

    /// Replaces the Lease, if it still is what `record` was made of.
    pub(super) async fn update(&self, record: &LeaseRecord) -> Result<LeaseRecord, LeaseError> {
        let path = Self::resource().object(&self.namespace, &self.name).map_err(failed)?;
        let Some(mut lease) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return Err(LeaseError::Conflict);
        };
        let seen = record_of(&lease)?;
        if (&seen.uid, seen.resource_version) != (&record.uid, record.resource_version) {
            return Err(LeaseError::Conflict);
        }
        self.change(&mut lease, record);
        self.write(Method::PUT, path, &lease).await
    }

    /// Takes in what the watch shows, unless something newer is known; `None` for what can't be read.
    pub(super) fn observe(&self, lease: Value) -> Option<LeaseRecord> {
        let record = record_of(&lease).ok()?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.as_ref().and_then(|seen| record_of(seen).ok());
        if known.is_none_or(|known| known.resource_version < record.resource_version) {
            *seen = Some(lease);
        }
        Some(record)
    }

    async fn write(&self, method: Method, path: String, lease: &Value) -> Result<LeaseRecord, LeaseError> {
        let call =
            Call::new(method, path, self.times.request_timeout()).with_body(JSON, lease.to_string().into_bytes());
        match send(&self.client, &call).await {
            Ok(answer) => self.take(answer.value().map_err(failed)?),
            Err(error) => {
                if error.reason == RequestErrorReason::NotFound {
                    self.keep(None);
                }
                Err(failed(error))
            }
        }
    }

    fn take(&self, lease: Value) -> Result<LeaseRecord, LeaseError> {
        let record = record_of(&lease)?;
        self.keep(Some(lease));
        Ok(record)
    }

    fn keep(&self, lease: Option<Value>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = lease;
    }

    /// Sets the fields of an election, and no other.
    fn change(&self, lease: &mut Value, record: &LeaseRecord) {
        let Some(lease) = lease.as_object_mut() else { return };
        let spec = lease.entry("spec").or_insert_with(|| Value::Object(Map::new()));
        if !spec.is_object() {
            *spec = Value::Object(Map::new());
        }
        let Some(spec) = spec.as_object_mut() else { return };
        let before = spec.get("renewTime").and_then(Value::as_str).unwrap_or_default();
        let renewed = renew_time((self.wall)(), before);
        let acquired = if record.acquire_time.is_empty() { renewed.clone() } else { record.acquire_time.clone() };
        spec.insert("holderIdentity".to_owned(), json!(record.holder));
        spec.insert("leaseDurationSeconds".to_owned(), json!(record.lease_duration_seconds));
        spec.insert("leaseTransitions".to_owned(), json!(record.transitions));
        spec.insert("acquireTime".to_owned(), json!(acquired));
        spec.insert("renewTime".to_owned(), json!(renewed));
    }
}

/// `metav1.MicroTime` of now, but never the text that stands there already: an update that changes nothing is no renewal.
fn renew_time(now: Duration, before: &str) -> String {
    let now = micro_time(now);
    if now == before { micro_time_after(before) } else { now }
}

fn micro_time(since_1970: Duration) -> String {
    let micros = i64::try_from(since_1970.as_micros()).unwrap_or_default();
    jiff::Timestamp::from_microsecond(micros).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

fn micro_time_after(before: &str) -> String {
    let before: jiff::Timestamp = before.parse().unwrap_or_default();
    micro_time(Duration::from_micros(u64::try_from(before.as_microsecond()).unwrap_or_default() + 1))
}

/// Reads the fields of an election. Absent ones are as of a Lease that nobody holds.
fn record_of(lease: &Value) -> Result<LeaseRecord, LeaseError> {
    let text = |pointer: &str| lease.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |pointer: &str| lease.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    let uid = text("/metadata/uid");
    let resource_version = text("/metadata/resourceVersion").parse();
    let (Ok(resource_version), false) = (resource_version, uid.is_empty()) else {
        return Err(failed(error::unreadable("a Lease without uid or numeric resourceVersion")));
    };
    Ok(LeaseRecord {
        holder: text("/spec/holderIdentity"),
        lease_duration_seconds: u32::try_from(number("/spec/leaseDurationSeconds")).unwrap_or_default(),
        transitions: i32::try_from(number("/spec/leaseTransitions")).unwrap_or_default(),
        uid,
        resource_version,
        acquire_time: text("/spec/acquireTime"),
        renew_time: text("/spec/renewTime"),
    })
}

fn failed(error: RequestError) -> LeaseError {
    match error.reason {
        RequestErrorReason::Conflict | RequestErrorReason::NotFound => LeaseError::Conflict,
        RequestErrorReason::Forbidden => LeaseError::Forbidden(error.message),
        _ => LeaseError::Other(error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_digits_and_never_repeat() {
        let now = Duration::from_micros(1_795_428_000_000_000);
        assert_eq!(renew_time(now, ""), "2026-11-23T10:00:00.000000Z");
        assert_eq!(renew_time(now, "2026-11-23T10:00:00.000000Z"), "2026-11-23T10:00:00.000001Z");
        assert_eq!(renew_time(now, "2030-01-01T00:00:00.000000Z"), "2026-11-23T10:00:00.000000Z");
    }

    #[test]
    fn records_are_read_with_what_is_there() {
        let lease = json!({"metadata": {"uid": "u", "resourceVersion": "7"}});
        let record = record_of(&lease).unwrap();
        assert_eq!((record.holder.as_str(), record.transitions, record.resource_version), ("", 0, 7));
        assert!(record_of(&json!({"metadata": {"uid": "u", "resourceVersion": "x"}})).is_err());
        assert!(record_of(&json!({"metadata": {"resourceVersion": "7"}})).is_err());
    }
}
