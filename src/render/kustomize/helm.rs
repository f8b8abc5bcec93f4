//! Helm charts as kustomize renders them: what is called, with which values, and what becomes of the output.

use std::collections::BTreeMap;

use super::accumulate::{Builder, Target};
use super::decode::{Decode, settings};
use super::error::{ErrorKind, KustomizeError};
use super::external::known;
use super::kustomization::Kustomization;
use super::load::{Loader, resolve};
use super::read;
use super::resource::{Resource, Resources};
use super::strategic_merge::merge;
use super::value::{Map, Value};
use super::write::to_yaml;
use crate::render::helm::{Argument, Helm, HelmCall, MAX_CALLS};
use crate::render::walk::join;

/// Marks what a chart made, for it has its namespace already. No output has it.
pub(super) const GENERATED: &str = "internal.config.kubernetes.io/helm-generated";
/// Folder with charts, if no other is named.
const CHARTS: &str = "charts";
/// Kind of the generator that is given as a resource.
pub(super) const GENERATOR: &str = "HelmChartInflationGenerator";

settings! {
/// Where charts are.
pub struct HelmGlobals {
    /// Folder with the charts.
    "chartHome" => chart_home: String,
    /// Folder for helm's own settings; has no effect, for each call has an empty one.
    "configHome" => config_home: String,
}
}

settings! {
/// A chart, and how it is rendered.
pub struct HelmChart {
    /// Name of the chart.
    "name" => name: String,
    /// Version to pull. Nothing is pulled here; with a repository it is part of the folder's name.
    "version" => version: String,
    /// Repository to pull from.
    "repo" => repo: String,
    /// Name of the release.
    "releaseName" => release_name: String,
    /// Namespace of the release.
    "namespace" => namespace: String,
    /// More files with values.
    "additionalValuesFiles" => additional_values_files: Vec<String>,
    /// File with values, instead of the chart's own.
    "valuesFile" => values_file: String,
    /// Values.
    "valuesInline" => values_inline: Option<Map>,
    /// `merge`, `override` or `replace`.
    "valuesMerge" => values_merge: String,
    /// Whether the chart's definitions come with it.
    "includeCRDs" => include_crds: bool,
    /// Whether hooks are left out.
    "skipHooks" => skip_hooks: bool,
    /// API versions of the cluster.
    "apiVersions" => api_versions: Vec<String>,
    /// Version of the cluster.
    "kubeVersion" => kube_version: String,
    /// Template of the release's name.
    "nameTemplate" => name_template: String,
    /// Whether tests are left out.
    "skipTests" => skip_tests: bool,
    /// Whether helm tells more.
    "debug" => debug: bool,
    /// Whether versions in development count.
    "devel" => devel: bool,
}
}

settings! {
/// A chart in the old form.
pub struct OldHelmChart {
    /// Name of the chart.
    "chartName" => name: String,
    /// Version.
    "chartVersion" => version: String,
    /// Repository.
    "chartRepoUrl" => repo: String,
    /// Folder with the charts.
    "chartHome" => chart_home: String,
    /// Name of the repository; has no effect.
    "chartRepoName" => repo_name: String,
    /// The program; has no effect.
    "helmBin" => program: String,
    /// Folder for helm's own settings.
    "helmHome" => config_home: String,
    /// File with values.
    "values" => values_file: String,
    /// Values.
    "valuesLocal" => values_inline: Option<Map>,
    /// `merge`, `override` or `replace`.
    "valuesMerge" => values_merge: String,
    /// Name of the release.
    "releaseName" => release_name: String,
    /// Namespace of the release; has no effect.
    "releaseNamespace" => namespace: String,
    /// More arguments; have no effect.
    "extraArgs" => extra_args: Vec<String>,
}
}

impl From<OldHelmChart> for HelmChart {
    fn from(old: OldHelmChart) -> Self {
        let OldHelmChart { name, version, repo, values_file, values_inline, values_merge, release_name, .. } = old;
        Self { name, version, repo, values_file, values_inline, values_merge, release_name, ..Self::default() }
    }
}

/// What a generator takes that is given as a resource.
const FIELDS: [&str; 19] = [
    "chartHome",
    "configHome",
    "name",
    "version",
    "repo",
    "releaseName",
    "namespace",
    "additionalValuesFiles",
    "valuesFile",
    "valuesInline",
    "valuesMerge",
    "includeCRDs",
    "skipHooks",
    "apiVersions",
    "kubeVersion",
    "nameTemplate",
    "skipTests",
    "debug",
    "devel",
];

/// The chart that a generator names.
pub(super) fn of_generator(config: &Resource) -> Result<(HelmGlobals, HelmChart), KustomizeError> {
    let (globals, chart) = FIELDS.split_at(2);
    Ok((HelmGlobals::decode(&known(&config.value, globals))?, HelmChart::decode(&known(&config.value, chart))?))
}

/// Adds what the charts of a kustomization render to.
pub(super) fn generate(
    builder: &mut Builder<'_, '_>,
    target: &Target,
    resources: &mut Resources,
) -> Result<(), KustomizeError> {
    let (globals, charts) = charts(&target.kustomization);
    for (field, mut chart) in charts {
        if chart.namespace.is_empty() {
            chart.namespace = builder.namespaces.last().cloned().unwrap_or_default();
        }
        let made = inflate(builder, target, &globals, &chart);
        let added = made.and_then(|made| {
            made.into_iter().try_for_each(|mut resource| {
                resource.origin = target.built_in(GENERATOR);
                resources.absorb(resource)
            })
        });
        added.map_err(|error| error.in_field(&field))?;
    }
    Ok(())
}

/// The charts of a kustomization, those in the old form last, with the fields that they stand in.
fn charts(kustomization: &Kustomization) -> (HelmGlobals, Vec<(String, HelmChart)>) {
    let new = kustomization.helm_charts.iter().enumerate();
    let mut charts: Vec<_> = new.map(|(index, chart)| (format!("helmCharts[{index}]"), chart.clone())).collect();
    let mut globals = HelmGlobals::default();
    for (index, old) in kustomization.helm_chart_inflation_generator.iter().enumerate() {
        // The last one that names a folder counts for all.
        if !old.chart_home.is_empty() {
            globals.chart_home.clone_from(&old.chart_home);
        }
        charts.push((format!("helmChartInflationGenerator[{index}]"), old.clone().into()));
    }
    (kustomization.helm_globals.clone().unwrap_or(globals), charts)
}

/// The resources of a chart.
pub(super) fn inflate(
    builder: &mut Builder<'_, '_>,
    target: &Target,
    globals: &HelmGlobals,
    chart: &HelmChart,
) -> Result<Vec<Resource>, KustomizeError> {
    let Helm::Allowed(printed) = builder.loader.helm() else {
        return Err(KustomizeError::new(
            "Helm charts need the helm program, which this build may not use; commit what the chart renders to",
        ));
    };
    check(chart)?;
    let call = call(&mut builder.loader, &target.root, globals, chart)?;
    let Some(text) = printed.get(&call.id()) else {
        if printed.len() >= MAX_CALLS {
            return Err(KustomizeError::new(format!(
                "the build renders more than {MAX_CALLS} charts; commit what some render to"
            )));
        }
        return Err(KustomizeError {
            kind: ErrorKind::Helm(Box::new(call)),
            ..KustomizeError::new("helm was not called")
        });
    };
    let of_chart = |error: KustomizeError| {
        let line = error.line.map(|line| format!(", line {line}")).unwrap_or_default();
        KustomizeError { line: None, reason: format!("what helm printed{line}: {}", error.reason), ..error }
    };
    let mut resources = builder.parse(text).map_err(of_chart)?;
    for resource in &mut resources {
        let entries = resource.metadata_entries("annotations").filter(|(key, _)| *key != GENERATED);
        let mut entries: Vec<_> = entries.map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
        entries.push((GENERATED.to_owned(), "true".to_owned()));
        resource.set_metadata_entries("annotations", entries);
    }
    Ok(resources)
}

/// Whether it was made by a chart.
pub(super) fn is_generated(resource: &Resource) -> bool {
    resource.metadata_entries("annotations").any(|(key, text)| key == GENERATED && text == "true")
}

fn check(chart: &HelmChart) -> Result<(), KustomizeError> {
    let error = |field: &str, reason: &str| Err(KustomizeError::new(reason).in_field(field));
    if chart.name.is_empty() {
        return error("name", "the name of the chart is missing");
    }
    if chart.name.contains('/') {
        return error(
            "name",
            "the name of a folder is needed, without `/`; name where it is as `helmGlobals.chartHome`",
        );
    }
    // Helm takes these as they stand, and would take such a one for an option.
    for (field, text) in [("name", &chart.name), ("releaseName", &chart.release_name)] {
        if text.starts_with('-') {
            return error(field, "it must not begin with `-`");
        }
    }
    if !["", "merge", "override", "replace"].contains(&chart.values_merge.as_str()) {
        return error("valuesMerge", "`merge`, `override` or `replace` is needed");
    }
    Ok(())
}

/// Describes the call for a chart that is in the repository.
fn call(
    loader: &mut Loader<'_, '_>,
    root: &str,
    globals: &HelmGlobals,
    chart: &HelmChart,
) -> Result<HelmCall, KustomizeError> {
    let name = &chart.name;
    let mut home = if globals.chart_home.is_empty() { CHARTS.to_owned() } else { globals.chart_home.clone() };
    if !chart.version.is_empty() && !chart.repo.is_empty() {
        home = format!("{home}/{name}-{}", chart.version);
    }
    let folder = resolve(root, &format!("{home}/{name}")).map_err(|error| error.in_field("chartHome"))?;
    let mut files = BTreeMap::new();
    let at = join(CHARTS, name);
    if !loader.folder_files(&folder, &at, &mut files)? {
        let reason = format!("there is no chart in `{folder}`, and none is pulled; commit the chart to there");
        return Err(KustomizeError::new(reason).in_field("name"));
    }
    for (index, path) in chart.additional_values_files.iter().enumerate() {
        let field = format!("additionalValuesFiles[{index}]");
        let content = loader.load(root, path).map_err(|error| error.in_field(&field))?;
        files.insert(additional(index, path), content);
    }
    let own = format!("{home}/{name}/values.yaml");
    let (path, field) = match chart.values_file.as_str() {
        "" => (own.as_str(), "name"),
        path => (path, "valuesFile"),
    };
    let values = format!("{name}-kustomize-values.yaml");
    let inline = chart.values_inline.as_ref().filter(|inline| !inline.is_empty());
    let content = match inline {
        None => loader.load(root, path).map_err(|error| error.in_field(field))?,
        Some(inline) => {
            let file = match chart.values_merge.as_str() {
                "replace" => None,
                _ => Some(loader.text(root, path).map_err(|error| error.in_field(field))?),
            };
            merged_values(inline, file.as_deref(), &chart.values_merge)
                .map_err(|error| error.in_field("valuesInline"))?
        }
    };
    files.insert(values.clone(), content);
    Ok(HelmCall { arguments: arguments(chart, at, values), files })
}

/// Where an additional file with values is put; helm sees its own name.
fn additional(index: usize, path: &str) -> String {
    format!("values/{index}/{}", path.rsplit('/').next().unwrap_or(path))
}

/// The arguments in the order in which kustomize gives them.
fn arguments(chart: &HelmChart, folder: String, values: String) -> Vec<Argument> {
    let text = |text: &str| Argument::Text(text.to_owned());
    let mut all = vec![text("template")];
    all.push(text(if chart.release_name.is_empty() { "--generate-name" } else { &chart.release_name }));
    all.push(Argument::Path(folder));
    let mut option = |name: &str, value: &str| {
        if !value.is_empty() {
            all.extend([text(name), text(value)]);
        }
    };
    option("--namespace", &chart.namespace);
    option("--name-template", &chart.name_template);
    all.extend([text("-f"), Argument::Path(values)]);
    for (index, path) in chart.additional_values_files.iter().enumerate() {
        all.extend([text("-f"), Argument::Path(additional(index, path))]);
    }
    for version in &chart.api_versions {
        all.extend([text("--api-versions"), text(version)]);
    }
    if !chart.kube_version.is_empty() {
        all.extend([text("--kube-version"), text(&chart.kube_version)]);
    }
    for (given, flag) in [
        (chart.include_crds, "--include-crds"),
        (chart.skip_tests, "--skip-tests"),
        (chart.skip_hooks, "--no-hooks"),
        (chart.debug, "--debug"),
        (chart.devel, "--devel"),
    ] {
        if given {
            all.push(text(flag));
        }
    }
    all
}

/// Makes strings that are written without quotes of all: here, what is written over one does not stay one.
fn forget_quotes(value: &mut Value) {
    match value {
        Value::Str(text) => *value = Value::str(text.to_string()),
        Value::Seq(items) => items.iter_mut().for_each(forget_quotes),
        Value::Map(map) => map.iter_mut().for_each(|(_, value)| forget_quotes(value)),
        Value::Plain(_) => {}
    }
}

/// The values of the kustomization with those of a file, of which the former win unless the option says `merge`.
fn merged_values(inline: &Map, file: Option<&str>, option: &str) -> Result<Vec<u8>, KustomizeError> {
    let inline = Value::Map(inline.clone());
    let value = match file {
        None => inline,
        Some(file) => {
            let file = read::document(file)?.ok_or_else(|| KustomizeError::new("the file with values is empty"))?;
            let (mut under, over) = if option == "merge" { (inline, file) } else { (file, inline) };
            forget_quotes(&mut under);
            let merged = merge(&mut under, over, &super::schema::Schema::default());
            merged.map_err(|error| KustomizeError::new(format!("{}: {}", error.path, error.reason)))?;
            under
        }
    };
    Ok(to_yaml(&value)?.into_bytes())
}
