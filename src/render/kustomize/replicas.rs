//! Numbers of replicas.

use super::error::KustomizeError;
use super::field_spec::{FieldSpec, Missing, visit};
use super::kustomization::Replica;
use super::resource::Resources;
use super::value::Value;

/// Sets the number of replicas of the resources that are or were called as `replica` says.
pub fn set_replicas(resources: &mut Resources, replica: &Replica, specs: &[FieldSpec]) -> Result<(), KustomizeError> {
    let count = replica.count.to_string();
    let mut found = false;
    for spec in specs {
        for at in resources.find(|id| id.name == replica.name && spec.is_for(id.gvk)) {
            found = true;
            if let Some(resource) = resources.list.get_mut(at) {
                visit(resource, spec, Missing::Scalar, &mut |value| set_count(value, &count))?;
            }
        }
    }
    if found {
        return Ok(());
    }
    Err(KustomizeError::new(format!(
        "there is no resource {:?} of a kind that has replicas; correct the name or remove the entry",
        replica.name
    )))
}

/// A number stays one, and a string in quotes stays a string.
fn set_count(value: &mut Value, count: &str) -> Result<(), String> {
    if !value.is_scalar() {
        return Err(format!("a number is needed, and {} is there", value.describe()));
    }
    *value = if value.is_quoted() { value.with_its_quotes(count) } else { Value::plain(count) };
    Ok(())
}
