//! Settings of the election, and the times that follow from them.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{SettingsError, values};
use crate::engine::lease::LeaseTimes;

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

impl LeasePreset {
    /// The times of this preset.
    pub fn times(self) -> LeaseTimes {
        match self {
            Self::Fast => LeaseTimes::default(),
            Self::Slow => LeaseTimes::slow(),
        }
    }
}

impl LeaseSettings {
    /// The times of the preset with what is set on its own; an error if a healthy leader could not always write with them.
    pub fn times(&self) -> Result<LeaseTimes, SettingsError> {
        let preset = self.lease_preset.times();
        let margin = preset.lease_duration().saturating_sub(preset.validity());
        LeaseTimes::new(
            self.lease_duration.unwrap_or_else(|| preset.lease_duration()),
            self.lease_renew_period.unwrap_or_else(|| preset.renew_period()),
            self.lease_request_timeout.unwrap_or_else(|| preset.request_timeout()),
            self.lease_margin.unwrap_or(margin),
        )
        .map_err(|error| SettingsError::new("lease-duration", error.to_string()))
    }
}
