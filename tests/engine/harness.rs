//! One replica in the world of the models, for tests of single rules: time stands still until a test lets it pass, and
//! requests are answered one by one in the order in which they were asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use driftless::engine::application::{ApplicationSpec, ObservedApplication};
use driftless::engine::effect::{Apply, Delete, Effect, Purpose, WriteApplication};
use driftless::engine::event::{Event, RequestErrorReason};
use driftless::engine::ids::{AppKey, Gvk, ObjectKey, Revision};
use driftless::engine::settings::EngineSettings;

use super::model::applications::{NAMESPACE, automated, spec};
use super::model::cluster::{INSTALLATION, Stored, error};
use super::model::git::{Content, Folder};
use super::model::replica::Request;
use super::model::world::{World, failed_answer};

/// Events after which a test that waits for silence gives up.
const PATIENCE: usize = 10_000;

/// The world, and its one replica.
pub(crate) struct Rig {
    pub(crate) world: World,
}

/// The key of an application in the control namespace.
pub(crate) fn app(name: &str) -> AppKey {
    AppKey::new("argocd", name)
}

/// The key of a ConfigMap in the applications' namespace.
pub(crate) fn config_map(name: &str) -> ObjectKey {
    ObjectKey::new("", "ConfigMap", NAMESPACE, name)
}

/// The key of a Deployment in the applications' namespace.
pub(crate) fn deployment(name: &str) -> ObjectKey {
    ObjectKey::new("apps", "Deployment", NAMESPACE, name)
}

impl Rig {
    /// A rig whose replica leads, with the settings of an agent.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same with other settings.
    pub(crate) fn with(change: impl FnOnce(&mut EngineSettings)) -> Self {
        let mut settings = EngineSettings { instance: INSTALLATION.into(), ..EngineSettings::default() };
        change(&mut settings);
        let mut rig = Self { world: World::new(1, settings) };
        rig.world.elect(Some(0));
        rig
    }

    /// A rig with one automated, pruning and healing application `a` of these ConfigMaps, in sync.
    pub(crate) fn synced(maps: &[&str]) -> Self {
        let mut rig = Self::new();
        rig.commit("a", maps);
        rig.application("a");
        rig.run();
        assert_eq!(rig.status("a"), "Synced");
        rig.effects();
        rig
    }

    /// Makes an application with automated sync, prune and healing.
    pub(crate) fn application(&mut self, name: &str) {
        self.world.applications.create(name, spec(name, Some(automated())));
    }

    /// Changes an Application, as a person would.
    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut ObservedApplication)) {
        self.world.applications.change(&app(name), change);
    }

    /// Changes its spec.
    pub(crate) fn respec(&mut self, name: &str, change: impl FnOnce(&mut ApplicationSpec)) {
        self.change(name, |app| change(app.spec.as_mut().unwrap()));
    }

    /// Commits: the folder `path` holds these ConfigMaps, each `name` or `name=text`; other folders stay.
    pub(crate) fn commit(&mut self, path: &str, maps: &[&str]) -> Revision {
        let manifests = maps.iter().map(|map| {
            let (name, text) = map.split_once('=').unwrap_or((map, "1"));
            (config_map(name), Content::from(text))
        });
        self.commit_folder(path, Folder::Manifests(manifests.collect()))
    }

    /// Commits any objects.
    pub(crate) fn commit_objects(&mut self, path: &str, keys: &[ObjectKey]) -> Revision {
        let manifests: BTreeMap<_, _> = keys.iter().map(|key| (key.clone(), Content::from("1"))).collect();
        self.commit_folder(path, Folder::Manifests(manifests))
    }

    /// Commits a folder.
    pub(crate) fn commit_folder(&mut self, path: &str, folder: Folder) -> Revision {
        let git = &mut self.world.git;
        let mut commit = git.main.as_ref().and_then(|main| git.commits.get(main)).cloned().unwrap_or_default();
        commit.insert(path.into(), folder);
        git.commit(commit)
    }

    /// Whether there was anything to do: a delivery, or a request that could be answered.
    pub(crate) fn turn(&mut self) -> bool {
        if let Some(leadership) = self.world.replicas[0].leadership.take() {
            self.world.step(0, Event::Leadership(leadership));
        } else if let Some(event) = self.world.application_news(0).into_iter().next() {
            self.world.show_application(0, event);
        } else if !self.world.replicas[0].answers.is_empty() {
            let event = self.world.replicas[0].answers.remove(0);
            self.world.step(0, event);
        } else if !self.world.replicas[0].requests.is_empty() {
            let request = self.world.replicas[0].requests.remove(0);
            self.world.execute(0, &request, None);
        } else {
            return self.deliver_watches();
        }
        true
    }

    fn deliver_watches(&mut self) -> bool {
        let watches: Vec<Gvk> = self.world.replicas[0].watches.keys().cloned().collect();
        for watch in watches {
            let client = self.world.replicas[0].watches.get_mut(&watch).unwrap();
            if client.fetch(&watch, &self.world.cluster) {
                self.world.deliver_watch(0, &watch);
                return true;
            }
        }
        false
    }

    /// Answers everything until only time could bring something new, and then what is due within a minute (a status that
    /// is gathered, a retry).
    pub(crate) fn run(&mut self) {
        self.pass(Duration::from_secs(60));
    }

    /// Answers everything until nothing is left to do at this moment.
    pub(crate) fn run_now(&mut self) {
        for _ in 0..PATIENCE {
            if !self.turn() {
                return;
            }
        }
        panic!("it never falls silent");
    }

    /// Lets time pass, and answers everything that comes up meanwhile.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.world.now + time;
        for _ in 0..PATIENCE {
            self.run_now();
            let now = self.world.clock().instant;
            let due = self.world.replicas[0].engine.next_wake().map(|at| self.world.now + at.since(now));
            match due.filter(|due| *due <= end) {
                Some(due) => self.world.now = due,
                None => {
                    self.world.now = end;
                    return;
                }
            }
            self.world.step(0, Event::Tick);
        }
        panic!("it never falls silent");
    }

    /// Lets the next poll of the repository come.
    pub(crate) fn poll(&mut self) {
        self.pass(Duration::from_secs(200));
    }

    /// Takes a step without answering anything.
    pub(crate) fn step(&mut self, event: Event) -> Vec<Effect> {
        self.world.step(0, event)
    }

    /// What was asked for since the last call.
    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.world.replicas[0].effects)
    }

    /// Requests that wait for an answer.
    pub(crate) fn requests(&self) -> &[Request] {
        &self.world.replicas[0].requests
    }

    /// Takes the first request that fits out of the way: it gets no answer unless the test gives one.
    pub(crate) fn hold(&mut self, which: impl Fn(&Effect) -> bool) -> Option<Request> {
        let index = self.world.replicas[0].requests.iter().position(|request| which(&request.effect))?;
        Some(self.world.replicas[0].requests.remove(index))
    }

    /// Runs, as [`Rig::run_now`], until there is such a request, and takes it.
    pub(crate) fn run_until(&mut self, which: impl Fn(&Effect) -> bool) -> Request {
        for _ in 0..PATIENCE {
            if let Some(request) = self.hold(&which) {
                return request;
            }
            if !self.turn() {
                let now = self.world.clock().instant;
                let next = self.world.replicas[0].engine.next_wake().expect("nothing is due");
                self.world.now += next.since(now);
                self.world.step(0, Event::Tick);
            }
        }
        panic!("it was never asked for");
    }

    /// Carries a held request out, and delivers its answer.
    pub(crate) fn answer(&mut self, request: &Request) {
        self.world.execute(0, request, None);
        let event = self.world.replicas[0].answers.pop().unwrap();
        self.world.step(0, event);
    }

    /// Has a held request fail.
    pub(crate) fn refuse(&mut self, request: &Request, reason: RequestErrorReason) {
        let event = failed_answer(&request.effect, error(reason), &self.world);
        self.world.step(0, event);
    }

    /// `status.sync.status` of an application.
    pub(crate) fn status(&self, name: &str) -> &str {
        &self.world.application(name).status.sync.status
    }

    /// Phase of its operation; empty if there is none.
    pub(crate) fn phase(&self, name: &str) -> &str {
        self.world.application(name).status.operation_state.as_ref().map_or("", |state| &state.phase)
    }

    /// Message of a condition of this type; empty if there is none.
    pub(crate) fn condition(&self, name: &str, kind: &str) -> &str {
        let conditions = &self.world.application(name).status.conditions;
        conditions.iter().find(|condition| condition.kind == kind).map_or("", |condition| &condition.message)
    }

    /// Whether an object is in the cluster, and not on its way out.
    pub(crate) fn is_live(&self, name: &str) -> bool {
        self.object(&config_map(name)).is_some_and(|object| !object.deleting)
    }

    pub(crate) fn object(&self, key: &ObjectKey) -> Option<&Stored> {
        self.world.cluster.objects.get(key)
    }

    /// Whether it is as the newest commit wants it.
    pub(crate) fn is_desired(&mut self, name: &str, key: &ObjectKey) -> bool {
        let revision = self.world.git.main.clone().unwrap();
        let set = self.world.git.desired(&revision, &app(name), name).unwrap();
        let hash = set.objects.iter().find(|object| object.key == *key).map(|object| object.hash);
        hash.is_some_and(|hash| self.object(key).is_some_and(|object| object.is(hash)))
    }

    /// Reasons of the notices so far.
    pub(crate) fn notices(&self) -> Vec<&'static str> {
        self.world.replicas[0].notices.iter().map(|notice| notice.reason).collect()
    }

    /// What is on disk when everything that was gathered is.
    pub(crate) fn store(&mut self) -> &super::model::store::ModelStore {
        self.world.replicas[0].store.flush();
        &self.world.replicas[0].store
    }

    /// Kills the replica, and starts it again from what was on disk, or from nothing; it is elected anew.
    pub(crate) fn restart(&mut self, keep_store: bool) {
        self.world.replicas[0].store.flush();
        self.world.restart(0, keep_store);
        self.world.elect(Some(0));
    }
}

/// Applies among effects.
pub(crate) fn applies(effects: &[Effect]) -> Vec<&Apply> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Apply(apply) if apply.purpose != Purpose::Compare => Some(&**apply),
            _ => None,
        })
        .collect()
}

/// Names of the objects that are applied among effects.
pub(crate) fn applied(effects: &[Effect]) -> Vec<&str> {
    applies(effects).into_iter().map(|apply| &*apply.key.name).collect()
}

/// Deletes among effects.
pub(crate) fn deletes(effects: &[Effect]) -> Vec<&Delete> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Delete(delete) = effect { Some(&**delete) } else { None })
        .collect()
}

/// Status writes among effects.
pub(crate) fn writes(effects: &[Effect]) -> Vec<&WriteApplication> {
    fn write(effect: &Effect) -> Option<&WriteApplication> {
        if let Effect::WriteApplication(write) = effect { Some(write) } else { None }
    }
    effects.iter().filter_map(write).collect()
}
