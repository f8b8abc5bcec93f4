//! The transformer that writes one value into many fields, or into the paths that they hold.

use super::accumulate::{Builder, Target};
use super::decode::{Decode, settings};
use super::error::KustomizeError;
use super::external::known;
use super::field_spec::{set_plain, split_path};
use super::kustomization::Selector;
use super::namespace::{NamespaceOptions, set_namespace};
use super::resource::{Resource, Resources};
use super::selector::Matcher;
use super::value::{Map, Plain, Value};

settings! {
/// What a `ValueAddTransformer` is told.
pub struct ValueAdd {
    /// The value; the name of the kustomization's folder if it is empty.
    "value" => value: String,
    /// Where it goes.
    "targets" => targets: Vec<ValueTarget>,
    /// File with more targets.
    "targetFilePath" => target_file_path: String,
}
}

settings! {
/// Where a value goes.
pub struct ValueTarget {
    /// The resources; all of them if there is none.
    "selector" => selector: Option<Selector>,
    /// The field.
    "fieldPath" => field_path: String,
    /// If it isn't 0: the field is a path, and the value is inserted in front of its part of this number, counted from 1.
    "filePathPosition" => position: i64,
}
}

/// Writes the value of `config`.
pub(super) fn apply(
    builder: &mut Builder<'_, '_>,
    target: &Target,
    config: &Resource,
    resources: &mut Resources,
) -> Result<(), KustomizeError> {
    let mut settings = ValueAdd::decode(&known(&config.value, &["value", "targets", "targetFilePath"]))?;
    let folder = target.root.rsplit('/').next().unwrap_or_default();
    let value = match settings.value.trim() {
        "" => folder,
        value => value,
    };
    if !settings.target_file_path.is_empty() {
        let text = builder.loader.text(&target.root, &settings.target_file_path)?;
        let more = super::read::settings(&text)?.unwrap_or_else(|| Value::Map(Map::new()));
        settings.targets.extend(ValueAdd::decode(&known(&more, &["targets"]))?.targets);
    }
    if settings.targets.is_empty() {
        return Err(KustomizeError::new("at least one target is needed").in_field("targets"));
    }
    for target in &settings.targets {
        if target.field_path.is_empty() {
            return Err(KustomizeError::new("a target needs a `fieldPath`").in_field("targets"));
        }
        let Ok(position) = usize::try_from(target.position) else {
            return Err(KustomizeError::new("a position can't be negative").in_field("targets"));
        };
        let matcher = target.selector.as_ref().map(Matcher::new).transpose()?;
        for resource in &mut resources.list {
            if matcher.as_ref().is_none_or(|matcher| matcher.selects(resource)) {
                add(resource, &target.field_path, value, position)?;
            }
        }
    }
    Ok(())
}

fn add(resource: &mut Resource, path: &str, value: &str, position: usize) -> Result<(), KustomizeError> {
    if path == "metadata/namespace" {
        let options = NamespaceOptions { namespace: value.to_owned(), ..NamespaceOptions::default() };
        let previous = resource.previous.len();
        let mut alone = Resources { list: vec![resource.clone()] };
        set_namespace(&mut alone, &options, &[])?;
        if let Some(changed) = alone.list.pop() {
            *resource = changed;
        }
        // This isn't remembered as a change of name.
        resource.previous.truncate(previous);
        return Ok(());
    }
    let described = resource.describe();
    let error = |reason: String| KustomizeError::new(format!("{described}: field `{path}`: {reason}"));
    let mut field = &mut resource.value;
    let parts = split_path(path);
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let found = field.describe();
        let Some(map) = field.as_map_mut() else {
            return Err(error(format!("a mapping is needed on the way, and {found} is there")));
        };
        let make = || if last { Value::Plain(Plain::empty()) } else { Value::Map(Map::new()) };
        field = map.get_or_insert_with(part, make);
    }
    let old = field.text().unwrap_or_default().to_owned();
    let new = if position == 0 { value.to_owned() } else { insert(&old, position - 1, value) };
    set_plain(field, &new).map_err(error)
}

/// Inserts a part into a path of files; behind its last part if it has fewer.
fn insert(path: &str, position: usize, part: &str) -> String {
    let (root, relative) = match path.strip_prefix('/') {
        Some(relative) => ("/", relative),
        None => ("", path),
    };
    let mut parts: Vec<&str> = relative.split('/').filter(|part| !part.is_empty()).collect();
    parts.insert(position.min(parts.len()), part);
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::insert;

    #[test]
    fn parts_are_inserted_into_paths() {
        let cases = [
            ("", 0, "x"),
            ("/", 3, "/x"),
            ("a", 0, "x/a"),
            ("/a", 0, "/x/a"),
            ("/a", 9, "/a/x"),
            ("a/b/c", 2, "a/b/x/c"),
        ];
        for (path, position, expected) in cases {
            assert_eq!(insert(path, position, "x"), expected, "{path}");
        }
    }
}
