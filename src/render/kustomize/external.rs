//! Generators, transformers and validators that are given as resources, in files or inline: those that kustomize has
//! built in. Programs, containers and plugins are refused.

use std::collections::BTreeMap;

use super::accumulate::{Accumulator, Builder, Target};
use super::build_metadata::{Origin, note};
use super::decode::{Decode, settings};
use super::error::KustomizeError;
use super::field_spec::FieldSpec;
use super::images::set_image;
use super::kustomization::{GeneratorArgs, Image, ObjectMeta, Patch, PatchOptions, Replacement, Replica, Selector};
use super::labels::set_entries;
use super::names::{End, affix};
use super::namespace::{NamespaceOptions, Subjects, set_namespace};
use super::replicas::set_replicas;
use super::resource::{Resource, Resources};
use super::value::{Map, Value};
use super::{generators, helm, patches, replacements, value_add};

/// API version of what kustomize has built in.
const BUILT_IN: &str = "builtin";

settings! {
/// What the built-in generators and transformers are told; each takes a few of these.
pub struct Settings {
    /// Its own name, and the namespace to set.
    "metadata" => metadata: ObjectMeta,
    /// The fields it is for.
    "fieldSpecs" => field_specs: Option<Vec<FieldSpec>>,
    /// Whether namespaces that are there stay.
    "unsetOnly" => unset_only: bool,
    /// Which subjects of role bindings get the namespace.
    "setRoleBindingSubjects" => subjects: String,
    /// Prefix.
    "prefix" => prefix: String,
    /// Suffix.
    "suffix" => suffix: String,
    /// Labels.
    "labels" => labels: BTreeMap<String, String>,
    /// Annotations.
    "annotations" => annotations: BTreeMap<String, String>,
    /// Image.
    "imageTag" => image: Image,
    /// Number of replicas.
    "replica" => replica: Replica,
    /// File with a patch.
    "path" => path: String,
    /// A patch.
    "patch" => patch: String,
    /// A JSON patch.
    "jsonOp" => json_patch: String,
    /// What a patch is for.
    "target" => target: Option<Selector>,
    /// What a patch may change.
    "options" => options: Option<PatchOptions>,
    /// Files with patches.
    "paths" => paths: Vec<String>,
    /// Patches.
    "patches" => patches: String,
    /// Values to copy.
    "replacements" => replacements: Vec<Replacement>,
}
}

/// The fields of [`Settings`] that each transformer takes. Others are passed over, as kustomize does.
const TRANSFORMERS: [(&str, &[&str]); 12] = [
    ("NamespaceTransformer", &["metadata", "fieldSpecs", "unsetOnly", "setRoleBindingSubjects"]),
    ("PrefixTransformer", &["prefix", "fieldSpecs"]),
    ("SuffixTransformer", &["suffix", "fieldSpecs"]),
    ("LabelTransformer", &["labels", "fieldSpecs"]),
    ("AnnotationsTransformer", &["annotations", "fieldSpecs"]),
    ("ImageTagTransformer", &["imageTag", "fieldSpecs"]),
    ("ReplicaCountTransformer", &["replica", "fieldSpecs"]),
    ("PatchTransformer", &["path", "patch", "target", "options"]),
    ("PatchStrategicMergeTransformer", &["paths", "patches"]),
    ("PatchJson6902Transformer", &["path", "jsonOp", "target"]),
    ("ReplacementTransformer", &["replacements"]),
    ("HashTransformer", &[]),
];

/// The fields of a generator that kustomize has built in.
const GENERATOR: [&str; 9] = ["name", "namespace", "behavior", "literals", "files", "envs", "env", "options", "type"];

impl Builder<'_, '_> {
    /// The resources that the entries of `generators`, `transformers` or `validators` are or name.
    fn external(&mut self, target: &Target, field: &str, entries: &[String]) -> Result<Vec<Resource>, KustomizeError> {
        let mut all = Accumulator::default();
        let mut paths = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            match self.parse(entry) {
                Ok(mut resources) => {
                    let origin = target.origin.as_ref().map(|origin| origin.below(target.file_name));
                    resources.iter_mut().for_each(|resource| resource.origin.clone_from(&origin));
                    all.resources.append(resources)?;
                }
                // What is no resource is a path.
                Err(_) => paths.push((index, entry)),
            }
        }
        for (index, path) in paths {
            self.resource_entry(target, path, &mut all)
                .map_err(|error| error.in_field(&format!("{field}[{index}]")))?;
        }
        for resource in &all.resources.list {
            refuse_programs(resource).map_err(|error| error.in_field(field))?;
        }
        Ok(all.resources.list)
    }

    /// Runs the entries of `generators`.
    pub(super) fn run_generators(&mut self, target: &Target, all: &mut Accumulator) -> Result<(), KustomizeError> {
        for config in self.external(target, "generators", &target.kustomization.generators)? {
            let made = self.run_generator(target, &config).and_then(|made| {
                made.into_iter().try_for_each(|mut made| {
                    made.origin = target.origin.as_ref().and_then(|_| Origin::of_plugin(&config));
                    all.resources.absorb(made)
                })
            });
            made.map_err(|error| error.in_field(&config.describe()).in_field("generators"))?;
        }
        Ok(())
    }

    fn run_generator(&mut self, target: &Target, config: &Resource) -> Result<Vec<Resource>, KustomizeError> {
        let kind = match config.kind() {
            helm::GENERATOR => {
                let (globals, chart) = helm::of_generator(config)?;
                return helm::inflate(self, target, &globals, &chart);
            }
            "ConfigMapGenerator" => "ConfigMap",
            "SecretGenerator" => "Secret",
            "IAMPolicyGenerator" => return Ok(vec![service_account(config, &self.schema)?]),
            other => return Err(unknown(other)),
        };
        let mut args = GeneratorArgs::decode(&known(&config.value, &GENERATOR))?;
        for (own, metadata) in [(&mut args.name, config.name()), (&mut args.namespace, config.namespace())] {
            if own.is_empty() {
                metadata.clone_into(own);
            }
        }
        if !args.env.is_empty() {
            args.envs.push(std::mem::take(&mut args.env));
        }
        Ok(vec![generators::generate(kind, &args, &target.root, &mut self.loader, &self.schema)?])
    }

    /// Runs the entries of `transformers`.
    pub(super) fn run_transformers(&mut self, target: &Target, all: &mut Accumulator) -> Result<(), KustomizeError> {
        for config in self.external(target, "transformers", &target.kustomization.transformers)? {
            self.run_transformer(target, &config, &mut all.resources)
                .map_err(|error| error.in_field(&config.describe()).in_field("transformers"))?;
            if let Some(origin) = target.origin.as_ref().and_then(|_| Origin::of_plugin(&config)) {
                note(&mut all.resources, &origin);
            }
        }
        Ok(())
    }

    /// Runs the entries of `validators`, which are transformers that must not change anything.
    pub(super) fn run_validators(&mut self, target: &Target, all: &mut Accumulator) -> Result<(), KustomizeError> {
        for config in self.external(target, "validators", &target.kustomization.validators)? {
            let in_field = |error: KustomizeError| error.in_field(&config.describe()).in_field("validators");
            let mut validated = all.resources.clone();
            self.run_transformer(target, &config, &mut validated).map_err(in_field)?;
            let values = |resources: &Resources| resources.list.iter().map(|one| one.value.clone()).collect::<Vec<_>>();
            if values(&validated) != values(&all.resources) {
                return Err(in_field(KustomizeError::new("a validator may not change resources, and this one does")));
            }
            all.resources = validated;
        }
        Ok(())
    }

    fn run_transformer(
        &mut self,
        target: &Target,
        config: &Resource,
        resources: &mut Resources,
    ) -> Result<(), KustomizeError> {
        let kind = config.kind();
        if kind == "ValueAddTransformer" {
            return value_add::apply(self, target, config, resources);
        }
        let Some((_, fields)) = TRANSFORMERS.iter().find(|(known, _)| *known == kind) else {
            return Err(unknown(kind));
        };
        let settings = Settings::decode(&known(&config.value, fields))?;
        let specs = settings.field_specs.as_deref();
        let specs_or_none = specs.unwrap_or_default();
        let needed = || specs.ok_or_else(|| KustomizeError::new("it needs `fieldSpecs`"));
        match kind {
            "NamespaceTransformer" => {
                let options = settings.namespace_options()?;
                if options.namespace.is_empty() {
                    return Ok(());
                }
                set_namespace(resources, &options, specs_or_none)
            }
            "PrefixTransformer" => affix(resources, End::Prefix, &settings.prefix, needed()?),
            "SuffixTransformer" => affix(resources, End::Suffix, &settings.suffix, needed()?),
            "LabelTransformer" => set_entries(resources, &settings.labels, specs_or_none),
            "AnnotationsTransformer" => set_entries(resources, &settings.annotations, specs_or_none),
            "ImageTagTransformer" => set_image(resources, &settings.image, specs_or_none),
            "ReplicaCountTransformer" => set_replicas(resources, &settings.replica, specs_or_none),
            "PatchTransformer" => patches::apply(self, target, &settings.patch(&settings.patch), resources),
            "PatchJson6902Transformer" => {
                patches::apply_json6902(self, target, &settings.patch(&settings.json_patch), resources)
            }
            "PatchStrategicMergeTransformer" => {
                let mut entries = settings.paths;
                entries.extend(Some(settings.patches).filter(|patches| !patches.is_empty()));
                patches::apply_strategic(self, target, &entries, resources)
            }
            "ReplacementTransformer" => replacements::apply(self, target, &settings.replacements, resources),
            _ => generators::add_hashes(resources),
        }
    }
}

impl Settings {
    fn patch(&self, patch: &str) -> Patch {
        Patch {
            path: self.path.clone(),
            patch: patch.to_owned(),
            target: self.target.clone(),
            options: self.options.clone(),
        }
    }

    fn namespace_options(&self) -> Result<NamespaceOptions, KustomizeError> {
        let subjects = match self.subjects.as_str() {
            "" | "defaultOnly" => Subjects::NamedDefault,
            "allServiceAccounts" => Subjects::ServiceAccounts,
            "none" => Subjects::None,
            _ => {
                return Err(KustomizeError::new("`defaultOnly`, `allServiceAccounts` or `none` is needed")
                    .in_field("setRoleBindingSubjects"));
            }
        };
        Ok(NamespaceOptions { namespace: self.metadata.namespace.clone(), unset_only: self.unset_only, subjects })
    }
}

/// What of `value` the fields are for.
pub(super) fn known(value: &Value, fields: &[&str]) -> Value {
    let entries = value.as_map().into_iter().flat_map(Map::iter);
    let known = entries.filter(|(key, _)| fields.iter().any(|field| field.eq_ignore_ascii_case(key)));
    Value::Map(known.map(|(key, value)| (key, value.clone())).collect())
}

fn unknown(kind: &str) -> KustomizeError {
    KustomizeError::new(format!("{kind} is not built into kustomize; correct the kind, or remove the entry"))
}

/// Refuses what would run a program.
fn refuse_programs(config: &Resource) -> Result<(), KustomizeError> {
    let mut annotations = config.metadata_entries("annotations");
    let function =
        annotations.any(|(key, _)| matches!(key, "config.kubernetes.io/function" | "config.k8s.io/function"));
    if !function && config.api_version() == BUILT_IN {
        return Ok(());
    }
    let what = if function { "a function, which is a program or a container" } else { "a plugin, which is a program" };
    Err(KustomizeError::new(format!(
        "{} is {what}, and programs are not run; commit what it makes, or use what kustomize has built in",
        config.describe()
    )))
}

/// The service account that an `IAMPolicyGenerator` makes.
fn service_account(config: &Resource, schema: &super::schema::Schema) -> Result<Resource, KustomizeError> {
    let text = |path: &[&str]| config.value.at(path).and_then(Value::text).unwrap_or_default();
    if text(&["cloud"]) != "gke" {
        return Err(KustomizeError::new("only `gke` is known").in_field("cloud"));
    }
    let account = format!(
        "{}@{}.iam.gserviceaccount.com",
        text(&["serviceAccount", "name"]),
        text(&["serviceAccount", "projectId"])
    );
    let annotations: Map = [("iam.gke.io/gcp-service-account", Value::str(account))].into_iter().collect();
    let mut metadata = Map::new();
    metadata.insert("annotations", Value::Map(annotations));
    metadata.insert("name", Value::plain(text(&["kubernetesService", "name"])));
    let namespace = text(&["kubernetesService", "namespace"]);
    if !namespace.is_empty() {
        metadata.insert("namespace", Value::plain(namespace));
    }
    let account: Map =
        [("apiVersion", Value::str("v1")), ("kind", Value::str("ServiceAccount")), ("metadata", Value::Map(metadata))]
            .into_iter()
            .collect();
    Ok(Resource::new(Value::Map(account), schema))
}
