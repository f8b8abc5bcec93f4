//! One replica: an engine, its store, its watches, and the requests that it has under way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use driftless::engine::Engine;
use driftless::engine::effect::{Effect, Notice, Purpose};
use driftless::engine::event::{Event, Leadership, RequestErrorReason, WatchEvent};
use driftless::engine::ids::{AppKey, Epoch, Gvk, Revision};
use driftless::engine::settings::EngineSettings;
use driftless::engine::status::ApplicationStatus;
use driftless::engine::time::Now;

use super::cluster::{Cluster, error};
use super::store::ModelStore;

/// The client side of one watch.
#[derive(Debug, Default)]
pub(crate) struct WatchClient {
    /// Everything up to here was delivered; `None`: list first.
    pub(crate) position: Option<u64>,
    /// What is on the way, with the position that it stands for.
    pub(crate) queue: VecDeque<(Option<u64>, WatchEvent)>,
    /// It was told that the kind is not served.
    pub(crate) unserved: bool,
}

impl WatchClient {
    /// The connection is cut: what was on the way is lost, a list begins anew.
    pub(crate) fn cut(&mut self) {
        self.queue.clear();
    }

    /// Fetches what there is to tell. Says whether there is anything to deliver.
    pub(crate) fn fetch(&mut self, watch: &Gvk, cluster: &Cluster) -> bool {
        if !self.queue.is_empty() {
            return true;
        }
        if !cluster.served.contains(&watch.group_kind()) {
            if !self.unserved {
                self.unserved = true;
                self.position = None;
                let error = error(RequestErrorReason::UnknownKind);
                self.queue.push_back((None, WatchEvent::Failed { error }));
            }
            return !self.queue.is_empty();
        }
        self.unserved = false;
        match self.position.filter(|position| *position >= cluster.compacted) {
            Some(position) => {
                let events = cluster.since(watch, position);
                self.queue.extend(events.into_iter().map(|(at, event)| (Some(at), event)));
            }
            None => {
                self.position = None;
                let events = cluster.list(watch);
                let last = events.len() - 1;
                let at = |index| (index == last).then_some(cluster.rv);
                self.queue.extend(events.into_iter().enumerate().map(|(index, event)| (at(index), event)));
            }
        }
        !self.queue.is_empty()
    }
}

/// A request under way.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) effect: Effect,
    /// It has passed the fence: whatever happens to the Lease, the API server may carry it out.
    pub(crate) sent: bool,
}

/// What the world knows that this replica was told; the invariants are checked against it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Epoch in which it leads.
    pub(crate) epoch: Option<Epoch>,
    /// Listings that were asked for in this epoch and answered: what the branch named.
    pub(crate) listed: BTreeSet<Revision>,
    /// Listings under way were asked for in this epoch.
    pub(crate) listing: bool,
    /// Revisions that the status of an Application recorded, as it was shown or written.
    pub(crate) recorded: BTreeSet<(AppKey, String)>,
}

/// One replica.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) engine: Engine,
    pub(crate) store: ModelStore,
    pub(crate) watches: BTreeMap<Gvk, WatchClient>,
    pub(crate) requests: Vec<Request>,
    pub(crate) answers: Vec<Event>,
    /// Resource versions of the Applications that it was shown.
    pub(crate) shown: BTreeMap<AppKey, u64>,
    pub(crate) listed: bool,
    pub(crate) told: Told,
    /// The Lease's news on the way.
    pub(crate) leadership: Option<Leadership>,
    pub(crate) notices: Vec<Notice>,
    /// Every effect since the last look of a test, stores included.
    pub(crate) effects: Vec<Effect>,
}

impl Replica {
    /// Starts from a store.
    pub(crate) fn start(settings: EngineSettings, mut store: ModelStore, now: Now) -> Self {
        store.gathered.clear();
        let mut first = Vec::new();
        let engine = Engine::new(settings, store.snapshot(), now, &mut first);
        let mut replica = Self {
            engine,
            store,
            watches: BTreeMap::new(),
            requests: Vec::new(),
            answers: Vec::new(),
            shown: BTreeMap::new(),
            listed: false,
            told: Told::default(),
            leadership: None,
            notices: Vec::new(),
            effects: Vec::new(),
        };
        replica.take(first);
        replica
    }

    /// One step of the engine. Its effects are under way afterwards, what must be on disk is.
    pub(crate) fn step(&mut self, now: Now, event: Event) -> Vec<Effect> {
        self.note(&event);
        let mut effects = Vec::new();
        self.engine.step(now, event, &mut effects);
        self.take(effects.clone());
        effects
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Leadership(Leadership::Leader { epoch, .. }) => {
                self.told.epoch = Some(*epoch);
                self.told.listed.clear();
                self.told.listing = false;
            }
            Event::Leadership(Leadership::Standby) => self.told.epoch = None,
            Event::Refs { result, .. } => {
                if let (Ok(refs), true) = (result, self.told.listing) {
                    self.told.listed.extend(refs.head.clone());
                }
                self.told.listing = false;
            }
            Event::Application(app) => self.told.recorded.extend(recorded(&app.key, &app.status)),
            _ => {}
        }
    }

    fn take(&mut self, effects: Vec<Effect>) {
        let mut flush = false;
        for effect in &effects {
            if let Effect::Store { op, before_next } = effect {
                self.store.gathered.push(op.clone());
                flush |= before_next;
            }
        }
        if flush {
            self.store.flush();
        }
        for effect in &effects {
            match effect {
                Effect::Store { .. } => {}
                Effect::Notify(notice) => self.notices.push((**notice).clone()),
                Effect::Watch { watch, from } => {
                    self.watches.insert(watch.clone(), WatchClient { position: *from, ..WatchClient::default() });
                }
                Effect::Unwatch { watch } => drop(self.watches.remove(watch)),
                effect => {
                    if let Effect::WriteApplication(write) = effect {
                        let status = write.status.iter();
                        self.told.recorded.extend(status.flat_map(|status| recorded(&write.app, status)));
                    }
                    if matches!(effect, Effect::ListRefs { .. }) {
                        self.told.listing = self.told.epoch.is_some();
                    }
                    self.requests.push(Request { effect: effect.clone(), sent: false });
                }
            }
        }
        self.effects.extend(effects);
    }
}

/// Whether an effect changes the cluster.
pub(crate) fn is_write(effect: &Effect) -> bool {
    match effect {
        Effect::Apply(apply) => apply.purpose != Purpose::Compare,
        Effect::Delete(_) | Effect::EnsureNamespace { .. } | Effect::WriteApplication(_) => true,
        _ => false,
    }
}

fn recorded(app: &AppKey, status: &ApplicationStatus) -> Vec<(AppKey, String)> {
    let result = status.operation_state.as_ref().and_then(|state| state.sync_result.as_ref());
    let revisions = status.sync.revision.iter().chain(result.map(|result| &result.revision));
    revisions.map(|revision| (app.clone(), revision.clone())).collect()
}
