//! What follows from a change without anybody asking for it: definitions are established, namespaces emptied, and what has
//! lost its owner is deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::definitions::DEFINITIONS;
use super::delete::{FOREGROUND, ORPHAN};
use super::meta;
use super::request::{Address, Query};
use super::resources::Resource;
use super::store::{Key, Moved, Place};
use super::write::{now_text, strip};
use super::{ApiServer, Request};
use crate::sim::kinds::value::items;
use crate::sim::managed;

pub use crate::sim::controllers::Controllers;

/// Who the controllers write as.
const MANAGER: &str = "kube-controller-manager";
/// Rounds of one change. Each does something, and what they do ends; the bound is for mistakes.
const MAX_ROUNDS: usize = 10_000;

impl ApiServer {
    /// Does all that follows from what was just changed.
    pub(super) fn settle(&mut self, now: Timestamp) {
        self.follow_changes(now);
        self.hand_over(now);
    }

    fn follow_changes(&mut self, now: Timestamp) {
        for _ in 0..MAX_ROUNDS {
            let definitions = std::mem::take(&mut self.changed_definitions);
            let mut busy = false;
            for key in definitions {
                busy |= self.follow_definition(&key, now);
            }
            busy |= self.follow_deletions(now);
            let moved = self.store.take_moved();
            if self.controllers.garbage && !moved.is_empty() {
                busy |= self.collect(moved, now);
            }
            if !busy {
                return;
            }
        }
    }

    /// Goes on with the namespaces and definitions that are being deleted.
    fn follow_deletions(&mut self, now: Timestamp) -> bool {
        let deleting = |table: &'static str| self.store.deleting(table).cloned().collect::<Vec<_>>();
        let namespaces = if self.controllers.namespaces { deleting("namespaces") } else { Vec::new() };
        let definitions = deleting(DEFINITIONS);
        let mut busy = false;
        for key in namespaces {
            busy |= self.empty_namespace(&key, now);
        }
        for key in definitions {
            busy |= self.follow_definition(&key, now);
        }
        busy
    }

    /// Deletes what is in a namespace that is being deleted, and lets it go when nothing is left.
    fn empty_namespace(&mut self, key: &Key, now: Timestamp) -> bool {
        let tables: Vec<String> = self.store.tables().map(str::to_owned).collect();
        let (mut busy, mut left) = (false, false);
        for table in tables {
            let listed = self.store.list(&table, Some(key.name()), None, None).unwrap_or_default();
            let places: Vec<(Key, bool)> =
                listed.into_iter().map(|(key, stored)| (key.clone(), stored.deleting)).collect();
            for (key, deleting) in places {
                busy |= !deleting && self.delete_quietly(&(table.clone(), key.clone()), "Background", now);
                left |= self.store.get(&table, &key).is_some();
            }
        }
        if left {
            return self.tell_what_remains(key, now) || busy;
        }
        self.let_namespace_go(key, now) || busy
    }

    /// Takes off an empty namespace what held it for its content. Others may hold it still.
    fn let_namespace_go(&mut self, key: &Key, now: Timestamp) -> bool {
        let value = |server: &Self| server.store.get("namespaces", key).map(|stored| stored.value());
        let Some(mut namespace) = value(self).filter(|namespace| !items(namespace, "spec.finalizers").is_empty())
        else {
            return false;
        };
        let held = !meta::finalizers(&namespace).is_empty();
        if held && self.tell_what_remains(key, now) {
            namespace = value(self).unwrap_or(namespace);
        }
        let own = Value::from("kubernetes");
        let kept: Vec<Value> =
            items(&namespace, "spec.finalizers").iter().filter(|name| **name != own).cloned().collect();
        if kept.len() == items(&namespace, "spec.finalizers").len() {
            return false;
        }
        let last = kept.is_empty();
        if let Some(spec) = namespace.get_mut("spec").and_then(Value::as_object_mut) {
            if last {
                spec.remove("finalizers")
            } else {
                spec.insert("finalizers".to_owned(), kept.into())
            };
        }
        if held || !last {
            self.store.put("namespaces", key, namespace, now);
        } else {
            self.store.remove("namespaces", key, namespace, now);
        }
        true
    }

    /// Writes into a namespace what it still waits for.
    fn tell_what_remains(&mut self, key: &Key, now: Timestamp) -> bool {
        let Some(resource) = self.of_table("namespaces") else { return false };
        let Some(old) = self.store.get("namespaces", key).map(|stored| stored.value()) else { return false };
        let (mut resources, mut finalizers) = (BTreeMap::new(), BTreeMap::new());
        for table in self.store.tables() {
            for (_, stored) in self.store.list(table, Some(key.name()), None, None).unwrap_or_default() {
                *resources.entry(table.to_owned()).or_insert(0) += 1;
                for finalizer in meta::finalizers(&stored.value()) {
                    *finalizers.entry(finalizer.to_owned()).or_insert(0) += 1;
                }
            }
        }
        let conditions = remaining(&resources, &finalizers, old.pointer("/status/conditions"), &now_text(now));
        if old.pointer("/status/conditions") == Some(&conditions) {
            return false;
        }
        let mut new = old.clone();
        if let Some(status) = new.get_mut("status").and_then(Value::as_object_mut) {
            status.insert("conditions".to_owned(), conditions);
        }
        let new = self.attributed(&resource, key, "status", &old, new, now);
        self.store.put("namespaces", key, strip(new), now);
        true
    }

    /// One round of garbage collection: of what moved, and of what that concerns.
    fn collect(&mut self, moved: Moved, now: Timestamp) -> bool {
        let mut busy = false;
        for uid in &moved.owners {
            if let Some(place) = self.store.waiting(uid).cloned() {
                busy |= self.finish_owner(&place, now);
            }
            let dependents: Vec<Place> = self.store.owned_by(uid).cloned().collect();
            for place in dependents {
                busy |= self.follow_owners(&place, now);
            }
        }
        for place in &moved.dependents {
            busy |= self.follow_owners(place, now);
        }
        busy
    }

    /// Lets an owner go that only waits for its dependents, or for them to be let go.
    fn finish_owner(&mut self, place: &Place, now: Timestamp) -> bool {
        let Some(object) = self.store.get(&place.0, &place.1).map(|stored| stored.value()) else { return false };
        let uid = meta::text(&object, "uid").to_owned();
        let dependents: Vec<Place> = self.store.owned_by(&uid).cloned().collect();
        let finalizers = meta::finalizers(&object);
        if finalizers.contains(&ORPHAN) {
            for dependent in dependents {
                self.drop_owners(&dependent, &|owner| owner.get("uid").and_then(Value::as_str) == Some(&uid), now);
            }
            return self.drop_finalizer(place, object, ORPHAN, now);
        }
        if !finalizers.contains(&FOREGROUND) {
            return false;
        }
        let blocked = dependents.iter().any(|(table, key)| {
            let dependent = self.store.get(table, key).map(|stored| stored.value()).unwrap_or_default();
            let owners =
                meta::get(&dependent, "ownerReferences").and_then(Value::as_array).cloned().unwrap_or_default();
            let of = owners.iter().find(|owner| owner.get("uid").and_then(Value::as_str) == Some(&uid));
            of.is_some_and(|owner| owner.get("blockOwnerDeletion") == Some(&true.into()))
        });
        !blocked && self.drop_finalizer(place, object, FOREGROUND, now)
    }

    /// Deletes a dependent whose owners are all gone, and takes those off that are.
    fn follow_owners(&mut self, place: &Place, now: Timestamp) -> bool {
        let Some(stored) = self.store.get(&place.0, &place.1) else { return false };
        if stored.deleting {
            return false;
        }
        let object = stored.value();
        let owners = meta::get(&object, "ownerReferences").and_then(Value::as_array).cloned().unwrap_or_default();
        let (mut solid, mut waiting) = (0, 0);
        for owner in &owners {
            match self.owner(&object, owner) {
                Some(found) if is_waiting(&found) => waiting += 1,
                Some(_) => solid += 1,
                None => {}
            }
        }
        if solid == owners.len() {
            return false;
        }
        if solid == 0 {
            let has_dependents = self.store.owned_by(meta::text(&object, "uid")).next().is_some();
            let policy = if waiting > 0 && has_dependents { "Foreground" } else { "Background" };
            return self.delete_quietly(place, policy, now);
        }
        let gone: Vec<Value> = owners
            .into_iter()
            .filter(|owner| self.owner(&object, owner).is_none_or(|found| is_waiting(&found)))
            .collect();
        self.drop_owners(place, &|owner| gone.contains(owner), now)
    }

    /// The object that an owner reference names, if it is that one.
    fn owner(&self, dependent: &Value, reference: &Value) -> Option<Value> {
        let text = |name: &str| reference.get(name).and_then(Value::as_str).unwrap_or_default();
        let (group, version) = super::resources::split_group(text("apiVersion"));
        let resource = self.resources.by_kind(group, version, text("kind"))?;
        let namespace = meta::text(dependent, "namespace");
        let namespace = (resource.namespaced && !namespace.is_empty()).then_some(namespace);
        let found = self.object(resource, &Key::new(namespace, text("name")))?;
        (meta::text(&found, "uid") == text("uid")).then_some(found)
    }

    fn drop_owners(&mut self, place: &Place, gone: &dyn Fn(&Value) -> bool, now: Timestamp) -> bool {
        let Some(object) = self.store.get(&place.0, &place.1).map(|stored| stored.value()) else { return false };
        let owners = meta::get(&object, "ownerReferences").and_then(Value::as_array).cloned().unwrap_or_default();
        let kept: Vec<Value> = owners.iter().filter(|owner| !gone(owner)).cloned().collect();
        if kept.len() == owners.len() {
            return false;
        }
        let Some(resource) = self.of_table(&place.0) else { return false };
        let mut new = object.clone();
        meta::set(&mut new, "ownerReferences", kept);
        meta::tidy(&mut new);
        let new = self.attributed(&resource, &place.1, "", &object, new, now);
        self.store.put(&place.0, &place.1, strip(new), now);
        true
    }

    fn drop_finalizer(&mut self, place: &Place, mut object: Value, finalizer: &str, now: Timestamp) -> bool {
        let kept: Vec<Value> =
            meta::finalizers(&object).into_iter().filter(|name| *name != finalizer).map(Value::from).collect();
        let last = kept.is_empty();
        let old = object.clone();
        meta::set(&mut object, "finalizers", kept);
        meta::tidy(&mut object);
        if let Some(resource) = self.of_table(&place.0) {
            object = self.attributed(&resource, &place.1, "", &old, object, now);
        }
        if last {
            self.store.remove(&place.0, &place.1, strip(object), now);
        } else {
            self.store.put(&place.0, &place.1, strip(object), now);
        }
        true
    }

    /// An object with its managed fields after a controller changed it.
    fn attributed(
        &self,
        resource: &Arc<Resource>,
        key: &Key,
        part: &str,
        old: &Value,
        new: Value,
        now: Timestamp,
    ) -> Value {
        let address = Address {
            group: &resource.group,
            version: &resource.version,
            plural: &resource.plural,
            namespace: key.namespace(),
            name: Some(key.name()),
            subresource: (!part.is_empty()).then_some(part),
        };
        let call = self.call(resource.clone(), address, Query::default(), now);
        let named = |mut object: Value| {
            if let Some(members) = object.as_object_mut() {
                members.insert("apiVersion".to_owned(), resource.api_version().into());
                members.insert("kind".to_owned(), resource.kind.as_str().into());
            }
            object
        };
        let time = now_text(now);
        managed::update(&self.context(&call, MANAGER, &time), Some(&named(old.clone())), named(new))
    }

    /// Deletes an object as a controller does. Returns whether anything changed.
    fn delete_quietly(&mut self, place: &Place, policy: &str, now: Timestamp) -> bool {
        let Some(resource) = self.of_table(&place.0) else { return false };
        let before = self.store.revision();
        let query = Query::parse(&format!("propagationPolicy={policy}"));
        let address = Address {
            group: &resource.group,
            version: &resource.version,
            plural: &resource.plural,
            namespace: place.1.namespace(),
            name: Some(place.1.name()),
            subresource: None,
        };
        let call = self.call(resource.clone(), address, query, now);
        // It was there a moment ago and nothing stands in the way of a delete without preconditions.
        let _ = self.delete(&call, &Request::default());
        self.store.revision() != before
    }

    /// A resource by its qualified name, in any of its versions.
    pub(super) fn of_table(&self, table: &str) -> Option<Arc<Resource>> {
        let (plural, group) = table.split_once('.').unwrap_or((table, ""));
        let (_, versions) = self.resources.groups().iter().find(|(known, _)| known == group)?;
        versions.iter().find_map(|version| self.resources.get(group, version, plural)).cloned()
    }
}

/// Whether an object is only held until its dependents are gone.
fn is_waiting(object: &Value) -> bool {
    meta::get(object, "deletionTimestamp").is_some() && meta::finalizers(object).contains(&FOREGROUND)
}

/// The conditions of a namespace that waits. Times stay where nothing changes.
fn remaining(
    resources: &BTreeMap<String, u32>,
    finalizers: &BTreeMap<String, u32>,
    before: Option<&Value>,
    now: &str,
) -> Value {
    let told = |counts: &BTreeMap<String, u32>, verb: &str| {
        let parts: Vec<String> =
            counts.iter().map(|(name, count)| format!("{name}{verb} {count} resource instances")).collect();
        parts.join(", ")
    };
    let held = format!("Some content in the namespace has finalizers remaining: {}", told(finalizers, " in"));
    let (remain, are_held) = (!resources.is_empty(), !finalizers.is_empty());
    let truth = |holds: bool| if holds { "True" } else { "False" };
    let rows = [
        (
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
        ),
        (
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned(),
        ),
        (
            "NamespaceContentRemaining",
            truth(remain),
            if remain { "SomeResourcesRemain" } else { "ContentRemoved" },
            match remain {
                true => format!("Some resources are remaining: {}", told(resources, ". has")),
                false => "All content successfully removed".to_owned(),
            },
        ),
        (
            "NamespaceFinalizersRemaining",
            truth(are_held),
            if are_held { "SomeFinalizersRemain" } else { "ContentHasNoFinalizers" },
            if are_held { held } else { "All content-preserving finalizers finished".to_owned() },
        ),
    ];
    let known = |kind: &str| before?.as_array()?.iter().find(|known| known.get("type") == Some(&kind.into()));
    let conditions = rows.into_iter().map(|(kind, status, reason, message)| {
        let same = known(kind).filter(|known| known.get("status") == Some(&status.into()));
        let time = same.and_then(|known| known.get("lastTransitionTime")).cloned().unwrap_or_else(|| now.into());
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": time})
    });
    conditions.collect()
}
