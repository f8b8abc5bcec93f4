//! Writes other than applies: what they changed becomes their manager's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::conflict::{Conflict, Conflicts};
use super::limit::limit;
use super::{Context, Entries, Operation, Writer, server_owned, without_managed_fields};
use crate::sim::fields::FieldSet;
use crate::sim::typed::{self, Comparison, Duplicates, TypeErrors};

/// Why ownership could not be worked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A value isn't of its type.
    Type(TypeErrors),
    /// Others own what was to be changed.
    Conflict(Conflicts),
}

impl From<TypeErrors> for Failure {
    fn from(errors: TypeErrors) -> Self {
        Self::Type(errors)
    }
}

/// `new` with its managed fields, as it is after a create (`live` is `None`), a replacement or a patch by `ctx.manager`.
///
/// `new` is defaulted already. Managed fields that it brings are taken as a change of them: of another write than one of a
/// subresource, `[]` and `[{}]` drop them all. An object that lost them is not followed again before it is applied. Where the
/// object isn't of its type, the managed fields stay what they were.
#[must_use]
pub fn update(ctx: &Context<'_>, live: Option<&Value>, new: Value) -> Value {
    let mut entries = sent_or_live(ctx, live, &new);
    let mut object = without_managed_fields(&new);
    if entries.0.is_empty() && live.is_some() {
        return object;
    }
    let old = live.map_or_else(|| ctx.blank(), without_managed_fields);
    if track(ctx, &old, &object, &mut entries, ctx.manager).is_ok() {
        limit(&mut entries);
    } else {
        entries = live.and_then(|live| Entries::of(live).ok()).unwrap_or_default();
    }
    entries.put_into(&mut object);
    object
}

fn sent_or_live(ctx: &Context<'_>, live: Option<&Value>, new: &Value) -> Entries {
    let of_live = || live.and_then(|live| Entries::of(live).ok()).unwrap_or_default();
    if !ctx.subresource.is_empty() {
        return of_live();
    }
    match new.pointer("/metadata/managedFields") {
        None | Some(Value::Null) => of_live(),
        Some(sent) if *sent == json!([]) || *sent == json!([{}]) => Entries::default(),
        Some(sent) => Entries::read(sent).ok().filter(|sent| !sent.0.is_empty()).unwrap_or_else(of_live),
    }
}

/// Gives what changed to `manager`, and takes it from everybody else.
pub(super) fn track(
    ctx: &Context<'_>,
    old: &Value,
    new: &Value,
    entries: &mut Entries,
    manager: &str,
) -> Result<(), Failure> {
    typed::validate(ctx.schema.root(), new, Duplicates::Allowed)?;
    typed::validate(ctx.schema.root(), old, Duplicates::Allowed)?;
    reconcile(ctx, old, entries);
    let changed = take(ctx, old, new, entries, None, true)?;
    let fields = ctx.without_reset(changed.modified.union(&changed.added)).difference(&server_owned());
    if !fields.is_empty() {
        entries.add(ctx.writer(manager, Operation::Update), ctx.api_version, &fields, ctx.now);
    }
    Ok(())
}

/// Brings what was written under older types of the kind up to date.
pub(super) fn reconcile(ctx: &Context<'_>, live: &Value, entries: &mut Entries) {
    entries.0.retain(|_, entry| {
        let Some(versioned) = ctx.convert(live, &entry.api_version) else { return false };
        if let Some(fields) = typed::reconcile(versioned.schema.root(), &entry.fields) {
            entry.fields = fields;
        }
        true
    });
}

/// Takes what changed from everybody but `except`; without `force` that is a conflict. Returns what changed.
pub(super) fn take(
    ctx: &Context<'_>,
    old: &Value,
    new: &Value,
    entries: &mut Entries,
    except: Option<&Writer>,
    force: bool,
) -> Result<Comparison, Failure> {
    let mut changes = Changes { ctx, old, new, by_version: BTreeMap::new() };
    let own = ctx.ignoring_reset(ctx.compare(old, new)?);
    changes.by_version.insert(ctx.api_version.to_owned(), Some(own.clone()));
    let mut conflicts: Vec<Conflict> = Vec::new();
    let mut lost: BTreeMap<Writer, Option<FieldSet>> = BTreeMap::new();
    for (writer, entry) in entries.0.iter().filter(|(writer, _)| Some(*writer) != except) {
        let Some(changed) = changes.of(&entry.api_version)? else {
            lost.insert(writer.clone(), None);
            continue;
        };
        let taken = entry.fields.intersection(&changed.modified.union(&changed.added));
        conflicts.extend(taken.paths().into_iter().map(|path| Conflict { writer: writer.clone(), path }));
        lost.insert(writer.clone(), Some(taken.union(&changed.removed)));
    }
    if !force && !conflicts.is_empty() {
        return Err(Failure::Conflict(Conflicts(conflicts)));
    }
    entries.0.retain(|writer, entry| {
        match lost.get(writer) {
            Some(None) => return false,
            Some(Some(fields)) => entry.fields = entry.fields.difference(fields),
            None => {}
        }
        !entry.fields.is_empty()
    });
    Ok(own)
}

/// What changed, seen in each version that somebody wrote.
struct Changes<'a> {
    ctx: &'a Context<'a>,
    old: &'a Value,
    new: &'a Value,
    by_version: BTreeMap<String, Option<Comparison>>,
}

impl Changes<'_> {
    /// `None`: there is no such version.
    fn of(&mut self, version: &str) -> Result<Option<&Comparison>, Failure> {
        if !self.by_version.contains_key(version) {
            let sides = self.ctx.convert(self.old, version).zip(self.ctx.convert(self.new, version));
            let compared = match sides {
                None => None,
                Some((old, new)) => {
                    let compared = typed::compare(old.schema.root(), &old.object, &new.object)?;
                    Some(self.ctx.ignoring_reset(compared))
                }
            };
            self.by_version.insert(version.to_owned(), compared);
        }
        Ok(self.by_version.get(version).and_then(Option::as_ref))
    }
}
