//! The `scale` subresource: the number of replicas of an object, whatever its kind, as an `autoscaling/v1` Scale.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::meta;
use super::options::Options;
use super::patch::{self, PatchType};
use super::reply::Reply;
use super::resources::Resource;
use super::status::{FieldError, Status};
use super::write::{Ownership, now_text};
use super::{Answer, ApiServer, Call, Request, decode};
use crate::sim::fields::Path;
use crate::sim::managed::{self, Context, Entries, OneVersion, ScalePaths, parent_entries, scale_entries};
use crate::sim::schema::{Schema, Schemas};

const API_VERSION: &str = "autoscaling/v1";
const KIND: &str = "Scale";
/// What an apply of a scale that nobody has written is answered, where the server can't tell what its scale was before.
const UNKNOWN_SCALE: &str = "failed to create manager for existing fields: failed to convert live object (/; \
    autoscaling/v1, Kind=Scale) to proper version: request to convert CR to an invalid group/version: autoscaling/v1";
/// What stands for the number of an object that has none.
const NO_NUMBER: i64 = -2_147_483_648;

/// What a Scale is read as.
static RESOURCE: LazyLock<Resource> = LazyLock::new(|| Resource {
    version: "v1".to_owned(),
    kind: KIND.to_owned(),
    ..Resource::named("autoscaling", "scales")
});

/// Where an object keeps what its scale shows, as JSON pointers.
struct Places {
    wanted: String,
    current: String,
    selector: Option<String>,
}

impl Places {
    fn of(call: &Call<'_>) -> Self {
        let pointer = |path: &str| path.replace('.', "/");
        match &call.custom {
            None => Self {
                wanted: "/spec/replicas".to_owned(),
                current: "/status/replicas".to_owned(),
                selector: Some("/spec/selector".to_owned()),
            },
            Some(custom) => Self {
                wanted: pointer(custom.scale_path("specReplicasPath").unwrap_or(".spec.replicas")),
                current: pointer(custom.scale_path("statusReplicasPath").unwrap_or(".status.replicas")),
                selector: custom.scale_path("labelSelectorPath").map(pointer),
            },
        }
    }

    /// The path of the definition that says where the number is kept.
    fn told(&self) -> String {
        self.wanted.replace('/', ".")
    }

    /// Whether an object has a number. Those of built-in kinds do.
    fn has_number(&self, call: &Call<'_>, object: &Value) -> bool {
        call.custom.is_none() || object.pointer(&self.wanted).is_some()
    }

    fn paths(&self, server: &ApiServer, call: &Call<'_>) -> ScalePaths {
        let path = |pointer: &str| Path::of(&pointer.split(['/', '.']).skip(1).collect::<Vec<_>>());
        let versions = server.custom.iter().filter(|((group, _, plural), _)| {
            *group == call.resource.group && *plural == call.resource.plural && call.custom.is_some()
        });
        let others = versions.map(|((group, name, _), version)| {
            (format!("{group}/{name}"), version.scale_path("specReplicasPath").map(path))
        });
        std::iter::once((call.api_version.clone(), Some(path(&self.wanted)))).chain(others).collect()
    }
}

impl ApiServer {
    pub(super) fn get_scale(&self, call: &Call<'_>) -> Result<Answer, Status> {
        let (parent, places) = (self.parent(call)?, Places::of(call));
        if !places.has_number(call, &parent) {
            return Err(Status::internal_error(&format!("the spec replicas field {:?} does not exist", places.told())));
        }
        Ok(Answer::Reply(Reply::json(200, &scale_of(&parent, &places))))
    }

    pub(super) fn write_scale(&mut self, call: &Call<'_>, request: &Request, verb: &str) -> Result<Answer, Status> {
        let kind = if verb == "patch" { "PatchOptions" } else { "UpdateOptions" };
        let options = Options::of(call, request, kind)?;
        let (parent, places) = (self.parent(call)?, Places::of(call));
        let schema = Schemas::builtin().of("autoscaling", "v1", KIND);
        let schema = schema.as_ref().unwrap_or(&self.deduced);
        let entries = Entries::of(&parent).map_err(|error| Status::internal(error.to_string()))?;
        let paths = places.paths(self, call);
        let mut old = scale_of(&parent, &places);
        if !places.has_number(call, &parent) {
            set(&mut old, "/spec/replicas", NO_NUMBER.into());
        }
        scale_entries(&entries, &paths).put_into(&mut old);
        let now = now_text(call.now);
        let is_apply = verb == "patch" && PatchType::of(call, request)? == PatchType::Apply;
        if is_apply && call.custom.is_some() && Entries::of(&old).is_ok_and(|entries| entries.0.is_empty()) {
            return Err(Status::internal(UNKNOWN_SCALE));
        }
        let context = Context {
            schema,
            api_version: API_VERSION,
            kind: KIND,
            manager: &options.manager,
            subresource: "scale",
            reset: None,
            versions: &OneVersion,
            now: &now,
        };
        let new = changed(call, request, verb, &old, &context, &options)?;
        let replicas = new.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(0);
        if replicas == NO_NUMBER {
            let why = format!("the spec replicas field {:?} cannot be empty", places.told());
            return Err(Status::bad_request(why));
        }
        let name = meta::text(&parent, "name");
        if replicas < 0 {
            let error = FieldError::invalid("spec.replicas", &replicas.into(), "must be greater than or equal to 0");
            return Err(Status::invalid("autoscaling", KIND, name, &[error]));
        }
        let mut changed = parent.clone();
        set(&mut changed, &places.wanted, replicas.into());
        let scale = Entries::of(&new).map_err(|error| Status::internal(error.to_string()))?;
        parent_entries(&entries, &scale, &call.api_version, &paths).put_into(&mut changed);
        for field in ["uid", "resourceVersion"] {
            if !meta::text(&new, field).is_empty() {
                meta::set(&mut changed, field, meta::text(&new, field));
            }
        }
        let reply = self.change(call, &options, &parent, changed, Ownership::Applied)?;
        let mut kept: Value = serde_json::from_slice(&reply.bytes()).unwrap_or_default();
        if let Some(members) = kept.as_object_mut() {
            members.insert("kind".to_owned(), call.resource.kind.as_str().into());
        }
        Ok(Answer::Reply(Reply::json(200, &scale_of(&kept, &places))))
    }

    fn parent(&self, call: &Call<'_>) -> Result<Value, Status> {
        let key = call.key().ok_or_else(Status::no_resource)?;
        self.object(&call.resource, &key).ok_or_else(|| Status::not_found(&call.resource, key.name()))
    }
}

/// The scale as it was sent, with its managed fields.
fn changed(
    call: &Call<'_>,
    request: &Request,
    verb: &str,
    old: &Value,
    context: &Context<'_>,
    options: &Options,
) -> Result<Value, Status> {
    let read = |body: &[u8], schema: &Schema| {
        let decoded = decode::object(body, &RESOURCE, Some(schema))?;
        decoded.checked(options.validation, &RESOURCE).map(|(object, _)| object)
    };
    if verb != "patch" {
        let sent = read(&decode::body(request.headers(), request.body(), &RESOURCE)?.json, context.schema)?;
        return Ok(managed::update(context, Some(old), sent));
    }
    match PatchType::of(call, request)? {
        PatchType::Apply => {
            let unreadable = |why| Status::bad_request(format!("error encoding patch: {why}"));
            let config = decode::yaml(request.body()).map_err(unreadable)?;
            managed::apply(context, Some(old), &config, call.query.flag("force")).map_err(patch::refused)
        }
        other => {
            let patched = patch::patched(Some(context.schema), other, old, request.body())?;
            // A JSON value can always be written.
            let sent = read(&serde_json::to_vec(&patched).unwrap_or_default(), context.schema)?;
            Ok(managed::update(context, Some(old), sent))
        }
    }
}

fn scale_of(parent: &Value, places: &Places) -> Value {
    let number = |pointer: &str| parent.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let mut status = json!({"replicas": number(&places.current)});
    let selector = places.selector.as_ref().and_then(|pointer| parent.pointer(pointer)).map(selector_text);
    if let (Some(selector), Some(status)) = (selector.filter(|text| !text.is_empty()), status.as_object_mut()) {
        status.insert("selector".to_owned(), selector.into());
    }
    let spec = match number(&places.wanted) {
        0 => json!({}),
        replicas => json!({"replicas": replicas}),
    };
    let mut scale = json!({"kind": KIND, "apiVersion": API_VERSION, "spec": spec, "status": status});
    meta::carry(&mut scale, parent, &["name", "namespace", "uid", "resourceVersion", "creationTimestamp"]);
    scale
}

/// A label selector as text.
fn selector_text(selector: &Value) -> String {
    if let Some(text) = selector.as_str() {
        return text.to_owned();
    }
    let labels = selector.get("matchLabels").unwrap_or(selector).as_object();
    let labels = labels.into_iter().flatten().filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)));
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    let expressions = expressions.filter_map(|expression| {
        let key = expression.get("key")?.as_str()?;
        let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
        let values: Vec<&str> = values.filter_map(Value::as_str).collect();
        Some(match expression.get("operator")?.as_str()? {
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            operator => format!("{key} {} ({})", operator.to_ascii_lowercase(), values.join(",")),
        })
    });
    let mut terms: Vec<String> = labels.chain(expressions).collect();
    terms.sort_unstable();
    terms.join(",")
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    let mut at = object;
    for step in parent.split('/').skip(1) {
        let Value::Object(members) = at else { return };
        at = members.entry(step).or_insert_with(|| json!({}));
    }
    if let Value::Object(members) = at {
        members.insert(name.to_owned(), value);
    }
}
