//! What Argo CD does to a source before it is rendered: files in its folder are merged into it, and variables replaced.

use driftless::engine::application::Source;
use driftless::engine::event::RenderFailure;
use driftless::engine::event::RenderFailureReason::{Content, InvalidSpec};
use driftless::render::environment::Environment;
use driftless::render::memory::MemoryTree;
use driftless::render::{EntryKind, RenderContext, RenderError, Rendering, render, unchanged};
use serde_json::{Value, json};

use super::{assert_failure, config_map, directory, names, source};

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template: {spec: {containers: [{name: web, image: 'web:1'}, {name: proxy, image: 'proxy:1'}]}}
";

fn tree() -> MemoryTree {
    MemoryTree::of([
        ("app/kustomization.yaml", "resources: [web.yaml]\n"),
        ("app/web.yaml", DEPLOYMENT),
        ("plain/a.yaml", config_map("a").as_str()),
        ("plain/below/b.yaml", config_map("b").as_str()),
    ])
}

fn environment() -> Environment {
    Environment {
        name: "shop_web".into(),
        namespace: "prod".into(),
        project: "team".into(),
        revision: "0123456789abcdef0123456789abcdef01234567".into(),
        repo_url: "https://git.example/shop".into(),
        path: "app".into(),
        target_revision: "main".into(),
    }
}

fn run(tree: &MemoryTree, source: &Source) -> Result<Rendering, RenderFailure> {
    let context = RenderContext { environment: environment(), ..RenderContext::default() };
    render(tree, source, &context).map_err(RenderError::into_failure)
}

fn with(kustomize: Value) -> Source {
    Source { kustomize: Some(kustomize), ..source("app") }
}

fn first(rendering: &Rendering) -> &Value {
    &rendering.manifests[0].value
}

fn images(rendering: &Rendering) -> Vec<&str> {
    let containers = first(rendering)["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    containers.iter().map(|container| container["image"].as_str().unwrap()).collect()
}

#[test]
fn variables_are_replaced_where_argo_cd_replaces_them() {
    let source = with(json!({
        "images": ["web:$ARGOCD_APP_REVISION_SHORT_8"],
        "commonLabels": {"app": "${ARGOCD_APP_NAME}", "project": "$ARGOCD_APP_PROJECT_NAME"},
        "labelWithoutSelector": true,
        "commonAnnotations": {"from": "$ARGOCD_APP_SOURCE_REPO_URL/$ARGOCD_APP_SOURCE_PATH@$ARGOCD_APP_SOURCE_TARGET_REVISION", "price": "$$5"},
        "commonAnnotationsEnvsubst": true,
        "namePrefix": "$ARGOCD_APP_NAMESPACE-",
    }));
    let rendering = run(&tree(), &source).unwrap();
    assert_eq!(images(&rendering), ["web:01234567", "proxy:1"]);
    let metadata = &first(&rendering)["metadata"];
    assert_eq!(metadata["labels"], json!({"app": "shop_web", "project": "team"}));
    assert_eq!(metadata["annotations"], json!({"from": "https://git.example/shop/app@main", "price": "$5"}));
    // Nothing else has variables.
    assert_eq!(metadata["name"], "$ARGOCD_APP_NAMESPACE-web");

    let literal = run(&tree(), &with(json!({"commonAnnotations": {"from": "$ARGOCD_APP_NAME"}}))).unwrap();
    assert_eq!(first(&literal)["metadata"]["annotations"], json!({"from": "$ARGOCD_APP_NAME"}));
    assert!(literal.inputs.environment.is_empty());
}

#[test]
fn a_rendering_depends_on_the_variables_that_it_used() {
    let later = Environment { revision: "9".repeat(40).into(), ..environment() };
    let by_name = run(&tree(), &with(json!({"commonLabels": {"app": "$ARGOCD_APP_NAME"}}))).unwrap();
    assert!(later.unchanged(&by_name.inputs));
    assert!(!Environment { name: "other".into(), ..environment() }.unchanged(&by_name.inputs));
    let by_commit = run(&tree(), &with(json!({"images": ["web:$ARGOCD_APP_REVISION_SHORT"]}))).unwrap();
    assert!(environment().unchanged(&by_commit.inputs));
    assert!(!later.unchanged(&by_commit.inputs));
}

#[test]
fn files_in_the_folder_change_the_source() {
    let shared = "app/.argocd-source.yaml";
    let own = "app/.argocd-source-shop_web.yaml";
    let source = with(json!({"images": ["web:2"], "namePrefix": "x-"}));
    let updated = tree().with(own, "kustomize:\n  images:\n  - web:3\n  - proxy:$ARGOCD_APP_NAME\n");
    let rendering = run(&updated, &source).unwrap();
    // A list takes the place of the list, and the rest stays.
    assert_eq!((images(&rendering), names(&rendering)), (vec!["web:3", "proxy:shop_web"], vec!["x-web".to_owned()]));

    let both = updated.with(shared, "kustomize: {images: ['web:9'], nameSuffix: -y, namePrefix: null}\n");
    let rendering = run(&both, &source).unwrap();
    assert_eq!((images(&rendering)[0], names(&rendering)), ("web:3", vec!["web-y".to_owned()]));

    // Those of others, empty ones, and where the source is, have no effect.
    let ignored = tree()
        .with("app/.argocd-source-web.yaml", "kustomize: {nameSuffix: -other}\n")
        .with(shared, "# nothing\n")
        .with(own, "path: plain\nrepoURL: https://evil.example\ntargetRevision: x\nchart: x\nref: x\nunknown: 1\n");
    assert_eq!(names(&run(&ignored, &source).unwrap()), ["x-web"]);

    // What they say can bring a tool, or take one away.
    let bare = Source::clone(&super::source("app"));
    assert_eq!(names(&run(&tree().with(own, "kustomize: {nameSuffix: -y}\n"), &bare).unwrap()), ["web-y"]);
    let recursing = tree().with("plain/.argocd-source.yaml", "directory: {recurse: true}\n");
    assert_eq!(names(&run(&recursing, &super::source("plain")).unwrap()), ["a", "b"]);
    let undone = tree().with("app/.argocd-source.yaml", "directory: null\n");
    assert_eq!(names(&run(&undone, &directory("app", false, "", "")).unwrap()), ["web"]);
    let chart = tree().with("app/Chart.yaml", "").with(own, "directory: {exclude: '{Chart,kustomization}.yaml'}\n");
    assert_eq!(names(&run(&chart, &bare).unwrap()), ["web"]);
}

#[test]
fn a_rendering_depends_on_its_own_files() {
    let own = "app/.argocd-source-shop_web.yaml";
    let tree = tree().with(own, "kustomize: {images: ['web:3']}\n");
    let inputs = run(&tree, &source("app")).unwrap().inputs;
    assert!(unchanged(&tree, &inputs).unwrap());
    assert!(
        unchanged(&tree.with("app/.argocd-source-other.yaml", "kustomize: {images: ['web:4']}\n"), &inputs).unwrap()
    );
    for changed in [
        tree.with(own, "kustomize: {images: ['web:4']}\n"),
        tree.without(own),
        tree.with("app/.argocd-source.yaml", "kustomize: {images: ['web:4']}\n"),
    ] {
        assert!(!unchanged(&changed, &inputs).unwrap());
    }
}

#[test]
fn wrong_files_are_errors_that_name_them() {
    let own = "app/.argocd-source-shop_web.yaml";
    let cases: [(&str, &[&str]); 8] = [
        ("kustomize: {images: [web]}\n", &["spec.source.kustomize.images[0]", own]),
        ("kustomize: {namePrefx: x}\n", &["namePrefx", own]),
        ("kustomize: {version: v4.5.7}\n", &["spec.source.kustomize.version", own]),
        ("helm: {parameters: []}\n", &["spec.source.helm", "Helm", own]),
        ("directory: {recurse: 5}\n", &[own, "directory"]),
        ("- a\n", &[own, "a mapping is needed"]),
        ("kustomize:\n  a: [\n", &[own, ":2"]),
        ("kustomize: {}\ndirectory: {}\n", &["exclude each other", own]),
    ];
    for (text, parts) in cases {
        // Another commit ends it, so it is no error of the spec.
        assert_failure(&run(&tree().with(own, text), &source("app")).unwrap_err(), Content, parts);
    }
    let mut linked = tree();
    linked.put(own, EntryKind::Link, "../../../etc/passwd");
    assert_failure(&run(&linked, &source("app")).unwrap_err(), Content, &[own, "symbolic link"]);
    let failure = run(&tree(), &with(json!({"version": "v4.5.7"}))).unwrap_err();
    assert_failure(&failure, InvalidSpec, &["spec.source.kustomize.version", "5.8"]);
}
