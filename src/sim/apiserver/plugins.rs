//! What the server's own admission plugins put into new objects, or refuse, by what other objects say.

use serde_json::Value;

use super::meta;
use super::resources::Resource;
use super::status::Status;
use super::store::{Key, Stored};
use super::{ApiServer, Call};
use crate::sim::kinds::value::{at, fill, fill_blank, has, is_blank, number, text};

/// Classes of pods that every cluster has.
const SYSTEM_CLASSES: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];
const PRIORITY_CLASSES: &str = "priorityclasses.scheduling.k8s.io";
const STORAGE_CLASSES: &str = "storageclasses.storage.k8s.io";
/// The annotation of the class of claims that name none, and the annotation by which a claim names one.
const IS_DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// What pods may do to others unless their class says otherwise.
const PREEMPT: &str = "PreemptLowerPriority";

impl ApiServer {
    /// Nothing is made in a namespace that is not there, or on its way out.
    pub(super) fn admit_into_namespace(&self, call: &Call<'_>, name: &str) -> Result<(), Status> {
        let Some(namespace) = call.address.namespace else { return Ok(()) };
        match self.store.get("namespaces", &Key::new(None, namespace)) {
            Some(found) if found.deleting => Err(Status::terminating(&call.resource, name, namespace)),
            Some(_) => Ok(()),
            None => Err(Status::not_found(&Resource::named("", "namespaces"), namespace)),
        }
    }

    /// Admits a new object.
    pub(super) fn complete(&self, call: &Call<'_>, name: &str, object: &mut Value) -> Result<(), Status> {
        match call.resource.qualified().as_str() {
            "pods" => self.set_priority(object).map_err(|why| Status::forbidden(&call.resource, name, &why)),
            "persistentvolumeclaims" => {
                self.set_storage_class(object);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Gives a pod the priority of its class. The error says why it may not have the one that it names.
    fn set_priority(&self, pod: &mut Value) -> Result<(), String> {
        let named = text(pod, "spec.priorityClassName").to_owned();
        let (class, priority, policy) =
            if let Some((name, priority)) = SYSTEM_CLASSES.iter().find(|(name, _)| *name == named) {
                ((*name).to_owned(), *priority, PREEMPT.to_owned())
            } else {
                let class = match named.as_str() {
                    "" => self.default_priority_class(),
                    name => match self.store.get(PRIORITY_CLASSES, &Key::new(None, name)) {
                        Some(stored) => stored.value(),
                        None => return Err(format!("no PriorityClass with name {name} was found")),
                    },
                };
                let policy = match text(&class, "preemptionPolicy") {
                    "" => PREEMPT,
                    policy => policy,
                };
                (meta::text(&class, "name").to_owned(), number(&class, "value"), policy.to_owned())
            };
        let told = "must not be provided in pod spec; priority admission controller computed";
        if has(pod, "spec.priority") && number(pod, "spec.priority") != priority {
            let sent = number(pod, "spec.priority");
            let from = "from the given PriorityClass name";
            return Err(format!("the integer value of priority ({sent}) {told} {priority} {from}"));
        }
        let sent = text(pod, "spec.preemptionPolicy");
        if !sent.is_empty() && sent != policy {
            let from = "from the given PriorityClass name";
            return Err(format!("the string value of PreemptionPolicy ({sent}) {told} {policy} {from}"));
        }
        if !class.is_empty() {
            fill_blank(pod, "spec.priorityClassName", class);
        }
        fill(pod, "spec.priority", priority);
        fill(pod, "spec.preemptionPolicy", policy);
        Ok(())
    }

    /// The class of pods that name none: of several the one of the lowest priority. Null if there is none.
    fn default_priority_class(&self) -> Value {
        let classes = self.all(PRIORITY_CLASSES).into_iter().map(Stored::value);
        let defaults = classes.filter(|class| at(class, "globalDefault") == &Value::Bool(true));
        defaults.min_by_key(|class| number(class, "value")).unwrap_or_default()
    }

    /// Gives a claim that says nothing the default class: of several the newest, then the first by name.
    fn set_storage_class(&self, claim: &mut Value) {
        let annotated = at(claim, "metadata.annotations").get(OLD_CLASS).is_some();
        if annotated || has(claim, "spec.storageClassName") {
            return;
        }
        let classes = self.all(STORAGE_CLASSES).into_iter().map(Stored::value);
        let defaults =
            classes.filter(|class| at(class, "metadata.annotations").get(IS_DEFAULT) == Some(&"true".into()));
        let newest = defaults.reduce(|best, class| {
            let made = |class: &Value| meta::text(class, "creationTimestamp").to_owned();
            if made(&class) > made(&best) { class } else { best }
        });
        if let Some(class) = newest.filter(|class| !is_blank(at(class, "metadata.name"))) {
            fill(claim, "spec.storageClassName", meta::text(&class, "name"));
        }
    }

    fn all(&self, table: &str) -> Vec<&Stored> {
        let listed = self.store.list(table, None, None, None).unwrap_or_default();
        listed.into_iter().map(|(_, stored)| &**stored).collect()
    }
}
