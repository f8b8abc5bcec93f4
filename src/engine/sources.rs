//! From a repository's refs to what is desired: listing, resolving, rendering, installing.

use std::sync::Arc;

use super::apps::RECORDED_ERROR;
use super::descent::Descent;
use super::desired::{DesiredObject, DesiredSet};
use super::effect::{Effect, Render};
use super::event::{RenderFailure, RenderFailureReason, Rendered, SourceError};
use super::hash::Hash;
use super::ids::{AppKey, ObjectKey, RepoKey, Revision};
use super::record::{ObjectRecord, SourceRecord, StoreOp};
use super::revision::{self, Refs};
use super::state::{App, Object, Owner, RenderState, SyncPhase, Timer, watch_of};
use super::step::{Engine, Step};
use super::time::Instant;

/// A `ComparisonError` because of the repository; apart from one because of what is in it.
const SOURCE_ERROR: &str = "ComparisonError/source";

impl Engine {
    /// Has the refs of a repository listed. Returns the number of a listing that begins no earlier than now.
    pub(super) fn list_refs(&mut self, key: &RepoKey, step: &mut Step<'_>) -> u64 {
        let number = self.next_number();
        let Some(repo) = self.repos.get_mut(key) else { return number };
        if repo.listing {
            // The one under way may have begun before what the caller waits for.
            repo.again = true;
            return number;
        }
        repo.listing = true;
        repo.asked = number;
        step.emit(Effect::ListRefs { repo: key.clone(), url: repo.url.clone() });
        number
    }

    /// Lists a repository whose time has come.
    pub(super) fn poll(&mut self, key: &RepoKey, step: &mut Step<'_>) {
        if self.repos.get(key).is_some_and(|repo| repo.due <= step.now.instant) {
            self.list_refs(key, step);
        }
    }

    pub(super) fn refs(&mut self, key: &RepoKey, result: Result<Arc<Refs>, SourceError>, step: &mut Step<'_>) {
        let due = self.next_poll(key, result.is_err(), step.now.instant);
        let Some(repo) = self.repos.get_mut(key) else { return };
        repo.listing = false;
        repo.due = due;
        let apps: Vec<AppKey> = repo.apps.iter().cloned().collect();
        let asked = repo.asked;
        match &result {
            Ok(_) => {
                repo.failures = 0;
                repo.error = None;
                repo.listed = asked;
                step.store(StoreOp::PutSource(key.clone(), SourceRecord { listed_at: step.now.wall }));
            }
            Err(error) => {
                repo.failures = repo.failures.saturating_add(1);
                repo.error = Some(error.message.clone());
            }
        }
        let again = std::mem::take(&mut repo.again);
        self.at(due, Timer::Poll(key.clone()));
        for app in apps {
            self.resolve(&app, asked, &result, step);
        }
        if again {
            self.list_refs(key, step);
        }
    }

    /// When a repository is listed next: the interval with jitter, or sooner after a failure, doubling up to it.
    fn next_poll(&self, key: &RepoKey, failed: bool, now: Instant) -> Instant {
        let Some(repo) = self.repos.get(key) else { return now + self.settings.poll_interval };
        let seed = Hash::of(format!("{key} {}", repo.asked).as_bytes());
        let jitter = self.settings.poll_jitter.mul_f64(f64::from(seed.as_bytes()[0]) / 256.0);
        let interval = self.settings.poll_interval + jitter;
        if !failed {
            return now + interval;
        }
        let doubled = self.settings.retry.0.saturating_mul(1u32 << repo.failures.min(16));
        now + doubled.min(interval)
    }

    /// What a listing means for one application.
    fn resolve(&mut self, key: &AppKey, number: u64, refs: &Result<Arc<Refs>, SourceError>, step: &mut Step<'_>) {
        let floor = self.listing_floor;
        let Some(app) = self.apps.get_mut(key) else { return };
        let Ok(plan) = &app.plan else { return };
        let resolved = match refs {
            Ok(refs) => revision::resolve(refs, plan.target()).map_err(|error| error.to_string()),
            Err(error) => Err(error.message.clone()),
        };
        match resolved {
            Ok(resolved) => {
                app.target = Some((resolved.revision, number));
                app.reference = resolved.reference;
                app.fresh = number > floor;
                app.condition(SOURCE_ERROR, None, step.now.wall);
            }
            Err(message) => {
                // What is applied stays applied; nothing newer is known.
                app.fresh &= refs.is_err();
                app.tried = app.tried.max(number);
                app.condition(RECORDED_ERROR, None, step.now.wall);
                app.condition(SOURCE_ERROR, Some(message), step.now.wall);
                if app.refresh.is_some_and(|wanted| wanted <= number) {
                    app.refresh = None;
                    app.status.clear_refresh = true;
                }
            }
        }
        self.dirty.insert(key.clone());
    }

    /// Has the target rendered if what is installed is of something else.
    pub(super) fn advance_rendering(&mut self, app: &mut App, step: &mut Step<'_>) {
        let (Ok(plan), Some((target, listing))) = (&app.plan, app.target.clone()) else { return };
        let target = &target;
        let installed = app.record.revision.as_ref() == Some(target) && app.record.source == Some(plan.hash);
        if installed && !app.render_anew {
            // What is still being rendered is of a target that was left again.
            app.render = RenderState::Idle;
            app.tried = app.tried.max(listing);
            app.condition(RECORDED_ERROR, None, step.now.wall);
            app.condition("ComparisonError", None, step.now.wall);
            app.condition("InvalidSpecError", None, step.now.wall);
            return;
        }
        if let RenderState::Running { revision, source, .. } = &app.render
            && (revision, *source) == (target, plan.hash)
        {
            return;
        }
        if let Some((revision, source, again)) = &app.render_failed
            && (revision, *source) == (target, plan.hash)
            && !app.render_anew
            && again.is_none_or(|again| again > step.now.instant)
        {
            app.tried = app.tried.max(listing);
            return;
        }
        if self.lanes.rendering >= self.settings.render_concurrency {
            if app.refresh.is_some() {
                self.lanes.to_render.push_first(app.key());
            } else {
                self.lanes.to_render.push(app.key());
            }
            return;
        }
        let previous = (app.record.source == Some(plan.hash) && !app.render_anew).then(|| app.record.inputs.clone());
        let render = Render {
            app: app.key().clone(),
            request: self.sequence + 1,
            repo: plan.repo.clone(),
            source: (*plan.source).clone(),
            namespace: plan.namespace.clone(),
            project: plan.project.clone(),
            revision: target.clone(),
            reference: app.reference.clone(),
            previous: previous.flatten(),
            since: app.synced_from().filter(|since| self.settings.rewrite_guard && since != target),
        };
        self.sequence += 1;
        self.lanes.rendering += 1;
        self.counters.renders += 1;
        app.render_anew = false;
        app.render =
            RenderState::Running { request: render.request, revision: render.revision.clone(), source: plan.hash };
        step.emit(Effect::Render(Box::new(render)));
    }

    pub(super) fn rendered(
        &mut self,
        key: &AppKey,
        request: u64,
        result: Result<Rendered, RenderFailure>,
        step: &mut Step<'_>,
    ) {
        self.lanes.rendering = self.lanes.rendering.saturating_sub(1);
        let Some(mut app) = self.apps.remove(key) else { return };
        if let RenderState::Running { request: waited, revision, source } = app.render.clone()
            && waited == request
        {
            app.render = RenderState::Idle;
            app.condition(RECORDED_ERROR, None, step.now.wall);
            match result {
                // The spec changed meanwhile: this is the rendering of another source.
                _ if app.plan.as_ref().map(|plan| plan.hash) != Ok(source) => {}
                Ok(rendered) => self.install(&mut app, rendered, step),
                Err(failure) => self.render_failed(&mut app, revision, failure, step),
            }
            app.status.dirty = true;
        }
        self.apps.insert(key.clone(), app);
        self.dirty.insert(key.clone());
        let instance = super::tracking::instance_name(key, &self.settings.control_namespace);
        self.reassess_tracked(Some(&instance));
    }

    fn render_failed(&mut self, app: &mut App, revision: Revision, failure: RenderFailure, step: &mut Step<'_>) {
        self.counters.render_failed += 1;
        let kind = match failure.reason {
            RenderFailureReason::InvalidSpec => "InvalidSpecError",
            _ => "ComparisonError",
        };
        app.wants_kinds = failure.reason == RenderFailureReason::UnknownKind;
        app.failures = app.failures.saturating_add(1);
        let again = matches!(failure.reason, RenderFailureReason::Source | RenderFailureReason::UnknownKind)
            .then(|| step.now.instant + self.retry_delay(app.failures));
        if let Some(again) = again {
            self.at(again, Timer::App(app.key().clone()));
        }
        let source = app.plan.as_ref().map_or_else(|_| Hash::of(b""), |plan| plan.hash);
        let told = app.conditions.get(kind).is_some_and(|known| known.message == failure.message);
        if !told && self.epoch.is_some() {
            step.emit(app.notice(true, "RenderFailed", format!("{}: {}", revision.short(), failure.message)));
        }
        app.render_failed = Some((revision, source, again));
        app.condition(kind, Some(failure.message), step.now.wall);
    }

    /// What is desired from now on.
    fn install(&mut self, app: &mut App, rendered: Rendered, step: &mut Step<'_>) {
        let Ok(plan) = &app.plan else { return };
        let (source, now) = (plan.hash, step.now.wall);
        app.failures = 0;
        app.render_failed = None;
        app.wants_kinds = false;
        app.condition("ComparisonError", None, now);
        app.condition("InvalidSpecError", None, now);
        if let Some(sync) = &app.sync
            && sync.revision != rendered.revision
            && !matches!(sync.phase, SyncPhase::Recording)
        {
            let message = format!("{} was superseded by {}", sync.revision.short(), rendered.revision.short());
            step.emit(app.notice(false, "Superseded", message));
        }
        if app.sync.as_ref().is_some_and(|sync| sync.revision != rendered.revision) {
            app.sync = None;
        }
        if let Some((since, ancestry)) = rendered.since {
            app.descent = Descent::told(since, rendered.revision.clone(), ancestry);
        }
        app.record.revision = Some(rendered.revision);
        app.record.source = Some(source);
        app.record.inputs = Some(rendered.inputs);
        match rendered.desired {
            None => self.counters.render_hits += 1,
            Some(set) => self.install_set(app, &set, step),
        }
        self.remember(app, step);
        if let Some((_, listing)) = &app.target {
            app.tried = app.tried.max(*listing);
        }
    }

    fn install_set(&mut self, app: &mut App, set: &DesiredSet, step: &mut Step<'_>) {
        let mut left = std::mem::take(&mut app.inventory);
        app.claims.clear();
        for desired in &set.objects {
            let key = self.interned(&desired.key);
            left.remove(&key);
            self.install_object(app, key, desired, step);
        }
        for key in left {
            app.inventory.insert(key.clone());
            let Some(object) = self.objects.get_mut(&key) else { continue };
            let left_now = object.record.desired.take().is_some();
            if object.record.live.is_some() && object.owner() != Owner::Ours {
                // Inherited, and never made this one's: it goes back to whom it names.
                object.volatile().lost = true;
            }
            let record = Box::new(object.record.clone());
            if self.claimed(&key) {
                self.forget(app, &key, step);
            } else if left_now {
                step.store_first(StoreOp::PutObject(key.clone(), record));
                self.reassess_in(app, &key);
            }
        }
        for kind in ["RepeatedResourceWarning", "SharedResourceWarning"] {
            let told: Vec<&str> =
                set.warnings.iter().filter(|(of, _)| of == kind).map(|(_, message)| message.as_str()).collect();
            app.condition(kind, (!told.is_empty()).then(|| super::redact::truncate(told.join("; "))), step.now.wall);
        }
    }

    fn install_object(&mut self, app: &mut App, key: ObjectKey, desired: &DesiredObject, step: &mut Step<'_>) {
        let watch = watch_of(&key, &desired.version);
        let Some(object) = self.objects.get_mut(&key) else {
            let record = ObjectRecord::desired(app.key().clone(), desired);
            step.store_first(StoreOp::PutObject(key.clone(), Box::new(record.clone())));
            let object = Object { stored: true, ..Object::new(record) };
            app.tally.count(object.verdict, object.counted, 1);
            self.objects.insert(key.clone(), object);
            app.inventory.insert(key.clone());
            self.need_watch(watch, None, step);
            self.reassess_in(app, &key);
            return;
        };
        let owner = object.record.app.clone();
        if owner != *app.key() {
            // The other one desires it, or its prune has not been decided: this one inherits it when the other lets go.
            let undecided = self.apps.get(&owner).is_none_or(|other| other.record.revision.is_none());
            if object.record.desired.is_some() || undecided {
                app.claims.insert(key, desired.clone());
                return;
            }
            self.take_from(&owner, &key);
            app.inventory.insert(key.clone());
            if let Some(object) = self.objects.get_mut(&key) {
                object.move_to(app.key());
                app.tally.count(object.verdict, object.counted, 1);
            }
        } else {
            app.inventory.insert(key.clone());
        }
        let Some(object) = self.objects.get_mut(&key) else { return };
        let old = watch_of(&key, &object.record.version);
        if object.record.adopt(desired) || owner != *app.key() {
            if let Some(volatile) = &mut object.volatile {
                volatile.error = None;
                volatile.failures = 0;
                volatile.not_before = None;
                // It was found of another manifest.
                volatile.found_drifted = None;
            }
            step.store_first(StoreOp::PutObject(key.clone(), Box::new(object.record.clone())));
            if old != watch {
                // The other version's watch may have shown it long ago, when nobody asked.
                object.volatile().lost = true;
                self.need_watch(watch, None, step);
                self.release_watch(&old, step);
            }
        }
        self.reassess_in(app, &key);
    }

    /// Another application's inventory gives up an object that it does not desire any more.
    fn take_from(&mut self, owner: &AppKey, key: &ObjectKey) {
        let Some(object) = self.objects.get(key) else { return };
        if let Some(other) = self.apps.get_mut(owner) {
            other.inventory.remove(key);
            other.attention.remove(key);
            other.tally.count(object.verdict, object.counted, -1);
            other.status.dirty = true;
            other.drop_from_sync(key);
            self.dirty.insert(owner.clone());
        }
    }

    /// How long to wait after `failures` failed requests in a row.
    pub(super) fn retry_delay(&self, failures: u32) -> std::time::Duration {
        let (first, longest) = self.settings.retry;
        first.saturating_mul(1u32 << failures.saturating_sub(1).min(16)).min(longest)
    }
}
