//! Leader election through a `coordination.k8s.io` Lease, as a pure state machine ([`Election`]).
//!
//! # Why two replicas never write at the same time
//! A leader counts its validity from the instant at which it *sent* the last renewal that succeeded: `lease_duration -
//! margin`. A standby counts from the instant at which it *observed* the Lease change, which is later: `lease_duration`,
//! as the record says. So the leader has stopped before a standby may begin, as long as no clock runs faster than another
//! by more than `lease_duration / (lease_duration - margin)`. Only the local monotonic clock is used. The times in the
//! record are the holder's wall clock; nobody compares them, so that wall clocks may jump as they like. A *change* is
//! whatever gave the Lease another uid or resource version.
//!
//! A leader starts a write only while it would end (`request_timeout`) within its validity: see [`Fence`].
//!
//! Every write of the Lease is conditional on the resource version that was last seen, so that of two candidates one
//! loses (409). A write that timed out may have been made, or may yet be: nothing is concluded from it. Leadership begins
//! with an answer, never with a look at the record; a record that names this replica without such an answer is acquired
//! anew.
//!
//! What a person can still break: emptying `holderIdentity` by hand while a leader lives, and deleting the Lease while
//! its leader is cut off and another replica has not seen that Lease yet.
//!
//! # What the caller does
//! It performs one request at a time ([`Step::request`]) with a client of its own (no shared limiter, no retry), with
//! [`LeaseTimes::request_timeout`], and always hands the answer back: [`Election::read`] or [`Election::written`]. It
//! hands over what a watch of the Lease shows ([`Election::watched`]), calls [`Election::tick`] at [`Step::wake`], and
//! after each call looks at [`Election::role`] and [`Election::fence`]. When the role becomes [`Role::Draining`] it stops
//! starting work and calls [`Election::drained`] once none is in flight; requests end by their own time-outs, so that
//! comes.
//!
//! It keeps the Lease as last read or watched, as raw JSON, and for an update changes in it `holderIdentity`,
//! `leaseDurationSeconds`, `leaseTransitions`, `renewTime` and `acquireTime` only: `strategy`, `preferredHolder`, labels
//! and whatever else there is stay as they are. It sends the result with PUT and the record's uid and resource version;
//! if what it keeps is of another resource version, it answers [`LeaseError::Conflict`] without sending.

mod election;
mod rate;
#[cfg(test)]
mod simulation_tests;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use election::Election;

use super::ids::Epoch;
use super::time::Instant;

/// Longest lease duration that is accepted: nobody waits longer than this for a crashed leader.
pub const LONGEST_LEASE: Duration = Duration::from_secs(3600);
/// Shortest renew period that is accepted, so that a Lease is not written in a hot loop.
pub const SHORTEST_RENEW_PERIOD: Duration = Duration::from_millis(50);

/// The times of an election. All replicas should have the same; different ones are safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    lease_duration: Duration,
    renew_period: Duration,
    request_timeout: Duration,
    margin: Duration,
}

/// Why times can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseTimesError {
    /// The Lease holds whole seconds.
    #[error("lease duration {0:?} is not allowed; use whole seconds from 1 s to {LONGEST_LEASE:?}")]
    LeaseDuration(Duration),
    /// Renewals in a hot loop.
    #[error("renew period {0:?} is too short; use at least {SHORTEST_RENEW_PERIOD:?}")]
    RenewPeriod(Duration),
    /// A request without time to be answered.
    #[error("request timeout must be longer than 0")]
    RequestTimeout,
    /// No safety left, or no validity.
    #[error("margin {margin:?} is not allowed; use more than 0 and less than the lease duration {lease_duration:?}")]
    Margin {
        /// The margin.
        margin: Duration,
        /// The lease duration.
        lease_duration: Duration,
    },
    /// A leader would stop writing although every renewal succeeds.
    #[error(
        "renew period + 2 * request timeout is {needed:?} and must be shorter than lease duration - margin, which is \
         {valid:?}; make the lease longer or the others shorter"
    )]
    TooTight {
        /// What a renewal and a write after it can take.
        needed: Duration,
        /// How long a renewal is good for.
        valid: Duration,
    },
}

impl Default for LeaseTimes {
    /// 6 s, renewed every second, requests of at most 1.5 s, 1 s of margin: a crashed leader is replaced after 6 s.
    fn default() -> Self {
        Self {
            lease_duration: Duration::from_secs(6),
            renew_period: Duration::from_secs(1),
            request_timeout: Duration::from_millis(1500),
            margin: Duration::from_secs(1),
        }
    }
}

impl LeaseTimes {
    /// Times for slow control planes: client-go's 15 s lease, 10 s of validity and 2 s between renewals, with requests of
    /// at most 3 s.
    pub const fn slow() -> Self {
        Self {
            lease_duration: Duration::from_secs(15),
            renew_period: Duration::from_secs(2),
            request_timeout: Duration::from_secs(3),
            margin: Duration::from_secs(5),
        }
    }

    /// Times of one's own. `lease_duration` is after how long without a change a Lease is taken over, `renew_period` how
    /// often the leader renews it, `request_timeout` what one request of a Lease, and one write of the leader, may take,
    /// and `margin` by how much earlier than others a leader counts its lease as lost.
    ///
    /// # Errors
    /// A time that is out of its bounds, or times with which a healthy leader could not always write.
    pub fn new(
        lease_duration: Duration,
        renew_period: Duration,
        request_timeout: Duration,
        margin: Duration,
    ) -> Result<Self, LeaseTimesError> {
        if lease_duration.is_zero() || lease_duration.subsec_nanos() != 0 || lease_duration > LONGEST_LEASE {
            return Err(LeaseTimesError::LeaseDuration(lease_duration));
        }
        if renew_period < SHORTEST_RENEW_PERIOD {
            return Err(LeaseTimesError::RenewPeriod(renew_period));
        }
        if request_timeout.is_zero() {
            return Err(LeaseTimesError::RequestTimeout);
        }
        if margin.is_zero() || margin >= lease_duration {
            return Err(LeaseTimesError::Margin { margin, lease_duration });
        }
        let needed = renew_period.saturating_add(request_timeout.saturating_mul(2));
        let valid = lease_duration.saturating_sub(margin);
        if needed >= valid {
            return Err(LeaseTimesError::TooTight { needed, valid });
        }
        Ok(Self { lease_duration, renew_period, request_timeout, margin })
    }

    /// After how long without a change a Lease is taken over. Whole seconds.
    pub const fn lease_duration(&self) -> Duration {
        self.lease_duration
    }

    /// How often the leader renews.
    pub const fn renew_period(&self) -> Duration {
        self.renew_period
    }

    /// Longest that one request of a Lease may take.
    pub const fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// How long a renewal is good for, from the instant at which it was sent.
    pub const fn validity(&self) -> Duration {
        self.lease_duration.saturating_sub(self.margin)
    }
}

/// What a Lease says, and which version of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseRecord {
    /// `spec.holderIdentity`; empty: nobody holds it, it was released.
    pub holder: String,
    /// `spec.leaseDurationSeconds`; 0 if absent.
    pub lease_duration_seconds: u32,
    /// `spec.leaseTransitions`: the epoch; 0 if absent.
    pub transitions: i32,
    /// `metadata.uid`; empty in a Lease to be created.
    pub uid: String,
    /// `metadata.resourceVersion`, comparable among Leases (KEP-5504); 0 in a Lease to be created.
    pub resource_version: u64,
    /// `spec.acquireTime`, for people only. In a request an empty one is to be filled with the caller's wall clock.
    pub acquire_time: String,
    /// `spec.renewTime`, likewise. It must differ from the one that it replaces: an update that changes nothing is no
    /// renewal.
    pub renew_time: String,
}

/// Why a request of the Lease failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// The precondition did not hold: 409, or 404 for an update.
    #[error("the Lease was changed by another replica")]
    Conflict,
    /// 401 or 403. The request had no effect.
    #[error("not allowed to use the Lease: {0}; check the role of the agent's service account")]
    Forbidden(String),
    /// Everything else, time-outs included. The request may have had its effect, or may yet have it.
    #[error("the Lease can't be reached: {0}")]
    Other(String),
}

/// A request that the caller sends now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Read the Lease, from the API server's current state (no `resourceVersion` parameter).
    Get,
    /// Create it.
    Create(LeaseRecord),
    /// Replace what the record names, if uid and resource version are still the record's.
    Update(LeaseRecord),
}

/// What is to be done after an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Step {
    /// To be sent now. Never given while another one is unanswered.
    pub request: Option<Request>,
    /// When to call [`Election::tick`], at the latest; replaces what earlier steps said. `None`: not before another input.
    pub wake: Option<Instant>,
}

/// Why a replica leads no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainReason {
    /// The Lease was lost, or could not be renewed in time.
    Lost,
    /// The process ends.
    ShuttingDown,
}

/// What a replica is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It does not write.
    Follower {
        /// Who holds the Lease: empty if nobody does, `None` if that is not known yet.
        holder: Option<String>,
    },
    /// It may write, as its [`Fence`] says.
    Leader {
        /// `leaseTransitions` under which it leads.
        epoch: Epoch,
        /// `metadata.uid` of the Lease: epochs of different Leases don't compare.
        lease_uid: String,
        /// When its leadership ends if it is not renewed.
        valid_until: Instant,
    },
    /// It leads no more, starts nothing, and waits for its work in flight to end.
    Draining {
        /// Epoch under which it led.
        epoch: Epoch,
        /// Why.
        reason: DrainReason,
    },
    /// Its work has ended; it gives the Lease back.
    Releasing,
    /// It holds nothing and wants nothing: the process may end.
    Released,
}

/// What a write must be checked against when it is sent: a copy of it may be kept, and expires by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Epoch of the leadership.
    pub epoch: Epoch,
    /// When the leadership ends.
    pub valid_until: Instant,
}

impl Fence {
    /// Whether a write that takes at most `request_timeout` would end while this replica still leads. The caller aborts
    /// the write after that time.
    pub fn may_start_write(&self, now: Instant, request_timeout: Duration) -> bool {
        now + request_timeout < self.valid_until
    }
}
