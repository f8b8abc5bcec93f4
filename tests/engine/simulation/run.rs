//! One history: what happens next is drawn from the seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use driftless::engine::application::{
    ALLOW_PRUNE, ObservedApplication, Operation, REFRESH, RESOURCES_FINALIZER, SyncOperation,
};
use driftless::engine::effect::Effect;
use driftless::engine::event::Event;
use driftless::engine::hash::Hash;
use driftless::engine::health::HealthCode;
use driftless::engine::ids::{AppKey, Gvk, ObjectKey};
use driftless::engine::settings::EngineSettings;

use crate::engine::model::applications::{NAMESPACE, automated, spec};
use crate::engine::model::git::{Commit, Content, Folder};
use crate::engine::model::replica::{Request, is_write};
use crate::engine::model::world::{Fault, World};

/// Events of a history before the faults stop.
const STORM: u64 = 400;
/// Events after which it must have settled.
const PATIENCE: u64 = 4_000;
/// Lines of the trace that a failure shows.
const TAIL: usize = 60;

pub(crate) const APPS: [&str; 3] = ["a", "b", "c"];

/// Numbers drawn from a seed (SplitMix64).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// Whether something that happens once in `n` times happens.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A history under way.
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) world: World,
    pub(crate) random: Random,
    pub(crate) steps: u64,
    pub(crate) writes: u64,
    pub(crate) deletes: u64,
    pub(crate) trace: Hash,
    pub(crate) calm: bool,
    /// Applications that were deleted without the finalizer: what they leave behind is nobody's.
    pub(crate) abandoned_apps: BTreeSet<String>,
    /// An Application was deleted: what it shared or inherited may stay with nobody.
    pub(crate) abandoned: bool,
    tail: VecDeque<String>,
    loud: bool,
}

impl Run {
    pub(crate) fn new(seed: u64, loud: bool) -> Self {
        let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x1234_5678);
        let settings = EngineSettings {
            instance: crate::engine::model::cluster::INSTALLATION.into(),
            apply_concurrency: 1 + random.below(3),
            render_concurrency: 1 + random.below(2),
            prune_share_minimum: 1000,
            ..EngineSettings::default()
        };
        let world = World::new(1 + random.below(2), settings);
        let mut run = Self {
            seed,
            world,
            random,
            steps: 0,
            writes: 0,
            deletes: 0,
            trace: Hash::of(b""),
            calm: false,
            abandoned_apps: BTreeSet::new(),
            abandoned: false,
            tail: VecDeque::new(),
            loud,
        };
        for name in APPS {
            run.world.applications.create(name, spec(name, Some(automated())));
        }
        run.commit();
        run.world.elect(Some(0));
        run
    }

    /// The storm, then the calm, then silence.
    pub(crate) fn play(mut self) -> Self {
        for _ in 0..STORM {
            self.turn();
        }
        self.calm_down();
        let limit = self.steps + PATIENCE;
        // Every replica, the standby too, has listed the repository by then.
        let earliest = self.world.now + Duration::from_secs(400);
        let mut why = None;
        loop {
            if !self.work() {
                self.let_prunes_through();
                why = self.unsettled();
                if self.world.now > earliest && why.is_none() {
                    break;
                }
                self.pass_time();
            }
            if self.steps > limit {
                let why = why.unwrap_or_else(|| "it never falls silent".into());
                self.fail(&format!("not settled after {PATIENCE} events: {why}"));
            }
        }
        self.stay_silent();
        self
    }

    /// A line of the trace.
    pub(crate) fn log(&mut self, line: String) {
        self.trace = Hash::of(format!("{}{line}", self.trace).as_bytes());
        if self.loud {
            println!("{} {line}", self.steps);
        }
        self.tail.push_back(line);
        if self.tail.len() > TAIL {
            self.tail.pop_front();
        }
    }

    pub(crate) fn fail(&self, message: &str) -> ! {
        let tail: Vec<&str> = self.tail.iter().map(String::as_str).collect();
        panic!(
            "seed {}: {message}\n{}\nreplay: DRIFTLESS_SEED={} cargo test histories_end -- --nocapture",
            self.seed,
            tail.join("\n"),
            self.seed
        );
    }

    /// Something happens, if only that time passes.
    pub(crate) fn turn(&mut self) {
        if !self.calm && self.random.one_in(6) {
            self.steps += 1;
            self.interfere();
        } else if !self.work() {
            self.pass_time();
        }
    }

    /// Something of what is under way happens. `false`: there is nothing.
    fn work(&mut self) -> bool {
        self.steps += 1;
        let replica = self.random.below(self.world.replicas.len());
        let first = self.random.below(6);
        for offset in 0..self.world.replicas.len() {
            let replica = (replica + offset) % self.world.replicas.len();
            for way in 0..6 {
                if self.go((first + way) % 6, replica) {
                    return true;
                }
            }
        }
        false
    }

    /// One way for a replica to go on. `false`: there is nothing to do on it.
    fn go(&mut self, way: usize, replica: usize) -> bool {
        match way {
            0 => self.deliver_answer(replica),
            1 => self.execute(replica),
            2 => self.deliver_watch(replica),
            3 => {
                let mut news = self.world.application_news(replica);
                if news.is_empty() {
                    return false;
                }
                let event = news.swap_remove(self.random.below(news.len()));
                self.log(format!("{replica} {}", short(&event)));
                let effects = self.world.show_application(replica, event);
                self.emitted(replica, &effects);
                true
            }
            4 => match self.world.replicas[replica].leadership.take() {
                Some(leadership) => {
                    self.step(replica, Event::Leadership(leadership));
                    true
                }
                None => false,
            },
            _ => {
                if self.world.replicas[replica].store.gathered.is_empty() || !self.random.one_in(3) {
                    return false;
                }
                self.world.replicas[replica].store.flush();
                true
            }
        }
    }

    pub(crate) fn step(&mut self, replica: usize, event: Event) {
        self.log(format!("{replica} {}", short(&event)));
        let effects = self.world.step(replica, event);
        self.emitted(replica, &effects);
    }

    fn emitted(&mut self, replica: usize, effects: &[Effect]) {
        for effect in effects {
            self.log(format!("{replica}   -> {}", short(effect)));
            self.check_effect(replica, effect);
        }
    }

    fn deliver_answer(&mut self, replica: usize) -> bool {
        let count = self.world.replicas[replica].answers.len();
        if count == 0 {
            return false;
        }
        let event = self.world.replicas[replica].answers.remove(self.random.below(count));
        self.step(replica, event);
        true
    }

    fn execute(&mut self, replica: usize) -> bool {
        let count = self.world.replicas[replica].requests.len();
        if count == 0 {
            return false;
        }
        let index = self.random.below(count);
        let effect = self.world.replicas[replica].requests[index].effect.clone();
        if !self.world.replicas[replica].requests[index].sent
            && self.random.one_in(3)
            && self.world.fence(replica, &effect)
        {
            self.world.replicas[replica].requests[index].sent = true;
            return true;
        }
        let request = self.world.replicas[replica].requests.remove(index);
        let fault = match self.random.below(if self.calm { 1 } else { 20 }) {
            1 => Some(Fault::NotSent),
            2 => Some(Fault::AnswerLost),
            _ => None,
        };
        self.log(format!("{replica} server {} {fault:?}", short(&request.effect)));
        self.carry_out(replica, &request, fault);
        true
    }

    fn carry_out(&mut self, replica: usize, request: &Request, fault: Option<Fault>) {
        let writes = is_write(&request.effect) && (request.sent || self.world.fence(replica, &request.effect));
        self.writes += u64::from(writes);
        let before = match &request.effect {
            Effect::Delete(delete) => self.world.cluster.objects.get(&delete.key).cloned(),
            _ => None,
        };
        self.world.execute(replica, request, fault);
        if let (Effect::Delete(delete), Some(before)) = (&request.effect, before) {
            let after = self.world.cluster.objects.get(&delete.key);
            if after.is_none_or(|after| after.deleting && !before.deleting) {
                self.deletes += 1;
                self.check_deleted(delete, &before);
            }
        }
    }

    fn deliver_watch(&mut self, replica: usize) -> bool {
        let watches: Vec<Gvk> = self.world.replicas[replica].watches.keys().cloned().collect();
        if watches.is_empty() {
            return false;
        }
        let first = self.random.below(watches.len());
        for offset in 0..watches.len() {
            let watch = &watches[(first + offset) % watches.len()];
            let Some(client) = self.world.replicas[replica].watches.get_mut(watch) else { continue };
            if !client.fetch(watch, &self.world.cluster) {
                continue;
            }
            let text = short(&client.queue.front());
            self.log(format!("{replica} watch {watch}: {text}"));
            let effects = self.world.deliver_watch(replica, watch);
            self.emitted(replica, &effects);
            return true;
        }
        false
    }

    /// Nothing is left to do: time passes until something is due.
    fn pass_time(&mut self) {
        let now = self.world.clock().instant;
        let next = self.world.replicas.iter().filter_map(|replica| replica.engine.next_wake()).min();
        let wait = next.map_or(Duration::from_secs(60), |at| at.since(now)).max(Duration::from_millis(1));
        self.let_pass(wait);
    }

    fn let_pass(&mut self, time: Duration) {
        self.world.now += time;
        self.log(format!("{} ms pass", time.as_millis()));
        let now = self.world.clock().instant;
        for replica in 0..self.world.replicas.len() {
            if self.world.replicas[replica].engine.next_wake().is_some_and(|at| at <= now) {
                self.step(replica, Event::Tick);
            }
        }
    }

    /// Somebody or something interferes.
    fn interfere(&mut self) {
        let kind = self.random.below(16);
        self.log(format!("interference {kind}"));
        match kind {
            0..=3 => self.person(),
            4 => self.commit(),
            5 => {
                // Force-pushed back to an older commit.
                let older: Vec<_> = self.world.git.commits.keys().cloned().collect();
                self.world.git.main = Some(older[self.random.below(older.len())].clone());
            }
            6 => self.world.git.down = self.random.one_in(2),
            7 => {
                let holder = self.random.below(self.world.replicas.len() + 1);
                self.world.elect((holder < self.world.replicas.len()).then_some(holder));
            }
            8 => {
                let replica = self.random.below(self.world.replicas.len());
                let keep = !self.random.one_in(4);
                self.log(format!("{replica} restarts, store kept: {keep}"));
                self.world.restart(replica, keep);
                self.after_restart(replica);
            }
            9 => {
                self.world.cluster.compacted = self.world.cluster.rv;
                self.cut_watches();
            }
            10 => self.cut_watches(),
            11 => {
                let milliseconds = [10, 500, 5_000, 130_000][self.random.below(4)];
                self.let_pass(Duration::from_millis(milliseconds));
            }
            12 if self.random.one_in(2) => self.let_prunes_through(),
            12 => self.relist_applications(),
            13 => self.application_person(),
            14 => self.repeat(),
            _ => self.kubelet(),
        }
    }

    fn after_restart(&mut self, replica: usize) {
        let effects = std::mem::take(&mut self.world.replicas[replica].effects);
        for effect in &effects {
            if !matches!(effect, Effect::Watch { .. }) {
                self.fail(&format!("a start asks for {}", short(effect)));
            }
        }
    }

    fn relist_applications(&mut self) {
        let replica = self.random.below(self.world.replicas.len());
        self.world.replicas[replica].listed = false;
    }

    fn cut_watches(&mut self) {
        for replica in &mut self.world.replicas {
            replica.watches.values_mut().for_each(|client| client.cut());
        }
    }

    /// A watch tells again what it has told.
    fn repeat(&mut self) {
        let replica = self.random.below(self.world.replicas.len());
        let back = self.random.below(20) as u64;
        for client in self.world.replicas[replica].watches.values_mut() {
            client.cut();
            client.position = client.position.map(|position| position.saturating_sub(back));
        }
    }

    fn some_object(&mut self) -> Option<ObjectKey> {
        let keys: Vec<ObjectKey> = self.world.cluster.objects.keys().cloned().collect();
        (!keys.is_empty()).then(|| keys[self.random.below(keys.len())].clone())
    }

    /// A person at the cluster.
    fn person(&mut self) {
        let Some(key) = self.some_object() else { return };
        let cluster = &mut self.world.cluster;
        let what = self.random.below(9);
        self.tail.push_back(format!("person {what} at {key}"));
        match what {
            0 | 1 => cluster.edit(&key, |_| {}),
            2 | 3 => cluster.delete(&key),
            4 => cluster.edit(&key, |object| object.label = None),
            5 => cluster.edit(&key, |object| object.tracking = None),
            6 => {
                cluster.remove(&key);
                if key.namespace.is_empty()
                    || cluster.objects.contains_key(&ObjectKey::new("", "Namespace", "", key.namespace.clone()))
                {
                    cluster.create(&key);
                }
            }
            7 => cluster.touch(&key, |object| object.finalizer = !object.finalizer),
            _ => cluster.touch(&key, |object| object.salt += 1),
        }
    }

    /// Controllers of the cluster: health, finalizers.
    fn kubelet(&mut self) {
        let Some(key) = self.some_object() else { return };
        let healthy = !self.random.one_in(3);
        self.world.cluster.touch(&key, |object| {
            if &*object.key.kind == "Deployment" {
                object.health = if healthy { HealthCode::Healthy } else { HealthCode::Degraded };
            }
            if object.deleting {
                object.finalizer = false;
            }
        });
    }

    /// A person at an Application.
    fn application_person(&mut self) {
        let name = APPS[self.random.below(APPS.len())];
        let key = AppKey::new("argocd", name);
        if !self.world.applications.all.contains_key(&key) {
            return self.world.applications.create(name, spec(name, Some(automated())));
        }
        let what = self.random.below(8);
        self.log(format!("person {what} at application {name}"));
        self.abandoned |= what >= 6;
        let applications = &mut self.world.applications;
        match what {
            0 => applications.change(&key, |app| drop(app.annotations.insert(REFRESH.into(), "normal".into()))),
            1 => applications.change(&key, |app| drop(app.annotations.insert(REFRESH.into(), "hard".into()))),
            2 => applications.change(&key, |app| {
                let sync = SyncOperation { prune: true, ..SyncOperation::default() };
                app.operation = Some(Ok(Operation { sync: Some(sync), ..Operation::default() }));
            }),
            3 => applications.change(&key, |app| app.spec = Ok(spec(name, None))),
            4 => {
                let only_sync = driftless::engine::application::Automated::default();
                applications.change(&key, |app| app.spec = Ok(spec(name, Some(only_sync))));
            }
            5 => applications.change(&key, |app| app.spec = Ok(spec(name, Some(automated())))),
            6 => {
                applications.delete(&key);
                self.abandoned_apps.insert(name.into());
            }
            _ => {
                applications.change(&key, |app| app.finalizers = vec![RESOURCES_FINALIZER.into()]);
                applications.delete(&key);
            }
        }
    }

    /// A person reads what a condition asks for, and does it.
    fn let_prunes_through(&mut self) {
        let asks = |app: &ObservedApplication| {
            let mut messages = app.status.conditions.iter().map(|condition| &condition.message);
            let (_, asked) = messages.find_map(|message| message.split_once(&format!("{ALLOW_PRUNE}=")))?;
            let revision = asked.split_whitespace().next()?.to_owned();
            (app.annotations.get(ALLOW_PRUNE) != Some(&revision)).then_some((app.key.clone(), revision))
        };
        let asked: Vec<_> = self.world.applications.all.values().filter_map(asks).collect();
        for (key, revision) in asked {
            self.log(format!("person lets {key} prune at {revision}"));
            let allow = |app: &mut ObservedApplication| drop(app.annotations.insert(ALLOW_PRUNE.into(), revision));
            self.world.applications.change(&key, allow);
        }
    }

    /// A commit: folders with some objects each, sometimes broken or empty.
    fn commit(&mut self) {
        let mut commit = Commit::new();
        for name in APPS {
            let odd = self.random.below(if self.calm { 1 } else { 12 });
            let folder = match odd {
                1 => Folder::Broken,
                2 => Folder::Manifests(BTreeMap::new()),
                _ => Folder::Manifests(self.manifests(name)),
            };
            commit.insert(name.into(), folder);
        }
        let revision = self.world.git.commit(commit);
        self.log(format!("commit {}", revision.as_str()));
    }

    fn manifests(&mut self, app: &str) -> BTreeMap<ObjectKey, Content> {
        let mut manifests = BTreeMap::new();
        let own = |group: &str, kind: &str, name: &str| ObjectKey::new(group, kind, NAMESPACE, name);
        let mut keys = vec![own("", "ConfigMap", &format!("{app}-base"))];
        for n in 0..2 {
            keys.push(own("", "ConfigMap", &format!("{app}-{n}")));
            keys.push(own("apps", "Deployment", &format!("{app}-{n}")));
            // Any application may have it, and it moves from one to another.
            keys.push(own("", "ConfigMap", &format!("shared-{n}")));
        }
        if app == "a" && self.random.one_in(2) {
            keys.push(ObjectKey::new("apiextensions.k8s.io", "CustomResourceDefinition", "", "widgets.example.io"));
            keys.push(own("example.io", "Widget", "w"));
        }
        for (index, key) in keys.into_iter().enumerate() {
            let kept = index == 0 || &*key.group == "apiextensions.k8s.io" || self.random.one_in(2);
            if kept {
                let version = (&*key.kind == "Deployment" && self.random.one_in(4)).then(|| "v1beta1".to_owned());
                let text = self.random.below(3).to_string();
                manifests.insert(key, Content { text, version, ..Content::default() });
            }
        }
        manifests
    }

    /// Faults stop: what remains is a last commit, and time.
    fn calm_down(&mut self) {
        self.calm = true;
        self.log("calm".into());
        self.world.git.down = false;
        self.commit();
        for name in APPS {
            let key = AppKey::new("argocd", name);
            if self.world.applications.all.contains_key(&key) {
                self.world.applications.change(&key, |app| app.spec = Ok(spec(name, Some(automated()))));
            } else {
                self.world.applications.create(name, spec(name, Some(automated())));
            }
        }
        let held: Vec<ObjectKey> = self.world.cluster.objects.keys().cloned().collect();
        for key in held {
            self.world.cluster.touch(&key, |object| object.finalizer = false);
            // Tracked by an Application that nobody knows, and without our label: it would be left alone, rightly.
            if self
                .world
                .cluster
                .objects
                .get(&key)
                .is_some_and(|object| object.label.is_none() && object.tracking.is_some())
            {
                self.world.cluster.remove(&key);
            }
        }
        if self.world.holder.is_none() {
            self.world.elect(Some(0));
        }
    }
}

/// A line for people: the head of the debug form.
pub(crate) fn short(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.chars().take(400).collect()
}
