//! What is written is what is read, for every table and any text.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftless::engine::desired::{RenderInputs, Stage};
use driftless::engine::hash::Hash;
use driftless::engine::health::HealthCode;
use driftless::engine::ids::{AppKey, Gvk, ObjectKey, RepoKey, Revision};
use driftless::engine::record::{
    ApplicationRecord, AuditEntry, Expected, LiveRecord, ObjectRecord, SourceRecord, StoreOp,
};
use driftless::engine::time::Timestamp;
use driftless::engine::wave::{Phase, Wave};
use driftless::store::Store;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::disk::Disk;

fn text() -> impl Strategy<Value = Arc<str>> {
    // Any character, NUL and slashes too: what a manifest says as a name reaches the store before the API server sees it.
    prop_oneof![3 => "[a-z0-9./:-]{0,24}", 1 => "\\PC{0,8}", 1 => "[\0-\u{ff}]{0,8}"].prop_map(Arc::from)
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 16]>().prop_map(Hash::from_bytes)
}

fn app() -> impl Strategy<Value = AppKey> {
    (text(), text()).prop_map(|(namespace, name)| AppKey { namespace, name })
}

fn object() -> impl Strategy<Value = ObjectKey> {
    (text(), text(), text(), text()).prop_map(|(group, kind, namespace, name)| ObjectKey {
        group,
        kind,
        namespace,
        name,
    })
}

fn live() -> impl Strategy<Value = LiveRecord> {
    let health = prop::sample::select(vec![
        HealthCode::Healthy,
        HealthCode::Suspended,
        HealthCode::Progressing,
        HealthCode::Missing,
        HealthCode::Degraded,
        HealthCode::Unknown,
    ]);
    (text(), any::<u64>(), of(hash()), of(hash()), of(health), any::<bool>(), any::<u8>()).prop_map(
        |(uid, resource_version, footprint, stamp, health, ours, protection)| LiveRecord {
            uid,
            resource_version,
            footprint,
            stamp,
            health,
            ours,
            protection,
        },
    )
}

fn record() -> impl Strategy<Value = ObjectRecord> {
    let stage =
        prop::sample::select(vec![Stage::Namespace, Stage::Definition, Stage::Base, Stage::Workload, Stage::Extension]);
    let expected = (hash(), hash()).prop_map(|(desired, footprint)| Expected { desired, footprint });
    let phase = prop::sample::select(vec![Phase::PreSync, Phase::Sync, Phase::PostSync, Phase::SyncFail]);
    let wave = (phase, any::<i32>()).prop_map(|(phase, number)| Wave { phase, number });
    (app(), text(), of(hash()), (stage, wave), any::<bool>(), of(expected), of(live())).prop_map(
        |(app, version, desired, (stage, wave), no_prune, expected, live)| ObjectRecord {
            app,
            version,
            desired,
            stage,
            wave,
            no_prune,
            expected,
            live,
        },
    )
}

fn application() -> impl Strategy<Value = ApplicationRecord> {
    let inputs = (of(hash()), vec((text(), of(text())), 0..5));
    let inputs =
        inputs.prop_map(|(options, reads)| Arc::new(RenderInputs { options, reads, ..RenderInputs::default() }));
    (".*", of(hash()), of("[0-9a-f]{40}"), of(inputs)).prop_map(|(uid, source, revision, inputs)| ApplicationRecord {
        uid,
        source,
        revision: revision.and_then(|text| Revision::parse(&text)),
        inputs,
        claims: Vec::new(),
    })
}

fn audit() -> impl Strategy<Value = AuditEntry> {
    (any::<i64>(), app(), ".*", ".*", ".*").prop_map(|(at, app, object, action, detail)| AuditEntry {
        at: Timestamp(at),
        app,
        object,
        action,
        detail,
    })
}

fn op() -> impl Strategy<Value = StoreOp> {
    let gvk = || (text(), text(), text()).prop_map(|(group, version, kind)| Gvk { group, version, kind });
    prop_oneof![
        4 => (object(), record()).prop_map(|(key, record)| StoreOp::PutObject(key, Box::new(record))),
        2 => (app(), application()).prop_map(|(key, record)| StoreOp::PutApplication(key, Box::new(record))),
        1 => (text(), any::<i64>()).prop_map(|(repo, at)| {
            StoreOp::PutSource(RepoKey(repo), SourceRecord { listed_at: Timestamp(at) })
        }),
        1 => (gvk(), any::<u64>()).prop_map(|(gvk, position)| StoreOp::PutPosition(gvk, position)),
        1 => audit().prop_map(StoreOp::Audit),
        1 => (".*", any::<i32>()).prop_map(|(uid, epoch)| StoreOp::PutEpoch(uid, epoch)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_record_is_read_as_it_was_written(ops in vec(op(), 1..24)) {
        let disk = Disk::default();
        let (store, report) = Store::with_backend(disk.clone(), &Default::default()).unwrap();
        prop_assert!(report.created);
        store.commit(&ops).unwrap();
        store.close().unwrap();
        let (store, report) = Store::with_backend(Disk::holding(disk.live()), &Default::default()).unwrap();
        prop_assert!(!report.created);
        let found = store.load().unwrap();
        let objects: BTreeMap<_, _> = found.objects.into_iter().collect();
        let applications: BTreeMap<_, _> = found.applications.into_iter().collect();
        let sources: BTreeMap<_, _> = found.sources.into_iter().collect();
        let positions: BTreeMap<_, _> = found.positions.into_iter().collect();
        // Later writes of a key replace earlier ones, so only the last of each key is looked for.
        let mut seen = std::collections::BTreeSet::new();
        for op in ops.iter().rev() {
            match op {
                StoreOp::PutObject(key, record) if seen.insert(format!("o{key:?}")) => {
                    prop_assert_eq!(objects.get(key), Some(&**record));
                }
                StoreOp::PutApplication(key, record) if seen.insert(format!("a{key:?}")) => {
                    prop_assert_eq!(applications.get(key), Some(&**record));
                }
                StoreOp::PutSource(key, record) if seen.insert(format!("s{key:?}")) => {
                    prop_assert_eq!(sources.get(key), Some(record));
                }
                StoreOp::PutPosition(key, position) if seen.insert(format!("p{key:?}")) => {
                    prop_assert_eq!(positions.get(key), Some(position));
                }
                StoreOp::PutEpoch(uid, epoch) if seen.insert("epoch".to_owned()) => {
                    prop_assert_eq!(&found.epoch, &Some((uid.clone(), *epoch)));
                }
                _ => {}
            }
        }
    }
}
