//! The state machine of an election. The rules are in the documentation of the module above.

mod role;

use std::time::Duration;

use super::rate::Rate;
use super::{DrainReason, Fence, LeaseError, LeaseRecord, LeaseTimes, Request, Step};
use crate::engine::backoff::{fraction, mix};
use crate::engine::ids::Epoch;
use crate::engine::time::Instant;

/// Failures after which a Lease that should be released is left to expire.
const RELEASE_FAILURES: u8 = 3;

/// The election as one replica sees it.
#[derive(Debug)]
pub struct Election {
    identity: String,
    times: LeaseTimes,
    state: State,
    seen: Seen,
    /// Highest epoch ever seen, with the uid of its Lease.
    floor: Option<(String, i32)>,
    /// Uid of the Lease that this replica last tried to acquire by an update, or created.
    claimed: String,
    /// The request that is not answered yet.
    pending: Option<Pending>,
    /// What was seen may be outdated: read before writing.
    doubtful: bool,
    /// No request before this instant: the pause after a failure, or a leader's renew period.
    next_at: Instant,
    /// When the Lease was last seen, changed or not.
    heard_at: Instant,
    rate: Rate,
    random: u64,
    shutting_down: bool,
    release_failures: u8,
    error: Option<LeaseError>,
}

#[derive(Debug)]
enum State {
    Follower,
    Leader { fence: Fence, lease_uid: String },
    Draining { epoch: Epoch, reason: DrainReason },
    Releasing,
    Released,
}

/// The Lease as last seen.
#[derive(Debug)]
enum Seen {
    /// Not yet.
    Unknown,
    /// There is none; it may be created from this instant on.
    Absent { create_at: Instant },
    /// This; if another replica holds it, it may be taken over from this instant on.
    Present { record: LeaseRecord, expires_at: Instant },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Get,
    Create,
    Acquire,
    Renew,
    Release,
}

#[derive(Debug)]
struct Pending {
    kind: Kind,
    sent_at: Instant,
    /// The record that it replaces.
    replaces: u64,
    /// A Lease of another replica was seen since.
    overtaken: bool,
}

impl Election {
    /// An election in which nothing is known yet. `identity` must be new for each process and not empty; `floor` is the highest epoch
    /// that the store has recorded, with the uid of its Lease; `seed` picks the jitter. The first [`Self::tick`] reads
    /// the Lease.
    pub fn new(identity: impl Into<String>, times: LeaseTimes, floor: Option<(String, i32)>, seed: u64) -> Self {
        Self {
            identity: identity.into(),
            times,
            state: State::Follower,
            seen: Seen::Unknown,
            floor,
            claimed: String::new(),
            pending: None,
            doubtful: false,
            next_at: Instant::default(),
            heard_at: Instant::default(),
            rate: Rate::new(times.renew_period() / 2),
            random: mix(seed),
            shutting_down: false,
            release_failures: 0,
            error: None,
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) -> Step {
        self.expire(now);
        self.decide(now)
    }

    /// Answer to [`Request::Get`]; `None`: there is no Lease. Ignored if none was asked for.
    pub fn read(&mut self, now: Instant, result: Result<Option<LeaseRecord>, LeaseError>) -> Step {
        self.expire(now);
        if let Some(sent) = self.pending.take_if(|pending| pending.kind == Kind::Get) {
            match result {
                Ok(record) => {
                    (self.doubtful, self.error) = (false, None);
                    match record {
                        Some(record) => self.see(now, record),
                        // A watch has shown the Lease since the request was sent: which came first?
                        None if matches!(self.seen, Seen::Present { .. }) && self.heard_at > sent.sent_at => {
                            self.doubtful = true;
                        }
                        None => self.see_none(now),
                    }
                }
                Err(error) => self.failed(now, &sent, error),
            }
        }
        self.decide(now)
    }

    /// Answer to [`Request::Create`] or [`Request::Update`]: the record as the API server stored it. Ignored if none was
    /// asked for.
    pub fn written(&mut self, now: Instant, result: Result<LeaseRecord, LeaseError>) -> Step {
        self.expire(now);
        if let Some(sent) = self.pending.take_if(|pending| pending.kind != Kind::Get) {
            match result {
                // Others could not see it, and would count on from the renewal before.
                Ok(record) if record.resource_version == sent.replaces => {
                    let message = "the update changed nothing; its renewTime must differ from the one before";
                    self.failed(now, &sent, LeaseError::Other(message.to_owned()));
                }
                Ok(record) => self.stored(now, &sent, record),
                Err(error) => self.failed(now, &sent, error),
            }
        }
        self.decide(now)
    }

    /// What a watch of the Lease shows: the record, or that it was deleted. May be late, and may repeat.
    pub fn watched(&mut self, now: Instant, record: Option<LeaseRecord>) -> Step {
        self.expire(now);
        match (record, &self.seen) {
            (Some(record), Seen::Present { record: known, .. })
                if record.resource_version <= known.resource_version =>
            {
                if record.resource_version == known.resource_version {
                    self.heard_at = now;
                }
            }
            (Some(record), _) => {
                self.doubtful = false;
                self.see(now, record);
            }
            // It may exist again by now.
            (None, _) => {
                self.doubtful = true;
                self.next_at = now;
            }
        }
        self.decide(now)
    }

    /// No work that was started as leader is in flight any more. Without effect unless [`Role::Draining`].
    pub fn drained(&mut self, now: Instant) -> Step {
        self.expire(now);
        if matches!(self.state, State::Draining { .. }) {
            self.state = if self.shutting_down { State::Releasing } else { State::Follower };
            self.next_at = now;
        }
        self.decide(now)
    }

    /// The process is to end: leadership ends now, and the Lease is released once nothing is in flight. `in_flight`: work
    /// that was started as leader goes on; then [`Self::drained`] must follow.
    pub fn shut_down(&mut self, now: Instant, in_flight: bool) -> Step {
        self.expire(now);
        self.shutting_down = true;
        match &self.state {
            State::Leader { .. } if in_flight => self.drain(now, DrainReason::ShuttingDown),
            State::Draining { .. } if in_flight => {}
            State::Releasing | State::Released => {}
            State::Leader { .. } | State::Draining { .. } | State::Follower => {
                self.state = State::Releasing;
                self.next_at = now;
            }
        }
        self.decide(now)
    }

    /// Leadership that was not renewed in time ends, whatever else happens at the same instant.
    fn expire(&mut self, now: Instant) {
        if self.fence().is_some_and(|fence| now >= fence.valid_until) {
            self.drain(now, DrainReason::Lost);
        }
    }

    fn drain(&mut self, now: Instant, reason: DrainReason) {
        if let State::Leader { fence, .. } = &self.state {
            self.state = State::Draining { epoch: fence.epoch, reason };
            self.next_at = now;
        }
    }

    /// The Lease as it is now.
    fn see(&mut self, now: Instant, record: LeaseRecord) {
        self.heard_at = now;
        if let Some(pending) = &mut self.pending {
            pending.overtaken |= record.holder != self.identity;
        }
        if self.floor.as_ref().is_none_or(|(_, epoch)| record.transitions > *epoch) {
            self.floor = Some((record.uid.clone(), record.transitions));
        }
        if let State::Leader { fence, lease_uid } = &self.state {
            let ours =
                record.holder == self.identity && record.transitions == fence.epoch.0 && record.uid == *lease_uid;
            if !ours {
                self.drain(now, DrainReason::Lost);
            }
        }
        let unchanged = matches!(&self.seen, Seen::Present { record: known, .. }
            if known.uid == record.uid && known.resource_version == record.resource_version);
        if !unchanged {
            let expires_at = now + self.patience(&record);
            self.seen = Seen::Present { record, expires_at };
        }
    }

    /// There is no Lease now. Whoever held it last may not know that yet, so it is waited for; unless it was this replica,
    /// still valid, or this is the first that anyone here knows of a Lease.
    fn see_none(&mut self, now: Instant) {
        self.heard_at = now;
        let patience = match &self.seen {
            Seen::Absent { .. } => None,
            _ if matches!(self.state, State::Leader { .. }) => Some(Duration::ZERO),
            Seen::Unknown if self.floor.is_none() => Some(Duration::ZERO),
            Seen::Unknown => Some(self.patience(&LeaseRecord::default())),
            Seen::Present { record, .. } => {
                let record = record.clone();
                Some(self.patience(&record).max(self.times.lease_duration()))
            }
        };
        if let Some(patience) = patience {
            self.seen = Seen::Absent { create_at: now + patience };
        }
        self.drain(now, DrainReason::Lost);
    }

    /// How long a record must stay as it is before its holder counts as gone. The jitter keeps standbys apart.
    fn patience(&mut self, record: &LeaseRecord) -> Duration {
        let duration = match record.lease_duration_seconds {
            0 => self.times.lease_duration(),
            seconds => Duration::from_secs(u64::from(seconds)),
        };
        duration.saturating_add(self.jitter(self.times.renew_period() / 4))
    }

    /// Whether a record has no holder to wait for: it names nobody; or this replica, which does not lead and whose update
    /// nobody else's can have preceded. A creation that timed out may land long after, on the heels of another leader.
    fn is_free(&self, record: &LeaseRecord) -> bool {
        record.holder.is_empty() || (record.holder == self.identity && record.uid == self.claimed)
    }

    /// A write was stored.
    fn stored(&mut self, now: Instant, sent: &Pending, record: LeaseRecord) {
        (self.doubtful, self.error) = (false, None);
        let (epoch, lease_uid) = (Epoch(record.transitions), record.uid.clone());
        let ours = record.holder == self.identity;
        self.see(now, record);
        // From the sending, never from the answer: others count from when it was stored, which is in between.
        let fence = Fence { epoch, valid_until: sent.sent_at + self.times.validity() };
        // A creation may come through only because the Lease of another leader was deleted meanwhile.
        let overtaken = sent.kind == Kind::Create && sent.overtaken;
        let in_time = ours && !overtaken && now < fence.valid_until;
        if in_time {
            self.claimed.clone_from(&lease_uid);
        }
        match (&self.state, sent.kind) {
            (State::Leader { .. }, Kind::Renew) => {}
            (State::Follower, Kind::Create | Kind::Acquire) if in_time => {}
            (State::Releasing, Kind::Release) => {
                self.state = State::Released;
                return;
            }
            _ => return,
        }
        self.state = State::Leader { fence, lease_uid };
        self.next_at = sent.sent_at + self.times.renew_period();
    }

    /// A request failed.
    fn failed(&mut self, now: Instant, sent: &Pending, error: LeaseError) {
        match &error {
            LeaseError::Conflict => {
                self.doubtful = true;
                self.next_at = now;
            }
            LeaseError::Forbidden(_) | LeaseError::Other(_) => {
                // A leader's renewal that was stored all the same shows as a conflict of the next one.
                self.doubtful |=
                    matches!(error, LeaseError::Other(_)) && matches!(sent.kind, Kind::Create | Kind::Acquire);
                let pause = self.times.renew_period() / 2 + self.jitter(self.times.renew_period() / 4);
                self.next_at = now.max(sent.sent_at + pause);
            }
        }
        if matches!(self.state, State::Releasing) {
            self.release_failures = self.release_failures.saturating_add(1);
        }
        self.error = Some(error);
    }

    fn decide(&mut self, now: Instant) -> Step {
        let ends_at = self.fence().map(|fence| fence.valid_until);
        if self.pending.is_some() {
            return Step { request: None, wake: ends_at };
        }
        let Some((at, kind)) = self.next() else {
            return Step::default();
        };
        let at = at.max(self.rate.free_at(now));
        if now < at {
            return Step { request: None, wake: Some(ends_at.map_or(at, |ends_at| ends_at.min(at))) };
        }
        self.rate.take();
        Step { request: Some(self.request(now, kind)), wake: ends_at }
    }

    /// The next request and when it is due; `None`: there is none before another input.
    fn next(&mut self) -> Option<(Instant, Kind)> {
        match &self.state {
            State::Draining { .. } | State::Released => None,
            State::Leader { .. } => Some((self.next_at, if self.doubtful { Kind::Get } else { Kind::Renew })),
            State::Releasing => {
                let held = matches!(&self.seen, Seen::Present { record, .. }
                    if record.holder == self.identity && record.uid == self.claimed);
                if self.release_failures >= RELEASE_FAILURES || !(held || self.doubtful) {
                    self.state = State::Released;
                    return None;
                }
                Some((self.next_at, if self.doubtful { Kind::Get } else { Kind::Release }))
            }
            State::Follower => Some(self.next_of_follower()),
        }
    }

    fn next_of_follower(&self) -> (Instant, Kind) {
        // A quiet watch may be a dead one: look, so that a release is not missed, nor a Lease that came and went.
        let look_at = self.heard_at + self.times.renew_period() * 2;
        let (at, kind) = match &self.seen {
            _ if self.doubtful => (self.next_at, Kind::Get),
            Seen::Unknown => (self.next_at, Kind::Get),
            Seen::Present { record, .. } if self.is_free(record) => (self.next_at, Kind::Acquire),
            Seen::Present { expires_at, .. } if look_at.max(self.next_at) < *expires_at => (look_at, Kind::Get),
            Seen::Present { expires_at, .. } => (*expires_at, Kind::Acquire),
            // No precondition protects a creation: nothing is created but on the heels of a look.
            Seen::Absent { create_at } if look_at < self.next_at.max(*create_at) => (look_at, Kind::Get),
            Seen::Absent { create_at } => (*create_at, Kind::Create),
        };
        (self.next_at.max(at), kind)
    }

    fn request(&mut self, now: Instant, kind: Kind) -> Request {
        let known = match &self.seen {
            Seen::Present { record, .. } => record.clone(),
            Seen::Unknown | Seen::Absent { .. } => LeaseRecord::default(),
        };
        self.pending = Some(Pending { kind, sent_at: now, replaces: known.resource_version, overtaken: false });
        let transitions = match kind {
            Kind::Create | Kind::Acquire => self.next_epoch(),
            Kind::Get | Kind::Renew | Kind::Release => known.transitions,
        };
        let mut record = LeaseRecord {
            holder: self.identity.clone(),
            // Whole seconds up to an hour, by construction.
            lease_duration_seconds: u32::try_from(self.times.lease_duration().as_secs()).unwrap_or(u32::MAX),
            transitions,
            renew_time: String::new(),
            ..known
        };
        match kind {
            Kind::Get => Request::Get,
            Kind::Create => Request::Create(record),
            Kind::Acquire => {
                self.claimed.clone_from(&record.uid);
                record.acquire_time.clear();
                Request::Update(record)
            }
            Kind::Renew => Request::Update(record),
            Kind::Release => {
                // As client-go releases: empty holder, and a duration that nobody has to wait for.
                record.holder.clear();
                record.lease_duration_seconds = 1;
                Request::Update(record)
            }
        }
    }

    /// Above every epoch ever seen; the first one is 1.
    fn next_epoch(&self) -> i32 {
        self.floor.as_ref().map_or(0, |(_, epoch)| *epoch).max(0).saturating_add(1)
    }

    fn jitter(&mut self, span: Duration) -> Duration {
        self.random = mix(self.random);
        fraction(span, self.random)
    }
}
