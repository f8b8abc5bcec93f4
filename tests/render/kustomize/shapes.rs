//! Large trees like those of real repositories, made here rather than kept: each is built by the program and by us.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use driftless::render::EntryKind;
use driftless::render::memory::MemoryTree;

use super::ours::ours;
use super::overlays::difference;
use super::program::{run, tool};

/// Files of a tree.
type Files = Vec<(String, Vec<u8>)>;

/// Builds folders of a tree with both and compares.
#[track_caller]
fn assert_alike(files: &Files, builds: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = MemoryTree::default();
    for (path, content) in files {
        let file: PathBuf = folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
        tree.put(path, EntryKind::File, content.clone());
    }
    let program = tool("kustomize");
    for build in builds {
        let theirs = run(&program, folder.path(), build, &[]);
        assert!(theirs.is_ok(), "{build}: {theirs:?}");
        let difference = difference(&theirs, &ours(&tree, build, false));
        assert!(difference.is_none(), "{build}: {}", difference.unwrap());
    }
}

fn put(files: &mut Files, path: impl Into<String>, content: impl Into<Vec<u8>>) {
    files.push((path.into(), content.into()));
}

fn deployment(name: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  selector:\n    matchLabels: {{app: {name}}}\n  template:\n    metadata:\n      labels: {{app: {name}}}\n    spec:\n      serviceAccountName: {name}\n      containers:\n      - name: main\n        image: registry.example/{name}:1\n        envFrom:\n        - configMapRef: {{name: {name}-env}}\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  selector: {{app: {name}}}\n  ports: [{{port: 80}}]\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {name}\n"
    )
}

/// The schema of a custom resource of the size of cert-manager's: thousands of lines, deep, with long descriptions.
fn definition(name: &str, fields: usize) -> String {
    let mut text = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: {name}s.example.com\n  annotations:\n    controller-gen.kubebuilder.io/version: v0.19.0\nspec:\n  group: example.com\n  names:\n    kind: {name}\n    plural: {name}s\n  scope: Namespaced\n  versions:\n  - name: v1\n    served: true\n    storage: true\n    schema:\n      openAPIV3Schema:\n        description: |-\n          A {name} is made of many fields.\n\n          Every one of them has a description.\n        type: object\n        properties:\n"
    );
    for at in 0..fields {
        write!(
            text,
            "          field{at}:\n            description: >-\n              Field {at} says: what it's for, in a text that is long enough to go over the end of the line at eighty columns,\n              and that has \"quotes\" in it.\n            type: object\n            required:\n            - name\n            properties:\n              name:\n                description: 'Name of the thing: required.'\n                type: string\n                pattern: ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$\n                maxLength: 253\n              count:\n                type: integer\n                format: int32\n                minimum: 0\n                default: {at}\n              when:\n                type: string\n                format: date-time\n                example: \"2001-01-01T00:00:00Z\"\n              list:\n                type: array\n                items:\n                  anyOf:\n                  - type: integer\n                  - type: string\n                  x-kubernetes-int-or-string: true\n"
        )
        .unwrap();
    }
    text
}

#[test]
fn a_monorepo_with_five_levels_and_shared_components() {
    let mut files = Files::new();
    put(
        &mut files,
        "components/tls/kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nsecretGenerator: [{name: tls, literals: [a=b]}]\n",
    );
    put(
        &mut files,
        "components/scrape/kustomization.yaml",
        "kind: Component\npatches:\n- target: {kind: Service}\n  patch: |-\n    - {op: add, path: /metadata/annotations, value: {scrape: 'true'}}\n",
    );
    put(&mut files, "org/kustomization.yaml", "resources: [limits.yaml]\ncommonAnnotations: {org: acme}\n");
    put(
        &mut files,
        "org/limits.yaml",
        "apiVersion: v1\nkind: LimitRange\nmetadata: {name: limits}\nspec: {limits: []}\n",
    );
    let mut overlays = Vec::new();
    for team in ["a", "b"] {
        let root = format!("teams/{team}");
        put(
            &mut files,
            format!("{root}/common/kustomization.yaml"),
            format!("resources: [../../../org]\nlabels: [{{pairs: {{team: {team}}}}}]\n"),
        );
        for app in ["web", "api"] {
            put(&mut files, format!("{root}/{app}/base/app.yaml"), deployment(app));
            put(
                &mut files,
                format!("{root}/{app}/base/kustomization.yaml"),
                format!(
                    "resources: [../../common, app.yaml]\nconfigMapGenerator: [{{name: {app}-env, literals: [app={app}]}}]\n"
                ),
            );
            for stage in 0..5 {
                let overlay = format!("{root}/{app}/overlays/s{stage}");
                put(
                    &mut files,
                    format!("{overlay}/kustomization.yaml"),
                    format!(
                        "resources: [../../base]\ncomponents: [../../../../../components/scrape, ../../../../../components/tls]\nnamespace: {team}-s{stage}\nnamePrefix: {team}-\nnameSuffix: -{app}\nconfigMapGenerator: [{{name: {app}-env, behavior: merge, literals: [stage=s{stage}]}}]\nimages: [{{name: registry.example/{app}, newTag: v{stage}}}]\nreplicas: [{{name: {app}, count: {stage}}}]\n"
                    ),
                );
                overlays.push(overlay);
            }
        }
    }
    let everything: Vec<_> = overlays.iter().map(|overlay| format!("../{overlay}")).collect();
    put(
        &mut files,
        "everything/kustomization.yaml",
        format!("resources: [{}]\ncommonLabels: {{fleet: all}}\n", everything.join(", ")),
    );
    let builds: Vec<_> = overlays.iter().step_by(7).map(String::as_str).chain(["everything"]).collect();
    assert_alike(&files, &builds);
}

#[test]
fn definitions_of_tens_of_thousands_of_lines() {
    let mut files = Files::new();
    let names = ["Certificate", "Issuer", "Order", "Challenge", "Request", "ClusterIssuer"];
    let bundle: Vec<_> = names.iter().map(|name| definition(name, 200)).collect();
    assert!(bundle.iter().map(|text| text.lines().count()).sum::<usize>() > 30_000);
    put(&mut files, "base/crds.yaml", bundle.join("---\n"));
    put(&mut files, "base/app.yaml", deployment("controller"));
    put(&mut files, "base/kustomization.yaml", "resources: [crds.yaml, app.yaml]\n");
    put(
        &mut files,
        "top/kustomization.yaml",
        "resources: [../base]\nnamespace: cert\nnamePrefix: p-\ncommonLabels: {app: cert}\npatches:\n- patch: |-\n    apiVersion: apiextensions.k8s.io/v1\n    kind: CustomResourceDefinition\n    metadata: {name: Orders.example.com, annotations: {inject: cert/ca}}\n",
    );
    assert_alike(&files, &["base", "top"]);
}

#[test]
fn a_config_map_of_a_megabyte() {
    let mut files = Files::new();
    let lines: String = (0..9000).map(|at| format!("line {at}: {}\n", "x".repeat(at % 100))).collect();
    let long = "word ".repeat(60_000);
    let binary: Vec<u8> = (0..200_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    put(&mut files, "lines.txt", lines.clone());
    put(&mut files, "long.txt", long);
    put(&mut files, "windows.txt", lines.replace('\n', "\r\n"));
    put(&mut files, "binary.bin", binary);
    put(
        &mut files,
        "kustomization.yaml",
        "configMapGenerator:\n- name: big\n  files: [lines.txt, long.txt, windows.txt, binary.bin]\nsecretGenerator:\n- name: big\n  files: [lines.txt, binary.bin]\n",
    );
    assert_alike(&files, &["."]);
}

#[test]
fn a_thousand_objects_with_references() {
    let mut files = Files::new();
    let mut resources = Vec::new();
    for at in 0..300 {
        put(&mut files, format!("base/app{at}.yaml"), deployment(&format!("app{at}")));
        resources.push(format!("app{at}.yaml"));
    }
    let generators: String = (0..100).map(|at| format!("- {{name: app{at}-env, literals: [n={at}]}}\n")).collect();
    put(
        &mut files,
        "base/kustomization.yaml",
        format!("resources: [{}]\nconfigMapGenerator:\n{generators}", resources.join(", ")),
    );
    put(
        &mut files,
        "top/kustomization.yaml",
        "resources: [../base]\nnamespace: shop\nnamePrefix: p-\nnameSuffix: -s\ncommonLabels: {a: b}\npatches:\n- target: {kind: Deployment, name: app1.*}\n  patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: any}\n    spec: {template: {spec: {containers: [{name: main, tty: true}]}}}\n",
    );
    assert_alike(&files, &["top"]);
}
