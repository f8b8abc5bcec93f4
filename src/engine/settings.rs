//! What the engine is told once, at start.

use std::sync::Arc;
use std::time::Duration;

use super::contest::ContestLimits;

/// Settings of the engine. All durations are on the monotonic clock.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Installation id: the value of the label by which our watches are filtered.
    pub instance: Arc<str>,
    /// Namespace whose Applications have their plain name in tracking ids; others are written `namespace_name`, as Argo CD
    /// writes Applications outside its control namespace.
    pub control_namespace: Arc<str>,
    /// How often the refs of a repository are listed.
    pub poll_interval: Duration,
    /// Up to this much is added to each interval, differently for each repository and round.
    pub poll_jitter: Duration,
    /// How many applies of syncs and deletes are under way at most. Heals have as many places of their own.
    pub apply_concurrency: usize,
    /// How many renderings are under way at most.
    pub render_concurrency: usize,
    /// A prune of more than this share of an application waits for permission. In percent.
    pub prune_share_percent: usize,
    /// The share counts only for applications of at least this many objects.
    pub prune_share_minimum: usize,
    /// How long a prune waits for the other applications of its repository to try the revision.
    pub prune_wait: Duration,
    /// A prune waits for a person where the branch was rewritten.
    pub rewrite_guard: bool,
    /// When an object is contested.
    pub contest: ContestLimits,
    /// How long changes of a status that nobody waits for are gathered before it is written.
    pub status_delay: Duration,
    /// How long a dirty application waits before a failed request for it is repeated, first and longest.
    pub retry: (Duration, Duration),
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            instance: "0000000000000000".into(),
            control_namespace: "argocd".into(),
            poll_interval: Duration::from_secs(120),
            poll_jitter: Duration::from_secs(60),
            apply_concurrency: 16,
            render_concurrency: 2,
            prune_share_percent: 50,
            prune_share_minimum: 10,
            prune_wait: Duration::from_secs(60),
            rewrite_guard: true,
            contest: ContestLimits::default(),
            status_delay: Duration::from_secs(1),
            retry: (Duration::from_secs(1), Duration::from_secs(300)),
        }
    }
}
