//! Reads of one object, and of everything that is ours.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::discovery::Resource;
use super::error;
use super::lines::MAX_OBJECT;
use super::page::{ListMeta, Page};
use super::path::encode;
use super::request::{self, JSON, METADATA_LIST, Refusal};
use super::retry::Retry;
use super::watch::Reader;
use crate::engine::event::{RequestError, RequestErrorReason, Sweep};
use crate::engine::ids::{GroupKind, Gvk, ObjectKey};
use crate::engine::live::LiveObject;

/// Lists of a sweep that run at the same time.
const SWEEP_CONCURRENCY: usize = 8;
/// How often one list of a sweep is tried.
const SWEEP_TRIES: u32 = 3;
/// Objects in one page of a sweep.
const SWEEP_PAGE: u32 = 500;
/// Kinds that nobody keeps in Git, and of which clusters hold many. (Kinds that can't be patched are left out anyway.)
const NEVER_APPLIED: [(&str, &str); 2] = [("", "Event"), ("events.k8s.io", "Event")];

/// Reads one object in an API version. `None`: there is none. One request; it is not retried.
pub async fn get(reader: &Reader, key: &ObjectKey, version: &str) -> Result<Option<LiveObject>, RequestError> {
    let gvk = Gvk::new(key.group.clone(), version, key.kind.clone());
    let resource = reader.discovery.resolve(&gvk, Duration::ZERO).await?;
    let what = format!("reading {key}");
    let body = match request::get(&reader.client, &what, &resource.object_path(key)?, JSON).await {
        Ok(answer) => request::collect(&what, answer.body, MAX_OBJECT).await.map_err(|refusal| refusal.error)?,
        // Its kind is served, so that it is the object, or its namespace, that is not there.
        Err(refusal) if refusal.code == Some(404) && refusal.error.reason != RequestErrorReason::UnknownKind => {
            return Ok(None);
        }
        Err(refusal) => return Err(refusal.error),
    };
    reader.decode(&gvk, &body, false).map(Some).ok_or_else(|| undecodable(&what))
}

/// The metadata of every object that carries our instance label, of all kinds that can be listed and applied, each in
/// its preferred version. `footprint`, `health` and `managed_fields` are `None`: they can't be told from metadata.
///
/// An error means "unknown", never "empty": one group that does not answer, one list that fails after three tries or
/// one object that can't be decoded makes the whole of it fail. Kinds that we may not list (403) are told apart. A kind that
/// vanished meanwhile took its objects along.
pub async fn sweep(reader: &Reader) -> Result<Sweep, RequestError> {
    let discovery = reader.discovery.refresh().await?;
    if !discovery.stale().is_empty() {
        let groups: Vec<_> = discovery.stale().iter().map(|(group, version)| format!("{group}/{version}")).collect();
        return Err(RequestError {
            reason: RequestErrorReason::Transient { retry_after: None },
            message: crate::engine::redact::truncate(format!(
                "what is in the cluster is not known: the servers of {} do not answer; repair or remove their APIService",
                groups.join(", ")
            )),
        });
    }
    let kinds: Vec<_> = discovery.listable().filter(|resource| can_be_ours(resource)).cloned().collect();
    let lists = kinds.into_iter().enumerate().map(|(index, resource)| kind(reader, resource, index as u64));
    let answers: Vec<Kind> = stream::iter(lists).buffer_unordered(SWEEP_CONCURRENCY).try_collect().await?;
    let mut sweep = Sweep::default();
    for answer in answers {
        match answer {
            Kind::Listed(objects) => sweep.found.extend(objects),
            Kind::Forbidden(kind) => sweep.forbidden.push(kind),
        }
    }
    // Lists end in any order; who reads the result must not see a difference.
    sweep.found.sort_by(|a, b| a.key.cmp(&b.key));
    sweep.forbidden.sort();
    Ok(sweep)
}

fn can_be_ours(resource: &Resource) -> bool {
    let Gvk { group, kind, .. } = &resource.gvk;
    resource.supports("patch") && !NEVER_APPLIED.contains(&(&**group, &**kind))
}

/// What a sweep learns of one kind.
enum Kind {
    Listed(Vec<LiveObject>),
    Forbidden(GroupKind),
}

/// Everything of one kind, tried several times.
async fn kind(reader: &Reader, resource: Arc<Resource>, seed: u64) -> Result<Kind, RequestError> {
    let mut retry = Retry::new(seed);
    let mut tries = 0;
    loop {
        tries += 1;
        let refusal = match pages(reader, &resource).await {
            Ok(objects) => return Ok(Kind::Listed(objects)),
            Err(refusal) => refusal,
        };
        match (refusal.code, refusal.error.reason) {
            (Some(403), _) => {
                tracing::debug!(kind = %resource.gvk, "left out of the sweep: it may not be listed");
                return Ok(Kind::Forbidden(resource.gvk.group_kind()));
            }
            (Some(404 | 405), _) => return Ok(Kind::Listed(Vec::new())),
            (_, RequestErrorReason::Transient { retry_after }) if tries < SWEEP_TRIES => {
                tokio::time::sleep(retry.pause(retry_after)).await;
            }
            _ => return Err(refusal.error),
        }
    }
}

async fn pages(reader: &Reader, resource: &Resource) -> Result<Vec<LiveObject>, Refusal> {
    let what = format!("listing {}", resource.gvk.group_kind());
    let path = resource.collection_path();
    let selector = encode(&reader.selector());
    let mut objects = Vec::new();
    let mut token = String::new();
    loop {
        let mut url = format!("{path}?labelSelector={selector}&limit={SWEEP_PAGE}");
        if !token.is_empty() {
            url.push_str(&format!("&continue={}", encode(&token)));
        }
        let meta = page(reader, resource, &what, &url, &mut objects).await?;
        if meta.token.is_empty() {
            return Ok(objects);
        }
        token = meta.token;
    }
}

async fn page(
    reader: &Reader,
    resource: &Resource,
    what: &str,
    url: &str,
    objects: &mut Vec<LiveObject>,
) -> Result<ListMeta, Refusal> {
    let mut body = request::get(&reader.client, what, url, METADATA_LIST).await?.body;
    let mut page = Page::default();
    let mut piece = Vec::new();
    let mut whole = true;
    while request::read(what, &mut body, request::ANSWER_TIMEOUT, &mut piece).await? {
        let mut item = |raw: &[u8]| match reader.decode(&resource.gvk, raw, true) {
            Some(live) => objects.push(LiveObject { managed_fields: None, ..live }),
            None => whole = false,
        };
        page.feed(&piece, &mut item).map_err(|error| Refusal::broken(what, &error.to_string()))?;
        piece.clear();
    }
    let oversize = page.oversize > 0;
    let meta = page.finish().map_err(|error| Refusal::broken(what, &error.to_string()))?;
    if oversize || !whole {
        return Err(undecodable(what).into());
    }
    Ok(meta)
}

fn undecodable(what: &str) -> RequestError {
    error::invalid(format!("{what}: an object in the answer can't be decoded; the log names it"))
}
