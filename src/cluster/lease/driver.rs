//! The task of an election: hands inputs to the state machine one by one, and performs its requests.

use std::future::{Future, pending};
use std::pin::{Pin, pin};

use tokio::sync::{mpsc, watch};

use super::LeaseState;
use super::object::LeaseObject;
use super::watcher::{self, Shown};
use crate::cluster::clock::Read;
use crate::cluster::fence::InFlight;
use crate::engine::lease::{Election, LeaseError, LeaseRecord, Request, Role, Step};
use crate::engine::time::Instant;

/// How many shown states wait to be taken in.
const SHOWN: usize = 16;

pub(super) struct Driver {
    pub(super) machine: Election,
    pub(super) lease: LeaseObject,
    pub(super) clock: Read<Instant>,
    pub(super) in_flight: InFlight,
    pub(super) state: watch::Sender<LeaseState>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// Answer to a request.
enum Answer {
    Read(Result<Option<LeaseRecord>, LeaseError>),
    Written(Result<LeaseRecord, LeaseError>),
}

/// What happens next.
enum Input {
    Answer(Answer),
    Shown(Shown),
    Stop,
    Drained,
    Wake,
}

impl Driver {
    pub(super) async fn run(self) {
        let Self { mut machine, lease, clock, in_flight, state, stopped } = self;
        let lease = &lease;
        let (shown_to, mut shown) = mpsc::channel(SHOWN);
        let mut watching = pin!(watcher::watch(lease, shown_to));
        let mut stop = pin!(asked_to_stop(stopped));
        let mut stopping = false;
        let mut request: Option<Pin<Box<dyn Future<Output = Answer> + Send + '_>>> = None;
        let mut step = machine.tick(clock());
        loop {
            publish(&state, &machine);
            if machine.role() == Role::Released {
                return;
            }
            if let Some(next) = step.request.take() {
                request = Some(Box::pin(perform(lease, next)));
            }
            let input = tokio::select! {
                // An answer first: it may be a renewal, and what a watch shows of it is old news.
                biased;
                answer = answered(&mut request) => {
                    request = None;
                    Input::Answer(answer)
                }
                () = &mut stop, if !stopping => Input::Stop,
                () = in_flight.idle(), if matches!(machine.role(), Role::Draining { .. }) => Input::Drained,
                Some(lease) = shown.recv() => Input::Shown(lease),
                () = wake(&clock, step.wake) => Input::Wake,
                never = &mut watching => match never {},
            };
            stopping |= matches!(input, Input::Stop);
            if let Some(next) = take_in(&mut machine, lease, &clock, &in_flight, input) {
                step = next;
            }
        }
    }
}

/// Hands one input to the state machine. `None` if it was nothing to it.
fn take_in(
    machine: &mut Election,
    lease: &LeaseObject,
    clock: &Read<Instant>,
    in_flight: &InFlight,
    input: Input,
) -> Option<Step> {
    // The clock is read after the raw object is kept: both are of one moment.
    Some(match input {
        Input::Answer(Answer::Read(result)) => machine.read(clock(), result),
        Input::Answer(Answer::Written(result)) => machine.written(clock(), result),
        Input::Shown(Some(shown)) => {
            let record = lease.observe(shown)?;
            machine.watched(clock(), Some(record))
        }
        Input::Shown(None) => machine.watched(clock(), None),
        Input::Stop => machine.shut_down(clock(), !in_flight.is_idle()),
        Input::Drained => machine.drained(clock()),
        Input::Wake => machine.tick(clock()),
    })
}

async fn perform(lease: &LeaseObject, request: Request) -> Answer {
    match request {
        Request::Get => Answer::Read(lease.read().await),
        Request::Create(record) => Answer::Written(lease.create(&record).await),
        Request::Update(record) => Answer::Written(lease.update(&record).await),
    }
}

async fn answered(request: &mut Option<Pin<Box<dyn Future<Output = Answer> + Send + '_>>>) -> Answer {
    match request {
        Some(request) => request.await,
        None => pending().await,
    }
}

async fn wake(clock: &Read<Instant>, at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep(at.since(clock())).await,
        None => pending().await,
    }
}

/// Ends when a stop is asked for. Handles that are all gone ask for none.
async fn asked_to_stop(mut stopped: watch::Receiver<bool>) {
    if stopped.wait_for(|stopped| *stopped).await.is_err() {
        pending::<()>().await;
    }
}

fn publish(state: &watch::Sender<LeaseState>, machine: &Election) {
    let now = LeaseState::of(machine);
    state.send_if_modified(|published| {
        let changed = *published != now;
        if changed {
            *published = now;
        }
        changed
    });
}
