//! From a text to resources: documents, and the lists among them.

use std::collections::VecDeque;

use super::error::KustomizeError;
use super::field_spec::is_given;
use super::read::{Document, documents};
use super::resource::Resource;
use super::schema::Schema;
use super::value::Value;

/// The resources of a text. Lists of resources are replaced by what is in them.
pub(super) fn resources(text: &str, schema: &Schema) -> Result<Vec<Resource>, KustomizeError> {
    let mut documents = documents(text)?;
    if let [Document { value, .. }] = documents.as_mut_slice()
        && matches!(value.get("kind").and_then(Value::text), Some("List" | "ResourceList"))
        && (value.get("items").is_some() || value.get("functionConfig").is_some())
    {
        let items = value.get_mut("items").and_then(Value::as_seq_mut).map(std::mem::take).unwrap_or_default();
        documents = items.into_iter().map(|value| Document { value, line: 1 }).collect();
    }
    let mut queue = VecDeque::new();
    for Document { value, line } in documents {
        if is_given(&value) {
            check(&value).map_err(|reason| KustomizeError { line: Some(line), ..KustomizeError::new(reason) })?;
            queue.push_back((value, line));
        }
    }
    let mut resources = Vec::with_capacity(queue.len());
    while let Some((mut value, line)) = queue.pop_front() {
        let at_line = |reason: String| KustomizeError { line: Some(line), ..KustomizeError::new(reason) };
        let list = value.get("kind").and_then(Value::text).is_some_and(|kind| kind.ends_with("List"));
        let items = if list { value.as_map_mut().and_then(|map| map.remove("items")) } else { None };
        match items {
            None => resources.push(Resource::new(value, schema)),
            Some(null) if null.is_null() => {}
            Some(Value::Seq(items)) => {
                for item in items.into_iter().filter(is_given) {
                    check(&item).map_err(at_line)?;
                    queue.push_back((item, line));
                }
            }
            Some(other) => return Err(at_line(format!("`items` must be a list, and {} is there", other.describe()))),
        }
    }
    Ok(resources)
}

/// Whether a value can be a resource.
fn check(value: &Value) -> Result<(), String> {
    let Some(map) = value.as_map() else {
        return Err(format!("a resource is needed, and {} is there", value.describe()));
    };
    let text = |value: Option<&Value>| {
        value.filter(|value| is_given(value)).and_then(Value::text).unwrap_or_default().to_owned()
    };
    let kind = text(map.get("kind"));
    if kind.is_empty() {
        return Err("a resource has no `kind`; add it".to_owned());
    }
    if !kind.ends_with("List") && text(value.at(&["metadata", "name"])).is_empty() {
        return Err(format!("a resource of the kind {kind} has no `metadata.name`; add it"));
    }
    Ok(())
}
