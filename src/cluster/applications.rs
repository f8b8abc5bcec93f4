//! The watch of `applications.argoproj.io/v1alpha1`, through kube-runtime.
//!
//! kube's typed requests log an answer that can't be parsed, so that nothing in an Application may make parsing fail:
//! [`Watched`] takes every object, and what can't be read of it becomes an error inside it.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use kube::core::Status;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Namespaces;
use super::application_decode::Watched;
use super::discovery::Discovery;
use super::follow::Closed;
use super::request;
use super::retry::{Hurry, Retry};
use crate::engine::event::Event;
use crate::engine::ids::{AppKey, Gvk};
use crate::engine::redact;

/// API group of Applications.
pub const GROUP: &str = "argoproj.io";
/// API version of Applications.
pub const VERSION: &str = "v1alpha1";
/// Kind of Applications.
pub const KIND: &str = "Application";
/// Plural of Applications.
pub const PLURAL: &str = "applications";

/// Applications in one page of a list. One of them may hold thousands of resources in its status.
const PAGE: u32 = 20;
/// How long one watch is kept open. kube-runtime notices a dead connection only when this is over.
const WATCH_SECONDS: u32 = 60;
/// A failure so long after the one before counts as the first.
const CALM: Duration = Duration::from_secs(60);

/// Whether the status of Applications is written through `/status`; that is so neither with Argo CD's definition nor with
/// ours. `None`: Applications are not served.
pub fn status_subresource(discovery: &Discovery) -> Option<bool> {
    discovery.resource(&Gvk::new(GROUP, VERSION, KIND)).map(|resource| resource.has_status)
}

/// Watches the Applications of `namespaces`. Sends `Event::Application` and `Event::ApplicationGone`, and after each full
/// list of a namespace, once every namespace was listed, `Event::ApplicationsListed` with all that exist. Returns when
/// `stopped` is cancelled or nobody receives the events any more.
///
/// Without a CustomResourceDefinition, without rights and without a connection it tries again for ever, up to 30 s apart
/// (the jitter follows from `seed`), or as soon as there is a `hurry`; each new reason is logged once.
pub async fn run(
    client: Client,
    namespaces: Namespaces,
    (seed, hurry): (u64, Hurry),
    events: mpsc::Sender<Event>,
    stopped: CancellationToken,
) {
    let scopes = namespaces.scopes();
    let mut known = Known { places: scopes.iter().map(|_| Place::default()).collect(), events };
    let streams = scopes.into_iter().enumerate().map(|(index, namespace)| {
        let retry = Retry::hurried(seed.wrapping_add(index as u64), &hurry);
        follow(client.clone(), namespace, retry).map(move |event| (index, event)).boxed()
    });
    let mut all = stream::select_all(streams);
    let work = async {
        while let Some((index, event)) = all.next().await {
            if known.take(index, event).await.is_err() {
                return;
            }
        }
    };
    stopped.run_until_cancelled(work).await;
}

/// The Applications that exist.
struct Known {
    places: Vec<Place>,
    events: mpsc::Sender<Event>,
}

/// Those of one namespace, or of all.
#[derive(Default)]
struct Place {
    /// It was listed completely at least once.
    listed: bool,
    keys: BTreeSet<AppKey>,
    /// What the list that is running has shown so far.
    listing: BTreeSet<AppKey>,
}

impl Known {
    async fn take(&mut self, index: usize, event: watcher::Event<Watched>) -> Result<(), Closed> {
        let Some(place) = self.places.get_mut(index) else { return Ok(()) };
        let event = match event {
            watcher::Event::Init => {
                place.listing.clear();
                None
            }
            watcher::Event::InitApply(watched) => {
                place.listing.insert(watched.key());
                watched.observed.map(Event::Application)
            }
            watcher::Event::Apply(watched) => {
                place.keys.insert(watched.key());
                watched.observed.map(Event::Application)
            }
            watcher::Event::Delete(watched) => {
                let key = watched.key();
                place.keys.remove(&key);
                Some(Event::ApplicationGone(key))
            }
            watcher::Event::InitDone => {
                place.keys = std::mem::take(&mut place.listing);
                place.listed = true;
                let complete = self.places.iter().all(|place| place.listed);
                let all = || self.places.iter().flat_map(|place| place.keys.iter().cloned()).collect();
                complete.then(|| Event::ApplicationsListed(all()))
            }
        };
        match event {
            Some(event) => self.events.send(event).await.map_err(|_| Closed),
            None => Ok(()),
        }
    }
}

/// One namespace, or all of them, through kube-runtime's watcher; after each error it pauses.
fn follow(
    client: Client,
    namespace: Option<String>,
    retry: Retry,
) -> impl Stream<Item = watcher::Event<Watched>> + Send {
    let api: Api<Watched> = match &namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let config = watcher::Config::default().page_size(PAGE).timeout(WATCH_SECONDS);
    let following = Following {
        events: watcher::watcher(api, config).boxed(),
        place: namespace.map_or_else(|| "all namespaces".to_owned(), |namespace| format!("namespace {namespace}")),
        retry,
        last_failure: None,
        reported: None,
    };
    stream::unfold(following, |mut following| async move {
        loop {
            match following.events.next().await? {
                Ok(event) => {
                    following.works(&event);
                    return Some((event, following));
                }
                Err(error) => following.failed(&error).await,
            }
        }
    })
}

struct Following {
    events: BoxStream<'static, Result<watcher::Event<Watched>, watcher::Error>>,
    place: String,
    retry: Retry,
    last_failure: Option<Instant>,
    /// The failure that was logged last, while it lasts.
    reported: Option<String>,
}

impl Following {
    fn works(&mut self, event: &watcher::Event<Watched>) {
        // `Init` only says that a list is about to be tried.
        let proof = !matches!(event, watcher::Event::Init | watcher::Event::InitApply(_));
        if proof && self.reported.take().is_some() {
            tracing::info!("Applications in {} can be read again", self.place);
        }
    }

    async fn failed(&mut self, error: &watcher::Error) {
        let message = explain(error);
        if self.reported.as_ref() != Some(&message) {
            tracing::warn!("Applications in {} can't be read, trying again: {message}", self.place);
            self.reported = Some(message);
        }
        if self.last_failure.is_some_and(|last| last.elapsed() >= CALM) {
            self.retry.reset();
        }
        self.last_failure = Some(Instant::now());
        self.retry.wait(wish(error)).await;
    }
}

/// What is wrong, without anything of an answer's content.
fn explain(error: &watcher::Error) -> String {
    let text = match status(error) {
        Some(status) if status.code == 404 => {
            "the API server does not serve them; install the CustomResourceDefinition that `driftless crds` prints"
                .to_owned()
        }
        Some(status) => format!("{} (HTTP {})", status.message, status.code),
        None => match source(error) {
            Some(kube::Error::SerdeError(_)) | None => "the answer is not what an API server sends".to_owned(),
            Some(error) => request::causes(error),
        },
    };
    redact::truncate(text)
}

fn source(error: &watcher::Error) -> Option<&kube::Error> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Some(error),
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => None,
    }
}

fn status(error: &watcher::Error) -> Option<&Status> {
    match (error, source(error)) {
        (watcher::Error::WatchError(status), _) | (_, Some(kube::Error::Api(status))) => Some(status),
        _ => None,
    }
}

/// How long the server wants us to wait.
fn wish(error: &watcher::Error) -> Option<Duration> {
    let seconds = status(error)?.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn watched(namespace: &str, name: &str) -> Watched {
        serde_json::from_value(json!({"metadata": {"namespace": namespace, "name": name, "resourceVersion": "1"}}))
            .unwrap()
    }

    #[tokio::test]
    async fn a_list_counts_when_all_namespaces_were_listed() {
        use watcher::Event as W;
        let (events, mut received) = mpsc::channel(64);
        let mut known = Known { places: vec![Place::default(), Place::default()], events };
        let script = [
            (0, W::Init),
            (0, W::InitApply(watched("a", "one"))),
            (0, W::InitDone),
            (1, W::Init),
            (1, W::InitApply(watched("b", "two"))),
            (1, W::InitDone),
            // A new list of one namespace, interrupted by one of the other: what was known of it stays.
            (0, W::Init),
            (1, W::Init),
            (1, W::InitDone),
            (0, W::Init),
            (0, W::InitDone),
            (0, W::Apply(watched("a", "three"))),
            (0, W::Delete(watched("a", "three"))),
        ];
        for (index, event) in script {
            known.take(index, event).await.unwrap();
        }
        drop(known);
        let mut seen = Vec::new();
        while let Some(event) = received.recv().await {
            seen.push(match event {
                Event::Application(observed) => format!("+{}", observed.key),
                Event::ApplicationGone(key) => format!("-{key}"),
                Event::ApplicationsListed(keys) => {
                    format!("={}", keys.iter().map(ToString::to_string).collect::<String>())
                }
                other => format!("{other:?}"),
            });
        }
        assert_eq!(seen, ["+a/one", "+b/two", "=a/oneb/two", "=a/one", "=", "+a/three", "-a/three"]);
    }
}
