//! What is pruned, what is kept, and what waits for a person.

use std::fmt::Write as _;

use crate::support::agent::Rig;
use crate::support::apps::{AUTOMATED, MANUAL, condition, config_map, is_well, resource, result};
use crate::support::request::Verb;

fn maps(names: &[&str]) -> String {
    let mut text = String::new();
    for name in names {
        let _ = write!(text, "---\n{}", config_map(name, "blue"));
    }
    text
}

const TEN: [&str; 10] = ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"];

#[test]
fn a_commit_that_would_prune_most_of_an_application_waits_for_a_word() {
    let rig = Rig::new("guard");
    let target = rig.destination("guard");
    let first = rig.repo.commit(&[("app/a.yaml", &maps(&TEN))], "ten maps");
    rig.application("shop", "app", &target, AUTOMATED);
    let mut agent = rig.agent(&[]);
    rig.wait_well("shop", first.as_str());

    // Half of them goes without asking.
    let half = rig
        .repo
        .commit(&[("app/a.yaml", &maps(&TEN[..5])), ("app/b.yaml", &maps(&["n0", "n1", "n2", "n3", "n4"]))], "others");
    rig.refresh("shop");
    rig.wait_well("shop", half.as_str());
    rig.wait("m9 to be gone", || rig.get(&target, &["configmap", "m9"]).is_null());

    rig.proxy.reset();
    let most = rig.repo.commit(&[("app/a.yaml", &maps(&TEN[..4])), ("app/b.yaml", "")], "four are left");
    rig.refresh("shop");
    let held = ["6 of 10", "driftless.dev/allow-prune=", most.short()];
    let app = rig.wait_condition("shop", "SyncError", &held);
    assert_eq!(app["status"]["sync"]["status"], "OutOfSync");
    assert_eq!(resource(&app, "ConfigMap", "n3")["requiresPruning"], true);
    rig.wait_two_renewals();
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());

    // The word for another commit is none, and a restart does not forget the question.
    rig.annotate("shop", &format!("driftless.dev/allow-prune={}", half.short()));
    assert!(agent.terminate());
    let agent = rig.agent_in(&agent.data.clone(), &rig.proxy, &[]);
    agent.wait_leading();
    rig.refresh("shop");
    rig.wait_two_renewals();
    assert!(condition(&rig.app("shop"), "SyncError").contains("6 of 10"), "{:#}", rig.app("shop")["status"]);
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());

    rig.annotate("shop", &format!("driftless.dev/allow-prune={}", most.short()));
    let app = rig.wait_well("shop", most.as_str());
    assert_eq!(app["status"]["resources"].as_array().unwrap().len(), 4);
    let writes = rig.object_writes();
    assert_eq!(writes.len(), 6, "{writes:#?}");
    assert!(writes.iter().all(|entry| entry.verb == Verb::Delete));
}

#[test]
fn what_may_not_be_pruned_stays_and_is_told() {
    let rig = Rig::new("kept");
    let target = rig.destination("kept");
    let own = format!("{target}-own");
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {own}}}\n");
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
         metadata: {name: things.kept.example.com}\nspec:\n  group: kept.example.com\n  scope: Namespaced\n  \
         names: {kind: Thing, plural: things, singular: thing}\n  versions:\n  - {name: v1, served: true, storage: \
         true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}\n";
    let sealed = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: sealed\n  annotations:\n    \
                  argocd.argoproj.io/sync-options: Prune=false\n";
    let first = rig.repo.commit(
        &[
            ("app/a.yaml", &config_map("a", "blue")),
            ("app/gone.yaml", &config_map("gone", "blue")),
            ("app/later.yaml", &config_map("later", "blue")),
            ("app/namespace.yaml", &namespace),
            ("app/definition.yaml", definition),
            ("app/sealed.yaml", sealed),
        ],
        "all",
    );
    rig.application("shop", "app", &target, AUTOMATED);
    let _agent = rig.agent(&[]);
    rig.wait_well("shop", first.as_str());
    // Said in the cluster, by hand.
    let options = "argocd.argoproj.io/sync-options";
    rig.plane.kubectl(&["-n", &target, "annotate", "configmap", "later", &format!("{options}=Prune=false")]);
    rig.proxy.reset();
    let leaving = ["gone", "later", "namespace", "definition", "sealed"].map(|name| format!("app/{name}.yaml"));
    let leaving: Vec<_> = leaving.iter().map(String::as_str).collect();
    let second = rig.repo.remove(&leaving, "one is left");
    rig.refresh("shop");
    let app = rig.wait_app("shop", "done with pruning", |app| {
        app["status"]["sync"]["revision"] == second.as_str()
            && app["status"]["operationState"]["phase"] == "Succeeded"
            && app["status"]["operationState"]["syncResult"]["revision"] == second.as_str()
            && resource(app, "ConfigMap", "gone").is_null()
    });
    assert_eq!(result(&app, "ConfigMap", "gone")["status"], "Pruned", "{:#}", app["status"]["operationState"]);
    let kept = [("ConfigMap", "later"), ("ConfigMap", "sealed"), ("Namespace", own.as_str())];
    for (kind, name) in kept.into_iter().chain([("CustomResourceDefinition", "things.kept.example.com")]) {
        assert_eq!(result(&app, kind, name)["status"], "PruneSkipped", "{kind} {name}");
        assert!(result(&app, kind, name)["message"].as_str().unwrap().contains("Prune="), "{kind} {name}");
        assert_eq!(resource(&app, kind, name)["requiresPruning"], true);
    }
    assert_eq!(app["status"]["sync"]["status"], "OutOfSync");
    rig.wait_two_renewals();
    let writes = rig.object_writes();
    assert_eq!(writes.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["gone"], "{writes:#?}");

    // Whoever takes the mark away has it pruned, without another commit.
    rig.plane.kubectl(&["-n", &target, "annotate", "configmap", "later", &format!("{options}-")]);
    rig.wait("the unmarked one to be pruned", || rig.get(&target, &["configmap", "later"]).is_null());
    rig.plane.kubectl(&["annotate", "namespace", &own, &format!("{options}=Prune=true")]);
    rig.wait("the namespace to be pruned", || rig.get(&target, &["namespace", &own]).is_null());
}

#[test]
fn without_prune_what_left_git_is_only_shown() {
    let rig = Rig::new("shown");
    let target = rig.destination("shown");
    let files = [("app/a.yaml", config_map("a", "blue")), ("app/b.yaml", config_map("b", "blue"))];
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let first = rig.repo.commit(&files, "two");
    rig.application("shop", "app", &target, "{automated: {selfHeal: true}}");
    let _agent = rig.agent(&[]);
    rig.wait_well("shop", first.as_str());
    rig.proxy.reset();
    let second = rig.repo.remove(&["app/b.yaml"], "one");
    rig.refresh("shop");
    let app = rig.wait_app("shop", "showing b", |app| resource(app, "ConfigMap", "b")["requiresPruning"] == true);
    assert_eq!(app["status"]["sync"]["status"], "OutOfSync");
    assert_eq!(app["status"]["sync"]["revision"], second.as_str());
    assert!(is_well(&app), "{:#}", app["status"]["conditions"]);
    rig.wait_two_renewals();
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());
    // Turned on, it prunes without another commit.
    rig.patch_app("shop", r#"{"spec":{"syncPolicy":{"automated":{"prune":true}}}}"#);
    rig.wait_well("shop", second.as_str());
    assert!(rig.get(&target, &["configmap", "b"]).is_null());
}

#[test]
fn an_application_is_synced_on_request() {
    let rig = Rig::new("manual");
    let target = rig.destination("manual");
    let first = rig.repo.commit(&[("app/a.yaml", &maps(&["a", "b"]))], "two");
    rig.application("shop", "app", &target, MANUAL);
    let _agent = rig.agent(&[]);
    let app = rig.wait_app("shop", "compared", |app| app["status"]["sync"]["status"] == "OutOfSync");
    assert_eq!(app["status"]["health"]["status"], "Missing");
    rig.wait_two_renewals();
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());

    // As `argocd app sync` asks.
    rig.patch_app("shop", r#"{"operation":{"initiatedBy":{"username":"ada"},"sync":{"revision":"main"}}}"#);
    let app = rig.wait_well("shop", first.as_str());
    assert!(app.get("operation").is_none(), "{:#}", app["operation"]);
    let state = &app["status"]["operationState"];
    assert_eq!(state["phase"], "Succeeded");
    assert_eq!(state["operation"]["initiatedBy"]["username"], "ada");
    assert_eq!(app["status"]["history"][0]["initiatedBy"]["username"], "ada");
    assert_eq!(rig.object_writes().len(), 2);

    // Without `prune` nothing is deleted; with it, what left Git is.
    let second = rig.repo.commit(&[("app/a.yaml", &maps(&["a", "c"]))], "c for b");
    rig.refresh("shop");
    rig.wait_app("shop", "behind", |app| app["status"]["sync"]["revision"] == second.as_str());
    assert!(rig.get(&target, &["configmap", "c"]).is_null());
    rig.patch_app("shop", r#"{"operation":{"sync":{}}}"#);
    rig.wait_app("shop", "showing b", |app| {
        app["status"]["operationState"]["phase"] == "Succeeded"
            && app["status"]["operationState"]["syncResult"]["revision"] == second.as_str()
            && resource(app, "ConfigMap", "b")["requiresPruning"] == true
    });
    assert!(!rig.get(&target, &["configmap", "c"]).is_null());
    assert!(!rig.get(&target, &["configmap", "b"]).is_null());
    rig.patch_app("shop", r#"{"operation":{"sync":{"prune":true}}}"#);
    rig.wait_well("shop", second.as_str());
    assert!(rig.get(&target, &["configmap", "b"]).is_null());

    // What can't be done is refused by name, and nothing is done.
    rig.proxy.reset();
    for (sync, text) in [
        (r#"{"dryRun":true}"#, "dryRun"),
        (r#"{"syncOptions":["Replace=true"]}"#, "Replace=true"),
        (r#"{"syncStrategy":{"apply":{"force":true}}}"#, "forced"),
        (r#"{"revision":"0123456789012345678901234567890123456789"}"#, "targetRevision"),
    ] {
        rig.patch_app("shop", &format!(r#"{{"operation":{{"sync":{sync}}}}}"#));
        let app = rig.wait_app("shop", &format!("refusing {text}"), |app| {
            app.get("operation").is_none()
                && app["status"]["operationState"]["message"].as_str().is_some_and(|message| message.contains(text))
        });
        assert_eq!(app["status"]["operationState"]["phase"], "Error");
    }
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());
}
