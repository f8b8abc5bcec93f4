//! Argo CD's repository Secrets: URL, credentials and CA of repositories, by the label
//! `argocd.argoproj.io/secret-type`. They are kept in memory only and appear in no log and no debug output.

use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use kube::Client;
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Namespaces;
use super::follow::{Closed, Delivery, Follower, Target, WatchCounters, WatchSettings};
use super::path::encode;
use super::request::Refusal;
use crate::engine::event::RequestErrorReason;

/// Label that says what a Secret is for.
const TYPE_LABEL: &str = "argocd.argoproj.io/secret-type";
/// The Secrets that are read.
const SELECTOR: &str = "argocd.argoproj.io/secret-type in (repository,repo-creds)";

/// What a repository Secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretType {
    /// One repository.
    Repository,
    /// All repositories whose URL begins with this one's.
    Credentials,
}

/// One repository Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct RepositorySecret {
    /// What it is for.
    pub kind: SecretType,
    /// Its data, decoded.
    pub data: BTreeMap<String, Vec<u8>>,
}

impl fmt::Debug for RepositorySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositorySecret").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// All repository Secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositorySecrets {
    /// Every namespace was listed once (or may not be read, which is logged): what is not here does not exist.
    pub complete: bool,
    /// By `namespace/name`.
    pub secrets: BTreeMap<String, RepositorySecret>,
}

/// Keeps `sender` equal to the repository Secrets of `namespaces`; it changes only when they do. Returns when `stopped`
/// is cancelled. What fails is tried again for ever; what was read before stays meanwhile.
pub async fn run(
    client: Client,
    namespaces: Namespaces,
    settings: WatchSettings,
    seed: u64,
    sender: watch::Sender<Arc<RepositorySecrets>>,
    stopped: CancellationToken,
) {
    let scopes = namespaces.scopes();
    let counters = WatchCounters::default();
    let places = Mutex::new(scopes.iter().map(|_| Place::default()).collect());
    let followers = scopes.into_iter().enumerate().map(|(index, namespace)| {
        let target = Secrets { index, namespace, places: &places, sender: &sender, listing: None, reported: None };
        Follower::new(client.clone(), target, settings, &counters, seed.wrapping_add(index as u64), None).run()
    });
    stopped.run_until_cancelled(join_all(followers)).await;
}

#[derive(Default)]
struct Place {
    listed: bool,
    secrets: BTreeMap<String, RepositorySecret>,
}

/// The Secrets of one namespace, or of all, as a [`Target`].
struct Secrets<'a> {
    index: usize,
    namespace: Option<String>,
    places: &'a Mutex<Vec<Place>>,
    sender: &'a watch::Sender<Arc<RepositorySecrets>>,
    /// What the list that is running has shown so far.
    listing: Option<BTreeMap<String, RepositorySecret>>,
    reported: Option<String>,
}

impl Secrets<'_> {
    /// Changes what is known of this namespace and publishes the whole.
    fn publish(&self, change: impl FnOnce(&mut Place)) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get_mut(self.index) {
            change(place);
        }
        let all = RepositorySecrets {
            complete: places.iter().all(|place| place.listed),
            secrets: places.iter().flat_map(|place| place.secrets.clone()).collect(),
        };
        self.sender.send_if_modified(|current| {
            let changed = **current != all;
            if changed {
                *current = Arc::new(all);
            }
            changed
        });
    }

    fn failed(&mut self, refusal: &Refusal) {
        let message = &refusal.error.message;
        if self.reported.as_ref() != Some(message) {
            let place = self.namespace.as_deref().unwrap_or("all namespaces");
            tracing::warn!("repository Secrets of {place} can't be read, trying again: {message}");
            self.reported = Some(message.clone());
        }
        // What we may not read is not ours to wait for: public repositories work without.
        if refusal.error.reason == RequestErrorReason::Forbidden {
            self.publish(|place| place.listed = true);
        }
    }
}

impl Target for Secrets<'_> {
    type Item = (String, Option<RepositorySecret>);

    fn what(&self) -> String {
        "Secret".to_owned()
    }

    async fn path(&mut self) -> Result<String, Refusal> {
        Ok(match &self.namespace {
            Some(namespace) => format!("/api/v1/namespaces/{}/secrets", encode(namespace)),
            None => "/api/v1/secrets".to_owned(),
        })
    }

    fn selector(&self) -> &str {
        SELECTOR
    }

    fn decode(&self, raw: &[u8]) -> Option<Self::Item> {
        let secret: Wire = serde_json::from_slice(raw).ok()?;
        let key = format!("{}/{}", secret.metadata.namespace, secret.metadata.name);
        Some((key, secret.read()))
    }

    async fn deliver(&mut self, delivery: Delivery<Self::Item>) -> Result<(), Closed> {
        match delivery {
            Delivery::ListStarted => self.listing = Some(BTreeMap::new()),
            Delivery::Item((key, secret)) => match (&mut self.listing, secret) {
                (Some(listing), Some(secret)) => drop(listing.insert(key, secret)),
                (Some(_), None) => {}
                (None, Some(secret)) => self.publish(|place| drop(place.secrets.insert(key, secret))),
                (None, None) => self.publish(|place| drop(place.secrets.remove(&key))),
            },
            Delivery::Gone((key, _)) => self.publish(|place| drop(place.secrets.remove(&key))),
            Delivery::ListDone(_) => {
                let secrets = self.listing.take().unwrap_or_default();
                self.reported = None;
                self.publish(|place| *place = Place { listed: true, secrets });
            }
            Delivery::Bookmark(_) => self.reported = None,
            Delivery::Failed(refusal) => self.failed(&refusal),
        }
        Ok(())
    }

    async fn changed(&mut self) {
        pending::<()>().await;
    }
}

#[derive(Deserialize)]
struct Wire {
    metadata: WireMeta,
    #[serde(default)]
    data: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct WireMeta {
    name: String,
    namespace: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Wire {
    /// `None` if it is no repository Secret. An entry that is not in base64 is left out.
    fn read(&self) -> Option<RepositorySecret> {
        let kind = match self.metadata.labels.get(TYPE_LABEL).map(String::as_str) {
            Some("repository") => SecretType::Repository,
            Some("repo-creds") => SecretType::Credentials,
            _ => return None,
        };
        let entry = |(name, text): (&String, &String)| Some((name.clone(), STANDARD.decode(text).ok()?));
        Some(RepositorySecret { kind, data: self.data.iter().flatten().filter_map(entry).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(label: &str, data: serde_json::Value) -> Option<RepositorySecret> {
        let secret = json!({"metadata": {"name": "a", "namespace": "b", "labels": {TYPE_LABEL: label}}, "data": data});
        serde_json::from_value::<Wire>(secret).unwrap().read()
    }

    #[test]
    fn secrets_are_told_apart_by_their_label() {
        let data = json!({"url": "aHR0cHM6Ly9leGFtcGxlLmNvbQ==", "bad": "?"});
        let secret = read("repository", data).unwrap();
        assert_eq!(secret.kind, SecretType::Repository);
        assert_eq!(secret.data, BTreeMap::from([("url".to_owned(), b"https://example.com".to_vec())]));
        assert_eq!(read("repo-creds", json!(null)).unwrap().kind, SecretType::Credentials);
        assert!(read("cluster", json!({})).is_none());
    }

    #[test]
    fn debug_output_shows_no_data() {
        let secret = read("repository", json!({"password": "aHVudGVyMg=="})).unwrap();
        let all = RepositorySecrets { complete: true, secrets: BTreeMap::from([("b/a".to_owned(), secret)]) };
        let shown = format!("{all:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("104"), "{shown}");
    }
}
