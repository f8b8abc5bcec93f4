//! References that custom resources declare in their definitions: the files under `crds`.

use std::sync::Arc;

use super::accumulate::{Builder, Target};
use super::config::{Config, NameReference};
use super::error::KustomizeError;
use super::field_spec::{FieldSpec, merge_specs};
use super::load::resolve;
use super::read;
use super::value::{Map, Value};

/// How deep types refer to each other.
const MAX_DEPTH: usize = 32;
/// Most fields that one file declares.
const MAX_FIELDS: usize = 100_000;

/// The built-in fields and those that the files of a kustomization declare.
pub(super) fn config(builder: &mut Builder<'_, '_>, target: &Target) -> Result<Arc<Config>, KustomizeError> {
    let mut config = Config::built_in();
    for (index, path) in target.kustomization.crds.iter().enumerate() {
        let in_field = |error: KustomizeError| error.in_field(&format!("crds[{index}]"));
        let text = builder.loader.text(&target.root, path).map_err(in_field)?;
        let in_file = |error: KustomizeError| error.in_file(&resolve(&target.root, path).unwrap_or_default());
        if text.is_empty() {
            return Err(in_field(KustomizeError::new(format!("`{path}` is empty; remove it"))));
        }
        let own = parse(&text).map_err(|error| in_field(in_file(error)))?;
        Arc::make_mut(&mut config).merge(&own).map_err(in_field)?;
    }
    Ok(config)
}

/// The fields that a file declares, for each kind that it defines.
fn parse(text: &str) -> Result<Config, KustomizeError> {
    let mut config = Config::default();
    let types = match read::settings(text)? {
        None => return Ok(config),
        Some(Value::Map(map)) => map,
        Some(other) => {
            return Err(KustomizeError::new(format!(
                "a mapping of types is needed, and {} is there",
                other.describe()
            )));
        }
    };
    for (name, definition) in types.iter() {
        if !definition.is_null() && definition.as_map().is_none() {
            let reason = format!(
                "a type is needed, and {} is there; a CustomResourceDefinition can't be used",
                definition.describe()
            );
            return Err(KustomizeError::new(reason).in_field(name));
        }
        let Some(properties) = properties(definition) else { continue };
        if ["kind", "apiVersion", "metadata"].iter().all(|field| properties.contains_key(field)) {
            let kind = name.rsplit('.').next().unwrap_or(name);
            Walk { types: &types, kind, config: &mut config, left: MAX_FIELDS }
                .properties(properties, &mut Vec::new())?;
        }
    }
    config.sort();
    Ok(config)
}

/// The properties of a type. Names of fields count in any case.
fn properties(definition: &Value) -> Option<&Map> {
    let schema = definition.as_map()?.iter().find(|(key, _)| key.eq_ignore_ascii_case("schema"))?.1;
    schema.get("properties")?.as_map()
}

/// Collects the fields of one kind.
struct Walk<'w> {
    types: &'w Map,
    kind: &'w str,
    config: &'w mut Config,
    left: usize,
}

impl Walk<'_> {
    fn properties(&mut self, properties: &Map, path: &mut Vec<String>) -> Result<(), KustomizeError> {
        if path.len() > MAX_DEPTH {
            return Err(KustomizeError::new(format!(
                "the types refer to each other more than {MAX_DEPTH} levels deep"
            )));
        }
        for (name, property) in properties.iter() {
            self.left = self.left.checked_sub(1).ok_or_else(|| {
                KustomizeError::new(format!("the types have more than {MAX_FIELDS} fields together; split the file"))
            })?;
            path.push(name.to_owned());
            self.property(property, path)?;
            path.pop();
        }
        Ok(())
    }

    fn property(&mut self, property: &Value, path: &mut Vec<String>) -> Result<(), KustomizeError> {
        let says = |field: &str| property.get(field).and_then(Value::as_str);
        let spec = |path: &[String]| FieldSpec::new("", "", self.kind, &path.join("/"), false);
        if says("x-kubernetes-annotation").is_some() {
            merge_specs(&mut self.config.common_annotations, &[spec(path)])?;
        }
        if says("x-kubernetes-label-selector").is_some() {
            merge_specs(&mut self.config.common_labels, &[spec(path)])?;
        }
        if says("x-kubernetes-identity").is_some() {
            merge_specs(&mut self.config.name_prefix, &[spec(path)])?;
        }
        let referent = says("x-kubernetes-object-ref-api-version").zip(says("x-kubernetes-object-ref-kind"));
        if let Some((version, kind)) = referent {
            let key = says("x-kubernetes-object-ref-name-key").unwrap_or("name");
            let reference = NameReference {
                group: String::new(),
                version: version.to_owned(),
                kind: kind.to_owned(),
                referrers: vec![spec(&[path.as_slice(), &[key.to_owned()]].concat())],
            };
            self.config.merge(&Config { name_reference: vec![reference], ..Config::default() })?;
        }
        let below = says("$ref").and_then(|name| self.types.get(name)).and_then(properties);
        below.map_or(Ok(()), |below| self.properties(below, path))
    }
}
