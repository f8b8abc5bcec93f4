//! Our own build, as the tests of this folder call it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use driftless::render::kustomize::{BuildOptions, LoadRestriction, build, to_yaml};
use driftless::render::memory::MemoryTree;
use driftless::render::{Recorder, RenderLimits};

use super::program::Answer;

/// Builds the folder `path` of a tree. A panic is an answer that begins with the word.
pub(super) fn ours(tree: &MemoryTree, path: &str, unrestricted: bool) -> Answer {
    let load_restriction = if unrestricted { LoadRestriction::None } else { LoadRestriction::RootOnly };
    let path: Vec<_> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let path = path.join("/");
    catch_unwind(AssertUnwindSafe(|| {
        let mut recorder = Recorder::new(tree);
        build(
            &mut recorder,
            &path,
            &BuildOptions { load_restriction, ..BuildOptions::default() },
            &RenderLimits::default(),
        )
        .and_then(|resources| to_yaml(&resources))
        .map_err(|error| error.to_string())
    }))
    .unwrap_or_else(|_| Err("panic".to_owned()))
}
