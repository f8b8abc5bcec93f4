//! Limits of everything that is done with repositories.

use std::time::Duration;

/// Limits. Each exceeded one is an error that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitLimits {
    /// Longest duration of one listing or one fetch as a whole.
    pub timeout: Duration,
    /// Most bytes received by one fetch.
    pub max_transfer: u64,
    /// Largest file that is read, in bytes.
    pub max_file: u64,
    /// Most entries of folders that are read of one commit.
    pub max_entries: usize,
    /// Most folders in a path.
    pub max_depth: usize,
    /// Packs of a mirror (each fetch adds one) after which it is replaced by a fresh one.
    pub max_packs: usize,
    /// Repositories that are mirrored at the same time.
    pub max_mirrors: usize,
    /// Most commits that are followed back to tell whether a branch was rewritten.
    pub history_depth: u32,
    /// Whether repositories on the agent's own disk (`/path`, `file:///path`) may be read.
    pub local_repositories: bool,
}

impl Default for GitLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            max_transfer: 1 << 30,
            max_file: 16 << 20,
            max_entries: 1_000_000,
            max_depth: 64,
            max_packs: 50,
            max_mirrors: 1000,
            history_depth: 1000,
            local_repositories: true,
        }
    }
}
