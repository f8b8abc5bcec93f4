//! Creating and replacing objects: what every write goes through, whichever way it came.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::checks::{check_kind, check_name, check_preconditions, check_uid};
use super::decode;
use super::definitions::DEFINITIONS;
use super::meta;
use super::options::Options;
use super::reply::Reply;
use super::request::FieldValidation;
use super::resources::{Resource, split_group};
use super::rules::{count_generation, repeated_owners};
use super::status::{FieldError, Status};
use super::store::{Key, Stored};
use super::{Answer, ApiServer, Call, Request};
use crate::sim::kinds::{self, Generation, warnings};
use crate::sim::managed::{self, Context, OneVersion};
use crate::sim::schema::Schemas;

/// Metadata that only the server sets.
const SERVER_METADATA: [&str; 5] =
    ["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"];

/// Where the fields of a changed object come from.
pub(super) enum Ownership {
    /// They are worked out: what changed is the manager's.
    Update,
    /// They are there already: the object was applied.
    Applied,
}

impl ApiServer {
    pub(super) fn create(&mut self, call: &Call<'_>, request: &Request) -> Result<Answer, Status> {
        let options = Options::of(call, request, "CreateOptions")?;
        let (mut object, mut warnings) = self.read(call, request, options.validation)?;
        warnings.extend(repeated_owners(&mut object, ""));
        warned(warnings, self.create_object(call, &options, object))
    }

    fn create_object(&mut self, call: &Call<'_>, options: &Options, mut object: Value) -> Result<Reply, Status> {
        self.place(call, &mut object)?;
        wipe(&mut object);
        call.fill(&mut object);
        let object = managed::update(&self.context(call, &options.manager, &now_text(call.now)), None, object);
        if !meta::text(&object, "resourceVersion").is_empty() {
            return Err(Status::internal("resourceVersion should not be set on objects to be created"));
        }
        self.insert(call, object, options.dry_run)
    }

    pub(super) fn replace(&mut self, call: &Call<'_>, request: &Request) -> Result<Answer, Status> {
        let options = Options::of(call, request, "UpdateOptions")?;
        let (mut object, mut warnings) = self.read(call, request, options.validation)?;
        warnings.extend(repeated_owners(&mut object, ""));
        warned(warnings, self.replace_object(call, &options, object))
    }

    fn replace_object(&mut self, call: &Call<'_>, options: &Options, mut object: Value) -> Result<Reply, Status> {
        let key = call.key().ok_or_else(Status::method_not_allowed)?;
        check_name(&object, key.name())?;
        self.place(call, &mut object)?;
        let Some(old) = self.object(&call.resource, &key) else {
            if !call.kind.creates_on_update {
                return Err(Status::not_found(&call.resource, key.name()));
            }
            check_uid(call, key.name(), meta::text(&object, "uid"), "")?;
            call.fill(&mut object);
            let object = managed::update(&self.context(call, &options.manager, &now_text(call.now)), None, object);
            return self.insert(call, object, options.dry_run);
        };
        self.change(call, options, &old, object, Ownership::Update)
    }

    /// An object of the store, with its kind and version.
    pub(super) fn object(&self, resource: &Resource, key: &Key) -> Option<Value> {
        self.store.get(&resource.qualified(), key).map(|stored| full(resource, stored))
    }

    /// Reads the object that a request carries.
    pub(super) fn read(
        &self,
        call: &Call<'_>,
        request: &Request,
        validation: FieldValidation,
    ) -> Result<(Value, Vec<String>), Status> {
        let body = decode::body(request.headers(), request.body(), &call.resource)?;
        let (object, mut warnings) = self.read_json(call, &body.json, validation)?;
        match (body.problem, validation) {
            (Some(problem), FieldValidation::Strict) => {
                return Err(decode::unfit(&call.resource, &format!("strict decoding error: {problem}")));
            }
            (Some(problem), FieldValidation::Warn) => warnings.insert(0, problem),
            _ => {}
        }
        Ok((object, warnings))
    }

    /// Reads an object from JSON.
    pub(super) fn read_json(
        &self,
        call: &Call<'_>,
        body: &[u8],
        validation: FieldValidation,
    ) -> Result<(Value, Vec<String>), Status> {
        if call.custom.is_some() {
            return self.read_custom(call, body, validation);
        }
        // What says that it is of another kind is read as that.
        let other =
            decode::kind(body).filter(|(_, kind)| *kind != call.resource.kind).and_then(|(api_version, kind)| {
                let (group, version) = split_group(&api_version);
                Schemas::builtin().of(group, version, &kind)
            });
        let decoded = decode::object(body, &call.resource, other.as_ref().or(call.schema.as_ref()))?;
        let (mut object, warnings) = decoded.checked(validation, &call.resource)?;
        check_kind(&mut object, &call.resource, &|api_version, kind| {
            let (group, version) = split_group(api_version);
            self.resources.by_kind(group, version, kind).is_some()
        })?;
        Ok((object, warnings))
    }

    /// Puts an object into the namespace of the path.
    pub(super) fn place(&self, call: &Call<'_>, object: &mut Value) -> Result<(), Status> {
        let sent = meta::text(object, "namespace");
        match call.address.namespace {
            Some(namespace) if sent.is_empty() => meta::set(object, "namespace", namespace),
            Some(namespace) if sent != namespace => {
                let message = "the namespace of the provided object does not match the namespace sent on the request";
                return Err(Status::bad_request(message));
            }
            Some(_) => {}
            None => meta::edit(object, |metadata| {
                metadata.remove("namespace");
            }),
        }
        Ok(())
    }

    /// What managed fields are judged by.
    pub(super) fn context<'a>(&'a self, call: &'a Call<'_>, manager: &'a str, now: &'a str) -> Context<'a> {
        Context {
            schema: call.schema.as_ref().unwrap_or(&self.deduced),
            api_version: &call.api_version,
            kind: &call.resource.kind,
            manager,
            subresource: call.address.subresource.unwrap_or_default(),
            reset: call.reset.as_ref(),
            versions: if call.custom.is_some() { self } else { &OneVersion },
            now,
        }
    }

    /// Makes an object that has its managed fields.
    pub(super) fn insert(&mut self, call: &Call<'_>, mut object: Value, dry_run: bool) -> Result<Reply, Status> {
        if meta::text(&object, "name").is_empty() && !meta::text(&object, "generateName").is_empty() {
            let name = self.ids.name(meta::text(&object, "generateName"));
            meta::set(&mut object, "name", name);
        }
        let name = meta::text(&object, "name").to_owned();
        self.admit_into_namespace(call, &name)?;
        self.complete(call, &name, &mut object)?;
        self.check_escalation(call, &object, None)?;
        self.admit(call, &name, &mut object)?;
        let uid = self.ids.uid();
        wipe(&mut object);
        meta::edit(&mut object, |metadata| {
            metadata.insert("uid".to_owned(), uid.into());
            metadata.insert("creationTimestamp".to_owned(), now_text(call.now).into());
            if call.kind.generation != Generation::None {
                metadata.insert("generation".to_owned(), 1.into());
            }
        });
        call.tidy(&mut object);
        if call.kind.has_status {
            remove(&mut object, "status");
        }
        let table = call.resource.qualified();
        let unlabelled = table == "jobs.batch" && meta::get(&object, "labels").is_none();
        (call.kind.prepare_create)(&mut object);
        let mut errors = meta::check(&object, call.kind, (call.resource.namespaced, call.custom.is_some()));
        call.check(&object, None, &mut errors);
        self.refuse(call, &name, &errors)?;
        let warnings = warnings::of_object(&table, &object, None);
        let key = Key::new(call.address.namespace, &name);
        if let Some(there) = self.store.get(&table, &key) {
            let mut status = Status::already_exists(&call.resource, &name);
            if there.deleting {
                status.message = format!("object is being deleted: {}", status.message);
            }
            return Err(status.warned(warnings));
        }
        self.assign_addresses(call, &name, &mut object, None, dry_run)?;
        let mut sent = call.store(&mut object);
        if unlabelled {
            // The labels of a new Job are those of its pods, but only whenever it is read.
            let mut written = object.clone();
            meta::edit(&mut written, |metadata| metadata.remove("labels"));
            sent = Some(written);
        }
        let stored = if dry_run {
            Stored::transient(&strip(object)).into()
        } else {
            self.remember_raw(&table, &key, sent);
            self.put(&table, &key, strip(object), call.now)
        };
        Ok(Reply { warnings, ..self.told(call, 201, &stored) })
    }

    /// Changes an object. `new` is as it was sent; what the server decides is put into it here.
    pub(super) fn change(
        &mut self,
        call: &Call<'_>,
        options: &Options,
        old: &Value,
        mut new: Value,
        ownership: Ownership,
    ) -> Result<Reply, Status> {
        let name = meta::text(old, "name").to_owned();
        check_preconditions(call, old, &new, options.is_put)?;
        call.fill(&mut new);
        self.check_escalation(call, &new, Some(old))?;
        if matches!(ownership, Ownership::Update) {
            new = managed::update(&self.context(call, &options.manager, &now_text(call.now)), Some(old), new);
        }
        self.admit(call, &name, &mut new)?;
        match call.address.subresource {
            Some("status") => keep_all_but_status(call, &mut new, old),
            _ if call.kind.has_status => carry_member(&mut new, old, "status"),
            _ => {}
        }
        let sent = ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"]
            .map(|name| (name, meta::get(&new, name).cloned()));
        meta::carry(&mut new, old, &SERVER_METADATA);
        // What was sent is refused below if it is another one.
        for (name, sent) in sent {
            if let Some(sent) = sent {
                meta::set(&mut new, name, sent);
            }
        }
        meta::carry(&mut new, old, &["resourceVersion", "generateName"]);
        call.tidy(&mut new);
        (call.kind.prepare_update)(&mut new, old);
        if call.address.subresource != Some("status") {
            count_generation(call.kind, &mut new, old);
        }
        let mut errors = meta::check(&new, call.kind, (call.resource.namespaced, call.custom.is_some()));
        errors.extend(meta::check_update(&new, old));
        call.check(&new, Some(old), &mut errors);
        (call.kind.validate_update)(&new, old, &mut errors);
        if call.address.subresource == Some("status") {
            kinds::validate_status(&call.resource.qualified(), &new, &mut errors);
        }
        self.refuse(call, &name, &errors)?;
        self.assign_addresses(call, &name, &mut new, Some(old), options.dry_run)?;
        let warnings = warnings::of_object(&call.resource.qualified(), &new, Some(old));
        let reply = self.keep(call, old, new, options.dry_run)?;
        Ok(Reply { warnings, ..reply })
    }

    /// Keeps a changed object, if it did change; an object that waited only for this to go, goes.
    pub(super) fn keep(
        &mut self,
        call: &Call<'_>,
        old: &Value,
        mut new: Value,
        dry_run: bool,
    ) -> Result<Reply, Status> {
        let sent = call.store(&mut new);
        let key = Key::new(call.address.namespace, meta::text(old, "name"));
        let table = call.resource.qualified();
        let place = (table.clone(), key.clone());
        let unchanged = match (self.raw.get(&place), &sent) {
            (None, None) => managed::same_but_for_times(old, &new),
            (before, sent) => {
                let mut before = before.unwrap_or(old).clone();
                meta::carry(&mut before, old, &["resourceVersion"]);
                managed::same_but_for_times(&before, sent.as_ref().unwrap_or(&new))
            }
        };
        if unchanged || dry_run {
            let told = if unchanged { old.clone() } else { new };
            return Ok(self.told(call, 200, &Stored::transient(&strip(told))));
        }
        let goes = meta::get(&new, "deletionTimestamp").is_some()
            && meta::finalizers(&new).is_empty()
            && !has_namespace_finalizers(&call.resource, &new)
            && meta::get(&new, "deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(0) == 0;
        if goes {
            // What is removed is what was kept; the change that let it go is only answered.
            self.store.remove(&table, &key, strip(old.clone()), call.now);
            return Ok(self.told(call, 200, &Stored::transient(&strip(new))));
        }
        self.remember_raw(&table, &key, sent);
        let stored = self.put(&table, &key, strip(new), call.now);
        Ok(self.told(call, 200, &stored))
    }

    /// Remembers what was written of an object that is read as something else.
    fn remember_raw(&mut self, table: &str, key: &Key, raw: Option<Value>) {
        let place = (table.to_owned(), key.clone());
        match raw {
            Some(raw) => self.raw.insert(place, raw),
            None => self.raw.remove(&place),
        };
    }

    /// Keeps an object; what a change of it leads to is done when the request is answered.
    pub(super) fn put(&mut self, table: &str, key: &Key, object: Value, now: Timestamp) -> Arc<Stored> {
        if table == DEFINITIONS {
            self.changed_definitions.insert(key.clone());
        }
        self.store.put(table, key, object, now)
    }

    fn refuse(&self, call: &Call<'_>, name: &str, errors: &[FieldError]) -> Result<(), Status> {
        match errors {
            [] => Ok(()),
            errors => Err(Status::invalid(&call.resource.group, &call.resource.kind, name, errors)),
        }
    }

    /// Gives a Service its addresses and ports.
    fn assign_addresses(
        &mut self,
        call: &Call<'_>,
        name: &str,
        object: &mut Value,
        old: Option<&Value>,
        dry_run: bool,
    ) -> Result<(), Status> {
        if call.resource.qualified() != "services" {
            return Ok(());
        }
        if dry_run {
            let errors = self.addresses.try_assign(object, old);
            return self.refuse(call, name, &errors);
        }
        let errors = self.addresses.assign(object, old);
        self.refuse(call, name, &errors)
    }
}

/// An answer with the warnings that came before it.
pub(super) fn warned(warnings: Vec<String>, result: Result<Reply, Status>) -> Result<Answer, Status> {
    match result {
        Ok(mut reply) => {
            reply.warnings.splice(0..0, warnings);
            Ok(Answer::Reply(reply))
        }
        Err(mut status) => {
            status.warnings.splice(0..0, warnings);
            Err(status)
        }
    }
}

/// An object of the store, with its kind and version.
pub(super) fn full(resource: &Resource, stored: &Stored) -> Value {
    let mut object = stored.value();
    if let Some(members) = object.as_object_mut() {
        members.insert("apiVersion".to_owned(), resource.api_version().into());
        members.insert("kind".to_owned(), resource.kind.as_str().into());
    }
    object
}

/// An object as it is kept: its kind and version are its resource's.
pub(super) fn strip(mut object: Value) -> Value {
    remove(&mut object, "apiVersion");
    remove(&mut object, "kind");
    object
}

/// A time as objects carry it.
pub(super) fn now_text(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Takes off what only the server sets. A generation that was sent stays in kinds that have none.
fn wipe(object: &mut Value) {
    meta::edit(object, |metadata| {
        for name in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
            metadata.remove(name);
        }
    });
}

fn remove(object: &mut Value, member: &str) {
    if let Some(members) = object.as_object_mut() {
        members.remove(member);
    }
}

fn carry_member(new: &mut Value, old: &Value, member: &str) {
    if let Some(members) = new.as_object_mut() {
        match old.get(member) {
            Some(value) => members.insert(member.to_owned(), value.clone()),
            None => members.remove(member),
        };
    }
}

/// A write of the status changes nothing else, but for the metadata of most built-in kinds.
fn keep_all_but_status(call: &Call<'_>, new: &mut Value, old: &Value) {
    let members: Vec<String> =
        [&*new, old].into_iter().filter_map(Value::as_object).flatten().map(|(name, _)| name.clone()).collect();
    for member in members.iter().filter(|name| !matches!(name.as_str(), "status" | "metadata")) {
        carry_member(new, old, member);
    }
    if call.resource.custom {
        let managed = meta::get(new, "managedFields").cloned();
        carry_member(new, old, "metadata");
        if let Some(managed) = managed {
            meta::set(new, "managedFields", managed);
        }
    } else {
        let kept: &[&str] = match call.resource.kind.as_str() {
            "Deployment" => &["labels"],
            "Pod" => &["ownerReferences"],
            "ServiceCIDR" | "VolumeAttachment" | "CSINode" | "ValidatingAdmissionPolicy" => {
                &["labels", "annotations", "finalizers", "ownerReferences"]
            }
            _ => &[],
        };
        meta::carry(new, old, kept);
    }
}

fn has_namespace_finalizers(resource: &Resource, object: &Value) -> bool {
    let finalizers = object.pointer("/spec/finalizers").and_then(Value::as_array);
    resource.qualified() == "namespaces" && finalizers.is_some_and(|finalizers| !finalizers.is_empty())
}
