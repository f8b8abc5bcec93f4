// What the targets share: a build of a tree in memory, whose output is written as well. Limits are those of the agent.

use driftless::render::kustomize::{BuildOptions, build, to_yaml};
use driftless::render::memory::MemoryTree;
use driftless::render::{EntryKind, Recorder, RenderLimits};

/// Builds the root of a tree of these files. Errors are answers; a panic is what is looked for.
pub fn run(files: &[(&str, &[u8])]) {
    let mut tree = MemoryTree::default();
    for (path, content) in files {
        tree.put(path, EntryKind::File, content.to_vec());
    }
    if let Ok(resources) = build(&mut Recorder::new(&tree), "", &BuildOptions::default(), &RenderLimits::default()) {
        let _ = to_yaml(&resources);
    }
}

/// Something to change.
pub const DEPLOYMENT: &[u8] = b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {app: web}}\nspec:\n  \
    replicas: 1\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      \
    containers:\n      - {name: web, image: 'web:1', env: [{name: A, value: b}], ports: [{containerPort: 80}]}\n";
