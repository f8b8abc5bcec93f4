//! The leader ends, in order or not, in the middle of a sync: the other one goes on with it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{AUTOMATED, Replica, SHORT, acquisitions, check, colour, commit_maps, grants};
use crate::support::agent::Rig;
use crate::support::proxy::Trick;
use crate::support::request::{Entry, Verb};

const MAPS: usize = 24;

fn is_map(entry: &Entry) -> bool {
    entry.verb == Verb::Apply && entry.resource == "configmaps"
}

/// A first sync of [`MAPS`] maps that goes slowly, so that it can be interrupted; both replicas, and the commit.
fn syncing(rig: &Rig, shop: &str) -> (Replica, Replica, String) {
    let slow: Vec<&str> = SHORT.iter().copied().chain(["--apply-concurrency", "2"]).collect();
    let first = Replica::leader(rig, &slow);
    let second = Replica::standby(rig, &slow);
    first.proxy.trick(usize::MAX, Trick::Delay(Duration::from_millis(150)), is_map);
    let revision = commit_maps(rig, MAPS, "blue");
    rig.application("shop", "app", shop, AUTOMATED);
    first.proxy.wait_until(|log| {
        let accepted = log.iter().filter(|entry| is_map(entry) && entry.status.is_some_and(|status| status < 300));
        accepted.count() >= MAPS / 4
    });
    (first, second, revision)
}

/// The sync has ended well, begun once, and applied each map once.
fn assert_continued(rig: &Rig, shop: &str, started: &str, revision: &str, replicas: [&Replica; 2]) {
    let status = rig.wait_synced("shop", revision)["status"].clone();
    let operation = &status["operationState"];
    assert_eq!(operation["phase"], "Succeeded", "{operation:#}");
    assert_eq!(operation["startedAt"], started, "{operation:#}");
    assert_eq!(status["history"].as_array().unwrap().len(), 1, "{:#}", status["history"]);
    let mut accepted = BTreeMap::<String, usize>::new();
    for replica in replicas {
        for entry in replica.object_writes() {
            assert!(is_map(&entry), "{entry:#?}");
            if entry.status.is_some_and(|status| status < 300) {
                *accepted.entry(entry.name).or_default() += 1;
            }
        }
    }
    assert_eq!(accepted.len(), MAPS);
    let twice: Vec<_> = accepted.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "applied more than once: {twice:?}");
    assert_eq!(colour(rig, shop, "map-0"), "blue");
}

fn started(rig: &Rig) -> String {
    let state = rig.app("shop")["status"]["operationState"].clone();
    assert_eq!(state["phase"], "Running", "{state:#}");
    state["startedAt"].as_str().unwrap().to_owned()
}

#[test]
fn sigterm_hands_over_when_the_last_write_has_ended() {
    let rig = Rig::new("sigterm");
    let shop = rig.destination("shop");
    let (mut first, second, revision) = syncing(&rig, &shop);
    let started = started(&rig);
    // Writes are under way when it is told to stop.
    let flying = |log: &[Entry]| log.iter().any(|entry| is_map(entry) && entry.status.is_none());
    first.proxy.wait_until(flying);
    let asked = Instant::now();
    assert!(first.agent.terminate(), "it ends well");
    second.proxy.wait_until(|log| log.iter().any(|entry| is_map(entry) && entry.status.is_some()));

    let (old, new) = (first.proxy.log(), second.proxy.log());
    let release = grants(&old).pop().unwrap();
    assert_eq!(release.holder, "", "its last write of the Lease gives it back");
    let last = first.fenced_writes().iter().map(|entry| entry.answered_at.expect("answered")).max().unwrap();
    assert!(last <= release.sent_at, "the Lease was given back before the last write had ended");
    let acquired = acquisitions(&new).pop().unwrap();
    assert!(release.sent_at < acquired.sent_at);
    assert_eq!(acquired.epoch, release.epoch + 1);
    let next = second.fenced_writes().first().unwrap().sent_at.unwrap();
    assert!(acquired.answered_at <= next);
    assert_continued(&rig, &shop, &started, &revision, [&first, &second]);
    check(&[first.proxy.log(), second.proxy.log()]);
    println!(
        "SIGTERM: released after {:?}, acquired after {:?}, first write after {:?}",
        release.answered_at - asked,
        acquired.answered_at - asked,
        next - asked
    );
}

#[test]
fn sigkill_is_noticed_when_the_lease_expires_and_the_sync_goes_on() {
    let rig = Rig::new("sigkill");
    let shop = rig.destination("shop");
    let (mut first, second, revision) = syncing(&rig, &shop);
    let started = started(&rig);
    let killed = Instant::now();
    first.agent.kill();
    second.proxy.wait_until(|log| log.iter().any(|entry| is_map(entry) && entry.status.is_some()));
    let acquired = acquisitions(&second.proxy.log()).pop().unwrap();
    let next = second.fenced_writes().first().unwrap().sent_at.unwrap();
    assert_eq!(grants(&first.proxy.log()).last().unwrap().epoch + 1, acquired.epoch);
    assert_continued(&rig, &shop, &started, &revision, [&first, &second]);
    check(&[first.proxy.log(), second.proxy.log()]);
    println!("SIGKILL: acquired after {:?}, first write after {:?}", acquired.answered_at - killed, next - killed);
}
