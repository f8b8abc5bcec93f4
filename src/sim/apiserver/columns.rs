//! The columns of tables, by resource.

mod age;
mod config;
mod descriptions;
mod network;
mod pods;
mod printer;
mod scaling;
mod selector;
pub(super) mod storage;
mod workloads;

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::age::{ago, duration};
use self::printer::Path;
pub use self::printer::of_definition;
use super::definitions::DEFINITIONS;
use super::resources::Resource;
use crate::sim::kinds::value::text;

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    name: Cow<'static, str>,
    kind: Cow<'static, str>,
    format: Cow<'static, str>,
    description: Cow<'static, str>,
    priority: i64,
    cell: Cell,
}

/// Where a cell comes from.
#[derive(Clone, Debug)]
enum Cell {
    /// It is made of the object.
    Made(fn(&Value, Timestamp) -> Value),
    /// A custom resource's definition says where it stands.
    At(Path),
}

/// A column of a built-in resource.
#[derive(Clone, Copy, Debug)]
struct BuiltIn {
    name: &'static str,
    kind: &'static str,
    format: &'static str,
    priority: i64,
    cell: fn(&Value, Timestamp) -> Value,
}

impl BuiltIn {
    const fn new(name: &'static str, kind: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self { name, kind, format: "", priority: 0, cell }
    }

    const fn text(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self::new(name, "string", cell)
    }

    const fn integer(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self::new(name, "integer", cell)
    }

    const fn boolean(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self::new(name, "boolean", cell)
    }

    /// A column that is shown when more is asked for.
    const fn wide(self) -> Self {
        Self { priority: 1, ..self }
    }

    const fn formatted(self, format: &'static str) -> Self {
        Self { format, ..self }
    }
}

impl From<BuiltIn> for Column {
    fn from(column: BuiltIn) -> Self {
        Self {
            name: column.name.into(),
            kind: column.kind.into(),
            format: column.format.into(),
            description: descriptions::of("", column.name),
            priority: column.priority,
            cell: Cell::Made(column.cell),
        }
    }
}

impl Column {
    /// What the column says of an object.
    pub fn cell(&self, object: &Value, now: Timestamp) -> Value {
        match &self.cell {
            Cell::Made(make) => make(object, now),
            Cell::At(path) => path.cell(object, now),
        }
    }

    /// How the column is told.
    pub fn definition(&self) -> Value {
        json!({
            "name": self.name, "type": self.kind, "format": self.format, "description": self.description,
            "priority": self.priority,
        })
    }
}

const NAME: BuiltIn = BuiltIn::text("Name", |object, _| text(object, "metadata.name").into()).formatted("name");
const AGE: BuiltIn = BuiltIn::text("Age", |object, now| ago(text(object, "metadata.creationTimestamp"), now).into());
const CREATED: BuiltIn =
    BuiltIn::new("Created At", "date", |object, _| text(object, "metadata.creationTimestamp").into());

/// The columns of kinds that have none of their own.
const PLAIN: &[BuiltIn] = &[NAME, CREATED];

/// The columns of a resource that is built in.
pub fn of(resource: &Resource) -> Vec<Column> {
    if resource.custom {
        return of_definition(&resource.definition);
    }
    let qualified = resource.qualified();
    let told = |column: &BuiltIn| Column { description: descriptions::of(&qualified, column.name), ..(*column).into() };
    columns(&qualified).iter().map(told).collect()
}

/// Whether a table without rows has none at all, not an empty list of them.
pub fn has_no_empty_list(resource: &Resource) -> bool {
    let name = resource.qualified();
    !resource.custom && (std::ptr::eq(columns(&name), PLAIN) || name == DEFINITIONS)
}

fn columns(resource: &str) -> &'static [BuiltIn] {
    match resource {
        "pods" => pods::PODS,
        "podtemplates" => workloads::POD_TEMPLATES,
        "replicationcontrollers" => workloads::REPLICATION_CONTROLLERS,
        "deployments.apps" => workloads::DEPLOYMENTS,
        "statefulsets.apps" => workloads::STATEFUL_SETS,
        "daemonsets.apps" => workloads::DAEMON_SETS,
        "replicasets.apps" => workloads::REPLICA_SETS,
        "controllerrevisions.apps" => workloads::CONTROLLER_REVISIONS,
        "jobs.batch" => workloads::JOBS,
        "cronjobs.batch" => workloads::CRON_JOBS,
        "horizontalpodautoscalers.autoscaling" => scaling::AUTOSCALERS,
        "poddisruptionbudgets.policy" => scaling::DISRUPTION_BUDGETS,
        "priorityclasses.scheduling.k8s.io" => scaling::PRIORITY_CLASSES,
        "resourcequotas" => scaling::RESOURCE_QUOTAS,
        "services" => network::SERVICES,
        "endpoints" => network::ENDPOINTS,
        "endpointslices.discovery.k8s.io" => network::ENDPOINT_SLICES,
        "ingresses.networking.k8s.io" => network::INGRESSES,
        "ingressclasses.networking.k8s.io" => network::INGRESS_CLASSES,
        "networkpolicies.networking.k8s.io" => network::NETWORK_POLICIES,
        "nodes" => network::NODES,
        "persistentvolumes" => storage::VOLUMES,
        "persistentvolumeclaims" => storage::CLAIMS,
        "storageclasses.storage.k8s.io" => storage::CLASSES,
        "csidrivers.storage.k8s.io" => storage::DRIVERS,
        "configmaps" => config::CONFIG_MAPS,
        "secrets" => config::SECRETS,
        "namespaces" => config::NAMESPACES,
        "serviceaccounts" => config::SERVICE_ACCOUNTS,
        "events" | "events.events.k8s.io" => config::EVENTS,
        "leases.coordination.k8s.io" => config::LEASES,
        "rolebindings.rbac.authorization.k8s.io" | "clusterrolebindings.rbac.authorization.k8s.io" => {
            config::ROLE_BINDINGS
        }
        "mutatingwebhookconfigurations.admissionregistration.k8s.io"
        | "validatingwebhookconfigurations.admissionregistration.k8s.io" => config::WEBHOOKS,
        "validatingadmissionpolicies.admissionregistration.k8s.io" => config::ADMISSION_POLICIES,
        "validatingadmissionpolicybindings.admissionregistration.k8s.io" => config::ADMISSION_BINDINGS,
        "customresourcedefinitions.apiextensions.k8s.io" => config::DEFINITIONS,
        _ => PLAIN,
    }
}

/// A text, or what stands for one that is missing.
fn or<'t>(text: &'t str, missing: &'t str) -> &'t str {
    if text.is_empty() { missing } else { text }
}
