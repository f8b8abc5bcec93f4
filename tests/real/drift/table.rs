//! Every edit of the table, on an object of its own, in an application that heals and in one that only reports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::edits::{By, DEPLOYMENTS, Edit, KINDS, MAPS, MARKS, Step};
use super::manifests::{DEFINITIONS, manifest};
use crate::support::agent::{Agent, Rig};
use crate::support::request::Verb;

const HEALS: &str = "{automated: {prune: true, selfHeal: true}}";
const REPORTS: &str = "{automated: {prune: true}}";
/// Annotations that kubectl puts on objects beside ours.
const OF_KUBECTL: &str = "kubectl.kubernetes.io/last-applied-configuration";

#[test]
fn edits_of_deployments() {
    run("drift-deployments", DEPLOYMENTS);
}

#[test]
fn edits_of_config_maps_and_their_metadata() {
    run("drift-maps", MAPS);
}

#[test]
fn edits_of_other_kinds() {
    run("drift-kinds", KINDS);
}

#[test]
fn edits_of_our_own_marks() {
    run("drift-marks", MARKS);
}

#[test]
fn the_table_has_many_different_edits() {
    let all: Vec<_> = [DEPLOYMENTS, MAPS, KINDS, MARKS].into_iter().flatten().map(|edit| edit.what).collect();
    let distinct: BTreeSet<_> = all.iter().collect();
    assert!(all.len() >= 40 && distinct.len() == all.len(), "{} edits, {} distinct", all.len(), distinct.len());
}

/// An application and the objects that are edited.
struct Bench<'r> {
    rig: &'r Rig,
    app: &'static str,
    namespace: String,
    edits: &'static [Edit],
    scripts: PathBuf,
}

fn run(prefix: &str, edits: &'static [Edit]) {
    let rig = Rig::new(prefix);
    if edits.iter().any(|edit| ["gadget", "widget"].contains(&edit.of)) {
        rig.apply(DEFINITIONS);
        rig.plane.kubectl(&[
            "wait",
            "--for=condition=Established",
            "crd/gadgets.drift.example.org",
            "crd/widgets.drift.example.org",
        ]);
    }
    let folder = tempfile::tempdir().unwrap();
    let benches = [("heals", HEALS), ("reports", REPORTS)].map(|(app, policy)| {
        let namespace = rig.destination(&format!("{prefix}-{app}"));
        let bench = Bench { rig: &rig, app, namespace, edits, scripts: folder.path().to_owned() };
        (bench, policy)
    });
    let files: Vec<_> = benches.iter().map(|(bench, _)| bench.file()).collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let revision = rig.repo.commit(&files, "objects to be edited");
    for (bench, policy) in &benches {
        rig.application(bench.app, bench.app, &bench.namespace, policy);
    }
    let agent = rig.agent(&[]);
    for (bench, _) in &benches {
        rig.wait_synced(bench.app, revision.as_str());
    }
    let [(heals, _), (reports, _)] = benches;
    heals.are_reverted(&agent);
    let before = reports.snapshot();
    reports.are_reported_and_kept(&agent);
    reports.are_undone_by_a_sync(&before);
}

impl Bench<'_> {
    fn name(&self, at: usize) -> String {
        format!("e{at}-{}", self.namespace)
    }

    /// The application's one file.
    fn file(&self) -> (String, String) {
        let documents = self.edits.iter().enumerate().map(|(at, edit)| manifest(edit.of, &self.name(at)));
        (format!("{}/objects.yaml", self.app), documents.collect::<Vec<_>>().join("---\n"))
    }

    fn are_reverted(&self, agent: &Agent) {
        let before = self.snapshot();
        let counts =
            || ["driftless_drift_healed_total", "driftless_apply_failures_total"].map(|name| agent.metric(name));
        let [healed, failed] = counts();
        self.rig.proxy.reset();
        for at in 0..self.edits.len() {
            self.make(at);
        }
        let app = self.rig.wait_app(self.app, "healed", |app| {
            app["status"]["sync"]["status"] == "Synced"
                && (0..self.edits.len()).all(|at| self.drift(app, at).is_some_and(|text| text.contains("reverted: ")))
        });
        let after = self.snapshot();
        let events = self.events("DriftReverted");
        let log = agent.log();
        for (at, edit) in self.edits.iter().enumerate() {
            let name = self.name(at);
            assert_eq!(cleaned(&after[&name]), cleaned(&before[&name]), "{} is not undone", edit.what);
            let (who, path) = match &edit.by {
                By::Manager(manager, path) | By::Place(manager, path) => (*manager, *path),
                By::Nobody(path) => ("by whom is unknown", *path),
                By::Deleted => ("by whom is unknown", "deleted"),
            };
            let told = self.drift(&app, at).unwrap();
            let line = log.lines().filter(|line| line.contains("DriftReverted") && line.contains(&name));
            let line: String = line.collect();
            let event: String = events.iter().filter(|event| event.contains(&name)).cloned().collect();
            for (place, text) in [("status", told.as_str()), ("log", &line), ("events", &event)] {
                let unquoted = text.replace('\\', "");
                assert!(unquoted.contains(who) && unquoted.contains(path), "{}: {place}: {text:?}", edit.what);
            }
        }
        // An edit that was made in two steps may have been seen as one or as two.
        let steps: usize = self.edits.iter().map(|edit| edit.steps.len()).sum();
        // Failures before are those of the first sync: the definitions are as new as the objects.
        let [healed, failed] = [counts()[0] - healed, counts()[1] - failed];
        assert_eq!(failed, 0.0);
        assert!(healed >= self.edits.len() as f64 && healed <= steps as f64, "{healed} heals of {steps} steps");
    }

    fn are_reported_and_kept(&self, agent: &Agent) {
        let healed = agent.metric("driftless_drift_healed_total");
        self.rig.proxy.reset();
        for at in 0..self.edits.len() {
            self.make(at);
        }
        let edited = self.snapshot();
        let app = self.rig.wait_app(self.app, "told", |app| {
            app["status"]["sync"]["status"] == "OutOfSync" && (0..self.edits.len()).all(|at| self.is_told(app, at))
        });
        for (at, edit) in self.edits.iter().enumerate() {
            let (resource, expected) = (self.resource(&app, at), if edit.returns() { "Synced" } else { "OutOfSync" });
            assert_eq!(resource["status"], expected, "{}: {resource}", edit.what);
        }
        assert_eq!(self.rig.object_writes().len(), 0, "{:?}", self.rig.object_writes());
        assert_eq!(agent.metric("driftless_drift_healed_total"), healed);
        let events = self.events("DriftDetected");
        for (at, edit) in self.edits.iter().enumerate() {
            let name = self.name(at);
            assert!(edit.returns() || events.iter().any(|event| event.contains(&name)), "{}: {events:#?}", edit.what);
            // A comparison (a read and a dry run) for each state of it, and one read more if it left our watch.
            let log = self.rig.proxy.log();
            let dry_runs = log.iter().filter(|entry| entry.name == name && entry.verb == Verb::DryRun).count();
            let requests = log.iter().filter(|entry| entry.name == name).count();
            let states = edit.steps.len() + usize::from(edit.what.contains("another object"));
            assert!(dry_runs <= states && requests <= 2 * states + 1, "{}: {requests} requests", edit.what);
        }
        assert_eq!(self.versions(&self.snapshot()), self.versions(&edited), "somebody wrote");
    }

    fn are_undone_by_a_sync(&self, before: &BTreeMap<String, Value>) {
        let operation = json!({"operation": {"sync": {}}}).to_string();
        let app = format!("applications.argoproj.io/{}", self.app);
        self.rig.plane.kubectl(&["-n", &self.rig.namespace, "patch", &app, "--type=merge", "-p", &operation]);
        self.rig.wait_app(self.app, "synced by the operation", |app| {
            app["status"]["sync"]["status"] == "Synced"
                && app["status"]["operationState"]["phase"] == "Succeeded"
                && app.get("operation").is_none()
                && (0..self.edits.len()).all(|at| self.resource(app, at)["status"] == "Synced")
        });
        let after = self.snapshot();
        for (at, edit) in self.edits.iter().enumerate() {
            let name = self.name(at);
            assert_eq!(cleaned(&after[&name]), cleaned(&before[&name]), "{} is not undone", edit.what);
        }
    }

    /// Whether the status of an edited object says who did what.
    fn is_told(&self, app: &Value, at: usize) -> bool {
        if self.edits[at].returns() {
            return self.resource(app, at)["status"] == "Synced" && self.drift(app, at).is_none();
        }
        let Some(text) = self.drift(app, at).map(|text| text.replace('\\', "")) else { return false };
        let (who, path) = match &self.edits[at].by {
            By::Manager(manager, path) => (*manager, *path),
            // Who it was is seen by what stands in the way, and nothing is tried.
            By::Place(_, path) | By::Nobody(path) => ("by whom is unknown", *path),
            By::Deleted => ("by whom is unknown", "deleted"),
        };
        text.contains(who) && text.contains(path)
    }

    fn resource<'a>(&self, app: &'a Value, at: usize) -> &'a Value {
        let name = self.name(at);
        let resources = app["status"]["resources"].as_array().map_or(&[][..], Vec::as_slice);
        resources.iter().find(|resource| resource["name"] == name.as_str()).unwrap_or(&Value::Null)
    }

    fn drift(&self, app: &Value, at: usize) -> Option<String> {
        self.resource(app, at)["drift"].as_str().map(str::to_owned)
    }

    /// Messages of the Events of a reason on the Application.
    fn events(&self, reason: &str) -> Vec<String> {
        let selector = format!("--field-selector=reason={reason},involvedObject.name={}", self.app);
        let events = self.rig.get(&self.rig.namespace, &["events", &selector]);
        let message = |event: &Value| event["message"].as_str().unwrap().to_owned();
        events["items"].as_array().unwrap().iter().map(message).collect()
    }

    /// The edited objects by name, as they are.
    fn snapshot(&self) -> BTreeMap<String, Value> {
        let mut kinds: Vec<&str> = self.edits.iter().map(|edit| edit.of).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let mut found = BTreeMap::new();
        for object in self.rig.get(&self.namespace, &[&kinds.join(",")])["items"].as_array().unwrap() {
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            if name.ends_with(&self.namespace) {
                found.insert(name, object.clone());
            }
        }
        found
    }

    fn versions(&self, objects: &BTreeMap<String, Value>) -> Vec<(String, Value)> {
        objects.iter().map(|(name, object)| (name.clone(), object["metadata"]["resourceVersion"].clone())).collect()
    }

    /// Makes an edit.
    fn make(&self, at: usize) {
        let (edit, name) = (&self.edits[at], self.name(at));
        for step in edit.steps {
            self.step(edit, &name, step);
        }
    }

    fn step(&self, edit: &Edit, name: &str, step: &Step) {
        let target = format!("{}/{name}", edit.of);
        match step {
            Step::Kubectl(arguments) => {
                let arguments: Vec<String> = arguments.iter().map(|text| text.replace("NAME", name)).collect();
                self.kubectl(edit, &[], &arguments.iter().map(String::as_str).collect::<Vec<_>>());
            }
            Step::Edit(script) => {
                let editor = self.scripts.join("editor");
                if !editor.exists() {
                    fs::write(&editor, "#!/bin/sh\nexec sed -i -e \"$SCRIPT\" \"$1\"\n").unwrap();
                    fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
                }
                let printed =
                    self.kubectl(edit, &[("EDITOR", editor.to_str().unwrap()), ("SCRIPT", script)], &["edit", &target]);
                assert!(printed.contains("edited"), "{}: {printed}", edit.what);
            }
            Step::Patch(kind, patch) => {
                self.kubectl(edit, &[], &["patch", &target, &format!("--type={kind}"), "-p", patch]);
            }
            Step::ApplyAs(text) => {
                let file = self.write(&text.replace("NAME", name));
                self.kubectl(
                    edit,
                    &[],
                    &["apply", "--server-side", "--force-conflicts", "--field-manager=other", "-f", &file],
                );
            }
            Step::Apply(text) => {
                let file = self.write(&text.replace("NAME", name));
                self.kubectl(edit, &[], &["apply", "-f", &file]);
            }
            Step::Replace(from, to, more) => {
                let mut object = self.rig.get(&self.namespace, &[&target]);
                for field in ["resourceVersion", "uid", "managedFields", "creationTimestamp"] {
                    object["metadata"].as_object_mut().unwrap().remove(field);
                }
                let file = self.write(&object.to_string().replace(from, to));
                // It deletes and creates: nobody may come between.
                self.rig.proxy.hold();
                self.kubectl(edit, &[], &[&["replace", "-f", &file], *more].concat());
                self.rig.proxy.heal();
            }
            Step::Put(from, to) => {
                let mut object = self.rig.get(&self.namespace, &[&target, "--show-managed-fields"]);
                assert!(object["metadata"]["managedFields"].is_array());
                object["metadata"].as_object_mut().unwrap().remove("resourceVersion");
                let file = self.write(&object.to_string().replace(from, to));
                let path = format!("/api/v1/namespaces/{}/configmaps/{name}", self.namespace);
                self.kubectl(edit, &[], &["replace", "--raw", &path, "-f", &file]);
            }
        }
    }

    fn write(&self, text: &str) -> String {
        let file = self.scripts.join("object.yaml");
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn kubectl(&self, edit: &Edit, environment: &[(&str, &str)], arguments: &[&str]) -> String {
        let mut command = self.rig.plane.kubectl_command(self.rig.plane.kubeconfig());
        command.envs(environment.iter().copied()).args(["-n", &self.namespace]).args(arguments);
        let output = command.output().unwrap();
        let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}: {arguments:?}: {printed}", edit.what);
        printed
    }
}

/// An object without what the API server keeps for itself.
fn cleaned(object: &Value) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove("status");
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"] {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(OF_KUBECTL);
    }
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    object
}
