//! Patches of a kustomization.

use super::accumulate::{Builder, Target};
use super::error::KustomizeError;
use super::json_patch::JsonPatch;
use super::kustomization::{Patch, PatchOptions};
use super::resource::{Resource, Resources};
use super::schema::Schema;
use super::selector::Matcher;
use super::strategic_merge::{Merged, merge};
use super::value::{Map, Value};

/// A patch that is read: of the one kind or the other.
enum Parsed {
    Strategic(Vec<Resource>),
    Json(JsonPatch),
}

/// Applies an entry of `patches`.
pub(super) fn apply(
    builder: &mut Builder<'_, '_>,
    target: &Target,
    patch: &Patch,
    resources: &mut Resources,
) -> Result<(), KustomizeError> {
    let inline = patch.patch.trim();
    let text = match (inline.is_empty(), patch.path.is_empty()) {
        (true, true) => return Err(KustomizeError::new("it needs `patch` or `path`")),
        (false, false) => {
            return Err(KustomizeError::new("it may have `patch` or `path`, not both; remove one of them"));
        }
        (false, true) => inline.to_owned(),
        (true, false) => builder.loader.text(&target.root, &patch.path).map_err(|error| error.in_field("path"))?,
    };
    let field = if inline.is_empty() { "path" } else { "patch" };
    let parsed = parse(builder, &text).map_err(|error| error.in_field(field))?;
    let matcher = patch.target.as_ref().map(Matcher::new).transpose().map_err(|error| error.in_field("target"))?;
    match (parsed, matcher) {
        (Parsed::Json(_), None) => {
            Err(KustomizeError::new("a JSON patch needs to be told what it is for").in_field("target"))
        }
        (Parsed::Json(patch), Some(matcher)) => {
            patch_json(&patch, &matcher, resources, &builder.schema, true).map_err(|error| error.in_field(field))
        }
        (Parsed::Strategic(patches), matcher) => {
            builder.schema_state.used = true;
            let options = patch.options.clone().unwrap_or_default();
            let merger = Merger { options: &options, schema: &builder.schema };
            let merged = match matcher {
                None => patches.iter().try_for_each(|patch| merger.apply_by_name(patch, resources)),
                Some(matcher) => match patches.as_slice() {
                    [] => Ok(()),
                    [patch] => merger.apply_selected(patch, &|resource| matcher.selects(resource), resources),
                    _ => Err(KustomizeError::new(
                        "several patches in one entry can't have a target; make an entry of each of them",
                    )),
                },
            };
            merged.map_err(|error| error.in_field(field))?;
            drop_empty(resources);
            Ok(())
        }
    }
}

/// Reads a patch of either kind.
fn parse(builder: &mut Builder<'_, '_>, text: &str) -> Result<Parsed, KustomizeError> {
    // Nothing is both: the one is a mapping, the other a list.
    let strategic = match builder.parse(text) {
        Ok(patches) => return Ok(Parsed::Strategic(patches)),
        Err(error) => error,
    };
    match JsonPatch::parse(text) {
        Ok(patch) => Ok(Parsed::Json(patch)),
        // Told apart by their looks, so that only the likelier mistake is named.
        Err(json) if text.trim_start().starts_with(['[', '-']) && !text.trim_start().starts_with("---") => {
            Err(KustomizeError::new(format!("the JSON patch can't be read: {json}")))
        }
        Err(_) => Err(strategic),
    }
}

/// Applies `patchesStrategicMerge`: files with patches, or the patches themselves.
pub(super) fn apply_strategic(
    builder: &mut Builder<'_, '_>,
    target: &Target,
    patches: &[String],
    resources: &mut Resources,
) -> Result<(), KustomizeError> {
    let mut all = Vec::new();
    for (index, entry) in patches.iter().enumerate() {
        let field = format!("patchesStrategicMerge[{index}]");
        // A path is no mapping, so it can't be taken for a patch.
        let read = builder.parse(entry).or_else(|_| {
            let text = builder.loader.text(&target.root, entry)?;
            builder.parse(&text)
        });
        let read = read.map_err(|error| error.in_field(&field))?;
        all.extend(read.into_iter().map(|patch| (index, patch)));
    }
    if all.is_empty() {
        return Err(KustomizeError::new("the patches are empty").in_field("patchesStrategicMerge"));
    }
    builder.schema_state.used = true;
    let options = PatchOptions::default();
    let merger = Merger { options: &options, schema: &builder.schema };
    for (index, patch) in &all {
        let in_field = |error: KustomizeError| error.in_field(&format!("patchesStrategicMerge[{index}]"));
        let at = named(patch, resources).map_err(in_field)?;
        let id = resources.list.get(at).map(Owned::of);
        let same = |resource: &Resource| id.as_ref().is_some_and(|id| *id == Owned::of(resource));
        merger.apply_selected(patch, &same, resources).map_err(in_field)?;
    }
    drop_empty(resources);
    Ok(())
}

/// Applies an entry of `patchesJson6902`.
pub(super) fn apply_json6902(
    builder: &mut Builder<'_, '_>,
    target: &Target,
    patch: &Patch,
    resources: &mut Resources,
) -> Result<(), KustomizeError> {
    let selector = patch.target.clone().unwrap_or_default();
    if selector.name.is_empty() {
        return Err(KustomizeError::new("the name of the target is missing").in_field("target.name"));
    }
    let (field, text) = match (patch.patch.is_empty(), patch.path.is_empty()) {
        (true, true) => return Err(KustomizeError::new("it needs `patch` or `path`")),
        (false, false) => {
            return Err(KustomizeError::new("it may have `patch` or `path`, not both; remove one of them"));
        }
        (false, true) => ("patch", patch.patch.clone()),
        (true, false) => {
            ("path", builder.loader.text(&target.root, &patch.path).map_err(|error| error.in_field("path"))?)
        }
    };
    let in_field = |error: KustomizeError| error.in_field(field);
    let parsed = JsonPatch::parse(&text).map_err(|reason| in_field(KustomizeError::new(reason)))?;
    if parsed.is_empty() {
        return Err(in_field(KustomizeError::new("the patch is empty")));
    }
    let matcher = Matcher::new(&selector).map_err(|error| error.in_field("target"))?;
    patch_json(&parsed, &matcher, resources, &builder.schema, false).map_err(in_field)
}

/// Applies a JSON patch to all resources that are selected. `remember` if what they were called is to be written down.
fn patch_json(
    patch: &JsonPatch,
    matcher: &Matcher,
    resources: &mut Resources,
    schema: &Schema,
    remember: bool,
) -> Result<(), KustomizeError> {
    for resource in resources.list.iter_mut().filter(|resource| matcher.selects(resource)) {
        if remember {
            resource.remember();
        }
        let noted = resource.is_noted();
        if noted {
            resource.mark_notes();
        }
        let patched = patch.apply(&resource.value);
        resource.value = patched.map_err(|reason| KustomizeError::new(format!("{}: {reason}", resource.describe())))?;
        resource.unshare();
        if noted && !resource.unmark_notes() {
            resource.forget_origin();
        }
        resource.rewrite_annotations();
        resource.rescope(schema);
    }
    Ok(())
}

/// What a resource is called, to be compared while resources change.
#[derive(PartialEq, Eq)]
struct Owned {
    api_version: String,
    kind: String,
    name: String,
    namespace: String,
}

impl Owned {
    fn of(resource: &Resource) -> Self {
        let id = resource.id();
        let [kind, name, namespace] = [id.gvk.kind, id.name, id.namespace].map(str::to_owned);
        Self { api_version: resource.api_version().to_owned(), kind, name, namespace }
    }
}

/// Position of the one resource that is or was called as a patch says.
fn named(patch: &Resource, resources: &Resources) -> Result<usize, KustomizeError> {
    let id = patch.original_id();
    match resources.find(|other| other == id).as_slice() {
        [at] => Ok(*at),
        [] => Err(KustomizeError::new(format!(
            "there is no {} ({}) to patch; correct apiVersion, kind, name or namespace of the patch",
            patch.describe(),
            patch.api_version()
        ))),
        _ => Err(KustomizeError::new(format!(
            "there are several resources that are or were called {}; name the one to patch by a target",
            patch.describe()
        ))),
    }
}

/// Applies strategic merge patches.
struct Merger<'a> {
    options: &'a PatchOptions,
    schema: &'a Schema,
}

impl Merger<'_> {
    /// Applies a patch to the resource that is called as it is.
    fn apply_by_name(&self, patch: &Resource, resources: &mut Resources) -> Result<(), KustomizeError> {
        let at = named(patch, resources)?;
        match resources.list.get_mut(at) {
            Some(resource) => self.apply(patch.value.clone(), resource),
            None => Ok(()),
        }
    }

    /// Applies a patch to all resources that are selected. Labels and annotations of the patch become strings first, so
    /// that it can't take one away, and what it says about API version and namespace doesn't count.
    fn apply_selected(
        &self,
        patch: &Resource,
        selected: &dyn Fn(&Resource) -> bool,
        resources: &mut Resources,
    ) -> Result<(), KustomizeError> {
        let mut plain = patch.clone();
        for field in ["labels", "annotations"] {
            let entries = plain.metadata_entries(field).map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
            plain.set_metadata_entries(field, entries);
        }
        let (name, namespace) = (patch.name().to_owned(), patch.namespace().to_owned());
        plain.set_name(&name);
        plain.set_namespace(&namespace);
        let chosen: Vec<bool> = resources.list.iter().map(selected).collect();
        for (resource, _) in resources.list.iter_mut().zip(chosen).filter(|(_, chosen)| *chosen) {
            let mut value = plain.value.clone();
            if let Some(map) = value.as_map_mut() {
                map.insert("apiVersion", Value::str(resource.api_version()));
            }
            self.apply(value, resource)?;
        }
        let list = std::mem::take(&mut resources.list);
        resources.append(list.into_iter().filter(|resource| !is_empty(resource)))
    }

    fn apply(&self, patch: Value, resource: &mut Resource) -> Result<(), KustomizeError> {
        let PatchOptions { allow_name_change, allow_kind_change } = *self.options;
        if allow_name_change || allow_kind_change {
            resource.remember();
        }
        let [kind, name, namespace] = [resource.kind(), resource.name(), resource.namespace()].map(str::to_owned);
        let noted = resource.is_noted();
        if noted {
            resource.mark_notes();
        }
        let merged = merge(&mut resource.value, patch, self.schema);
        let merged = merged.map_err(|error| {
            let reason = format!("{}: {}", resource.describe(), error);
            KustomizeError::new(reason)
        })?;
        resource.settle_shared();
        if merged == Merged::Deleted {
            resource.value = Value::Map(Map::new());
            return Ok(());
        }
        if is_empty(resource) {
            return Ok(());
        }
        if noted && !resource.unmark_notes() {
            resource.forget();
        }
        if !allow_kind_change {
            resource.set_kind(&kind, self.schema);
        }
        if !allow_name_change {
            resource.set_name(&name);
        }
        resource.set_namespace(&namespace);
        resource.rescope(self.schema);
        Ok(())
    }
}

/// Whether nothing is left of a resource.
fn is_empty(resource: &Resource) -> bool {
    resource.value.as_map().is_none_or(Map::is_empty)
}

fn drop_empty(resources: &mut Resources) {
    resources.list.retain(|resource| !is_empty(resource));
}
