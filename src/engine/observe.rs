//! What the watches, looks and sweeps show, and what of it is kept.

use std::sync::Arc;

use super::desired::DesiredObject;
use super::effect::Effect;
use super::event::{RequestError, RequestErrorReason, Sweep, WatchEvent};
use super::ids::{AppKey, GroupKind, Gvk, ObjectKey};
use super::live::{LiveObject, Protection};
use super::record::{LiveRecord, ObjectRecord, StoreOp};
use super::state::{Flight, Object, Owner, Timer, WatchState, owner_of, watch_of};
use super::step::{Engine, Step};
use super::tracking::instance_name;
use super::wave::Wave;

impl Protection {
    /// Bits for the store: no prune 1, no delete 2, prune allowed 4.
    pub const fn bits(self) -> u8 {
        (self.no_prune as u8) | (self.no_delete as u8) << 1 | (self.prune_allowed as u8) << 2
    }

    /// The protection that these bits stand for.
    pub const fn from_bits(bits: u8) -> Self {
        Self { no_prune: bits & 1 != 0, no_delete: bits & 2 != 0, prune_allowed: bits & 4 != 0 }
    }
}

impl LiveRecord {
    fn of(live: &LiveObject, owner: Owner) -> Self {
        Self {
            uid: live.uid.clone(),
            resource_version: live.resource_version,
            footprint: live.footprint,
            stamp: live.stamp,
            health: live.health.as_ref().map(|health| health.code),
            ours: owner == Owner::Ours,
            protection: live.protection.bits(),
        }
    }
}

impl Object {
    /// Takes over what was seen. An older state of the same object changes nothing; says whether anything changed.
    pub(super) fn see(&mut self, live: LiveObject, owner: Owner) -> bool {
        if let Some(known) = &self.record.live
            && known.uid == live.uid
            && known.resource_version > live.resource_version
        {
            return false;
        }
        // A list from before an accepted delete says nothing of it.
        let known = self.record.live.as_ref().map(|known| (&known.uid, known.resource_version));
        let same = known == Some((&live.uid, live.resource_version));
        let accepted = same && self.volatile.as_ref().is_some_and(|volatile| volatile.delete_accepted);
        let deleting = live.deleting || accepted;
        let record = LiveRecord::of(&live, owner);
        let changed = self.record.live.as_ref() != Some(&record);
        let settled = self.record.expected.is_some_and(|expected| {
            Some(expected.desired) == self.record.desired && Some(expected.footprint) == record.footprint
        });
        let resource_version = live.resource_version;
        let message = live.health.and_then(|health| health.message);
        let unwatched = live.instance.is_none();
        let plain = settled && owner == Owner::Ours && !live.deleting && !unwatched && message.is_none();
        self.record.live = Some(record);
        if plain && self.volatile.is_none() {
            return changed;
        }
        let volatile = self.volatile();
        let told = changed || volatile.deleting != deleting || volatile.health_message != message;
        volatile.owner = owner;
        volatile.unwatched = unwatched;
        volatile.deleting = deleting;
        volatile.health_message = message;
        // An answer may be older than what the watch has shown since.
        volatile.lost = volatile.absent_at.is_some_and(|at| resource_version < at);
        volatile.absent_at = volatile.absent_at.filter(|_| volatile.lost);
        volatile.managed_fields = if settled { None } else { live.managed_fields };
        told
    }

    /// The watch shows that it was not there at this resource version. What a request under way answers may be older.
    fn note_absence(&mut self, resource_version: u64) {
        if self.flight.is_some() {
            let volatile = self.volatile();
            volatile.absent_at = volatile.absent_at.max(Some(resource_version));
        }
    }

    /// What its application desires of it, as a claim.
    pub(super) fn claim(&self, key: &ObjectKey) -> Option<DesiredObject> {
        let record = &self.record;
        let ObjectRecord { stage, wave, no_prune, .. } = *record;
        let version = record.version.clone();
        record.desired.map(|hash| DesiredObject { key: key.clone(), version, hash, stage, wave, no_prune })
    }

    /// Another application inherits it. Until that has applied it, it is not proven to be that one's.
    pub(super) fn move_to(&mut self, app: &AppKey) {
        self.record.app = app.clone();
        if let Some(live) = &mut self.record.live {
            live.ours = false;
            self.volatile().owner = Owner::Untracked;
        }
    }

    /// It is not in the cluster.
    pub(super) fn vanish(&mut self) {
        self.record.live = None;
        if let Some(volatile) = &mut self.volatile {
            volatile.lost = false;
            volatile.unwatched = false;
            volatile.deleting = false;
            volatile.delete_accepted = false;
            volatile.owner = Owner::Ours;
            volatile.tracked = None;
            volatile.health_message = None;
            volatile.managed_fields = None;
            volatile.found_drifted = None;
        }
    }
}

impl Engine {
    pub(super) fn watch_event(&mut self, watch: &Gvk, event: WatchEvent, step: &mut Step<'_>) {
        let Some(known) = self.watches.get_mut(watch) else { return };
        match event {
            WatchEvent::ListStarted => {
                known.listing = true;
                known.list = known.list.wrapping_add(1);
                // A list that is cut off must not be taken for a complete one after a restart.
                step.store(StoreOp::DeletePosition(watch.clone()));
            }
            WatchEvent::Live(live) => {
                let list = known.listing.then_some(known.list);
                self.observe(*live, list, step);
            }
            WatchEvent::Gone { key, uid, resource_version } => self.gone(watch, &key, &uid, resource_version, step),
            WatchEvent::ListDone { resource_version } => {
                known.listing = false;
                known.state = WatchState::Synced;
                self.list_done(watch, resource_version);
                self.advance_position(watch, resource_version, step);
            }
            WatchEvent::Bookmark { resource_version } => self.advance_position(watch, resource_version, step),
            WatchEvent::Failed { error } => self.watch_failed(watch, error),
        }
    }

    /// Everything up to here was delivered. While an object that left the watch has not been looked at, a restart has to
    /// hear of it again: its record still says that it is there.
    fn advance_position(&self, watch: &Gvk, resource_version: u64, step: &mut Step<'_>) {
        let lost = |object: &Object| object.volatile.as_ref().is_some_and(|volatile| volatile.lost);
        if !self.served_by(watch).any(|(_, object)| lost(object)) {
            step.store(StoreOp::PutPosition(watch.clone(), resource_version));
        }
    }

    /// An object that a watch or an answer shows.
    pub(super) fn observe(&mut self, live: LiveObject, list: Option<u32>, step: &mut Step<'_>) {
        let Some(object) = self.objects.get_mut(&live.key) else { return self.find(live, list, step) };
        if object.record.version != live.version {
            return;
        }
        if let Some(list) = list {
            object.seen = list;
        }
        let key = live.key.clone();
        let (app, desired) = (object.record.app.clone(), object.record.desired);
        if self.judge(&live, &app, desired).1.is_some() {
            self.yield_to_tracked(&live, &app, step);
        }
        let Some(object) = self.objects.get(&key) else { return self.find(live, list, step) };
        let (owner, tracked) = self.judge(&live, &object.record.app, object.record.desired);
        let Some(object) = self.objects.get_mut(&key) else { return };
        let told = object.see(live, owner);
        if let Some(volatile) = &mut object.volatile {
            volatile.tracked = tracked;
        }
        if told {
            step.store(StoreOp::PutObject(key.clone(), Box::new(object.record.clone())));
            self.reassess(&key);
        } else if object.verdict == super::state::Verdict::Unknown {
            self.reassess(&key);
        }
    }

    /// An object with our label that is in no inventory: what another replica applied, or a store that was lost knew. It
    /// joins the inventory of the application that its tracking id names; a copy, or one of no application, stays out.
    fn find(&mut self, live: LiveObject, list: Option<u32>, step: &mut Step<'_>) {
        let Some(app) = live.tracking.as_ref().and_then(|tracking| self.instances.get(&tracking.instance)).cloned()
        else {
            return;
        };
        let instance = instance_name(&app, &self.settings.control_namespace);
        if owner_of(&live, &self.settings.instance, &instance) != Owner::Ours {
            return;
        }
        let key = self.interned(&live.key);
        let watch = watch_of(&key, &live.version);
        let mut object = Object::new(ObjectRecord {
            app: app.clone(),
            version: live.version.clone(),
            desired: None,
            stage: Default::default(),
            wave: Wave { number: live.wave, ..Wave::default() },
            no_prune: false,
            expected: None,
            live: None,
        });
        object.seen = list.unwrap_or_default();
        object.see(live, Owner::Ours);
        object.stored = true;
        step.store(StoreOp::PutObject(key.clone(), Box::new(object.record.clone())));
        if let Some(app) = self.apps.get_mut(&app) {
            app.inventory.insert(key.clone());
            app.tally.count(object.verdict, object.counted, 1);
        } else if let Some((_, inventory)) = self.stored.get_mut(&app) {
            inventory.insert(key.clone());
        }
        self.objects.insert(key.clone(), object);
        self.need_watch(watch, None, step);
        self.reassess(&key);
    }

    /// An object left its watch: it was deleted, or only its label went.
    fn gone(&mut self, watch: &Gvk, key: &ObjectKey, uid: &Arc<str>, resource_version: u64, step: &mut Step<'_>) {
        let Some(object) = self.objects.get_mut(key) else { return };
        object.note_absence(resource_version);
        let Some(live) = &object.record.live else { return };
        if watch_of(key, &object.record.version) != *watch
            || live.uid != *uid
            || live.resource_version > resource_version
        {
            return;
        }
        object.volatile().lost = true;
        step.store(StoreOp::PutObject(key.clone(), Box::new(object.record.clone())));
        self.reassess(key);
    }

    /// What a complete list did not name has left the watch, unless it is newer than the list.
    fn list_done(&mut self, watch: &Gvk, resource_version: u64) {
        let list = self.watches.get(watch).map_or(0, |known| known.list);
        for key in self.keys_of(watch) {
            if let Some(object) = self.objects.get_mut(&key).filter(|object| object.seen != list) {
                object.note_absence(resource_version);
                if object.record.live.as_ref().is_some_and(|live| live.resource_version <= resource_version) {
                    object.volatile().lost = true;
                }
            }
            self.reassess(&key);
        }
    }

    fn watch_failed(&mut self, watch: &Gvk, error: RequestError) {
        let Some(known) = self.watches.get_mut(watch) else { return };
        known.listing = false;
        known.state = match error.reason {
            RequestErrorReason::UnknownKind | RequestErrorReason::NotFound => WatchState::Unserved,
            RequestErrorReason::Forbidden => WatchState::Failed(error.message),
            // It is being tried again; what was known stays known.
            _ if known.state == WatchState::Synced => return,
            RequestErrorReason::Transient { .. } => WatchState::Retrying(error.message),
            _ => WatchState::Failed(error.message),
        };
        let unserved = known.state == WatchState::Unserved;
        for key in self.keys_of(watch) {
            if unserved
                && let Some(object) = self.objects.get_mut(&key)
                && object.record.live.is_some()
            {
                object.volatile().lost = true;
            }
            self.reassess(&key);
        }
    }

    /// Objects that a watch serves.
    fn served_by<'a>(&'a self, watch: &'a Gvk) -> impl Iterator<Item = (&'a ObjectKey, &'a Object)> {
        let first = ObjectKey::new(watch.group.clone(), watch.kind.clone(), "", "");
        self.objects
            .range(first..)
            .take_while(|(key, _)| key.group == watch.group && key.kind == watch.kind)
            .filter(|(_, object)| object.record.version == watch.version)
    }

    fn keys_of(&self, watch: &Gvk) -> Vec<ObjectKey> {
        self.served_by(watch).map(|(key, _)| key.clone()).collect()
    }

    /// Answer to a look: the object as it is, or that there is none.
    pub(super) fn looked(
        &mut self,
        key: &ObjectKey,
        result: Result<Option<Box<LiveObject>>, RequestError>,
        step: &mut Step<'_>,
    ) {
        if let Some(object) = self.objects.get_mut(key) {
            if object.flight != Some(Flight::Look) {
                return;
            }
            object.flight = None;
        }
        match result {
            Ok(live) => self.settle_look(key, live.map(|live| *live), step),
            Err(error) if error.reason == RequestErrorReason::UnknownKind => self.settle_look(key, None, step),
            Err(error) => self.retry_object(key, &error, step),
        }
    }

    /// What a read of the object itself says is certain.
    pub(super) fn settle_look(&mut self, key: &ObjectKey, live: Option<LiveObject>, step: &mut Step<'_>) {
        match live {
            Some(live) => {
                if let Some(object) = self.objects.get_mut(key)
                    && let Some(known) = &object.record.live
                    && known.uid != live.uid
                {
                    // Another object under the same name.
                    object.vanish();
                }
                self.observe(live, None, step);
            }
            None => {
                let Some(object) = self.objects.get_mut(key) else { return };
                object.vanish();
                step.store(StoreOp::PutObject(key.clone(), Box::new(object.record.clone())));
                let (owner, left_git) = (object.record.app.clone(), object.record.desired.is_none());
                if left_git && let Some(mut app) = self.apps.remove(&owner) {
                    self.forget(&mut app, key, step);
                    self.dirty.insert(owner.clone());
                    self.apps.insert(owner, app);
                }
            }
        }
        if let Some(volatile) = self.objects.get_mut(key).and_then(|object| object.volatile.as_mut()) {
            volatile.lost &= volatile.absent_at.take().is_some();
            volatile.failures = 0;
            volatile.not_before = None;
        }
        self.reassess(key);
    }

    /// A request for one object failed: later again, each time later.
    pub(super) fn retry_object(&mut self, key: &ObjectKey, error: &RequestError, step: &mut Step<'_>) {
        let Some(object) = self.objects.get_mut(key) else { return };
        let volatile = object.volatile();
        volatile.failures = volatile.failures.saturating_add(1);
        volatile.error = Some(error.message.as_str().into());
        let failures = volatile.failures;
        let wished = match error.reason {
            RequestErrorReason::Transient { retry_after } => retry_after.unwrap_or_default(),
            _ => Default::default(),
        };
        let again = step.now.instant + self.retry_delay(failures).max(wished);
        if let Some(object) = self.objects.get_mut(key) {
            object.volatile().not_before = Some(again);
        }
        self.at(again, Timer::Object(key.clone()));
        self.reassess(key);
    }

    /// Reads what carries our label anywhere, once, if the store does not know all of it.
    pub(super) fn sweep(&mut self, step: &mut Step<'_>) {
        if !self.inventory_complete && !self.sweeping && !self.store_failed && self.applications_listed {
            self.sweeping = true;
            step.emit(Effect::Sweep);
        }
    }

    pub(super) fn swept(&mut self, result: Result<Sweep, RequestError>, step: &mut Step<'_>) {
        self.sweeping = false;
        match result {
            Ok(Sweep { found, forbidden }) => {
                for live in found {
                    // Known objects have better news from their watch: this is metadata only.
                    if !self.objects.contains_key(&live.key) {
                        self.find(live, None, step);
                    }
                }
                // A kind that we may not list can't hold anything of ours, unless rights were taken away since: then a status
                // names it, and the search is not over.
                let named = |kind: &&GroupKind| self.apps.values().any(|app| app.status.kinds.contains(*kind));
                if let Some(kind) = forbidden.iter().find(named) {
                    let error = format!("{kind} may not be listed, and a status names objects of it");
                    return self.sweep_later(error, step);
                }
                self.inventory_complete = !self.store_failed;
                self.sweep_failures = 0;
                self.sweep_error = None;
                step.store(StoreOp::MarkComplete);
                self.dirty.extend(self.apps.keys().cloned());
            }
            Err(error) => self.sweep_later(error.message, step),
        }
    }

    fn sweep_later(&mut self, error: String, step: &Step<'_>) {
        self.sweep_error = Some(error);
        self.dirty.extend(self.apps.keys().cloned());
        self.sweep_failures = self.sweep_failures.saturating_add(1);
        let again = step.now.instant + self.retry_delay(self.sweep_failures);
        self.at(again, Timer::Sweep);
    }
}
