//! Kustomizations as sources of Applications.

use super::error::{ErrorKind, KustomizeError};
use super::json::to_json;
use super::overrides::Overrides;
use super::{BuildOptions, build};
use crate::engine::application::Source;
use crate::engine::desired::{Manifest, Origin};
use crate::engine::event::RenderFailure;
use crate::render::manifest::Collector;
use crate::render::recorder::Recorder;
use crate::render::{RenderContext, RenderError, Renderer, TreeError, content, invalid_spec, unreadable};

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
        context: &RenderContext<'_>,
    ) -> Result<Vec<Manifest>, RenderError> {
        let expand = |text: &str| tree.expand(text, &context.environment);
        let overrides = source.kustomize.as_ref().map(|value| Overrides::parse(value, expand)).transpose();
        let overrides = overrides.map_err(|error| in_spec(&error))?;
        let options = BuildOptions {
            overrides: overrides.unwrap_or_default(),
            load_restriction: context.options.load_restriction,
            order: context.options.order,
            remote_bases: context.options.remote_bases.clone(),
            remotes: context.remotes.clone(),
            ..BuildOptions::default()
        };
        let limits = &context.options.limits;
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

fn failure(error: KustomizeError) -> RenderError {
    match (error.need(), &error.kind) {
        (Some(need), _) => RenderError::Needs(Box::new(need)),
        (_, ErrorKind::Options) => in_spec(&error).into(),
        (_, ErrorKind::Tree) => unreadable(TreeError { message: error.reason }).into(),
        _ => content(error.to_string()).into(),
    }
}
