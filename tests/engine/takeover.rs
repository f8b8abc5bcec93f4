//! What a replica that becomes the leader does with what it knew before.

use std::sync::Arc;
use std::time::Duration;

use driftless::engine::Engine;
use driftless::engine::application::ObservedApplication;
use driftless::engine::desired::{DesiredObject, DesiredSet, RenderInputs, Stage};
use driftless::engine::effect::{Apply, Effect, Purpose, WriteApplication};
use driftless::engine::event::{
    ApplyOutcome, Event, Inspection, Leadership, Rendered, RequestError, RequestErrorReason, SourceError, WatchEvent,
};
use driftless::engine::hash::Hash;
use driftless::engine::ids::{AppKey, Epoch, Gvk, ObjectKey, Revision, TrackingId};
use driftless::engine::live::{LiveObject, Protection};
use driftless::engine::record::StoreSnapshot;
use driftless::engine::repository::repo_key;
use driftless::engine::revision::Refs;
use driftless::engine::settings::EngineSettings;
use driftless::engine::status::ApplicationStatus;
use driftless::engine::time::{Instant, Now, Timestamp};
use serde_json::{Value, json};

const URL: &str = "https://example.com/shop.git";
const OLD: &str = "1111111111111111111111111111111111111111";
const NEW: &str = "2222222222222222222222222222222222222222";

/// An engine with one Application of one ConfigMap.
struct Bench {
    engine: Engine,
    now: Now,
    epoch: i32,
    app: ObservedApplication,
}

fn object() -> ObjectKey {
    ObjectKey::new("", "ConfigMap", "shop", "a")
}

fn kind() -> Gvk {
    Gvk::new("", "v1", "ConfigMap")
}

/// The map as applied at a revision.
fn live(revision: &str, resource_version: u64) -> LiveObject {
    LiveObject {
        key: object(),
        version: "v1".into(),
        uid: "map".into(),
        resource_version,
        tracking: Some(TrackingId { instance: "shop".into(), object: object() }),
        instance: Some("0000000000000000".into()),
        stamp: Some(Hash::of(revision.as_bytes())),
        footprint: Some(Hash::of(format!("footprint of {revision}").as_bytes())),
        health: None,
        deleting: false,
        wave: 0,
        protection: Protection::default(),
        managed_fields: Some("[]".into()),
    }
}

fn is_compare(effect: &Effect) -> bool {
    matches!(effect, Effect::Apply(apply) if apply.purpose == Purpose::Compare)
}

impl Bench {
    /// A standby that has seen the Application with this status.
    fn new(policy: Value, status: Value) -> Self {
        let spec = json!({
            "project": "default",
            "source": {"repoURL": URL, "path": "app", "targetRevision": "main"},
            "destination": {"namespace": "shop"},
            "syncPolicy": policy,
        });
        let app = ObservedApplication {
            key: AppKey::new("argocd", "shop"),
            uid: "application".into(),
            resource_version: 1,
            spec: Ok(serde_json::from_value(spec).unwrap()),
            annotations: Default::default(),
            finalizers: Vec::new(),
            deleting: false,
            operation: None,
            status: serde_json::from_value(status).unwrap(),
            status_writer: None,
        };
        let now = Now { instant: Instant::from_origin(Duration::ZERO), wall: Timestamp(1_800_000_000) };
        let snapshot = StoreSnapshot { complete: true, ..StoreSnapshot::default() };
        let engine = Engine::new(EngineSettings::default(), snapshot, now, &mut Vec::new());
        let mut bench = Self { engine, now, epoch: 0, app };
        let _ = bench.step(Event::Leadership(Leadership::Standby));
        let _ = bench.observe(|_| {});
        bench
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.engine.step(self.now, event, &mut effects);
        effects.retain(|effect| !matches!(effect, Effect::Store { .. } | Effect::Notify(_)));
        let (compares, mut effects): (Vec<_>, Vec<_>) = effects.into_iter().partition(is_compare);
        for effect in compares {
            // A dry run: the object is as the leader before has left it.
            let Effect::Apply(apply) = effect else { continue };
            let outcome = ApplyOutcome::Compared { live: Some(Box::new(live(NEW, 20))), equal: false };
            effects.extend(self.step(Event::Applied { key: object(), desired: apply.manifest.hash, outcome }));
        }
        effects
    }

    /// Time passes in small steps.
    fn pass(&mut self, time: Duration) -> Vec<Effect> {
        let steps = time.as_millis() / 50;
        let mut effects = Vec::new();
        for _ in 0..steps {
            self.now.instant = self.now.instant + Duration::from_millis(50);
            effects.extend(self.step(Event::Tick));
        }
        effects
    }

    /// The Application is seen with a change.
    fn observe(&mut self, change: impl FnOnce(&mut ObservedApplication)) -> Vec<Effect> {
        change(&mut self.app);
        self.app.resource_version += 1;
        self.step(Event::Application(Box::new(self.app.clone())))
    }

    fn lead(&mut self) -> Vec<Effect> {
        self.epoch += 1;
        let lease_uid = "lease".to_owned();
        self.step(Event::Leadership(Leadership::Leader { epoch: Epoch(self.epoch), lease_uid }))
    }

    /// The repository names a revision, and what is to be rendered for it is one map.
    fn list(&mut self, revision: &str) -> Vec<Effect> {
        let id = Revision::parse(revision).unwrap();
        let refs = Refs { head: None, refs: [(Arc::from("refs/heads/main"), id.clone())].into() };
        let effects = self.step(Event::Refs { repo: repo_key(URL).unwrap(), result: Ok(Arc::new(refs)) });
        let request = effects.iter().find_map(|effect| match effect {
            Effect::Render(render) => Some(render.request),
            _ => None,
        });
        let Some(request) = request else { return effects };
        let map = DesiredObject {
            key: object(),
            version: "v1".into(),
            hash: Hash::of(revision.as_bytes()),
            stage: Stage::Base,
            wave: Default::default(),
            no_prune: false,
        };
        let desired = Some(Arc::new(DesiredSet { objects: vec![map], ..DesiredSet::default() }));
        let rendered = Rendered { revision: id, desired, inputs: Arc::new(RenderInputs::default()), since: None };
        self.step(Event::Rendered { app: self.app.key.clone(), request, result: Ok(rendered) })
    }

    /// The repository can't be asked.
    fn list_in_vain(&mut self) -> Vec<Effect> {
        let error = SourceError { message: "down".into() };
        self.step(Event::Refs { repo: repo_key(URL).unwrap(), result: Err(error) })
    }

    fn watch(&mut self, event: WatchEvent) -> Vec<Effect> {
        self.step(Event::Watch { watch: kind(), event, arrived: None })
    }

    /// The first list of the watch.
    fn listed(&mut self, live: Option<LiveObject>) -> Vec<Effect> {
        let mut effects = self.watch(WatchEvent::ListStarted);
        effects.extend(live.into_iter().flat_map(|live| self.watch(WatchEvent::Live(Box::new(live)))));
        effects.extend(self.watch(WatchEvent::ListDone { resource_version: 100 }));
        effects
    }

    fn written(&mut self, write: &WriteApplication, result: Result<(), RequestErrorReason>) -> Vec<Effect> {
        let result = result.map(|()| write.resource_version + 1);
        let result = result.map_err(|reason| RequestError { reason, message: "refused".into() });
        self.step(Event::ApplicationWritten { app: write.app.clone(), request: write.request, result })
    }
}

fn applies(effects: &[Effect]) -> Vec<&Apply> {
    effects.iter().filter_map(|effect| if let Effect::Apply(apply) = effect { Some(&**apply) } else { None }).collect()
}

fn writes(effects: &[Effect]) -> Vec<&WriteApplication> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::WriteApplication(write) = effect { Some(&**write) } else { None })
        .collect()
}

fn status(write: &WriteApplication) -> &ApplicationStatus {
    write.status.as_deref().unwrap()
}

fn automated() -> Value {
    json!({"automated": {"prune": true, "selfHeal": true}})
}

/// A standby that has an older revision than the leader before it, and takes its objects for drifted.
fn behind() -> Bench {
    let mut bench = Bench::new(automated(), json!({"sync": {"status": "Synced", "revision": NEW}}));
    let _ = bench.list(OLD);
    let effects = bench.listed(Some(live(OLD, 10)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Inspect { .. })), "{effects:?}");
    let result = Ok(Inspection { covered: true, blame: Vec::new() });
    let _ =
        bench.step(Event::Inspected { key: object(), desired: Hash::of(OLD.as_bytes()), resource_version: 10, result });
    let _ = bench.watch(WatchEvent::Live(Box::new(live(NEW, 20))));
    let result = Ok(Inspection { covered: false, blame: Vec::new() });
    let _ =
        bench.step(Event::Inspected { key: object(), desired: Hash::of(OLD.as_bytes()), resource_version: 20, result });
    bench
}

#[test]
fn a_leader_that_is_behind_neither_applies_nor_says_what_it_has() {
    let mut bench = behind();
    let mut effects = bench.lead();
    effects.extend(bench.list_in_vain());
    effects.extend(bench.pass(Duration::from_secs(30)));
    assert!(applies(&effects).is_empty(), "{effects:#?}");
    let told = writes(&effects);
    let [write] = told[..] else { panic!("one status: {told:#?}") };
    assert_eq!(status(write).sync.revision.as_deref(), Some(NEW));
    assert_eq!(status(write).sync.status, "Unknown");
    assert_eq!(status(write).conditions[0].message, "down");

    // Its own status gives it no right either.
    let mut effects = bench.written(&write.clone(), Ok(()));
    let seen = status(write).clone();
    effects.extend(bench.observe(|app| app.status = seen));
    effects.extend(bench.list_in_vain());
    effects.extend(bench.pass(Duration::from_secs(30)));
    assert!(applies(&effects).is_empty() && writes(&effects).is_empty(), "{effects:#?}");

    // With the newer revision there is nothing to apply; an edit after it is reverted to that one.
    let mut effects = bench.list(NEW);
    effects.extend(bench.step(Event::Looked { key: object(), result: Ok(Some(Box::new(live(NEW, 20)))) }));
    let result = Ok(Inspection { covered: true, blame: Vec::new() });
    effects.extend(bench.step(Event::Inspected {
        key: object(),
        desired: Hash::of(NEW.as_bytes()),
        resource_version: 20,
        result,
    }));
    assert!(applies(&effects).is_empty(), "{effects:#?}");
    let effects = bench.watch(WatchEvent::Live(Box::new(LiveObject { footprint: None, ..live(NEW, 30) })));
    let healed = applies(&effects);
    assert_eq!(healed.len(), 1, "{effects:#?}");
    assert_eq!(healed[0].manifest.hash, Hash::of(NEW.as_bytes()));
}

#[test]
fn what_the_status_records_is_healed_without_git_once_the_status_is_known_to_be_the_newest() {
    let mut bench = behind();
    // This time the standby is not behind: it is the leader before that had recorded the older revision.
    let _ = bench.observe(|app| app.status.sync.revision = Some(OLD.to_owned()));
    let mut effects = bench.lead();
    effects.extend(bench.list_in_vain());
    assert!(applies(&effects).is_empty(), "not before it is proven: {effects:#?}");
    let write = writes(&effects)[0].clone();
    // Somebody had written a newer one.
    let _ = bench.observe(|app| app.status.sync.revision = Some(NEW.to_owned()));
    let mut effects = bench.written(&write, Err(RequestErrorReason::Conflict));
    effects.extend(bench.pass(Duration::from_secs(30)));
    assert!(applies(&effects).is_empty(), "{effects:#?}");

    // Nobody had.
    let mut bench = behind();
    let _ = bench.observe(|app| app.status.sync.revision = Some(OLD.to_owned()));
    let mut effects = bench.lead();
    effects.extend(bench.list_in_vain());
    let write = writes(&effects)[0].clone();
    let effects = bench.written(&write, Ok(()));
    assert_eq!(applies(&effects).len(), 1, "{effects:#?}");
}

#[test]
fn an_operation_is_not_taken_for_one_that_was_taken_over_before() {
    let mut bench = Bench::new(json!({}), json!({}));
    let _ = bench.list(NEW);
    let _ = bench.listed(Some(live(NEW, 10)));
    let _ = bench.lead();
    let _ = bench.list(NEW);
    let ask = |info: &str| {
        Some(Ok(serde_json::from_value(json!({"sync": {}, "info": [{"name": "asked", "value": info}]})).unwrap()))
    };
    let mut effects = bench.observe(|app| app.operation = ask("first"));
    effects.extend(bench.pass(Duration::from_secs(1)));
    let taken = writes(&effects);
    assert!(taken.iter().any(|write| write.clear_operation), "{effects:#?}");

    // The answer is lost with the leadership; another leader does it; then somebody asks again.
    let _ = bench.step(Event::Leadership(Leadership::Standby));
    let _ = bench.observe(|app| app.operation = None);
    let _ = bench.observe(|app| app.operation = ask("second"));
    let mut effects = bench.lead();
    effects.extend(bench.list(NEW));
    effects.extend(bench.pass(Duration::from_secs(1)));
    let taken: Vec<_> = writes(&effects).into_iter().filter(|write| write.clear_operation).collect();
    assert_eq!(taken.len(), 1, "{effects:#?}");
    let operation = status(taken[0]).operation_state.as_ref().unwrap();
    assert_eq!(operation.phase, "Running");
    assert_eq!(json!(operation.operation.info)[0]["value"], "second");
}

#[test]
fn a_conflict_shows_what_the_leader_before_has_done() {
    let mut bench = Bench::new(automated(), json!({}));
    let _ = bench.list(NEW);
    let _ = bench.listed(None);
    let mut effects = bench.lead();
    effects.extend(bench.list(NEW));
    let write = writes(&effects)[0].clone();
    let begun = status(&write).operation_state.clone().unwrap();
    assert_eq!(begun.phase, "Running");
    // The one before had done it, and its last status had not been seen yet.
    let mut done = status(&write).clone();
    let operation = Arc::make_mut(done.operation_state.as_mut().unwrap());
    operation.phase = "Succeeded".into();
    let results = json!([{"version": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "a", "status": "Synced"}]);
    operation.sync_result.as_mut().unwrap().resources = serde_json::from_value(results).unwrap();
    done.history =
        serde_json::from_value(json!([{"id": 7, "revision": NEW, "deployedAt": "2027-01-15T08:00:00Z"}])).unwrap();
    let kept = done.history.clone();
    let mut effects = bench.observe(|app| app.status = done);
    effects.extend(bench.written(&write, Err(RequestErrorReason::Conflict)));
    effects.extend(bench.watch(WatchEvent::Live(Box::new(live(NEW, 20)))));
    let result = Ok(Inspection { covered: true, blame: Vec::new() });
    effects.extend(bench.step(Event::Inspected {
        key: object(),
        desired: Hash::of(NEW.as_bytes()),
        resource_version: 20,
        result,
    }));
    effects.extend(bench.pass(Duration::from_secs(30)));
    assert!(applies(&effects).is_empty(), "{effects:#?}");
    for write in writes(&effects) {
        assert_eq!(status(write).operation_state.as_ref().unwrap().phase, "Succeeded", "{effects:#?}");
        assert_eq!(status(write).history, kept);
    }
}

#[test]
fn a_write_that_was_fenced_is_not_tried_again_at_once() {
    let mut bench = Bench::new(automated(), json!({}));
    let _ = bench.list(NEW);
    let _ = bench.listed(None);
    let mut effects = bench.lead();
    effects.extend(bench.list(NEW));
    let write = writes(&effects)[0].clone();
    let effects = bench.written(&write, Ok(()));
    assert_eq!(applies(&effects).len(), 1, "{effects:#?}");
    let fenced = |bench: &mut Bench| {
        let desired = Hash::of(NEW.as_bytes());
        bench.step(Event::Applied { key: object(), desired, outcome: ApplyOutcome::Fenced })
    };
    for _ in 0..3 {
        let effects = fenced(&mut bench);
        assert!(applies(&effects).is_empty(), "{effects:#?}");
        let effects = bench.pass(Duration::from_millis(300));
        assert_eq!(applies(&effects).len(), 1, "{effects:#?}");
    }
    // What is under way when leadership goes does not keep its place or its object.
    let _ = bench.step(Event::Leadership(Leadership::Standby));
    let _ = fenced(&mut bench);
    let _ = bench.observe(|app| app.status = status(&write).clone());
    let mut effects = bench.lead();
    effects.extend(bench.list(NEW));
    effects.extend(bench.pass(Duration::from_secs(1)));
    assert_eq!(writes(&effects).len() + applies(&effects).len(), 1, "the sync goes on: {effects:#?}");
}
