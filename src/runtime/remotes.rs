//! Other repositories that kustomizations build on. Rendering asks for one commit after the other; here they are got.

use crate::render::Tree;
use crate::render::remote::{Need, Remote, Remotes};

/// Calls `build` with the commits that are at hand, until it asks for none that isn't. `needed` tells what an error asks for,
/// `open` gets it. Ends, for a build asks for a commit only while fewer than
/// [`MAX_REMOTES`](crate::render::remote::MAX_REMOTES) are at hand.
pub(crate) fn with_remotes<T, E>(
    mut build: impl FnMut(Remotes<'_>) -> Result<T, E>,
    needed: impl Fn(&E) -> Option<Need>,
    mut open: impl FnMut(&Need) -> Result<Box<dyn Tree>, E>,
) -> Result<T, E> {
    let mut trees: Vec<(Remote, Box<dyn Tree>)> = Vec::new();
    loop {
        let mut remotes = Remotes::default();
        for (remote, tree) in &trees {
            remotes.insert(remote.clone(), &**tree);
        }
        let error = match build(remotes) {
            Err(error) => error,
            built => return built,
        };
        match needed(&error) {
            Some(need) if trees.iter().all(|(remote, _)| *remote != need.remote) => {
                trees.push((need.remote.clone(), open(&need)?));
            }
            _ => return Err(error),
        }
    }
}
