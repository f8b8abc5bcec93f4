//! What an engine must not lose or mistake when it begins from a store, whole, behind or lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use driftless::engine::Engine;
use driftless::engine::application::{
    ApplicationSpec, Automated, Destination, ObservedApplication, Operation, Source, SyncOperation, SyncPolicy,
};
use driftless::engine::desired::{DesiredObject, DesiredSet};
use driftless::engine::effect::{Apply, Effect, Purpose};
use driftless::engine::event::{Event, Leadership, Rendered, RequestError, RequestErrorReason, Sweep, WatchEvent};
use driftless::engine::hash::Hash;
use driftless::engine::ids::{AppKey, Epoch, Gvk, ObjectKey, Revision, TrackingId};
use driftless::engine::live::LiveObject;
use driftless::engine::record::{ApplicationRecord, Expected, LiveRecord, ObjectRecord, StoreOp, StoreSnapshot};
use driftless::engine::revision::Refs;
use driftless::engine::settings::EngineSettings;
use driftless::engine::status::{
    ApplicationStatus, ComparedTo, OperationState, ResourceStatus, SyncResult, SyncStatus,
};
use driftless::engine::time::{Instant, Now, Timestamp};

const REVISION: &str = "1111111111111111111111111111111111111111";

/// An engine, and everything that it has asked for so far.
struct World {
    engine: Engine,
    effects: Vec<Effect>,
    now: u64,
}

impl World {
    fn new(snapshot: StoreSnapshot) -> Self {
        let mut effects = Vec::new();
        let engine = Engine::new(EngineSettings::default(), snapshot, now(0), &mut effects);
        Self { engine, effects, now: 0 }
    }

    /// Takes in an event; what it brought about.
    fn step(&mut self, event: Event) -> Vec<Effect> {
        self.now += 1;
        let mut out = Vec::new();
        self.engine.step(now(self.now), event, &mut out);
        self.effects.extend(out.iter().cloned());
        out
    }

    fn watch(&mut self, event: WatchEvent) -> Vec<Effect> {
        self.step(Event::Watch { watch: maps(), event, arrived: None })
    }

    /// The Lease is won, the Applications are listed, the repository names the revision, which is rendered if that is asked.
    fn lead(&mut self, app: ObservedApplication, desired: &[&str]) {
        let key = app.key.clone();
        self.step(Event::Leadership(Leadership::Leader { epoch: Epoch(1), lease_uid: "l".into() }));
        self.step(Event::Application(Box::new(app)));
        self.step(Event::ApplicationsListed(vec![key]));
        self.list_refs();
        self.render(desired);
    }

    fn list_refs(&mut self) {
        let asked = self.effects.iter().find_map(|effect| match effect {
            Effect::ListRefs { repo, .. } => Some(repo.clone()),
            _ => None,
        });
        let refs = BTreeMap::from([(Arc::from("refs/heads/main"), revision())]);
        self.step(Event::Refs { repo: asked.unwrap(), result: Ok(Arc::new(Refs { head: None, refs })) });
    }

    fn render(&mut self, desired: &[&str]) {
        let asked = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Render(render) => Some((render.app.clone(), render.request)),
            _ => None,
        });
        let Some((app, request)) = asked else { return };
        let object = |name: &&str| DesiredObject {
            key: map(name),
            version: "v1".into(),
            hash: manifest(name),
            stage: Default::default(),
            wave: Default::default(),
            no_prune: false,
        };
        let set = DesiredSet { objects: desired.iter().map(object).collect(), warnings: Vec::new() };
        let rendered =
            Rendered { revision: revision(), desired: Some(Arc::new(set)), inputs: Arc::default(), since: None };
        self.step(Event::Rendered { app, request, result: Ok(rendered) });
    }

    /// Confirms the writes of the Application that are asked for, until there are none.
    fn confirm(&mut self) {
        let mut done = 0;
        loop {
            let writes = self.effects.iter().filter_map(|effect| match effect {
                Effect::WriteApplication(write) => Some((write.app.clone(), write.request)),
                _ => None,
            });
            let Some((app, request)) = writes.skip(done).last() else { return };
            if done == request as usize {
                return;
            }
            done = request as usize;
            self.step(Event::ApplicationWritten { app, request, result: Ok(100 + request) });
        }
    }

    fn applies(&self) -> Vec<(String, bool)> {
        let of = |apply: &Apply| (apply.key.name.to_string(), matches!(apply.purpose, Purpose::Heal { .. }));
        let applies = self.effects.iter().filter_map(|effect| match effect {
            Effect::Apply(apply) => Some(of(apply)),
            _ => None,
        });
        applies.collect()
    }

    fn sweeps(&self) -> usize {
        self.effects.iter().filter(|effect| matches!(effect, Effect::Sweep)).count()
    }

    fn deletes(&self) -> usize {
        self.effects.iter().filter(|effect| matches!(effect, Effect::Delete(_))).count()
    }
}

fn now(seconds: u64) -> Now {
    Now { instant: Instant::from_origin(Duration::from_secs(seconds)), wall: Timestamp(1_795_428_000 + seconds as i64) }
}

fn revision() -> Revision {
    Revision::parse(REVISION).unwrap()
}

fn maps() -> Gvk {
    Gvk::new("", "v1", "ConfigMap")
}

fn map(name: &str) -> ObjectKey {
    ObjectKey::new("", "ConfigMap", "shop", name)
}

fn manifest(name: &str) -> Hash {
    Hash::of(format!("manifest {name}").as_bytes())
}

fn footprint(name: &str) -> Hash {
    Hash::of(format!("footprint {name}").as_bytes())
}

fn shop() -> AppKey {
    AppKey::new("argocd", "shop")
}

fn source() -> Source {
    Source {
        repo_url: "https://example.org/shop.git".into(),
        path: Some("app".into()),
        target_revision: Some("main".into()),
        ..Source::default()
    }
}

/// A live object as it was applied.
fn live(name: &str, resource_version: u64) -> LiveObject {
    LiveObject {
        key: map(name),
        version: "v1".into(),
        uid: format!("uid-{name}").into(),
        resource_version,
        tracking: Some(TrackingId { instance: "shop".into(), object: map(name) }),
        instance: Some("0000000000000000".into()),
        stamp: Some(manifest(name)),
        footprint: Some(footprint(name)),
        health: None,
        deleting: false,
        wave: 0,
        protection: Default::default(),
        managed_fields: Some("[]".into()),
    }
}

/// The record of an object that is in sync.
fn synced(name: &str, resource_version: u64) -> (ObjectKey, ObjectRecord) {
    let record = ObjectRecord {
        app: shop(),
        version: "v1".into(),
        desired: Some(manifest(name)),
        stage: Default::default(),
        wave: Default::default(),
        no_prune: false,
        expected: Some(Expected { desired: manifest(name), footprint: footprint(name) }),
        live: Some(LiveRecord {
            uid: format!("uid-{name}").into(),
            resource_version,
            footprint: Some(footprint(name)),
            stamp: Some(manifest(name)),
            health: None,
            ours: true,
            protection: 0,
        }),
    };
    (map(name), record)
}

/// A whole store: objects in sync, a position, everything searched.
fn whole(names: &[&str]) -> StoreSnapshot {
    let record = ApplicationRecord { uid: "uid".into(), ..ApplicationRecord::default() };
    StoreSnapshot {
        applications: vec![(shop(), record)],
        objects: names.iter().map(|name| synced(name, 5)).collect(),
        positions: vec![(maps(), 10)],
        complete: true,
        ..StoreSnapshot::default()
    }
}

/// The Application, automated, as one that was never synced.
fn fresh(self_heal: bool) -> ObservedApplication {
    let automated = Automated { prune: Some(true), self_heal: Some(self_heal), ..Automated::default() };
    let spec = ApplicationSpec {
        source: Some(source()),
        destination: Destination { namespace: Some("shop".into()), ..Destination::default() },
        sync_policy: Some(SyncPolicy { automated: Some(automated), ..SyncPolicy::default() }),
        ..ApplicationSpec::default()
    };
    ObservedApplication {
        key: shop(),
        uid: "uid".into(),
        resource_version: 7,
        spec: Ok(spec),
        annotations: BTreeMap::new(),
        finalizers: Vec::new(),
        deleting: false,
        operation: None,
        status: ApplicationStatus::default(),
        status_writer: None,
    }
}

/// The same with a status that says that all of it was synced.
fn deployed(self_heal: bool, names: &[&str]) -> ObservedApplication {
    let resource = |name: &&str| ResourceStatus {
        version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: "shop".into(),
        name: (*name).to_owned(),
        status: "Synced".into(),
        ..ResourceStatus::default()
    };
    let operation =
        Operation { sync: Some(SyncOperation { prune: true, ..SyncOperation::default() }), ..Operation::default() };
    let mut app = fresh(self_heal);
    let compared_to = ComparedTo { source: Some(source()), destination: app.spec.clone().unwrap().destination };
    app.status = ApplicationStatus {
        sync: SyncStatus { status: "Synced".into(), revision: Some(REVISION.into()), compared_to: Some(compared_to) },
        resources: names.iter().map(resource).collect(),
        operation_state: Some(Arc::new(OperationState {
            operation,
            phase: "Succeeded".into(),
            sync_result: Some(SyncResult { revision: REVISION.into(), source: Some(source()), resources: Vec::new() }),
            ..OperationState::default()
        })),
        ..ApplicationStatus::default()
    };
    app
}

fn positions(effects: &[Effect]) -> Vec<u64> {
    let positions = effects.iter().filter_map(|effect| match effect {
        Effect::Store { op: StoreOp::PutPosition(_, at), .. } => Some(*at),
        _ => None,
    });
    positions.collect()
}

fn looks(effects: &[Effect]) -> Vec<String> {
    let looks = effects.iter().filter_map(|effect| match effect {
        Effect::Look { key, .. } => Some(key.name.to_string()),
        _ => None,
    });
    looks.collect()
}

#[test]
fn a_position_does_not_pass_by_an_object_that_left_its_watch_and_was_not_looked_at() {
    let mut world = World::new(whole(&["a", "b"]));
    world.step(Event::Application(Box::new(fresh(false))));
    let gone = WatchEvent::Gone { key: map("a"), uid: "uid-a".into(), resource_version: 11 };
    assert_eq!(looks(&world.watch(gone)), ["a"]);
    // A restart here begins at the old position, and hears of the removal again.
    assert_eq!(positions(&world.watch(WatchEvent::Bookmark { resource_version: 20 })), [0u64; 0]);
    world.step(Event::Looked { key: map("a"), result: Ok(None) });
    assert_eq!(positions(&world.watch(WatchEvent::Bookmark { resource_version: 30 })), [30]);
}

#[test]
fn a_position_does_not_pass_by_an_object_that_a_list_left_out() {
    let mut world = World::new(whole(&["a", "b"]));
    world.step(Event::Application(Box::new(fresh(false))));
    world.watch(WatchEvent::ListStarted);
    world.watch(WatchEvent::Live(Box::new(live("b", 5))));
    let effects = world.watch(WatchEvent::ListDone { resource_version: 20 });
    assert_eq!((looks(&effects), positions(&effects)), (vec!["a".to_owned()], vec![]));
    world.step(Event::Looked { key: map("a"), result: Ok(None) });
    assert_eq!(positions(&world.watch(WatchEvent::Bookmark { resource_version: 30 })), [30]);
}

#[test]
fn what_is_newer_than_a_list_is_not_missed_in_it_and_what_is_older_is_even_with_a_request_under_way() {
    for (resource_version, lost) in [(21, false), (19, true)] {
        let mut snapshot = whole(&[]);
        let (key, record) = synced("a", resource_version);
        snapshot.objects = vec![(key, ObjectRecord { expected: None, ..record })];
        let mut world = World::new(snapshot);
        world.step(Event::Application(Box::new(fresh(false))));
        // Whether it is what was applied is being looked into while the list comes.
        assert_eq!(looks(&world.effects), ["a"]);
        world.watch(WatchEvent::ListStarted);
        let effects = world.watch(WatchEvent::ListDone { resource_version: 20 });
        assert_eq!(positions(&effects).is_empty(), lost, "{resource_version}");
    }
}

#[test]
fn what_a_watch_shows_before_the_applications_are_known_is_kept() {
    let mut world = World::new(whole(&["a"]));
    let effects = world.watch(WatchEvent::Live(Box::new(live("new", 11))));
    let kept = effects.iter().any(|effect| {
        matches!(effect, Effect::Store { op: StoreOp::PutObject(key, record), .. } if *key == map("new") && record.app == shop())
    });
    assert!(kept, "{effects:#?}");
    world.step(Event::Application(Box::new(fresh(true))));
    assert_eq!(world.engine.object_views(&shop()).unwrap().len(), 2);
}

#[test]
fn an_application_that_has_objects_and_is_new_to_the_store_is_searched_for() {
    let mut world = World::new(StoreSnapshot { complete: true, ..StoreSnapshot::default() });
    world.step(Event::ApplicationsListed(Vec::new()));
    assert_eq!(world.sweeps(), 0);
    world.step(Event::Application(Box::new(fresh(true))));
    assert_eq!(world.sweeps(), 0, "one that was never synced has none");
    world.step(Event::ApplicationGone(shop()));
    world.step(Event::Application(Box::new(deployed(true, &["a"]))));
    assert_eq!(world.sweeps(), 1);
}

/// A store that was lost: `a` is as it was, `b` was deleted while nobody looked.
fn rebuilt(app: ObservedApplication) -> World {
    let mut world = World::new(StoreSnapshot::default());
    world.lead(app, &["a", "b"]);
    world.watch(WatchEvent::ListStarted);
    world.watch(WatchEvent::Live(Box::new(live("a", 5))));
    world.watch(WatchEvent::ListDone { resource_version: 20 });
    inspected(&mut world, "a", true);
    world.confirm();
    world
}

fn inspected(world: &mut World, name: &str, covered: bool) {
    let result = Ok(driftless::engine::event::Inspection { covered, blame: Vec::new() });
    world.step(Event::Inspected { key: map(name), desired: manifest(name), resource_version: 5, result });
}

#[test]
fn what_was_deleted_while_the_store_was_gone_is_drift_and_what_was_never_applied_is_news() {
    let heal = |name: &str| (name.to_owned(), true);
    let sync = |name: &str| (name.to_owned(), false);
    assert_eq!(rebuilt(deployed(true, &["a", "b"])).applies(), [heal("b")]);
    // Without selfHeal it is told and left as it is.
    assert_eq!(rebuilt(deployed(false, &["a", "b"])).applies(), []);
    // A commit that came meanwhile and touched nothing: only the comparison stands in the status.
    let mut app = deployed(true, &["a", "b"]);
    Arc::make_mut(app.status.operation_state.as_mut().unwrap()).sync_result.as_mut().unwrap().revision = "2".repeat(40);
    assert_eq!(rebuilt(app.clone()).applies(), [heal("b")]);
    // The comparison was of another path, or found differences: nobody has applied all of this yet.
    let mut other = app.clone();
    other.status.sync.compared_to.as_mut().unwrap().source.as_mut().unwrap().path = Some("other".into());
    assert_eq!(rebuilt(other).applies(), [sync("b")]);
    app.status.sync.status = "OutOfSync".into();
    assert_eq!(rebuilt(app).applies(), [sync("b")]);
    assert_eq!(rebuilt(fresh(true)).applies(), [sync("b")]);
}

#[test]
fn what_a_sweep_finds_after_the_sync_has_ended_is_pruned_then() {
    let mut world = World::new(StoreSnapshot::default());
    world.lead(deployed(true, &["a", "old"]), &["a"]);
    assert_eq!(world.sweeps(), 1);
    world.watch(WatchEvent::ListStarted);
    world.watch(WatchEvent::Live(Box::new(live("a", 5))));
    world.watch(WatchEvent::ListDone { resource_version: 20 });
    inspected(&mut world, "a", true);
    world.confirm();
    let failed = RequestError {
        reason: RequestErrorReason::Transient { retry_after: None },
        message: "the server is down".into(),
    };
    world.step(Event::Swept { result: Err(failed) });
    assert_eq!((world.applies(), world.deletes()), (vec![], 0));
    world.now += 3600;
    world.step(Event::Tick);
    assert_eq!(world.sweeps(), 2);
    let old = LiveObject { footprint: None, managed_fields: None, ..live("old", 5) };
    world.step(Event::Swept { result: Ok(Sweep { found: vec![old], forbidden: Vec::new() }) });
    world.confirm();
    world.step(Event::Tick);
    assert_eq!((world.applies(), world.deletes()), (vec![], 1));
}

#[test]
fn nothing_is_pruned_once_the_store_cannot_be_written() {
    let mut snapshot = whole(&["a", "old"]);
    snapshot.applications.clear();
    let mut world = World::new(snapshot);
    world.step(Event::StoreFailed);
    world.lead(fresh(true), &["a"]);
    world.confirm();
    world.step(Event::Swept { result: Ok(Sweep::default()) });
    world.confirm();
    assert_eq!((world.sweeps(), world.deletes()), (0, 0));
    let view = world.engine.object_views(&shop()).unwrap();
    assert!(view.iter().any(|object| object.name == "old" && object.requires_pruning));
}
