//! What an election shows of itself.

use super::{Election, Seen, State};
use crate::engine::ids::Epoch;
use crate::engine::lease::{Fence, LeaseError, Role};

impl Election {
    /// What this replica is.
    pub fn role(&self) -> Role {
        match &self.state {
            State::Follower => Role::Follower {
                holder: match &self.seen {
                    Seen::Unknown => None,
                    Seen::Absent { .. } => Some(String::new()),
                    Seen::Present { record, .. } => Some(record.holder.clone()),
                },
            },
            State::Leader { fence, lease_uid } => {
                Role::Leader { epoch: fence.epoch, lease_uid: lease_uid.clone(), valid_until: fence.valid_until }
            }
            State::Draining { epoch, reason } => Role::Draining { epoch: *epoch, reason: *reason },
            State::Releasing => Role::Releasing,
            State::Released => Role::Released,
        }
    }

    /// What writes are checked against; `None` unless this replica leads.
    pub fn fence(&self) -> Option<Fence> {
        match &self.state {
            State::Leader { fence, .. } => Some(*fence),
            _ => None,
        }
    }

    /// Highest epoch ever seen, with the uid of its Lease, for the store.
    pub fn floor(&self) -> Option<(&str, Epoch)> {
        self.floor.as_ref().map(|(uid, epoch)| (uid.as_str(), Epoch(*epoch)))
    }

    /// Why the last request failed; `None` once one succeeds.
    pub fn error(&self) -> Option<&LeaseError> {
        self.error.as_ref()
    }
}
