//! The engine: one state, one entry. [`Engine::step`] takes what happened and says what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::effect::Effect;
use super::event::Event;
use super::hash::Hash;
use super::ids::{AppKey, Epoch, Gvk, ObjectKey, RepoKey};
use super::lanes::Lanes;
use super::record::{ApplicationRecord, StoreOp, StoreSnapshot};
use super::settings::EngineSettings;
use super::state::{App, Flight, Object, Owner, Repo, Timer, Verdict, Watch, WatchState, watch_of};
use super::time::{Instant, Now};
use super::tracking::instance_name;
use super::view::Counters;

/// The state of one replica. Everything that happens goes through [`Engine::step`]; it is deterministic: the same events
/// at the same times give the same effects.
#[derive(Debug)]
pub struct Engine {
    pub(super) settings: EngineSettings,
    /// Set while this replica leads.
    pub(super) epoch: Option<Epoch>,
    pub(super) lease_known: bool,
    pub(super) apps: BTreeMap<AppKey, Box<App>>,
    /// Argo CD's instance name of each application, as tracking ids have it.
    pub(super) instances: BTreeMap<Box<str>, AppKey>,
    pub(super) objects: BTreeMap<ObjectKey, Object>,
    pub(super) repos: BTreeMap<RepoKey, Repo>,
    pub(super) watches: BTreeMap<Gvk, Watch>,
    pub(super) timers: BTreeSet<(Instant, Timer)>,
    pub(super) lanes: Lanes,
    /// Applications to be looked after before the step ends.
    pub(super) dirty: BTreeSet<AppKey>,
    /// Numbers requests; an answer to a number that is not waited for is dropped.
    pub(super) sequence: u64,
    /// Listings up to this number were asked for before this replica led.
    pub(super) listing_floor: u64,
    pub(super) inventory_complete: bool,
    pub(super) sweeping: bool,
    pub(super) sweep_failures: u32,
    /// Why the last sweep failed.
    pub(super) sweep_error: Option<String>,
    /// The store can't be written: what is not durably ours may not be deleted, and there is nothing to sweep into.
    pub(super) store_failed: bool,
    pub(super) applications_listed: bool,
    /// Applications of the store that have not been seen in the cluster yet.
    pub(super) stored: BTreeMap<AppKey, (ApplicationRecord, BTreeSet<ObjectKey>)>,
    pub(super) kinds: Option<Hash>,
    pub(super) counters: Counters,
    /// Applications whose view is out of date.
    pub(super) changed: BTreeSet<AppKey>,
    /// Names that many keys share.
    names: BTreeSet<Arc<str>>,
}

/// What one step is given, handed down through it.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) now: Now,
    pub(super) out: &'a mut Vec<Effect>,
}

impl Step<'_> {
    /// Asks for something.
    pub(super) fn emit(&mut self, effect: Effect) {
        self.out.push(effect);
    }

    /// Writes to the store some time soon.
    pub(super) fn store(&mut self, op: StoreOp) {
        self.out.push(Effect::Store { op, before_next: false });
    }

    /// Writes to the store before any later effect is performed.
    pub(super) fn store_first(&mut self, op: StoreOp) {
        self.out.push(Effect::Store { op, before_next: true });
    }
}

impl Engine {
    /// An engine that goes on from `snapshot`. The watches that it needs at once are in `out`.
    pub fn new(settings: EngineSettings, snapshot: StoreSnapshot, now: Now, out: &mut Vec<Effect>) -> Self {
        let mut engine = Self {
            settings,
            epoch: None,
            lease_known: false,
            apps: BTreeMap::new(),
            instances: BTreeMap::new(),
            objects: BTreeMap::new(),
            repos: BTreeMap::new(),
            watches: BTreeMap::new(),
            timers: BTreeSet::new(),
            lanes: Lanes::default(),
            dirty: BTreeSet::new(),
            sequence: 0,
            listing_floor: 0,
            inventory_complete: snapshot.complete,
            sweeping: false,
            sweep_failures: 0,
            sweep_error: None,
            store_failed: false,
            applications_listed: false,
            stored: BTreeMap::new(),
            kinds: None,
            counters: Counters::default(),
            changed: BTreeSet::new(),
            names: BTreeSet::new(),
        };
        for (key, record) in snapshot.applications {
            // The watches begin before the Applications are listed: what they find belongs to somebody already.
            engine.instances.insert(instance_name(&key, &engine.settings.control_namespace).into(), key.clone());
            engine.stored.insert(key, (record, BTreeSet::new()));
        }
        let positions: BTreeMap<Gvk, u64> = snapshot.positions.into_iter().collect();
        let mut step = Step { now, out };
        for (key, record) in snapshot.objects {
            let key = engine.interned(&key);
            let (_, inventory) = engine.stored.entry(record.app.clone()).or_default();
            inventory.insert(key.clone());
            let watch = watch_of(&key, &record.version);
            let mut object = Object::new(record);
            object.stored = true;
            if object.record.live.as_ref().is_some_and(|live| !live.ours) {
                // Nobody's or somebody else's: the store does not tell which.
                object.volatile().lost = true;
            }
            engine.objects.insert(key, object);
            let from = positions.get(&watch).copied();
            engine.need_watch(watch, from, &mut step);
        }
        engine
    }

    /// Takes in one event. Effects are appended to `out` in the order in which they are to be performed.
    pub fn step(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        let mut step = Step { now, out };
        self.handle(event, &mut step);
        self.fire(&mut step);
        self.settle(&mut step);
        debug_assert_eq!(self.broken_invariant(), None);
    }

    /// When [`Event::Tick`] is due if nothing else happens.
    pub fn next_wake(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    fn handle(&mut self, event: Event, step: &mut Step<'_>) {
        match event {
            Event::Application(observed) => self.observe_application(observed, step),
            Event::ApplicationGone(key) => self.application_gone(&key, step),
            Event::ApplicationsListed(keys) => self.applications_listed(keys, step),
            Event::Leadership(leadership) => self.leadership(leadership, step),
            Event::Refs { repo, result } => self.refs(&repo, result, step),
            Event::Rendered { app, request, result } => self.rendered(&app, request, result, step),
            Event::Traced { app, since, revision, result } => self.traced(&app, &since, &revision, result, step),
            Event::Discovered { kinds } => self.discovered(kinds),
            Event::Watch { watch, event, arrived: _ } => self.watch_event(&watch, event, step),
            Event::Applied { key, desired, outcome } => self.applied(&key, desired, outcome, step),
            Event::Deleted { key, outcome } => self.deleted(&key, outcome, step),
            Event::Looked { key, result } => self.looked(&key, result, step),
            Event::Inspected { key, desired, resource_version, result } => {
                self.inspected(&key, desired, resource_version, result, step);
            }
            Event::NamespaceEnsured { app, result } => self.namespace_ensured(&app, result, step),
            Event::ApplicationWritten { app, request, result } => self.application_written(&app, request, result, step),
            Event::Swept { result } => self.swept(result, step),
            Event::StoreFailed => {
                self.inventory_complete = false;
                self.store_failed = true;
            }
            Event::Tick => {}
        }
    }

    fn discovered(&mut self, kinds: Hash) {
        if self.kinds.replace(kinds) == Some(kinds) {
            return;
        }
        for (key, app) in &mut self.apps {
            if std::mem::take(&mut app.wants_kinds) {
                app.render_failed = None;
                self.dirty.insert(key.clone());
            }
        }
    }

    fn fire(&mut self, step: &mut Step<'_>) {
        while let Some((at, _)) = self.timers.first() {
            if *at > step.now.instant {
                break;
            }
            let Some((_, timer)) = self.timers.pop_first() else { break };
            match timer {
                Timer::Poll(repo) => self.poll(&repo, step),
                Timer::App(app) => {
                    self.dirty.insert(app);
                }
                Timer::Object(key) => self.attend_later(&key),
                Timer::Sweep => self.sweep(step),
            }
        }
    }

    /// Looks after every dirty application, and after those for which a place has become free. One application is out of
    /// the map while it is looked after.
    fn settle(&mut self, step: &mut Step<'_>) {
        while let Some(key) = self.dirty.pop_first().or_else(|| self.lanes.next(&self.settings)) {
            self.changed.insert(key.clone());
            if let Some(mut app) = self.apps.remove(&key) {
                self.advance(&mut app, step);
                self.apps.insert(key, app);
            }
        }
    }

    pub(super) fn at(&mut self, when: Instant, timer: Timer) {
        self.timers.insert((when, timer));
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// The key with its group, kind and namespace shared with other keys.
    pub(super) fn interned(&mut self, key: &ObjectKey) -> ObjectKey {
        let mut share = |text: &Arc<str>| match self.names.get(text) {
            Some(shared) => shared.clone(),
            None => {
                self.names.insert(text.clone());
                text.clone()
            }
        };
        ObjectKey {
            group: share(&key.group),
            kind: share(&key.kind),
            namespace: share(&key.namespace),
            name: key.name.clone(),
        }
    }

    /// One more object needs this watch.
    pub(super) fn need_watch(&mut self, watch: Gvk, from: Option<u64>, step: &mut Step<'_>) {
        if let Some(known) = self.watches.get_mut(&watch) {
            known.users += 1;
            return;
        }
        // A watch that resumes has told everything up to its position already.
        let state = if from.is_some() { WatchState::Synced } else { WatchState::Pending };
        self.watches.insert(watch.clone(), Watch { users: 1, state, listing: false, list: 0 });
        step.emit(Effect::Watch { watch, from });
    }

    /// One object less needs this watch.
    pub(super) fn release_watch(&mut self, watch: &Gvk, step: &mut Step<'_>) {
        let Some(known) = self.watches.get_mut(watch) else { return };
        known.users = known.users.saturating_sub(1);
        if known.users == 0 {
            self.watches.remove(watch);
            step.store(StoreOp::DeletePosition(watch.clone()));
            step.emit(Effect::Unwatch { watch: watch.clone() });
        }
    }

    /// Recomputes how an object stands, keeps its application's tally, and marks both for attention if that changed.
    pub(super) fn reassess(&mut self, key: &ObjectKey) {
        let Some(owner) = self.objects.get(key).map(|object| object.record.app.clone()) else { return };
        if let Some(mut app) = self.apps.remove(&owner) {
            self.reassess_in(&mut app, key);
            self.apps.insert(owner, app);
        }
    }

    /// [`Engine::reassess`] for an application that is out of the map.
    pub(super) fn reassess_in(&mut self, app: &mut App, key: &ObjectKey) {
        let free = self.is_given_up(key);
        let Some(object) = self.objects.get_mut(key) else { return };
        if free {
            object.volatile().owner = Owner::Untracked;
        }
        let watch = self.watches.get(&watch_of(key, &object.record.version));
        let verdict = super::diff::assess(object, watch);
        app.tally.count(object.verdict, object.counted, -1);
        object.verdict = verdict;
        object.counted = object.health();
        app.tally.count(object.verdict, object.counted, 1);
        app.attention.insert(key.clone());
        app.status.dirty = true;
        self.dirty.insert(app.observed.key.clone());
    }

    /// Whether a desired object's tracking id names an Application of this installation that has let go of it: there is no
    /// such Application any more, or what it last rendered does not hold the object.
    fn is_given_up(&self, key: &ObjectKey) -> bool {
        let Some(object) = self.objects.get(key).filter(|object| object.record.desired.is_some()) else { return false };
        let Some(volatile) = object.volatile.as_ref().filter(|volatile| volatile.owner == Owner::OtherApplication)
        else {
            return false;
        };
        let Some(tracked) = volatile.tracked.as_ref().filter(|_| self.applications_listed) else { return false };
        match self.instances.get(tracked) {
            None => true,
            // The application itself, with the id of another object: a copy that Git wants now.
            Some(app) if *app == object.record.app => true,
            Some(app) => {
                self.apps.get(app).is_some_and(|app| app.record.revision.is_some() && !app.claims.contains_key(key))
            }
        }
    }

    /// Looks again at the objects whose tracking id names `instance`, or any other application that has not got them.
    pub(super) fn reassess_tracked(&mut self, instance: Option<&str>) {
        let named = |object: &Object| {
            let tracked = object.volatile.as_ref().and_then(|volatile| volatile.tracked.as_deref());
            tracked.is_some_and(|tracked| instance.is_none_or(|instance| instance == tracked))
        };
        let keys: Vec<ObjectKey> =
            self.objects.iter().filter(|(_, object)| named(object)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let claimed = instance.and_then(|instance| self.apps.get(self.instances.get(instance)?));
            if claimed.is_some_and(|named| named.claims.contains_key(&key))
                && let Some(object) = self.objects.get_mut(&key)
            {
                // It desires the object as well: who is to have it is decided on what the object says now.
                object.volatile().lost = true;
            }
            self.reassess(&key);
        }
    }

    fn attend_later(&mut self, key: &ObjectKey) {
        if let Some(app) = self.objects.get(key).and_then(|object| self.apps.get_mut(&object.record.app)) {
            app.attention.insert(key.clone());
            self.dirty.insert(app.observed.key.clone());
        }
    }

    /// What is wrong with the engine's own bookkeeping, if anything is. Checked after every step of tests and debug builds.
    fn broken_invariant(&self) -> Option<String> {
        for (key, app) in &self.apps {
            for object in &app.inventory {
                match self.objects.get(object) {
                    None => return Some(format!("{key} lists {object}, which is not known")),
                    Some(known) if known.record.app != *key => return Some(format!("{key} lists {object} of another")),
                    Some(_) => {}
                }
            }
            for object in app.sync.iter().flat_map(|sync| &sync.flying) {
                if self.objects.get(object).is_none_or(|known| known.flight.is_none()) {
                    return Some(format!("the sync of {key} waits for {object}, for which nothing is under way"));
                }
            }
            let counted: u32 = Verdict::ALL.iter().map(|verdict| app.tally.of(*verdict)).sum();
            if counted as usize != app.inventory.len() {
                return Some(format!("{key} counts {counted} of {} objects", app.inventory.len()));
            }
        }
        let flights = |which: fn(&Flight) -> bool| {
            self.objects.values().filter(|object| object.flight.as_ref().is_some_and(which)).count()
        };
        let healing = flights(|flight| matches!(flight, Flight::Apply { heal: true, .. }));
        let syncing = flights(|flight| matches!(flight, Flight::Apply { heal: false, .. } | Flight::Delete));
        if (healing, syncing) != (self.lanes.healing, self.lanes.syncing) {
            return Some(format!("{healing} heals and {syncing} others are under way, {:?} are counted", self.lanes));
        }
        None
    }
}
