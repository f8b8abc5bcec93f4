//! Everything together: replicas, and what answers them.

use std::time::Duration;

use driftless::engine::effect::{Apply, Effect, Purpose, Trace};
use driftless::engine::event::{
    ApplyOutcome, DeleteOutcome, Event, Inspection, Leadership, RenderFailure, RenderFailureReason, RequestError,
    RequestErrorReason, SourceError, Sweep,
};
use driftless::engine::ids::{AppKey, Epoch, Gvk, ObjectKey};
use driftless::engine::live::{Blame, LiveObject};
use driftless::engine::revision::Ancestry;
use driftless::engine::settings::EngineSettings;
use driftless::engine::time::{Instant, Now, Timestamp};

use super::applications::Applications;
use super::cluster::{Cluster, covers, error};
use super::git::Git;
use super::replica::{Replica, Request, is_write};
use super::store::ModelStore;

/// How a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It never arrives.
    NotSent,
    /// It is carried out, and the answer is lost.
    AnswerLost,
}

/// The replicas and their surroundings.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) cluster: Cluster,
    pub(crate) git: Git,
    pub(crate) applications: Applications,
    /// Who holds the Lease.
    pub(crate) holder: Option<usize>,
    pub(crate) epoch: i32,
    pub(crate) settings: EngineSettings,
    pub(crate) replicas: Vec<Replica>,
}

impl World {
    /// A world with `replicas` replicas whose stores are new.
    pub(crate) fn new(replicas: usize, settings: EngineSettings) -> Self {
        let mut world = Self {
            now: Duration::from_secs(1),
            cluster: Cluster::new(),
            git: Git::default(),
            applications: Applications::default(),
            holder: None,
            epoch: 0,
            settings,
            replicas: Vec::new(),
        };
        let now = world.clock();
        let start = |_| Replica::start(world.settings.clone(), ModelStore::default(), now);
        world.replicas = (0..replicas).map(start).collect();
        world
    }

    pub(crate) fn clock(&self) -> Now {
        Now { instant: Instant::from_origin(self.now), wall: Timestamp(1_790_000_000 + self.now.as_secs() as i64) }
    }

    /// Hands an event to a replica.
    pub(crate) fn step(&mut self, replica: usize, event: Event) -> Vec<Effect> {
        let now = self.clock();
        self.replicas[replica].step(now, event)
    }

    /// Gives the Lease to a replica, or to nobody. The news are on their way.
    pub(crate) fn elect(&mut self, holder: Option<usize>) {
        if let Some(old) = self.holder.take() {
            self.replicas[old].leadership = Some(Leadership::Standby);
        }
        if let Some(new) = holder {
            self.epoch += 1;
            self.holder = holder;
            let epoch = Epoch(self.epoch);
            self.replicas[new].leadership = Some(Leadership::Leader { epoch, lease_uid: "lease".into() });
        }
    }

    /// Kills a replica and starts it again from what is on disk.
    pub(crate) fn restart(&mut self, replica: usize, keep_store: bool) {
        if self.holder == Some(replica) {
            self.holder = None;
        }
        let mut store = std::mem::take(&mut self.replicas[replica].store);
        if keep_store {
            store.crash();
        } else {
            store = ModelStore::default();
        }
        self.replicas[replica] = Replica::start(self.settings.clone(), store, self.clock());
    }

    /// What the watch of Applications has to tell a replica next.
    pub(crate) fn application_news(&self, replica: usize) -> Vec<Event> {
        let shown = &self.replicas[replica].shown;
        let gone = shown.keys().filter(|key| !self.applications.all.contains_key(*key));
        let mut news: Vec<Event> = gone.map(|key| Event::ApplicationGone(key.clone())).collect();
        for (key, app) in &self.applications.all {
            if shown.get(key) != Some(&app.resource_version) {
                news.push(Event::Application(Box::new(app.clone())));
            }
        }
        if news.is_empty() && !self.replicas[replica].listed {
            news.push(Event::ApplicationsListed(self.applications.keys().into_iter().collect()));
        }
        news
    }

    /// Delivers one of the news of [`World::application_news`].
    pub(crate) fn show_application(&mut self, replica: usize, event: Event) -> Vec<Effect> {
        match &event {
            Event::Application(app) => {
                self.replicas[replica].shown.insert(app.key.clone(), app.resource_version);
            }
            Event::ApplicationGone(key) => drop(self.replicas[replica].shown.remove(key)),
            Event::ApplicationsListed(_) => self.replicas[replica].listed = true,
            _ => {}
        }
        self.step(replica, event)
    }

    /// Whether the API servers' client lets this write out.
    pub(crate) fn fence(&self, replica: usize, effect: &Effect) -> bool {
        let epoch = match effect {
            Effect::Apply(apply) => apply.epoch,
            Effect::Delete(delete) => Some(delete.epoch),
            Effect::EnsureNamespace { epoch, .. } => Some(*epoch),
            Effect::WriteApplication(write) => Some(write.epoch),
            _ => None,
        };
        !is_write(effect) || (self.holder == Some(replica) && epoch == Some(Epoch(self.epoch)))
    }

    /// Carries a request out and puts its answer on the way.
    pub(crate) fn execute(&mut self, replica: usize, request: &Request, fault: Option<Fault>) {
        let fenced = !request.sent && !self.fence(replica, &request.effect);
        let answer = if fenced { Some(fenced_answer(&request.effect)) } else { self.answer(&request.effect, fault) };
        self.replicas[replica].answers.extend(answer);
    }

    fn answer(&mut self, effect: &Effect, fault: Option<Fault>) -> Option<Event> {
        let lost = || error(RequestErrorReason::Transient { retry_after: None });
        if fault == Some(Fault::NotSent) {
            return Some(failed_answer(effect, lost(), self));
        }
        let event = self.carry_out(effect)?;
        Some(if fault == Some(Fault::AnswerLost) { failed_answer(effect, lost(), self) } else { event })
    }

    fn carry_out(&mut self, effect: &Effect) -> Option<Event> {
        Some(match effect {
            Effect::ListRefs { repo, .. } => {
                let down = self.git.down;
                let result = if down { Err(SourceError { message: "no route".into() }) } else { Ok(self.git.refs()) };
                Event::Refs { repo: repo.clone(), result: result.map(Into::into) }
            }
            Effect::Render(job) => {
                let result = self.git.render(job, &self.cluster);
                Event::Rendered { app: job.app.clone(), request: job.request, result }
            }
            Effect::Trace(trace) => {
                let known = || self.git.ancestry(&trace.since, &trace.revision, self.git.depth);
                let result = if self.git.down { Err(SourceError { message: "no route".into() }) } else { Ok(known()) };
                traced(trace, result)
            }
            Effect::Discover => Event::Discovered { kinds: self.cluster.kinds() },
            Effect::Apply(apply) => {
                let outcome = self.apply(apply);
                Event::Applied { key: apply.key.clone(), desired: apply.manifest.hash, outcome }
            }
            Effect::Delete(delete) => {
                let outcome = self.cluster.delete_exactly(&delete.key, &delete.uid, delete.resource_version);
                Event::Deleted { key: delete.key.clone(), outcome }
            }
            Effect::Look { key, version } => {
                let result = if self.cluster.serves(key) {
                    Ok(self.cluster.look(key, version))
                } else {
                    Err(error(RequestErrorReason::UnknownKind))
                };
                Event::Looked { key: key.clone(), result }
            }
            Effect::Inspect { manifest, key, resource_version, managed_fields } => {
                let covered = covers(manifest.hash, managed_fields);
                let result = Ok(Inspection { covered, blame: blame(covered) });
                let (desired, resource_version) = (manifest.hash, *resource_version);
                Event::Inspected { key: key.clone(), desired, resource_version, result }
            }
            Effect::EnsureNamespace { app, namespace, .. } => {
                self.cluster.create(&ObjectKey::new("", "Namespace", "", namespace.clone()));
                Event::NamespaceEnsured { app: app.clone(), result: Ok(()) }
            }
            Effect::WriteApplication(write) => {
                let result = self.applications.write(write);
                Event::ApplicationWritten { app: write.app.clone(), request: write.request, result }
            }
            Effect::Sweep => {
                let metadata = |live: LiveObject| LiveObject { managed_fields: None, health: None, ..live };
                let found = self.cluster.labelled().map(|object| metadata(object.live("v1"))).collect();
                Event::Swept { result: Ok(Sweep { found, forbidden: Vec::new() }) }
            }
            Effect::Store { .. } | Effect::Watch { .. } | Effect::Unwatch { .. } | Effect::Notify(_) => return None,
        })
    }

    fn apply(&mut self, apply: &Apply) -> ApplyOutcome {
        let Some(body) = self.git.bodies.get(&apply.manifest.hash).cloned() else {
            return ApplyOutcome::Failed(error(RequestErrorReason::Transient { retry_after: None }));
        };
        let hash = apply.manifest.hash;
        let live = self.cluster.objects.get(&apply.key);
        match &apply.purpose {
            Purpose::Compare => {
                let equal = live.is_some_and(|live| live.is(hash));
                ApplyOutcome::Compared { live: self.cluster.look(&apply.key, &apply.version), equal }
            }
            Purpose::Heal { managed_fields: Some(before) } if covers(hash, before) => match live {
                Some(live) if live.is(hash) => {
                    ApplyOutcome::Compared { live: Some(Box::new(live.live(&apply.version))), equal: true }
                }
                _ => self.cluster.conflict(&apply.key, &apply.version),
            },
            _ => self.cluster.apply(&body, hash, &apply.version, &apply.precondition),
        }
    }

    /// Delivers the next event of a watch, if there is one.
    pub(crate) fn deliver_watch(&mut self, replica: usize, watch: &Gvk) -> Vec<Effect> {
        let Some(client) = self.replicas[replica].watches.get_mut(watch) else { return Vec::new() };
        client.fetch(watch, &self.cluster);
        let Some((at, event)) = client.queue.pop_front() else { return Vec::new() };
        client.position = at.or(client.position);
        self.step(replica, Event::Watch { watch: watch.clone(), event, arrived: None })
    }

    /// The Application as it is now.
    pub(crate) fn application(&self, name: &str) -> &driftless::engine::application::ObservedApplication {
        &self.applications.all[&AppKey::new("argocd", name)]
    }
}

fn blame(covered: bool) -> Vec<Blame> {
    let editor = Blame {
        manager: Some("kubectl-edit".into()),
        operation: "Update".into(),
        time: None,
        paths: vec![".data".into()],
    };
    if covered { Vec::new() } else { vec![editor] }
}

fn traced(trace: &Trace, result: Result<Ancestry, SourceError>) -> Event {
    let Trace { app, since, revision, .. } = trace.clone();
    Event::Traced { app, since, revision, result }
}

fn fenced_answer(effect: &Effect) -> Event {
    let error = error(RequestErrorReason::Transient { retry_after: None });
    match effect {
        Effect::Apply(apply) => {
            Event::Applied { key: apply.key.clone(), desired: apply.manifest.hash, outcome: ApplyOutcome::Fenced }
        }
        Effect::Delete(delete) => Event::Deleted { key: delete.key.clone(), outcome: DeleteOutcome::Fenced },
        Effect::EnsureNamespace { app, .. } => Event::NamespaceEnsured { app: app.clone(), result: Err(error) },
        Effect::WriteApplication(write) => {
            Event::ApplicationWritten { app: write.app.clone(), request: write.request, result: Err(error) }
        }
        _ => Event::Tick,
    }
}

/// The answer to a request that failed.
pub(crate) fn failed_answer(effect: &Effect, error: RequestError, world: &World) -> Event {
    match effect {
        Effect::ListRefs { repo, .. } => {
            Event::Refs { repo: repo.clone(), result: Err(SourceError { message: error.message }) }
        }
        Effect::Render(job) => {
            let failure = RenderFailure { reason: RenderFailureReason::Source, message: error.message };
            Event::Rendered { app: job.app.clone(), request: job.request, result: Err(failure) }
        }
        Effect::Apply(apply) => {
            let outcome = ApplyOutcome::Failed(error);
            Event::Applied { key: apply.key.clone(), desired: apply.manifest.hash, outcome }
        }
        Effect::Delete(delete) => Event::Deleted { key: delete.key.clone(), outcome: DeleteOutcome::Failed(error) },
        Effect::Look { key, .. } => Event::Looked { key: key.clone(), result: Err(error) },
        Effect::Inspect { manifest, key, resource_version, .. } => Event::Inspected {
            key: key.clone(),
            desired: manifest.hash,
            resource_version: *resource_version,
            result: Err(error),
        },
        Effect::EnsureNamespace { app, .. } => Event::NamespaceEnsured { app: app.clone(), result: Err(error) },
        Effect::WriteApplication(write) => {
            Event::ApplicationWritten { app: write.app.clone(), request: write.request, result: Err(error) }
        }
        Effect::Trace(trace) => traced(trace, Err(SourceError { message: error.message })),
        Effect::Sweep => Event::Swept { result: Err(error) },
        Effect::Discover => Event::Discovered { kinds: world.cluster.kinds() },
        Effect::Store { .. } | Effect::Watch { .. } | Effect::Unwatch { .. } | Effect::Notify(_) => Event::Tick,
    }
}
