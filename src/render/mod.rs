//! Rendering: a pure function of (tree, source) to manifests, with the look-ups it made.
//!
//! No files, no network, no clock: a [`Tree`] stands for the repository at one commit, and everything that is read of it
//! goes through a recorder, so that the result can be memoized by the ids of what was read.

use std::sync::Arc;

use serde_json::json;

use crate::engine::application::Source;
use crate::engine::desired::{Manifest, RenderInputs};
use crate::engine::event::{RenderFailure, RenderFailureReason};
use crate::engine::hash::{Hash, canonical};
use crate::engine::redact::truncate;

pub mod directory;
mod documents;
pub mod environment;
pub mod glob;
pub mod helm;
pub mod kustomize;
pub mod limits;
mod manifest;
pub mod memory;
mod parse;
pub mod recorder;
pub mod remote;
mod source_files;
pub mod walk;

pub use limits::RenderLimits;
pub use recorder::{Recorder, unchanged};

use environment::Environment;
use kustomize::{LoadRestriction, Order};
use remote::{Need, RemoteBases, Remotes};

use source_files::Merged;
use walk::{Filter, Found, Tool, WalkError, tool};

/// The repository at one commit. Paths are relative to its root, separated by `/`, without `.` and `..` parts; the root
/// is the empty path. Symbolic links are entries of kind [`EntryKind::Link`], whose content is their target; a look-up never
/// follows them.
pub trait Tree {
    /// What is at `path`; `None` if nothing is. The root is a folder, even if it is empty.
    fn lookup(&self, path: &str) -> Result<Option<Entry>, TreeError>;
    /// The entries of the folder at `path`, ordered by name. An error if there is no folder.
    fn list(&self, path: &str) -> Result<Vec<(Arc<str>, Entry)>, TreeError>;
    /// The content of the blob `id`.
    fn read(&self, id: &str) -> Result<Vec<u8>, TreeError>;
    /// Size of the blob `id` in bytes. Where a tree can tell it without reading, a file beyond the limit is never read.
    fn size(&self, id: &str) -> Result<u64, TreeError> {
        Ok(self.read(id)?.len() as u64)
    }
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Object id, hexadecimal.
    pub id: Arc<str>,
}

/// Kinds of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A submodule.
    Submodule,
}

/// Why a tree can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TreeError {
    /// What is wrong and what to do.
    pub message: String,
}

/// The result of a rendering.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rendering {
    /// The manifests, in the order in which they stand in Git.
    pub manifests: Vec<Manifest>,
    /// What was read.
    pub inputs: RenderInputs,
}

/// Result of a render.
pub type RenderResult = Result<Rendering, RenderError>;

/// Why a rendering has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenderError {
    /// It has none.
    Failed(RenderFailure),
    /// It has none yet: the commit is to be put into [`RenderContext::remotes`].
    Needs(Box<Need>),
}

impl From<RenderFailure> for RenderError {
    fn from(failure: RenderFailure) -> Self {
        Self::Failed(failure)
    }
}

impl RenderError {
    /// The failure, for those who can't fetch anything.
    pub fn into_failure(self) -> RenderFailure {
        match self {
            Self::Failed(failure) => failure,
            Self::Needs(need) => {
                unreadable(TreeError { message: format!("{}{} is not at hand", need.place, need.remote) })
            }
        }
    }
}

/// How the agent renders, by its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenderOptions {
    /// Bounds.
    pub limits: RenderLimits,
    /// Which files kustomizations may read.
    pub load_restriction: LoadRestriction,
    /// Order of what a kustomization makes, if it names none. Flux builds with the legacy order as well, and without
    /// [`Self::load_restriction`].
    pub order: Order,
    /// Which other repositories kustomizations may build on.
    pub remote_bases: RemoteBases,
}

/// What a rendering depends on beside the tree and the source.
#[derive(Clone, Debug, Default)]
pub struct RenderContext<'t> {
    /// Settings.
    pub options: RenderOptions,
    /// The application.
    pub environment: Environment,
    /// The commits of other repositories that are at hand.
    pub remotes: Remotes<'t>,
}

/// One way to make manifests of a folder.
pub trait Renderer: Sync {
    /// Its name as Argo CD tells it in `status.sourceType`.
    fn name(&self) -> &'static str;
    /// Counted up when the same input gives another result. Part of the memo.
    fn version(&self) -> u32;
    /// Renders the folder `path`. Everything that the result depends on beside `source` is read through `tree`.
    fn render(
        &self,
        tree: &mut Recorder<'_>,
        path: &str,
        source: &Source,
        context: &RenderContext<'_>,
    ) -> Result<Vec<Manifest>, RenderError>;
}

/// All renderers.
const RENDERERS: [&dyn Renderer; 2] = [&directory::Directory, &kustomize::Kustomize];

/// Renders `source` at one commit. The repository and the revision of the source are the caller's: `tree` is what they
/// stand for.
pub fn render(tree: &dyn Tree, source: &Source, context: &RenderContext<'_>) -> RenderResult {
    let path = source_path(source)?;
    let mut recorder = Recorder::new(tree);
    let (merged, markers) = merged(tree, &mut recorder, &path, source, context)?;
    let rendered = pick(&merged.source, &path, &markers).map_err(RenderError::from).and_then(|renderer| {
        let manifests = renderer.render(&mut recorder, &path, &merged.source, context)?;
        Ok((renderer, manifests))
    });
    let (renderer, manifests) = rendered.map_err(|error| merged.blame(error))?;
    Ok(Rendering { manifests, inputs: recorder.finish(options(source, &context.options), renderer.name()) })
}

/// Hash over what a rendering depends on beside the tree: the options of the source, the settings that give another result
/// (bounds only give errors), and the renderers with their versions. [`render`] puts it into [`RenderInputs::options`].
///
/// Other repositories are in it by the settings alone: their commits stand in the files that were read.
pub fn options(source: &Source, options: &RenderOptions) -> Hash {
    // What of the source says which tree it is goes in through the ids that were read.
    let mut source = source.clone();
    source.repo_url.clear();
    source.target_revision = None;
    let renderers: Vec<_> = RENDERERS.iter().map(|renderer| (renderer.name(), renderer.version())).collect();
    let mut text = Vec::new();
    let settings = json!({
        "unrestricted": options.load_restriction == LoadRestriction::None,
        "fifo": options.order == Order::Fifo,
        "remoteBases": options.remote_bases.urls(),
    });
    canonical(&json!({"source": source, "renderers": renderers, "settings": settings}), &mut text);
    Hash::of(&text)
}

/// The folder that a source names, in the form of [`Tree`]'s paths.
fn source_path(source: &Source) -> Result<String, RenderFailure> {
    let path = source.path.as_deref().unwrap_or_default();
    if path.starts_with('/') {
        return Err(invalid_spec(format!(
            "spec.source.path: {path:?} is absolute; write it relative to the repository's root"
        )));
    }
    if path.contains('\0') || path.split('/').any(|part| part == "..") {
        return Err(invalid_spec(format!(
            "spec.source.path: {path:?} leaves the repository; `..` is not allowed in it"
        )));
    }
    let parts: Vec<_> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    Ok(parts.join("/"))
}

/// The source with what files in its folder change in it, and the files that tell the tool, if no block of it does.
fn merged(
    tree: &dyn Tree,
    recorder: &mut Recorder<'_>,
    path: &str,
    source: &Source,
    context: &RenderContext<'_>,
) -> Result<(Merged, Vec<Found>), RenderFailure> {
    let (limits, application) = (&context.options.limits, &*context.environment.name);
    let mut select = |tools| {
        let filter = Filter::Markers { tools, application: application.to_owned() };
        let markers = recorder.select(path, &filter, limits);
        markers.map_err(|error| walk_failure(error, path, limits))?.ok_or_else(|| explain_missing(tree, path))
    };
    let undetected = |source: &Source| source.directory.is_none() && source.kustomize.is_none();
    let tools = undetected(source);
    let mut markers = select(tools)?;
    let merged = Merged::of(tree, path, source, (&markers, application), limits)?;
    if !undetected(&merged.source) {
        markers.clear();
    } else if !tools {
        markers = select(true)?;
    }
    Ok((merged, markers))
}

/// Picks the renderer as Argo CD does: by an explicit block of the source, else by a `Chart.yaml`, else by a
/// kustomization, else plain manifests. What Driftless has no renderer for is refused by name.
fn pick(source: &Source, path: &str, markers: &[Found]) -> Result<&'static dyn Renderer, RenderFailure> {
    explicit(source)?;
    if let Some(chart) = markers.iter().find(|marker| tool(&marker.relative) == Some(Tool::Helm)) {
        let file = walk::join(path, &chart.relative);
        return Err(invalid_spec(format!(
            "`{file}` needs the Helm renderer, which Driftless doesn't have yet; commit the rendered manifests, or set spec.source.directory to read the folder as plain manifests"
        )));
    }
    let kustomization = markers.iter().any(|marker| tool(&marker.relative) == Some(Tool::Kustomize));
    if source.kustomize.is_some() || kustomization {
        return Ok(&kustomize::Kustomize);
    }
    Ok(&directory::Directory)
}

/// Refuses the explicit blocks that no renderer serves.
fn explicit(source: &Source) -> Result<(), RenderFailure> {
    let jsonnet = source.directory.as_ref().is_some_and(|directory| directory.jsonnet.is_some());
    let unsupported = [
        ("chart", source.chart.is_some(), "Helm"),
        ("helm", source.helm.is_some(), "Helm"),
        ("plugin", source.plugin.is_some(), "config management plugin"),
        ("directory.jsonnet", jsonnet, "jsonnet"),
    ];
    for (field, given, renderer) in unsupported {
        if given {
            return Err(invalid_spec(format!(
                "spec.source.{field} needs the {renderer} renderer, which Driftless doesn't have yet; commit the rendered manifests and point spec.source.path at them"
            )));
        }
    }
    if source.kustomize.is_some() && source.directory.is_some() {
        return Err(invalid_spec(
            "spec.source.kustomize and spec.source.directory exclude each other; remove one of them".to_owned(),
        ));
    }
    if source.reference.is_some() {
        return Err(invalid_spec(
            "spec.source.ref names a source for the values of another one, which Driftless doesn't support yet; remove it".to_owned(),
        ));
    }
    Ok(())
}

fn missing_path(path: &str) -> RenderFailure {
    content(format!(
        "there is no folder `{path}` in this revision; correct spec.source.path, or bring the folder back. Nothing is deleted"
    ))
}

/// Why there is no folder at `path`: something else may be there, or above it.
fn explain_missing(tree: &dyn Tree, path: &str) -> RenderFailure {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        let above = path.get(..end).unwrap_or(path);
        let what = match tree.lookup(above) {
            Err(error) => return unreadable(error),
            Ok(None) => break,
            Ok(Some(entry)) => match entry.kind {
                EntryKind::Folder => continue,
                EntryKind::File => "a file",
                EntryKind::Link => "a symbolic link, which is not followed there",
                EntryKind::Submodule => "a Git submodule, which Driftless doesn't read",
            },
        };
        return content(format!("spec.source.path is `{path}`, but `{above}` is {what}; point it at a folder"));
    }
    missing_path(path)
}

fn walk_failure(error: WalkError, path: &str, limits: &RenderLimits) -> RenderFailure {
    match error {
        WalkError::Tree(error) => unreadable(error),
        WalkError::TooDeep(folder) => limit(
            format!(
                "`{}` is more than {} folders below the source's path",
                walk::join(path, &folder),
                limits.max_folder_depth
            ),
            RenderLimits::MAX_FOLDER_DEPTH,
        ),
        WalkError::TooMany => {
            limit(format!("the source has more than {} manifest files", limits.max_files), RenderLimits::MAX_FILES)
        }
    }
}

fn content(message: String) -> RenderFailure {
    RenderFailure { reason: RenderFailureReason::Content, message: truncate(message) }
}

fn invalid_spec(message: String) -> RenderFailure {
    RenderFailure { reason: RenderFailureReason::InvalidSpec, message: truncate(message) }
}

fn unreadable(error: TreeError) -> RenderFailure {
    RenderFailure { reason: RenderFailureReason::Source, message: truncate(error.message) }
}

fn limit(what: String, setting: &str) -> RenderFailure {
    content(format!("{what}; make it smaller, or raise the setting {setting}"))
}
