//! Server-side apply of one manifest, with what follows from it: the object as it is after a conflict, and fields that
//! stay although they left Git. Healing and comparing are in [`super::heal`].

use std::sync::Arc;

use http::Method;
use kube::Client;
use serde_json::Value;

use super::call::{APPLY_PATCH, Answer, Call, Version, send, send_patch};
use super::error;
use super::fence::WriteContext;
use super::path::ResourcePath;
use crate::engine::decode::{DecodeContext, decode};
use crate::engine::desired::{apply_body, stamped};
use crate::engine::effect::{Apply, Precondition, Purpose};
use crate::engine::escalation::removal;
use crate::engine::event::{ApplyOutcome, RequestError, RequestErrorReason};
use crate::engine::hash::HashKey;
use crate::engine::ids::ObjectKey;
use crate::engine::leftover::{Leftover, csa_migration, describe, leftovers, without_own_updates};
use crate::engine::live::{Blame, LiveObject};
use crate::engine::names::FIELD_MANAGER;
use crate::engine::redact;

/// Receives the API server's warnings about an object, redacted; e.g. "deprecated since v1.14".
pub type OnWarning = Arc<dyn Fn(&ObjectKey, &str) + Send + Sync>;

/// What all applies to one cluster share.
#[derive(Clone)]
pub struct ApplyContext {
    /// Fence and time limit.
    pub write: WriteContext,
    /// Key of the hashes that are taken of Secrets.
    pub hash_key: HashKey,
    /// Told each `Warning` header of an answer to a write.
    pub on_warning: OnWarning,
}

/// One apply with the bodies that the effect names by hash.
#[derive(Clone)]
pub struct ApplyRequest {
    /// The effect.
    pub apply: Apply,
    /// Where its kind is served, in the manifest's version.
    pub resource: ResourcePath,
    /// Canonical manifest with tracking metadata, without stamp and precondition.
    pub manifest: Vec<u8>,
    /// Canonical manifest that was applied before, for a sync, where it is at hand.
    pub previous: Option<Vec<u8>>,
}

/// Carries out one apply: one write if nothing is in the way, and a bounded number of further requests else.
///
/// The client must be without kube's own retries. An outcome `Failed` with a transient reason may have been carried out.
pub async fn apply(client: &Client, context: &ApplyContext, request: ApplyRequest) -> ApplyOutcome {
    let session = match Session::new(client, context, &request) {
        Ok(session) => session,
        Err(error) => return ApplyOutcome::Failed(error),
    };
    let result = match &request.apply.purpose {
        Purpose::Sync { .. } => session.sync().await,
        Purpose::Heal { managed_fields } => session.heal(managed_fields.as_deref()).await,
        Purpose::Compare => session.compare().await,
    };
    match result {
        Ok(outcome) => outcome,
        Err(Stop::Fenced) => ApplyOutcome::Fenced,
        Err(Stop::Failed(error)) if error.reason == RequestErrorReason::Conflict => match session.live().await {
            Ok(live) => ApplyOutcome::Conflict { live },
            Err(error) => ApplyOutcome::Failed(error),
        },
        Err(Stop::Failed(error)) => ApplyOutcome::Failed(error),
    }
}

/// Why an apply ends early.
pub(super) enum Stop {
    /// Leadership was lost before a write.
    Fenced,
    /// A request failed; with the reason `Conflict` where a precondition did not hold.
    Failed(RequestError),
}

impl From<RequestError> for Stop {
    fn from(error: RequestError) -> Self {
        Self::Failed(error)
    }
}

/// The requests that one apply is made of.
pub(super) struct Session<'a> {
    client: &'a Client,
    context: &'a ApplyContext,
    request: &'a ApplyRequest,
    path: String,
    /// The manifest as JSON.
    pub(super) manifest: Value,
    is_secret: bool,
}

impl<'a> Session<'a> {
    fn new(client: &'a Client, context: &'a ApplyContext, request: &'a ApplyRequest) -> Result<Self, RequestError> {
        let key = &request.apply.key;
        let manifest = parse_manifest(&request.manifest)?;
        let path = request.resource.object(&key.namespace, &key.name)?;
        Ok(Self { client, context, request, path, manifest, is_secret: key.is_secret() })
    }

    /// What the decision was made on.
    pub(super) fn precondition(&self) -> &'a Precondition {
        &self.request.apply.precondition
    }

    /// The manifest with every field that its apply owns.
    pub(super) fn stamped(&self) -> Value {
        stamped(self.manifest.clone(), self.request.apply.manifest.hash)
    }

    /// Applies the manifest.
    pub(super) async fn write(&self, precondition: &Precondition) -> Result<Answer, Stop> {
        self.may_start()?;
        let answer = send(self.client, &self.apply_call(precondition)?).await?;
        self.pass_warnings(&answer);
        Ok(answer)
    }

    /// Applies the manifest without effect.
    pub(super) async fn dry_run(&self, precondition: &Precondition) -> Result<Answer, Stop> {
        let call = self.apply_call(precondition)?.with_query("dryRun", "All");
        Ok(send(self.client, &call).await?)
    }

    /// Sends a JSON patch that is guarded by the state `version` of the object.
    pub(super) async fn json_patch(&self, version: &Version, patch: &Value) -> Result<Answer, Stop> {
        self.may_start()?;
        let call = Call::json_patch(self.path.clone(), patch, self.context.write.timeout).secret(self.is_secret);
        let answer = send_patch(self.client, &call, &self.path, version).await?;
        self.pass_warnings(&answer);
        Ok(answer)
    }

    /// Reads the object; `None` if there is none.
    pub(super) async fn read(&self) -> Result<Option<Answer>, RequestError> {
        let call = Call::get(self.path.clone(), self.context.write.timeout).secret(self.is_secret);
        match send(self.client, &call).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.reason == RequestErrorReason::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Cuts an object down to what decisions need.
    pub(super) fn decode(&self, body: &[u8]) -> Result<Box<LiveObject>, RequestError> {
        let context = DecodeContext { hash_key: &self.context.hash_key, gvk: &self.request.resource.gvk };
        let live = decode(body, &context).map_err(|error| error::unreadable(&error.to_string()))?;
        Ok(Box::new(live))
    }

    /// The outcome of a write that was answered.
    pub(super) fn applied(&self, answer: &Answer, blame: Vec<Blame>) -> Result<ApplyOutcome, Stop> {
        Ok(ApplyOutcome::Applied { live: self.decode(&answer.body)?, blame, leftover: None })
    }

    async fn live(&self) -> Result<Option<Box<LiveObject>>, RequestError> {
        self.read().await?.map(|answer| self.decode(&answer.body)).transpose()
    }

    /// Checked before each write, not once for all: a sequence may outlast the lease.
    fn may_start(&self) -> Result<(), Stop> {
        if self.context.write.may_start(self.request.apply.epoch) { Ok(()) } else { Err(Stop::Fenced) }
    }

    fn apply_call(&self, precondition: &Precondition) -> Result<Call, RequestError> {
        let stamp = self.request.apply.manifest.hash;
        let body = apply_body(&self.request.manifest, stamp, precondition)
            .map_err(|_| error::invalid("the stored manifest has no usable metadata: render it again".to_owned()))?;
        Ok(Call::new(Method::PATCH, self.path.clone(), self.context.write.timeout)
            .with_query("fieldManager", FIELD_MANAGER)
            .with_query("force", "true")
            .with_body(APPLY_PATCH, body)
            .secret(self.is_secret))
    }

    fn pass_warnings(&self, answer: &Answer) {
        for warning in &answer.warnings {
            (self.context.on_warning)(&self.request.apply.key, warning);
        }
    }

    /// Applies, and looks after what of the previous manifest stays on the object.
    async fn sync(&self) -> Result<ApplyOutcome, Stop> {
        let previous = self.request.previous.as_deref().map(parse_manifest).transpose()?;
        let (answer, blame) = match self.write(self.precondition()).await {
            Ok(answer) => (answer, Vec::new()),
            Err(Stop::Failed(refused)) if refused.reason == RequestErrorReason::Invalid => {
                self.make_room(previous.as_ref(), refused).await?
            }
            Err(stop) => return Err(stop),
        };
        let Some(previous) = previous else {
            return self.applied(&answer, blame);
        };
        let value = answer.value()?;
        let left = leftovers(&previous, &self.manifest, &value);
        let Some(migration) = csa_migration(&value, &left) else {
            return self.applied_with(&answer, blame, describe(&left));
        };
        // The fields that client-side apply left become ours, and leave with the next apply.
        let migrated = match self.json_patch(&answer.version()?, &migration).await {
            Ok(migrated) => migrated,
            Err(Stop::Fenced) => return Err(Stop::Fenced),
            // The apply itself was carried out: that it could not be completed is told, and tried with the next one.
            Err(Stop::Failed(error)) => return self.applied_with(&answer, blame, not_taken_over(&left, &error)),
        };
        let answer = self.write(&exactly(&migrated.version()?)).await?;
        let left = leftovers(&previous, &self.manifest, &answer.value()?);
        self.applied_with(&answer, blame, describe(&left))
    }

    /// What would stay beside what comes may have an apply refused: a port with another number has the name of the old one.
    /// What left Git and client-side tools hold as well is taken over first; else, what a person made of our field is
    /// removed, as by a heal, and told. `refused` is the answer if there is nothing of the kind.
    async fn make_room(&self, previous: Option<&Value>, refused: RequestError) -> Result<(Answer, Vec<Blame>), Stop> {
        let Precondition::Exactly { .. } = self.precondition() else { return Err(refused.into()) };
        let Some(live) = self.read().await? else { return Err(error::moved().into()) };
        let version = live.version()?;
        if *self.precondition() != exactly(&version) {
            return Err(error::moved().into());
        }
        let value = live.value()?;
        let left = previous.map(|previous| leftovers(previous, &self.manifest, &value)).unwrap_or_default();
        if let Some(patch) = csa_migration(&value, &left).or_else(|| without_own_updates(&value)) {
            let migrated = self.json_patch(&version, &patch).await?;
            return Ok((self.write(&exactly(&migrated.version()?)).await?, Vec::new()));
        }
        let before = value.pointer("/metadata/managedFields").map_or_else(|| "[]".to_owned(), Value::to_string);
        match removal(&self.manifest, &before, &value) {
            Some(removal) => self.remove_and_apply(&version, removal).await,
            None => Err(refused.into()),
        }
    }

    fn applied_with(&self, answer: &Answer, blame: Vec<Blame>, leftover: Option<String>) -> Result<ApplyOutcome, Stop> {
        let leftover = leftover.map(redact::truncate);
        Ok(ApplyOutcome::Applied { live: self.decode(&answer.body)?, blame, leftover })
    }
}

fn not_taken_over(left: &[Leftover], error: &RequestError) -> Option<String> {
    Some(format!("{}; taking it over failed: {}", describe(left)?, error.message))
}

/// The precondition that the object is in exactly the state `version`.
pub(super) fn exactly(version: &Version) -> Precondition {
    Precondition::Exactly { uid: version.uid.clone(), resource_version: version.resource_version }
}

/// A stored manifest as JSON. The error names the place only: the text may be a Secret's.
fn parse_manifest(body: &[u8]) -> Result<Value, RequestError> {
    serde_json::from_slice(body).map_err(|error| {
        error::invalid(format!("the stored manifest is damaged at column {}: render it again", error.column()))
    })
}
