//! Every transition as a script: at a time in milliseconds an input, the request that must follow, and the role.

use super::*;
use In::{Drained, Read, ShutDown, Tick, Watched, Written};

#[derive(Clone, Copy, Debug)]
enum In {
    Tick,
    /// Answer to a get: holder, epoch, resource version, or that there is no Lease, or an error.
    Read(Result<Option<(&'static str, i32, u64)>, Fault>),
    /// Answer to a write: what was sent, stored under this resource version.
    Written(Result<u64, Fault>),
    Watched(Option<(&'static str, i32, u64)>),
    Drained,
    ShutDown {
        in_flight: bool,
    },
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Conflict,
    Forbidden,
    Timeout,
}

type Line = (u64, In, &'static str, &'static str);

const fn at(millis: u64) -> Instant {
    Instant::from_origin(Duration::from_millis(millis))
}

fn millis(instant: Instant) -> u128 {
    instant.since(Instant::default()).as_millis()
}

fn record((holder, transitions, resource_version): (&str, i32, u64)) -> LeaseRecord {
    LeaseRecord {
        holder: holder.to_owned(),
        lease_duration_seconds: if holder.is_empty() { 1 } else { 6 },
        transitions,
        uid: "u1".to_owned(),
        resource_version,
        acquire_time: "then".to_owned(),
        renew_time: "now".to_owned(),
    }
}

fn error(fault: Fault) -> LeaseError {
    match fault {
        Fault::Conflict => LeaseError::Conflict,
        Fault::Forbidden => LeaseError::Forbidden("no role".to_owned()),
        Fault::Timeout => LeaseError::Other("timeout".to_owned()),
    }
}

fn request(request: Option<&Request>) -> String {
    match request {
        None => String::new(),
        Some(Request::Get) => "get".to_owned(),
        Some(Request::Create(record)) => {
            assert!(record.uid.is_empty() && record.renew_time.is_empty() && record.acquire_time.is_empty());
            assert_eq!((record.resource_version, record.lease_duration_seconds), (0, 6));
            format!("create {}", record.transitions)
        }
        Some(Request::Update(record)) => {
            assert_eq!(record.uid, "u1");
            assert!(record.renew_time.is_empty(), "every update is stamped");
            let version = record.resource_version;
            if record.holder.is_empty() {
                assert_eq!(record.lease_duration_seconds, 1);
                return format!("release @{version}");
            }
            assert_eq!((&*record.holder, record.lease_duration_seconds), ("me", 6));
            let verb = if record.acquire_time.is_empty() { "acquire" } else { "renew" };
            format!("{verb} {} @{version}", record.transitions)
        }
    }
}

fn role(role: &Role) -> String {
    match role {
        Role::Follower { holder: None } => "follower of ?".to_owned(),
        Role::Follower { holder: Some(holder) } => format!("follower of {holder}").trim_end().to_owned(),
        Role::Leader { epoch, valid_until, lease_uid } => {
            assert_eq!(lease_uid, "u1");
            format!("leader {epoch} until {}", millis(*valid_until))
        }
        Role::Draining { epoch, reason: DrainReason::Lost } => format!("draining {epoch}"),
        Role::Draining { epoch, reason: DrainReason::ShuttingDown } => format!("draining {epoch} to end"),
        Role::Releasing => "releasing".to_owned(),
        Role::Released => "released".to_owned(),
    }
}

/// Plays a script; returns the election and when it wants to be woken.
fn play(name: &str, floor: Option<(&str, i32)>, script: &[Line]) -> (Election, Option<Instant>) {
    let floor = floor.map(|(uid, epoch)| (uid.to_owned(), epoch));
    let mut election = Election::new("me", LeaseTimes::default(), floor, 7);
    let mut sent: Option<Request> = None;
    let mut wake = None;
    for (line, (time, input, expected_request, expected_role)) in script.iter().enumerate() {
        let now = at(*time);
        let step = match input {
            Tick => election.tick(now),
            Read(result) => {
                assert_eq!(sent.take(), Some(Request::Get), "{name} {line}: nothing to read");
                election.read(now, result.map(|lease| lease.map(record)).map_err(error))
            }
            Written(result) => {
                let Some(Request::Create(mut stored) | Request::Update(mut stored)) = sent.take() else {
                    panic!("{name} {line}: nothing was written");
                };
                if stored.acquire_time.is_empty() {
                    stored.acquire_time = "then".to_owned();
                }
                stored.uid = "u1".to_owned();
                stored.renew_time = format!("at {time}");
                let stored = result.map(|version| LeaseRecord { resource_version: version, ..stored });
                election.written(now, stored.map_err(error))
            }
            Watched(lease) => election.watched(now, lease.map(record)),
            Drained => election.drained(now),
            ShutDown { in_flight } => election.shut_down(now, *in_flight),
        };
        assert_eq!(request(step.request.as_ref()), *expected_request, "{name} line {line}: {input:?}");
        assert_eq!(role(&election.role()), *expected_role, "{name} line {line}: {input:?}");
        assert!(step.wake.is_none_or(|wake| wake > now), "{name} line {line}: wakes in the past");
        assert_eq!(election.fence().is_some(), expected_role.starts_with("leader"), "{name} line {line}");
        if step.request.is_some() {
            assert!(sent.is_none(), "{name} line {line}: two requests at once");
            sent.clone_from(&step.request);
        }
        wake = step.wake;
    }
    (election, wake)
}

fn scripts(scripts: &[(&str, &[Line])]) {
    for (name, script) in scripts {
        play(name, None, script);
    }
}

/// Leads with epoch 4 since 200, sent at 100, Lease at version 11.
const LEAD: [Line; 3] = [
    (0, Tick, "get", "follower of ?"),
    (100, Read(Ok(Some(("", 3, 10)))), "acquire 4 @10", "follower of"),
    (200, Written(Ok(11)), "", "leader 4 until 5100"),
];

fn after_leading(name: &str, script: &[Line]) -> (Election, Option<Instant>) {
    play(name, None, &[&LEAD[..], script].concat())
}

#[test]
fn a_lease_is_acquired() {
    scripts(&[
        (
            "a new one is created",
            &[
                (0, Tick, "get", "follower of ?"),
                (10, Read(Ok(None)), "create 1", "follower of"),
                // Valid from when the request was sent.
                (30, Written(Ok(1)), "", "leader 1 until 5010"),
            ],
        ),
        ("a released one is taken at once, with the next epoch", &LEAD),
        (
            "one that is held is taken when it did not change for its duration",
            &[
                (0, Tick, "get", "follower of ?"),
                (100, Read(Ok(Some(("b", 3, 10)))), "", "follower of b"),
                (2000, Watched(Some(("b", 3, 11))), "", "follower of b"),
                (3999, Tick, "", "follower of b"),
                (4000, Tick, "get", "follower of b"),
                (4010, Read(Ok(Some(("b", 3, 11)))), "", "follower of b"),
                (6200, Tick, "get", "follower of b"),
                (6210, Read(Ok(Some(("b", 3, 11)))), "", "follower of b"),
                (7999, Tick, "", "follower of b"),
                (8250, Tick, "acquire 4 @11", "follower of b"),
                (8260, Written(Ok(12)), "", "leader 4 until 13250"),
            ],
        ),
        (
            "a release that the watch shows is answered at once",
            &[
                (0, Tick, "get", "follower of ?"),
                (100, Read(Ok(Some(("b", 3, 10)))), "", "follower of b"),
                (150, Watched(Some(("", 3, 11))), "acquire 4 @11", "follower of"),
            ],
        ),
        (
            "another candidate was faster",
            &[
                (0, Tick, "get", "follower of ?"),
                (10, Read(Ok(Some(("", 3, 10)))), "acquire 4 @10", "follower of"),
                (20, Written(Err(Fault::Conflict)), "get", "follower of"),
                (30, Read(Ok(Some(("c", 4, 11)))), "", "follower of c"),
            ],
        ),
        (
            "another one created it",
            &[
                (0, Tick, "get", "follower of ?"),
                (10, Read(Ok(None)), "create 1", "follower of"),
                (20, Written(Err(Fault::Conflict)), "get", "follower of"),
                (30, Read(Ok(Some(("c", 1, 1)))), "", "follower of c"),
            ],
        ),
        (
            "an answer that comes too late makes no leader; the Lease is acquired anew",
            &[
                (0, Tick, "get", "follower of ?"),
                (10, Read(Ok(Some(("", 3, 10)))), "acquire 4 @10", "follower of"),
                (5010, Written(Ok(11)), "acquire 5 @11", "follower of me"),
                (5020, Written(Ok(12)), "", "leader 5 until 10010"),
            ],
        ),
        (
            "a record that names this replica makes no leader",
            &[
                (0, Tick, "get", "follower of ?"),
                (10, Read(Ok(Some(("", 3, 10)))), "acquire 4 @10", "follower of"),
                // The request was lost, its effect was not.
                (1510, Written(Err(Fault::Timeout)), "get", "follower of"),
                (1520, Read(Ok(Some(("me", 4, 11)))), "acquire 5 @11", "follower of me"),
                (1530, Written(Ok(12)), "", "leader 5 until 6520"),
            ],
        ),
        (
            "a timed-out acquisition that another one overtook",
            &[
                (0, Tick, "get", "follower of ?"),
                (10, Read(Ok(Some(("", 3, 10)))), "acquire 4 @10", "follower of"),
                (1510, Written(Err(Fault::Timeout)), "get", "follower of"),
                (1520, Read(Ok(Some(("c", 4, 11)))), "", "follower of c"),
            ],
        ),
    ]);
}

#[test]
fn a_lease_is_renewed() {
    after_leading(
        "renewal by renewal",
        &[
            (1099, Tick, "", "leader 4 until 5100"),
            (1100, Tick, "renew 4 @11", "leader 4 until 5100"),
            (1150, Written(Ok(12)), "", "leader 4 until 6100"),
            // What the watch shows of it comes before, between and after, and means nothing.
            (1160, Watched(Some(("me", 4, 11))), "", "leader 4 until 6100"),
            (1170, Watched(Some(("me", 4, 12))), "", "leader 4 until 6100"),
            (2100, Tick, "renew 4 @12", "leader 4 until 6100"),
            (2110, Watched(Some(("me", 4, 13))), "", "leader 4 until 6100"),
            (2150, Written(Ok(13)), "", "leader 4 until 7100"),
        ],
    );
    after_leading(
        "a renewal that was lost is repeated, and its time does not count",
        &[
            (1100, Tick, "renew 4 @11", "leader 4 until 5100"),
            (2600, Written(Err(Fault::Timeout)), "renew 4 @11", "leader 4 until 5100"),
            (2650, Written(Ok(12)), "", "leader 4 until 7600"),
        ],
    );
    after_leading(
        "a renewal whose answer was lost shows as a conflict of our own",
        &[
            (1100, Tick, "renew 4 @11", "leader 4 until 5100"),
            (2600, Written(Err(Fault::Timeout)), "renew 4 @11", "leader 4 until 5100"),
            (2650, Written(Err(Fault::Conflict)), "get", "leader 4 until 5100"),
            (2660, Read(Ok(Some(("me", 4, 12)))), "renew 4 @12", "leader 4 until 5100"),
            (2670, Written(Ok(13)), "", "leader 4 until 7660"),
        ],
    );
    after_leading(
        "somebody labelled the Lease",
        &[
            (500, Watched(Some(("me", 4, 12))), "", "leader 4 until 5100"),
            (1100, Tick, "renew 4 @12", "leader 4 until 5100"),
        ],
    );
    after_leading(
        "an update that changed nothing is no renewal",
        &[
            (1100, Tick, "renew 4 @11", "leader 4 until 5100"),
            (1200, Written(Ok(11)), "", "leader 4 until 5100"),
            (1900, Tick, "renew 4 @11", "leader 4 until 5100"),
        ],
    );
    after_leading(
        "a deletion that the watch shows is looked into",
        &[
            (500, Watched(None), "get", "leader 4 until 5100"),
            (510, Read(Ok(Some(("me", 4, 11)))), "renew 4 @11", "leader 4 until 5100"),
        ],
    );
}

#[test]
fn a_lease_is_lost() {
    let (_, wake) = after_leading(
        "failures go on until the validity ends, and no longer",
        &[
            (1100, Tick, "renew 4 @11", "leader 4 until 5100"),
            (1110, Written(Err(Fault::Forbidden)), "", "leader 4 until 5100"),
            (2000, Tick, "renew 4 @11", "leader 4 until 5100"),
            (3500, Written(Err(Fault::Timeout)), "renew 4 @11", "leader 4 until 5100"),
            (5000, Written(Err(Fault::Timeout)), "renew 4 @11", "leader 4 until 5100"),
            (5099, Tick, "", "leader 4 until 5100"),
            (5100, Tick, "", "draining 4"),
            // Also an answer that says yes comes too late.
            (5200, Written(Ok(12)), "", "draining 4"),
            (5300, Tick, "", "draining 4"),
        ],
    );
    assert_eq!(wake, None, "only the end of the work in flight is waited for");
    after_leading(
        "after draining it is a candidate like every other, with a new epoch",
        &[
            (1100, Tick, "renew 4 @11", "leader 4 until 5100"),
            (5100, Written(Err(Fault::Timeout)), "", "draining 4"),
            (5300, Drained, "acquire 5 @11", "follower of me"),
            (5310, Written(Ok(12)), "", "leader 5 until 10300"),
            (5320, Drained, "", "leader 5 until 10300"),
        ],
    );
    after_leading(
        "another one took it",
        &[
            (1100, Tick, "renew 4 @11", "leader 4 until 5100"),
            (1110, Written(Err(Fault::Conflict)), "get", "leader 4 until 5100"),
            (1120, Read(Ok(Some(("b", 5, 12)))), "", "draining 4"),
            (1130, Drained, "", "follower of b"),
        ],
    );
    after_leading(
        "another one took it, as the watch shows",
        &[
            (1000, Watched(Some(("b", 5, 12))), "", "draining 4"),
            (1001, Watched(Some(("", 5, 13))), "", "draining 4"),
            (1002, Drained, "acquire 6 @13", "follower of"),
        ],
    );
    after_leading(
        "an older record of another one says nothing",
        &[(1000, Watched(Some(("b", 3, 9))), "", "leader 4 until 5100")],
    );
    after_leading(
        "somebody emptied or renumbered it",
        &[(1000, Watched(Some(("me", 9, 12))), "", "draining 4"), (1010, Drained, "acquire 10 @12", "follower of me")],
    );
    after_leading(
        "it was deleted: nobody else may have it, so it is made anew at once",
        &[
            (1100, Tick, "renew 4 @11", "leader 4 until 5100"),
            (1110, Written(Err(Fault::Conflict)), "get", "leader 4 until 5100"),
            (1120, Read(Ok(None)), "", "draining 4"),
            (1800, Drained, "create 5", "follower of"),
        ],
    );
}

#[test]
fn a_deleted_lease_is_waited_for_by_those_who_did_not_hold_it() {
    scripts(&[(
        "a follower of b waits for b",
        &[
            (0, Tick, "get", "follower of ?"),
            (10, Read(Ok(Some(("b", 3, 10)))), "", "follower of b"),
            (1000, Watched(None), "get", "follower of b"),
            (1010, Read(Ok(None)), "", "follower of"),
            (7009, Tick, "", "follower of"),
            (7260, Tick, "create 4", "follower of"),
            (7270, Written(Ok(20)), "", "leader 4 until 12260"),
        ],
    )]);
    let (election, _) = play(
        "what the store knows counts",
        Some(("u0", 41)),
        &[
            (0, Tick, "get", "follower of ?"),
            (10, Read(Ok(None)), "", "follower of"),
            (6009, Tick, "", "follower of"),
            (6260, Tick, "create 42", "follower of"),
            (6270, Written(Ok(20)), "", "leader 42 until 11260"),
        ],
    );
    assert_eq!(election.floor(), Some(("u1", Epoch(42))));
    let (election, _) = play(
        "a Lease that began anew below the floor",
        Some(("u0", 41)),
        &[(0, Tick, "get", "follower of ?"), (10, Read(Ok(Some(("", 2, 20)))), "acquire 42 @20", "follower of")],
    );
    assert_eq!(election.floor(), Some(("u0", Epoch(41))));
    play(
        "the last epoch of all",
        None,
        &[
            (0, Tick, "get", "follower of ?"),
            (10, Read(Ok(Some(("", i32::MAX, 20)))), "acquire 2147483647 @20", "follower of"),
        ],
    );
    play(
        "an epoch below zero",
        None,
        &[(0, Tick, "get", "follower of ?"), (10, Read(Ok(Some(("", -5, 20)))), "acquire 1 @20", "follower of")],
    );
}

#[test]
fn a_lease_is_released_when_the_process_ends() {
    after_leading(
        "nothing in flight",
        &[
            (500, ShutDown { in_flight: false }, "release @11", "releasing"),
            (510, Written(Ok(12)), "", "released"),
            (9999, Tick, "", "released"),
            (9999, Watched(Some(("", 4, 12))), "", "released"),
        ],
    );
    after_leading(
        "work in flight ends first",
        &[
            (500, ShutDown { in_flight: true }, "", "draining 4 to end"),
            (600, Tick, "", "draining 4 to end"),
            (700, ShutDown { in_flight: true }, "", "draining 4 to end"),
            (900, Drained, "release @11", "releasing"),
            (910, Written(Ok(12)), "", "released"),
        ],
    );
    after_leading(
        "a renewal in flight is awaited",
        &[
            (1100, Tick, "renew 4 @11", "leader 4 until 5100"),
            (1110, ShutDown { in_flight: false }, "", "releasing"),
            (1120, Written(Ok(12)), "release @12", "releasing"),
            (1130, Written(Ok(13)), "", "released"),
        ],
    );
    after_leading(
        "a renewal whose answer was lost",
        &[
            (1100, Tick, "renew 4 @11", "leader 4 until 5100"),
            (1110, ShutDown { in_flight: false }, "", "releasing"),
            (2600, Written(Err(Fault::Timeout)), "release @11", "releasing"),
            (2610, Written(Err(Fault::Conflict)), "get", "releasing"),
            (2620, Read(Ok(Some(("me", 4, 12)))), "release @12", "releasing"),
            (2630, Written(Ok(13)), "", "released"),
        ],
    );
    after_leading(
        "a release that fails is tried again, and in the end left to expire",
        &[
            (500, ShutDown { in_flight: false }, "release @11", "releasing"),
            (2000, Written(Err(Fault::Timeout)), "release @11", "releasing"),
            (3500, Written(Err(Fault::Timeout)), "release @11", "releasing"),
            (5000, Written(Err(Fault::Timeout)), "", "released"),
        ],
    );
    after_leading(
        "lost before, or meanwhile",
        &[
            (1000, Watched(Some(("b", 5, 12))), "", "draining 4"),
            (1100, ShutDown { in_flight: true }, "", "draining 4"),
            (1200, Drained, "", "released"),
        ],
    );
    scripts(&[
        (
            "a follower has nothing to release",
            &[
                (0, Tick, "get", "follower of ?"),
                (10, Read(Ok(Some(("b", 3, 10)))), "", "follower of b"),
                (20, ShutDown { in_flight: false }, "", "released"),
            ],
        ),
        ("before anything is known", &[(0, ShutDown { in_flight: false }, "", "released")]),
        (
            "an acquisition in flight is undone",
            &[
                (0, Tick, "get", "follower of ?"),
                (10, Read(Ok(Some(("", 3, 10)))), "acquire 4 @10", "follower of"),
                (20, ShutDown { in_flight: false }, "", "releasing"),
                (30, Written(Ok(11)), "release @11", "releasing"),
                (40, Written(Ok(12)), "", "released"),
            ],
        ),
        (
            "an acquisition whose answer was lost is looked after",
            &[
                (0, Tick, "get", "follower of ?"),
                (10, Read(Ok(Some(("", 3, 10)))), "acquire 4 @10", "follower of"),
                (20, ShutDown { in_flight: false }, "", "releasing"),
                (1510, Written(Err(Fault::Timeout)), "get", "releasing"),
                (1520, Read(Ok(Some(("me", 4, 11)))), "release @11", "releasing"),
                (1530, Written(Ok(12)), "", "released"),
            ],
        ),
    ]);
}

#[test]
fn failures_are_kept_apart_from_each_other_by_a_pause() {
    let (election, wake) = play(
        "an unreachable API server",
        None,
        &[(0, Tick, "get", "follower of ?"), (5, Read(Err(Fault::Timeout)), "", "follower of ?")],
    );
    assert_eq!(election.error(), Some(&error(Fault::Timeout)));
    let wake = millis(wake.unwrap());
    assert!((500..750).contains(&wake), "half a renew period and jitter: {wake}");
    let (election, _) = play(
        "the error is forgotten when a request succeeds",
        None,
        &[
            (0, Tick, "get", "follower of ?"),
            (5, Read(Err(Fault::Forbidden)), "", "follower of ?"),
            (800, Tick, "get", "follower of ?"),
            (805, Read(Ok(Some(("b", 1, 1)))), "", "follower of b"),
        ],
    );
    assert_eq!(election.error(), None);
    assert_ne!(election.role(), Role::Follower { holder: None });
}

#[test]
fn requests_are_bounded_however_the_lease_behaves() {
    // Released again and again by nobody knows whom, lost every time, with answers within a millisecond.
    let mut election = Election::new("me", LeaseTimes::default(), None, 1);
    let (mut requests, mut version) = (0, 1);
    for time in 0..60_000 {
        let mut step = election.tick(at(time));
        while let Some(request) = step.request {
            requests += 1;
            version += 1;
            step = match request {
                Request::Get => election.read(at(time), Ok(Some(record(("", 1, version))))),
                _ => election.written(at(time), Err(LeaseError::Conflict)),
            };
        }
    }
    assert!((100..=124).contains(&requests), "4 at once, then 2 in a second: {requests}");
}

#[test]
fn answers_that_nobody_asked_for_are_ignored() {
    let mut election = Election::new("me", LeaseTimes::default(), None, 1);
    let _ = election.written(at(0), Ok(record(("me", 1, 1))));
    assert_eq!(election.role(), Role::Follower { holder: None });
    // The call above asked for the first read.
    let _ = election.written(at(1), Ok(record(("me", 1, 1))));
    assert_eq!(election.read(at(2), Ok(Some(record(("b", 1, 1))))).request, None);
    let _ = election.read(at(3), Ok(Some(record(("", 1, 2)))));
    assert_eq!(election.role(), Role::Follower { holder: Some("b".to_owned()) });
}

#[test]
fn a_write_starts_only_if_it_ends_in_time() {
    let fence = Fence { epoch: Epoch(1), valid_until: at(5000) };
    let timeout = Duration::from_millis(1500);
    for (now, may) in [(0, true), (3499, true), (3500, false), (5000, false), (9000, false)] {
        assert_eq!(fence.may_start_write(at(now), timeout), may, "at {now}");
    }
    assert!(!fence.may_start_write(at(0), Duration::MAX));
    assert!(size_of::<Fence>() <= 24, "a small copy");
}

#[test]
fn times_are_checked() {
    let ms = Duration::from_millis;
    assert_eq!(LeaseTimes::new(ms(6000), ms(1000), ms(1500), ms(1000)), Ok(LeaseTimes::default()));
    assert_eq!(LeaseTimes::new(ms(15_000), ms(2000), ms(3000), ms(5000)), Ok(LeaseTimes::slow()));
    assert!(LeaseTimes::new(ms(1000), ms(200), ms(200), ms(200)).is_ok());
    let cases = [
        ((0, 1000, 1500, 1000), "lease duration 0ns is not allowed"),
        ((6500, 1000, 1500, 1000), "lease duration 6.5s is not allowed"),
        ((3_601_000, 1000, 1500, 1000), "lease duration 3601s is not allowed"),
        ((6000, 0, 1500, 1000), "renew period 0ns is too short"),
        ((6000, 49, 1500, 1000), "renew period 49ms is too short"),
        ((6000, 1000, 0, 1000), "request timeout must be longer than 0"),
        ((6000, 1000, 1500, 0), "margin 0ns is not allowed"),
        ((6000, 1000, 1500, 6000), "margin 6s is not allowed"),
        ((6000, 2000, 1500, 1000), "renew period + 2 * request timeout is 5s"),
        ((6000, 1000, 1500, 2000), "renew period + 2 * request timeout is 4s"),
    ];
    for ((lease, renew, request, margin), message) in cases {
        let error = LeaseTimes::new(ms(lease), ms(renew), ms(request), ms(margin)).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
    }
}
