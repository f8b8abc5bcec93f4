//! The watch on the one Lease. It only makes the election faster: without it the election reads the Lease by itself.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::BodyExt;
use kube::client::Body;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::object::LeaseObject;
use crate::cluster::call::JSON;

/// How long one watch lasts, in seconds.
const LIFETIME: u32 = 290;
/// Silence after which a watch counts as dead, in lease durations: a Lease that is held changes with each renewal.
const SILENCE: u32 = 5;
/// Longest line that is read, in bytes.
const MAX_LINE: usize = 1 << 20;
/// Longest pause between two watches.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// What the watch shows: the Lease, or `None`: it was deleted.
pub(super) type Shown = Option<Value>;

/// Watches for ever, and passes on what is shown. A receiver that does not keep up holds the watch up, nothing else.
pub(super) async fn watch(lease: &LeaseObject, shown: mpsc::Sender<Shown>) -> Infallible {
    let first_pause = lease.times.renew_period();
    let mut pause = first_pause;
    loop {
        if watch_once(lease, &shown).await {
            pause = first_pause;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// One watch from the current state on, which comes first, so that nothing is missed between two. Whether it showed
/// anything.
async fn watch_once(lease: &LeaseObject, shown: &mpsc::Sender<Shown>) -> bool {
    let mut showed = false;
    let Some(mut body) = open(lease).await else { return showed };
    let mut buffer = Vec::new();
    loop {
        let next = tokio::time::timeout(lease.times.lease_duration() * SILENCE, body.frame());
        // The end, an error, or silence.
        let Ok(Some(Ok(frame))) = next.await else { return showed };
        let Some(data) = frame.data_ref() else { continue };
        buffer.extend_from_slice(data);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let Ok(line) = serde_json::from_slice::<Line>(&line) else { return showed };
            let lease = match line.kind.as_str() {
                "ADDED" | "MODIFIED" => Some(line.object),
                "DELETED" => None,
                "BOOKMARK" => continue,
                _ => return showed,
            };
            showed = true;
            if shown.send(lease).await.is_err() {
                return showed;
            }
        }
        if buffer.len() > MAX_LINE {
            return showed;
        }
    }
}

async fn open(lease: &LeaseObject) -> Option<Body> {
    let path = LeaseObject::resource().collection(&lease.namespace).ok()?;
    let name = crate::cluster::path::encode(&format!("metadata.name={}", lease.name));
    let uri = format!("{path}?watch=true&fieldSelector={name}&timeoutSeconds={LIFETIME}");
    let request = http::Request::get(uri)
        .header(http::header::ACCEPT, JSON)
        // Since 1.37 API servers compress each event of a watch on its own, which common decoders misread.
        .header(http::header::ACCEPT_ENCODING, "identity")
        .body(Body::empty())
        .ok()?;
    let answer = tokio::time::timeout(lease.times.request_timeout(), lease.client.send(request)).await.ok()?.ok()?;
    answer.status().is_success().then(|| answer.into_body())
}
