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
    /// Times of the election: `fast` is 6s, 1s, 1.5s and 1s for the four times below, `slow` is 15s, 2s, 3s and 5s
    #[arg(long, env = "DRIFTLESS_LEASE_PRESET", value_name = "PRESET", default_value = "fast")]
    pub lease_preset: LeasePreset,
    /// After how long without a renewal another replica takes over, in whole seconds [default: by preset]
    #[arg(long, env = "DRIFTLESS_LEASE_DURATION", value_name = "DURATION", value_parser = values::positive_duration)]
    pub lease_duration: Option<Duration>,
    /// How often the leader renews [default: by preset]
    #[arg(long, env = "DRIFTLESS_LEASE_RENEW_PERIOD", value_name = "DURATION", value_parser = values::positive_duration)]
    pub lease_renew_period: Option<Duration>,
    /// How long one request for the Lease, or one write of the leader, may take [default: by preset]
    #[arg(long, env = "DRIFTLESS_LEASE_REQUEST_TIMEOUT", value_name = "DURATION", value_parser = values::positive_duration)]
    pub lease_request_timeout: Option<Duration>,
    /// By how much earlier than the others a leader counts its Lease as lost [default: by preset]
    #[arg(long, env = "DRIFTLESS_LEASE_MARGIN", value_name = "DURATION", value_parser = values::positive_duration)]
    pub lease_margin: Option<Duration>,
}

/// Times of the election that go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LeasePreset {
    /// A replica takes over 6 seconds after a leader died.
    Fast,
    /// client-go's times, for slow control planes.
    Slow,
}

/// The times of the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTiming {
    /// After how long without a renewal another replica takes over; whole seconds, for the Lease says it in seconds.
    pub duration: Duration,
    /// How often the leader renews.
    pub renew_period: Duration,
    /// How long one request for the Lease, or one write of the leader, may take.
    pub request_timeout: Duration,
    /// By how much earlier than the others a leader counts its Lease as lost.
    pub margin: Duration,
}

impl LeasePreset {
    /// The times of this preset.
    pub const fn timing(self) -> LeaseTiming {
        let (duration, renew_period, request_timeout, margin) = match self {
            Self::Fast => (6_000, 1_000, 1_500, 1_000),
            Self::Slow => (15_000, 2_000, 3_000, 5_000),
        };
        LeaseTiming {
            duration: Duration::from_millis(duration),
            renew_period: Duration::from_millis(renew_period),
            request_timeout: Duration::from_millis(request_timeout),
            margin: Duration::from_millis(margin),
        }
    }
}

impl LeaseSettings {
    /// The times of the preset with what is set on its own. Fails unless the duration is whole seconds and leaves a healthy
    /// leader time to renew and to write within its validity, which is the duration less the margin.
    pub fn timing(&self) -> Result<LeaseTiming, SettingsError> {
        let preset = self.lease_preset.timing();
        let timing = LeaseTiming {
            duration: self.lease_duration.unwrap_or(preset.duration),
            renew_period: self.lease_renew_period.unwrap_or(preset.renew_period),
            request_timeout: self.lease_request_timeout.unwrap_or(preset.request_timeout),
            margin: self.lease_margin.unwrap_or(preset.margin),
        };
        if timing.duration.subsec_nanos() != 0 {
            return Err(SettingsError::new("lease-duration", "must be whole seconds, as the Lease says it"));
        }
        let needed = timing.renew_period.saturating_add(timing.request_timeout.saturating_mul(2));
        let valid = timing.duration.saturating_sub(timing.margin);
        if needed >= valid {
            let problem = format!(
                "is too short: less the margin it is {valid:?}, and the renew period and two request timeouts, {needed:?}, must be shorter"
            );
            return Err(SettingsError::new("lease-duration", problem));
        }
        Ok(timing)
    }
}
