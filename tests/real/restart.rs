//! Restarts: killed anywhere in a sync, or settled.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::support::agent::{Agent, Rig};
use crate::support::request::{Entry, Verb};

pub(super) const AUTOMATED: &str = "{automated: {prune: true, selfHeal: true}}";
/// A Lease that a killed agent leaves behind is free again after two seconds.
pub(super) const SHORT_LEASE: [&str; 8] = [
    "--lease-duration",
    "2s",
    "--lease-renew-period",
    "300ms",
    "--lease-request-timeout",
    "600ms",
    "--lease-margin",
    "300ms",
];
/// Kinds of which the repositories of these tests hold something.
pub(super) const KINDS: &str = "configmaps,secrets,services,deployments,roles";
/// Maps of each round; as many Secrets; one Service, one Deployment, one Role.
const MAPS: usize = 10;

pub(super) fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: {value}}}\n")
}

pub(super) fn secret(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{password: {value}}}\n")
}

pub(super) fn role(name: &str, verb: &str) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: {name}}}\n\
         rules: [{{apiGroups: [''], resources: [configmaps], verbs: [{verb}]}}]\n"
    )
}

pub(super) fn service(name: &str, port: usize) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{app: {name}}}, ports: [{{port: {port}}}]}}\n"
    )
}

pub(super) fn deployment(name: &str, version: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  selector: {{matchLabels: {{app: {name}}}}}\n  \
         template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: {{containers: [{{name: web, image: 'example.org/web:{version}'}}]}}\n"
    )
}

/// Everything of one round: each object says which round it is of, and one map is there in this round only.
fn files(round: usize) -> Vec<(String, String)> {
    let value = format!("round-{round}");
    let mut files = vec![
        ("app/service.yaml".to_owned(), service("web", 1000 + round)),
        ("app/deployment.yaml".to_owned(), deployment("web", &value)),
        ("app/role.yaml".to_owned(), role("reader", &value)),
        (format!("app/only-{round}.yaml"), config_map(&format!("only-{round}"), &value)),
    ];
    for number in 0..MAPS {
        files.push((format!("app/map-{number}.yaml"), config_map(&format!("map-{number}"), &value)));
        files.push((format!("app/secret-{number}.yaml"), secret(&format!("secret-{number}"), &value)));
    }
    files
}

fn commit(rig: &Rig, round: usize) -> String {
    let files = files(round);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    if round > 0 {
        rig.repo.remove(&[&format!("app/only-{}.yaml", round - 1)], "leaves");
    }
    rig.repo.commit(&files, &format!("round {round}")).to_string()
}

/// The stamp that an apply carries.
fn stamp(entry: &Entry) -> Option<String> {
    let body: Value = serde_json::from_slice(entry.body.as_ref()?).ok()?;
    Some(body["metadata"]["annotations"]["driftless.dev/manifest"].as_str()?.to_owned())
}

/// What was written, and how often: each object with each stamp, and each object that was deleted.
fn count_successes(log: &[Entry], applies: &mut BTreeMap<(String, String), usize>) {
    for entry in log.iter().filter(|entry| matches!(entry.status, Some(200..=299)) && entry.verb.is_write()) {
        if let (Verb::Apply, Some(stamp)) = (entry.verb, stamp(entry)) {
            *applies.entry((entry.path.clone(), stamp)).or_default() += 1;
        } else if entry.verb == Verb::Delete && entry.name.starts_with("only-") {
            *applies.entry((entry.path.clone(), "deleted".to_owned())).or_default() += 1;
        }
    }
}

/// Names of the objects in a namespace that carry our label, as `Kind/name`.
pub(super) fn labelled(rig: &Rig, namespace: &str) -> BTreeSet<String> {
    let list = rig.get(namespace, &[KINDS, "-l", "driftless.dev/instance"]);
    let name = |object: &Value| format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]));
    list["items"].as_array().unwrap().iter().map(name).collect()
}

/// Names of the objects in an Application's inventory.
pub(super) fn inventory(app: &Value) -> BTreeSet<String> {
    let name = |object: &Value| format!("{}/{}", text(&object["kind"]), text(&object["name"]));
    app["status"]["resources"].as_array().unwrap().iter().map(name).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Asks for a refresh, and does not wait.
pub(super) fn ask_refresh(rig: &Rig, name: &str) {
    let target = format!("applications.argoproj.io/{name}");
    // One that was asked for before a kill may not be served yet: asked for again now, it would be removed as that one.
    rig.wait_app(name, "refreshed", |app| app["metadata"]["annotations"].get("argocd.argoproj.io/refresh").is_none());
    rig.plane.kubectl(&["-n", &rig.namespace, "annotate", &target, "argocd.argoproj.io/refresh=normal"]);
}

/// Writes of a sync: of objects, and of the Application that records how far it is.
fn sync_writes(log: &[Entry], answered: bool) -> usize {
    let other = ["leases", "events"];
    let counts = |entry: &&Entry| {
        entry.verb.is_write() && !other.contains(&&*entry.resource) && (entry.status.is_some() || !answered)
    };
    log.iter().filter(counts).count()
}

/// Waits until an agent that leads was seen to do nothing for two renewals of its Lease.
pub(super) fn wait_two_renewals(rig: &Rig) {
    let renewals = |log: &[Entry]| {
        log.iter()
            .filter(|entry| entry.resource == "leases" && entry.verb == Verb::Update && entry.status == Some(200))
            .count()
    };
    let before = renewals(&rig.proxy.log());
    rig.proxy.wait_until(|log| renewals(log) >= before + 2);
}

#[test]
fn a_sync_that_is_killed_anywhere_goes_on_without_a_second_write() {
    let seed =
        std::env::var("RESTART_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u64>);
    println!("RESTART_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let rounds = if std::env::var_os("CI").is_some() { 5 } else { 50 };
    let rig = Rig::new("restart");
    let shop = rig.destination("shop");
    let mut revision = commit(&rig, 0);
    rig.application("shop", "app", &shop, AUTOMATED);
    let mut agent = rig.agent(&SHORT_LEASE);
    rig.wait_synced("shop", &revision);
    let mut applies = BTreeMap::new();
    for round in 1..=rounds {
        count_successes(&rig.proxy.log(), &mut applies);
        rig.proxy.reset();
        revision = commit(&rig, round);
        ask_refresh(&rig, "shop");
        // The start in the status, as many applies as there are objects, the delete, the end in the status.
        let (after, answered) = (random.random_range(1..=2 * MAPS + 7), random.random());
        rig.proxy.wait_until(|log| sync_writes(log, answered) >= after);
        agent.kill();
        agent = rig.agent_in(&agent.data.clone(), &rig.proxy, &SHORT_LEASE);
        let app = rig.wait_synced("shop", &revision);
        assert_eq!(
            app["status"]["operationState"]["phase"], "Succeeded",
            "round {round}, killed after {after}: {app:#}"
        );
        assert_converged(&rig, &shop, round);
    }
    agent.wait_leading();
    wait_two_renewals(&rig);
    count_successes(&rig.proxy.log(), &mut applies);
    let twice: Vec<_> = applies.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "written twice: {twice:#?}");
    // Each round applied every object, and deleted one of the round before.
    assert_eq!(applies.len(), (2 * MAPS + 4) * (rounds + 1) + rounds);
}

/// Everything that is in the cluster is of this round, and nothing of ours is in no inventory.
fn assert_converged(rig: &Rig, namespace: &str, round: usize) {
    let expected: BTreeSet<String> = (0..MAPS)
        .flat_map(|number| [format!("ConfigMap/map-{number}"), format!("Secret/secret-{number}")])
        .chain(["Service/web", "Deployment/web", "Role/reader"].map(str::to_owned))
        .chain([format!("ConfigMap/only-{round}")])
        .collect();
    assert_eq!(labelled(rig, namespace), expected, "round {round}");
    rig.wait_app("shop", "listing what is there", |app| inventory(app) == expected);
    let maps = rig.get(namespace, &["configmaps", "-l", "driftless.dev/instance"]);
    for map in maps["items"].as_array().unwrap() {
        assert_eq!(map["data"]["value"], format!("round-{round}"), "{map:#}");
    }
}

/// Lists of kinds that the agent manages (its own reads of Applications and repository Secrets are of another label).
fn managed_lists(rig: &Rig) -> Vec<String> {
    let managed = |entry: &Entry| entry.verb == Verb::List && entry.query.contains("driftless.dev");
    rig.proxy
        .log()
        .iter()
        .filter(|entry| managed(entry))
        .map(|entry| format!("{}?{}", entry.path, entry.query))
        .collect()
}

/// A settled agent of one Application with everything of round 0.
fn settled(prefix: &str) -> (Rig, String, Agent, String) {
    let rig = Rig::new(prefix);
    let shop = rig.destination("shop");
    let revision = commit(&rig, 0);
    rig.application("shop", "app", &shop, AUTOMATED);
    let agent = rig.agent(&SHORT_LEASE);
    rig.wait_synced("shop", &revision);
    agent.wait_leading();
    rig.wait("the store to be complete", || agent.metric("driftless_inventory_complete") > 0.0);
    wait_two_renewals(&rig);
    (rig, shop, agent, revision)
}

#[test]
fn a_settled_restart_asks_for_nothing_and_still_heals_what_was_edited_meanwhile() {
    let (rig, shop, mut agent, revision) = settled("settled");
    for how in ["SIGTERM", "SIGKILL"] {
        if how == "SIGTERM" {
            assert!(agent.terminate(), "{}", agent.log());
        } else {
            agent.kill();
        }
        rig.proxy.reset();
        agent = rig.agent_in(&agent.data.clone(), &rig.proxy, &SHORT_LEASE);
        agent.wait_ready();
        agent.wait_leading();
        // A refresh that is served has listed the refs and compared everything with them.
        rig.refresh("shop");
        wait_two_renewals(&rig);
        rig.wait_synced("shop", &revision);
        assert_eq!(rig.object_writes().len(), 0, "{how}: {:#?}", rig.object_writes());
        assert_eq!(rig.dry_runs(), 0, "{how}");
        assert_eq!(managed_lists(&rig), Vec::<String>::new(), "{how}");
        let reads = rig.proxy.log().into_iter().filter(|entry| entry.verb == Verb::Get && entry.path.contains(&*shop));
        assert_eq!(reads.count(), 0, "{how}: objects were read one by one");
        assert_eq!(agent.metric("driftless_renders_total"), 0.0, "{how}");
        assert_eq!(agent.metric("driftless_drift_detected_total"), 0.0, "{how}");
    }
    // An edit, a delete and a label that is taken away while nobody looks.
    agent.kill();
    rig.proxy.reset();
    let kubectl = |arguments: &[&str]| rig.plane.kubectl(&[&["-n", &shop], arguments].concat());
    kubectl(&["patch", "configmap", "map-0", "--type=merge", "-p", r#"{"data":{"value":"edited"}}"#]);
    kubectl(&["delete", "secret", "secret-0"]);
    kubectl(&["label", "service", "web", "driftless.dev/instance-"]);
    agent = rig.agent_in(&agent.data.clone(), &rig.proxy, &SHORT_LEASE);
    rig.wait("the edits to be reverted", || {
        rig.get(&shop, &["configmap", "map-0"])["data"]["value"] == "round-0"
            && !rig.get(&shop, &["secret", "secret-0"]).is_null()
            && rig.get(&shop, &["service", "web"])["metadata"]["labels"]["driftless.dev/instance"].is_string()
    });
    rig.wait_synced("shop", &revision);
    rig.wait("the heals to be counted", || agent.metric("driftless_drift_healed_total") >= 3.0);
    wait_two_renewals(&rig);
    let written: BTreeSet<String> = rig.object_writes().into_iter().map(|entry| entry.name).collect();
    assert_eq!(written, ["map-0", "secret-0", "web"].map(str::to_owned).into());
    assert_eq!(rig.object_writes().iter().filter(|entry| matches!(entry.status, Some(200 | 201))).count(), 3);
    assert_eq!(managed_lists(&rig), Vec::<String>::new());
    assert_eq!(agent.metric("driftless_renders_total"), 0.0);
}
