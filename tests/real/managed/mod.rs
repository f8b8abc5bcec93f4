//! Ownership as the model keeps it, against a real API server: random writes, after each of which whole `managedFields`, the
//! object and the conflicts must be what the model makes of the same object and request.
//!
//! `DRIFTLESS_SEQUENCES` says how many sequences of writes to run, `DRIFTLESS_SEED` the first one's seed.

mod content;
mod judge;
mod server;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use content::{Kind, content, identity, merge_into};
use judge::{Tally, judge_apply, judge_scale, judge_update};
use server::{Answer, Server};

/// Writes of one sequence.
const STEPS: usize = 14;

/// An object under test, and how often what was compared.
struct Run<'a> {
    server: &'a Server,
    kind: &'a Kind,
    name: String,
    rng: StdRng,
    live: Option<Value>,
    tally: Tally,
}

impl Run<'_> {
    fn path(&self) -> String {
        format!("{}/{}", self.kind.path, self.name)
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.rng.random_range(0..of.len())]
    }

    fn step(&mut self) -> Result<(), String> {
        if self.live.is_none() {
            return if self.rng.random_bool(0.7) { self.apply("") } else { self.create() };
        }
        match self.rng.random_range(0..100) {
            0..50 => self.apply(""),
            50..65 => self.merge_patch(""),
            65..75 => self.json_patch(),
            75..85 => self.put(),
            85 | 86 => self.many_updates(),
            87..90 if self.kind.kind == "Deployment" => self.scale(),
            90..95 if self.kind.status => self.apply("status"),
            95.. if self.kind.status => self.merge_patch("status"),
            _ => self.apply(""),
        }
    }

    fn apply(&mut self, subresource: &str) -> Result<(), String> {
        let manager = self.pick(&["alpha", "beta", "beta", "kubectl"]).to_owned();
        let force = self.rng.random_bool(0.4);
        let mut config = identity(self.kind, &self.name);
        merge_into(&mut config, content(self.kind, &mut self.rng, self.live.is_none()));
        if subresource == "status" {
            merge_into(&mut config, (self.kind.status_content)(&mut self.rng));
        }
        let answer = self.server.apply(&self.path(), subresource, &config, &manager, force);
        self.tally.steps += 1;
        let judged = judge_apply(self.kind, self.live.as_ref(), &config, &manager, subresource, force, &answer);
        self.settle(judged, &answer, || format!("apply {subresource} by {manager}, force {force}: {config}"))
    }

    fn create(&mut self) -> Result<(), String> {
        let mut body = identity(self.kind, &self.name);
        merge_into(&mut body, content(self.kind, &mut self.rng, true));
        let answer = self.server.create(self.kind.path, &body, "gamma");
        self.tally.steps += 1;
        let judged = judge_update(self.kind, None, &body, "gamma", "", &answer);
        self.settle(judged, &answer, || format!("create by gamma: {body}"))
    }

    fn merge_patch(&mut self, subresource: &str) -> Result<(), String> {
        let manager = self.pick(&["gamma", "delta", "alpha"]).to_owned();
        let patch = if subresource == "status" {
            (self.kind.status_content)(&mut self.rng)
        } else {
            let mut patch = content(self.kind, &mut self.rng, false);
            if self.rng.random_bool(0.3) {
                forget(&mut patch, &mut self.rng);
            }
            match self.rng.random_range(0..30) {
                0 => merge_into(&mut patch, json!({"metadata": {"managedFields": [{}]}})),
                1 => merge_into(&mut patch, json!({"metadata": {"managedFields": null}})),
                _ => {}
            }
            patch
        };
        self.update_by_merge(&patch, &manager, subresource)
    }

    fn update_by_merge(&mut self, patch: &Value, manager: &str, subresource: &str) -> Result<(), String> {
        let mut sent = self.live.clone().unwrap();
        merge(&mut sent, patch);
        let answer = self.server.merge_patch(&self.path(), subresource, patch, manager);
        self.tally.steps += 1;
        let judged = judge_update(self.kind, self.live.as_ref(), &sent, manager, subresource, &answer);
        self.settle(judged, &answer, || format!("merge patch {subresource} by {manager}: {patch}"))
    }

    fn json_patch(&mut self) -> Result<(), String> {
        let live = self.live.clone().unwrap();
        let mut sent = live.clone();
        let patch = if self.rng.random_bool(0.3) && live["metadata"]["managedFields"].is_array() {
            let entries = live["metadata"]["managedFields"].as_array().unwrap().len();
            let at = self.rng.random_range(0..entries);
            json!([{"op": "remove", "path": format!("/metadata/managedFields/{at}")}])
        } else {
            let mut paths = Vec::new();
            leaves(&live, String::new(), &mut paths);
            paths.retain(|path| self.kind.removable.iter().any(|prefix| path.starts_with(prefix)));
            if paths.is_empty() {
                return Ok(());
            }
            json!([{"op": "remove", "path": paths[self.rng.random_range(0..paths.len())]}])
        };
        json_patch::patch(&mut sent, &serde_json::from_value::<json_patch::Patch>(patch.clone()).unwrap()).unwrap();
        let answer = self.server.json_patch(&self.path(), &patch, "delta");
        self.tally.steps += 1;
        let judged = judge_update(self.kind, Some(&live), &sent, "delta", "", &answer);
        self.settle(judged, &answer, || format!("json patch by delta: {patch}"))
    }

    fn put(&mut self) -> Result<(), String> {
        let mut body = self.live.clone().unwrap();
        merge_into(&mut body, content(self.kind, &mut self.rng, false));
        match self.rng.random_range(0..10) {
            0..3 => drop(body["metadata"].as_object_mut().unwrap().remove("managedFields")),
            3 => body["metadata"]["managedFields"] = json!([]),
            _ => {}
        }
        let answer = self.server.put(&self.path(), &body, "gamma");
        self.tally.steps += 1;
        let judged = judge_update(self.kind, self.live.as_ref(), &body, "gamma", "", &answer);
        self.settle(judged, &answer, || format!("put by gamma: {body}"))
    }

    /// More managers than there is room for.
    fn many_updates(&mut self) -> Result<(), String> {
        for manager in 0..self.rng.random_range(3..13) {
            let patch =
                json!({"metadata": {"annotations": {format!("m{manager}"): self.rng.random_range(0..3).to_string()}}});
            self.update_by_merge(&patch, &format!("m{manager}"), "")?;
        }
        Ok(())
    }

    /// Writes the number of replicas through the subresource; its answer is the scale, so the object is read after it.
    fn scale(&mut self) -> Result<(), String> {
        let manager = self.pick(&["gamma", "beta", "scaler"]).to_owned();
        let live = self.live.clone().unwrap();
        let replicas = self.rng.random_range(0..4);
        let config = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": self.name, "namespace":
            self.server.namespace}, "spec": {"replicas": replicas}});
        let applies = self.rng.random_bool(0.4);
        let written = if applies {
            self.server.apply(&self.path(), "scale", &config, &manager, true)
        } else {
            self.server.merge_patch(&self.path(), "scale", &json!({"spec": {"replicas": replicas}}), &manager)
        };
        self.tally.steps += 1;
        let mut answer = self.server.get(&self.path());
        answer.sent = written.sent;
        let judged = judge_scale(&live, &config, applies, &manager, &written, &answer);
        self.settle(judged, &answer, || format!("scale by {manager}, apply {applies}: {replicas}"))
    }

    fn settle(
        &mut self,
        judged: Result<&'static str, String>,
        answer: &Answer,
        request: impl Fn() -> String,
    ) -> Result<(), String> {
        let what = judged.map_err(|difference| {
            let live = self.live.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
            format!("{}\n  on {live}\n  {difference}\n  answer {}: {}", request(), answer.code, answer.body)
        })?;
        *self.tally.outcomes.entry(what).or_default() += 1;
        if answer.code < 300 {
            self.live = Some(answer.body.clone());
        }
        Ok(())
    }
}

/// A merge patch as the server does it: of what is put where there was no map before, it drops members that are `null`, those of
/// maps in lists as well.
fn merge(object: &mut Value, patch: &Value) {
    match (object, patch) {
        (Value::Object(members), Value::Object(patch)) => {
            for (name, patch) in patch {
                if patch.is_null() {
                    members.remove(name);
                } else {
                    merge(members.entry(name).or_insert(Value::Null), patch);
                }
            }
        }
        (object @ Value::Object(_), patch) => *object = patch.clone(),
        (object, patch) => {
            *object = patch.clone();
            drop_nulls(object);
        }
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Turns some leaf of a merge patch into a removal.
fn forget(patch: &mut Value, rng: &mut StdRng) {
    let mut paths = Vec::new();
    leaves(patch, String::new(), &mut paths);
    if !paths.is_empty() {
        let path = &paths[rng.random_range(0..paths.len())];
        if !path.contains("/0") && !path.contains("selector") {
            *patch.pointer_mut(path).unwrap() = Value::Null;
        }
    }
}

fn leaves(value: &Value, path: String, found: &mut Vec<String>) {
    let escape = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(members) if !members.is_empty() => {
            members.iter().for_each(|(name, value)| leaves(value, format!("{path}/{}", escape(name)), found));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(at, value)| leaves(value, format!("{path}/{at}"), found));
        }
        _ => {}
    }
    if !path.is_empty() {
        found.push(path);
    }
}

#[test]
fn random_writes_are_owned_as_by_the_server() {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name)
            .ok()
            .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
    };
    let (first, count) = (number("DRIFTLESS_SEED", 1), number("DRIFTLESS_SEQUENCES", 120));
    let server = Server::start();
    let kinds = content::kinds(&server.namespace);
    let (mut failed, mut tally) = (Vec::new(), Tally::default());
    for seed in first..first + count {
        let kind = &kinds[usize::try_from(seed).unwrap() % kinds.len()];
        let rng = StdRng::seed_from_u64(seed);
        let mut run = Run { server: &server, kind, name: format!("s{seed}"), rng, live: None, tally: Tally::default() };
        let result = (0..STEPS).try_for_each(|_| run.step());
        tally.add(&run.tally);
        if let Err(difference) = result {
            failed.push(format!("DRIFTLESS_SEED={seed} {}: {difference}", kind.kind));
        }
    }
    println!("{count} sequences, {tally:?}");
    failed.sort_by_key(String::len);
    let shown: Vec<_> = failed.iter().take(8).map(String::as_str).collect();
    assert!(failed.is_empty(), "{} of {count} sequences differ:\n{}", failed.len(), shown.join("\n\n"));
    assert!(tally.outcomes.len() > 4, "too little was compared: {tally:?}");
}
