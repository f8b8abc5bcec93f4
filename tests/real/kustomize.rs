//! Kustomizations: a base and its overlays, each an Application of its own.

use serde_json::Value;

use crate::support::agent::Rig;
use crate::support::apps::config_map;
use crate::support::git::GitRepo;
use crate::support::git_server::{Behaviour, GitServer};

const AUTOMATED: &str = "{automated: {prune: true, selfHeal: true}}";
const STAGES: [(&str, u32); 3] = [("development", 1), ("staging", 2), ("production", 5)];

fn base(image: &str) -> Vec<(String, String)> {
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  selector: {{matchLabels: {{app: web}}}}\n  \
         template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      containers:\n      - name: web\n        image: \
         {image}\n        envFrom: [{{configMapRef: {{name: settings}}}}]\n"
    );
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n";
    let kustomization = "resources: [deployment.yaml, service.yaml]\n";
    [("deployment", deployment.as_str()), ("service", service), ("kustomization", kustomization)]
        .map(|(name, text)| (format!("base/{name}.yaml"), text.to_owned()))
        .into()
}

fn overlay(stage: &str, replicas: u32, level: &str) -> (String, String) {
    let text = format!(
        "resources: [../../base]\nlabels:\n- pairs: {{stage: {stage}}}\nreplicas: [{{name: web, count: {replicas}}}]\n\
         configMapGenerator:\n- name: settings\n  literals: [LEVEL={level}]\n"
    );
    (format!("overlays/{stage}/kustomization.yaml"), text)
}

fn commit(rig: &Rig, files: &[(String, String)]) -> String {
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    rig.repo.commit(&files, "a commit").as_str().to_owned()
}

/// Refreshes all three, and waits until each is at the commit. Returns the namespaces that were written to meanwhile.
fn roll_out(rig: &Rig, targets: &[(&str, String)], revision: &str) -> Vec<String> {
    rig.proxy.reset();
    for (stage, _) in targets {
        rig.refresh(stage);
    }
    for (stage, _) in targets {
        rig.wait_synced(stage, revision);
    }
    let writes = rig.object_writes();
    let written = |target: &str| writes.iter().any(|entry| entry.path.contains(&format!("/namespaces/{target}/")));
    targets.iter().filter(|(_, target)| written(target)).map(|(stage, _)| (*stage).to_owned()).collect()
}

fn deployment(rig: &Rig, target: &str) -> Value {
    rig.get(target, &["deployment", "web"])
}

fn settings(deployment: &Value) -> String {
    let name = &deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"];
    name.as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_base_rolls_out_to_all_its_overlays_and_an_overlay_to_itself() {
    let rig = Rig::new("kustomize");
    let mut files = base("example.com/web:1");
    files.extend(STAGES.map(|(stage, replicas)| overlay(stage, replicas, "info")));
    let first = commit(&rig, &files);
    let targets: Vec<(&str, String)> = STAGES.map(|(stage, _)| (stage, rig.destination(stage))).into();
    for (stage, target) in &targets {
        rig.application(stage, &format!("overlays/{stage}"), target, AUTOMATED);
    }
    let _agent = rig.agent(&[]);
    for ((stage, target), (_, replicas)) in targets.iter().zip(STAGES) {
        let app = rig.wait_synced(stage, &first);
        assert_eq!(app["status"]["sourceType"], "Kustomize");
        let web = deployment(&rig, target);
        assert_eq!(web["spec"]["replicas"], replicas);
        assert_eq!(web["metadata"]["labels"]["stage"], *stage);
        // The generated map is there under the name that the Deployment refers to.
        assert!(settings(&web).starts_with("settings-"), "{}", settings(&web));
        assert_eq!(rig.get(target, &["configmap", &settings(&web)])["data"]["LEVEL"], "info");
    }

    let second = commit(&rig, &base("example.com/web:2"));
    assert_eq!(roll_out(&rig, &targets, &second), ["development", "staging", "production"]);
    assert_eq!(rig.object_writes().len(), 3, "one Deployment each: {:?}", rig.object_writes());
    for (_, target) in &targets {
        let image = &deployment(&rig, target)["spec"]["template"]["spec"]["containers"][0]["image"];
        assert_eq!(image, "example.com/web:2");
    }

    let before = settings(&deployment(&rig, &targets[1].1));
    let third = commit(&rig, &[overlay("staging", 2, "debug")]);
    assert_eq!(roll_out(&rig, &targets, &third), ["staging"]);
    let web = deployment(&rig, &targets[1].1);
    assert_eq!(rig.get(&targets[1].1, &["configmap", &settings(&web)])["data"]["LEVEL"], "debug");
    assert_ne!(settings(&web), before);
    rig.wait("the old map to be pruned", || rig.get(&targets[1].1, &["configmap", &before]).is_null());
}

#[test]
fn a_base_in_another_repository_is_read_where_it_is_allowed_and_pinned() {
    let rig = Rig::new("remote");
    let target = rig.destination("remote");
    let other = GitRepo::new();
    let base = |names: &[&str]| {
        let maps: Vec<_> = names.iter().map(|name| config_map(name, "blue")).collect();
        other.commit(
            &[("base/kustomization.yaml", "resources: [all.yaml]\n"), ("base/all.yaml", &maps.join("---\n"))],
            "base",
        )
    };
    let server = GitServer::start(&other);
    let url = |query: &str| format!("resources: ['{}//base{query}']\n", server.url());
    let push = |text: &str| rig.repo.commit(&[("app/kustomization.yaml", text)], "a commit");

    let pinned = base(&["a", "b"]);
    let first = push(&url(&format!("?ref={pinned}")));
    rig.application("shop", "app", &target, AUTOMATED);
    let mut agent = rig.agent(&["--kustomize-remote-bases", &server.base(), "--git-timeout", "3s"]);
    rig.wait_well("shop", first.as_str());
    assert_eq!(rig.get(&target, &["configmap", "a"])["data"]["colour"], "blue");
    let uid = rig.uid(&target, "configmap", "a");

    // A commit that leaves the kustomization alone asks the other server nothing; nor does one that changes it, for the
    // commit is at hand.
    server.take_requests();
    let second = rig.repo.commit(&[("readme.md", "x")], "beside it");
    rig.refresh("shop");
    rig.wait_well("shop", second.as_str());
    let third = push(&format!("{}commonAnnotations: {{by: app}}\n", url(&format!("?ref={pinned}"))));
    rig.refresh("shop");
    rig.wait_well("shop", third.as_str());
    assert_eq!(server.take_requests().len(), 0);

    // What can't be read changes nothing, and deletes nothing.
    let newer = base(&["b"]);
    let cases = [
        (Behaviour::Status(503), format!("?ref={newer}"), vec!["app/kustomization.yaml: resources[0]: ", "503"]),
        (
            Behaviour::Serve,
            "?ref=main".to_owned(),
            vec!["app/kustomization.yaml: resources[0]: ", "`main` can be moved"],
        ),
        (Behaviour::Serve, format!("/gone?ref={newer}"), vec!["resources[0]: ", "has no kustomization"]),
        (Behaviour::Serve, format!("?ref={}", "1".repeat(40)), vec!["resources[0]: ", "was not found"]),
    ];
    for (behaviour, query, texts) in cases {
        server.behave(behaviour);
        rig.proxy.reset();
        push(&url(&query));
        rig.refresh("shop");
        let app = rig.wait_condition("shop", "ComparisonError", &texts);
        assert_eq!(app["status"]["resources"].as_array().unwrap().len(), 2, "{query}");
        rig.wait_two_renewals();
        assert_eq!(rig.object_writes().len(), 0, "{query}: {:#?}", rig.object_writes());
    }
    server.behave(Behaviour::Serve);
    let last = push(&url(&format!("?ref={newer}")));
    rig.refresh("shop");
    rig.wait_well("shop", last.as_str());
    rig.wait("a to be pruned", || rig.get(&target, &["configmap", "a"]).is_null());
    assert_ne!(rig.uid(&target, "configmap", "b"), uid);

    // Without the setting the next commit is not rendered any more, and what is there stays.
    assert!(agent.terminate());
    rig.proxy.reset();
    let _agent = rig.agent_in(&agent.data.clone(), &rig.proxy, &[]);
    rig.repo.commit(&[("readme.md", "y")], "beside it");
    rig.refresh("shop");
    rig.wait_condition("shop", "ComparisonError", &["app/kustomization.yaml: resources[0]: ", "switched off"]);
    rig.wait_two_renewals();
    assert_eq!(rig.object_writes().len(), 0, "{:#?}", rig.object_writes());
}

#[test]
fn an_image_updater_s_file_and_variables_change_one_application_alone() {
    let rig = Rig::new("updater");
    let (one, two) = (rig.destination("updater"), rig.destination("updater"));
    let kustomization = "resources: [deployment.yaml, service.yaml]\n";
    let mut files = base("web:1");
    files.push(("base/kustomization.yaml".into(), kustomization.into()));
    let commit = |files: &[(String, String)]| commit(&rig, files);
    let first = commit(&files);
    for (name, target) in [("one", &one), ("two", &two)] {
        let source = "path: base, targetRevision: main, kustomize: {commonAnnotationsEnvsubst: true, commonAnnotations: \
                      {app: '$ARGOCD_APP_NAME', namespace: '${ARGOCD_APP_NAMESPACE}'}}";
        rig.application_of(name, rig.repo.path().to_str().unwrap(), source, target, AUTOMATED);
    }
    let _agent = rig.agent(&[]);
    for (name, target) in [("one", &one), ("two", &two)] {
        rig.wait_synced(name, &first);
        let annotations = deployment(&rig, target)["metadata"]["annotations"].clone();
        assert_eq!(annotations["app"], format!("{}_{name}", rig.namespace));
        assert_eq!(annotations["namespace"], *target);
    }

    rig.proxy.reset();
    let file = format!("base/.argocd-source-{}_one.yaml", rig.namespace);
    let second = commit(&[(file, "kustomize:\n  images: ['web:2']\n".into())]);
    for name in ["one", "two"] {
        rig.refresh(name);
        rig.wait_synced(name, &second);
    }
    let image = |target: &str| deployment(&rig, target)["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    assert_eq!((image(&one), image(&two)), ("web:2".into(), "web:1".into()));
    assert_eq!(rig.object_writes().len(), 1, "{:#?}", rig.object_writes());
}
