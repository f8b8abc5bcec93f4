//! Loss of power at a random operation of the disk, and once more while recovering from it.

use std::io::ErrorKind;

use driftless::store::inspect::Inspector;
use driftless::store::{OpenError, Store, StoreError, StoreOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::disk::Disk;
use super::model::{Call, Contents};

const SEEDS: u64 = 500;
const AUDIT_ENTRIES: usize = 12;
/// Calls after which the power goes at the latest.
const CALLS: usize = 30;

fn options() -> StoreOptions {
    // A small cache makes pages reach the disk before their commit.
    StoreOptions { cache_bytes: 64 << 10, audit_entries: AUDIT_ENTRIES as u64, ..Default::default() }
}

#[derive(Debug, Default)]
struct Counts {
    while_made: u64,
    in_a_call: u64,
    between_calls: u64,
    calls_done: u64,
    call_in_flight_kept: u64,
    while_recovered: u64,
    unusable: u64,
}

#[test]
fn what_was_committed_survives_a_crash_with_all_its_writes() {
    let mut counts = Counts::default();
    for seed in 0..SEEDS {
        crash_once(seed, &mut counts);
    }
    println!("{SEEDS} crashes: {counts:?}");
    assert!(counts.while_made > 0 && counts.in_a_call > 100 && counts.while_recovered > 50, "{counts:?}");
}

fn crash_once(seed: u64, counts: &mut Counts) {
    let mut rng = StdRng::seed_from_u64(seed);
    let disk = Disk::default();
    disk.fail_after(rng.random_range(1..if seed.is_multiple_of(8) { 40 } else { 300 }), ErrorKind::Other);
    // What every call that returned has left, and the same with the one that was cut off.
    let mut kept = Contents::default();
    let mut in_flight = None;
    let made = Store::with_backend(disk.clone(), &options());
    if let Ok((store, _)) = &made {
        for _ in 0..rng.random_range(1..CALLS) {
            let call = Call::random(&mut rng);
            let mut after = kept.clone();
            after.perform(&call, AUDIT_ENTRIES);
            if call.perform(store).is_err() {
                assert!(store.broken().is_some(), "seed {seed}");
                in_flight = Some(after);
                break;
            }
            kept = after;
            counts.calls_done += 1;
        }
    }
    match (&made, &in_flight) {
        (Err(_), _) => counts.while_made += 1,
        (_, Some(_)) => counts.in_a_call += 1,
        _ => counts.between_calls += 1,
    }
    let mut image = disk.crash(&mut rng);
    let was_made = made.is_ok();
    // Only now: closing writes, and a process without power does not close.
    drop(made);
    for _ in 0..rng.random_range(0..3) {
        image = crash_while_recovering(image, &mut rng, counts);
    }
    let recovered = Disk::holding(image);
    let store = match Store::with_backend(recovered.clone(), &options()) {
        Ok((store, _)) => store,
        // Nothing had been promised yet. A file is set aside then.
        Err(OpenError::Unusable(_)) if !was_made => {
            counts.unusable += 1;
            return;
        }
        Err(error) => panic!("seed {seed}: {error}"),
    };
    let found = contents(store, &recovered);
    if in_flight.as_ref() == Some(&found) {
        counts.call_in_flight_kept += 1;
    } else {
        assert!(found == kept, "seed {seed}: found {found:#?}\nwhere {kept:#?}\nor {in_flight:#?} should be");
    }
    // And it works on.
    let (store, _) = Store::with_backend(Disk::holding(recovered.live()), &options()).unwrap();
    Call::random(&mut rng).perform(&store).unwrap();
}

/// What `store` holds, which is on `disk`, and is closed.
fn contents(store: Store, disk: &Disk) -> Contents {
    let mut found = Contents::of(&store);
    store.close().unwrap();
    found.read_audit(&Inspector::with_backend(Disk::holding(disk.live())).unwrap());
    found
}

fn crash_while_recovering(image: Vec<u8>, rng: &mut StdRng, counts: &mut Counts) -> Vec<u8> {
    let disk = Disk::holding(image);
    disk.fail_after(rng.random_range(0..25), ErrorKind::Other);
    let opened = Store::with_backend(disk.clone(), &options());
    let image = disk.crash(rng);
    counts.while_recovered += u64::from(opened.is_err());
    image
}

#[test]
fn a_full_disk_breaks_the_store_and_keeps_what_was_committed() {
    for seed in 0..60 {
        let mut rng = StdRng::seed_from_u64(seed);
        let disk = Disk::default();
        let (store, _) = Store::with_backend(disk.clone(), &options()).unwrap();
        disk.fail_after(rng.random_range(0..200), ErrorKind::StorageFull);
        let mut kept = Contents::default();
        let (error, in_flight) = loop {
            let call = Call::random(&mut rng);
            let mut after = kept.clone();
            after.perform(&call, AUDIT_ENTRIES);
            match call.perform(&store) {
                Ok(()) => kept = after,
                Err(error) => break (error, after),
            }
        };
        assert!(matches!(error, StoreError::Full(_)), "seed {seed}: {error}");
        assert!(store.broken().is_some_and(|reason| reason.contains("full")), "seed {seed}");
        let operations = disk.operations();
        for _ in 0..3 {
            let error = Call::random(&mut rng).perform(&store).unwrap_err();
            assert!(matches!(error, StoreError::Broken(_)), "seed {seed}: {error}");
        }
        assert!(matches!(store.load(), Err(StoreError::Broken(_))));
        assert_eq!(disk.operations(), operations, "a broken store leaves the disk alone");
        drop(store);
        let healthy = Disk::holding(disk.live());
        let (store, _) = Store::with_backend(healthy.clone(), &options()).unwrap();
        let found = contents(store, &healthy);
        assert!(found == kept || found == in_flight, "seed {seed}");
    }
}
