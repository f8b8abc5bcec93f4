//! Whether an automated sync is due for a revision that was synced before: something has come up since that it had no
//! part in.

use std::collections::BTreeMap;

use super::ids::ObjectKey;
use super::prune::spared;
use super::state::{App, Object, Verdict, watch_of};
use super::status::OperationState;
use super::step::Engine;

/// Group, kind, namespace and name of an object, and what the operation did to it.
type Results<'a> = BTreeMap<(&'a str, &'a str, &'a str, &'a str), &'a str>;

fn results(operation: &OperationState) -> Results<'_> {
    let all = operation.sync_result.iter().flat_map(|result| &result.resources);
    all.map(|one| ((&*one.group, &*one.kind, &*one.namespace, &*one.name), &*one.status)).collect()
}

impl Engine {
    /// Whether the last operation for what is installed stands in the way of another one. One that failed does: it has had
    /// its retries, and a newer commit goes on. One that ended well does not where there is now something to do that it
    /// left alone: an object that another application gave up, or a prune that was held, not wanted or not allowed then.
    pub(super) fn was_attempted(&self, app: &App) -> bool {
        let Some(last) = app.attempted() else { return false };
        let open =
            [Verdict::OutOfSync, Verdict::Missing, Verdict::Extra].iter().any(|verdict| app.tally.of(*verdict) > 0);
        if last.phase != "Succeeded" || !open {
            return true;
        }
        let results = results(last);
        let result = |key: &ObjectKey| results.get(&(&*key.group, &*key.kind, &*key.namespace, &*key.name)).copied();
        let objects = || app.inventory.iter().filter_map(|key| Some((key, self.objects.get(key)?)));
        let new = |object: &Object| {
            let waits = matches!(object.verdict, Verdict::OutOfSync | Verdict::Missing) && !object.was_applied();
            // What is on its way out can't be applied before it is gone.
            waits && !object.deleting()
        };
        let inherited = objects().any(|(key, object)| new(object) && result(key).is_none());
        !inherited && !self.prune_is_due(app, result)
    }

    /// Whether something may be pruned now that the last operation, with these results, left alone.
    fn prune_is_due<'r>(&self, app: &App, result: impl Fn(&ObjectKey) -> Option<&'r str>) -> bool {
        let Some(plan) = app.plan.as_ref().ok().filter(|plan| plan.prune()) else { return false };
        let count = app.tally.of(Verdict::Extra) as usize;
        let held = self.rewrite_holds(app).is_some() || self.prune_held(app, count).is_some();
        if count == 0 || !self.inventory_complete || held {
            return false;
        }
        let uids = self.desired_uids(app);
        let may_be_pruned = |key: &ObjectKey, object: &Object| {
            let watch = self.watches.get(&watch_of(key, &object.record.version));
            spared(key, object, watch, &uids, plan.options.no_prune).is_none()
        };
        let extras = app.inventory.iter().filter_map(|key| Some((key, self.objects.get(key)?)));
        extras.filter(|(_, object)| object.verdict == Verdict::Extra).any(|(key, object)| match result(key) {
            None | Some("PruneSkipped") => may_be_pruned(key, object),
            Some(_) => false,
        })
    }
}
