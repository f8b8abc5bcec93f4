//! Two hundred objects: the first sync, health, secrets, and commits that change little or nothing.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use serde_json::Value;

use super::fleet::{self, PARTS, Part, SECRET};
use crate::support::agent::{Agent, Rig};
use crate::support::request::{Entry, Verb};

/// Argo CD's usual example, as users write it.
const GUESTBOOK: &str = include_str!("fixtures/guestbook.yaml");
const CONTROL_NAMESPACE: &str = "argocd";
const POLICY: &str = "{automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]}";

/// The namespace of a part's Application.
fn home<'r>(rig: &'r Rig, part: &Part) -> &'r str {
    if part.folder == "guestbook" { CONTROL_NAMESPACE } else { &rig.namespace }
}

fn app(rig: &Rig, part: &Part) -> Value {
    rig.get(home(rig, part), &["applications.argoproj.io", part.folder])
}

fn wait_all(rig: &Rig, what: &str, condition: impl Fn(&Value) -> bool) {
    for part in &PARTS {
        rig.wait(&format!("{} to be {what}: {:#}", part.folder, app(rig, part)["status"]["operationState"]), || {
            condition(&app(rig, part))
        });
    }
}

fn is_synced(app: &Value, revision: &str) -> bool {
    let status = &app["status"];
    status["sync"]["status"] == "Synced"
        && status["sync"]["revision"] == revision
        && status["operationState"]["phase"] != "Running"
}

fn commit(rig: &Rig, files: &[(String, String)], message: &str) -> String {
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    rig.repo.commit(&files, message).as_str().to_owned()
}

fn start(rig: &Rig) -> Agent {
    rig.plane.kubectl(&["create", "namespace", CONTROL_NAMESPACE]);
    rig.apply(&GUESTBOOK.replace("REPOSITORY", rig.repo.path().to_str().unwrap()));
    for part in PARTS.iter().filter(|part| part.folder != "guestbook") {
        rig.application(part.folder, part.folder, part.destination, POLICY);
    }
    let namespaces = format!("{},{CONTROL_NAMESPACE}", rig.namespace);
    // A short interval: asking for a refresh would be a write that is not what is counted here.
    rig.agent(&[
        "--application-namespaces",
        &namespaces,
        "--poll-interval",
        "1s",
        "--poll-jitter",
        "0s",
        "--log-level",
        "debug",
    ])
}

#[test]
fn two_hundred_objects_in_five_applications() {
    let rig = Rig::new("fleet");
    assert!(fleet::total() >= 200);
    let first = commit(&rig, &fleet::files("blue"), "everything");
    let agent = start(&rig);
    wait_all(&rig, "synced", |app| is_synced(app, &first));
    one_apply_for_each_object(&rig);
    what_is_needed_came_first(&rig);
    for part in &PARTS {
        status_has_argo_cds_shape(&app(&rig, part), part, &first);
    }

    let statuses = fleet::statuses();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), statuses).unwrap();
    rig.plane.kubectl(&[
        "apply",
        "--server-side",
        "--subresource=status",
        "--field-manager=kubelet",
        "-f",
        file.path().to_str().unwrap(),
    ]);
    wait_all(&rig, "healthy", |app| app["status"]["health"]["status"] == "Healthy" && is_synced(app, &first));
    columns_are_argo_cds(&rig, &first);
    health_of_each_object_is_told(&rig);

    a_commit_that_changes_one_object(&rig);
    a_commit_that_touches_nothing(&rig, &agent);
    no_secret_is_told(&rig, &agent);
}

fn one_apply_for_each_object(rig: &Rig) {
    let writes = rig.object_writes();
    let mut applies: BTreeMap<&str, usize> = BTreeMap::new();
    let mut made = Vec::new();
    for entry in &writes {
        if entry.verb == Verb::Apply {
            *applies.entry(&entry.path).or_default() += 1;
        } else {
            made.push((entry.verb, entry.path.clone()));
        }
    }
    let repeated: Vec<_> = applies.iter().filter(|(_, count)| **count != 1).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
    assert_eq!(applies.len(), fleet::total());
    // What is left are the namespaces that `CreateNamespace=true` makes, each once.
    made.sort_by(|a, b| a.1.cmp(&b.1));
    assert!(
        made.len() <= PARTS.len() && made.iter().all(|(_, path)| path.starts_with("/api/v1/namespaces")),
        "{made:?}"
    );
    assert_eq!(rig.dry_runs(), 0);
}

fn what_is_needed_came_first(rig: &Rig) {
    let writes = rig.object_writes();
    let last_of = |matches: &dyn Fn(&Entry) -> bool| {
        writes.iter().filter(|entry| matches(entry)).map(|entry| entry.number).max().unwrap()
    };
    let first_of = |matches: &dyn Fn(&Entry) -> bool| {
        writes.iter().filter(|entry| matches(entry)).map(|entry| entry.number).min().unwrap()
    };
    let definition = last_of(&|entry| entry.name == "widgets.fleet.example.com");
    assert!(definition < first_of(&|entry| entry.resource == "widgets"));
    let namespaces = last_of(&|entry| entry.resource == "namespaces" && entry.name.starts_with("platform-"));
    assert!(
        namespaces < first_of(&|entry| entry.path.contains("/namespaces/platform-") && entry.resource != "namespaces")
    );
    // What was begun stands in the Application before anything of it is done.
    for part in &PARTS {
        let log = rig.proxy.log();
        let recorded = log
            .iter()
            .find(|entry| entry.resource == "applications" && entry.name == part.folder && entry.verb.is_write());
        let object = first_of(&|entry| entry.path.contains(&format!("/namespaces/{}/", part.destination)));
        assert!(recorded.unwrap().number < object, "{}", part.folder);
    }
}

fn status_has_argo_cds_shape(app: &Value, part: &Part, revision: &str) {
    let status = &app["status"];
    let count: usize = part.kinds.iter().map(|(_, count)| count).sum();
    let operation = &status["operationState"];
    assert_eq!(operation["phase"], "Succeeded", "{operation:#}");
    for text in [&operation["startedAt"], &operation["finishedAt"], &operation["message"], &status["reconciledAt"]] {
        assert!(text.is_string(), "{status:#}");
    }
    assert_eq!(operation["operation"]["initiatedBy"]["automated"], true);
    assert_eq!(operation["operation"]["sync"]["revision"], revision);
    let results = operation["syncResult"]["resources"].as_array().unwrap();
    assert_eq!(operation["syncResult"]["revision"], revision);
    assert_eq!(operation["syncResult"]["source"]["path"], part.folder);
    assert_eq!(results.len(), count, "{}", part.folder);
    assert!(results.iter().all(|result| result["status"] == "Synced" && result["syncPhase"] == "Sync"));
    if part.folder == "guestbook" {
        assert_eq!(operation["operation"]["retry"]["limit"], 5, "{operation:#}");
    }
    let history = status["history"].as_array().unwrap();
    assert_eq!(history.len(), 1);
    for (field, value) in [("revision", Value::from(revision)), ("id", Value::from(0))] {
        assert_eq!(history[0][field], value, "{history:#?}");
    }
    assert!(history[0]["deployedAt"].is_string() && history[0]["deployStartedAt"].is_string());
    assert_eq!(history[0]["source"]["path"], part.folder);
    assert_eq!(status["sync"]["comparedTo"]["source"]["path"], part.folder);
    assert_eq!(status["sync"]["comparedTo"]["destination"]["namespace"], part.destination);
    assert_eq!(status["sourceType"], "Directory");
    let resources = status["resources"].as_array().unwrap();
    assert_eq!(resources.len(), count);
    for resource in resources {
        assert_eq!(resource["status"], "Synced", "{resource}");
        assert!(resource["version"].is_string() && resource["kind"].is_string() && resource["name"].is_string());
        assert!(resource.get("requiresPruning").is_none(), "{resource}");
    }
    assert!(status.get("conditions").is_none(), "{:#}", status["conditions"]);
}

fn columns_are_argo_cds(rig: &Rig, revision: &str) {
    let words = |text: &str| text.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>().join(" ");
    let table = rig.plane.kubectl(&["-n", CONTROL_NAMESPACE, "get", "app"]);
    assert_eq!(words(&table), "NAME SYNC STATUS HEALTH STATUS guestbook Synced Healthy");
    let wide = rig.plane.kubectl(&["-n", CONTROL_NAMESPACE, "get", "app", "-o", "wide"]);
    let expected =
        format!("NAME SYNC STATUS HEALTH STATUS REVISION PROJECT guestbook Synced Healthy {revision} default");
    assert_eq!(words(&wide), expected);
}

fn health_of_each_object_is_told(rig: &Rig) {
    for part in &PARTS {
        let app = app(rig, part);
        for resource in app["status"]["resources"].as_array().unwrap() {
            let judged = [
                "Deployment",
                "Service",
                "Job",
                "CronJob",
                "Ingress",
                "HorizontalPodAutoscaler",
                "CustomResourceDefinition",
            ];
            let expected = judged.contains(&resource["kind"].as_str().unwrap());
            assert_eq!(resource["health"]["status"] == "Healthy", expected, "{resource}");
        }
    }
}

fn a_commit_that_changes_one_object(rig: &Rig) {
    let (path, text) = fleet::files("blue").into_iter().find(|(path, _)| path == "guestbook/configmap.yaml").unwrap();
    let changed = text.replacen("number: \"7\"", "number: \"70\"", 1);
    assert_ne!(text, changed);
    rig.proxy.reset();
    let revision = commit(rig, &[(path, changed)], "one of two hundred");
    wait_all(rig, "at the second commit", |app| is_synced(app, &revision));
    rig.wait_two_renewals();
    let writes = rig.object_writes();
    let names: Vec<_> = writes.iter().map(|entry| (entry.verb, entry.name.as_str())).collect();
    assert_eq!(names, [(Verb::Apply, "guestbook-configmap-7")], "{writes:#?}");
    assert_eq!(rig.dry_runs(), 0);
    let guestbook = app(rig, &PARTS[0]);
    assert_eq!(guestbook["status"]["history"].as_array().unwrap().len(), 2);
    assert_eq!(guestbook["status"]["health"]["status"], "Healthy");
}

fn a_commit_that_touches_nothing(rig: &Rig, agent: &Agent) {
    let rendered = || agent.metric("driftless_renders_total") - agent.metric("driftless_render_hits_total");
    let before = rendered();
    let listed = agent.metric("driftless_render_hits_total");
    rig.proxy.reset();
    let revision = commit(rig, &[("docs/readme.md".to_owned(), "hello".to_owned())], "words");
    wait_all(rig, "at the third commit", |app| is_synced(app, &revision));
    rig.wait_two_renewals();
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());
    assert_eq!(rig.dry_runs(), 0);
    assert_eq!(rendered(), before, "something was rendered");
    assert_eq!(agent.metric("driftless_render_hits_total"), listed + PARTS.len() as f64);
    let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
    for entry in rig.proxy.writes().into_iter().filter(|entry| entry.resource == "applications") {
        *statuses.entry(entry.name).or_default() += 1;
    }
    assert!(statuses.values().all(|count| *count <= 1), "{statuses:?}");
    // Nobody reads an object to find out that there is nothing to do.
    let reads: Vec<_> =
        rig.proxy.log().into_iter().filter(|entry| matches!(entry.verb, Verb::Get | Verb::List)).collect();
    assert!(reads.iter().all(|entry| entry.resource == "leases"), "{reads:#?}");
}

fn no_secret_is_told(rig: &Rig, agent: &Agent) {
    let encoded: Vec<String> =
        (0..20).map(|number| base64::engine::general_purpose::STANDARD.encode(format!("{SECRET}{number}"))).collect();
    let tells = |place: &str, bytes: &[u8]| {
        assert!(!bytes.is_empty(), "{place} is empty");
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(!has(SECRET.as_bytes()), "{place} holds the value of a Secret");
        assert!(!encoded.iter().any(|value| has(value.as_bytes())), "{place} holds the encoded value of a Secret");
    };
    // The Secrets are there, or the rest would prove nothing.
    let live = rig.get("jobs", &["secret", "jobs-secret-3"]);
    assert_eq!(live["data"]["password"], encoded[3].as_str());

    tells("the log", agent.log().as_bytes());
    for namespace in [&rig.namespace, CONTROL_NAMESPACE] {
        tells("a status", rig.get(namespace, &["applications.argoproj.io"]).to_string().as_bytes());
        tells("an Event", rig.get(namespace, &["events"]).to_string().as_bytes());
    }
    tells("/metrics", agent.get("/metrics").unwrap().as_bytes());
    tells("the list of the API", agent.api("/api/v1/applications").unwrap().as_bytes());
    let detail = agent.api(&format!("/api/v1/applications/{}/jobs", rig.namespace)).unwrap();
    assert!(detail.contains("jobs-secret-3"));
    tells("an application of the API", detail.as_bytes());
    every_file_below(&agent.data.join("store.redb"), &tells);
}

fn every_file_below(path: &Path, tells: &dyn Fn(&str, &[u8])) {
    tells(&path.display().to_string(), &std::fs::read(path).unwrap());
}
