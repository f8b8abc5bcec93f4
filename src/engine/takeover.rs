//! Taking over: what of an application's state counts when leadership changes hands.
//!
//! A new leader never rolls back (DESIGN section 7). It may have rendered an older commit than the leader before it, and
//! its watches may be behind. So it syncs only what a repository names in its own epoch, heals only that or what the
//! status records, and takes the status at its word only once a write of its own has shown that it saw the newest one.

use std::collections::BTreeSet;

use super::application::REFRESH;
use super::descent::REWRITTEN;
use super::event::Leadership;
use super::ids::{AppKey, RepoKey};
use super::prune::PRUNE_HELD;
use super::record::StoreOp;
use super::state::{App, StatusState};
use super::step::{Engine, Step};

impl App {
    /// Leadership was won or lost: nothing that was begun before counts any more, the status does.
    fn change_hands(&mut self) {
        self.fresh = self.is_pinned();
        self.caught_up = false;
        self.heals = false;
        self.sync = None;
        self.refresh = None;
        self.prune_since = None;
        self.waiting = None;
        self.health_since = None;
        // An answer to a write that is under way is not waited for: the watch shows what came of it.
        let StatusState { seen, kinds, .. } = std::mem::take(&mut self.status);
        self.status = StatusState { dirty: true, seen, kinds, ..StatusState::default() };
        self.adopt_status();
        self.attention = self.inventory.clone();
    }

    /// A newer state of the Application was observed. A leader goes by its own memory, but not before one of its writes
    /// has shown that it began with the newest state.
    pub(super) fn follow(&mut self, leads: bool) {
        if !leads || (!self.status.proven && self.status.in_flight.is_none()) {
            self.adopt_status();
        }
        // Somebody has served them: another one may be asked for.
        self.status.clear_operation &= self.observed.operation.is_some();
        self.status.clear_refresh &= self.observed.annotations.contains_key(REFRESH);
    }

    /// Takes over what only the status can know. A sync that another leader has carried on meanwhile begins anew.
    pub(super) fn adopt_status(&mut self) {
        let status = &self.observed.status;
        if self.operation != status.operation_state {
            self.operation.clone_from(&status.operation_state);
            self.sync = None;
        }
        self.history.clone_from(&status.history);
        // After a sync that went well only a prune that waits for a person is left to complain of.
        let held = self.operation.as_ref().is_some_and(|operation| operation.phase == "Succeeded");
        self.conditions.retain(|kind, _| ![PRUNE_HELD, "SyncError", REWRITTEN].contains(kind));
        for told in status.conditions.iter().filter(|condition| condition.kind == "SyncError") {
            self.conditions.insert(if held { PRUNE_HELD } else { "SyncError" }, told.clone());
        }
        for told in status.conditions.iter().filter(|condition| condition.kind == REWRITTEN) {
            self.conditions.insert(REWRITTEN, told.clone());
        }
        for condition in self.conditions.values_mut() {
            let told = |told: &&_| same(told, condition);
            if let Some(told) = status.conditions.iter().find(told) {
                condition.last_transition_time.clone_from(&told.last_transition_time);
            }
        }
    }

    /// Whether the status names what is installed: a leader has written that it goes there before it did.
    fn is_recorded(&self) -> bool {
        let Some(installed) = &self.record.revision else { return false };
        self.observed.status.sync.revision.as_deref() == Some(installed.as_str())
            || self.synced_revision() == Some(installed.as_str())
    }

    /// Whether what is installed is what the repository named since this replica leads.
    fn is_confirmed(&self) -> bool {
        self.fresh
            && self.record.revision.is_some()
            && self.target.as_ref().map(|(id, _)| id) == self.record.revision.as_ref()
    }
}

fn same(one: &super::status::Condition, other: &super::status::Condition) -> bool {
    one.kind == other.kind && one.message == other.message
}

impl Engine {
    pub(super) fn leadership(&mut self, leadership: Leadership, step: &mut Step<'_>) {
        self.lease_known = true;
        self.epoch = match &leadership {
            Leadership::Leader { epoch, .. } => Some(*epoch),
            Leadership::Standby => None,
        };
        for app in self.apps.values_mut() {
            app.change_hands();
        }
        self.dirty.extend(self.apps.keys().cloned());
        let Leadership::Leader { epoch, lease_uid } = leadership else { return };
        step.store_first(StoreOp::PutEpoch(lease_uid, epoch.0));
        // What a listing said before does not count: only what a ref names now may be written.
        self.listing_floor = self.repos.values().map(|repo| repo.asked).max().unwrap_or_default();
        let repos: Vec<RepoKey> = self.repos.keys().cloned().collect();
        for repo in repos {
            let number = self.list_refs(&repo, step);
            self.refresh_readers(&repo, number);
        }
        for app in self.apps.values() {
            app.tell_left_alone(step);
        }
        self.search_unknown_kinds(step);
    }

    /// A status names a kind that this replica has never had to do with: the leader before applied objects of it that this
    /// one has not rendered. They are found by a search.
    pub(super) fn search_unknown_kinds(&mut self, step: &mut Step<'_>) {
        let watched: BTreeSet<_> = self.watches.keys().map(|watch| watch.group_kind()).collect();
        if self.apps.values().any(|app| app.status.kinds.iter().any(|kind| !watched.contains(kind))) {
            self.inventory_complete = false;
            self.sweep(step);
        }
    }

    /// A refresh that the leader before did not get to is served by this listing.
    fn refresh_readers(&mut self, repo: &RepoKey, listing: u64) {
        let readers: Vec<AppKey> =
            self.repos.get(repo).map(|repo| repo.apps.iter().cloned().collect()).unwrap_or_default();
        for key in readers {
            if let Some(app) = self.apps.get_mut(&key)
                && let Some(kind) = app.observed.annotations.get(REFRESH)
            {
                app.render_anew |= kind == "hard";
                app.refresh = Some(listing);
            }
        }
    }

    /// Whether this replica may put objects of the application back to what is installed: it leads, and either the
    /// repository named that revision during its own epoch, or a leader recorded it in what is the newest status.
    fn may_heal(&self, app: &App) -> bool {
        self.epoch.is_some()
            && app.left_alone().is_none()
            && !app.observed.deleting
            && (app.is_confirmed() || (app.is_recorded() && app.status.proven))
    }

    /// Notes whether drift is put back from now on. When that begins, every object is looked after.
    pub(super) fn advance_healing(&mut self, app: &mut App) {
        app.caught_up |= self.epoch.is_some() && app.is_confirmed();
        let heals = app.plan.as_ref().is_ok_and(|plan| plan.self_heal()) && self.may_heal(app);
        if !std::mem::replace(&mut app.heals, heals) && heals {
            app.attention.extend(app.inventory.iter().cloned());
        }
    }

    /// Drift waits to be put back. If all that is missing is the proof that the status is the newest, that is fetched.
    pub(super) fn want_heal(&self, app: &mut App) {
        let wanted = app.plan.as_ref().is_ok_and(|plan| plan.self_heal());
        if wanted && !app.heals && !app.status.proven && self.epoch.is_some() && app.is_recorded() {
            app.status.prove = true;
            app.status.urgent = true;
            app.status.dirty = true;
        }
    }

    /// Whether this leader has another revision than the one that the status speaks of, and the repository has not named
    /// it yet. Then it has nothing to say about objects.
    pub(super) fn is_behind(&self, app: &App) -> bool {
        let told = app.observed.status.sync.revision.as_deref();
        let installed = app.record.revision.as_ref().map(|revision| revision.as_str());
        self.epoch.is_some() && !app.caught_up && installed.is_some() && told != installed
    }
}
