//! CustomResourceDefinitions: what the server serves because of them, and their own life.

use std::sync::Arc;

use serde_json::{Value, json};

use super::ApiServer;
use super::custom::Version;
use super::meta;
use super::options::Options;
use super::request::{Address, Query};
use super::resources::{Resource, Subresource};
use super::store::Key;
use super::write::{Ownership, now_text, strip};
use crate::sim::schema::Structural;

/// Qualified name of the definitions.
pub(super) const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
/// The finalizer under which the objects of a definition are deleted first.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
/// What can be done with custom resources, in the order of the discovery documents.
const VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
/// Who writes the status of definitions.
const MANAGER: &str = "kube-apiserver";

impl ApiServer {
    /// Does what follows from a change of a definition. Returns whether anything was done.
    pub(super) fn follow_definition(&mut self, key: &Key, now: jiff::Timestamp) -> bool {
        let Some(resource) = self.resources.get("apiextensions.k8s.io", "v1", "customresourcedefinitions").cloned()
        else {
            return false;
        };
        let Some(definition) = self.object(&resource, key) else { return self.retire(key.name()) };
        if meta::get(&definition, "deletionTimestamp").is_some() {
            return self.clean_up(key, definition, now);
        }
        let names = definition.pointer("/spec/names").cloned().unwrap_or_default();
        let conflict = self.name_conflict(&definition, &names);
        let accepted = conflict.is_none();
        if accepted {
            self.serve(&definition);
        }
        let status = definition.get("status").cloned().unwrap_or_default();
        let mut wanted = status.clone();
        let accepted_names = if accepted { names } else { json!({"plural": names.get("plural"), "kind": ""}) };
        let conditions = conditions(conflict, status.get("conditions"), &now_text(now));
        if let Some(wanted) = wanted.as_object_mut() {
            wanted.insert("acceptedNames".to_owned(), accepted_names);
            wanted.insert("conditions".to_owned(), conditions);
        }
        if wanted == status {
            return false;
        }
        let mut new = definition.clone();
        if let Some(members) = new.as_object_mut() {
            members.insert("status".to_owned(), wanted);
        }
        let address = Address {
            group: &resource.group,
            version: &resource.version,
            plural: &resource.plural,
            namespace: None,
            name: Some(key.name()),
            subresource: Some("status"),
        };
        let call = self.call(resource.clone(), address, Query::default(), now);
        self.change(&call, &Options::internal(MANAGER), &definition, new, Ownership::Update).is_ok()
    }

    /// Serves what a definition defines.
    fn serve(&mut self, definition: &Value) {
        let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let list = |pointer: &str| {
            let values = definition.pointer(pointer).and_then(Value::as_array);
            values.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
        };
        let (group, plural) = (text("/spec/group"), text("/spec/names/plural"));
        self.resources.remove(&group, &plural);
        let known = |(of, _, name): &(String, String, String)| *of == group && *name == plural;
        let since = self.custom.iter().find(|(place, _)| known(place)).map(|(_, version)| version.since);
        let since = since.unwrap_or_else(|| self.store.revision());
        self.custom.retain(|place, _| !known(place));
        for version in definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten() {
            if version.get("served") != Some(&true.into()) {
                continue;
            }
            let Some(schema) = version.pointer("/schema/openAPIV3Schema") else { continue };
            let Ok(structural) = Structural::read(schema) else { continue };
            let name = version.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let has = |part: &str| version.pointer(&format!("/subresources/{part}")).is_some();
            let status = has("status").then(|| Subresource::usual("status"));
            let scale = has("scale").then(Subresource::scale);
            let resource = Resource {
                group: group.clone(),
                version: name.clone(),
                plural: plural.clone(),
                singular: text("/spec/names/singular"),
                kind: text("/spec/names/kind"),
                list_kind: text("/spec/names/listKind"),
                namespaced: text("/spec/scope") == "Namespaced",
                short_names: list("/spec/names/shortNames"),
                categories: list("/spec/names/categories"),
                verbs: VERBS.map(str::to_owned).to_vec(),
                subresources: status.into_iter().chain(scale).collect(),
                custom: true,
                definition: version.clone(),
            };
            let known = Version { schema: structural.schema(), structural, definition: version.clone(), since };
            self.custom.insert((group.clone(), name, plural.clone()), Arc::new(known));
            self.resources.extend([resource]);
        }
    }

    /// Serves nothing any more of a definition that is gone.
    fn retire(&mut self, name: &str) -> bool {
        let Some((plural, group)) = name.split_once('.') else { return false };
        let served = self.custom.len();
        self.custom.retain(|(of, _, known), _| of != group || known != plural);
        if self.custom.len() == served {
            return false;
        }
        self.resources.remove(group, plural);
        true
    }

    /// Deletes the objects of a definition that is being deleted, then lets it go.
    fn clean_up(&mut self, key: &Key, mut definition: Value, now: jiff::Timestamp) -> bool {
        if !meta::finalizers(&definition).contains(&CLEANUP) {
            return false;
        }
        let listed = self.store.list(key.name(), None, None, None).unwrap_or_default();
        let objects: Vec<(Key, Value)> =
            listed.into_iter().map(|(key, stored)| (key.clone(), stored.value())).collect();
        let (held, free): (Vec<_>, Vec<_>) =
            objects.into_iter().partition(|(_, object)| !meta::finalizers(object).is_empty());
        for (key, object) in &free {
            self.store.remove(&format_table(&definition), key, object.clone(), now);
        }
        if !held.is_empty() {
            return !free.is_empty();
        }
        let kept: Vec<Value> =
            meta::finalizers(&definition).into_iter().filter(|name| *name != CLEANUP).map(Value::from).collect();
        let last = kept.is_empty();
        meta::set(&mut definition, "finalizers", kept);
        if last {
            self.store.remove(DEFINITIONS, key, strip(definition), now);
            self.retire(key.name());
        } else {
            self.store.put(DEFINITIONS, key, strip(definition), now);
        }
        true
    }

    /// Names that another definition of the group has.
    fn name_conflict(&self, definition: &Value, names: &Value) -> Option<(&'static str, String)> {
        let group = definition.pointer("/spec/group").and_then(Value::as_str).unwrap_or_default();
        let plural = names.get("plural").and_then(Value::as_str).unwrap_or_default();
        let others: Vec<_> =
            self.resources.all().filter(|other| other.group == group && other.plural != plural).collect();
        let text = |field: &str| names.get(field).and_then(Value::as_str).unwrap_or_default();
        let taken = |name: &str| {
            others.iter().any(|other| other.singular == name || other.short_names.iter().any(|short| short == name))
        };
        let short = names.get("shortNames").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let mut found = None;
        if taken(text("singular")) {
            found = Some(("SingularConflict", text("singular").to_owned()));
        }
        for name in short {
            if taken(name) {
                found = Some(("ShortNamesConflict", name.to_owned()));
            }
        }
        // Of several conflicts the last that is looked for is told.
        for (field, reason) in [("kind", "KindConflict"), ("listKind", "ListKindConflict")] {
            let name = text(field);
            if others.iter().any(|other| other.kind == name || other.list_kind == name) {
                found = Some((reason, name.to_owned()));
            }
        }
        found.map(|(reason, name)| (reason, format!("{name:?} is already in use")))
    }
}

/// Marks a definition that is being deleted.
pub(super) fn mark(definition: &mut Value, now: &str) {
    let mut finalizers: Vec<Value> = meta::finalizers(definition).into_iter().map(Value::from).collect();
    if !finalizers.iter().any(|known| known == CLEANUP) {
        finalizers.push(CLEANUP.into());
    }
    meta::set(definition, "finalizers", finalizers);
    let terminating = json!({
        "lastTransitionTime": now,
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        "reason": "InstanceDeletionPending",
        "status": "True",
        "type": "Terminating",
    });
    if let Some(conditions) = definition.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        conditions.push(terminating);
    }
}

fn format_table(definition: &Value) -> String {
    meta::text(definition, "name").to_owned()
}

/// The conditions of a definition. Times stay where nothing changes.
fn conditions(conflict: Option<(&'static str, String)>, before: Option<&Value>, now: &str) -> Value {
    let accepted = conflict.is_none();
    let (reason, message) = conflict.unwrap_or_else(|| ("NoConflicts", "no conflicts found".to_owned()));
    let established = if accepted {
        ("True", "InitialNamesAccepted", "the initial names have been accepted")
    } else {
        ("False", "NotAccepted", "not all names are accepted")
    };
    let names = (if accepted { "True" } else { "False" }, reason, message.as_str());
    let wanted = [("NamesAccepted", names), ("Established", established)];
    let list = wanted.into_iter().map(|(kind, (status, reason, message))| {
        let same =
            |known: &&Value| known.get("type") == Some(&kind.into()) && known.get("status") == Some(&status.into());
        let known = before.and_then(Value::as_array).and_then(|list| list.iter().find(same));
        // Once established, a definition stays so.
        let time = known.and_then(|known| known.get("lastTransitionTime")).cloned().unwrap_or_else(|| now.into());
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": time})
    });
    list.collect()
}
