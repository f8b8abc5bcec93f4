//! When an object's turn comes in a sync: its phase, its wave and its kind.
//!
//! The rules are Argo CD's ("Sync Phases and Waves" of its user guide): phases one after the other, in a phase the waves
//! by number, and what others need (a namespace, a definition) not later than what needs it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::desired::{DesiredObject, Stage};
use super::ids::GroupKind;

/// Annotation with the number of an object's wave.
pub const SYNC_WAVE: &str = "argocd.argoproj.io/sync-wave";
/// Helm's annotation for the same, of hooks; counts where [`SYNC_WAVE`] is absent.
pub const HELM_WEIGHT: &str = "helm.sh/hook-weight";

/// Part of a sync. Ordinary objects belong to [`Phase::Sync`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Before anything else.
    PreSync,
    /// The objects themselves.
    #[default]
    Sync,
    /// When all of the objects are there and healthy.
    PostSync,
    /// Only when the sync has failed.
    SyncFail,
}

impl Phase {
    /// Argo CD's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreSync => "PreSync",
            Self::Sync => "Sync",
            Self::PostSync => "PostSync",
            Self::SyncFail => "SyncFail",
        }
    }
}

/// What a sync takes as one: the next wave begins when all of this one is applied and healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Wave {
    /// Phase.
    #[serde(rename = "p", default)]
    pub phase: Phase,
    /// Number in the phase; the lowest goes first.
    #[serde(rename = "n", default)]
    pub number: i32,
}

impl Wave {
    /// No wave comes after it.
    pub const LAST: Self = Self { phase: Phase::SyncFail, number: i32::MAX };

    /// Whether it says nothing: the wave of objects without annotations.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The place of an object in a sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Turn {
    /// Wave.
    pub wave: Wave,
    /// Kinds within the wave.
    pub stage: Stage,
}

/// The number of the wave that annotations ask for. The error is a sentence.
pub fn wave_number<'a>(annotation: impl Fn(&str) -> Option<&'a str>) -> Result<i32, String> {
    for name in [SYNC_WAVE, HELM_WEIGHT] {
        if let Some(text) = annotation(name) {
            return text.trim().parse().map_err(|_| {
                format!("annotation `{name}` is `{text}`; write a whole number from {} to {}", i32::MIN, i32::MAX)
            });
        }
    }
    Ok(0)
}

/// Moves namespaces and definitions to the wave of the first object that needs them, if theirs comes later: Argo CD's
/// rule. `defines` has the kind that each definition, by its name, defines.
pub(super) fn pull_ahead(objects: &mut [DesiredObject], defines: &BTreeMap<&str, &GroupKind>) {
    let mut namespaces: BTreeMap<Arc<str>, Wave> = BTreeMap::new();
    let mut kinds: BTreeMap<GroupKind, Wave> = BTreeMap::new();
    for object in &*objects {
        let key = &object.key;
        let kind = GroupKind { group: key.group.clone(), kind: key.kind.clone() };
        for first in
            [namespaces.entry(key.namespace.clone()).or_insert(object.wave), kinds.entry(kind).or_insert(object.wave)]
        {
            *first = (*first).min(object.wave);
        }
    }
    for object in objects {
        let needed = match object.stage {
            Stage::Namespace => namespaces.get(&object.key.name),
            Stage::Definition => defines.get(&*object.key.name).and_then(|kind| kinds.get(*kind)),
            _ => None,
        };
        if let Some(needed) = needed {
            object.wave = object.wave.min(*needed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::hash::Hash;
    use crate::engine::ids::ObjectKey;

    #[test]
    fn numbers_of_waves() {
        // (sync-wave, hook-weight) -> number; `None`: it is refused.
        for (wave, weight, expected) in [
            (None, None, Some(0)),
            (Some("0"), None, Some(0)),
            (Some("-5"), None, Some(-5)),
            (Some("+7"), None, Some(7)),
            (Some(" 3 "), None, Some(3)),
            (None, Some("2"), Some(2)),
            (Some("1"), Some("2"), Some(1)),
            (Some("2147483647"), None, Some(i32::MAX)),
            (Some("2147483648"), None, None),
            (Some("first"), None, None),
            (Some("1.5"), None, None),
            (Some(""), None, None),
            (None, Some("x"), None),
        ] {
            let read = wave_number(|name| if name == SYNC_WAVE { wave } else { weight });
            assert_eq!(read.clone().ok(), expected, "{wave:?} {weight:?}: {read:?}");
            if let Err(problem) = read {
                assert!(problem.contains("whole number"), "{problem}");
            }
        }
    }

    #[test]
    fn what_is_needed_comes_with_who_needs_it() {
        let wave = |phase, number| Wave { phase, number };
        let object = |group: &str, kind: &str, namespace: &str, name: &str, wave| DesiredObject {
            key: ObjectKey::new(group, kind, namespace, name),
            version: "v1".into(),
            hash: Hash::of(b"x"),
            stage: crate::engine::manifest::stage(group, kind),
            wave,
            no_prune: false,
        };
        let late = wave(Phase::Sync, 5);
        // (wave of what needs it, wave of the namespace and definition before, after)
        for (user, before, after) in [
            (wave(Phase::Sync, 1), late, wave(Phase::Sync, 1)),
            (wave(Phase::PreSync, 9), late, wave(Phase::PreSync, 9)),
            (wave(Phase::Sync, 9), late, late),
            (wave(Phase::PostSync, -9), late, late),
        ] {
            let mut objects = vec![
                object("", "Namespace", "", "shop", before),
                object("", "Namespace", "", "other", before),
                object("", "ConfigMap", "shop", "other", wave(Phase::Sync, 100)),
                object("x.io", "Thing", "shop", "a", user),
                object("apiextensions.k8s.io", "CustomResourceDefinition", "", "things.x.io", before),
                object("apiextensions.k8s.io", "CustomResourceDefinition", "", "others.x.io", before),
            ];
            let kind = GroupKind::new("x.io", "Thing");
            pull_ahead(&mut objects, &BTreeMap::from([("things.x.io", &kind)]));
            let waves: Vec<Wave> = objects.iter().map(|object| object.wave).collect();
            assert_eq!(waves, [after, before, wave(Phase::Sync, 100), user, after, before]);
        }
    }
}
