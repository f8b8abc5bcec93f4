//! Random histories: people, Git and machines do things, and everything fails now and then.

use std::time::Duration;

use driftless::sim::apiserver::admission::{Admission, Verdict};
use driftless::sim::faults::{Fault, Reset, Rule};
use rand::Rng;
use rand::seq::IndexedRandom;
use serde_json::json;

use super::plan::{App, Kind};
use super::world::{NAMESPACES, World};

const URLS: [&str; 2] = ["https://git.example/one.git", "https://git.example/two.git"];
/// Objects that an application has at most.
const MOST: usize = 8;
/// Values that objects have.
const VALUES: std::ops::Range<u16> = 1..50;

impl World {
    /// Makes the repositories and the applications.
    pub(crate) fn furnish(&mut self) {
        // Ordinary latency.
        let slow = Fault::Slow(Duration::from_millis(1)..=Duration::from_millis(20));
        self.site.network.faults().rules.push(Rule::always(slow));
        let policies = [
            json!({"automated": {"prune": true, "selfHeal": true}}),
            json!({"automated": {"prune": true, "selfHeal": true}}),
            json!({"automated": {"prune": false, "selfHeal": true}}),
            json!({"automated": {"prune": false, "selfHeal": false}}),
            json!({}),
        ];
        for (index, policy) in policies.into_iter().enumerate() {
            let name = format!("app-{index}");
            let mut app = App {
                url: URLS[index % URLS.len()].to_owned(),
                namespace: NAMESPACES[self.random.random_range(0..NAMESPACES.len())].to_owned(),
                name,
                policy,
                objects: std::collections::BTreeMap::new(),
                is_broken: false,
                is_deleted: false,
            };
            for _ in 0..self.random.random_range(1..5) {
                self.add_to(&mut app);
            }
            self.apps.push(app);
        }
        for url in URLS {
            self.commit(url);
        }
        for app in &self.apps {
            self.make("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications", &app.resource());
        }
    }

    fn add_to(&mut self, app: &mut App) {
        let kind = *Kind::ALL.choose(&mut self.random).unwrap();
        let name = format!("{}-{}", app.name, self.random.random_range(0..MOST));
        app.objects.insert((kind, name), self.random.random_range(VALUES));
    }

    /// One thing that happens. With `rewrites`, histories are rewritten, and nothing leaves Git: what would be pruned by a
    /// rewritten history waits for a person.
    pub(crate) async fn step(&mut self, rewrites: bool) {
        match self.random.random_range(0..100) {
            0..25 => self.change_git(rewrites),
            25..50 => self.change_cluster(),
            50..70 => self.change_machine().await,
            70..90 => self.change_network(),
            90..93 => self.site.network.restart(),
            93..95 => self.change_webhooks(),
            95..97 => self.shared.with(|server, _| server.compact()),
            _ => self.delete_application(),
        }
    }

    fn change_git(&mut self, rewrites: bool) {
        let index = self.random.random_range(0..self.apps.len());
        let mut app = self.apps[index].clone();
        if app.is_deleted {
            return;
        }
        match self.random.random_range(0..10) {
            0..3 => self.add_to(&mut app),
            3..6 if !rewrites => {
                let names: Vec<_> = app.objects.keys().cloned().collect();
                if names.len() > 1 {
                    let (kind, name) = names.choose(&mut self.random).unwrap();
                    app.objects.remove(&(*kind, name.clone()));
                    self.ledger.state().removable.insert(kind.path(&app.namespace, name));
                }
            }
            6 => app.is_broken = !app.is_broken,
            _ => {
                for value in app.objects.values_mut() {
                    *value = self.random.random_range(VALUES);
                }
            }
        }
        let url = app.url.clone();
        self.apps[index] = app;
        match self.random.random_range(0..10) {
            0..2 if rewrites => self.amend(&url),
            2 => {
                let down = self.random.random_bool(0.5);
                self.site.trace.line(format_args!("{url} is {}", if down { "down" } else { "up" }));
                self.site.git.set_down(&url, down);
                self.commit(&url);
            }
            _ => self.commit(&url),
        }
    }

    fn change_cluster(&mut self) {
        let app = self.apps.choose(&mut self.random).unwrap().clone();
        let Some(((kind, name), _)) = app.objects.iter().nth(self.random.random_range(0..app.objects.len())) else {
            return;
        };
        let path = kind.path(&app.namespace, name);
        match self.random.random_range(0..10) {
            0..4 => {
                let value = self.random.random_range(VALUES);
                self.edit(&path, &kind.patch(value));
            }
            4..6 => self.delete(&path),
            6 => self.edit(&path, &json!({"metadata": {"labels": {"driftless.dev/instance": null}}})),
            7 => self.edit(&path, &json!({"metadata": {"labels": {"by-hand": "yes"}}})),
            _ => self.add_foreign(&app.namespace),
        }
    }

    fn add_foreign(&mut self, namespace: &str) {
        let (kind, name) = (*Kind::ALL.choose(&mut self.random).unwrap(), format!("foreign-{}", self.foreign.len()));
        let path = kind.path(namespace, &name);
        let manifest = kind.manifest(&name, self.random.random_range(VALUES));
        self.site.trace.line(format_args!("a person makes {path}"));
        let (root, plural) = kind.collection();
        self.make(&format!("{root}/namespaces/{namespace}/{plural}"), &manifest);
        self.ledger.state().foreign.insert(path.clone());
        let made = self.get(&path).unwrap();
        self.foreign.push((path, made));
    }

    async fn change_machine(&mut self) {
        let index = self.random.random_range(0..self.replicas.len());
        if !self.replicas[index].is_running() {
            if self.random.random_bool(0.3) {
                self.replicas[index].lose_disk(&self.site.trace);
            }
            return self.start(index);
        }
        match self.random.random_range(0..10) {
            0..3 => self.replicas[index].crash(&self.site.trace, &mut self.random),
            3..6 => self.replicas[index].crash_while_writing(&mut self.random),
            6..8 => self.replicas[index].stop(&self.site.trace).await,
            _ => self.replicas[index].set_wrong(self.random.random_range(-4000..4000)),
        }
        self.notice_power_cuts();
    }

    /// Something is wrong with the network for a while.
    fn change_network(&mut self) {
        let from = self.shared.now();
        let seconds = self.random.random_range(1..40);
        let until = from + jiff::SignedDuration::from_secs(seconds);
        let client = *["", "", "a/", "b/", "a/lease", "b/watch"].choose(&mut self.random).unwrap();
        let permille = *[50, 200, 500, 1000].choose(&mut self.random).unwrap();
        let carried_out = self.random.random_bool(0.5);
        let code = *[429, 500, 502, 503, 504].choose(&mut self.random).unwrap();
        let retry_after = self.random.random_bool(0.5).then_some(1);
        let lines = self.random.random_range(0..4);
        let fault = match self.random.random_range(0..14) {
            0 => Fault::Slow(Duration::from_millis(100)..=Duration::from_secs(8)),
            1 | 2 => Fault::Error { code, retry_after, carried_out: carried_out && code >= 500 },
            3 => Fault::Refused,
            4 => Fault::Silent { carried_out },
            5 => Fault::Reset(if carried_out { Reset::After } else { Reset::Before }),
            6 => Fault::Reset(Reset::Within(lines)),
            7 => Fault::Cut(lines),
            8 => Fault::Hush(lines),
            9 => Fault::Twice,
            10 => Fault::Late(Duration::from_millis(self.random.random_range(1..3000))),
            11 => Fault::NoEndBookmark,
            12 => Fault::Stale(self.random.random_range(1..20)),
            _ => Fault::Undiscovered("argoproj.io".to_owned()),
        };
        let verbs = match fault {
            Fault::Stale(_) => vec!["list"],
            Fault::Cut(_) | Fault::Hush(_) | Fault::Twice | Fault::Late(_) | Fault::NoEndBookmark => vec!["watch"],
            _ => Vec::new(),
        };
        let rule = Rule { client: client.to_owned(), verbs, from, until, permille, ..Rule::always(fault) };
        self.site.trace.line(format_args!("for {seconds} s: {client:?} {permille} {:?}", rule.fault));
        self.site.network.faults().rules.push(rule);
    }

    /// A webhook refuses some objects, or adds something to them, until everything is mended.
    fn change_webhooks(&mut self) {
        let prefix = format!("app-{}", self.random.random_range(0..self.apps.len()));
        let verdict = if self.random.random_bool(0.5) {
            Verdict::Refuse("not today".to_owned())
        } else {
            Verdict::Change(json!({"metadata": {"annotations": {"webhook.example/seen": "yes"}}}))
        };
        self.site.trace.line(format_args!("a webhook for ConfigMaps {prefix}: {verdict:?}"));
        let webhook =
            Admission { name: "policy.example".to_owned(), resource: "configmaps".to_owned(), prefix, verdict };
        self.shared.with(|server, _| server.admissions().push(webhook));
    }

    fn delete_application(&mut self) {
        let index = self.random.random_range(0..self.apps.len());
        let app = &mut self.apps[index];
        // One application at most, so that something is left to look at.
        if app.is_deleted || index != 2 {
            return;
        }
        app.is_deleted = true;
        let paths: Vec<_> = app.objects.keys().map(|(kind, name)| kind.path(&app.namespace, name)).collect();
        // Also those that left Git and were not pruned.
        let every = Kind::ALL.iter().flat_map(|kind| (0..MOST).map(move |number| (kind, number)));
        let others = every.map(|(kind, number)| kind.path(&app.namespace, &format!("{}-{number}", app.name)));
        self.ledger.state().removable.extend(paths.into_iter().chain(others));
        let path = app.path();
        self.delete(&path);
    }

    /// Everything is mended: what comes now is up to the agents alone.
    pub(crate) fn mend(&mut self) {
        self.notice_power_cuts();
        self.site.trace.line("everything is mended");
        self.site.network.faults().rules.truncate(1);
        self.shared.with(|server, _| server.admissions().clear());
        for app in &mut self.apps {
            app.is_broken = false;
        }
        for url in URLS {
            self.site.git.set_down(url, false);
            self.commit(url);
        }
        for index in 0..self.replicas.len() {
            self.replicas[index].set_wrong(0);
            if !self.replicas[index].is_running() {
                self.start(index);
            }
        }
    }
}
