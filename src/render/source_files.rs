//! `.argocd-source.yaml` and `.argocd-source-APPLICATION.yaml`: files in the folder of a source that change how it is
//! rendered, as Argo CD's image updater writes them.

use serde_json::{Map, Value};

use super::documents::split;
use super::limits::RenderLimits;
use super::walk::{Found, is_override, join};
use super::{EntryKind, RenderError, Tree, content, limit, parse, unreadable};
use crate::engine::application::Source;
use crate::engine::event::{RenderFailure, RenderFailureReason};

/// A source with what files in its folder make of it.
pub(super) struct Merged {
    /// The source.
    pub(super) source: Source,
    /// Paths of the files that changed it.
    files: Vec<String>,
}

impl Merged {
    /// Merges the override files among `found`, of which the ids were recorded, into `source`, the one of the application last. As in Argo CD, each is a JSON
    /// merge patch (RFC 7386), so a list replaces a list, and where the source is read from stays as the spec says.
    pub(super) fn of(
        tree: &dyn Tree,
        path: &str,
        source: &Source,
        (found, application): (&[Found], &str),
        limits: &RenderLimits,
    ) -> Result<Self, RenderFailure> {
        let mut merged = Self { source: source.clone(), files: Vec::new() };
        // By length: the name of the application comes on top of the plain name.
        let mut overrides: Vec<_> = found.iter().filter(|found| is_override(&found.relative, application)).collect();
        overrides.sort_by_key(|found| found.relative.len());
        for found in overrides {
            let file = join(path, &found.relative);
            if let Some(patch) = read(tree, found, &file, limits)? {
                merged.patch(&file, &patch)?;
                merged.files.push(file);
            }
        }
        Ok(merged)
    }

    fn patch(&mut self, file: &str, patch: &Map<String, Value>) -> Result<(), RenderFailure> {
        let wrong =
            |field: &str| content(format!("{file}: {field}: not what spec.source.{field} takes; correct or remove it"));
        let mut value = serde_json::to_value(&self.source).map_err(|_| wrong("source"))?;
        merge(&mut value, &Value::Object(patch.clone()));
        for field in ["chart", "path", "repoURL", "targetRevision", "ref"] {
            if let Some(map) = value.as_object_mut() {
                map.remove(field);
            }
        }
        for (field, value) in value.as_object().into_iter().flatten() {
            let alone = Map::from_iter([(field.clone(), value.clone())]);
            serde_json::from_value::<Source>(Value::Object(alone)).map_err(|_| wrong(field))?;
        }
        let merged: Source = serde_json::from_value(value).map_err(|_| wrong("source"))?;
        let Source { directory, helm, kustomize, plugin, .. } = merged;
        self.source = Source { directory, helm, kustomize, plugin, ..self.source.clone() };
        Ok(())
    }

    /// Says of an error of the source that files have a part in it: then another commit may end it, not only another spec.
    pub(super) fn blame(&self, error: RenderError) -> RenderError {
        match error {
            RenderError::Failed(RenderFailure { reason: RenderFailureReason::InvalidSpec, message })
                if !self.files.is_empty() =>
            {
                content(format!("{message}; parts of the source are set in `{}`", self.files.join("` and `"))).into()
            }
            error => error,
        }
    }
}

/// The content of an override file; `None` if there is nothing in it.
fn read(
    tree: &dyn Tree,
    found: &Found,
    file: &str,
    limits: &RenderLimits,
) -> Result<Option<Map<String, Value>>, RenderFailure> {
    if found.entry.kind == EntryKind::Link {
        return Err(content(format!(
            "`{file}` is a symbolic link, which is never followed; put the file itself there"
        )));
    }
    let size = tree.size(&found.entry.id).map_err(unreadable)?;
    if size > limits.max_file_size {
        let what = format!("`{file}` has {size} bytes, more than {}", limits.max_file_size);
        return Err(limit(what, RenderLimits::MAX_FILE_SIZE));
    }
    let bytes = tree.read(&found.entry.id).map_err(unreadable)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| content(format!("{file}: the file is no UTF-8 text")))?;
    // Like Argo CD's parser: what is behind the first document doesn't count.
    let Some(document) = split(text).into_iter().next() else { return Ok(None) };
    let value = parse::yaml(document.text).map_err(|error| {
        let line = error.position.map(|(line, _)| format!(":{}", line + document.text_line - 1)).unwrap_or_default();
        content(format!("{file}{line}: {}", error.reason))
    })?;
    match value {
        Value::Null => Ok(None),
        Value::Object(map) => Ok(Some(map)),
        _ => Err(content(format!("{file}: a mapping is needed, with fields of spec.source as `kustomize`"))),
    }
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patches_merge_by_the_standard() {
        // The examples of RFC 7386, appendix A.
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (mut target, patch, expected) in cases {
            merge(&mut target, &patch);
            assert_eq!(target, expected);
        }
    }
}
