//! A world: one API server, repositories, replicas, and people who change things.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use driftless::cluster::crd::application_crd;
use driftless::render::memory::MemoryTree;
use driftless::sim::apiserver::lifecycle::Controllers;
use driftless::sim::apiserver::{Answer, ApiServer};
use driftless::sim::faults::{Faults, Faulty};
use driftless::sim::shared::Shared;
use http::{Method, Request};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::git::Git;
use super::ledger::{Ledger, Of};
use super::plan::{App, Kind, tree};
use super::replica::{NAMESPACE, Replica, Site};
use super::trace::Trace;

/// When every world begins: 2026-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);
/// Namespaces of applications' objects.
pub(crate) const NAMESPACES: [&str; 2] = ["shop", "blog"];

pub(crate) struct World {
    pub(crate) random: StdRng,
    pub(crate) shared: Shared,
    pub(crate) site: Site,
    pub(crate) ledger: Ledger,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) apps: Vec<App>,
    /// Objects that nobody but their maker may change, by path.
    pub(crate) foreign: Vec<(String, Value)>,
}

impl World {
    /// A world without applications, in which all replicas are off.
    pub(crate) fn new(seed: u64, replicas: usize) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let origin = tokio::time::Instant::now();
        let now = move || {
            let since = jiff::SignedDuration::try_from(EPOCH + origin.elapsed()).unwrap();
            Timestamp::UNIX_EPOCH + since
        };
        let controllers = Controllers { namespaces: true, garbage: true, ..Controllers::default() };
        let server = ApiServer::new(random.random(), controllers, Vec::new(), now());
        let shared = Shared::new(server, Arc::new(now));
        let ledger = Ledger::default();
        let network = Faulty::new(shared.clone(), Faults::new(random.random())).audited(ledger.audit(&shared));
        let site = Site { network, git: Git::default(), trace: Trace::start(), epoch: EPOCH, origin };
        let replicas = ["a", "b", "c"].iter().take(replicas).map(|name| Replica::new(name)).collect();
        let world = Self { random, shared, site, ledger, replicas, apps: Vec::new(), foreign: Vec::new() };
        for namespace in [NAMESPACE, "argocd"].iter().chain(&NAMESPACES) {
            world.make("/api/v1/namespaces", &json!({"metadata": {"name": namespace}}));
        }
        world.make("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &application_crd());
        world
    }

    /// What an administrator asks, whom no fault meets.
    pub(crate) fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = Request::builder().method(method).uri(path).header("content-type", kind).body(body).unwrap();
        match self.shared.with(|server, now| server.handle(&request, now)) {
            Answer::Reply(reply) => (reply.code, serde_json::from_slice(&reply.bytes()).unwrap()),
            Answer::Watch(_) => unreachable!("nobody watches here"),
        }
    }

    pub(crate) fn make(&self, path: &str, object: &Value) {
        let (code, answer) = self.ask(Method::POST, &format!("{path}?fieldManager=person"), Some(object));
        assert_eq!(code, 201, "{path}: {answer}");
    }

    /// An object; `None`: there is none.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        let (code, object) = self.ask(Method::GET, path, None);
        assert!(code == 200 || code == 404, "{path}: {object}");
        (code == 200).then_some(object)
    }

    /// Changes an object if it is there.
    pub(crate) fn edit(&self, path: &str, patch: &Value) {
        self.site.trace.line(format_args!("a person edits {path}: {patch}"));
        let (code, answer) = self.ask(Method::PATCH, &format!("{path}?fieldManager=person"), Some(patch));
        // A webhook may refuse it.
        assert!(matches!(code, 200 | 403 | 404), "{path}: {answer}");
    }

    /// Deletes an object if it is there.
    pub(crate) fn delete(&self, path: &str) {
        self.site.trace.line(format_args!("a person deletes {path}"));
        let (code, answer) = self.ask(Method::DELETE, path, None);
        assert!(code == 200 || code == 404, "{path}: {answer}");
    }

    /// The tree that a repository should have now.
    fn tree(&self, url: &str) -> MemoryTree {
        tree(self.apps.iter().filter(|app| app.url == url))
    }

    /// Commits what the applications of a repository are to be.
    pub(crate) fn commit(&self, url: &str) {
        let revision = self.site.git.commit(url, self.tree(url));
        self.site.trace.line(format_args!("commit {revision} in {url}"));
    }

    /// The same in place of the newest commit.
    pub(crate) fn amend(&self, url: &str) {
        let revision = self.site.git.amend(url, self.tree(url));
        self.site.trace.line(format_args!("commit {revision} replaces the newest in {url}"));
    }

    /// Switches a replica on.
    pub(crate) fn start(&mut self, index: usize) {
        self.replicas[index].start(&self.site, &mut self.random);
    }

    /// Takes what lost its power for what it is.
    pub(crate) fn notice_power_cuts(&mut self) {
        for replica in self.replicas.iter_mut().filter(|replica| replica.is_dark()) {
            replica.crash(&self.site.trace, &mut self.random);
        }
    }

    pub(crate) async fn pass(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        self.notice_power_cuts();
    }

    /// What of the applications is not as it should be; `None`: everything is.
    pub(crate) fn difference(&self) -> Option<String> {
        self.apps.iter().find_map(|app| self.difference_of(app)).or_else(|| self.difference_of_foreign())
    }

    fn difference_of(&self, app: &App) -> Option<String> {
        let live = self.get(&app.path());
        if app.is_deleted {
            return live.map(|_| format!("Application {} is still there", app.name));
        }
        let status = live.unwrap_or_default()["status"].take();
        if !app.is_automated() {
            return None;
        }
        for ((kind, name), value) in &app.objects {
            let path = kind.path(&app.namespace, name);
            match self.get(&path) {
                None if app.is("selfHeal") => return Some(format!("{path} is missing")),
                Some(live) if app.is("selfHeal") && !kind.has(&live, *value) => {
                    return Some(format!("{path} has not the value {value}"));
                }
                _ => {}
            }
        }
        let head = self.site.git.head(&app.url).map(|head| head.to_string()).unwrap_or_default();
        if let Some(surplus) = self.surplus(app) {
            return app.is("prune").then_some(surplus);
        }
        if app.is("selfHeal") && (status["sync"]["status"] != "Synced" || status["sync"]["revision"] != head) {
            return Some(format!("Application {}: {} instead of {head}", app.name, status["sync"]));
        }
        None
    }

    /// An object of an application that Git does not have.
    fn surplus(&self, app: &App) -> Option<String> {
        Kind::ALL.into_iter().find_map(|kind| {
            let (root, plural) = kind.collection();
            let list = self.get(&format!("{root}/namespaces/{}/{plural}", app.namespace))?;
            list["items"].as_array().unwrap().iter().find_map(|object| {
                let name = object["metadata"]["name"].as_str().unwrap();
                let id = object.pointer("/metadata/annotations/argocd.argoproj.io~1tracking-id")?.as_str()?;
                let is_its = id.split(':').next() == Some(&app.name);
                (is_its && !app.objects.contains_key(&(kind, name.to_owned())))
                    .then(|| format!("{plural}/{name} of {} is still there", app.name))
            })
        })
    }

    fn difference_of_foreign(&self) -> Option<String> {
        self.foreign.iter().find_map(|(path, object)| {
            (self.get(path).as_ref() != Some(object)).then(|| format!("{path} was changed or deleted"))
        })
    }

    /// Everything that concerns the applications, for whoever looks for the cause of a failure.
    pub(crate) fn show(&self) {
        for app in &self.apps {
            let live = self.get(&app.path());
            self.site.trace.line(format_args!("{}: {}", app.path(), live.unwrap_or_default()));
            for (kind, name) in app.objects.keys() {
                let path = kind.path(&app.namespace, name);
                self.site.trace.line(format_args!("{path}: {}", self.get(&path).unwrap_or_default()));
            }
        }
    }

    /// What the agents have written since this was last asked, without Leases and Events.
    pub(crate) fn take_writes(&self) -> Vec<(Of, String)> {
        let writes = std::mem::take(&mut self.ledger.state().writes);
        let told = writes.into_iter().filter(|(of, _)| !matches!(of, Of::Lease | Of::Event));
        told.flat_map(|(of, texts)| texts.into_iter().map(move |text| (of, text))).collect()
    }
}
