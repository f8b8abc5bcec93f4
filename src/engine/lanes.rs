//! Places for requests: how many writes and renderings are under way, and who waits for a place.

use std::collections::{BTreeSet, VecDeque};

use super::ids::AppKey;
use super::settings::EngineSettings;
use super::state::Flight;

/// Places for requests, and the applications that wait for one.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// Applies and deletes of syncs under way.
    pub syncing: usize,
    /// Heals and comparisons under way.
    pub healing: usize,
    /// Renderings under way.
    pub rendering: usize,
    /// Wait for a place of the syncs.
    pub to_sync: Line,
    /// Wait for a place of the heals.
    pub to_heal: Line,
    /// Wait for a rendering.
    pub to_render: Line,
}

impl Lanes {
    /// The next application for which there is a place, wherever that is. One that does not need it any more leaves it to
    /// the one behind, so this is asked until nobody is named.
    pub(super) fn next(&mut self, settings: &EngineSettings) -> Option<AppKey> {
        let mut next = None;
        if self.syncing < settings.apply_concurrency {
            next = self.to_sync.pop();
        }
        if next.is_none() && self.healing < settings.apply_concurrency {
            next = self.to_heal.pop();
        }
        if next.is_none() && self.rendering < settings.render_concurrency {
            next = self.to_render.pop();
        }
        next
    }

    /// The request ended, or nobody waits for its answer any more.
    pub(super) fn leave(&mut self, flight: Flight) {
        let lane = match flight {
            Flight::Apply { heal: true, .. } => &mut self.healing,
            Flight::Apply { heal: false, .. } | Flight::Delete => &mut self.syncing,
            Flight::Look | Flight::Inspect => return,
        };
        *lane = lane.saturating_sub(1);
    }
}

/// Applications in the order in which they came, each of them once.
#[derive(Debug, Default)]
pub(super) struct Line {
    order: VecDeque<AppKey>,
    members: BTreeSet<AppKey>,
}

impl Line {
    /// Waits at the end, or where it waits already.
    pub(super) fn push(&mut self, app: &AppKey) {
        if self.members.insert(app.clone()) {
            self.order.push_back(app.clone());
        }
    }

    /// Waits at the front: somebody waits for what the application brings.
    pub(super) fn push_first(&mut self, app: &AppKey) {
        if !self.members.insert(app.clone()) {
            self.order.retain(|other| other != app);
        }
        self.order.push_front(app.clone());
    }

    fn pop(&mut self) -> Option<AppKey> {
        let first = self.order.pop_front()?;
        self.members.remove(&first);
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_waits_once_and_is_named_only_where_there_is_room() {
        let settings = EngineSettings { apply_concurrency: 1, render_concurrency: 1, ..EngineSettings::default() };
        let [a, b] = ["a", "b"].map(|name| AppKey::new("argocd", name));
        let mut lanes = Lanes { syncing: 1, ..Lanes::default() };
        lanes.to_sync.push(&a);
        lanes.to_sync.push(&b);
        lanes.to_sync.push(&a);
        assert_eq!(lanes.next(&settings), None);
        lanes.to_heal.push(&b);
        assert_eq!(lanes.next(&settings), Some(b.clone()), "heals have places of their own");
        lanes.leave(Flight::Delete);
        let line = [lanes.next(&settings), lanes.next(&settings), lanes.next(&settings)];
        assert_eq!(line, [Some(a.clone()), Some(b.clone()), None]);
        lanes.to_render.push(&a);
        lanes.to_render.push(&b);
        lanes.to_render.push_first(&b);
        let line = [lanes.next(&settings), lanes.next(&settings), lanes.next(&settings)];
        assert_eq!(line, [Some(b), Some(a), None], "who is waited for goes first, and once");
    }
}
