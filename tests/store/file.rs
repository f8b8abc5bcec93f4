//! Files that can't be used, or not yet.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use driftless::engine::record::StoreOp;
use driftless::store::inspect::Inspector;
use driftless::store::{MAX_SET_ASIDE, OpenError, Store, StoreOptions, Unusable};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use super::model::{Call, Contents, random_op};

fn at_once() -> StoreOptions {
    StoreOptions { lock_wait: Duration::ZERO, ..Default::default() }
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/store.redb");
    (folder, path)
}

/// A file with some content, and that content.
fn filled(path: &Path) -> Contents {
    let mut rng = StdRng::seed_from_u64(7);
    let (store, report) = Store::open(path, &at_once()).unwrap();
    assert!(report.created && report.set_aside.is_none());
    let mut written = Contents::default();
    for _ in 0..20 {
        let call = Call::random(&mut rng);
        call.perform(&store).unwrap();
        written.perform(&call, usize::MAX);
    }
    store.commit(&[StoreOp::MarkComplete]).unwrap();
    written.apply(&StoreOp::MarkComplete);
    assert_eq!(contents(&store, path), written);
    store.close().unwrap();
    written
}

fn contents(store: &Store, path: &Path) -> Contents {
    let mut found = Contents::of(store);
    found.read_audit(&Inspector::open(path).unwrap());
    found
}

fn beside(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".unusable-{number}"));
    name.into()
}

#[test]
fn a_closed_store_opens_with_what_it_held() {
    let (_folder, path) = place();
    let written = filled(&path);
    let (store, report) = Store::open(&path, &at_once()).unwrap();
    assert_eq!(report, Default::default());
    assert_eq!(contents(&store, &path), written);
    let snapshot = store.load().unwrap();
    assert!(snapshot.complete && !snapshot.objects.is_empty());
}

#[test]
fn garbage_is_set_aside_untouched() {
    let mut rng = StdRng::seed_from_u64(1);
    let noise: Vec<u8> = (0..200_000).map(|_| rng.random()).collect();
    let cases: [&[u8]; 5] = [b"x", b"not a database\n", &[0; 4096], &[0; 100_000], &noise];
    for bytes in cases {
        let (_folder, path) = place();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for number in 1..3 {
            fs::write(&path, bytes).unwrap();
            let (store, report) = Store::open(&path, &at_once()).unwrap();
            let set_aside = report.set_aside.clone().unwrap();
            assert!(report.created);
            assert_eq!(set_aside.to, beside(&path, number));
            assert!(matches!(set_aside.reason, Unusable::Damaged(_)));
            let message = set_aside.to_string();
            assert!(message.contains("unusable-") && message.contains("damaged"), "{message}");
            assert_eq!(fs::read(&set_aside.to).unwrap(), bytes);
            assert!(!store.load().unwrap().complete);
            store.commit(&[StoreOp::MarkComplete]).unwrap();
        }
    }
}

#[test]
fn a_truncated_file_is_set_aside_untouched() {
    let (_folder, path) = place();
    filled(&path);
    let whole = fs::read(&path).unwrap();
    let mut lengths: Vec<usize> =
        vec![1, 63, 64, 320, 511, 512, 4095, 4096, 4097, 8192, whole.len() / 2, whole.len() - 1];
    let mut rng = StdRng::seed_from_u64(2);
    lengths.extend((0..20).map(|_| rng.random_range(1..whole.len())));
    for length in lengths {
        let (_folder, path) = place();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &whole[..length]).unwrap();
        let (store, report) = Store::open(&path, &at_once()).unwrap();
        let set_aside = report.set_aside.unwrap_or_else(|| panic!("cut at {length} of {} went unseen", whole.len()));
        assert_eq!(fs::read(set_aside.to).unwrap(), &whole[..length]);
        assert!(store.load().unwrap().objects.is_empty());
    }
}

#[test]
fn an_emptied_file_is_a_new_store() {
    let (_folder, path) = place();
    filled(&path);
    fs::write(&path, b"").unwrap();
    let (store, report) = Store::open(&path, &at_once()).unwrap();
    assert!(report.created && !store.load().unwrap().complete);
}

#[test]
fn altered_bytes_never_pass_as_content() {
    let (_folder, path) = place();
    let written = filled(&path);
    let whole = fs::read(&path).unwrap();
    let mut rng = StdRng::seed_from_u64(3);
    let (mut harmless, mut set_aside) = (0, 0);
    for round in 0..300 {
        let (_folder, path) = place();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = whole.clone();
        // The header is small and matters most.
        let at = if round % 3 == 0 { rng.random_range(0..512) } else { rng.random_range(0..bytes.len()) };
        bytes[at] ^= 1 << rng.random_range(0..8);
        fs::write(&path, &bytes).unwrap();
        let (store, report) = Store::open(&path, &at_once()).unwrap();
        match report.set_aside {
            Some(_) => set_aside += 1,
            None => {
                assert!(contents(&store, &path) == written, "byte {at} was changed");
                harmless += 1;
            }
        }
    }
    println!("300 altered files: {harmless} without effect, {set_aside} set aside");
    assert!(set_aside > 20 && harmless > 20);
}

#[test]
fn a_newer_file_is_set_aside_untouched() {
    const META: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    let (_folder, path) = place();
    let written = filled(&path);
    let db = redb::Database::open(&path).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(META).unwrap().insert("schema", &[9u8][..]).unwrap();
    txn.commit().unwrap();
    drop(db);
    let (store, report) = Store::open(&path, &at_once()).unwrap();
    let set_aside = report.set_aside.unwrap();
    assert_eq!(set_aside.reason, Unusable::Newer { found: 9, known: driftless::store::SCHEMA_VERSION });
    assert!(set_aside.to_string().contains("newer version"), "{set_aside}");
    assert!(store.load().unwrap().objects.is_empty());
    store.close().unwrap();
    // With its number put right it is whole: nothing in it was touched.
    let db = redb::Database::open(&set_aside.to).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(META).unwrap().insert("schema", &[1u8][..]).unwrap();
    txn.commit().unwrap();
    drop(db);
    let (store, _) = Store::open(&set_aside.to, &at_once()).unwrap();
    assert_eq!(contents(&store, &set_aside.to), written);
}

#[test]
fn a_record_that_cannot_be_read_is_found_when_opening() {
    type Objects =
        redb::TableDefinition<'static, (&'static str, &'static str, &'static str, &'static str), &'static [u8]>;
    let objects: Objects = redb::TableDefinition::new("objects");
    let (_folder, path) = place();
    filled(&path);
    let db = redb::Database::open(&path).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(objects).unwrap().insert(("", "ConfigMap", "shop", "odd"), &[0xffu8][..]).unwrap();
    txn.commit().unwrap();
    drop(db);
    let (_store, report) = Store::open(&path, &at_once()).unwrap();
    let message = report.set_aside.unwrap().to_string();
    assert!(message.contains("table objects"), "{message}");
}

#[test]
fn another_programs_database_is_set_aside() {
    let (_folder, path) = place();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let db = redb::Database::create(&path).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(redb::TableDefinition::<u64, u64>::new("theirs")).unwrap().insert(1, 1).unwrap();
    txn.commit().unwrap();
    drop(db);
    let (_store, report) = Store::open(&path, &at_once()).unwrap();
    assert!(report.set_aside.unwrap().to_string().contains("no schema version"));
}

#[test]
fn files_set_aside_do_not_pile_up_without_end() {
    let (_folder, path) = place();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    for number in 1..=MAX_SET_ASIDE {
        fs::write(beside(&path, number), "kept").unwrap();
    }
    fs::write(&path, "garbage").unwrap();
    let error = Store::open(&path, &at_once()).unwrap_err();
    assert!(matches!(error, OpenError::TooManySetAside { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"garbage");
}

#[test]
fn a_file_in_use_is_waited_for() {
    let (_folder, path) = place();
    let (first, _) = Store::open(&path, &at_once()).unwrap();
    let error = Store::open(&path, &at_once()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    let mut rng = StdRng::seed_from_u64(4);
    let op = random_op(&mut rng);
    let options = StoreOptions { lock_wait: Duration::from_secs(60), ..Default::default() };
    let waiting = thread::spawn(move || Store::open(&path, &options));
    first.commit(&[op, StoreOp::MarkComplete]).unwrap();
    assert!(!waiting.is_finished());
    first.close().unwrap();
    let (second, report) = waiting.join().unwrap().unwrap();
    assert!(!report.created && second.load().unwrap().complete);
}

#[test]
fn a_path_that_cannot_be_a_file_is_an_error() {
    let (folder, _) = place();
    let error = Store::open(folder.path(), &at_once()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert!(folder.path().is_dir());
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("store.redb"), &at_once()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
}
