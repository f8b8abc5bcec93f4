//! The steps of a build: a kustomization's resources, generators, components and transformations, one after the other,
//! and what is done once at the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::build_metadata::Origin;
use super::config::Config;
use super::error::{ErrorKind, KustomizeError};
use super::images::set_image;
use super::kustomization::{Kustomization, Var};
use super::labels::{label_specs, set_entries};
use super::load::{Loader, resolve};
use super::names::{End, affix};
use super::namespace::{NamespaceOptions, set_namespace};
use super::openapi::SchemaState;
use super::overrides::Overrides;
use super::replicas::set_replicas;
use super::resource::{Resource, Resources};
use super::schema::Schema;
use super::{crds, generators, helm, kind_list, openapi, patches, references, replacements, vars};
use crate::render::limits::RenderLimits;
use crate::render::remote::is_remote;
use crate::render::walk::join;

/// How deep kustomizations build on each other.
const MAX_DEPTH: usize = 64;

/// Resources on their way through a build, and what was said about them.
#[derive(Clone, Debug, Default)]
pub(super) struct Accumulator {
    pub(super) resources: Resources,
    /// Fields that transformations are for. `None` as long as none were named.
    pub(super) config: Option<Arc<Config>>,
    pub(super) vars: BTreeMap<String, Var>,
}

impl Accumulator {
    fn merge_config(&mut self, more: &Arc<Config>) -> Result<(), KustomizeError> {
        match &mut self.config {
            None => self.config = Some(Arc::clone(more)),
            Some(config) if Arc::ptr_eq(config, more) => {}
            // Every configuration is the built-in one with additions.
            Some(_) if Arc::ptr_eq(more, &Config::built_in()) => {}
            Some(config) if Arc::ptr_eq(config, &Config::built_in()) => *config = Arc::clone(more),
            Some(config) => Arc::make_mut(config).merge(more)?,
        }
        Ok(())
    }

    /// Adds what another one has.
    fn merge(&mut self, other: Self) -> Result<(), KustomizeError> {
        self.resources.append(other.resources.list)?;
        if let Some(config) = &other.config {
            self.merge_config(config)?;
        }
        for (_, var) in other.vars {
            self.add_var(var)?;
        }
        Ok(())
    }

    pub(super) fn add_var(&mut self, var: Var) -> Result<(), KustomizeError> {
        if self.vars.contains_key(&var.name) {
            let reason = format!("the variable {:?} is defined twice; rename one of them", var.name);
            return Err(KustomizeError::new(reason).in_field("vars"));
        }
        self.vars.insert(var.name.clone(), var);
        Ok(())
    }
}

/// One kustomization of a build.
pub(super) struct Target {
    /// Its folder.
    pub(super) root: String,
    /// Path of its file.
    pub(super) file: String,
    /// Name of its file.
    pub(super) file_name: &'static str,
    pub(super) kustomization: Kustomization,
    /// Where its resources come from, if that is written down.
    pub(super) origin: Option<Origin>,
}

impl Target {
    /// The origin of what a field of it makes or changes.
    pub(super) fn built_in(&self, kind: &str) -> Option<Origin> {
        self.origin.as_ref().map(|origin| origin.built_in(self.file_name, kind))
    }
}

/// A build on its way.
pub(super) struct Builder<'a, 't> {
    pub(super) loader: Loader<'a, 't>,
    pub(super) schema: Arc<Schema>,
    pub(super) schema_state: SchemaState,
    /// Folders of the kustomizations that are being built, outermost first.
    pub(super) open: Vec<String>,
    /// The namespaces that they set, or else that those set which build on them.
    pub(super) namespaces: Vec<String>,
}

impl Builder<'_, '_> {
    /// Reads the kustomization in `root`.
    pub(super) fn target(&mut self, root: String, origin: Option<Origin>) -> Result<Option<Target>, KustomizeError> {
        let Some((file_name, text)) = self.loader.kustomization(&root)? else { return Ok(None) };
        let file = join(&root, file_name);
        let kustomization = Kustomization::parse(&text).map_err(|error| error.in_file(&file))?;
        let target = Target { root, file, file_name, kustomization, origin };
        openapi::apply(self, &target).map_err(|error| error.in_field("openapi").in_file(&target.file))?;
        Ok(Some(target))
    }

    /// Changes the kustomization that is built as the options of the build say.
    pub(super) fn apply_overrides(&mut self, target: &mut Target, overrides: &Overrides) -> Result<(), KustomizeError> {
        let options = |error: KustomizeError| KustomizeError { kind: ErrorKind::Options, ..error };
        overrides.apply(&mut target.kustomization).map_err(options)?;
        for path in &overrides.components {
            if target.kustomization.components.contains(path) {
                continue;
            }
            let missing = overrides.ignore_missing_components
                && !is_remote(path)
                && !self.loader.folder_exists(&resolve(&target.root, path).map_err(options)?)?;
            if !missing {
                target.kustomization.components.push(path.clone());
            }
        }
        Ok(())
    }

    /// Goes through the steps of one kustomization.
    pub(super) fn accumulate(&mut self, target: &Target, into: Accumulator) -> Result<Accumulator, KustomizeError> {
        if self.open.len() >= MAX_DEPTH {
            let reason = format!("kustomizations build on each other more than {MAX_DEPTH} levels deep");
            return Err(KustomizeError::new(reason).in_file(&target.file));
        }
        self.open.push(target.root.clone());
        let own = Some(&target.kustomization.namespace).filter(|namespace| !namespace.is_empty());
        self.namespaces.push(own.or_else(|| self.namespaces.last()).cloned().unwrap_or_default());
        let built = self.steps(target, into).map_err(|error| error.in_file(&target.file));
        self.open.pop();
        self.namespaces.pop();
        built
    }

    fn steps(&mut self, target: &Target, mut all: Accumulator) -> Result<Accumulator, KustomizeError> {
        let kustomization = &target.kustomization;
        for (index, path) in kustomization.resources.iter().enumerate() {
            let field = format!("resources[{index}]");
            self.resource_entry(target, path, &mut all).map_err(|error| error.in_field(&field))?;
        }
        let config = self.configurations(target)?;
        all.merge_config(&config).map_err(|error| error.in_field("configurations"))?;
        if !kustomization.crds.is_empty() {
            let config = crds::config(self, target)?;
            all.merge_config(&config).map_err(|error| error.in_field("crds"))?;
        }
        self.generate(target, &mut all)?;
        self.run_generators(target, &mut all)?;
        for (index, path) in kustomization.components.iter().enumerate() {
            let built = self.component(target, path, std::mem::take(&mut all));
            all = built.map_err(|error| error.in_field(&format!("components[{index}]")))?;
        }
        self.transform(target, &mut all)?;
        self.run_transformers(target, &mut all)?;
        self.run_validators(target, &mut all)?;
        vars::add(&mut all, &kustomization.vars)?;
        Ok(all)
    }

    /// Adds what an entry of `resources` names: a file, or a folder with a kustomization.
    pub(super) fn resource_entry(
        &mut self,
        target: &Target,
        path: &str,
        all: &mut Accumulator,
    ) -> Result<(), KustomizeError> {
        if is_remote(path) {
            if self.base(target, path, all)? {
                return Ok(());
            }
            return Err(KustomizeError::new(
                "the folder of the URL has no kustomization, or is not there; correct its path",
            ));
        }
        // What looks like a file is asked for as one first: to ask for a folder makes everything in it count as read.
        if [".yaml", ".yml", ".json"].iter().any(|end| path.ends_with(end)) {
            if self.resource_file(target, path, all)? {
                return Ok(());
            }
            if self.base(target, path, all)? {
                return Ok(());
            }
        } else {
            let folder = resolve(&target.root, path).is_ok() && self.base(target, path, all)?;
            if folder || self.resource_file(target, path, all)? {
                return Ok(());
            }
        }
        Err(KustomizeError::new(format!(
            "`{path}` is neither a file nor a folder with a kustomization; correct the path or add it"
        )))
    }

    fn resource_file(&mut self, target: &Target, path: &str, all: &mut Accumulator) -> Result<bool, KustomizeError> {
        let Some(text) = self.loader.text_if_there(&target.root, path)? else { return Ok(false) };
        let file = resolve(&target.root, path)?;
        let mut resources = self.parse(&text).map_err(|error| error.in_file(&file))?;
        if let Some(origin) = &target.origin {
            let origin = origin.below(path);
            resources.iter_mut().for_each(|resource| resource.origin = Some(origin.clone()));
        }
        all.resources.append(resources).map_err(|error| error.in_file(&file))?;
        self.count(&all.resources)?;
        Ok(true)
    }

    /// The resources that a text has.
    pub(super) fn parse(&mut self, text: &str) -> Result<Vec<Resource>, KustomizeError> {
        let resources = kind_list::resources(text, &self.schema)?;
        let known = |resource: &Resource| self.schema.is_namespaced(resource.api_version(), resource.kind()).is_some();
        self.schema_state.used |= !resources.iter().all(known);
        Ok(resources)
    }

    fn count(&self, resources: &Resources) -> Result<(), KustomizeError> {
        let limit = self.loader.limits().max_objects;
        if resources.list.len() > limit {
            let what = format!("the build has more than {limit} resources");
            return Err(KustomizeError::limit(what, RenderLimits::MAX_OBJECTS));
        }
        Ok(())
    }

    /// The folder of a kustomization that `target` builds on, which must not build on `target`, and the origin of what
    /// it has.
    fn folder(&mut self, target: &Target, path: &str) -> Result<(String, Option<Origin>), KustomizeError> {
        let (root, origin) = if is_remote(path) {
            let found = self.loader.remote_folder(path)?;
            (self.loader.real_folder(&found.path())?, target.origin.as_ref().map(|_| Origin::of_remote(&found)))
        } else {
            (
                self.loader.real_folder(&resolve(&target.root, path)?)?,
                target.origin.as_ref().map(|origin| origin.below(path)),
            )
        };
        let above = |open: &String| {
            root.is_empty() || *open == root || open.strip_prefix(&root).is_some_and(|rest| rest.starts_with('/'))
        };
        if let Some(open) = self.open.iter().find(|open| above(open)) {
            return Err(KustomizeError::new(format!(
                "`{root}` is or holds `{open}`, which builds on it: a cycle; name a folder beside it"
            )));
        }
        Ok((root, origin))
    }

    fn base(&mut self, target: &Target, path: &str, all: &mut Accumulator) -> Result<bool, KustomizeError> {
        let (root, origin) = self.folder(target, path)?;
        let Some(base) = self.target(root, origin)? else { return Ok(false) };
        if base.kustomization.is_component() {
            return Err(KustomizeError::new(format!("`{path}` is a component; name it under `components`")));
        }
        let built = self.accumulate(&base, Accumulator::default())?;
        all.merge(built)?;
        self.count(&all.resources)?;
        Ok(true)
    }

    fn component(&mut self, target: &Target, path: &str, all: Accumulator) -> Result<Accumulator, KustomizeError> {
        let (root, origin) = self.folder(target, path)?;
        let Some(component) = self.target(root, origin)? else {
            return Err(KustomizeError::new(format!("`{path}` is no folder with a kustomization; correct the path")));
        };
        if !component.kustomization.is_component() {
            return Err(KustomizeError::new(format!("`{path}` is no component; name it under `resources`")));
        }
        self.accumulate(&component, all)
    }

    /// The fields that the transformations of `target` are for.
    fn configurations(&mut self, target: &Target) -> Result<Arc<Config>, KustomizeError> {
        let mut config = Config::built_in();
        let mut own = Config::default();
        for (index, path) in target.kustomization.configurations.iter().enumerate() {
            let text = self.loader.text(&target.root, path);
            let merged = text.and_then(|text| {
                let parsed = Config::parse(&text)?;
                own.merge(&parsed)
            });
            merged.map_err(|error| {
                error
                    .in_file(&resolve(&target.root, path).unwrap_or_default())
                    .in_field(&format!("configurations[{index}]"))
            })?;
        }
        if !target.kustomization.configurations.is_empty() {
            Arc::make_mut(&mut config).merge(&own).map_err(|error| error.in_field("configurations"))?;
        }
        Ok(config)
    }

    fn generate(&mut self, target: &Target, all: &mut Accumulator) -> Result<(), KustomizeError> {
        let kustomization = &target.kustomization;
        let generators = [
            ("configMapGenerator", "ConfigMap", &kustomization.config_map_generator),
            ("secretGenerator", "Secret", &kustomization.secret_generator),
        ];
        for (field, kind, list) in generators {
            for (index, args) in list.iter().enumerate() {
                let args = generators::with_options(args, kustomization.generator_options.as_ref());
                let made = generators::generate(kind, &args, &target.root, &mut self.loader, &self.schema);
                let added = made.and_then(|mut resource| {
                    resource.origin = target.built_in(&format!("{kind}Generator"));
                    all.resources.absorb(resource)
                });
                added.map_err(|error| error.in_field(&format!("{field}[{index}]")))?;
            }
        }
        helm::generate(self, target, &mut all.resources)?;
        self.count(&all.resources)
    }

    /// The transformations of one kustomization, in their order.
    fn transform(&mut self, target: &Target, all: &mut Accumulator) -> Result<(), KustomizeError> {
        let kustomization = &target.kustomization;
        let config = all.config.clone().unwrap_or_else(Config::built_in);
        let resources = &mut all.resources;
        let note = |resources: &mut Resources, kind: &str| {
            if let Some(origin) = target.built_in(kind) {
                super::build_metadata::note(resources, &origin);
            }
        };
        if !kustomization.patches_strategic_merge.is_empty() {
            patches::apply_strategic(self, target, &kustomization.patches_strategic_merge, resources)?;
            note(resources, "PatchStrategicMergeTransformer");
        }
        for (index, patch) in kustomization.patches.iter().enumerate() {
            let field = format!("patches[{index}]");
            patches::apply(self, target, patch, resources).map_err(|error| error.in_field(&field))?;
            note(resources, "PatchTransformer");
        }
        if !kustomization.namespace.is_empty() {
            let options =
                NamespaceOptions { namespace: kustomization.namespace.clone(), ..NamespaceOptions::default() };
            set_namespace(resources, &options, &config.namespace)?;
            note(resources, "NamespaceTransformer");
        }
        for (end, text, specs, kind) in [
            (End::Prefix, &kustomization.name_prefix, &config.name_prefix, "PrefixTransformer"),
            (End::Suffix, &kustomization.name_suffix, &config.name_suffix, "SuffixTransformer"),
        ] {
            if !text.is_empty() {
                affix(resources, end, text, specs)?;
                note(resources, kind);
            }
        }
        self.label(target, &config, resources, &note)?;
        for (index, patch) in kustomization.patches_json6902.iter().enumerate() {
            let field = format!("patchesJson6902[{index}]");
            patches::apply_json6902(self, target, patch, resources).map_err(|error| error.in_field(&field))?;
            note(resources, "PatchJson6902Transformer");
        }
        for (index, replica) in kustomization.replicas.iter().enumerate() {
            set_replicas(resources, replica, &config.replicas)
                .map_err(|error| error.in_field(&format!("replicas[{index}]")))?;
            note(resources, "ReplicaCountTransformer");
        }
        for (index, image) in kustomization.images.iter().enumerate() {
            set_image(resources, image, &config.images).map_err(|error| error.in_field(&format!("images[{index}]")))?;
            note(resources, "ImageTagTransformer");
        }
        if !kustomization.replacements.is_empty() {
            replacements::apply(self, target, &kustomization.replacements, resources)?;
            note(resources, "ReplacementTransformer");
        }
        Ok(())
    }

    fn label(
        &self,
        target: &Target,
        config: &Config,
        resources: &mut Resources,
        note: &dyn Fn(&mut Resources, &str),
    ) -> Result<(), KustomizeError> {
        let kustomization = &target.kustomization;
        for (index, labels) in kustomization.labels.iter().enumerate() {
            let set = label_specs(labels, config).and_then(|specs| set_entries(resources, &labels.pairs, &specs));
            set.map_err(|error| error.in_field(&format!("labels[{index}]")))?;
            note(resources, "LabelTransformer");
        }
        if !kustomization.labels.is_empty() || !kustomization.common_labels.is_empty() {
            set_entries(resources, &kustomization.common_labels, &config.common_labels)
                .map_err(|error| error.in_field("commonLabels"))?;
            note(resources, "LabelTransformer");
        }
        if !kustomization.common_annotations.is_empty() {
            set_entries(resources, &kustomization.common_annotations, &config.common_annotations)
                .map_err(|error| error.in_field("commonAnnotations"))?;
            note(resources, "AnnotationsTransformer");
        }
        Ok(())
    }

    /// What is done once, at the end of a build.
    pub(super) fn finish(&mut self, mut all: Accumulator) -> Result<Resources, KustomizeError> {
        generators::add_hashes(&mut all.resources)?;
        if let Some(resource) = all.resources.list.iter().find(|resource| resource.has_lost_count()) {
            let reason = format!("{} had a name with a comma; give it one without", resource.describe());
            return Err(KustomizeError::new(reason));
        }
        let config = all.config.clone().unwrap_or_else(Config::built_in);
        references::update(&mut all.resources, &config)?;
        vars::resolve(&mut all, &config)?;
        let nameless = |resource: &&Resource| {
            let (kind, name) = (resource.kind(), resource.name());
            kind.is_empty() || name.is_empty() && !kind.ends_with("List")
        };
        if let Some(resource) = all.resources.list.iter().find(nameless) {
            let reason = format!("the build leaves {} without a kind or a name", resource.describe());
            return Err(KustomizeError::new(reason));
        }
        let local = |resource: &Resource| {
            let mut annotations = resource.metadata_entries("annotations");
            annotations.any(|(key, text)| key == "config.kubernetes.io/local-config" && text != "false")
        };
        all.resources.list.retain(|resource| !local(resource));
        match all.resources.twice() {
            Some(twice) => Err(KustomizeError::new(format!(
                "the build leaves {} twice; give one of them another name by what changed it",
                twice.describe()
            ))),
            None => Ok(all.resources),
        }
    }
}
