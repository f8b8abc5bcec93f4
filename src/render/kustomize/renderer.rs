//! Kustomizations as sources of Applications.

use super::error::{ErrorKind, KustomizeError};
use super::json::to_json;
use super::overrides::Overrides;
use super::{BuildOptions, build};
use crate::engine::application::Source;
use crate::engine::desired::{Manifest, Origin};
use crate::engine::event::RenderFailure;
use crate::render::limits::RenderLimits;
use crate::render::manifest::Collector;
use crate::render::recorder::Recorder;
use crate::render::{Renderer, TreeError, content, invalid_spec, unreadable};

/// Renderer of kustomizations.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kustomize;

impl Renderer for Kustomize {
    fn name(&self) -> &'static str {
        "Kustomize"
    }

    fn version(&self) -> u32 {
        2
    }

    fn render(
        &self,
        tree: &mut Recorder<'_>,
        path: &str,
        source: &Source,
        limits: &RenderLimits,
    ) -> Result<Vec<Manifest>, RenderFailure> {
        let overrides = source.kustomize.as_ref().map(Overrides::parse).transpose();
        let overrides = overrides.map_err(|error| in_spec(&error))?;
        let options = BuildOptions { overrides: overrides.unwrap_or_default(), ..BuildOptions::default() };
        let resources = build(tree, path, &options, limits).map_err(failure)?;
        let mut collector = Collector::new(limits);
        let folder = if path.is_empty() { "." } else { path };
        for (index, resource) in resources.iter().enumerate() {
            let value = to_json(&resource.value).map_err(|error| {
                let error = KustomizeError::from(error);
                content(format!("`{folder}`: {}: {error}", resource.describe()))
            })?;
            let document = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
            let origin = Origin { path: format!("kustomize build {folder}").into(), document, line: 1 };
            collector.document(value, &origin)?;
        }
        Ok(collector.finish())
    }
}

fn in_spec(error: &KustomizeError) -> RenderFailure {
    let dot = if error.field.is_empty() { "" } else { "." };
    invalid_spec(format!("spec.source.kustomize{dot}{}: {}", error.field, error.reason))
}

fn failure(error: KustomizeError) -> RenderFailure {
    match error.kind {
        ErrorKind::Content => content(error.to_string()),
        ErrorKind::Options => in_spec(&error),
        ErrorKind::Tree => unreadable(TreeError { message: error.reason }),
    }
}
