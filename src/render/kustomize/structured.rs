//! Fields inside of texts: a path that goes on below a scalar leads into the JSON or YAML that it holds.

use super::field_path::{Create, Step, lookup, lookup_mut, visit};
use super::go_json::{to_json, to_pretty_json};
use super::read;
use super::styled;
use super::value::Value;

/// Writes into the JSON or YAML in a scalar on the way of `path`. Returns whether there is one and the path leads somewhere in it.
pub(super) fn write(
    object: &mut Value,
    path: &[Step],
    create: Option<Create>,
    set: &mut dyn FnMut(&mut Value) -> Result<(), String>,
) -> Result<bool, String> {
    let Some((above, below)) = scalar_on_the_way(object, path) else { return Ok(false) };
    let Ok(Some(text)) = lookup(object, above).map(|found| found.and_then(Value::text)) else { return Ok(false) };
    let Ok(Some(mut inner)) = read::document(text) else { return Ok(false) };
    if inner.is_scalar() {
        return Ok(false);
    }
    let text = text.to_owned();
    let mut replaced = Vec::new();
    let mut set = |field: &mut Value| {
        let was_scalar = field.is_scalar();
        set(field)?;
        if !was_scalar {
            replaced.push(std::ptr::from_ref(field));
        }
        Ok(())
    };
    match visit(&mut inner, below, create, &mut set) {
        Ok(found) if found > 0 => {}
        // Also if a value can't be written: kustomize tries again without the text's content.
        _ => return Ok(false),
    }
    let text = if !text.trim_start().starts_with(['{', '[']) {
        styled::print(&text, &inner, &replaced)?
    } else if text.contains('\n') && text.contains("  ") {
        // What has several lines and is indented is printed in that way again.
        to_pretty_json(&inner)?
    } else {
        to_json(&inner)?
    };
    if let Some(field) = lookup_mut(object, above)? {
        *field = field.with_its_quotes(text);
    }
    Ok(true)
}

/// The part of a path that leads to a scalar which isn't null, and the part below it.
fn scalar_on_the_way<'p>(object: &Value, path: &'p [Step]) -> Option<(&'p [Step], &'p [Step])> {
    (1..path.len())
        .filter_map(|at| path.split_at_checked(at))
        .find(|(above, _)| matches!(lookup(object, above), Ok(Some(Value::Str(_)))))
}
