//! The namespace of all resources.

use std::collections::HashSet;

use super::error::KustomizeError;
use super::field_spec::{FieldSpec, Missing, set_string, visit};
use super::helm::is_generated;
use super::resource::{Resource, Resources};
use super::value::{Plain, Value};

/// Which subjects of role bindings get the namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subjects {
    /// Those that are called `default`.
    #[default]
    NamedDefault,
    /// All service accounts.
    ServiceAccounts,
    /// None.
    None,
}

/// How namespaces are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceOptions {
    /// The namespace.
    pub namespace: String,
    /// Only where there is none.
    pub unset_only: bool,
    /// Which subjects of role bindings get it.
    pub subjects: Subjects,
}

/// Sets the namespace of `resources`, and in what else `specs` says.
pub fn set_namespace(
    resources: &mut Resources,
    options: &NamespaceOptions,
    specs: &[FieldSpec],
) -> Result<(), KustomizeError> {
    for resource in &mut resources.list {
        set_in(resource, options, specs)?;
    }
    let mut ids = HashSet::with_capacity(resources.list.len());
    match resources.list.iter().find(|resource| !ids.insert(resource.id())) {
        None => Ok(()),
        Some(resource) => Err(KustomizeError::new(format!(
            "in the namespace {} there would be two resources {}; rename one of them",
            options.namespace,
            resource.describe()
        ))
        .in_field("namespace")),
    }
}

fn set_in(resource: &mut Resource, options: &NamespaceOptions, specs: &[FieldSpec]) -> Result<(), KustomizeError> {
    if is_generated(resource) {
        // Helm has set it.
        return Ok(());
    }
    resource.remember();
    let set = |value: &mut Value| {
        if options.unset_only && !value.is_null() && value.text() != Some("") {
            return Ok(());
        }
        set_string(value, &options.namespace)
    };
    if !resource.cluster_scoped {
        let own = FieldSpec::new("", "", "", "metadata/namespace", true);
        visit(resource, &own, Missing::Scalar, &mut |value| set(value))?;
    }
    let core = resource.api_version() == "v1";
    let binding = matches!(resource.kind(), "RoleBinding" | "ClusterRoleBinding");
    if binding {
        let described = resource.describe();
        if let Some(subjects) = resource.value.get_mut("subjects").filter(|subjects| !subjects.is_null()) {
            set_in_subjects(subjects, options, &set)
                .map_err(|reason| KustomizeError::new(format!("{described}: field `subjects`: {reason}")))?;
        }
    }
    for spec in specs {
        let skipped = spec.path == "metadata/namespace"
            || spec.path == "metadata/name" && !core
            || binding
                && spec.path == "subjects/namespace"
                && matches!(spec.kind.as_str(), "RoleBinding" | "ClusterRoleBinding");
        if !skipped {
            visit(resource, spec, Missing::Scalar, &mut |value| set(value))?;
        }
    }
    Ok(())
}

fn set_in_subjects(
    subjects: &mut Value,
    options: &NamespaceOptions,
    set: &dyn Fn(&mut Value) -> Result<(), String>,
) -> Result<(), String> {
    let (field, wanted) = match options.subjects {
        Subjects::None => return Ok(()),
        Subjects::NamedDefault => ("name", "default"),
        Subjects::ServiceAccounts => ("kind", "ServiceAccount"),
    };
    let described = subjects.describe();
    let items = subjects.as_seq_mut().ok_or_else(|| format!("a list is needed, and {described} is there"))?;
    for subject in items.iter_mut().filter(|subject| !subject.is_null()) {
        let described = subject.describe();
        let map = subject.as_map_mut().ok_or_else(|| format!("a mapping is needed, and {described} is there"))?;
        if map.get(field).and_then(Value::text) == Some(wanted) {
            set(map.get_or_insert_with("namespace", || Value::Plain(Plain::empty())))?;
        }
    }
    Ok(())
}
