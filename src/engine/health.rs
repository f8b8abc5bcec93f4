//! Health of objects, by Argo CD's rules and names.

use serde::{Deserialize, Serialize};

/// Argo CD's health codes, from best to worst: the worst of its objects is an application's health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HealthCode {
    /// All is well.
    #[default]
    Healthy,
    /// Paused on purpose.
    Suspended,
    /// Not there yet, still expected to become healthy.
    Progressing,
    /// Not in the cluster.
    Missing,
    /// Failed.
    Degraded,
    /// It can't be told.
    Unknown,
}

impl HealthCode {
    /// The name that Argo CD writes into statuses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }
}

/// Health of one object. Kinds without a health rule have none at all (`Option<Health>`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The code.
    pub code: HealthCode,
    /// Why, where there is something to say; never holds a Secret's value.
    pub message: Option<Box<str>>,
}

/// Health of an object; `None` if its kind has no rule.
pub fn assess(_gvk: &super::ids::Gvk, _object: &serde_json::Value) -> Option<Health> {
    None
}
