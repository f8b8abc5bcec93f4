//! Objects that more than one application desires or desired: one has the object, the others have a claim to it. An object
//! that another application desires is handed over, never deleted (DESIGN section 7).

use super::hash::Hash;
use super::ids::{AppKey, ObjectKey};
use super::live::LiveObject;
use super::record::StoreOp;
use super::state::{Owner, owner_of, watch_of};
use super::step::{Engine, Step};
use super::tracking::instance_name;

impl Engine {
    /// Whose a live object is, seen from the application that has it in its inventory; and which instance its tracking id
    /// names, where that is another one of this installation.
    pub(super) fn judge(&self, live: &LiveObject, app: &AppKey, desired: Option<Hash>) -> (Owner, Option<Box<str>>) {
        let instance = instance_name(app, &self.settings.control_namespace);
        let owner = match owner_of(live, &self.settings.instance, &instance) {
            // The stamp is of this very manifest, so nobody applied another one since: the tracking id was edited by hand,
            // unless it names an application that there is.
            Owner::OtherApplication
                if live.stamp.is_some()
                    && live.stamp == desired
                    && live.tracking.as_ref().is_none_or(|tracking| {
                        self.instances.get(&tracking.instance).is_none_or(|named| named == app)
                    }) =>
            {
                Owner::Untracked
            }
            owner => owner,
        };
        let labelled = live.instance.as_deref() == Some(&*self.settings.instance);
        let tracked = live.tracking.as_ref().filter(|_| labelled && owner == Owner::OtherApplication);
        (owner, tracked.map(|tracking| Box::from(&*tracking.instance)))
    }

    /// Whether another application desires the object.
    pub(super) fn claimed(&self, key: &ObjectKey) -> bool {
        self.apps.values().any(|app| app.claims.contains_key(key))
    }

    /// Another application that claims the object becomes its owner; without one the object leaves the inventory. The
    /// object's old owner has no part in it any more.
    pub(super) fn hand_over_or_forget(&mut self, key: &ObjectKey, step: &mut Step<'_>) {
        let heir = self.apps.iter().find(|(_, app)| app.claims.contains_key(key)).map(|(heir, _)| heir.clone());
        self.hand_over(key, heir, step);
    }

    /// The heir, which has a claim, becomes the owner of the object; without one it leaves the inventory.
    pub(super) fn hand_over(&mut self, key: &ObjectKey, heir: Option<AppKey>, step: &mut Step<'_>) {
        let Some(object) = self.objects.get(key) else { return };
        let old = watch_of(key, &object.record.version);
        let Some(mut app) = heir.and_then(|heir| self.apps.remove(&heir)) else {
            // The answer to a request under way finds nobody: its place is given back now.
            if let Some(flight) = self.objects.remove(key).and_then(|object| object.flight) {
                self.lanes.leave(flight);
            }
            step.store(StoreOp::DeleteObject(key.clone()));
            self.release_watch(&old, step);
            return;
        };
        if let Some(claim) = app.claims.remove(key)
            && let Some(object) = self.objects.get_mut(key)
        {
            object.move_to(app.key());
            object.record.adopt(&claim);
            app.inventory.insert(key.clone());
            object.counted = object.health();
            app.tally.count(object.verdict, object.counted, 1);
            step.store_first(StoreOp::PutObject(key.clone(), Box::new(object.record.clone())));
            let new = watch_of(key, &object.record.version);
            if new != old {
                if let Some(object) = self.objects.get_mut(key) {
                    object.volatile().lost = true;
                }
                self.need_watch(new, None, step);
                self.release_watch(&old, step);
            }
            self.reassess_in(&mut app, key);
            self.remember(&mut app, step);
        }
        self.apps.insert(app.key().clone(), app);
    }

    /// Two applications desire the object, and it is the other one's by its tracking id: that one keeps it, and this one
    /// has the claim. Which of them was rendered first does not matter.
    pub(super) fn yield_to_tracked(&mut self, live: &LiveObject, app: &AppKey, step: &mut Step<'_>) {
        let heir = live.tracking.as_ref().and_then(|tracking| self.instances.get(&tracking.instance)).cloned();
        let Some(heir) = heir.filter(|heir| heir != app && self.apps.contains_key(heir)) else { return };
        let left_git = self.objects.get(&live.key).is_some_and(|object| object.record.desired.is_none());
        let claimed = self.apps.get(&heir).is_some_and(|heir| heir.claims.contains_key(&live.key));
        if !left_git && !claimed {
            return;
        }
        let Some(mut owner) = self.apps.remove(app) else { return };
        if left_git {
            // Inherited, and dropped before it was made this one's: whoever it names decides about it.
            self.forget(&mut owner, &live.key, step);
            self.apps.insert(app.clone(), owner);
            return;
        }
        if let Some(object) = self.objects.get(&live.key)
            && let Some(claim) = object.claim(&live.key)
        {
            owner.tally.count(object.verdict, object.counted, -1);
            owner.inventory.remove(&live.key);
            owner.attention.remove(&live.key);
            owner.drop_from_sync(&live.key);
            owner.status.dirty = true;
            // The heir first: the owner's new claim is not to be served now.
            self.hand_over(&live.key, Some(heir.clone()), step);
            owner.claims.insert(live.key.clone(), claim);
            self.remember(&mut owner, step);
            self.dirty.insert(heir);
        }
        self.dirty.insert(app.clone());
        self.apps.insert(app.clone(), owner);
    }
}
