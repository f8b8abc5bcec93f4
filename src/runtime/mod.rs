//! The one loop (event → step → effects), the executor, the clock, shutdown.
