//! The loop: takes events, steps the engine, has the effects performed, publishes the view.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::executor::{Executor, Watches};
use super::journal::Journal;
use crate::api::{HealthState, Metrics, ObjectsRequest};
use crate::engine::Engine;
use crate::engine::effect::Effect;
use crate::engine::event::Event;
use crate::engine::view::View;

/// Events taken in one turn, before their effects are performed: more share one transaction, fewer answer sooner.
const BATCH: usize = 256;
/// The view is published at most so often: it is for people and scrapers, and copies what applications show.
const PUBLISH: Duration = Duration::from_millis(100);
/// The loop turns at least so often, for the health check.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The loop and all that only it touches.
pub(super) struct Turn {
    /// The state.
    pub(super) engine: Engine,
    /// What has happened.
    pub(super) events: mpsc::Receiver<Event>,
    /// Readers that want the objects of an application.
    pub(super) objects: mpsc::Receiver<ObjectsRequest>,
    /// Performs effects.
    pub(super) executor: Executor,
    /// The store's side of it; `None`: there is no usable store.
    pub(super) journal: Option<Journal>,
    /// Where the view is published.
    pub(super) view: watch::Sender<Arc<View>>,
    /// The health check.
    pub(super) health: HealthState,
    /// What is counted.
    pub(super) metrics: Arc<Metrics>,
    /// The clocks.
    pub(super) clock: Clock,
}

impl Turn {
    /// Runs until `stopped` is cancelled; then everything gathered is written. `first` are the engine's first effects.
    pub(super) async fn run(mut self, first: Vec<Effect>, stopped: CancellationToken) {
        let mut watches = Watches::default();
        let mut batch = Vec::with_capacity(BATCH);
        let mut published = tokio::time::Instant::now();
        let mut stale = true;
        self.perform(first, &mut watches).await;
        loop {
            self.health.touch();
            let wake = if stale { self.wake().min(published + PUBLISH) } else { self.wake() };
            tokio::select! {
                biased;
                () = stopped.cancelled() => break,
                count = self.events.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        break;
                    }
                }
                Some(request) = self.objects.recv() => {
                    // A reader that has gone away wants no answer.
                    let _ = request.reply.send(self.engine.object_views(&request.app));
                    continue;
                }
                () = tokio::time::sleep_until(wake) => batch.push(Event::Tick),
            }
            self.metrics.set_queue_depth("events", self.events.len() + batch.len());
            stale |= batch.iter().any(|event| !matches!(event, Event::Tick));
            let effects = self.step(&mut batch);
            stale |= self.engine.has_changed();
            self.perform(effects, &mut watches).await;
            if let Some(journal) = &mut self.journal {
                journal.due().await;
            }
            if stale && published.elapsed() >= PUBLISH {
                self.publish();
                published = tokio::time::Instant::now();
                stale = false;
            }
        }
        if let Some(journal) = &mut self.journal {
            journal.flush().await;
        }
    }

    /// When there is something to do without an event.
    fn wake(&self) -> tokio::time::Instant {
        let heartbeat = tokio::time::Instant::now() + HEARTBEAT;
        let engine = self.engine.next_wake().map(|at| self.clock.tokio(at));
        let journal = self.journal.as_ref().and_then(Journal::wake);
        [engine, journal].into_iter().flatten().fold(heartbeat, std::cmp::min)
    }

    fn step(&mut self, batch: &mut Vec<Event>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for event in batch.drain(..) {
            let arrived = if let Event::Watch { arrived, .. } = &event { *arrived } else { None };
            let now = self.clock.now();
            self.engine.step(now, event, &mut effects);
            let end = self.clock.instant();
            self.metrics.observe_step(end.since(now.instant));
            if let Some(arrived) = arrived {
                self.metrics.observe_watch_lag(end.since(arrived));
            }
        }
        effects
    }

    /// Writes what is to be written, first, and then has the rest performed.
    async fn perform(&mut self, effects: Vec<Effect>, watches: &mut Watches) {
        let mut ops = Vec::new();
        let mut others = Vec::new();
        let mut must_precede = false;
        for effect in effects {
            match effect {
                Effect::Store { op, before_next } => {
                    must_precede |= before_next;
                    ops.push(op);
                }
                other => others.push(other),
            }
        }
        if let Some(journal) = &mut self.journal
            && !ops.is_empty()
            && !journal.write(ops, must_precede).await
        {
            // `failed` of the journal has told the engine and the health check; what is under way goes on, for the
            // cluster is the truth and the store its cache.
            tracing::debug!("a transaction of the store failed");
        }
        for effect in others {
            self.executor.perform(effect, watches);
        }
    }

    /// Publishes what changed.
    fn publish(&mut self) {
        let changed: BTreeSet<_> = self.engine.take_changed();
        let last = self.view.borrow().clone();
        let view = self.engine.view(&last, &changed);
        self.view.send_replace(Arc::new(view));
    }
}
