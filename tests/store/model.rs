//! What a store has to hold, kept in maps, and random work for both.

use std::collections::{BTreeMap, BTreeSet};

use driftless::engine::desired::{RenderInputs, Stage};
use driftless::engine::hash::Hash;
use driftless::engine::health::HealthCode;
use driftless::engine::ids::{AppKey, Gvk, ObjectKey, RepoKey, Revision};
use driftless::engine::record::{
    ApplicationRecord, AuditEntry, Expected, LiveRecord, ObjectRecord, SourceRecord, StoreOp,
};
use driftless::engine::time::Timestamp;
use driftless::engine::wave::Wave;
use driftless::store::Store;
use driftless::store::inspect::Inspector;
use rand::Rng;
use rand::rngs::StdRng;

/// Everything that a store holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Contents {
    applications: BTreeMap<AppKey, ApplicationRecord>,
    pub(crate) objects: BTreeMap<ObjectKey, ObjectRecord>,
    positions: BTreeMap<Gvk, u64>,
    sources: BTreeMap<RepoKey, SourceRecord>,
    complete: bool,
    epoch: Option<(String, i32)>,
    audit: Vec<AuditEntry>,
    manifests: BTreeSet<Hash>,
}

/// One call of the store.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Commit(Vec<StoreOp>),
    PutManifests(Vec<usize>),
    Collect(BTreeSet<Hash>),
}

/// Manifests that random calls put.
pub(crate) const BODIES: usize = 24;

/// A canonical manifest; larger than a page for some numbers.
pub(crate) fn body(number: usize) -> String {
    let padding = "x".repeat(number * number * 12);
    format!(r#"{{"apiVersion":"v1","data":{{"k":"{padding}"}},"kind":"ConfigMap","metadata":{{"name":"m{number}"}}}}"#)
}

pub(crate) fn hash_of(number: usize) -> Hash {
    Hash::of(body(number).as_bytes())
}

impl Call {
    pub(crate) fn perform(&self, store: &Store) -> Result<(), driftless::store::StoreError> {
        match self {
            Self::Commit(ops) => store.commit(ops),
            Self::PutManifests(numbers) => {
                let bodies: Vec<_> = numbers.iter().map(|number| (hash_of(*number), body(*number))).collect();
                store.put_manifests(bodies.iter().map(|(hash, body)| (*hash, body.as_bytes()))).map(drop)
            }
            Self::Collect(keep) => store.collect_manifests(keep).map(drop),
        }
    }

    pub(crate) fn random(rng: &mut StdRng) -> Self {
        match rng.random_range(0..10) {
            0..7 => Self::Commit((0..rng.random_range(1..12)).map(|_| random_op(rng)).collect()),
            7 | 8 => Self::PutManifests((0..rng.random_range(1..6)).map(|_| rng.random_range(0..BODIES)).collect()),
            _ => Self::Collect((0..rng.random_range(0..4)).map(|_| hash_of(rng.random_range(0..BODIES))).collect()),
        }
    }
}

impl Contents {
    /// What `store` holds, without the audit trail.
    pub(crate) fn of(store: &Store) -> Self {
        let snapshot = store.load().unwrap();
        let manifests = (0..BODIES).filter(|number| {
            let found = store.manifest(hash_of(*number)).unwrap();
            assert!(found.as_ref().is_none_or(|found| *found == body(*number).as_bytes()));
            found.is_some()
        });
        Self {
            applications: snapshot.applications.into_iter().collect(),
            objects: snapshot.objects.into_iter().collect(),
            positions: snapshot.positions.into_iter().collect(),
            sources: snapshot.sources.into_iter().collect(),
            complete: snapshot.complete,
            epoch: snapshot.epoch,
            audit: Vec::new(),
            manifests: manifests.map(hash_of).collect(),
        }
    }

    /// Adds the audit trail of the same store.
    pub(crate) fn read_audit(&mut self, inspector: &Inspector) {
        let newest_first = inspector.audit(None, usize::MAX).unwrap();
        self.audit = newest_first.into_iter().rev().map(|line| line.entry).collect();
    }

    pub(crate) fn perform(&mut self, call: &Call, audit_entries: usize) {
        match call {
            Call::Commit(ops) => {
                ops.iter().for_each(|op| self.apply(op));
                let surplus = self.audit.len().saturating_sub(audit_entries);
                self.audit.drain(..surplus);
            }
            Call::PutManifests(numbers) => self.manifests.extend(numbers.iter().map(|number| hash_of(*number))),
            Call::Collect(keep) => {
                let mut live = keep.clone();
                for record in self.objects.values() {
                    live.extend(record.desired);
                    live.extend(record.expected.map(|expected| expected.desired));
                }
                self.manifests.retain(|hash| live.contains(hash));
            }
        }
    }

    pub(crate) fn apply(&mut self, op: &StoreOp) {
        match op.clone() {
            StoreOp::PutObject(key, record) => drop(self.objects.insert(key, *record)),
            StoreOp::DeleteObject(key) => drop(self.objects.remove(&key)),
            StoreOp::PutApplication(key, record) => drop(self.applications.insert(key, *record)),
            StoreOp::DeleteApplication(key) => drop(self.applications.remove(&key)),
            StoreOp::PutSource(key, record) => drop(self.sources.insert(key, record)),
            StoreOp::PutPosition(gvk, position) => drop(self.positions.insert(gvk, position)),
            StoreOp::DeletePosition(gvk) => drop(self.positions.remove(&gvk)),
            StoreOp::Audit(entry) => self.audit.push(entry),
            StoreOp::MarkComplete => self.complete = true,
            StoreOp::PutEpoch(uid, epoch) => self.epoch = Some((uid, epoch)),
        }
    }
}

/// A random write over few keys, so that writes meet.
pub(crate) fn random_op(rng: &mut StdRng) -> StoreOp {
    let app = AppKey::new("argocd", format!("app-{}", rng.random_range(0..5)));
    let name = format!("object-{}", rng.random_range(0..40));
    let key = ObjectKey::new(if rng.random() { "apps" } else { "" }, "Deployment", "shop", name);
    let gvk = Gvk::new("apps", "v1", format!("Kind{}", rng.random_range(0..4)));
    match rng.random_range(0..16) {
        0..7 => StoreOp::PutObject(key, Box::new(random_record(rng, app))),
        7 | 8 => StoreOp::DeleteObject(key),
        9 => StoreOp::PutApplication(app, Box::new(random_application(rng))),
        10 => StoreOp::DeleteApplication(app),
        11 => StoreOp::PutSource(RepoKey("https://git.example.com/shop".into()), random_source(rng)),
        12 => StoreOp::PutPosition(gvk, rng.random()),
        13 => match rng.random_range(0..3) {
            0 => StoreOp::DeletePosition(gvk),
            1 => StoreOp::MarkComplete,
            _ => StoreOp::PutEpoch("7a7f".to_owned(), rng.random()),
        },
        _ => StoreOp::Audit(AuditEntry {
            at: Timestamp(rng.random_range(0..1 << 40)),
            app,
            object: key.to_string(),
            action: "healed".to_owned(),
            detail: "spec.replicas by kubectl-scale ".repeat(rng.random_range(0..8)),
        }),
    }
}

fn random_source(rng: &mut StdRng) -> SourceRecord {
    SourceRecord { listed_at: Timestamp(rng.random_range(0..1 << 40)) }
}

fn random_application(rng: &mut StdRng) -> ApplicationRecord {
    let mut reads = Vec::new();
    for number in 0..rng.random_range(0..60) {
        let id = rng.random::<bool>().then(|| format!("{:040x}", rng.random::<u128>()).into());
        reads.push((format!("apps/shop/file-{number}.yaml").into(), id));
    }
    ApplicationRecord {
        uid: format!("{:032x}", rng.random::<u128>()),
        source: rng.random::<bool>().then(|| random_hash(rng)),
        revision: Revision::parse(&format!("{:040x}", rng.random::<u128>())),
        inputs: Some(RenderInputs { options: None, reads, ..RenderInputs::default() }.into()),
        claims: Vec::new(),
    }
}

fn random_record(rng: &mut StdRng, app: AppKey) -> ObjectRecord {
    let desired = rng.random_bool(0.9).then(|| hash_of(rng.random_range(0..BODIES)));
    ObjectRecord {
        app,
        version: "v1".into(),
        desired,
        stage: if rng.random() { Stage::Base } else { Stage::Workload },
        wave: Wave { number: rng.random_range(-1..2), ..Wave::default() },
        no_prune: rng.random_bool(0.1),
        expected: desired
            .filter(|_| rng.random())
            .map(|desired| Expected { desired, footprint: Hash::of(&rng.random::<[u8; 8]>()) }),
        live: rng.random::<bool>().then(|| LiveRecord {
            uid: format!("{:032x}", rng.random::<u128>()).into(),
            resource_version: rng.random_range(0..1 << 40),
            footprint: Some(random_hash(rng)),
            stamp: desired,
            health: rng.random::<bool>().then_some(HealthCode::Progressing),
            ours: rng.random(),
            protection: rng.random_range(0..8),
        }),
    }
}

fn random_hash(rng: &mut StdRng) -> Hash {
    Hash::from_bytes(rng.random())
}
