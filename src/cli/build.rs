//! `driftless build`: what a kustomization renders to, for comparison with `kustomize build`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use clap::{Args, ValueEnum};

use super::disk::DiskTree;
use super::error::CommandError;
use super::helm::{HelmProgram, Scratch};
use super::output;
use crate::engine::revision::resolve;
use crate::git::{GitLimits, Mirrors};
use crate::render::kustomize::{self, BuildOptions, KustomizeError, Order};
use crate::render::remote::{Need, RemoteBases};
use crate::render::{Recorder, RenderLimits, Tree};
use crate::runtime::remotes::with_remotes;
use crate::runtime::settings::LoadRestrictor;

#[derive(Debug, Args)]
pub(super) struct Build {
    /// Folder with the kustomization
    #[arg(default_value = ".", value_name = "DIR", conflicts_with = "git")]
    folder: PathBuf,
    /// Which files kustomizations may read
    #[arg(long, value_name = "RESTRICTION", default_value = "LoadRestrictionsRootOnly")]
    load_restrictor: LoadRestrictor,
    /// Let kustomizations render Helm charts that are in the repository, by calling the helm program
    #[arg(long)]
    enable_helm: bool,
    /// The program that renders Helm charts
    #[arg(long, value_name = "PROGRAM", default_value = "helm", requires = "enable_helm")]
    helm_command: String,
    /// Order of the output, if the kustomization names none
    #[arg(long, value_name = "ORDER", default_value = "legacy")]
    reorder: Reorder,
    /// Git repositories that kustomizations may build on: URLs with commas between, each for all below it
    #[arg(long, value_name = "URLS")]
    kustomize_remote_bases: Option<RemoteBases>,
    /// Give all resources the label app.kubernetes.io/managed-by
    #[arg(long)]
    enable_managedby_label: bool,
    /// File to write to instead of standard output; in a folder, one file for each resource
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Build from this repository instead of a folder on disk
    #[arg(long, value_name = "URL")]
    git: Option<String>,
    /// Branch, tag, range of versions or commit of the repository
    #[arg(long, value_name = "REVISION", default_value = "HEAD", requires = "git")]
    revision: String,
    /// Folder in the repository
    #[arg(long, value_name = "PATH", default_value = "", requires = "git")]
    path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Reorder {
    /// By kind, so that what others need comes first
    Legacy,
    /// As the resources were read and made
    None,
}

impl Build {
    /// Prints what the kustomization renders to.
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let cache = Scratch::new().map_err(CommandError::failure)?;
        let mirrors = Mirrors::new(cache.0.clone(), GitLimits::default());
        let resources = match &self.git {
            Some(url) => self.build_git(url, &mirrors)?,
            None => {
                let (tree, path) = DiskTree::around(&self.folder).map_err(|error| {
                    CommandError::failure(format_args!("{} can't be built: {error}", self.folder.display()))
                })?;
                self.build(&tree, &path, &mirrors)?
            }
        };
        match &self.output {
            None => output::print(&text(&resources)?),
            Some(folder) if folder.is_dir() => write_each(folder, &resources),
            Some(file) => write(file, &text(&resources)?).map(|()| ExitCode::SUCCESS),
        }
    }

    fn build(&self, tree: &dyn Tree, path: &str, mirrors: &Mirrors) -> Result<Vec<kustomize::Resource>, CommandError> {
        let options = BuildOptions {
            load_restriction: self.load_restrictor.into(),
            order: match self.reorder {
                Reorder::Legacy => Order::Legacy,
                Reorder::None => Order::Fifo,
            },
            managed_by_label: self.enable_managedby_label,
            remote_bases: self.kustomize_remote_bases.clone().unwrap_or_default(),
            ..BuildOptions::default()
        };
        let cancel = AtomicBool::new(false);
        let helm = self.enable_helm.then(|| HelmProgram::find(&self.helm_command)).transpose();
        let mut helm = helm.map_err(CommandError::failure)?;
        let build = |options: &BuildOptions<'_>| {
            kustomize::build(&mut Recorder::new(tree), path, options, &RenderLimits::default())
        };
        let built = with_remotes(
            |remotes| {
                let options = BuildOptions { remotes, ..options.clone() };
                match &mut helm {
                    Some(helm) => helm.with(&options, build),
                    None => build(&options),
                }
            },
            KustomizeError::need,
            |Need { remote, place }| {
                let opened = mirrors.open(&remote.clone_url(), None, &remote.revision, None, &cancel);
                let opened = opened.map(|tree| Box::new(tree) as Box<dyn Tree>);
                opened.map_err(|error| KustomizeError::new(format!("{place}{}", error.message)))
            },
        );
        built.map_err(CommandError::failure)
    }

    fn build_git(&self, url: &str, mirrors: &Mirrors) -> Result<Vec<kustomize::Resource>, CommandError> {
        let cancel = AtomicBool::new(false);
        let refs = mirrors.list_refs(url, None, &cancel).map_err(|error| CommandError::failure(error.message))?;
        let found = resolve(&refs, &self.revision).map_err(CommandError::failure)?;
        let tree = mirrors
            .open(url, None, &found.revision, found.reference.as_deref(), &cancel)
            .map_err(|error| CommandError::failure(error.message))?;
        self.build(&tree, self.path.trim_matches('/'), mirrors)
    }
}

fn text(resources: &[kustomize::Resource]) -> Result<String, CommandError> {
    kustomize::to_yaml(resources).map_err(CommandError::failure)
}

fn write(file: &Path, text: &str) -> Result<(), CommandError> {
    fs::write(file, text)
        .map_err(|error| CommandError::failure(format_args!("{} can't be written: {error}", file.display())))
}

/// Writes each resource to a file of its own, with the names that `kustomize build` gives them.
fn write_each(folder: &Path, resources: &[kustomize::Resource]) -> Result<ExitCode, CommandError> {
    let namespaces: std::collections::BTreeSet<_> = resources.iter().map(kustomize::Resource::namespace).collect();
    for resource in resources {
        let gvk = resource.gvk();
        let parts = [gvk.group, gvk.version, gvk.kind, resource.name()];
        let mut name = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_").to_lowercase();
        if namespaces.len() > 1 && !resource.namespace().is_empty() {
            name = format!("{}_{name}", resource.namespace().to_lowercase());
        }
        write(&folder.join(format!("{name}.yaml").replace(['/', ':'], "-")), &text(std::slice::from_ref(resource))?)?;
    }
    Ok(ExitCode::SUCCESS)
}
