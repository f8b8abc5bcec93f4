//! A store at work: its sizes, its bounds, and readers beside it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use driftless::engine::desired::Stage;
use driftless::engine::hash::Hash;
use driftless::engine::health::HealthCode;
use driftless::engine::ids::{AppKey, Gvk, ObjectKey};
use driftless::engine::record::{AuditEntry, Expected, LiveRecord, ObjectRecord, StoreOp};
use driftless::engine::time::Timestamp;
use driftless::store::inspect::{InspectError, Inspector};
use driftless::store::{Store, StoreError, StoreOptions};

use super::model::{body, hash_of};

/// The record of an object that is in sync, as most are.
fn settled(app: &AppKey, number: u64) -> ObjectRecord {
    let desired = Hash::of(&number.to_be_bytes());
    let footprint = Hash::of(&[1, number.to_be_bytes()[7]]);
    ObjectRecord {
        app: app.clone(),
        version: "v1".into(),
        desired: Some(desired),
        stage: Stage::Workload,
        wave: Default::default(),
        no_prune: false,
        expected: Some(Expected { desired, footprint }),
        live: Some(LiveRecord {
            uid: format!("6f1f2b6e-0f4f-4f7c-9b53-{number:012x}").into(),
            resource_version: 184_467_440 + number,
            footprint: Some(footprint),
            stamp: Some(desired),
            health: Some(HealthCode::Healthy),
            ours: true,
            protection: 0,
        }),
    }
}

/// A key as charts name their objects.
fn key(number: u64) -> ObjectKey {
    let (group, kind) = [
        ("apps", "Deployment"),
        ("", "Service"),
        ("", "ConfigMap"),
        ("", "Secret"),
        ("", "ServiceAccount"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("rbac.authorization.k8s.io", "Role"),
        ("networking.k8s.io", "Ingress"),
        ("autoscaling", "HorizontalPodAutoscaler"),
        ("policy", "PodDisruptionBudget"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("monitoring.coreos.com", "ServiceMonitor"),
    ][usize::try_from(number % 12).unwrap()];
    ObjectKey::new(group, kind, "team-checkout", format!("checkout-payment-gateway-{number}"))
}

#[test]
fn an_object_costs_at_most_256_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let (store, _) = Store::open(&path, &StoreOptions::default()).unwrap();
    let app = AppKey::new("argocd", "checkout-payment-gateway");
    let ops: Vec<_> = (0..2400).map(|n| StoreOp::PutObject(key(n), Box::new(settled(&app, n)))).collect();
    store.commit(&ops).unwrap();
    let stats = Inspector::open(&path).unwrap().stats().unwrap();
    let objects = stats.tables.iter().find(|table| table.name == "objects").unwrap();
    println!("2400 objects: {} bytes a record with its key, {objects:?}", objects.average_bytes());
    assert_eq!(objects.entries, 2400);
    assert!(objects.average_bytes() <= 256, "{objects:?}");
    // Pages are never quite full; what is on disk stays within twice the records.
    assert!(objects.overhead_bytes <= objects.stored_bytes, "{objects:?}");
    assert_eq!(store.load().unwrap().objects.len(), 2400);
}

#[test]
fn the_audit_trail_keeps_its_newest_entries() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let entry = |number: u64| AuditEntry {
        at: Timestamp(0),
        app: AppKey::new("argocd", if number.is_multiple_of(2) { "even" } else { "odd" }),
        object: String::new(),
        action: "synced".to_owned(),
        detail: number.to_string(),
    };
    let details = |limit: usize, app: Option<&AppKey>| -> Vec<u64> {
        let lines = Inspector::open(&path).unwrap().audit(app, limit).unwrap();
        lines.into_iter().map(|line| line.entry.detail.parse().unwrap()).collect()
    };
    let (store, _) = Store::open(&path, &StoreOptions { audit_entries: 100, ..Default::default() }).unwrap();
    for start in (0..900).step_by(90) {
        let ops: Vec<_> = (start..start + 90).map(|number| StoreOp::Audit(entry(number))).collect();
        store.commit(&ops).unwrap();
    }
    assert_eq!(details(usize::MAX, None), (800..900).rev().collect::<Vec<_>>());
    assert_eq!(details(3, Some(&AppKey::new("argocd", "even"))), [898, 896, 894]);
    assert_eq!(details(0, None), [0; 0]);
    store.close().unwrap();
    // A lower limit holds from the next entry on.
    let (store, _) = Store::open(&path, &StoreOptions { audit_entries: 10, ..Default::default() }).unwrap();
    store.commit(&[StoreOp::Audit(entry(900))]).unwrap();
    assert_eq!(details(usize::MAX, None), (891..=900).rev().collect::<Vec<_>>());
}

#[test]
fn manifests_are_kept_by_content_while_anything_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let (store, _) = Store::open(&path, &StoreOptions::default()).unwrap();
    let bodies: Vec<_> = (0..6).map(|number| (hash_of(number), body(number))).collect();
    let put = |range: std::ops::Range<usize>| {
        store.put_manifests(bodies[range].iter().map(|(hash, body)| (*hash, body.as_bytes()))).unwrap()
    };
    assert_eq!((put(0..4), put(0..6), put(0..6)), (4, 2, 0));
    let app = AppKey::new("argocd", "shop");
    let mut record = settled(&app, 1);
    record.desired = Some(hash_of(0));
    record.expected = Some(Expected { desired: hash_of(1), footprint: hash_of(5) });
    store.commit(&[StoreOp::PutObject(key(1), Box::new(record))]).unwrap();
    let collected = store.collect_manifests(&BTreeSet::from([hash_of(2)])).unwrap();
    assert_eq!((collected.removed, collected.more), (3, false));
    let kept = |number: usize| store.manifest(hash_of(number)).unwrap().map(|found| found == body(number).as_bytes());
    assert_eq!([0, 1, 2, 3, 4, 5].map(kept), [Some(true), Some(true), Some(true), None, None, None]);
}

#[test]
fn collecting_is_done_in_bounded_steps() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&folder.path().join("store.redb"), &StoreOptions::default()).unwrap();
    let bodies: Vec<_> = (0..driftless::store::MAX_COLLECTED + 5)
        .map(|number| format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"m{number}"}}}}"#))
        .collect();
    store.put_manifests(bodies.iter().map(|body| (Hash::of(body.as_bytes()), body.as_bytes()))).unwrap();
    let first = store.collect_manifests(&BTreeSet::new()).unwrap();
    let second = store.collect_manifests(&BTreeSet::new()).unwrap();
    assert_eq!((first.removed, first.more), (driftless::store::MAX_COLLECTED, true));
    assert_eq!((second.removed, second.more), (5, false));
}

#[test]
fn a_secret_never_reaches_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let (store, _) = Store::open(&path, &StoreOptions::default()).unwrap();
    let secret = r#"{"apiVersion":"v1","data":{"password":"aHVudGVyMg=="},"kind":"Secret","metadata":{"name":"db"}}"#;
    let plain = body(1);
    let bodies = [(hash_of(1), plain.as_bytes()), (Hash::of(secret.as_bytes()), secret.as_bytes())];
    let error = store.put_manifests(bodies.into_iter()).unwrap_err();
    assert!(matches!(error, StoreError::SecretManifest(_)), "{error}");
    assert!(!error.to_string().contains("aHVudGVyMg"));
    // The whole call is refused, and the store works on.
    assert_eq!(store.broken(), None);
    assert_eq!(store.manifest(hash_of(1)).unwrap(), None);
    store.close().unwrap();
    let bytes = fs::read(&path).unwrap();
    assert!(!bytes.windows(10).any(|window| window == b"aHVudGVyMg"));
}

#[test]
fn readers_see_whole_commits_while_one_writes() {
    const ROUNDS: u64 = 150;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let (store, _) = Store::open(&path, &StoreOptions::default()).unwrap();
    let app = AppKey::new("argocd", "shop");
    let write = |round: u64| {
        let mut record = settled(&app, 1);
        record.live.as_mut().unwrap().resource_version = round;
        let gvk = Gvk::new("", "v1", "ConfigMap");
        store
            .commit(&[
                StoreOp::PutObject(key(1), Box::new(record.clone())),
                StoreOp::PutObject(key(2), Box::new(record)),
                StoreOp::PutPosition(gvk, round),
            ])
            .unwrap();
    };
    write(0);
    let done = AtomicBool::new(false);
    let reads = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut last, mut reads) = (0, 0);
            let inspector = Inspector::open(&path).unwrap();
            while !done.load(Ordering::Acquire) || reads == 0 {
                let objects = inspector.objects(Some(&app)).unwrap();
                let versions: Vec<_> =
                    objects.iter().map(|(_, record)| record.live.as_ref().unwrap().resource_version).collect();
                assert_eq!(versions.len(), 2);
                assert_eq!(versions[0], versions[1], "half a commit");
                assert!(versions[0] >= last, "back in time");
                last = versions[0];
                reads += 1;
            }
            reads
        });
        (1..=ROUNDS).for_each(write);
        done.store(true, Ordering::Release);
        reader.join().unwrap()
    });
    println!("{ROUNDS} commits, {reads} reads beside them");
    assert_eq!(store.load().unwrap().positions, [(Gvk::new("", "v1", "ConfigMap"), ROUNDS)]);
}

#[test]
fn an_inspector_says_why_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let open = |path: &Path| Inspector::open(path).err().unwrap();
    assert!(matches!(open(&path), InspectError::Open { .. }));
    fs::write(&path, "garbage").unwrap();
    assert!(matches!(open(&path), InspectError::Open { .. }));
    assert_eq!(fs::read(&path).unwrap(), b"garbage");
    fs::remove_file(&path).unwrap();
    let (store, _) = Store::open(&path, &StoreOptions::default()).unwrap();
    // The file of a process that was killed: a copy taken while the store is open.
    let copy = folder.path().join("copy.redb");
    fs::copy(&path, &copy).unwrap();
    assert!(matches!(open(&copy), InspectError::Unclean(_)));
    drop(store);
    assert!(Inspector::open(&path).unwrap().applications().unwrap().is_empty());
    let exclusive = redb::Database::open(&path).unwrap();
    assert!(matches!(open(&path), InspectError::Locked(_)));
    drop(exclusive);
}

#[test]
fn another_process_can_read_and_cannot_write() {
    // This test is its own other process: started again with this variable, it inspects and tries to open.
    const VARIABLE: &str = "DRIFTLESS_TEST_STORE";
    if let Some(path) = std::env::var_os(VARIABLE) {
        let path = Path::new(&path);
        let inspector = Inspector::open(path).unwrap();
        assert_eq!(inspector.objects(None).unwrap().len(), 1);
        assert!(inspector.stats().unwrap().complete);
        let options = StoreOptions { lock_wait: std::time::Duration::ZERO, ..Default::default() };
        let error = Store::open(path, &options).unwrap_err();
        assert!(matches!(error, driftless::store::OpenError::Locked { .. }), "{error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let (store, _) = Store::open(&path, &StoreOptions::default()).unwrap();
    let app = AppKey::new("argocd", "shop");
    store.commit(&[StoreOp::PutObject(key(1), Box::new(settled(&app, 1))), StoreOp::MarkComplete]).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["store::live::another_process_can_read_and_cannot_write", "--exact"])
        .env(VARIABLE, &path)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
    store.commit(&[StoreOp::DeleteObject(key(1))]).unwrap();
}
