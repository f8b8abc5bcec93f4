//! Healing one object that drifted, and comparing one without writing.

use serde::Deserialize;
use serde_json::Value;

use super::apply::{Session, Stop, exactly};
use super::call::{Answer, Version};
use super::error;
use crate::engine::blame::{blame, name_holders};
use crate::engine::effect::Precondition;
use crate::engine::escalation::{Removal, removal};
use crate::engine::event::{ApplyOutcome, RequestError, RequestErrorReason};
use crate::engine::fields::Entry;
use crate::engine::leftover::without_own_updates;
use crate::engine::live::Blame;
use crate::engine::names::{BUCKET_LABEL, FIELD_MANAGER, INSTANCE_LABEL, STAMP_ANNOTATION, TRACKING_ANNOTATION};
use crate::engine::ownership::{covers, same};

impl Session<'_> {
    /// Puts a drifted object back. `before` is its `managedFields` at the time of the decision; `None`: they were not at hand,
    /// or it is gone.
    pub(super) async fn heal(&self, before: Option<&str>) -> Result<ApplyOutcome, Stop> {
        let read;
        let before = match (before, self.precondition()) {
            (Some(before), _) => before,
            (None, Precondition::Absent) => {
                let answer = self.write(self.precondition()).await?;
                return self.applied(&answer, Vec::new());
            }
            (None, precondition @ Precondition::Exactly { .. }) => {
                read = self.managed_fields(precondition).await?;
                &*read
            }
        };
        let manifest = self.stamped();
        if covers(&manifest, before)
            && let Some(settled) = self.settle().await?
        {
            return Ok(settled);
        }
        let blame = blame(&manifest, before);
        let (answer, by) = match self.write(self.precondition()).await {
            Ok(answer) => self.without_twins(before, answer).await?,
            Err(Stop::Failed(refused)) if refused.reason == RequestErrorReason::Invalid => {
                self.escalate(before, refused).await?
            }
            Err(stop) => return Err(stop),
        };
        self.applied(&answer, name_holders(blame, by))
    }

    /// `managedFields` of the object in exactly this state, as JSON text.
    async fn managed_fields(&self, state: &Precondition) -> Result<String, Stop> {
        let Some(live) = self.read().await? else {
            return Err(error::moved().into());
        };
        if *state != exactly(&live.version()?) {
            return Err(error::moved().into());
        }
        let live = live.value()?;
        Ok(live.pointer("/metadata/managedFields").map_or_else(|| "[]".to_owned(), Value::to_string))
    }

    /// An edited list key does not always stop the apply: our item comes back, and the edited one stays beside it.
    async fn without_twins(&self, before: &str, answer: Answer) -> Result<(Answer, Vec<Blame>), Stop> {
        match removal(&self.manifest, before, &answer.value()?) {
            Some(removal) => self.remove_and_apply(&answer.version()?, removal).await,
            None => Ok((answer, Vec::new())),
        }
    }

    /// Nobody took a field of ours, and yet the object differs from what was applied: asks the API server whether an
    /// apply would change anything (a webhook or an upgrade of the server may give other values today). `None`: it would.
    async fn settle(&self) -> Result<Option<ApplyOutcome>, Stop> {
        let would_be = match self.dry_run(self.precondition()).await {
            Ok(answer) => self.decode(&answer.body)?,
            // What refuses the dry run refuses the apply, which knows what to do about it.
            Err(Stop::Failed(refused)) if refused.reason == RequestErrorReason::Invalid => return Ok(None),
            Err(stop) => return Err(stop),
        };
        let Some(live) = self.read().await? else {
            return Err(error::moved().into());
        };
        let live = self.decode(&live.body)?;
        let equal = live.footprint.is_some() && live.footprint == would_be.footprint;
        Ok(equal.then_some(ApplyOutcome::Compared { live: Some(live), equal }))
    }

    /// The apply was refused because of what the manager who took our fields put beside them: removes that, once, from
    /// the object that the decision was made on. `refused` is the answer if there is nothing to remove.
    async fn escalate(&self, before: &str, refused: RequestError) -> Result<(Answer, Vec<Blame>), Stop> {
        let Some(live) = self.read().await? else {
            return Err(error::moved().into());
        };
        let version = live.version()?;
        if *self.precondition() != exactly(&version) {
            return Err(error::moved().into());
        }
        match removal(&self.manifest, before, &live.value()?) {
            Some(removal) => self.remove_and_apply(&version, removal).await,
            None => Err(refused.into()),
        }
    }

    /// The answer to the apply, and who had put there what was removed.
    pub(super) async fn remove_and_apply(
        &self,
        version: &Version,
        removal: Removal,
    ) -> Result<(Answer, Vec<Blame>), Stop> {
        let patched = self.json_patch(version, &removal.patch).await?;
        let answer = self.write(&exactly(&patched.version()?)).await?;
        let Some(tidy) = without_own_updates(&answer.value()?) else { return Ok((answer, removal.by)) };
        match self.json_patch(&answer.version()?, &tidy).await {
            Ok(tidied) => Ok((tidied, removal.by)),
            Err(Stop::Fenced) => Err(Stop::Fenced),
            // The object is healed; what is left is looked after when a sync is refused for it.
            Err(Stop::Failed(_)) => Ok((answer, removal.by)),
        }
    }

    /// Whether the live object has the values that an apply would give it, whoever owns them. Nothing is written.
    ///
    /// The object is read first: one that our watch does not show may exist, and then it is the one to compare with.
    pub(super) async fn compare(&self) -> Result<ApplyOutcome, Stop> {
        let Some(live) = self.read().await? else {
            return Ok(ApplyOutcome::Compared { live: None, equal: false });
        };
        let state = exactly(&live.version()?);
        if matches!(self.precondition(), Precondition::Exactly { .. }) && *self.precondition() != state {
            return Err(error::moved().into());
        }
        let would_be = self.dry_run(&state).await?;
        let equal = self.same_values(&would_be, &live)?;
        Ok(ApplyOutcome::Compared { live: Some(self.decode(&live.body)?), equal })
    }

    /// Compares both objects on the fields that the apply would own. Our own marks are among them only if the object shows
    /// that we have applied it: one of another tool can't have them.
    fn same_values(&self, would_be: &Answer, live: &Answer) -> Result<bool, RequestError> {
        let (would_be, live) = (would_be.value()?, live.value()?);
        let marked = own_entry(&live).is_some();
        let entry = own_entry(&would_be).map(|entry| if marked { entry } else { unmarked(entry) });
        let fields = entry.as_ref().and_then(|entry| Entry::deserialize(entry).ok()).map(|entry| entry.fields);
        let Some(fields) = fields else {
            return Err(error::unreadable("the dry run shows no managed fields of ours"));
        };
        Ok(same(&fields, Some(&would_be), Some(&live)))
    }
}

/// Our Apply entry of an object's managed fields.
fn own_entry(object: &Value) -> Option<Value> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let ours = |entry: &&Value| {
        entry.get("manager").and_then(Value::as_str) == Some(FIELD_MANAGER)
            && entry.get("operation").and_then(Value::as_str) == Some("Apply")
            && entry.get("subresource").is_none_or(|subresource| subresource == "")
    };
    entries.iter().find(ours).cloned()
}

/// An entry without our own marks.
fn unmarked(mut entry: Value) -> Value {
    let metadata = entry.pointer_mut("/fieldsV1/f:metadata");
    if let Some(metadata) = metadata.and_then(Value::as_object_mut) {
        for (map, name) in [
            ("f:labels", INSTANCE_LABEL),
            ("f:labels", BUCKET_LABEL),
            ("f:annotations", TRACKING_ANNOTATION),
            ("f:annotations", STAMP_ANNOTATION),
        ] {
            let Some(fields) = metadata.get_mut(map).and_then(Value::as_object_mut) else { continue };
            fields.remove(&format!("f:{name}"));
            // Only the map itself is left of it, which is there because of our marks.
            if fields.keys().all(|key| key == ".") {
                metadata.remove(map);
            }
        }
        if metadata.is_empty()
            && let Some(fields) = entry.get_mut("fieldsV1").and_then(Value::as_object_mut)
        {
            fields.remove("f:metadata");
        }
    }
    entry
}
