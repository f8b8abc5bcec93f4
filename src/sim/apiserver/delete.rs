//! Deleting: at once, or by marking what finalizers still hold.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::checks;
use super::decode;
use super::definitions::{self, DEFINITIONS};
use super::list::{self, Selection};
use super::meta;
use super::reply::Reply;
use super::status::{FieldError, Status};
use super::store::{Key, Stored};
use super::write::{full, now_text, strip, warned};
use super::{Answer, ApiServer, Call, Request};
use crate::sim::schema::Schemas;

/// The finalizer under which dependents are deleted first.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer under which dependents lose their owner first.
pub(super) const ORPHAN: &str = "orphan";
/// Seconds that a Pod has to end, unless it says otherwise.
const POD_GRACE: i64 = 30;

/// Kind of the options.
const KIND: &str = "DeleteOptions";
/// Namespaces that stay.
const LASTING: [&str; 3] = ["default", "kube-public", "kube-system"];
/// Resources whose last state is what a delete is answered with.
const TOLD_WHOLE: [&str; 12] = [
    "pods",
    "podtemplates",
    "persistentvolumeclaims",
    "persistentvolumes",
    "resourcequotas",
    "serviceaccounts",
    "services",
    "csidrivers.storage.k8s.io",
    "csinodes.storage.k8s.io",
    "storageclasses.storage.k8s.io",
    "volumeattachments.storage.k8s.io",
    "volumeattributesclasses.storage.k8s.io",
];

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
    /// Reads the body, or the query if there is none.
    fn of(call: &Call<'_>, request: &Request) -> Result<Self, Status> {
        let body = match request.body().is_empty() {
            true => from_query(call)?,
            false => from_body(request)?,
        };
        let text = |path: &str| body.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let orphan = body.get("orphanDependents").and_then(Value::as_bool);
        let policy = text("/propagationPolicy");
        let mut errors = Vec::new();
        if let (Some(_), Some(policy)) = (orphan, &policy) {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            errors.push(FieldError::invalid("propagationPolicy", &policy.as_str().into(), detail));
        }
        let propagation = match policy.as_deref() {
            None => orphan.map(|orphan| if orphan { Propagation::Orphan } else { Propagation::Background }),
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(other) => {
                let known = ["Foreground", "Background", "Orphan", "nil"];
                errors.push(FieldError::not_supported("propagationPolicy", &other.into(), &known));
                None
            }
        };
        let dry_run = body.get("dryRun").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if dry_run.iter().any(|value| value != "All") {
            errors.push(FieldError::not_supported("dryRun", &dry_run.into(), &["All"]));
        }
        if !errors.is_empty() {
            return Err(Status::invalid_options("DeleteOptions", &errors));
        }
        let grace = body.get("gracePeriodSeconds").and_then(Value::as_i64);
        Ok(Self {
            dry_run: !dry_run.is_empty(),
            // A negative grace is the shortest that there is.
            grace: grace.map(|grace| if grace < 0 { 1 } else { grace }),
            propagation,
            uid: text("/preconditions/uid"),
            revision: text("/preconditions/resourceVersion"),
        })
    }
}

/// The options of a query, as a body would have them.
fn from_query(call: &Call<'_>) -> Result<Value, Status> {
    let query = &call.query;
    let flag = |name: &str| query.get(name).map(|_| query.flag(name));
    Ok(json!({
        "gracePeriodSeconds": query.number("gracePeriodSeconds")?,
        "propagationPolicy": query.get("propagationPolicy"),
        "orphanDependents": flag("orphanDependents"),
        "dryRun": query.get("dryRun").map(|value| vec![value]),
    }))
}

/// The options of a body, which may say that it is options of any group.
fn from_body(request: &Request) -> Result<Value, Status> {
    let schema = Schemas::builtin().named("meta.v1.DeleteOptions");
    let options = decode::options(request.headers(), request.body(), schema.as_ref(), KIND)?;
    let text = |name: &str| options.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    match text("kind") {
        None | Some(KIND) => Ok(options),
        Some(kind) => {
            let version = text("apiVersion").unwrap_or("meta.k8s.io/v1");
            Err(Status::bad_request(checks::unregistered(kind, version)))
        }
    }
}

impl ApiServer {
    pub(super) fn delete(&mut self, call: &Call<'_>, request: &Request) -> Result<Answer, Status> {
        let options = Options::of(call, request)?;
        let key = call.key().ok_or_else(Status::method_not_allowed)?;
        warned(warnings(call, &options), self.delete_object(call, &key, &options))
    }

    pub(super) fn delete_collection(&mut self, call: &Call<'_>, request: &Request) -> Result<Answer, Status> {
        let options = Options::of(call, request)?;
        let told = warnings(call, &options);
        let selection = Selection::new(&call.resource, &call.address, &call.query)?;
        let reply = list::list(&self.store, &call.resource, &selection, &call.query, call.form, call.now)?;
        let listed = self.store.list(&call.resource.qualified(), selection.namespace.as_deref(), None, None);
        let listed = listed.unwrap_or_default();
        let selected = listed.into_iter().filter(|(key, stored)| selection.matches(key, stored));
        let keys: Vec<Key> = selected.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.delete_object(call, &key, &options)?;
        }
        warned(told, Ok(reply))
    }

    fn delete_object(&mut self, call: &Call<'_>, key: &Key, options: &Options) -> Result<Reply, Status> {
        let table = call.resource.qualified();
        if table == "namespaces" && LASTING.contains(&key.name()) {
            return Err(Status::forbidden(&call.resource, key.name(), "this namespace may not be deleted"));
        }
        let stored = self.store.get(&table, key).cloned();
        let stored = stored.ok_or_else(|| Status::not_found(&call.resource, key.name()))?;
        let old = full(&call.resource, &stored);
        check_preconditions(call, &old, options)?;
        let mut new = old.clone();
        if table == "namespaces" {
            if meta::get(&old, "deletionTimestamp").is_none() {
                mark(&mut new, 0, call.now);
                meta::edit(&mut new, |metadata| metadata.remove("deletionGracePeriodSeconds"));
                if let Some(status) = new.get_mut("status").and_then(Value::as_object_mut) {
                    status.insert("phase".to_owned(), "Terminating".into());
                }
            }
            return self.keep_marked(call, key, &old, new, options.dry_run);
        }
        set_finalizers(&mut new, options.propagation.or_else(|| usual(&table, &old)));
        if table == "pods" {
            return self.delete_pod(call, key, &old, new, options);
        }
        let is_definition = table == DEFINITIONS;
        if is_definition || !meta::finalizers(&new).is_empty() {
            if meta::get(&old, "deletionTimestamp").is_none() {
                mark(&mut new, 0, call.now);
                count_mark(&mut new, is_definition, call.now);
            }
            return self.keep_marked(call, key, &old, new, options.dry_run);
        }
        self.remove(call, key, new, options)
    }

    /// Pods have time to end, which may become less.
    fn delete_pod(
        &mut self,
        call: &Call<'_>,
        key: &Key,
        old: &Value,
        mut new: Value,
        options: &Options,
    ) -> Result<Reply, Status> {
        let left = meta::get(old, "deletionGracePeriodSeconds").and_then(Value::as_i64);
        let grace = match (meta::get(old, "deletionTimestamp").is_some(), left, options.grace) {
            (false, ..) => {
                let grace = grace(old, options.grace);
                mark(&mut new, grace, call.now);
                count_mark(&mut new, false, call.now);
                grace
            }
            (true, Some(left), Some(wanted)) if wanted < left => {
                let ends = meta::text(old, "deletionTimestamp").parse().unwrap_or(call.now);
                mark(&mut new, wanted - left, ends);
                meta::set(&mut new, "deletionGracePeriodSeconds", wanted);
                wanted
            }
            (true, ..) => return self.keep_marked(call, key, old, new, options.dry_run),
        };
        if grace > 0 || !meta::finalizers(&new).is_empty() {
            return self.keep_marked(call, key, old, new, options.dry_run);
        }
        self.remove(call, key, new, options)
    }

    /// Takes an object away that nothing holds.
    fn remove(&mut self, call: &Call<'_>, key: &Key, object: Value, options: &Options) -> Result<Reply, Status> {
        let table = call.resource.qualified();
        let told = success(call, &object);
        let last = strip(object);
        let removed = if options.dry_run {
            None
        } else {
            if table == "services" {
                self.addresses.release(&last);
            }
            self.store.remove(&table, key, last.clone(), call.now)
        };
        if !TOLD_WHOLE.contains(&table.as_str()) {
            return Ok(Reply::json(200, &told));
        }
        Ok(self.told(call, 200, &removed.unwrap_or_else(|| Stored::transient(&last).into())))
    }

    fn keep_marked(&mut self, call: &Call<'_>, key: &Key, old: &Value, new: Value, dry: bool) -> Result<Reply, Status> {
        if dry || *old == new {
            return Ok(self.told(call, 200, &Stored::transient(&strip(new))));
        }
        let stored = self.store.put(&call.resource.qualified(), key, strip(new), call.now);
        Ok(self.told(call, 200, &stored))
    }
}

/// What is said of deletes that leave pods behind.
fn warnings(call: &Call<'_>, options: &Options) -> Vec<String> {
    let silent = call.resource.qualified() != "jobs.batch" || options.propagation.is_some();
    let warning = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove \
        them or set propagationPolicy=Orphan to suppress this warning";
    if silent { Vec::new() } else { vec![warning.to_owned()] }
}

/// Writes into an object that it is being deleted.
fn mark(object: &mut Value, grace: i64, now: Timestamp) {
    let at = now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(now);
    meta::edit(object, |metadata| {
        metadata.insert("deletionTimestamp".to_owned(), now_text(at).into());
        metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    });
}

/// Counts that an object was marked, which changes what it should be.
fn count_mark(object: &mut Value, is_definition: bool, now: Timestamp) {
    if is_definition {
        meta::edit(object, |metadata| metadata.remove("deletionGracePeriodSeconds"));
        definitions::mark(object, &now_text(now));
        return;
    }
    let generation = meta::generation(object);
    if generation > 0 {
        meta::set(object, "generation", generation + 1);
    }
}

/// Only Pods that run somewhere have time to end.
fn grace(pod: &Value, wanted: Option<i64>) -> i64 {
    let at = |pointer: &str| pod.pointer(pointer);
    let ended = matches!(at("/status/phase").and_then(Value::as_str), Some("Failed" | "Succeeded"));
    let placed = at("/spec/nodeName").and_then(Value::as_str).is_some_and(|node| !node.is_empty());
    if ended || !placed {
        return 0;
    }
    let own = at("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    wanted.or(own).unwrap_or(POD_GRACE)
}

/// What becomes of dependents if nothing is said: by history, those of some objects stay.
fn usual(table: &str, object: &Value) -> Option<Propagation> {
    let leaves = matches!(table, "jobs.batch" | "replicationcontrollers");
    let decided = meta::finalizers(object).iter().any(|name| [FOREGROUND, ORPHAN].contains(name));
    (leaves && !decided).then_some(Propagation::Orphan)
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
