//! What the durable store keeps, as the engine hands it over and gets it back. Values are CBOR; short field names keep an
//! object's record well below 256 bytes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::desired::{DesiredObject, RenderInputs, Stage};
use super::hash::Hash;
use super::health::HealthCode;
use super::ids::{AppKey, Gvk, ObjectKey, RepoKey, Revision};
use super::time::Timestamp;
use super::wave::{Turn, Wave};

/// The durable record of one object of an inventory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// The application that owns it.
    #[serde(rename = "a")]
    pub app: AppKey,
    /// API version of the manifest.
    #[serde(rename = "v")]
    pub version: Arc<str>,
    /// Hash of the manifest that Git wants; `None`: it left Git.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Hash>,
    /// Order in its wave.
    #[serde(rename = "s", default)]
    pub stage: Stage,
    /// Its wave.
    #[serde(rename = "w", default, skip_serializing_if = "Wave::is_default")]
    pub wave: Wave,
    /// `Prune=false` in the manifest.
    #[serde(rename = "np", default, skip_serializing_if = "std::ops::Not::not")]
    pub no_prune: bool,
    /// Footprint of the answer to the last apply, with the desired hash it was an answer to.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// The object as last seen; `None`: not in the cluster.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveRecord>,
}

impl ObjectRecord {
    /// A record of an object that `app` desires and that was never seen.
    pub fn desired(app: AppKey, object: &DesiredObject) -> Self {
        Self {
            app,
            version: object.version.clone(),
            desired: Some(object.hash),
            stage: object.stage,
            wave: object.wave,
            no_prune: object.no_prune,
            expected: None,
            live: None,
        }
    }

    /// Its place in a sync.
    pub fn turn(&self) -> Turn {
        Turn { wave: self.wave, stage: self.stage }
    }

    /// Takes over what Git wants of the object now. Says whether anything changed.
    pub fn adopt(&mut self, object: &DesiredObject) -> bool {
        let before = (self.desired, self.turn(), self.no_prune, self.version.clone());
        if self.version != object.version {
            // Hashes of two API versions don't compare, and the other version has a watch of its own.
            self.expected = None;
            self.live = None;
        }
        self.version = object.version.clone();
        self.desired = Some(object.hash);
        self.stage = object.stage;
        self.wave = object.wave;
        self.no_prune = object.no_prune;
        before != (self.desired, self.turn(), self.no_prune, self.version.clone())
    }
}

/// The footprint that an in-sync object has, valid for one desired hash (and API version, which is inside that hash).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The desired hash that was applied.
    #[serde(rename = "d")]
    pub desired: Hash,
    /// Footprint of the API server's answer.
    #[serde(rename = "f")]
    pub footprint: Hash,
}

/// What is kept of a live object over a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveRecord {
    /// `metadata.uid`.
    #[serde(rename = "u")]
    pub uid: Arc<str>,
    /// `metadata.resourceVersion`.
    #[serde(rename = "r")]
    pub resource_version: u64,
    /// Footprint hash.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub footprint: Option<Hash>,
    /// Stamp annotation.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Hash>,
    /// Health, where the kind has any.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCode>,
    /// Carries our tracking id and instance label.
    #[serde(rename = "o", default)]
    pub ours: bool,
    /// Live protection: bit 0 no prune, bit 1 no delete, bit 2 prune allowed.
    #[serde(rename = "p", default, skip_serializing_if = "is_zero")]
    pub protection: u8,
}

fn is_zero(value: &u8) -> bool {
    *value == 0
}

/// The durable record of one application. What only the cluster can keep (operation, history) is in its status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ApplicationRecord {
    /// `metadata.uid` of the Application resource: one made anew under the same name inherits nothing.
    pub uid: String,
    /// Hash of the parts of the spec that rendering depends on.
    #[serde(default)]
    pub source: Option<Hash>,
    /// The commit that the objects' desired hashes are of.
    #[serde(default)]
    pub revision: Option<Revision>,
    /// What rendering it read.
    #[serde(default)]
    pub inputs: Option<Arc<RenderInputs>>,
    /// Objects that it desires and another application owns: they are not to be pruned, and it inherits them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<DesiredObject>,
}

/// The durable record of one repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// When its refs were last listed.
    pub listed_at: Timestamp,
}

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Application.
    pub app: AppKey,
    /// Object, in [`ObjectKey`]'s text form; empty for the application itself.
    pub object: String,
    /// `applied`, `healed`, `pruned`, `drifted`, `synced`, `failed`, ….
    pub action: String,
    /// Who or what, which revision, which fields; redacted.
    pub detail: String,
}

/// One write of a transaction of the store.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreOp {
    /// Insert or replace an object's record.
    PutObject(ObjectKey, Box<ObjectRecord>),
    /// Forget an object: its deletion was confirmed, or it was handed over.
    DeleteObject(ObjectKey),
    /// Insert or replace an application's record.
    PutApplication(AppKey, Box<ApplicationRecord>),
    /// Forget an application.
    DeleteApplication(AppKey),
    /// Insert or replace a repository's record.
    PutSource(RepoKey, SourceRecord),
    /// The watch of a kind has delivered everything up to this resource version, and its inventory is in the records.
    PutPosition(Gvk, u64),
    /// The position of a watch is not to be resumed from.
    DeletePosition(Gvk),
    /// Append to the audit trail.
    Audit(AuditEntry),
    /// The inventory is complete (a sweep of every kind succeeded since the store was new).
    MarkComplete,
    /// Highest epoch ever seen on the Lease, with its uid.
    PutEpoch(String, i32),
}

/// Everything that the engine starts from.
#[derive(Clone, Debug, Default)]
pub struct StoreSnapshot {
    /// Applications.
    pub applications: Vec<(AppKey, ApplicationRecord)>,
    /// Objects.
    pub objects: Vec<(ObjectKey, ObjectRecord)>,
    /// Watch positions.
    pub positions: Vec<(Gvk, u64)>,
    /// Repositories.
    pub sources: Vec<(RepoKey, SourceRecord)>,
    /// Whether the inventory is complete; `false` for a new or rebuilt store.
    pub complete: bool,
    /// Highest epoch ever seen, with the Lease's uid.
    pub epoch: Option<(String, i32)>,
}
