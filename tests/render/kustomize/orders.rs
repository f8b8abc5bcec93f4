//! The orders of the output, over all kinds that have a place in them.

use std::fmt::Write as _;

use driftless::render::kustomize::{BuildOptions, Order, build, to_yaml};
use driftless::render::memory::MemoryTree;
use driftless::render::{Recorder, RenderLimits};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;

use super::program::{run, tool};

/// API version and kind of what is ordered, each twice or more.
const KINDS: [&str; 34] = [
    "v1 Namespace",
    "v1 ResourceQuota",
    "storage.k8s.io/v1 StorageClass",
    "apiextensions.k8s.io/v1 CustomResourceDefinition",
    "v1 ServiceAccount",
    "policy/v1beta1 PodSecurityPolicy",
    "rbac.authorization.k8s.io/v1 Role",
    "rbac.authorization.k8s.io/v1 ClusterRole",
    "rbac.authorization.k8s.io/v1 RoleBinding",
    "rbac.authorization.k8s.io/v1 ClusterRoleBinding",
    "v1 ConfigMap",
    "v1 Secret",
    "v1 Endpoints",
    "v1 Service",
    "v1 LimitRange",
    "scheduling.k8s.io/v1 PriorityClass",
    "v1 PersistentVolume",
    "v1 PersistentVolumeClaim",
    "apps/v1 Deployment",
    "apps/v1 StatefulSet",
    "batch/v1 CronJob",
    "policy/v1 PodDisruptionBudget",
    "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration",
    "admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration",
    "apps/v1 DaemonSet",
    "batch/v1 Job",
    "networking.k8s.io/v1 Ingress",
    "v1 Pod",
    "example.com/v1 Thing",
    "example.com/v2 Thing",
    "example.org/v1 Thing",
    "example.com/v1 Namespace",
    "example.com/v1 Secret",
    "serving.knative.dev/v1 Service",
];

/// All kinds in a random order, in a base and an overlay.
fn tree(seed: u64, options: &str) -> MemoryTree {
    let mut all = Vec::new();
    for kind in KINDS {
        for (name, namespace) in [("b", "y"), ("a", "z"), ("c", "x")] {
            let (version, kind) = kind.split_once(' ').unwrap();
            all.push(format!(
                "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
            ));
        }
    }
    all.shuffle(&mut rand::rngs::StdRng::seed_from_u64(seed));
    let (base, own) = all.split_at(all.len() / 2);
    let mut kustomization = String::from("resources: [../base, all.yaml]\n");
    write!(kustomization, "{options}").unwrap();
    MemoryTree::of([
        ("app/kustomization.yaml", kustomization.as_str()),
        ("app/all.yaml", own.join("---\n").as_str()),
        ("base/kustomization.yaml", "resources: [all.yaml]\n"),
        ("base/all.yaml", base.join("---\n").as_str()),
    ])
}

fn ours(tree: &MemoryTree, order: Order) -> String {
    let options = BuildOptions { order, ..BuildOptions::default() };
    let resources = build(&mut Recorder::new(tree), "app", &options, &RenderLimits::default());
    to_yaml(&resources.unwrap()).unwrap()
}

fn theirs(seed: u64, options: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let tree = tree(seed, options);
    for path in ["app/kustomization.yaml", "app/all.yaml", "base/kustomization.yaml", "base/all.yaml"] {
        let entry = driftless::render::Tree::lookup(&tree, path).unwrap().unwrap();
        let file = folder.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, driftless::render::Tree::read(&tree, &entry.id).unwrap()).unwrap();
    }
    run(&tool("kustomize"), folder.path(), "app", &[]).unwrap()
}

#[test]
fn the_orders_by_option_are_those_that_a_kustomization_can_name() {
    for seed in 0..8 {
        let plain = tree(seed, "");
        let legacy = theirs(seed, "sortOptions: {order: legacy}\n");
        assert_eq!(ours(&plain, Order::Legacy), legacy, "seed {seed}");
        let fifo = theirs(seed, "sortOptions: {order: fifo}\n");
        assert_eq!(ours(&plain, Order::Fifo), fifo, "seed {seed}");
        assert_ne!(legacy, fifo);
        // What the kustomization names wins over the option, and the program sorts without both.
        assert_eq!(ours(&tree(seed, "sortOptions: {order: fifo}\n"), Order::Legacy), fifo, "seed {seed}");
        assert_eq!(theirs(seed, ""), legacy, "seed {seed}");
    }
}
