//! The decision at the centre: how an object stands towards Git, from hashes alone.

use super::state::{Object, Owner, Verdict, Watch, WatchState};

/// How `object` stands towards Git. `watch` is the watch that serves it.
///
/// No request and no body is needed (DESIGN section 4): `desired` is the hash of the manifest, `expected` the footprint of
/// the API server's answer when that manifest was applied, `live` the footprint now. What can't be concluded from them
/// is [`Verdict::Unknown`], and the caller finds out.
pub(super) fn assess(object: &Object, watch: Option<&Watch>) -> Verdict {
    let record = &object.record;
    let Some(desired) = record.desired else { return Verdict::Extra };
    let volatile = object.volatile.as_deref();
    if volatile.is_some_and(|volatile| volatile.lost) {
        return Verdict::Unknown;
    }
    let Some(live) = &record.live else {
        return if watch.is_some_and(tells_absence) { Verdict::Missing } else { Verdict::Unknown };
    };
    if volatile.and_then(|volatile| volatile.equal) == Some((desired, live.resource_version)) {
        return Verdict::Synced;
    }
    match object.owner() {
        Owner::Ours => {}
        // Our marks are gone from what we applied: that is drift as well.
        Owner::Untracked if record.expected.is_some_and(|expected| expected.desired == desired) => {
            return Verdict::Drifted;
        }
        Owner::Untracked => return Verdict::OutOfSync,
        Owner::OtherApplication | Owner::OtherInstallation => return Verdict::Foreign,
    }
    if volatile.and_then(|volatile| volatile.found_drifted) == Some(live.resource_version) {
        return Verdict::Drifted;
    }
    match record.expected {
        Some(expected) if expected.desired == desired && live.footprint == Some(expected.footprint) => Verdict::Synced,
        Some(expected) if expected.desired == desired => Verdict::Drifted,
        _ if live.stamp == Some(desired) => Verdict::Unknown,
        _ => Verdict::OutOfSync,
    }
}

/// Whether an object that the watch has not shown is known not to be there.
pub(super) fn tells_absence(watch: &Watch) -> bool {
    !watch.listing && matches!(watch.state, WatchState::Synced | WatchState::Unserved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::hash::Hash;
    use crate::engine::ids::AppKey;
    use crate::engine::object::Volatile;
    use crate::engine::record::{Expected, LiveRecord, ObjectRecord};

    fn hash(of: &str) -> Hash {
        Hash::of(of.as_bytes())
    }

    fn object(desired: Option<&str>, expected: Option<(&str, &str)>, live: Option<(&str, &str)>) -> Object {
        Object::new(ObjectRecord {
            app: AppKey::new("argocd", "shop"),
            version: "v1".into(),
            desired: desired.map(hash),
            stage: Default::default(),
            wave: Default::default(),
            no_prune: false,
            expected: expected
                .map(|(desired, footprint)| Expected { desired: hash(desired), footprint: hash(footprint) }),
            live: live.map(|(stamp, footprint)| LiveRecord {
                uid: "u".into(),
                resource_version: 7,
                footprint: Some(hash(footprint)),
                stamp: Some(hash(stamp)),
                health: None,
                ours: true,
                protection: 0,
            }),
        })
    }

    fn watch(state: WatchState, listing: bool) -> Watch {
        Watch { users: 1, state, listing, list: 1 }
    }

    #[test]
    fn three_hashes_decide() {
        let synced = watch(WatchState::Synced, false);
        // (desired, expected (desired, footprint), live (stamp, footprint)) -> verdict
        let cases = [
            (Some("a"), Some(("a", "f")), Some(("a", "f")), Verdict::Synced),
            (Some("a"), Some(("a", "f")), Some(("a", "g")), Verdict::Drifted),
            // An edited stamp alone is drift: the footprint covers it.
            (Some("a"), Some(("a", "f")), Some(("x", "g")), Verdict::Drifted),
            // Git wants something new.
            (Some("b"), Some(("a", "f")), Some(("a", "f")), Verdict::OutOfSync),
            // Lost store, or applied by another replica: the stamp says it was this manifest; whether it still is has to be
            // looked into.
            (Some("a"), None, Some(("a", "f")), Verdict::Unknown),
            (Some("b"), Some(("a", "f")), Some(("b", "g")), Verdict::Unknown),
            // Never applied by us.
            (Some("a"), None, Some(("z", "f")), Verdict::OutOfSync),
            (Some("a"), None, None, Verdict::Missing),
            (Some("a"), Some(("a", "f")), None, Verdict::Missing),
            (None, Some(("a", "f")), Some(("a", "f")), Verdict::Extra),
        ];
        for (desired, expected, live, verdict) in cases {
            assert_eq!(
                assess(&object(desired, expected, live), Some(&synced)),
                verdict,
                "{desired:?} {expected:?} {live:?}"
            );
        }
    }

    #[test]
    fn absence_is_concluded_only_from_a_complete_list() {
        let object = object(Some("a"), None, None);
        let cases = [
            (Some(watch(WatchState::Pending, false)), Verdict::Unknown),
            (Some(watch(WatchState::Synced, true)), Verdict::Unknown),
            (Some(watch(WatchState::Failed("forbidden".into()), false)), Verdict::Unknown),
            (Some(watch(WatchState::Retrying("busy".into()), false)), Verdict::Unknown),
            (Some(watch(WatchState::Unserved, false)), Verdict::Missing),
            (Some(watch(WatchState::Synced, false)), Verdict::Missing),
            (None, Verdict::Unknown),
        ];
        for (watch, verdict) in cases {
            assert_eq!(assess(&object, watch.as_ref()), verdict, "{watch:?}");
        }
    }

    #[test]
    fn what_left_the_watch_is_looked_at_before_anything_is_concluded() {
        let mut object = object(Some("a"), Some(("a", "f")), Some(("a", "f")));
        object.volatile = Some(Box::new(Volatile { lost: true, ..Volatile::default() }));
        assert_eq!(assess(&object, Some(&watch(WatchState::Synced, false))), Verdict::Unknown);
    }

    #[test]
    fn what_belongs_to_others_is_foreign_and_what_is_nobodys_is_to_be_applied() {
        let applied = Some(("a", "f"));
        for (owner, expected, verdict) in [
            (Owner::OtherApplication, applied, Verdict::Foreign),
            (Owner::OtherInstallation, applied, Verdict::Foreign),
            (Owner::Untracked, None, Verdict::OutOfSync),
            (Owner::Untracked, Some(("b", "f")), Verdict::OutOfSync),
            // It was ours: somebody took our marks off.
            (Owner::Untracked, applied, Verdict::Drifted),
        ] {
            let mut object = object(Some("a"), expected, Some(("a", "f")));
            object.volatile().owner = owner;
            assert_eq!(assess(&object, Some(&watch(WatchState::Synced, false))), verdict);
        }
    }
}
