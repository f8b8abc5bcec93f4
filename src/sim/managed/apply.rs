//! Server-side apply.

use std::collections::BTreeMap;

use serde_json::Value;

use super::conflict::Conflicts;
use super::last_applied;
use super::update::{Failure, reconcile, take, track};
use super::{Context, Entries, Entry, Operation, Versioned, Writer, server_owned, without_managed_fields};
use crate::sim::fields::{FieldSet, equal_values};
use crate::sim::typed::{self, Duplicates};

/// Whose the fields of an object are that had no managed fields when it was first applied.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Why an apply was refused. The texts are the server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Others own what was to be changed (409, reason `Conflict`, causes in the details).
    #[error(transparent)]
    Conflict(Conflicts),
    /// The request makes no sense (400).
    #[error("{0}")]
    BadRequest(String),
    /// What the server does not foresee, as fields that its type does not have (500).
    #[error("{0}")]
    Internal(String),
}

/// The object after `config` was applied to `live`, with its managed fields; not defaulted yet.
///
/// `live` is `None` for an object that does not exist. An apply that changes nothing returns an object that is
/// [the same but for times](super::same_but_for_times), which the caller does not write.
///
/// # Errors
/// Conflicts unless `force`, wrong versions or kinds, and a `config` that is not of its type.
pub fn apply(ctx: &Context<'_>, live: Option<&Value>, config: &Value, force: bool) -> Result<Value, ApplyError> {
    let entries = live.map_or_else(|| Ok(Entries::default()), Entries::of);
    let entries = entries.map_err(|error| ApplyError::Internal(format!("failed to decode managed fields: {error}")))?;
    check_kind(ctx, config)?;
    let mut applied = apply_to(ctx, live, config, entries.clone(), force);
    // What kubectl applied on the client's side, it may take over.
    if let (Err(ApplyError::Conflict(conflicts)), Some(live)) = (&applied, live)
        && ctx.manager == last_applied::MANAGER
        && let Some(own) = last_applied::fields(ctx, live)
    {
        let others: Vec<_> = conflicts.0.iter().filter(|conflict| !own.has(&conflict.path.0)).cloned().collect();
        applied = if others.is_empty() {
            apply_to(ctx, Some(live), config, entries, true)
        } else {
            Err(ApplyError::Conflict(Conflicts(others)))
        };
    }
    let mut applied = applied?;
    if ctx.manager == last_applied::MANAGER {
        last_applied::refresh(&mut applied, config);
    }
    Ok(applied)
}

fn check_kind(ctx: &Context<'_>, config: &Value) -> Result<(), ApplyError> {
    let text = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("apiVersion") != ctx.api_version || text("kind") != ctx.kind {
        return Err(ApplyError::BadRequest(format!("invalid object type: {}", gvk(config))));
    }
    if config.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(ApplyError::BadRequest("metadata.managedFields must be nil".to_owned()));
    }
    Ok(())
}

/// `apps/v1, Kind=Deployment`; the core group has the empty name.
fn gvk(object: &Value) -> String {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let slash = if text("apiVersion").contains('/') { "" } else { "/" };
    format!("{slash}{}, Kind={}", text("apiVersion"), text("kind"))
}

/// The object as errors name it.
fn described(object: &Value) -> String {
    let text = |name: &str| object.pointer(name).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}; {}", text("/metadata/namespace"), text("/metadata/name"), gvk(object))
}

fn apply_to(
    ctx: &Context<'_>,
    live: Option<&Value>,
    config: &Value,
    mut entries: Entries,
    force: bool,
) -> Result<Value, ApplyError> {
    let old = live.map_or_else(|| ctx.blank(), without_managed_fields);
    if entries.0.is_empty() && live.is_some() {
        track(ctx, &ctx.blank(), &old, &mut entries, BEFORE_FIRST_APPLY)
            .map_err(|failure| internal("failed to create manager for existing fields", failure))?;
    }
    let root = ctx.schema.root();
    typed::validate(root, config, Duplicates::Refused).map_err(|errors| {
        ApplyError::Internal(format!("failed to create typed patch object ({}): {errors}", described(config)))
    })?;
    typed::validate(root, &old, Duplicates::Allowed).map_err(|errors| {
        ApplyError::Internal(format!("failed to create typed live object ({}): {errors}", described(&old)))
    })?;
    reconcile(ctx, &old, &mut entries);
    let merged = typed::merge(root, &old, config)
        .map_err(|errors| ApplyError::Internal(format!("failed to merge config: {errors}")))?;

    let writer = ctx.writer(ctx.manager, Operation::Apply);
    let last = entries.0.remove(&writer);
    let fields = ctx.without_reset(typed::field_set(root, config));
    let time = last.as_ref().and_then(|last| last.time.clone());
    entries.0.insert(writer.clone(), Entry { api_version: ctx.api_version.to_owned(), fields, time });
    let new =
        prune(ctx, merged, &entries, last.as_ref()).map_err(|failure| internal("failed to prune fields", failure))?;
    take(ctx, &old, &new, &mut entries, Some(&writer), force).map_err(|failure| match failure {
        Failure::Conflict(conflicts) => ApplyError::Conflict(conflicts),
        failure => internal("failed to compare objects", failure),
    })?;
    Ok(finish(ctx, &old, new, entries, &writer))
}

fn internal(what: &str, failure: Failure) -> ApplyError {
    match failure {
        Failure::Type(errors) => ApplyError::Internal(format!("{what}: {errors}")),
        Failure::Conflict(conflicts) => ApplyError::Conflict(conflicts),
    }
}

/// Nobody owns what is the server's; the time moves if the object does.
fn finish(ctx: &Context<'_>, old: &Value, mut new: Value, mut entries: Entries, writer: &Writer) -> Value {
    if let Some(entry) = entries.0.get_mut(writer) {
        entry.fields = entry.fields.difference(&server_owned());
        if !equal_values(old, &new) {
            entry.time = Some(ctx.now.to_owned());
        }
    }
    entries.0.retain(|_, entry| !entry.fields.is_empty());
    entries.put_into(&mut new);
    new
}

/// Removes what the writer applied last time, did not apply this time, and nobody else owns.
fn prune(ctx: &Context<'_>, merged: Value, entries: &Entries, last: Option<&Entry>) -> Result<Value, Failure> {
    let Some(last) = last.filter(|last| !last.fields.is_empty()) else { return Ok(merged) };
    let Some(merged) = ctx.convert(&merged, &last.api_version) else { return Ok(merged) };
    let of = Some(merged.schema.root());
    let last_named = last.fields.with_named_fields(of);
    let mut pruned = merged.clone();
    pruned.object = typed::remove(merged.schema.root(), &merged.object, &last_named);

    let mut owned: BTreeMap<&str, FieldSet> = BTreeMap::new();
    for entry in entries.0.values() {
        let owned = owned.entry(&entry.api_version).or_default();
        *owned = owned.union(&entry.fields);
    }
    // The version that was pruned first: what its conversion needs must be back before.
    if let Some(owned) = owned.remove(last.api_version.as_str()) {
        pruned = add_back(&merged, &pruned, &owned);
    }
    for (version, owned) in &owned {
        if let Some((merged, there)) = ctx.convert(&merged.object, version).zip(ctx.convert(&pruned.object, version)) {
            pruned = add_back(&merged, &there, owned);
        }
    }
    let Some(pruned) = ctx.convert(&pruned.object, &last.api_version) else { return Ok(merged.object) };

    // What the writer never owned stays, whatever it was below of.
    let gone = named_fields(&merged).difference(&named_fields(&pruned)).intersection(&last_named);
    let kept = typed::remove(merged.schema.root(), &merged.object, &gone);
    Ok(ctx.convert(&kept, ctx.api_version).map_or(kept, |versioned| versioned.object))
}

/// What was pruned from `merged`, but for what is owned.
fn add_back(merged: &Versioned, pruned: &Versioned, owned: &FieldSet) -> Versioned {
    let kept = named_fields(pruned).union(&owned.with_named_fields(Some(merged.schema.root())));
    let gone = named_fields(merged).difference(&kept);
    let object = typed::remove(merged.schema.root(), &merged.object, &gone);
    Versioned { object, schema: merged.schema.clone() }
}

fn named_fields(versioned: &Versioned) -> FieldSet {
    typed::field_set(versioned.schema.root(), &versioned.object).with_named_fields(Some(versioned.schema.root()))
}
