//! What Git wants of the cluster: rendered manifests with their namespace, tracking metadata and hash.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::effect::Precondition;
use super::event::{RenderFailure, RenderFailureReason};
use super::hash::{Hash, HashKey, canonical};
use super::ids::{AppKey, Gvk, ObjectKey, TrackingId};
use super::manifest::{fold_string_data, read_annotations, stage, strip_server_fields};
use super::names::STAMP_ANNOTATION;
use super::redact::truncate;
use super::scope::{Scope, Scopes};
use super::tracking::{Owner, bucket};
use super::wave::{Wave, pull_ahead};

/// A manifest as a renderer made it, before anything of Driftless is on it. Its `Debug` form shows no content: it may be
/// a Secret's.
#[derive(Clone, PartialEq)]
pub struct Manifest {
    /// The object. Always a map with `apiVersion`, `kind` and `metadata.name`.
    pub value: Value,
    /// Where it was read, for errors.
    pub origin: Origin,
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Manifest({} in {})", label(&self.value), self.origin)
    }
}

/// Where a manifest stands in Git. Displays as `path:line (document n)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// File, relative to the repository's root.
    pub path: Arc<str>,
    /// Number of the document in the file, counted from 1.
    pub document: u32,
    /// First line of the document, counted from 1.
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} (document {})", self.path, self.line, self.document)
    }
}

/// One object that an application desires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredObject {
    /// Which object; the namespace is filled in.
    pub key: ObjectKey,
    /// API version of the manifest.
    pub version: Arc<str>,
    /// Hash of the canonical manifest with tracking metadata, without the stamp.
    pub hash: Hash,
    /// When it is applied relative to the others of its wave.
    pub stage: Stage,
    /// Its wave.
    #[serde(default, skip_serializing_if = "Wave::is_default")]
    pub wave: Wave,
    /// `argocd.argoproj.io/sync-options: Prune=false` in the manifest.
    pub no_prune: bool,
}

/// Order within a wave: a stage begins when the one before has been applied. Within a stage objects go in parallel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Namespaces: what is in them needs them.
    Namespace,
    /// CustomResourceDefinitions: custom resources need them.
    Definition,
    /// Accounts, roles, configuration, storage: workloads refer to them.
    Base,
    /// Everything else.
    #[default]
    Workload,
    /// Admission webhooks and API services, which answer only when what serves them is there.
    Extension,
}

/// What one rendering of an application desires.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DesiredSet {
    /// The objects, ordered by key, without duplicates.
    pub objects: Vec<DesiredObject>,
    /// What is worth telling and stops nothing (condition type, message).
    pub warnings: Vec<(String, String)>,
}

/// What a rendering read: the look-ups it made in the tree, with what they found. Two trees that agree on all of them
/// render alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderInputs {
    /// Hash over everything else that goes in: source options, destination, application, renderer version, scopes of the
    /// kinds that were used.
    #[serde(rename = "o")]
    pub options: Option<Hash>,
    /// Path in the repository, and the id of the blob or tree found there; `None`: nothing was there.
    #[serde(rename = "r")]
    pub reads: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// Kinds of the objects that came out, ordered: their scopes are part of `options`.
    #[serde(rename = "k", default)]
    pub kinds: Vec<Gvk>,
    /// What rendered it, by Argo CD's name for it: `Directory`, `Kustomize`.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub renderer: Option<Arc<str>>,
    /// Variables of Argo CD's build environment that were used, with what they stood for.
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<(Arc<str>, Arc<str>)>,
}

/// What a set is made for.
#[derive(Clone, Copy)]
pub struct DesireContext<'a> {
    /// The application.
    pub app: &'a AppKey,
    /// Its name in tracking ids ([`super::tracking::instance_name`]).
    pub instance_name: &'a str,
    /// Installation id: value of the label [`super::names::INSTANCE_LABEL`].
    pub installation: &'a str,
    /// Namespace of the objects that name none; empty: there is none.
    pub namespace: &'a str,
    /// Scope of a kind, as the API server serves it; `None`: it doesn't serve the kind.
    pub scopes: &'a dyn Fn(&Gvk) -> Option<Scope>,
    /// Key of the hashes of Secrets.
    pub hash_key: &'a HashKey,
}

impl DesireContext<'_> {
    /// Hash over everything that a set depends on beside the tree: `render` is that of [`crate::render::options`],
    /// `scopes` that of the kinds that were used. The memo's [`RenderInputs::options`].
    pub fn memo(&self, render: Hash, scopes: Hash) -> Hash {
        // The parts can't contain a line break: names of Kubernetes, and hashes.
        let parts = [
            self.app.to_string(),
            self.instance_name.to_owned(),
            self.installation.to_owned(),
            self.namespace.to_owned(),
        ];
        Hash::of(format!("{VERSION}\n{}\n{render}\n{scopes}", parts.join("\n")).as_bytes())
    }
}

/// Version of this stage, part of the memo: counted up when [`desire`] makes something else of the same manifests.
const VERSION: u32 = 2;

/// What a rendering desires, with the bodies. Its `Debug` form shows no body: it may be a Secret's.
#[derive(Clone, PartialEq)]
pub struct Desired {
    /// The objects.
    pub set: DesiredSet,
    /// Canonical manifest of each object, in the same order.
    pub bodies: Vec<Vec<u8>>,
    /// Hash over the scopes of the kinds that were used ([`super::scope::scopes_hash`]).
    pub scopes: Hash,
}

impl fmt::Debug for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desired").field("set", &self.set).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// Makes the desired set of an application from its manifests: namespaces are filled in, tracking metadata is set, each
/// object is brought into canonical form and hashed.
///
/// Of two manifests of one object the last one counts, with a warning, as in Argo CD. Everything that is wrong with the
/// manifests is told at once, as far as it fits.
pub fn desire(manifests: Vec<Manifest>, context: &DesireContext<'_>) -> Result<Desired, RenderFailure> {
    let mut scopes = Scopes::new(context.scopes, &manifests);
    let bucket = bucket(context.app);
    let owner = Owner { installation: context.installation, bucket: &bucket };
    let mut objects: BTreeMap<ObjectKey, Made> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut unknown: BTreeMap<Gvk, Origin> = BTreeMap::new();
    for manifest in manifests {
        let origin = manifest.origin.clone();
        let label = label(&manifest.value);
        let gvk = gvk(&manifest.value);
        let Some(scope) = scopes.of(&gvk) else {
            unknown.entry(gvk).or_insert(origin);
            continue;
        };
        match make(manifest, &gvk, scope, &owner, context) {
            Ok(mut made) => {
                made.times = 1 + objects.get(&made.object.key).map_or(0, |before| before.times);
                objects.insert(made.object.key.clone(), made);
            }
            Err(problem) => problems.push(format!("{origin}: {label}: {problem}")),
        }
    }
    if !problems.is_empty() {
        return Err(failure(RenderFailureReason::Content, some_of(&problems)));
    }
    if !unknown.is_empty() {
        return Err(unknown_kinds(&unknown));
    }
    let mut desired = Desired { set: DesiredSet::default(), bodies: Vec::new(), scopes: scopes.hash() };
    for made in objects.into_values() {
        if made.times > 1 {
            let Made { object, times, origin, .. } = &made;
            let message = format!(
                "{} is written {times} times; the last one counts, in {origin}. Remove the others.",
                object.key
            );
            desired.set.warnings.push((REPEATED.to_owned(), truncate(message)));
        }
        desired.set.objects.push(made.object);
        desired.bodies.push(made.body);
    }
    pull_ahead(&mut desired.set.objects, &scopes.defined());
    Ok(desired)
}

/// Argo CD's condition for an object that is written more than once.
const REPEATED: &str = "RepeatedResourceWarning";
/// How many problems or kinds one failure names.
const NAMED: usize = 5;

/// One finished object.
struct Made {
    object: DesiredObject,
    body: Vec<u8>,
    origin: Origin,
    times: u32,
}

/// Finishes one manifest. The error is a sentence without the object's name and place.
fn make(
    manifest: Manifest,
    gvk: &Gvk,
    scope: Scope,
    owner: &Owner<'_>,
    context: &DesireContext<'_>,
) -> Result<Made, String> {
    let Manifest { value, origin } = manifest;
    let Value::Object(mut object) = value else {
        return Err("a manifest must be a map".to_owned());
    };
    strip_server_fields(&mut object);
    let Some(Value::Object(metadata)) = object.get_mut("metadata") else {
        return Err("`metadata` must be a map".to_owned());
    };
    let (options, wave) = read_annotations(metadata)?;
    let namespace = settle_namespace(metadata, scope, context.namespace)?;
    let name = metadata.get("name").and_then(Value::as_str).unwrap_or_default();
    let key = ObjectKey::new(gvk.group.clone(), gvk.kind.clone(), namespace, name);
    owner.mark(metadata, &TrackingId { instance: context.instance_name.into(), object: key.clone() })?;
    if key.is_secret() {
        fold_string_data(&mut object)?;
    }
    let mut body = Vec::new();
    canonical(&Value::Object(object), &mut body);
    let hash = if key.is_secret() { Hash::keyed(context.hash_key, &body) } else { Hash::of(&body) };
    let stage = stage(&key.group, &key.kind);
    let wave = Wave { number: wave, ..Wave::default() };
    let object = DesiredObject { key, version: gvk.version.clone(), hash, stage, wave, no_prune: options.no_prune };
    Ok(Made { object, body, origin, times: 1 })
}

/// Fills in the namespace of a namespaced object, and removes that of one that has none.
fn settle_namespace(metadata: &mut Map<String, Value>, scope: Scope, destination: &str) -> Result<String, String> {
    let given = match metadata.remove("namespace") {
        None => String::new(),
        Some(Value::String(given)) if !given.contains(['/', '%']) && given != "." && given != ".." => given,
        Some(_) => return Err("`metadata.namespace` is no valid name; correct it (quote a number)".to_owned()),
    };
    let namespace = match scope {
        Scope::Cluster => return Ok(String::new()),
        Scope::Namespaced if given.is_empty() => destination.to_owned(),
        Scope::Namespaced => given,
    };
    if namespace.is_empty() {
        return Err(
            "it has no namespace; set `metadata.namespace`, or `spec.destination.namespace` of the Application"
                .to_owned(),
        );
    }
    metadata.insert("namespace".to_owned(), Value::from(namespace.clone()));
    Ok(namespace)
}

fn gvk(value: &Value) -> Gvk {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    Gvk::from_api_version(text("apiVersion"), text("kind"))
}

/// Kind and name, for people.
fn label(value: &Value) -> String {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or("?");
    format!("{} {}", text("/kind"), text("/metadata/name"))
}

fn unknown_kinds(unknown: &BTreeMap<Gvk, Origin>) -> RenderFailure {
    let kinds: Vec<_> = unknown.iter().map(|(gvk, origin)| format!("{gvk} ({origin})")).collect();
    let message = format!(
        "the API server does not serve {}. Install what defines it, or correct `apiVersion` and `kind`. Nothing was applied.",
        some_of(&kinds)
    );
    failure(RenderFailureReason::UnknownKind, message)
}

fn some_of(texts: &[String]) -> String {
    let named = texts.get(..NAMED).unwrap_or(texts).join("; ");
    let more = texts.len().saturating_sub(NAMED);
    if more > 0 { format!("{named}; and {more} more") } else { named }
}

fn failure(reason: RenderFailureReason, message: String) -> RenderFailure {
    RenderFailure { reason, message: truncate(message) }
}

/// The body of an apply: a canonical manifest with its stamp and the precondition. Everything else keeps its very text.
/// Fails if `canonical` is no manifest.
pub fn apply_body(canonical: &[u8], stamp: Hash, precondition: &Precondition) -> Result<Vec<u8>, serde_json::Error> {
    type Parts = BTreeMap<String, Box<RawValue>>;
    let part = |parts: &Parts, key: &str| parts.get(key).map_or("{}", |raw| raw.get()).to_owned();
    let mut object: Parts = serde_json::from_slice(canonical)?;
    let mut metadata: Parts = serde_json::from_str(&part(&object, "metadata"))?;
    let mut annotations: Parts = serde_json::from_str(&part(&metadata, "annotations"))?;
    let raw = |value: &dyn fmt::Display| RawValue::from_string(Value::from(value.to_string()).to_string());
    annotations.insert(STAMP_ANNOTATION.to_owned(), raw(&stamp)?);
    metadata.insert("annotations".to_owned(), serde_json::value::to_raw_value(&annotations)?);
    match precondition {
        // No object has it, so the server creates or answers 409 (measured).
        Precondition::Absent => _ = metadata.insert("resourceVersion".to_owned(), raw(&1)?),
        Precondition::Exactly { uid, resource_version } => {
            metadata.insert("uid".to_owned(), raw(uid)?);
            metadata.insert("resourceVersion".to_owned(), raw(resource_version)?);
        }
    }
    object.insert("metadata".to_owned(), serde_json::value::to_raw_value(&metadata)?);
    serde_json::to_vec(&object)
}

/// A manifest with its stamp: with every field that an apply of it owns.
pub fn stamped(mut manifest: Value, stamp: Hash) -> Value {
    let metadata = manifest.get_mut("metadata").and_then(Value::as_object_mut);
    let annotations =
        metadata.map(|metadata| metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new())));
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.insert(STAMP_ANNOTATION.to_owned(), Value::from(stamp.to_string()));
    }
    manifest
}

#[cfg(test)]
#[path = "desired_tests.rs"]
mod tests;
