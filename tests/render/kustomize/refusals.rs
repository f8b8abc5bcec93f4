//! What kustomize builds and we refuse on purpose, as README says.

use std::fs;

use driftless::render::memory::MemoryTree;

use super::ours::ours;
use super::program::{run, tool};

/// Both build the root of a tree: the program succeeds, and our error has all of `parts`.
#[track_caller]
fn assert_refused(files: &[(&str, &str)], parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        fs::write(folder.path().join(path), content).unwrap();
    }
    run(&tool("kustomize"), folder.path(), ".", &[]).unwrap();
    let error = ours(&MemoryTree::of(files.iter().copied()), ".", false).unwrap_err();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

/// Kustomize hashes its own parser's nodes there, with the lines and columns that they had in their files.
#[test]
fn hashes_of_other_kinds_than_maps_and_secrets() {
    let generator = "configMapGenerator: [{name: db, literals: [a=b]}]\n";
    for patch in [
        "patches:\n- target: {kind: ConfigMap}\n  options: {allowKindChange: true}\n  patch: '{apiVersion: v1, kind: Renamed, metadata: {name: any}}'\n",
        "patches:\n- target: {kind: ConfigMap}\n  patch: '[{\"op\": \"replace\", \"path\": \"/kind\", \"value\": \"Renamed\"}]'\n",
    ] {
        let kustomization = format!("{generator}{patch}");
        let files = [("kustomization.yaml", kustomization.as_str())];
        assert_refused(&files, &["kustomization.yaml", "Renamed db", "disableNameSuffixHash"]);
        let unhashed = format!("{kustomization}generatorOptions: {{disableNameSuffixHash: true}}\n");
        assert!(ours(&MemoryTree::of([("kustomization.yaml", unhashed.as_str())]), ".", false).is_ok());
    }
}
