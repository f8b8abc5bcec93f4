//! Settings of the election, and the times that follow from them.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{SettingsError, values};

/// The Lease by which replicas elect a leader.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Election")]
pub struct LeaseSettings {
    /// Name of the Lease in the agent's namespace
    #[arg(long, env = "DRIFTLESS_LEASE_NAME", value_name = "NAME", default_value = "driftless", value_parser = values::object_name)]
    pub lease_name: String,
    /// Times of the election: `fast` is 6s/1s/1.5s, `slow` is 15s/2s/5s (Lease, renewal, request)
    #[arg(long, env = "DRIFTLESS_LEASE_PRESET", value_name = "PRESET", default_value = "fast")]
    pub lease_preset: LeasePreset,
    /// How long the Lease is good for after a renewal [default: by preset]
    #[arg(long, env = "DRIFTLESS_LEASE_DURATION", value_name = "DURATION", value_parser = values::positive_duration)]
    pub lease_duration: Option<Duration>,
    /// How often the leader renews [default: by preset]
    #[arg(long, env = "DRIFTLESS_LEASE_RENEW_INTERVAL", value_name = "DURATION", value_parser = values::positive_duration)]
    pub lease_renew_interval: Option<Duration>,
    /// How long one request for the Lease may take [default: by preset]
    #[arg(long, env = "DRIFTLESS_LEASE_REQUEST_TIMEOUT", value_name = "DURATION", value_parser = values::positive_duration)]
    pub lease_request_timeout: Option<Duration>,
}

/// Times of the election that go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LeasePreset {
    /// A replica takes over about 6 seconds after a leader died.
    Fast,
    /// client-go's usual times, for slow control planes.
    Slow,
}

/// The times of the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTiming {
    /// How long the Lease is good for after a renewal; whole seconds, for the Lease says it in seconds.
    pub duration: Duration,
    /// How often the leader renews.
    pub renew_interval: Duration,
    /// How long one request for the Lease may take.
    pub request_timeout: Duration,
}

impl LeasePreset {
    /// The times of this preset.
    pub const fn timing(self) -> LeaseTiming {
        let (duration, renew_interval, request_timeout) = match self {
            Self::Fast => (6_000, 1_000, 1_500),
            Self::Slow => (15_000, 2_000, 5_000),
        };
        LeaseTiming {
            duration: Duration::from_millis(duration),
            renew_interval: Duration::from_millis(renew_interval),
            request_timeout: Duration::from_millis(request_timeout),
        }
    }
}

impl LeaseSettings {
    /// The times of the preset with what is set on its own. Fails unless the duration is whole seconds and leaves room for
    /// one renewal that times out and a second one.
    pub fn timing(&self) -> Result<LeaseTiming, SettingsError> {
        let preset = self.lease_preset.timing();
        let timing = LeaseTiming {
            duration: self.lease_duration.unwrap_or(preset.duration),
            renew_interval: self.lease_renew_interval.unwrap_or(preset.renew_interval),
            request_timeout: self.lease_request_timeout.unwrap_or(preset.request_timeout),
        };
        if timing.duration.subsec_nanos() != 0 {
            return Err(SettingsError::new("lease-duration", "must be whole seconds, as the Lease says it"));
        }
        let two_tries = (timing.renew_interval.saturating_add(timing.request_timeout)).saturating_mul(2);
        if timing.duration < two_tries {
            let problem = format!(
                "{:?} is too short: two renewals, each an interval of {:?} and a request of {:?}, must fit",
                timing.duration, timing.renew_interval, timing.request_timeout
            );
            return Err(SettingsError::new("lease-duration", problem));
        }
        Ok(timing)
    }
}
