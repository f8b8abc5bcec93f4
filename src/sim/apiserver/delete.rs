//! Deleting: at once, or by marking what finalizers still hold.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::decode;
use super::definitions::{self, DEFINITIONS};
use super::list::{self, Selection};
use super::meta;
use super::reply::Reply;
use super::status::{FieldError, Status};
use super::store::{Key, Stored};
use super::write::{full, now_text, strip};
use super::{Answer, ApiServer, Call, Request};

/// The finalizer under which dependents are deleted first.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer under which dependents lose their owner first.
pub(super) const ORPHAN: &str = "orphan";
/// Seconds that a Pod has to end, unless it says otherwise.
const POD_GRACE: i64 = 30;

/// What becomes of dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// How an object is to be deleted.
#[derive(Clone, Debug, Default)]
struct Options {
    dry_run: bool,
    grace: Option<i64>,
    propagation: Option<Propagation>,
    uid: Option<String>,
    revision: Option<String>,
}

impl Options {
    fn of(call: &Call<'_>, request: &Request) -> Result<Self, Status> {
        let kind = "DeleteOptions";
        let mut options = Self { dry_run: call.query.dry_run(kind)?, ..Self::default() };
        options.grace = call.query.number("gracePeriodSeconds")?;
        let mut propagation = call.query.get("propagationPolicy").map(str::to_owned);
        if !request.body().is_empty() {
            let body = decode::json_body(request.headers(), request.body())?;
            let body: Value = serde_json::from_slice(&body).map_err(|error| Status::bad_request(error.to_string()))?;
            let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            options.dry_run |= body.get("dryRun").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
            options.grace = options.grace.or_else(|| body.get("gracePeriodSeconds").and_then(Value::as_i64));
            options.uid = text("/preconditions/uid");
            options.revision = text("/preconditions/resourceVersion");
            propagation = propagation.or_else(|| text("/propagationPolicy"));
            if body.get("orphanDependents") == Some(&true.into()) {
                options.propagation = Some(Propagation::Orphan);
            }
        }
        options.propagation = match propagation.as_deref() {
            None => options.propagation,
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(other) => {
                let known = ["Foreground", "Background", "Orphan", "nil"];
                let error = FieldError::not_supported("propagationPolicy", &other.into(), &known);
                return Err(Status::invalid_options(kind, &[error]));
            }
        };
        // A negative grace is the shortest that there is.
        options.grace = options.grace.map(|grace| if grace < 0 { 1 } else { grace });
        Ok(options)
    }
}

impl ApiServer {
    pub(super) fn delete(&mut self, call: &Call<'_>, request: &Request) -> Result<Answer, Status> {
        let options = Options::of(call, request)?;
        let key = call.key().ok_or_else(Status::method_not_allowed)?;
        self.delete_object(call, &key, &options).map(Answer::Reply)
    }

    pub(super) fn delete_collection(&mut self, call: &Call<'_>, request: &Request) -> Result<Answer, Status> {
        let options = Options::of(call, request)?;
        let selection = Selection::new(&call.resource, &call.address, &call.query)?;
        let reply = list::list(&self.store, &call.resource, &selection, &call.query, call.form, call.now)?;
        let listed = self.store.list(&call.resource.qualified(), selection.namespace.as_deref(), None, None);
        let listed = listed.unwrap_or_default();
        let selected = listed.into_iter().filter(|(key, stored)| selection.matches(key, stored));
        let keys: Vec<Key> = selected.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.delete_object(call, &key, &options)?;
        }
        Ok(Answer::Reply(reply))
    }

    fn delete_object(&mut self, call: &Call<'_>, key: &Key, options: &Options) -> Result<Reply, Status> {
        let stored = self.store.get(&call.resource.qualified(), key).cloned();
        let stored = stored.ok_or_else(|| Status::not_found(&call.resource, key.name()))?;
        let old = full(&call.resource, &stored);
        check_preconditions(call, &old, options)?;
        let mut new = old.clone();
        if call.resource.qualified() == "namespaces" {
            if meta::get(&old, "deletionTimestamp").is_none() {
                mark(&mut new, 0, call.now);
                meta::edit(&mut new, |metadata| metadata.remove("deletionGracePeriodSeconds"));
                if let Some(status) = new.get_mut("status").and_then(Value::as_object_mut) {
                    status.insert("phase".to_owned(), "Terminating".into());
                }
            }
            return self.keep_marked(call, key, &old, new, options.dry_run);
        }
        set_finalizers(&mut new, options.propagation);
        let grace = grace(&call.resource.qualified(), &old, options.grace);
        let marked = meta::get(&old, "deletionTimestamp").is_some();
        let is_definition = call.resource.qualified() == DEFINITIONS;
        let waits = is_definition || !meta::finalizers(&new).is_empty() || (grace > 0 && !marked);
        let shortened = !is_definition && marked && grace == 0 && meta::finalizers(&new).is_empty();
        if waits && !shortened {
            if !marked {
                mark(&mut new, grace, call.now);
                if is_definition {
                    meta::edit(&mut new, |metadata| metadata.remove("deletionGracePeriodSeconds"));
                    definitions::mark(&mut new, &now_text(call.now));
                }
                let generation = meta::generation(&old);
                if generation > 0 && !is_definition {
                    meta::set(&mut new, "generation", generation + 1);
                }
            }
            return self.keep_marked(call, key, &old, new, options.dry_run);
        }
        if !options.dry_run {
            if call.resource.qualified() == "services" {
                self.addresses.release(&old);
            }
            self.store.remove(&call.resource.qualified(), key, strip(new), call.now);
        }
        Ok(Reply::json(200, &success(call, &old)))
    }

    fn keep_marked(&mut self, call: &Call<'_>, key: &Key, old: &Value, new: Value, dry: bool) -> Result<Reply, Status> {
        if dry || *old == new {
            return Ok(self.told(call, 200, &Stored::transient(&strip(new))));
        }
        let stored = self.store.put(&call.resource.qualified(), key, strip(new), call.now);
        Ok(self.told(call, 200, &stored))
    }
}

/// Writes into an object that it is being deleted.
fn mark(object: &mut Value, grace: i64, now: Timestamp) {
    let at = now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(now);
    meta::edit(object, |metadata| {
        metadata.insert("deletionTimestamp".to_owned(), now_text(at).into());
        metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    });
}

/// Only Pods that run somewhere have time to end.
fn grace(resource: &str, object: &Value, wanted: Option<i64>) -> i64 {
    let at = |pointer: &str| object.pointer(pointer);
    let ended = matches!(at("/status/phase").and_then(Value::as_str), Some("Failed" | "Succeeded"));
    let placed = at("/spec/nodeName").and_then(Value::as_str).is_some_and(|node| !node.is_empty());
    if resource != "pods" || ended || !placed {
        return 0;
    }
    let own = at("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    wanted.or(own).unwrap_or(POD_GRACE)
}

fn set_finalizers(object: &mut Value, propagation: Option<Propagation>) {
    let Some(propagation) = propagation else { return };
    let wanted = match propagation {
        Propagation::Background => None,
        Propagation::Foreground => Some(FOREGROUND),
        Propagation::Orphan => Some(ORPHAN),
    };
    let kept = meta::finalizers(object).into_iter().filter(|name| ![FOREGROUND, ORPHAN].contains(name));
    let finalizers: Vec<Value> = kept.chain(wanted).map(Value::from).collect();
    meta::edit(object, |metadata| match finalizers.is_empty() {
        true => metadata.remove("finalizers"),
        false => metadata.insert("finalizers".to_owned(), finalizers.into()),
    });
}

fn check_preconditions(call: &Call<'_>, object: &Value, options: &Options) -> Result<(), Status> {
    let name = meta::text(object, "name");
    let refused = |why: String| {
        // Here the kind stands where other conflicts have the plural.
        let kind = &call.resource.kind;
        let mut status = Status::conflict(&call.resource, name, &why);
        status.message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            match call.resource.group.as_str() {
                "" => kind.clone(),
                group => format!("{kind}.{group}"),
            }
        );
        if let Some(details) = &mut status.details {
            details.insert("kind".to_owned(), kind.as_str().into());
        }
        Err(status)
    };
    let (uid, revision) = (meta::text(object, "uid"), meta::text(object, "resourceVersion"));
    if call.resource.qualified() == "namespaces" {
        let told = |what: &str, sent: &str, there: &str| {
            let why = format!("Precondition failed: {what} in precondition: {sent}, {what} in object meta: {there}");
            Err(Status::conflict(&call.resource, name, &why))
        };
        return match (&options.uid, &options.revision) {
            (Some(sent), _) if sent != uid => told("UID", sent, uid),
            (_, Some(sent)) if sent != revision => told("ResourceVersion", sent, revision),
            _ => Ok(()),
        };
    }
    if let Some(sent) = options.uid.as_deref().filter(|sent| *sent != uid) {
        return refused(format!(
            "the UID in the precondition ({sent}) does not match the UID in record ({uid}). The object might have been \
             deleted and then recreated"
        ));
    }
    if let Some(sent) = options.revision.as_deref().filter(|sent| *sent != revision) {
        return refused(format!(
            "the ResourceVersion in the precondition ({sent}) does not match the ResourceVersion in record ({revision}). \
             The object might have been modified"
        ));
    }
    Ok(())
}

/// What is answered when an object is gone.
fn success(call: &Call<'_>, object: &Value) -> Value {
    let mut details = json!({
        "name": meta::text(object, "name"), "kind": call.resource.plural, "uid": meta::text(object, "uid"),
    });
    if let (false, Some(details)) = (call.resource.group.is_empty(), details.as_object_mut()) {
        details.insert("group".to_owned(), call.resource.group.as_str().into());
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
