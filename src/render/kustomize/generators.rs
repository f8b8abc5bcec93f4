//! ConfigMaps and Secrets that a kustomization makes.

use std::collections::BTreeMap;

use base64::Engine as _;

use super::emit::{Style, breaks_block};
use super::error::KustomizeError;
use super::hash::content_hash;
use super::key_values::key_values;
use super::kustomization::{GeneratorArgs, GeneratorOptions};
use super::load::Loader;
use super::read_scalar::made_style;
use super::resource::{Behavior, Resource, Resources};
use super::schema::Schema;
use super::value::{Map, Text, Value};

/// Length of a line of base64 in a value of more than one line.
const LINE: usize = 70;

/// Makes a resource of `kind` (`ConfigMap` or `Secret`) for the kustomization in `root`.
pub(super) fn generate(
    kind: &str,
    args: &GeneratorArgs,
    root: &str,
    loader: &mut Loader<'_, '_>,
    schema: &Schema,
) -> Result<Resource, KustomizeError> {
    if args.name.is_empty() {
        return Err(KustomizeError::new("it needs a name").in_field("name"));
    }
    let mut metadata = Map::new();
    metadata.insert("name", string(&args.name));
    if !args.namespace.is_empty() {
        metadata.insert("namespace", string(&args.namespace));
    }
    let options = args.options.clone().unwrap_or_default();
    for (field, entries) in [("labels", &options.labels), ("annotations", &options.annotations)] {
        if !entries.is_empty() {
            let single = |text: &String| Value::Str(Text::styled(text, Style::SingleQuoted));
            let entries: Map = entries.iter().map(|(key, text)| (key.as_str(), single(text))).collect();
            metadata.insert(field, Value::Map(entries));
        }
    }
    let content = key_values(args, root, loader)?;
    [&options.labels, &options.annotations].iter().flat_map(|entries| entries.keys()).try_for_each(check_key)?;
    content.keys().try_for_each(check_key)?;
    let mut value = Map::new();
    value.insert("apiVersion", Value::str("v1"));
    value.insert("kind", Value::str(kind));
    value.insert("metadata", Value::Map(metadata));
    if kind == "Secret" {
        let secret_type = if args.secret_type.is_empty() { "Opaque" } else { &args.secret_type };
        value.insert("type", string(secret_type));
        let data: Map = content.into_iter().map(|(key, bytes)| (key, base64_text(&bytes))).collect();
        value.insert("data", Value::Map(data));
    } else {
        insert_content(&mut value, content)?;
    }
    if options.immutable {
        value.insert("immutable", Value::bool(true));
    }
    Ok(finished(Value::Map(value), args, &options, schema))
}

/// Kustomize writes keys without quotes, and then can't use those that read as something else than a string.
fn check_key(key: &String) -> Result<(), KustomizeError> {
    if matches!(Value::plain(key), Value::Str(_)) {
        return Ok(());
    }
    Err(KustomizeError::new(format!("the key {key:?} would not be read as a string; choose another one")))
}

fn finished(value: Value, args: &GeneratorArgs, options: &GeneratorOptions, schema: &Schema) -> Resource {
    let mut resource = Resource::new(value, schema);
    resource.needs_hash = !options.disable_name_suffix_hash;
    resource.behavior = match args.behavior.as_str() {
        "merge" => Behavior::Merge,
        "replace" => Behavior::Replace,
        _ => Behavior::Create,
    };
    resource
}

/// Sorts the content of a ConfigMap into text and all else.
fn insert_content(value: &mut Map, content: BTreeMap<String, Vec<u8>>) -> Result<(), KustomizeError> {
    for (key, bytes) in content {
        let (field, entry) = match String::from_utf8(bytes) {
            Ok(text) => ("data", content_text(&key, text)?),
            Err(error) => ("binaryData", base64_text(error.as_bytes())),
        };
        let data = value.get_or_insert_with(field, || Value::Map(Map::new()));
        if let Some(data) = data.as_map_mut() {
            data.insert(key, entry);
        }
    }
    Ok(())
}

/// A text as it comes out of the block in which kustomize first writes it.
fn content_text(key: &str, text: String) -> Result<Value, KustomizeError> {
    if breaks_block(&text) {
        return Err(KustomizeError::new(format!(
            "the text for {key:?} has several lines and begins with a tab, which kustomize can't print; remove the tab"
        )));
    }
    Ok(if text.contains('\n') { Value::Str(Text::styled(text, Style::Literal)) } else { string(&text) })
}

/// A string that has quotes if it has to.
fn string(text: &str) -> Value {
    Value::Str(Text::styled(text, made_style(text)))
}

/// Base64, over several lines if it is longer than one.
fn base64_text(bytes: &[u8]) -> Value {
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    if encoded.len() < LINE {
        return string(&encoded);
    }
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / LINE + 1);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(LINE).unwrap_or((rest, ""));
        lines.push_str(line);
        lines.push('\n');
        rest = tail;
    }
    Value::Str(Text::styled(lines, Style::Literal))
}

/// What becomes of `old` when `new`, whose behavior is to merge or to replace, is generated over it.
pub(super) fn combine(old: &Resource, new: Resource) -> Result<Resource, KustomizeError> {
    let mut combined = new;
    for field in ["labels", "annotations"] {
        let both = old.metadata_entries(field).chain(combined.metadata_entries(field));
        let entries: BTreeMap<String, String> = both.map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
        combined.set_metadata_entries(field, entries.into_iter().collect());
    }
    let (name, namespace) = (old.name().to_owned(), old.namespace().to_owned());
    combined.set_name(&name);
    combined.set_namespace(&namespace);
    if combined.behavior == Behavior::Merge {
        merge_content(old, &mut combined)?;
        if old.origin.is_some() {
            combined.origin.clone_from(&old.origin);
        }
    }
    combined.transformations.clone_from(&old.transformations);
    combined.previous.clone_from(&old.previous);
    combined.prefixes.clone_from(&old.prefixes);
    combined.suffixes.clone_from(&old.suffixes);
    combined.needs_hash &= old.needs_hash;
    combined.behavior = old.behavior;
    combined.variables.clone_from(&old.variables);
    combined.cluster_scoped = old.cluster_scoped;
    Ok(combined)
}

fn merge_content(old: &Resource, new: &mut Resource) -> Result<(), KustomizeError> {
    let mut data = texts(&old.value, "data");
    if new.kind() == "Secret" {
        // Plain strings of a Secret are encoded as the API server does.
        let plain = old.value.get("stringData").and_then(Value::as_map);
        if plain.is_some_and(|plain| plain.values().any(|value| !value.is_scalar())) {
            let reason = format!("`stringData` of {} may only hold strings", old.describe());
            return Err(KustomizeError::new(reason));
        }
        for (key, text) in texts(&old.value, "stringData") {
            data.insert(key, base64_text(text.as_bytes()).text().unwrap_or_default().to_owned());
        }
    }
    data.extend(texts(&new.value, "data"));
    let mut binary = texts(&old.value, "binaryData");
    binary.extend(texts(&new.value, "binaryData"));
    let Some(map) = new.value.as_map_mut() else { return Ok(()) };
    for (field, entries) in [("data", data), ("binaryData", binary)] {
        map.remove(field);
        if !entries.is_empty() {
            let texts = entries.into_iter().map(|(key, text)| Ok((key.clone(), content_text(&key, text)?)));
            map.insert(field, Value::Map(texts.collect::<Result<Map, KustomizeError>>()?));
        }
    }
    Ok(())
}

/// The entries of a mapping of scalars, by their text. None if there is no mapping.
fn texts(value: &Value, field: &str) -> BTreeMap<String, String> {
    let Some(map) = value.get(field).and_then(Value::as_map) else { return BTreeMap::new() };
    let entry = |(key, value): (&str, &Value)| {
        let text = if value.is_null() { "" } else { value.text().unwrap_or_default() };
        (key.to_owned(), text.to_owned())
    };
    map.iter().map(entry).collect()
}

/// Adds a hash of the content to the names of those that need one.
pub(super) fn add_hashes(resources: &mut Resources) -> Result<(), KustomizeError> {
    for resource in resources.list.iter_mut().filter(|resource| resource.needs_hash) {
        let described = resource.describe();
        let hash = content_hash(resource).map_err(|reason| KustomizeError::new(format!("{described}: {reason}")))?;
        resource.remember();
        resource.set_name(&format!("{}-{hash}", resource.name().to_owned()));
    }
    Ok(())
}

/// The arguments of a generator with the options of all generators, which don't override its own.
pub(super) fn with_options(args: &GeneratorArgs, global: Option<&GeneratorOptions>) -> GeneratorArgs {
    let mut args = args.clone();
    let Some(global) = global else { return args };
    let options = args.options.get_or_insert_default();
    for (own, global) in [(&mut options.labels, &global.labels), (&mut options.annotations, &global.annotations)] {
        for (key, text) in global {
            own.entry(key.clone()).or_insert_with(|| text.clone());
        }
    }
    options.disable_name_suffix_hash |= global.disable_name_suffix_hash;
    options.immutable |= global.immutable;
    args
}
