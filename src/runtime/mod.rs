//! The one loop (event → step → effects), the executor, the clock, shutdown.

pub mod settings;

/// Runs the agent until it is told to stop.
pub async fn run(settings: settings::Settings) -> anyhow::Result<()> {
    anyhow::bail!("the runtime in namespace {} is not part of this build", settings.namespace())
}
