//! The API server: requests in, answers and watches out. Nothing in here opens a socket, looks at a clock or draws a random
//! number: `now` comes with each request, and names and ids from a generator that was given a seed.

pub mod access;
pub(in crate::sim) mod acting;
pub mod admission;
mod checks;
pub mod columns;
mod custom;
pub mod decode;
mod definitions;
mod delete;
pub mod discovery;
mod escalation;
pub mod fields;
pub mod form;
pub mod ids;
pub mod labels;
pub mod lifecycle;
pub mod list;
pub mod meta;
pub mod names;
pub mod openapi;
mod options;
mod patch;
mod plugins;
pub mod reply;
pub mod request;
pub mod resources;
mod reviews;
mod rules;
mod scale;
pub mod status;
pub mod store;
pub mod table;
pub mod watch;
mod work;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use jiff::Timestamp;

use serde_json::{Value, json};

use self::access::{Action, User};
use self::admission::Admission;
use self::form::Form;
use self::ids::Ids;
use self::lifecycle::Controllers;
use self::list::Selection;
use self::reply::{Reply, partial, whole};
use self::request::{Address, Query, Target, verb};
use self::resources::{Resource, Resources};
use self::status::Status;
use self::store::{Key, Place, Saved, Store, Stored, Write};
use self::watch::{Frame, Watch};
use self::work::Work;
use super::fields::FieldSet;
use super::kinds::services::Addresses;
use super::kinds::{self, Kind, warnings};
use super::managed::reset_fields;
use super::schema::{Schema, Schemas};

/// A request, with its whole body.
pub type Request = http::Request<Bytes>;

/// What a request is answered with.
#[derive(Debug)]
pub enum Answer {
    /// All of it.
    Reply(Reply),
    /// A stream of lines, which [`ApiServer::next`] gives.
    Watch(Box<Watch>),
}

impl From<Result<Self, Status>> for Answer {
    fn from(result: Result<Self, Status>) -> Self {
        result.unwrap_or_else(|status| Self::Reply(status.into()))
    }
}

/// A request that names a resource, taken apart.
#[derive(Debug)]
struct Call<'r> {
    resource: Arc<Resource>,
    address: Address<'r>,
    query: Query,
    form: Form,
    now: Timestamp,
    /// The rules of the kind.
    kind: &'static Kind,
    /// The type of its objects; `None`: nothing is known of it.
    schema: Option<Schema>,
    /// `group/version`.
    api_version: String,
    /// What the definition of a custom resource says.
    custom: Option<Arc<custom::Version>>,
    /// Whose request it is; `None`: the server's own.
    user: Option<&'r User>,
    /// Fields that nobody owns by this request: those that it can't set.
    reset: Option<FieldSet>,
}

impl Call<'_> {
    /// The key of the object that the path names.
    fn key(&self) -> Option<Key> {
        Some(Key::new(self.address.namespace, self.address.name?))
    }
}

/// Namespaces that are there from the beginning.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// A server, with all that it keeps.
#[derive(Debug)]
pub struct ApiServer {
    store: Store,
    resources: Resources,
    ids: Ids,
    /// The type of kinds that have none.
    deduced: Schema,
    /// Custom resources by group, version and plural name.
    custom: BTreeMap<(String, String, String), Arc<custom::Version>>,
    /// What was written of custom resources that are read as something else.
    raw: BTreeMap<Place, Value>,
    /// Definitions that changed and were not followed yet.
    changed_definitions: BTreeSet<Key>,
    controllers: Controllers,
    /// Who is known, by token; nobody: everybody may do anything.
    accounts: Vec<(String, User)>,
    /// What Services were given.
    addresses: Addresses,
    work: Work,
    /// Webhooks.
    admissions: Vec<Admission>,
}

impl ApiServer {
    /// A server that holds nothing but the namespaces that every cluster has, and nodes if pods are to run. What it draws
    /// comes from the seed.
    pub fn new(seed: u64, controllers: Controllers, accounts: Vec<(String, User)>, now: Timestamp) -> Self {
        let mut server = Self::empty(seed, controllers, accounts);
        let accounts = std::mem::take(&mut server.accounts);
        for name in NAMESPACES {
            let namespace = json!({"metadata": {"name": name}}).to_string();
            let path = "/api/v1/namespaces?fieldManager=kube-apiserver";
            if let Ok(request) = http::Request::builder().method(Method::POST).uri(path).body(namespace.into()) {
                server.handle(&request, now);
            }
        }
        server.join_nodes(now);
        server.accounts = accounts;
        server
    }

    /// A server that goes on with what another one kept. Revisions go on; of what was before, watches are told that it is
    /// forgotten. The controllers look at everything again.
    pub fn restore(
        seed: u64,
        controllers: Controllers,
        accounts: Vec<(String, User)>,
        saved: Saved,
        now: Timestamp,
    ) -> Self {
        // What is drawn from now on is not what was drawn before.
        let mut server = Self::empty(seed.wrapping_add(saved.revision), controllers, accounts);
        server.store.restore(saved);
        let listed = |table: &str| server.store.list(table, None, None, None).unwrap_or_default();
        let definitions: BTreeSet<Key> =
            listed(definitions::DEFINITIONS).into_iter().map(|(key, _)| key.clone()).collect();
        let services: Vec<_> = listed("services").into_iter().map(|(_, stored)| stored.value()).collect();
        server.changed_definitions = definitions;
        services.iter().for_each(|service| server.addresses.keep(service));
        server.settle(now);
        server
    }

    fn empty(seed: u64, controllers: Controllers, accounts: Vec<(String, User)>) -> Self {
        let mut store = Store::default();
        store.follow(controllers.tables());
        Self {
            store,
            resources: Resources::default(),
            ids: Ids::new(seed),
            deduced: Schema::deduced(),
            custom: BTreeMap::new(),
            raw: BTreeMap::new(),
            changed_definitions: BTreeSet::new(),
            controllers,
            accounts,
            addresses: Addresses::default(),
            work: Work::default(),
            admissions: Vec::new(),
        }
    }

    /// Tells by [`Self::take_writes`] all that is there, unless it was restored, and all writes from now on, for who keeps
    /// them.
    pub fn keep_writes(&mut self) {
        self.store.keep_writes();
    }

    /// The writes since this was asked last, in order.
    pub fn take_writes(&mut self) -> Vec<Write> {
        self.store.take_writes()
    }

    /// Answers a request.
    pub fn handle(&mut self, request: &Request, now: Timestamp) -> Answer {
        match self.answer(request, now) {
            Answer::Reply(reply) if request.method() == Method::HEAD => {
                Answer::Reply(Reply { body: Vec::new(), ..reply })
            }
            Answer::Reply(reply) => Answer::Reply(form::written(reply, request.headers())),
            watch => watch,
        }
    }

    fn answer(&mut self, request: &Request, now: Timestamp) -> Answer {
        self.wake(now);
        let uri = request.uri();
        let user = match self.authenticate(request.headers()) {
            Ok(user) => user,
            Err(status) => return Answer::Reply(status.into()),
        };
        match Target::parse(uri.path()) {
            Target::Resource(address) => {
                let before = self.store.revision();
                let answer = self.resource(request, address, &user, now).into();
                if self.store.revision() != before {
                    self.settle(now);
                }
                answer
            }
            Target::Other(path) => {
                let verb = request.method().as_str().to_ascii_lowercase();
                if let Err(status) = self.authorize(&user, Action::Path { verb: &verb, path }) {
                    return Answer::Reply(status.into());
                }
                let document = (request.method() == Method::GET)
                    .then(|| openapi::answer(&self.resources, path, request.headers()));
                let found = document.flatten().map_or_else(|| discovery::answer(&self.resources, path, request), Ok);
                Answer::Reply(found.unwrap_or_else(Reply::from))
            }
        }
    }

    /// What comes next on a watch.
    pub fn next(&self, watch: &mut Watch, now: Timestamp) -> Frame {
        watch.next(&self.store, now)
    }

    /// The newest revision: when it moves, watches may have something to tell.
    pub fn revision(&self) -> u64 {
        self.store.revision()
    }

    /// Forgets what was: watches from now on begin at the newest revision at the earliest, and others are told that they are
    /// too old.
    pub fn compact(&mut self) {
        let revision = self.store.revision();
        self.store.compact(revision);
    }

    fn resource<'r>(
        &mut self,
        request: &'r Request,
        address: Address<'r>,
        user: &'r User,
        now: Timestamp,
    ) -> Result<Answer, Status> {
        let query = Query::of(request.uri().path(), request.uri().query().unwrap_or_default());
        let verb = verb(request.method(), &address, &query);
        self.authorize(user, Action::of(verb, &address))?;
        let Some(resource) = self.resources.get(address.group, address.version, address.plural).cloned() else {
            // The groups of definitions answer for what they serve alone.
            let known = self.resources.all().any(|known| known.group == address.group && !known.custom);
            return if known { Err(Status::no_resource()) } else { Ok(Answer::Reply(Reply::no_page())) };
        };
        let misplaced = address.namespace.is_some() && !resource.namespaced;
        let homeless = address.name.is_some() && resource.namespaced && address.namespace.is_none();
        let no_part = address.subresource.is_some_and(|name| resource.subresource(name).is_none());
        if let (true, true, Some(name)) = (resource.custom, no_part, address.name) {
            return Err(Status::not_found(&resource, name));
        }
        if misplaced || homeless || no_part {
            return Err(Status::no_resource());
        }
        let served = match address.subresource.and_then(|name| resource.subresource(name)) {
            Some(part) => part.verbs.iter().any(|known| known == verb),
            None => resource.has_verb(verb),
        };
        let unplaced = verb == "create" && address.namespace.is_none() && resource.namespaced;
        let named = verb == "create" && address.name.is_some() && address.subresource.is_none();
        if !served || unplaced || named || request.method() == Method::HEAD {
            return Err(Status::method_not_allowed());
        }
        let warning = warnings::of_resource(&resource.group, &resource.version, &resource.plural);
        let answered = form::accepted(request.headers(), &resource, verb).and_then(|form| {
            let call = Call { form, user: Some(user), ..self.call(resource, address, query, now) };
            self.perform(&call, request, verb, user)
        });
        match (answered.into(), warning) {
            (Answer::Reply(mut reply), Some(warning)) => {
                reply.warnings.insert(0, warning.to_owned());
                Ok(Answer::Reply(reply))
            }
            (answer, _) => Ok(answer),
        }
    }

    /// Does what a request to a resource asks for.
    fn perform(&mut self, call: &Call<'_>, request: &Request, verb: &str, user: &User) -> Result<Answer, Status> {
        if call.address.subresource == Some("scale") {
            return match verb {
                "get" => self.get_scale(call),
                _ => self.write_scale(call, request, verb),
            };
        }
        match verb {
            "list" => self.list(call),
            "watch" => self.watch(call),
            "get" => self.get(call),
            "create" => self.review(call, request, user).unwrap_or_else(|| self.create(call, request)),
            "update" => self.replace(call, request),
            "patch" => self.patch(call, request),
            "delete" => self.delete(call, request),
            _ => self.delete_collection(call, request),
        }
    }

    /// A request by its parts.
    fn call<'r>(&self, resource: Arc<Resource>, address: Address<'r>, query: Query, now: Timestamp) -> Call<'r> {
        let Resource { group, version, plural, kind, .. } = &*resource;
        let custom = self.custom.get(&(group.clone(), version.clone(), plural.clone())).cloned();
        let rules = custom.as_ref().map_or_else(|| kinds::of(&resource.qualified()), |custom| custom.kind());
        let schema = match &custom {
            Some(custom) => Some(custom.schema.clone()),
            None => Schemas::builtin().of(group, version, kind),
        };
        let reset = reset_fields(kind, custom.is_some(), rules.has_status, address.subresource.unwrap_or_default());
        Call {
            schema,
            api_version: resource.api_version(),
            reset: (!reset.is_empty()).then_some(reset),
            kind: rules,
            form: Form::Whole,
            user: None,
            custom,
            resource,
            address,
            query,
            now,
        }
    }

    /// An object in the form that the client asked for.
    fn told(&self, call: &Call<'_>, code: u16, stored: &Stored) -> Reply {
        match call.form {
            Form::Whole => Reply::pieces(code, whole(&call.resource, stored).into()),
            Form::Metadata { of_list: true, .. } => Status::wrong_shape(&call.resource, false).into(),
            Form::Metadata { version, .. } => Reply::pieces(code, partial(stored, version).into()),
            Form::Table(version) => match table::Include::of(&call.query) {
                Ok(include) => Reply { code, ..table::object(&call.resource, stored, version, include, call.now) },
                Err(status) => status.into(),
            },
        }
    }

    fn list(&self, call: &Call<'_>) -> Result<Answer, Status> {
        let selection = Selection::new(&call.resource, &call.address, &call.query)?;
        list::list(&self.store, &call.resource, &selection, &call.query, call.form, call.now).map(Answer::Reply)
    }

    fn watch(&self, call: &Call<'_>) -> Result<Answer, Status> {
        let selection = Selection::new(&call.resource, &call.address, &call.query)?;
        let since = call.custom.as_ref().map_or(0, |custom| custom.since);
        let watch = Watch::open(&self.store, &call.resource, since, selection, &call.query, call.form, call.now)?;
        Ok(Answer::Watch(Box::new(watch)))
    }

    fn get(&self, call: &Call<'_>) -> Result<Answer, Status> {
        let key = call.key().ok_or_else(Status::no_resource)?;
        if let Some(text) = call.query.get("resourceVersion") {
            let wanted = list::revision(text).map_err(Status::internal)?;
            if wanted > self.store.revision() {
                return Err(Status::too_large_version(wanted, self.store.revision()));
            }
        }
        let stored = self.store.get(&call.resource.qualified(), &key);
        let stored = stored.ok_or_else(|| Status::not_found(&call.resource, key.name()))?;
        Ok(Answer::Reply(self.told(call, 200, stored)))
    }
}
