//! What goes wrong inside of a repository: nothing is deleted, the Application says what to do, and the next good commit
//! is synced.

use std::collections::BTreeMap;

use crate::support::agent::Rig;
use crate::support::apps::{AUTOMATED, condition, config_map, resource};

/// What becomes of one folder that held the ConfigMaps `a` and `b`.
struct Fault {
    folder: &'static str,
    /// Files of the bad commit, below the folder.
    files: Vec<(&'static str, String)>,
    /// Files that it removes.
    removed: &'static [&'static str],
    condition: &'static str,
    /// What the condition says.
    texts: &'static [&'static str],
}

fn fault(
    folder: &'static str,
    files: &[(&'static str, &str)],
    removed: &'static [&'static str],
    condition: &'static str,
    texts: &'static [&'static str],
) -> Fault {
    let files = files.iter().map(|(path, text)| (*path, (*text).to_owned())).collect();
    Fault { folder, files, removed, condition, texts }
}

fn faults() -> Vec<Fault> {
    let map = config_map("a", "red");
    let nameless = "apiVersion: v1\nkind: ConfigMap\ndata: {colour: red}\n";
    let gadget = "apiVersion: nowhere.example.com/v1\nkind: Gadget\nmetadata: {name: g}\n";
    let options = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations:\n    \
                   argocd.argoproj.io/sync-options: Replace=true\n";
    vec![
        fault("empty", &[("readme.md", "x")], &["a.yaml", "b.yaml"], "SyncError", &["all 2 objects", "allowEmpty"]),
        fault("missing", &[], &["a.yaml", "b.yaml"], "ComparisonError", &["`missing`"]),
        // `b` is gone in the same commit: a file that can't be read may be where it went.
        fault("yaml", &[("a.yaml", "kind: [ConfigMap\n")], &["b.yaml"], "ComparisonError", &["yaml/a.yaml"]),
        fault("json", &[("a.json", "{\"kind\": ")], &["a.yaml"], "ComparisonError", &["json/a.json"]),
        fault(
            "second",
            &[("a.yaml", &format!("{map}---\nkind: ConfigMap\n  name: b\n"))],
            &["b.yaml"],
            "ComparisonError",
            &["second/a.yaml", "document 2"],
        ),
        fault("nameless", &[("b.yaml", nameless)], &[], "ComparisonError", &["nameless/b.yaml", "name"]),
        fault("kind", &[("b.yaml", gadget)], &[], "ComparisonError", &["Gadget", "nowhere.example.com"]),
        fault("options", &[("a.yaml", options)], &["b.yaml"], "ComparisonError", &["Replace=true"]),
        fault(
            "kustomize",
            &[("kustomization.yaml", "resources: [a.yaml, none.yaml]\n")],
            &[],
            "ComparisonError",
            &["kustomize/kustomization.yaml", "none.yaml"],
        ),
        fault("helm", &[("Chart.yaml", "name: x\n")], &["a.yaml", "b.yaml"], "InvalidSpecError", &["Helm"]),
        fault("jsonnet", &[("c.jsonnet", "{}")], &["a.yaml"], "ComparisonError", &["jsonnet"]),
        fault("bytes", &[("c.yaml", "\u{1}\u{2}: [")], &["a.yaml"], "ComparisonError", &["bytes/c.yaml"]),
    ]
}

#[test]
fn a_bad_commit_deletes_nothing() {
    let rig = Rig::new("faults");
    let faults = faults();
    let (a, b) = (config_map("a", "blue"), config_map("b", "blue"));
    let paths: Vec<_> = faults
        .iter()
        .flat_map(|fault| [(format!("{}/a.yaml", fault.folder), &a), (format!("{}/b.yaml", fault.folder), &b)])
        .collect();
    let good: Vec<_> = paths.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let first = rig.repo.commit(&good, "all is well");
    let mut namespaces = BTreeMap::new();
    for fault in &faults {
        let namespace = rig.destination(fault.folder);
        rig.application(fault.folder, fault.folder, &namespace, AUTOMATED);
        namespaces.insert(fault.folder, namespace);
    }
    let _agent = rig.agent(&[]);
    for fault in &faults {
        rig.wait_well(fault.folder, first.as_str());
    }
    let uids = |folder: &str| ["a", "b"].map(|name| rig.uid(&namespaces[folder], "configmap", name));
    let before: Vec<_> = faults.iter().map(|fault| uids(fault.folder)).collect();

    rig.proxy.reset();
    break_everything(&rig, &faults);
    rig.refresh("yaml");
    for fault in &faults {
        let app = rig.wait_condition(fault.folder, fault.condition, fault.texts);
        assert_eq!(app["status"]["resources"].as_array().unwrap().len(), 2, "{}: {:#}", fault.folder, app["status"]);
        let expected = if fault.folder == "empty" { "OutOfSync" } else { "Unknown" };
        assert_eq!(app["status"]["sync"]["status"], expected, "{}: {:#}", fault.folder, app["status"]);
        if fault.folder == "empty" {
            assert_eq!(resource(&app, "ConfigMap", "a")["requiresPruning"], true);
        }
    }
    rig.wait_two_renewals();
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());

    // An edit by hand is still reverted: the last good commit counts.
    rig.plane.kubectl(&[
        "-n",
        &namespaces["yaml"],
        "patch",
        "configmap",
        "b",
        "--type=merge",
        "-p",
        r#"{"data":{"colour":"red"}}"#,
    ]);
    rig.wait("the edit to be reverted", || {
        rig.get(&namespaces["yaml"], &["configmap", "b"])["data"]["colour"] == "blue"
    });

    // Mended with a change, so that the sync is seen.
    let mended = mend(&rig, &faults);
    rig.refresh("yaml");
    for (fault, before) in faults.iter().zip(&before) {
        rig.wait_well(fault.folder, &mended);
        assert_eq!(uids(fault.folder), *before, "{}", fault.folder);
        assert_eq!(rig.get(&namespaces[fault.folder], &["configmap", "b"])["data"]["colour"], "green");
    }
}

/// Everything in one commit: what is removed first, and what is written on top of it.
fn break_everything(rig: &Rig, faults: &[Fault]) {
    let removed: Vec<_> =
        faults.iter().flat_map(|fault| fault.removed.iter().map(|path| format!("{}/{path}", fault.folder))).collect();
    let written: Vec<_> = faults
        .iter()
        .flat_map(|fault| fault.files.iter().map(|(path, text)| (format!("{}/{path}", fault.folder), text)))
        .collect();
    // The branch moves once: the agent sees none of this in between.
    let first = rig.repo.head("main").unwrap();
    rig.repo.git(&["update-ref", "refs/heads/bad", first.as_str()]);
    let removed: Vec<_> = removed.iter().map(String::as_str).collect();
    rig.repo.remove_from("bad", &removed, "gone");
    let written: Vec<_> = written.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let bad = rig.repo.commit_to("bad", &written, "broken");
    rig.repo.reset("main", &bad);
}

fn mend(rig: &Rig, faults: &[Fault]) -> String {
    let added: Vec<_> = faults
        .iter()
        .flat_map(|fault| fault.files.iter().map(|(path, _)| format!("{}/{path}", fault.folder)))
        .filter(|path| !path.ends_with("/a.yaml") && !path.ends_with("/b.yaml"))
        .collect();
    let added: Vec<_> = added.iter().map(String::as_str).collect();
    rig.repo.remove_from("bad", &added, "away with it");
    let (a, b) = (config_map("a", "blue"), config_map("b", "green"));
    let paths: Vec<_> = faults
        .iter()
        .flat_map(|fault| [(format!("{}/a.yaml", fault.folder), &a), (format!("{}/b.yaml", fault.folder), &b)])
        .collect();
    let files: Vec<_> = paths.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let mended = rig.repo.commit_to("bad", &files, "mended");
    rig.repo.reset("main", &mended);
    mended.as_str().to_owned()
}

#[test]
fn an_object_that_is_written_twice_is_told_and_kept() {
    let rig = Rig::new("twice");
    let target = rig.destination("twice");
    rig.repo.commit(&[("app/a.yaml", &config_map("a", "blue"))], "once");
    rig.application("twice", "app", &target, AUTOMATED);
    let _agent = rig.agent(&[]);
    rig.wait_app("twice", "synced", |app| app["status"]["sync"]["status"] == "Synced");
    let uid = rig.uid(&target, "configmap", "a");
    let second = rig.repo.commit(&[("app/b.yaml", &config_map("a", "green"))], "twice");
    rig.refresh("twice");
    let app = rig.wait_synced("twice", second.as_str());
    assert!(condition(&app, "RepeatedResourceWarning").contains("ConfigMap"), "{:#}", app["status"]);
    // The last one counts, as in Argo CD.
    assert_eq!(rig.get(&target, &["configmap", "a"])["data"]["colour"], "green");
    let third = rig.repo.remove(&["app/a.yaml"], "once again");
    rig.refresh("twice");
    rig.wait_well("twice", third.as_str());
    assert_eq!(rig.uid(&target, "configmap", "a"), uid);
}

#[test]
fn a_file_of_values_is_no_manifest_and_a_kind_that_comes_later_is_synced_then() {
    let rig = Rig::new("later");
    let target = rig.destination("later");
    let gadget = "apiVersion: later.example.com/v1\nkind: Gadget\nmetadata: {name: g}\nspec: {size: 1}\n";
    let first = rig.repo.commit(
        &[("app/a.yaml", &config_map("a", "blue")), ("app/g.yaml", gadget), ("app/values.yaml", "replicas: 3\n")],
        "a kind that is not there",
    );
    rig.application("later", "app", &target, AUTOMATED);
    let _agent = rig.agent(&[]);
    rig.wait_condition("later", "ComparisonError", &["Gadget"]);
    assert!(rig.get(&target, &["configmap", "a"]).is_null(), "half an application was applied");
    rig.apply(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
         metadata: {name: gadgets.later.example.com}\nspec:\n  group: later.example.com\n  scope: Namespaced\n  \
         names: {kind: Gadget, plural: gadgets, singular: gadget}\n  versions:\n  - {name: v1, served: true, storage: \
         true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}\n",
    );
    rig.refresh("later");
    rig.wait_well("later", first.as_str());
    assert_eq!(rig.get(&target, &["gadgets.later.example.com", "g"])["spec"]["size"], 1);
}
