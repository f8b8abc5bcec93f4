//! Whose an object is: objects that move, that are shared, that outlive their Application, or go with it.

use crate::support::agent::Rig;
use crate::support::apps::{AUTOMATED, condition, config_map};
use crate::support::request::Verb;

fn tracking(rig: &Rig, namespace: &str, name: &str) -> String {
    let object = rig.get(namespace, &["configmap", name]);
    let id = object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"].as_str();
    id.unwrap_or_default().split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn an_object_that_moves_to_another_application_is_handed_over() {
    let rig = Rig::new("move");
    let target = rig.destination("move");
    let maps = [("old/keep.yaml", "keep"), ("old/mover.yaml", "mover"), ("new/other.yaml", "other")];
    let files = maps.map(|(path, name)| (path, config_map(name, "blue")));
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let first = rig.repo.commit(&files, "two folders");
    rig.application("old", "old", &target, AUTOMATED);
    rig.application("new", "new", &target, AUTOMATED);
    let _agent = rig.agent(&[]);
    rig.wait_well("old", first.as_str());
    rig.wait_well("new", first.as_str());
    let uid = rig.uid(&target, "configmap", "mover");
    assert_eq!(tracking(&rig, &target, "mover"), format!("{}_old", rig.namespace));

    // There, and back again: whichever is rendered first.
    for (from, to, colour) in [("old", "new", "blue"), ("new", "old", "green")] {
        rig.proxy.reset();
        let branch = "moving";
        let head = rig.repo.head("main").unwrap();
        rig.repo.reset(branch, &head);
        rig.repo.remove_from(branch, &[&format!("{from}/mover.yaml")], "away");
        let path = format!("{to}/mover.yaml");
        let moved = rig.repo.commit_to(branch, &[(path.as_str(), config_map("mover", colour).as_str())], "and there");
        rig.repo.reset("main", &moved);
        rig.refresh(from);
        rig.wait_well(from, moved.as_str());
        rig.wait_well(to, moved.as_str());
        let id = format!("{}_{to}", rig.namespace);
        rig.wait("the object to be taken over", || tracking(&rig, &target, "mover") == id);
        rig.wait_two_renewals();
        assert_eq!(rig.uid(&target, "configmap", "mover"), uid, "it was deleted and made anew");
        let writes = rig.object_writes();
        assert_eq!(writes.iter().map(|entry| entry.verb).collect::<Vec<_>>(), [Verb::Apply], "{writes:#?}");
        assert_eq!(rig.get(&target, &["configmap", "mover"])["data"]["colour"], colour);
        // The heir heals it.
        rig.plane.kubectl(&[
            "-n",
            &target,
            "patch",
            "configmap",
            "mover",
            "--type=merge",
            "-p",
            r#"{"data":{"colour":"red"}}"#,
        ]);
        rig.wait("the edit to be reverted", || rig.get(&target, &["configmap", "mover"])["data"]["colour"] == colour);
    }
}

#[test]
fn an_object_that_two_applications_want_belongs_to_one() {
    let rig = Rig::new("shared");
    let target = rig.destination("shared");
    let blue = config_map("shared", "blue");
    let first = rig.repo.commit(&[("one/a.yaml", &blue)], "one");
    rig.application("one", "one", &target, AUTOMATED);
    let mut agent = rig.agent(&[]);
    rig.wait_well("one", first.as_str());
    let uid = rig.uid(&target, "configmap", "shared");
    let green = config_map("shared", "green");
    let second = rig.repo.commit(&[("two/a.yaml", &green), ("two/b.yaml", &config_map("b", "green"))], "two");
    rig.application("two", "two", &target, AUTOMATED);
    rig.refresh("one");
    rig.wait_well("one", second.as_str());
    let app = rig.wait_condition("two", "SharedResourceWarning", &["shared", "another application"]);
    assert_eq!(app["status"]["sync"]["status"], "OutOfSync");
    rig.wait("its own object to be there", || !rig.get(&target, &["configmap", "b"]).is_null());
    rig.proxy.reset();
    rig.wait_two_renewals();
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());
    assert_eq!(rig.get(&target, &["configmap", "shared"])["data"]["colour"], "blue");

    // After a restart it is the same.
    assert!(agent.terminate());
    rig.proxy.reset();
    let agent = rig.agent_in(&agent.data.clone(), &rig.proxy, &[]);
    agent.wait_leading();
    rig.refresh("two");
    rig.wait_two_renewals();
    assert!(condition(&rig.app("two"), "SharedResourceWarning").contains("shared"), "{:#}", rig.app("two")["status"]);
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());

    // When the first one lets go of it, the second one has it.
    let third = rig.repo.commit(&[("one/a.yaml", &config_map("another", "blue"))], "let go");
    rig.refresh("one");
    rig.wait_well("one", third.as_str());
    rig.wait_well("two", third.as_str());
    assert_eq!(rig.uid(&target, "configmap", "shared"), uid);
    assert_eq!(rig.get(&target, &["configmap", "shared"])["data"]["colour"], "green");
    assert!(rig.object_writes().iter().all(|entry| entry.verb == Verb::Apply), "{:#?}", rig.object_writes());
}

#[test]
fn what_becomes_of_the_objects_of_a_deleted_application() {
    let rig = Rig::new("deleted");
    let target = rig.destination("deleted");
    let files = [("plain/a.yaml", config_map("plain", "blue")), ("final/a.yaml", config_map("final", "blue"))];
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let first = rig.repo.commit(&files, "two folders");
    rig.apply(&format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: foreign, namespace: {target}}}\ndata: {{colour: red}}\n"
    ));
    for name in ["plain", "final"] {
        rig.application(name, name, &target, AUTOMATED);
    }
    rig.patch_app("final", r#"{"metadata":{"finalizers":["resources-finalizer.argocd.argoproj.io"]}}"#);
    let _agent = rig.agent(&[]);
    for name in ["plain", "final"] {
        rig.wait_well(name, first.as_str());
    }
    let uid = rig.uid(&target, "configmap", "plain");
    // Kept although its Application deletes what is its own.
    let sealed = config_map("sealed", "blue");
    let second = rig.repo.commit(&[("final/b.yaml", &sealed)], "one more");
    rig.refresh("final");
    rig.wait_well("final", second.as_str());
    rig.plane.kubectl(&[
        "-n",
        &target,
        "annotate",
        "configmap",
        "sealed",
        "argocd.argoproj.io/sync-options=Delete=false",
    ]);
    rig.proxy.reset();
    rig.plane.kubectl(&["-n", &rig.namespace, "delete", "applications.argoproj.io", "plain", "final", "--wait=false"]);
    rig.wait("both to be gone", || rig.app("plain").is_null() && rig.app("final").is_null());
    assert!(rig.get(&target, &["configmap", "final"]).is_null());
    assert_eq!(rig.uid(&target, "configmap", "plain"), uid);
    for name in ["sealed", "foreign"] {
        assert!(!rig.get(&target, &["configmap", name]).is_null(), "{name}");
    }
    rig.wait_two_renewals();
    let writes = rig.object_writes();
    let writes: Vec<_> = writes.iter().map(|entry| (entry.verb, entry.name.as_str())).collect();
    assert_eq!(writes, [(Verb::Delete, "final")]);

    // Made anew under another name, an Application takes over what the first one left.
    rig.application("heir", "plain", &target, AUTOMATED);
    rig.wait_well("heir", second.as_str());
    assert_eq!(rig.uid(&target, "configmap", "plain"), uid);
    assert_eq!(tracking(&rig, &target, "plain"), format!("{}_heir", rig.namespace));
}
