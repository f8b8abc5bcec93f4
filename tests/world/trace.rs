//! What happened in a world, line by line: the same seed has to give the same lines.

use std::fmt::Display;
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

/// Lines, each with its virtual time. Clones write to the same ones.
#[derive(Clone)]
pub(crate) struct Trace {
    origin: Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Trace {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now(), lines: Arc::default() }
    }

    pub(crate) fn line(&self, text: impl Display) {
        let line = format!("{:>8.3} {text}", self.origin.elapsed().as_secs_f64());
        self.lines.lock().unwrap().push(line);
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}
