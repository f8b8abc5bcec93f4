//! Rendering of whole sources, over a tree in memory.

#![expect(clippy::unwrap_used, reason = "what goes wrong in a helper fails the test")]

mod argocd;
mod directory;
mod kustomize;
mod memo;
mod overrides;

use driftless::engine::application::{Directory, Source};
use driftless::engine::event::{RenderFailure, RenderFailureReason};
use driftless::engine::hash::Hash;
use driftless::render::memory::MemoryTree;
use driftless::render::{RenderContext, RenderError, RenderLimits, RenderOptions, Rendering, Tree};

/// A source with a path.
fn source(path: &str) -> Source {
    Source { path: Some(path.to_owned()), ..Source::default() }
}

/// A source with explicit options of a directory; empty patterns are none.
fn directory(path: &str, recurse: bool, include: &str, exclude: &str) -> Source {
    let pattern = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let directory = Directory { recurse, include: pattern(include), exclude: pattern(exclude), jsonnet: None };
    Source { directory: Some(directory), ..source(path) }
}

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
}

fn names(rendering: &Rendering) -> Vec<String> {
    let name = |manifest: &driftless::engine::desired::Manifest| {
        manifest.value["metadata"]["name"].as_str().unwrap_or_default().to_owned()
    };
    rendering.manifests.iter().map(name).collect()
}

/// Renders with these limits.
fn render(tree: &dyn Tree, source: &Source, limits: &RenderLimits) -> Result<Rendering, RenderFailure> {
    let options = RenderOptions { limits: *limits, ..RenderOptions::default() };
    let context = RenderContext { options, ..RenderContext::default() };
    driftless::render::render(tree, source, &context).map_err(RenderError::into_failure)
}

/// The hash of the options, with the settings as they are by default.
fn options(source: &Source) -> Hash {
    driftless::render::options(source, &RenderOptions::default())
}

fn rendered(tree: &MemoryTree, source: &Source) -> Rendering {
    render(tree, source, &RenderLimits::default()).unwrap()
}

fn failed(tree: &MemoryTree, source: &Source) -> RenderFailure {
    render(tree, source, &RenderLimits::default()).unwrap_err()
}

/// Asserts on reason and parts of the message.
fn assert_failure(failure: &RenderFailure, reason: RenderFailureReason, parts: &[&str]) {
    assert_eq!(failure.reason, reason, "{}", failure.message);
    for part in parts {
        assert!(failure.message.contains(part), "{part:?} is not in: {}", failure.message);
    }
}
