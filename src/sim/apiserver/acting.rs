//! How the controllers act: they read and write through the same doors as everybody, under their own names.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::request::{Address, Query};
use super::resources::Resource;
use super::store::{Key, Place};
use super::write::{now_text, strip};
use super::{Answer, ApiServer, Call, Request, meta};
use crate::sim::controllers::{self, Controllers};

/// Steps that are done before a request is answered. What is due beyond them waits for the next one.
const MAX_STEPS: usize = 100_000;
/// Nodes that are objects at most.
const MAX_NODES: u32 = 100;

impl ApiServer {
    /// When the controllers have something to do next; `None`: not before something changes.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.work.next()
    }

    /// Lets the controllers do what is due. Each thing is done as of the time at which it was due, so that it does not
    /// matter how often this is called.
    pub fn wake(&mut self, now: Timestamp) {
        for _ in 0..MAX_STEPS {
            let Some((at, place)) = self.work.take(now) else { return };
            let before = self.store.revision();
            controllers::look_at(&mut Acting { server: self, now: at }, &place);
            if self.store.revision() != before {
                self.settle(at);
            }
        }
    }

    /// Has the nodes be there on which pods run.
    pub(super) fn join_nodes(&mut self, now: Timestamp) {
        if !self.controllers.pods {
            return;
        }
        for index in 0..self.controllers.nodes.min(MAX_NODES) {
            let mut acting = Acting { server: self, now };
            let wanted = controllers::node_object(index, &acting.now_text());
            let Some(mut node) = acting.create("kubelet", "nodes", &wanted) else { continue };
            if let (Some(members), Some(status)) = (node.as_object_mut(), wanted.get("status")) {
                members.insert("status".to_owned(), status.clone());
            }
            acting.update("kubelet", "nodes", Some("status"), &node);
        }
    }

    /// Has what changed looked at by the controllers that it concerns.
    pub(super) fn hand_over(&mut self, now: Timestamp) {
        for (place, stored) in self.store.take_touched() {
            let at = now.checked_add(self.controllers.pace.reaction).unwrap_or(now);
            if self.store.get(&place.0, &place.1).is_none() {
                self.work.forget(meta::text(&stored.value(), "uid"));
            }
            if let Some(owner) = controllers::controller_of(&place, &stored) {
                self.work.add(owner, at);
            }
            self.work.add(place, at);
        }
    }
}

/// The server as its controllers see it.
#[derive(Debug)]
pub(in crate::sim) struct Acting<'s> {
    server: &'s mut ApiServer,
    /// The time.
    pub(in crate::sim) now: Timestamp,
}

impl Acting<'_> {
    /// Which controllers run, and how.
    pub(in crate::sim) fn settings(&self) -> Controllers {
        self.server.controllers
    }

    /// The time as objects carry it.
    pub(in crate::sim) fn now_text(&self) -> String {
        now_text(self.now)
    }

    /// The object of a place.
    pub(in crate::sim) fn get(&self, table: &str, key: &Key) -> Option<Value> {
        let resource = self.server.of_table(table)?;
        self.server.object(&resource, key)
    }

    /// The objects of a table that have an owner of this uid, by their keys.
    pub(in crate::sim) fn owned(&self, table: &str, uid: &str) -> Vec<Value> {
        let Some(resource) = self.server.of_table(table) else { return Vec::new() };
        let places = self.server.store.owned_by(uid).filter(|(of, _)| of == table);
        places.filter_map(|(_, key)| self.server.object(&resource, key)).collect()
    }

    /// Whether an object of a table and namespace is like this.
    pub(in crate::sim) fn any(&self, table: &str, namespace: &str, like: impl Fn(&Value) -> bool) -> bool {
        let listed = self.server.store.list(table, Some(namespace), None, None).unwrap_or_default();
        listed.iter().any(|(_, stored)| like(&stored.value()))
    }

    /// Makes an object. Gives what was made; `None`: it was refused.
    pub(in crate::sim) fn create(&mut self, by: &str, table: &str, object: &Value) -> Option<Value> {
        let key = Key::new(Some(meta::text(object, "namespace")).filter(|name| !name.is_empty()), "");
        self.write(by, table, &key, None, object, |server, call, request| server.create(call, request))
    }

    /// Writes an object, or a part of it. `None`: it was refused.
    pub(in crate::sim) fn update(
        &mut self,
        by: &str,
        table: &str,
        part: Option<&'static str>,
        object: &Value,
    ) -> Option<Value> {
        let key = key_of(object);
        self.write(by, table, &key, part, object, |server, call, request| server.replace(call, request))
    }

    /// Deletes an object, at once or with the time to end that it has.
    pub(in crate::sim) fn delete(&mut self, table: &str, key: &Key, at_once: bool) {
        let options = if at_once { json!({"gracePeriodSeconds": 0}) } else { json!({}) };
        self.write("", table, key, None, &options, |server, call, request| server.delete(call, request));
    }

    /// Gives a pod its node. Nobody owns that field: it is not written by an update.
    pub(in crate::sim) fn bind(&mut self, key: &Key, node: &str) {
        let now = self.now_text();
        let Some(mut pod) = self.get("pods", key) else { return };
        let generation = meta::generation(&pod);
        let condition = json!({
            "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
            "observedGeneration": generation,
        });
        if let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert("nodeName".to_owned(), node.into());
        }
        if let Some(status) = pod.get_mut("status").and_then(Value::as_object_mut) {
            status.insert("conditions".to_owned(), json!([condition]));
        }
        self.server.store.put("pods", key, strip(pod), self.now);
    }

    /// Has a place looked at again.
    pub(in crate::sim) fn again(&mut self, place: Place, at: Timestamp) {
        self.server.work.add(place, at);
    }

    /// Whether the time of this length has passed since this was asked first of a uid; if not, the place is looked at again
    /// when it has.
    pub(in crate::sim) fn has_passed(
        &mut self,
        place: &Place,
        uid: &str,
        clock: &'static str,
        length: SignedDuration,
    ) -> bool {
        let end = self.server.work.clock(uid, clock, length, self.now);
        if end <= self.now {
            self.server.work.stop_clock(uid, clock);
            return true;
        }
        self.again(place.clone(), end);
        false
    }

    fn write(
        &mut self,
        by: &str,
        table: &str,
        key: &Key,
        part: Option<&'static str>,
        object: &Value,
        write: impl FnOnce(&mut ApiServer, &Call<'_>, &Request) -> Result<Answer, super::status::Status>,
    ) -> Option<Value> {
        let resource: Arc<Resource> = self.server.of_table(table)?;
        let address = Address {
            group: &resource.group,
            version: &resource.version,
            plural: &resource.plural,
            namespace: key.namespace(),
            name: Some(key.name()).filter(|name| !name.is_empty()),
            subresource: part,
        };
        let query = Query::parse(&format!("fieldManager={by}"));
        let call = self.server.call(resource.clone(), address, query, self.now);
        let body = serde_json::to_vec(object).unwrap_or_default();
        let request = http::Request::builder().header(http::header::CONTENT_TYPE, "application/json").body(body.into());
        match write(self.server, &call, &request.ok()?) {
            Ok(Answer::Reply(reply)) if reply.code < 300 => serde_json::from_slice(&reply.bytes()).ok(),
            // Refused as anybody would be: a namespace on its way out, say. The next change has it looked at again.
            _ => None,
        }
    }
}

/// The key of an object.
pub(in crate::sim) fn key_of(object: &Value) -> Key {
    let namespace = meta::text(object, "namespace");
    Key::new((!namespace.is_empty()).then_some(namespace), meta::text(object, "name"))
}
