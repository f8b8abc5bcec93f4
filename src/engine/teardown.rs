//! What a deleted Application takes with it: with Argo CD's finalizer its objects, without it nothing.

use super::application::{RESOURCES_FINALIZER, RESOURCES_FINALIZER_BACKGROUND};
use super::ids::ObjectKey;
use super::live::Protection;
use super::state::{App, Object, Owner, Watch, WatchState, watch_of};
use super::step::{Engine, Step};
use super::wave::Wave;

impl Engine {
    /// A deleted Application with Argo CD's finalizer deletes its objects first, and keeps the finalizer until they are
    /// gone. Without the finalizer they stay.
    pub(super) fn advance_teardown(&mut self, app: &mut App, step: &mut Step<'_>) {
        app.sync = None;
        let finalizers = &app.observed.finalizers;
        let ours = |name: &String| name == RESOURCES_FINALIZER || name == RESOURCES_FINALIZER_BACKGROUND;
        if self.epoch.is_none() || app.left_alone().is_some() || !finalizers.iter().any(ours) {
            return;
        }
        if !self.applications_listed {
            app.waiting = Some("the deletion waits until the Applications have been listed".into());
            return;
        }
        if !self.inventory_complete {
            app.waiting = Some(self.searching("the deletion"));
            return;
        }
        let (mut remaining, mut last) = (0usize, None);
        for (wave, key) in self.last_wave_first(app) {
            // Argo CD's order: the last wave goes first, and the one before it when all of that is gone.
            if last.is_some_and(|last| wave != last) && remaining > 0 {
                break;
            }
            last = Some(wave);
            let Some(object) = self.objects.get(&key) else { continue };
            let watch = self.watches.get(&watch_of(&key, &object.record.version));
            let kept = app.plan.as_ref().is_ok_and(|plan| plan.options.no_delete);
            let fate = teardown_fate(&key, object, watch, kept || self.claimed(&key));
            match fate {
                Fate::Leave => self.forget(app, &key, step),
                Fate::Look => {
                    remaining += 1;
                    self.look(&key, step);
                }
                Fate::Wait => {
                    remaining += 1;
                    self.look_in_turn(&key, step);
                }
                Fate::Delete => {
                    remaining += 1;
                    self.delete(app, &key, step);
                }
            }
        }
        app.waiting =
            (remaining > 0).then(|| format!("the deletion waits for {} objects to be gone", app.inventory.len()));
        if remaining == 0 {
            app.status.release = true;
            app.status.urgent = true;
            app.status.dirty = true;
        }
    }

    fn last_wave_first(&self, app: &App) -> Vec<(Wave, ObjectKey)> {
        let wave = |key: &ObjectKey| self.objects.get(key).map(|object| object.record.wave).unwrap_or_default();
        let mut keys: Vec<(Wave, ObjectKey)> = app.inventory.iter().map(|key| (wave(key), key.clone())).collect();
        keys.sort_by(|(one, _), (other, _)| other.cmp(one));
        keys
    }
}

/// What becomes of an object of an Application that is being deleted.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It is gone, protected, not proven ours, or another application desires it.
    Leave,
    /// Find out whether it is there.
    Look,
    /// It is on its way out, or a request is under way.
    Wait,
    /// Delete it.
    Delete,
}

fn teardown_fate(key: &ObjectKey, object: &Object, watch: Option<&Watch>, claimed: bool) -> Fate {
    if object.flight.is_some() {
        return Fate::Wait;
    }
    if object.volatile.as_ref().is_some_and(|volatile| volatile.lost) {
        return Fate::Look;
    }
    let definition = &*key.group == "apiextensions.k8s.io" && &*key.kind == "CustomResourceDefinition";
    let told =
        watch.is_some_and(|watch| !watch.listing && matches!(watch.state, WatchState::Synced | WatchState::Unserved));
    match &object.record.live {
        None if told => Fate::Leave,
        None => Fate::Wait,
        Some(live) => {
            let kept = definition || claimed || Protection::from_bits(live.protection).no_delete;
            if kept || !live.ours || object.owner() != Owner::Ours {
                Fate::Leave
            } else if object.deleting() {
                Fate::Wait
            } else {
                Fate::Delete
            }
        }
    }
}
