//! The API server: requests in, answers and watches out. Nothing in here opens a socket, looks at a clock or draws a random
//! number: `now` comes with each request, and names and ids from a generator that was given a seed.

pub mod columns;
pub mod discovery;
pub mod fields;
pub mod labels;
pub mod list;
pub mod names;
pub mod reply;
pub mod request;
pub mod resources;
pub mod status;
pub mod store;
pub mod table;
pub mod watch;

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use jiff::Timestamp;

use self::list::Selection;
use self::reply::{Form, Reply, partial, whole};
use self::request::{Address, Query, Target, verb};
use self::resources::{Resource, Resources};
use self::status::Status;
use self::store::{Key, Store};
use self::watch::{Frame, Watch};

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
}

impl Call<'_> {
    /// The key of the object that the path names.
    fn key(&self) -> Option<Key> {
        Some(Key::new(self.address.namespace, self.address.name?))
    }
}

/// A server, with all that it keeps.
#[derive(Debug, Default)]
pub struct ApiServer {
    store: Store,
    resources: Resources,
}

impl ApiServer {
    /// Answers a request.
    pub fn handle(&mut self, request: &Request, now: Timestamp) -> Answer {
        let uri = request.uri();
        match Target::parse(uri.path()) {
            Target::Resource(address) => self.resource(request, address, now).into(),
            Target::Other(path) => {
                let found = (request.method() == Method::GET)
                    .then(|| discovery::answer(&self.resources, path, request.headers()));
                Answer::Reply(found.flatten().unwrap_or_else(|| Reply::text(404, "404 page not found\n")))
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

    fn resource(&mut self, request: &Request, address: Address<'_>, now: Timestamp) -> Result<Answer, Status> {
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let Some(resource) = self.resources.get(address.group, address.version, address.plural).cloned() else {
            let known = self.resources.of(address.group, address.version).next().is_some();
            let page = Answer::Reply(Reply::text(404, "404 page not found\n"));
            return if known { Err(Status::no_resource()) } else { Ok(page) };
        };
        let misplaced = address.namespace.is_some() && !resource.namespaced;
        let homeless = address.name.is_some() && resource.namespaced && address.namespace.is_none();
        let no_part = address.subresource.is_some_and(|name| resource.subresource(name).is_none());
        if misplaced || homeless || no_part {
            return Err(Status::no_resource());
        }
        let verb = verb(request.method(), &address, &query);
        let served = match address.subresource.and_then(|name| resource.subresource(name)) {
            Some(part) => part.verbs.iter().any(|known| known == verb),
            None => resource.has_verb(verb),
        };
        if !served || (verb == "create" && (address.namespace.is_none() && resource.namespaced)) {
            return Err(Status::method_not_allowed());
        }
        let form = Form::accepted(request.headers())?;
        let call = Call { resource, address, query, form, now };
        match verb {
            "list" => self.list(&call),
            "watch" => self.watch(&call),
            "get" => self.get(&call),
            _ => Err(Status::method_not_allowed()),
        }
    }

    fn list(&self, call: &Call<'_>) -> Result<Answer, Status> {
        let selection = Selection::new(&call.resource, &call.address, &call.query)?;
        list::list(&self.store, &call.resource, &selection, &call.query, call.form, call.now).map(Answer::Reply)
    }

    fn watch(&self, call: &Call<'_>) -> Result<Answer, Status> {
        let selection = Selection::new(&call.resource, &call.address, &call.query)?;
        let watch = Watch::open(&self.store, &call.resource, selection, &call.query, call.form, call.now)?;
        Ok(Answer::Watch(Box::new(watch)))
    }

    fn get(&self, call: &Call<'_>) -> Result<Answer, Status> {
        let key = call.key().ok_or_else(Status::no_resource)?;
        let stored = self.store.get(&call.resource.qualified(), &key);
        let stored = stored.ok_or_else(|| Status::not_found(&call.resource, key.name()))?;
        Ok(Answer::Reply(match call.form {
            Form::Whole => Reply::pieces(200, whole(&call.resource, stored).into()),
            Form::Metadata => Reply::pieces(200, partial(stored).into()),
            Form::Table => table::object(&call.resource, stored, table::Include::of(&call.query), call.now),
        }))
    }
}
