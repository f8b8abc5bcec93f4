//! One object of an inventory: what the store keeps of it, what is known beyond, and how objects are counted.

use super::contest::Contest;
use super::hash::Hash;
use super::health::HealthCode;
use super::ids::{Gvk, ObjectKey};
use super::live::LiveObject;
use super::record::ObjectRecord;
use super::time::Instant;
use std::sync::Arc;

/// How one object stands towards Git.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// It can't be told yet: the watch has not listed, or a look or comparison is under way.
    #[default]
    Unknown,
    /// As Git wants it.
    Synced,
    /// Not in the cluster.
    Missing,
    /// Git wants something else than what was last applied, or it never was.
    OutOfSync,
    /// Git wants what was applied, and the cluster was changed since.
    Drifted,
    /// It left Git.
    Extra,
    /// It exists and belongs to someone else; it is not touched.
    Foreign,
}

impl Verdict {
    /// Every verdict, in order.
    pub(super) const ALL: [Self; 7] =
        [Self::Unknown, Self::Synced, Self::Missing, Self::OutOfSync, Self::Drifted, Self::Extra, Self::Foreign];

    /// The word for `status.resources`.
    pub(super) const fn sync_code(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Synced => "Synced",
            _ => "OutOfSync",
        }
    }
}

/// How the text about drift begins that was reverted: it stays when the object is as it should be.
pub(super) const REVERTED: &str = "reverted: ";

/// Whose an object is, by its live metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Owner {
    /// Our instance label and the tracking id of the application that desires it.
    #[default]
    Ours,
    /// Nobody's: no tracking id, no instance label. It may be adopted.
    Untracked,
    /// Its tracking id names another Application, or another object (a copy).
    OtherApplication,
    /// Another installation of Driftless labelled it.
    OtherInstallation,
}

/// The one request that is under way for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flight {
    /// An apply, for a sync or a heal.
    Apply {
        /// What is applied.
        desired: Hash,
        /// Whether it takes a place of the heals.
        heal: bool,
        /// Whether the object was not there.
        creates: bool,
    },
    /// A delete.
    Delete,
    /// A read.
    Look,
    /// A comparison without a request, or a dry run.
    Inspect,
}

/// What is known of an object beyond its durable record, where there is anything to know.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Volatile {
    /// Whose it is.
    pub owner: Owner,
    /// The Application of this installation that its tracking id names, if that is not the one that has it.
    pub tracked: Option<Box<str>>,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Why its health is what it is.
    pub health_message: Option<Box<str>>,
    /// Managed fields of the drifted object, for blame, until a heal or comparison has used them.
    pub managed_fields: Option<Box<str>>,
    /// An inspection at this resource version found our fields changed.
    pub found_drifted: Option<u64>,
    /// A dry run found the object at this resource version to have the values of this manifest, which we never applied.
    pub equal: Option<(Hash, u64)>,
    /// The manifest and the resource version (0: none was known) for which such a dry run was asked.
    pub compared: Option<(Hash, u64)>,
    /// The last inspection found every field of the manifest to be ours: values differ, and no manager explains it.
    pub covered: bool,
    /// Who changed what, for people.
    pub drift: Option<Box<str>>,
    /// The drift was counted and told.
    pub drift_told: bool,
    /// Why it can't be applied or deleted.
    pub error: Option<Box<str>>,
    /// What stays on the object although it left Git.
    pub leftover: Option<Box<str>>,
    /// Limits heals.
    pub contest: Option<Contest>,
    /// Not to be touched before.
    pub not_before: Option<Instant>,
    /// Failed requests in a row.
    pub failures: u32,
    /// The newest resource version at which the watch showed that it was not there, while a request was under way.
    pub absent_at: Option<u64>,
    /// It left the watch: a delete, or only the label went. Look before concluding.
    pub lost: bool,
    /// It does not carry our label, so no watch shows what becomes of it.
    pub unwatched: bool,
    /// When it is to be looked at, because no watch shows it.
    pub look_at: Option<Instant>,
    /// A delete was accepted; it is on its way out.
    pub delete_accepted: bool,
}

/// One object of an inventory.
#[derive(Debug)]
pub(super) struct Object {
    /// What the store keeps.
    pub record: ObjectRecord,
    /// Its record is on disk, or in a transaction that is written before any later effect.
    pub stored: bool,
    /// Number of the list in which it was last seen.
    pub seen: u32,
    /// The request under way.
    pub flight: Option<Flight>,
    /// Cached; `Engine::reassess` keeps it and the application's tally.
    pub verdict: Verdict,
    /// The health under which the tally counts it.
    pub counted: Option<HealthCode>,
    /// The rest.
    pub volatile: Option<Box<Volatile>>,
}

impl Object {
    /// An object that is in no store and was never seen.
    pub(super) fn new(record: ObjectRecord) -> Self {
        Self { record, stored: false, seen: 0, flight: None, verdict: Verdict::Unknown, counted: None, volatile: None }
    }

    /// The volatile part, made if there is none.
    pub(super) fn volatile(&mut self) -> &mut Volatile {
        self.volatile.get_or_insert_default()
    }

    /// Whose it is; ours unless something else was found.
    pub(super) fn owner(&self) -> Owner {
        match (&self.volatile, &self.record.live) {
            (Some(volatile), Some(_)) if volatile.owner != Owner::Ours => volatile.owner,
            (_, Some(live)) if !live.ours => Owner::Untracked,
            _ => Owner::Ours,
        }
    }

    /// Whether it is on its way out.
    pub(super) fn deleting(&self) -> bool {
        self.volatile.as_ref().is_some_and(|volatile| volatile.deleting)
    }

    /// Health, where the kind has any; `Missing` if it should be there and is not.
    pub(super) fn health(&self) -> Option<HealthCode> {
        match &self.record.live {
            Some(live) => live.health,
            None if self.record.desired.is_some() && self.verdict == Verdict::Missing => Some(HealthCode::Missing),
            None => None,
        }
    }

    /// A dry run found it as Git wants it, though not all of it is ours.
    pub(super) fn is_equal(&self) -> bool {
        let now = self.record.desired.zip(self.record.live.as_ref().map(|live| live.resource_version));
        now.is_some() && self.volatile.as_ref().and_then(|volatile| volatile.equal) == now
    }

    /// Whether a sync has to apply it.
    pub(super) fn is_wanted(&self) -> bool {
        matches!(self.verdict, Verdict::Missing | Verdict::OutOfSync | Verdict::Drifted)
            || self.verdict == Verdict::Synced && self.is_equal()
    }

    /// Who changed what, as long as it is worth telling.
    pub(super) fn drift(&self) -> Option<&str> {
        let drift = self.volatile.as_ref()?.drift.as_deref()?;
        (self.verdict != Verdict::Synced || drift.starts_with(REVERTED)).then_some(drift)
    }

    /// Whether this manifest was applied before, so that a difference is drift and not news from Git.
    pub(super) fn was_applied(&self) -> bool {
        self.record.desired.is_some() && self.record.expected.map(|expected| expected.desired) == self.record.desired
    }
}

/// How many objects of an application stand how. Kept up to date object by object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    verdicts: [u32; 7],
    healths: [u32; 6],
}

impl Tally {
    /// Counts an object in (`+1`) or out (`-1`).
    pub(super) fn count(&mut self, verdict: Verdict, health: Option<HealthCode>, by: i32) {
        if let Some(slot) = self.verdicts.get_mut(verdict as usize) {
            *slot = slot.saturating_add_signed(by);
        }
        if let Some(slot) = health.and_then(|code| self.healths.get_mut(code as usize)) {
            *slot = slot.saturating_add_signed(by);
        }
    }

    /// How many objects have this verdict.
    pub(super) fn of(&self, verdict: Verdict) -> u32 {
        self.verdicts.get(verdict as usize).copied().unwrap_or_default()
    }

    /// How many objects have this health.
    pub(super) fn health(&self, code: HealthCode) -> u32 {
        self.healths.get(code as usize).copied().unwrap_or_default()
    }
}

/// The watch that serves an object.
pub(super) fn watch_of(key: &ObjectKey, version: &Arc<str>) -> Gvk {
    Gvk { group: key.group.clone(), version: version.clone(), kind: key.kind.clone() }
}

/// Whose a live object is, seen from the application `instance_name`.
pub(super) fn owner_of(live: &LiveObject, installation: &str, instance_name: &str) -> Owner {
    let labelled = live.instance.as_deref();
    match &live.tracking {
        _ if labelled.is_some_and(|label| label != installation) => Owner::OtherInstallation,
        Some(tracking) if &*tracking.instance == instance_name && tracking.object == live.key => Owner::Ours,
        Some(_) => Owner::OtherApplication,
        None => Owner::Untracked,
    }
}
