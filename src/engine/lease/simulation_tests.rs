//! Seeded simulation: a few replicas, each with a clock of its own rate, elect a leader over a model of the API server
//! while requests and answers are late or lost, writes land after their time-out, replicas are cut off, stall, crash and
//! restart, watches die, and people touch and delete the Lease. Then the faults stop.
//!
//! Checked: the whole time for which any fence that was ever handed out would let a write run overlaps no other
//! replica's; epochs of one Lease only rise; and after the faults there is one leader soon, who stays.

use std::collections::BTreeMap;

use super::*;

const REPLICAS: usize = 3;
const SEEDS: u64 = 3_000;

/// True time in microseconds.
type True = u64;

/// A stream of pseudo-random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = crate::engine::backoff::mix(self.0);
        self.0 % bound.max(1)
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

enum Event {
    Wake { process: u64, number: u64 },
    Arrive { process: u64, id: u64, request: Request },
    Answer { process: u64, id: u64, answer: Result<Option<LeaseRecord>, LeaseError> },
    Watch { process: u64, record: Option<LeaseRecord> },
    WorkEnded { process: u64 },
    Start { slot: usize },
    Fault,
}

/// One process of a replica.
struct Process {
    number: u64,
    election: Election,
    /// Local seconds in a million true ones.
    rate: u64,
    wake: u64,
    outstanding: Option<(u64, Request)>,
    cut_off: bool,
    deaf: bool,
    /// True time at which the last write that was started ends.
    busy_until: True,
    waits_for_work: bool,
}

impl Process {
    fn local(&self, now: True) -> Instant {
        // A different origin for each: no instant of one means anything to another.
        let nanos = now * self.rate / 1_000 + self.number * 1_000_003;
        Instant::from_origin(Duration::from_nanos(nanos))
    }

    /// The true time from now until a local time has passed, rounded up.
    fn true_time(&self, local: Duration) -> True {
        u64::try_from(local.as_nanos()).unwrap() * 1_000 / self.rate + 1
    }
}

/// Time during which one leadership may write.
#[derive(Debug)]
struct Reign {
    process: u64,
    lease_uid: String,
    epoch: i32,
    from: True,
    until: True,
}

#[derive(Default, Debug)]
struct Tally {
    reigns: usize,
    lost: usize,
    released: usize,
    deleted: usize,
    crashed: usize,
    landed_late: usize,
    trace: u64,
}

struct World {
    times: LeaseTimes,
    random: Random,
    now: True,
    number: u64,
    events: BTreeMap<(True, u64), Event>,
    lease: Option<LeaseRecord>,
    version: u64,
    slots: [Option<Process>; REPLICAS],
    /// What each replica's store has recorded.
    floors: [Option<(String, i32)>; REPLICAS],
    reigns: Vec<Reign>,
    faults: bool,
    tally: Tally,
}

impl World {
    fn new(seed: u64) -> Self {
        let ms = Duration::from_millis;
        let times = match seed % 3 {
            0 => LeaseTimes::default(),
            1 => LeaseTimes::slow(),
            _ => LeaseTimes::new(ms(2000), ms(300), ms(400), ms(400)).unwrap(),
        };
        Self {
            times,
            random: Random(seed),
            now: 1_000_000,
            number: 0,
            events: BTreeMap::new(),
            lease: None,
            version: 0,
            slots: [const { None }; REPLICAS],
            floors: [const { None }; REPLICAS],
            reigns: Vec::new(),
            faults: true,
            tally: Tally::default(),
        }
    }

    fn micros(duration: Duration) -> True {
        u64::try_from(duration.as_micros()).unwrap()
    }

    fn at(&mut self, delay: True, event: Event) {
        self.number += 1;
        self.events.insert((self.now + delay, self.number), event);
    }

    fn slot_of(&self, process: u64) -> Option<usize> {
        self.slots.iter().position(|slot| slot.as_ref().is_some_and(|running| running.number == process))
    }

    /// Runs what happens until a true time.
    fn run_until(&mut self, end: True) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= end) {
            self.now = entry.key().0;
            let event = entry.remove();
            self.happen(event);
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Start { slot } => self.start(slot),
            Event::Fault => self.fault(),
            Event::Arrive { process, id, request } => self.arrive(process, id, &request),
            Event::Wake { process, number } => {
                self.input(process, |running, now| (running.wake == number).then(|| running.election.tick(now)));
            }
            Event::Answer { process, id, answer } => self.input(process, |running, now| {
                let (_, request) = running.outstanding.take_if(|(outstanding, _)| *outstanding == id)?;
                Some(match request {
                    Request::Get => running.election.read(now, answer),
                    _ => running.election.written(now, answer.map(Option::unwrap)),
                })
            }),
            Event::Watch { process, record } => self.input(process, |running, now| {
                (!running.deaf && !running.cut_off).then(|| running.election.watched(now, record))
            }),
            Event::WorkEnded { process } => {
                let running = self.slots.iter().flatten().find(|running| running.number == process);
                let role = running.map(|running| running.election.role());
                if matches!(role, Some(Role::Draining { reason: DrainReason::ShuttingDown, .. })) {
                    self.end_reigns(process);
                }
                self.input(process, |running, now| {
                    running.waits_for_work = false;
                    Some(running.election.drained(now))
                });
            }
        }
    }

    /// Gives a process an input, and does what it then wants.
    fn input(&mut self, process: u64, input: impl FnOnce(&mut Process, Instant) -> Option<Step>) {
        let Some(slot) = self.slot_of(process) else { return };
        let Some(mut running) = self.slots[slot].take() else { return };
        let now = running.local(self.now);
        if let Some(step) = input(&mut running, now) {
            self.perform(&mut running, step);
            self.watch_role(slot, &mut running);
        }
        if running.election.role() == Role::Released {
            self.tally.released += 1;
            let delay = if self.faults { self.random.below(3_000_000) } else { 0 };
            self.at(delay, Event::Start { slot });
        } else {
            self.slots[slot] = Some(running);
        }
    }

    fn perform(&mut self, running: &mut Process, step: Step) {
        let process = running.number;
        if let Some(request) = step.request {
            self.number += 1;
            let id = self.number;
            assert!(running.outstanding.is_none(), "two requests at once");
            running.outstanding = Some((id, request.clone()));
            let lost = running.cut_off || (self.faults && self.random.percent(5));
            if !lost {
                let late = self.faults && self.random.percent(8);
                let delay = if late { self.random.below(5_000_000) } else { 500 + self.random.below(60_000) };
                self.at(delay, Event::Arrive { process, id, request });
            }
            let timeout = running.true_time(self.times.request_timeout());
            let answer = Err(LeaseError::Other("timeout".to_owned()));
            self.at(timeout, Event::Answer { process, id, answer });
        }
        running.wake += 1;
        if let Some(wake) = step.wake {
            let stalls = self.faults && self.random.percent(2);
            let late = self.random.below(if stalls { 4_000_000 } else { 5_000 });
            let delay = running.true_time(wake.since(running.local(self.now))) + late;
            self.at(delay, Event::Wake { process, number: running.wake });
        }
    }

    /// Keeps the books on who may write.
    fn watch_role(&mut self, slot: usize, running: &mut Process) {
        let process = running.number;
        let (now, timeout) = (running.local(self.now), self.times.request_timeout());
        self.floors[slot] = running.election.floor().map(|(uid, epoch)| (uid.to_owned(), epoch.0));
        match running.election.role() {
            Role::Leader { epoch, lease_uid, valid_until } => {
                let fence = running.election.fence().unwrap();
                assert_eq!(fence, Fence { epoch, valid_until });
                let until = self.now + running.true_time(valid_until.since(now));
                if fence.may_start_write(now, timeout) && self.random.percent(50) {
                    running.busy_until = self.now + running.true_time(timeout);
                    assert!(running.busy_until <= until + 2, "a write that outlives the leadership");
                }
                match self.reigns.last_mut().filter(|reign| reign.process == process && reign.epoch == epoch.0) {
                    Some(reign) => reign.until = reign.until.max(until),
                    None => self.reigns.push(Reign { process, lease_uid, epoch: epoch.0, from: self.now, until }),
                }
            }
            Role::Draining { reason, .. } if !running.waits_for_work => {
                running.waits_for_work = true;
                self.tally.lost += usize::from(reason == DrainReason::Lost);
                let delay = running.busy_until.saturating_sub(self.now) + self.random.below(50_000);
                self.at(delay, Event::WorkEnded { process });
            }
            _ => {}
        }
        let trace = self.tally.trace ^ self.now ^ (process << 40);
        self.tally.trace = crate::engine::backoff::mix(trace);
    }

    /// A request reaches the API server.
    fn arrive(&mut self, process: u64, id: u64, request: &Request) {
        let waited_for = self
            .slot_of(process)
            .and_then(|slot| self.slots[slot].as_ref())
            .is_some_and(|running| running.outstanding.as_ref().is_some_and(|(outstanding, _)| *outstanding == id));
        let answer = match request {
            Request::Get => Ok(self.lease.clone()),
            Request::Create(_) if self.lease.is_some() => Err(LeaseError::Conflict),
            Request::Create(record) => Ok(Some(self.store(record, format!("lease-{id}")))),
            Request::Update(record) => match &self.lease {
                Some(lease) if lease.uid == record.uid && lease.resource_version == record.resource_version => {
                    self.tally.landed_late += usize::from(!waited_for);
                    Ok(Some(self.store(record, record.uid.clone())))
                }
                _ => Err(LeaseError::Conflict),
            },
        };
        let slot = self.slot_of(process).and_then(|slot| self.slots[slot].as_ref());
        let reachable = slot.is_some_and(|running| !running.cut_off);
        if reachable && !(self.faults && self.random.percent(5)) {
            let late = self.faults && self.random.percent(5);
            let delay = 500 + self.random.below(if late { 2_000_000 } else { 60_000 });
            self.at(delay, Event::Answer { process, id, answer });
        }
    }

    fn store(&mut self, record: &LeaseRecord, uid: String) -> LeaseRecord {
        self.version += 1;
        let stored = LeaseRecord { uid, resource_version: self.version, ..record.clone() };
        self.lease = Some(stored.clone());
        self.tell();
        stored
    }

    /// All watches show the Lease as it is now, sooner or later and in any order.
    fn tell(&mut self) {
        let processes: Vec<_> = self.slots.iter().flatten().map(|running| running.number).collect();
        for process in processes {
            let late = self.faults && self.random.percent(5);
            let delay = self.random.below(if late { 4_000_000 } else { 40_000 });
            self.at(delay, Event::Watch { process, record: self.lease.clone() });
        }
    }

    fn start(&mut self, slot: usize) {
        if self.slots[slot].is_some() {
            return;
        }
        self.number += 1;
        let number = self.number;
        // All clocks within the ratio that the margin allows.
        let (lease, valid) = (Self::micros(self.times.lease_duration()), Self::micros(self.times.validity()));
        let spread = 1_000_000 * lease / valid - 1_000_000 - 1_000;
        let mut running = Process {
            number,
            election: Election::new(format!("p{number}"), self.times, self.floors[slot].clone(), number),
            rate: 1_000_000 + self.random.below(spread),
            wake: 0,
            outstanding: None,
            cut_off: false,
            deaf: self.faults && self.random.percent(10),
            busy_until: 0,
            waits_for_work: false,
        };
        let now = running.local(self.now);
        let step = running.election.tick(now);
        self.perform(&mut running, step);
        self.slots[slot] = Some(running);
    }

    fn fault(&mut self) {
        if !self.faults {
            return;
        }
        let slot = usize::try_from(self.random.below(3)).unwrap();
        let process = self.slots[slot].as_ref().map(|running| running.number);
        match self.random.below(12) {
            0..=2 => self.with(slot, |running| running.cut_off = true),
            3..=5 => self.with(slot, |running| running.cut_off = false),
            6 => self.with(slot, |running| running.deaf = !running.deaf),
            7 if process.is_some() => {
                self.tally.crashed += 1;
                self.slots[slot] = None;
                let delay = self.random.below(5_000_000);
                self.at(delay, Event::Start { slot });
            }
            8 => {
                let now_true = self.now;
                if let Some(process) = process.filter(|process| self.is_idle(*process)) {
                    self.end_reigns(process);
                }
                if let Some(process) = process {
                    self.input(process, |running, now| {
                        Some(running.election.shut_down(now, running.busy_until > now_true))
                    });
                }
            }
            9 => {
                if let Some(record) = self.lease.clone() {
                    self.store(&record, record.uid.clone());
                }
            }
            10 if self.everyone_knows_the_lease() => {
                self.tally.deleted += 1;
                self.version += 1;
                self.lease = None;
                self.tell();
            }
            _ => {}
        }
        let pause = self.random.below(Self::micros(self.times.lease_duration()) / 2);
        self.at(pause, Event::Fault);
    }

    /// What the election does not promise to survive is left out: the deletion of a Lease that a replica has not seen.
    fn everyone_knows_the_lease(&self) -> bool {
        let Some(lease) = &self.lease else { return false };
        self.slots
            .iter()
            .zip(&self.floors)
            .all(|(running, floor)| floor.as_ref().is_some_and(|(uid, _)| running.is_none() || *uid == lease.uid))
    }

    fn with(&mut self, slot: usize, change: impl FnOnce(&mut Process)) {
        if let Some(running) = &mut self.slots[slot] {
            change(running);
        }
    }

    fn is_idle(&self, process: u64) -> bool {
        let slot = self.slot_of(process).and_then(|slot| self.slots[slot].as_ref());
        slot.is_some_and(|running| running.busy_until <= self.now)
    }

    /// Only who is about to give the Lease back has dropped its fences; otherwise they count until they expire.
    fn end_reigns(&mut self, process: u64) {
        for reign in self.reigns.iter_mut().filter(|reign| reign.process == process) {
            reign.until = reign.until.min(self.now);
        }
    }

    /// Faults end: everyone runs, everyone is reached, nothing old is on its way to the API server.
    fn heal(&mut self) {
        self.faults = false;
        self.events.retain(|_, event| !matches!(event, Event::Arrive { .. }));
        for slot in 0..REPLICAS {
            self.with(slot, |running| (running.cut_off, running.deaf) = (false, false));
            self.start(slot);
            if let Some(process) = self.slots[slot].as_ref().map(|running| running.number) {
                self.input(process, |running, now| Some(running.election.tick(now)));
            }
        }
    }

    fn leaders(&self) -> Vec<(u64, i32)> {
        let running = self.slots.iter().flatten();
        running.filter_map(|running| Some((running.number, running.election.fence()?.epoch.0))).collect()
    }

    fn check_reigns(&mut self, seed: u64) {
        self.reigns.sort_by_key(|reign| (reign.from, reign.epoch));
        let mut epochs: BTreeMap<&str, i32> = BTreeMap::new();
        for (index, reign) in self.reigns.iter().enumerate() {
            for other in self.reigns[..index].iter().filter(|other| other.process != reign.process) {
                assert!(other.until <= reign.from, "seed {seed}: two may write at once: {other:?} and {reign:?}");
            }
            let before = epochs.insert(&reign.lease_uid, reign.epoch);
            assert!(before.is_none_or(|before| before < reign.epoch), "seed {seed}: the epoch did not rise: {reign:?}");
        }
        self.tally.reigns = self.reigns.len();
    }
}

fn simulate(seed: u64) -> Tally {
    let mut world = World::new(seed);
    let lease = World::micros(world.times.lease_duration());
    for slot in 0..REPLICAS {
        let delay = world.random.below(lease);
        world.at(delay, Event::Start { slot });
    }
    world.at(lease, Event::Fault);
    world.run_until(world.now + 10 * lease);
    world.heal();
    let few = 3 * World::micros(world.times.request_timeout()) + 4 * World::micros(world.times.renew_period());
    world.run_until(world.now + lease + few);
    let leaders = world.leaders();
    assert_eq!(leaders.len(), 1, "seed {seed}: one leader soon after the faults");
    world.run_until(world.now + 3 * lease);
    assert_eq!(world.leaders(), leaders, "seed {seed}: without faults a leader stays");
    world.check_reigns(seed);
    world.tally
}

#[test]
fn no_two_replicas_may_write_at_once_and_one_leads_after_faults() {
    let mut sum = Tally::default();
    for seed in 0..SEEDS {
        let tally = simulate(seed);
        sum.reigns += tally.reigns;
        sum.lost += tally.lost;
        sum.released += tally.released;
        sum.deleted += tally.deleted;
        sum.crashed += tally.crashed;
        sum.landed_late += tally.landed_late;
    }
    println!("{SEEDS} seeds: {sum:?}");
    // What was to be searched was there.
    let seeds = usize::try_from(SEEDS).unwrap();
    assert!(sum.reigns > 3 * seeds && sum.lost > seeds && sum.released > seeds / 2, "{sum:?}");
    assert!(sum.deleted > seeds / 10 && sum.crashed > seeds / 2 && sum.landed_late > seeds / 10, "{sum:?}");
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in 0..20 {
        assert_eq!(simulate(seed).trace, simulate(seed).trace, "seed {seed}");
    }
    assert_ne!(simulate(0).trace, simulate(3).trace);
}
