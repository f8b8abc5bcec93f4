//! A cluster cut down to what the engine decides by: uid, resource version, labels, and our Apply entry as one footprint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use driftless::engine::effect::Precondition;
use driftless::engine::event::{ApplyOutcome, DeleteOutcome, RequestError, RequestErrorReason, WatchEvent};
use driftless::engine::hash::Hash;
use driftless::engine::health::{Health, HealthCode};
use driftless::engine::ids::{GroupKind, Gvk, ObjectKey, TrackingId};
use driftless::engine::live::{LiveObject, Protection};

/// The installation whose label the watches are filtered by.
pub(crate) const INSTALLATION: &str = "0123456789abcdef";

/// One object as the API server stores it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) key: ObjectKey,
    pub(crate) uid: u64,
    pub(crate) rv: u64,
    pub(crate) label: Option<String>,
    pub(crate) tracking: Option<TrackingId>,
    pub(crate) stamp: Option<Hash>,
    /// The manifest that was applied last; `None`: not by us.
    pub(crate) applied: Option<Hash>,
    /// Number of the edit that took fields of ours since; 0: none.
    pub(crate) edit: u64,
    /// Counts what changed the footprint without a manager to blame (a webhook, an upgrade of the server).
    pub(crate) salt: u64,
    pub(crate) health: HealthCode,
    pub(crate) wave: i32,
    /// Somebody else's finalizer keeps it after a delete.
    pub(crate) finalizer: bool,
    pub(crate) deleting: bool,
    pub(crate) protection: Protection,
}

impl Stored {
    fn labelled(&self) -> bool {
        self.label.as_deref() == Some(INSTALLATION)
    }

    /// Whether it is as this manifest wants it.
    pub(crate) fn is(&self, desired: Hash) -> bool {
        self.applied == Some(desired) && self.edit == 0 && !self.deleting
    }

    /// As the reader of `version` decodes it.
    pub(crate) fn live(&self, version: &str) -> LiveObject {
        let footprint =
            self.applied.map(|applied| Hash::of(format!("{applied} {} {} {version}", self.edit, self.salt).as_bytes()));
        LiveObject {
            key: self.key.clone(),
            version: version.into(),
            uid: format!("uid-{}", self.uid).into(),
            resource_version: self.rv,
            tracking: self.tracking.clone(),
            instance: self.label.as_deref().map(Into::into),
            stamp: self.stamp,
            footprint,
            health: Some(Health { code: self.health, message: None }),
            deleting: self.deleting,
            wave: self.wave,
            protection: self.protection,
            managed_fields: Some(
                format!("{} {}", self.applied.map(|a| a.to_string()).unwrap_or_default(), self.edit).into(),
            ),
        }
    }
}

/// Whether managed fields, as [`Stored::live`] writes them, cover a manifest.
pub(crate) fn covers(desired: Hash, managed_fields: &str) -> bool {
    managed_fields == format!("{desired} 0")
}

/// One change, as the watches tell it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) rv: u64,
    pub(crate) before: Option<Stored>,
    pub(crate) after: Option<Stored>,
}

/// A manifest that was rendered: what an apply writes.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) key: ObjectKey,
    pub(crate) tracking: TrackingId,
    pub(crate) no_prune: bool,
    pub(crate) wave: i32,
}

/// The cluster.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) objects: BTreeMap<ObjectKey, Stored>,
    pub(crate) log: Vec<Change>,
    pub(crate) rv: u64,
    /// Watches can't be resumed from before.
    pub(crate) compacted: u64,
    pub(crate) served: BTreeSet<GroupKind>,
    next_uid: u64,
    next_edit: u64,
}

pub(crate) fn error(reason: RequestErrorReason) -> RequestError {
    RequestError { reason, message: format!("{reason:?}") }
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let mut cluster = Self { rv: 100, ..Self::default() };
        for (group, kind) in [
            ("", "Namespace"),
            ("", "ConfigMap"),
            ("apps", "Deployment"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ] {
            cluster.served.insert(GroupKind::new(group, kind));
        }
        cluster
    }

    /// What [`driftless::engine::event::Event::Discovered`] says.
    pub(crate) fn kinds(&self) -> Hash {
        Hash::of(format!("{:?}", self.served).as_bytes())
    }

    pub(crate) fn serves(&self, key: &ObjectKey) -> bool {
        self.served.contains(&key.group_kind())
    }

    fn put(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Stored)) {
        let Some(before) = self.objects.get(key).cloned() else { return };
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return;
        }
        self.rv += 1;
        after.rv = self.rv;
        self.log.push(Change { rv: self.rv, before: Some(before), after: Some(after.clone()) });
        self.objects.insert(key.clone(), after);
    }

    /// Removes an object for good, and what depends on it.
    pub(crate) fn remove(&mut self, key: &ObjectKey) {
        let Some(before) = self.objects.remove(key) else { return };
        self.rv += 1;
        self.log.push(Change { rv: self.rv, before: Some(before), after: None });
        if &*key.kind == "CustomResourceDefinition" {
            self.served.remove(&GroupKind::new("example.io", "Widget"));
            self.remove_all(|other| &*other.kind == "Widget");
        }
        if &*key.kind == "Namespace" {
            self.remove_all(|other| other.namespace == key.name);
        }
    }

    fn remove_all(&mut self, which: impl Fn(&ObjectKey) -> bool) {
        let keys: Vec<ObjectKey> = self.objects.keys().filter(|key| which(key)).cloned().collect();
        keys.iter().for_each(|key| self.remove(key));
    }

    /// Puts an object that nobody applied.
    pub(crate) fn create(&mut self, key: &ObjectKey) {
        if self.objects.contains_key(key) {
            return;
        }
        self.insert(key);
    }

    fn insert(&mut self, key: &ObjectKey) {
        self.rv += 1;
        self.next_uid += 1;
        let health = if &*key.kind == "Deployment" { HealthCode::Progressing } else { HealthCode::Healthy };
        let stored = Stored {
            key: key.clone(),
            uid: self.next_uid,
            rv: self.rv,
            label: None,
            tracking: None,
            stamp: None,
            applied: None,
            edit: 0,
            salt: 0,
            health,
            wave: 0,
            finalizer: false,
            deleting: false,
            protection: Protection::default(),
        };
        self.objects.insert(key.clone(), stored.clone());
        self.log.push(Change { rv: self.rv, before: None, after: Some(stored) });
    }

    /// A person changes fields that an apply owns, and whatever `also` says.
    pub(crate) fn edit(&mut self, key: &ObjectKey, also: impl FnOnce(&mut Stored)) {
        self.next_edit += 1;
        let edit = self.next_edit;
        self.put(key, |object| {
            object.edit = edit;
            also(object);
        });
    }

    /// Somebody changes what is not ours.
    pub(crate) fn touch(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Stored)) {
        self.put(key, change);
        if self.objects.get(key).is_some_and(|object| object.deleting && !object.finalizer) {
            self.remove(key);
        }
    }

    /// A delete, whoever asks.
    pub(crate) fn delete(&mut self, key: &ObjectKey) {
        if self.objects.get(key).is_some_and(|object| object.finalizer) {
            self.put(key, |object| object.deleting = true);
        } else {
            self.remove(key);
        }
    }

    fn holds(&self, key: &ObjectKey, uid: &str, resource_version: u64) -> bool {
        self.objects
            .get(key)
            .is_some_and(|object| format!("uid-{}", object.uid) == uid && object.rv == resource_version)
    }

    /// A conditional delete.
    pub(crate) fn delete_exactly(&mut self, key: &ObjectKey, uid: &str, resource_version: u64) -> DeleteOutcome {
        if !self.serves(key) {
            return DeleteOutcome::Failed(error(RequestErrorReason::UnknownKind));
        }
        if !self.objects.contains_key(key) {
            return DeleteOutcome::NotFound;
        }
        if !self.holds(key, uid, resource_version) {
            return DeleteOutcome::Conflict;
        }
        self.delete(key);
        DeleteOutcome::Accepted
    }

    /// A conditional server-side apply, forced.
    pub(crate) fn apply(
        &mut self,
        body: &Body,
        hash: Hash,
        version: &str,
        precondition: &Precondition,
    ) -> ApplyOutcome {
        let key = &body.key;
        if !self.serves(key) {
            return ApplyOutcome::Failed(error(RequestErrorReason::UnknownKind));
        }
        let namespace = ObjectKey::new("", "Namespace", "", key.namespace.clone());
        if !key.namespace.is_empty() && self.objects.get(&namespace).is_none_or(|namespace| namespace.deleting) {
            return ApplyOutcome::Failed(error(RequestErrorReason::NamespaceUnavailable));
        }
        match precondition {
            Precondition::Absent if self.objects.contains_key(key) => return self.conflict(key, version),
            Precondition::Absent => self.insert(key),
            Precondition::Exactly { uid, resource_version } => {
                if !self.holds(key, uid, *resource_version) {
                    return self.conflict(key, version);
                }
            }
        }
        self.put(key, |object| {
            object.label = Some(INSTALLATION.into());
            object.tracking = Some(body.tracking.clone());
            object.stamp = Some(hash);
            object.applied = Some(hash);
            object.edit = 0;
            object.protection.no_prune = body.no_prune;
            object.wave = body.wave;
        });
        if &*key.kind == "CustomResourceDefinition" {
            self.served.insert(GroupKind::new("example.io", "Widget"));
        }
        let live = self.objects.get(key).map(|object| Box::new(object.live(version))).unwrap();
        ApplyOutcome::Applied { live, blame: Vec::new(), leftover: None }
    }

    pub(crate) fn conflict(&self, key: &ObjectKey, version: &str) -> ApplyOutcome {
        ApplyOutcome::Conflict { live: self.look(key, version) }
    }

    pub(crate) fn look(&self, key: &ObjectKey, version: &str) -> Option<Box<LiveObject>> {
        self.objects.get(key).map(|object| Box::new(object.live(version)))
    }

    /// Everything with our label.
    pub(crate) fn labelled(&self) -> impl Iterator<Item = &Stored> {
        self.objects.values().filter(|object| object.labelled())
    }

    /// What a list of a kind delivers.
    pub(crate) fn list(&self, watch: &Gvk) -> Vec<WatchEvent> {
        let ours = self.labelled().filter(|object| object.key.group_kind() == watch.group_kind());
        let mut events = vec![WatchEvent::ListStarted];
        events.extend(ours.map(|object| WatchEvent::Live(Box::new(object.live(&watch.version)))));
        events.push(WatchEvent::ListDone { resource_version: self.rv });
        events
    }

    /// What a watch of a kind delivers after `position`, with the position that each event stands for.
    pub(crate) fn since(&self, watch: &Gvk, position: u64) -> Vec<(u64, WatchEvent)> {
        let from = self.log.partition_point(|change| change.rv <= position);
        let mut events = Vec::new();
        for change in &self.log[from..] {
            let labelled = |object: &Option<Stored>| {
                object.clone().filter(|object| object.labelled() && object.key.group_kind() == watch.group_kind())
            };
            match (labelled(&change.before), labelled(&change.after)) {
                (_, Some(after)) => events.push((change.rv, WatchEvent::Live(Box::new(after.live(&watch.version))))),
                (Some(before), None) => {
                    let uid: Arc<str> = format!("uid-{}", before.uid).into();
                    let event = WatchEvent::Gone { key: before.key, uid, resource_version: change.rv };
                    events.push((change.rv, event));
                }
                (None, None) => {}
            }
        }
        events
    }
}
