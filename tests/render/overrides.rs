//! `spec.source.kustomize`: each override gives what the kustomization gives after the edit that Argo CD would make.

use driftless::engine::application::Source;
use driftless::engine::event::RenderFailureReason::{Content, InvalidSpec};
use driftless::render::memory::MemoryTree;
use driftless::render::unchanged;
use serde_json::{Value, json};

use super::{assert_failure, failed, names, rendered, source};

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: 'registry.example/web:1.0'}
      - {name: proxy, image: 'proxy:1'}
";
const COMPONENT: &str = "\
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
nameSuffix: -part
";

fn tree(kustomization: &str) -> MemoryTree {
    MemoryTree::of([
        ("apps/web/kustomization.yaml", kustomization),
        ("apps/web/notes.txt", "none"),
        ("base/kustomization.yaml", "resources: [web.yaml]\n"),
        ("base/web.yaml", DEPLOYMENT),
        ("part/kustomization.yaml", COMPONENT),
    ])
}

fn with(kustomize: Value) -> Source {
    Source { kustomize: Some(kustomize), ..source("apps/web") }
}

const PLAIN: &str = "resources: [../../base]\n";

#[test]
fn overrides_edit_the_kustomization() {
    let cases = [
        (PLAIN, json!({"namePrefix": "a-", "nameSuffix": "-b"}), "namePrefix: a-\nnameSuffix: -b\n"),
        (PLAIN, json!({"namespace": "prod"}), "namespace: prod\n"),
        (
            PLAIN,
            json!({"images": ["proxy:2", "registry.example/web=other/web:3@sha256:ab"]}),
            "images: [{name: proxy, newTag: '2'}, {name: registry.example/web, newName: other/web, newTag: '3', digest: 'sha256:ab'}]\n",
        ),
        (PLAIN, json!({"images": ["proxy@sha256:cd"]}), "images: [{name: proxy, digest: 'sha256:cd'}]\n"),
        (
            "resources: [../../base]\nimages: [{name: proxy, newName: other, newTag: '5'}]\n",
            json!({"images": ["proxy=*:6"]}),
            "images: [{name: proxy, newName: other, newTag: '6'}]\n",
        ),
        (PLAIN, json!({"replicas": [{"name": "web", "count": "4"}]}), "replicas: [{name: web, count: 4}]\n"),
        (PLAIN, json!({"commonLabels": {"team": "a"}}), "commonLabels: {team: a}\n"),
        (PLAIN, json!({"commonLabels": {"team": "a"}, "labelWithoutSelector": true}), "labels: [{pairs: {team: a}}]\n"),
        (
            PLAIN,
            json!({"commonLabels": {"team": "a"}, "labelWithoutSelector": true, "labelIncludeTemplates": true}),
            "labels: [{pairs: {team: a}, includeTemplates: true}]\n",
        ),
        (PLAIN, json!({"commonAnnotations": {"a": "$b"}}), "commonAnnotations: {a: $b}\n"),
        (
            "resources: [../../base]\ncommonAnnotations: {a: x}\n",
            json!({"commonAnnotations": {"a": "new"}, "forceCommonAnnotations": true}),
            "commonAnnotations: {a: new}\n",
        ),
        (
            PLAIN,
            json!({"patches": [{"target": {"kind": "Deployment"}, "patch": "- {op: add, path: /spec/paused, value: true}"}]}),
            "patches: [{target: {kind: Deployment}, patch: '- {op: add, path: /spec/paused, value: true}'}]\n",
        ),
        (PLAIN, json!({"components": ["../../part"]}), "components: [../../part]\n"),
        (
            PLAIN,
            json!({"components": ["../../none", "../../part"], "ignoreMissingComponents": true}),
            "components: [../../part]\n",
        ),
        (PLAIN, json!({"version": "v5.8.1"}), ""),
        (PLAIN, json!({"version": "5.8"}), ""),
        (PLAIN, json!({"kubeVersion": "1.30", "apiVersions": ["v1"]}), ""),
        (PLAIN, json!({}), ""),
    ];
    for (kustomization, overrides, edit) in cases {
        let edited = rendered(&tree(&format!("{PLAIN}{edit}")), &source("apps/web"));
        let overridden = rendered(&tree(kustomization), &with(overrides.clone()));
        let values = |rendering: &driftless::render::Rendering| {
            rendering.manifests.iter().map(|manifest| manifest.value.clone()).collect::<Vec<_>>()
        };
        assert_eq!(values(&overridden), values(&edited), "{overrides}");
    }
}

#[test]
fn wrong_overrides_are_errors_of_the_spec() {
    let cases = [
        (json!({"images": ["proxy"]}), "spec.source.kustomize.images[0]"),
        (json!({"version": "v4.5.7"}), "spec.source.kustomize.version"),
        (json!({"namePrefx": "a-"}), "namePrefx"),
        (json!({"namePrefix": 1}), "spec.source.kustomize.namePrefix"),
        (json!({"replicas": [{"name": "web", "count": "many"}]}), "spec.source.kustomize.replicas[0].count"),
        (json!({"version": "5.80.1"}), "spec.source.kustomize.version"),
        (json!({"version": "5.8."}), "spec.source.kustomize.version"),
        (json!({"commonAnnotations": {"there": "b"}}), "commonAnnotations.there"),
        (json!({"commonLabels": {"a": "b"}, "labelIncludeTemplates": true}), "labelIncludeTemplates"),
    ];
    let tree = tree("resources: [../../base]\ncommonAnnotations: {there: a}\n");
    for (overrides, part) in cases {
        assert_failure(&failed(&tree, &with(overrides)), InvalidSpec, &[part]);
    }
    let missing = with(json!({"components": ["../../none"]}));
    assert_failure(&failed(&tree, &missing), Content, &["components", "../../none"]);
    assert_failure(&failed(&tree.without("apps/web/kustomization.yaml"), &with(json!({}))), Content, &["apps/web"]);
}

#[test]
fn a_kustomization_depends_on_the_files_that_it_read() {
    let tree = tree(PLAIN);
    let rendering = rendered(&tree, &source("apps/web"));
    assert_eq!(names(&rendering), ["web"]);
    let changed = [
        tree.with("base/web.yaml", &DEPLOYMENT.replace("1.0", "1.1")),
        tree.with("base/kustomization.yaml", "resources: [web.yaml]\nnamePrefix: x-\n"),
        tree.with("base/kustomization.yml", ""),
        tree.with("apps/web/kustomization.yaml", "resources: [../../part]\n"),
        tree.without("base/web.yaml"),
    ];
    for (index, tree) in changed.iter().enumerate() {
        assert!(!unchanged(tree, &rendering.inputs).unwrap(), "change {index}");
    }
    let same = [
        tree.with("apps/web/notes.txt", "some"),
        tree.with("base/other.yaml", DEPLOYMENT),
        tree.with("part/kustomization.yaml", ""),
        tree.with("apps/other/kustomization.yaml", ""),
    ];
    for (index, tree) in same.iter().enumerate() {
        assert!(unchanged(tree, &rendering.inputs).unwrap(), "what is no change {index}");
    }
}

#[test]
fn errors_name_file_and_field() {
    let cases = [
        ("resources: [../../base, none.yaml]\n", ["apps/web/kustomization.yaml", "resources[1]"]),
        ("resources: [../../base]\nnamePrfix: x\n", ["apps/web/kustomization.yaml", "namePrfix"]),
        ("resources: [../../../base]\n", ["resources[0]", "leaves the repository"]),
        ("resources: [../../base]\nreplicas: [{name: w, count: 1}]\n", ["replicas[0]", "\"w\""]),
        ("resources: [../web]\n", ["resources[0]", "cycle"]),
        ("resources: [\n", ["apps/web/kustomization.yaml:", "no YAML"]),
    ];
    for (kustomization, parts) in cases {
        assert_failure(&failed(&tree(kustomization), &source("apps/web")), Content, &parts);
    }
    let broken = tree(PLAIN).with("base/web.yaml", "kind: [\n");
    assert_failure(&failed(&broken, &source("apps/web")), Content, &["base/web.yaml:1"]);
}
