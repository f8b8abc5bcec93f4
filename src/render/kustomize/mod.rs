//! Kustomize: what `kustomize build` prints for a tree, byte for byte, as a pure function of the tree.

use super::helm::Helm;
use super::limits::RenderLimits;
use super::recorder::Recorder;
use super::remote::{RemoteBases, Remotes};

mod accumulate;
mod associative;
pub mod build_metadata;
pub mod config;
mod crds;
pub mod decode;
mod defaults;
mod emit;
pub mod error;
pub mod external;
mod field_path;
pub mod field_spec;
mod folded;
mod generators;
mod go_json;
mod hash;
pub mod helm;
pub mod images;
pub mod json;
mod json_patch;
mod key_values;
mod kind_list;
pub mod kustomization;
pub mod label_selector;
pub mod labels;
pub mod load;
mod map;
pub mod names;
pub mod namespace;
mod notes;
mod openapi;
pub mod order;
pub mod overrides;
mod patches;
mod pattern;
pub mod read;
mod read_scalar;
pub mod references;
mod renderer;
mod replacements;
pub mod replicas;
pub mod resource;
mod scalar;
pub mod schema;
mod selector;
mod shared;
pub mod strategic_merge;
mod structured;
mod styled;
pub mod value;
pub mod value_add;
mod var_references;
mod vars;
pub mod write;

pub use error::{ErrorKind, KustomizeError};
pub use load::LoadRestriction;
pub use order::Order;
pub use renderer::Kustomize;
pub use resource::Resource;

use accumulate::{Accumulator, Builder};
use build_metadata::Origin;
use load::Loader;
use openapi::SchemaState;
use overrides::Overrides;
use schema::Schema;

/// What a build depends on beside the tree.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions<'t> {
    /// Which files kustomizations may read.
    pub load_restriction: LoadRestriction,
    /// What is changed in the kustomization that is built.
    pub overrides: Overrides,
    /// Order of the output, if the kustomization says nothing about it.
    pub order: Order,
    /// Whether all resources get the label that says who manages them.
    pub managed_by_label: bool,
    /// Which other repositories may be built on.
    pub remote_bases: RemoteBases,
    /// The commits of them that are at hand.
    pub remotes: Remotes<'t>,
    /// Whether Helm charts may be rendered.
    pub helm: Helm,
}

/// Builds the kustomization in the folder `path`. Everything is read through `tree`.
pub fn build(
    tree: &mut Recorder<'_>,
    path: &str,
    options: &BuildOptions<'_>,
    limits: &RenderLimits,
) -> Result<Vec<Resource>, KustomizeError> {
    let loader = Loader::new(tree, limits, options);
    let mut builder = Builder {
        loader,
        schema: Schema::built_in_shared(),
        schema_state: SchemaState::default(),
        open: Vec::new(),
        namespaces: Vec::new(),
    };
    let root = builder.loader.real_folder(path)?;
    let Some(mut target) = builder.target(root, None)? else {
        return Err(KustomizeError::new(format!(
            "there is no kustomization in `{path}`; add a `kustomization.yaml`, or correct the path"
        )));
    };
    builder.apply_overrides(&mut target, &options.overrides)?;
    if !target.kustomization.build_metadata.is_empty() {
        target.origin = Some(Origin::default());
    }
    let built = builder.accumulate(&target, Accumulator::default())?;
    let in_file = |error: KustomizeError| error.in_file(&target.file);
    let mut resources = builder.finish(built).map_err(in_file)?;
    let sort_options = target.kustomization.sort_options.as_ref();
    if sort_options.is_some() || options.order == Order::Legacy {
        order::sort(&mut resources, sort_options).map_err(in_file)?;
    }
    build_metadata::finish(&mut resources, &target.kustomization, options.managed_by_label)
        .map_err(|error| in_file(error.into()))?;
    Ok(resources.list)
}

/// The resources as `kustomize build` prints them: documents separated by `---`.
pub fn to_yaml(resources: &[Resource]) -> Result<String, KustomizeError> {
    let mut text = String::new();
    for resource in resources {
        if !text.is_empty() {
            text.push_str("---\n");
        }
        write::append_yaml(&resource.value, &mut text).map_err(|error| KustomizeError {
            field: format!("{}: {}", resource.describe(), error.path),
            ..KustomizeError::new(error.reason)
        })?;
    }
    Ok(text)
}
