//! The rules of all built-in resources.

use super::{Generation, Kind, apps, batch, config, pods, policies, services, storage, validate};
use crate::sim::apiserver::names;

/// The rules of a built-in resource, by its qualified name (`deployments.apps`). What is not built in has none of its own.
pub fn of(resource: &str) -> &'static Kind {
    match resource {
        "configmaps" => &CONFIG_MAPS,
        "secrets" => &SECRETS,
        "namespaces" => &NAMESPACES,
        "serviceaccounts" => &Kind::PLAIN,
        "resourcequotas" => &QUOTAS,
        "limitranges" => &LIMITS,
        "persistentvolumeclaims" => &CLAIMS,
        "persistentvolumes" => &VOLUMES,
        "replicationcontrollers" => &REPLICATION_CONTROLLERS,
        "podtemplates" => &POD_TEMPLATES,
        "events" | "events.events.k8s.io" => &EVENTS,
        "nodes" => &NODES,
        "pods" => &PODS,
        "services" => &SERVICES,
        "endpoints" => &ENDPOINTS,
        "endpointslices.discovery.k8s.io" => &ENDPOINT_SLICES,
        "deployments.apps" => &DEPLOYMENTS,
        "statefulsets.apps" => &STATEFUL_SETS,
        "daemonsets.apps" => &DAEMON_SETS,
        "replicasets.apps" => &REPLICA_SETS,
        "controllerrevisions.apps" => &CONTROLLER_REVISIONS,
        "jobs.batch" => &JOBS,
        "cronjobs.batch" => &CRON_JOBS,
        "horizontalpodautoscalers.autoscaling" => &AUTOSCALERS,
        "poddisruptionbudgets.policy" => &DISRUPTION_BUDGETS,
        "ingresses.networking.k8s.io" => &INGRESSES,
        "ingressclasses.networking.k8s.io" => &INGRESS_CLASSES,
        "networkpolicies.networking.k8s.io" => &NETWORK_POLICIES,
        "roles.rbac.authorization.k8s.io" => &ROLES,
        "clusterroles.rbac.authorization.k8s.io" => &CLUSTER_ROLES,
        "rolebindings.rbac.authorization.k8s.io" => &ROLE_BINDINGS,
        "clusterrolebindings.rbac.authorization.k8s.io" => &CLUSTER_ROLE_BINDINGS,
        "storageclasses.storage.k8s.io" => &STORAGE_CLASSES,
        "csidrivers.storage.k8s.io" => &CSI_DRIVERS,
        "priorityclasses.scheduling.k8s.io" => &PRIORITY_CLASSES,
        "leases.coordination.k8s.io" => &LEASES,
        "mutatingwebhookconfigurations.admissionregistration.k8s.io" => &MUTATING_WEBHOOKS,
        "validatingwebhookconfigurations.admissionregistration.k8s.io" => &VALIDATING_WEBHOOKS,
        "validatingadmissionpolicies.admissionregistration.k8s.io" => &ADMISSION_POLICIES,
        "validatingadmissionpolicybindings.admissionregistration.k8s.io" => &ADMISSION_BINDINGS,
        "customresourcedefinitions.apiextensions.k8s.io" => &DEFINITIONS,
        "servicecidrs.networking.k8s.io" | "csinodes.storage.k8s.io" | "volumeattachments.storage.k8s.io" => {
            &WITH_STATUS
        }
        "mutatingadmissionpolicies.admissionregistration.k8s.io"
        | "mutatingadmissionpolicybindings.admissionregistration.k8s.io" => &MUTATING_POLICIES,
        _ => &Kind::PLAIN,
    }
}

static WITH_STATUS: Kind = Kind { has_status: true, ..Kind::PLAIN };
static MUTATING_POLICIES: Kind = Kind { unconditional_update: false, generation: Generation::Spec, ..Kind::PLAIN };
static CONFIG_MAPS: Kind = Kind {
    validate: validate::config::config_map,
    validate_update: validate::config::update_config_map,
    ..Kind::PLAIN
};
static SECRETS: Kind = Kind {
    defaults: config::secret,
    validate: validate::config::secret,
    validate_update: validate::config::update_secret,
    ..Kind::PLAIN
};
static NAMESPACES: Kind = Kind {
    name: names::label,
    has_status: true,
    defaults: config::namespace,
    prepare_create: config::create_namespace,
    prepare_update: config::update_namespace,
    validate: validate::config::namespace,
    ..Kind::PLAIN
};
static QUOTAS: Kind = Kind {
    has_status: true,
    defaults: config::quota,
    prepare_create: config::quota,
    validate: validate::config::quota,
    validate_update: validate::config::update_quota,
    ..Kind::PLAIN
};
static LIMITS: Kind =
    Kind { creates_on_update: true, defaults: config::limits, validate: validate::config::limits, ..Kind::PLAIN };
static CLAIMS: Kind = Kind {
    has_status: true,
    defaults: storage::claim,
    prepare_create: storage::create_claim,
    prepare_update: storage::update_claim,
    validate: validate::storage::claim,
    validate_update: validate::storage::update_claim,
    ..Kind::PLAIN
};
static VOLUMES: Kind = Kind {
    has_status: true,
    defaults: storage::volume,
    prepare_create: storage::create_volume,
    validate: validate::storage::volume,
    validate_update: validate::storage::update_volume,
    ..Kind::PLAIN
};
static REPLICATION_CONTROLLERS: Kind = Kind {
    defaults: apps::replication_controller,
    prepare_create: apps::replication_controller,
    validate: validate::pods::replication_controller,
    ..Kind::SPECIFIED
};
static POD_TEMPLATES: Kind = Kind {
    generation: Generation::Spec,
    defaults: apps::pod_template,
    validate: validate::pods::pod_template,
    ..Kind::PLAIN
};
static EVENTS: Kind =
    Kind { creates_on_update: true, defaults: config::event, validate: validate::config::event, ..Kind::PLAIN };
static NODES: Kind = Kind {
    has_status: true,
    defaults: config::node,
    prepare_create: config::create_node,
    validate: validate::pods::node,
    validate_update: validate::pods::update_node,
    ..Kind::PLAIN
};
static PODS: Kind = Kind {
    defaults: pods::defaults,
    prepare_create: pods::prepare_create,
    validate: validate::pods::pod,
    validate_update: validate::pods::update,
    ..Kind::SPECIFIED
};
static SERVICES: Kind = Kind {
    name: names::label,
    creates_on_update: true,
    has_status: true,
    defaults: services::defaults,
    prepare_create: services::prepare_create,
    prepare_update: services::prepare_update,
    validate: validate::services::service,
    validate_update: validate::services::update,
    ..Kind::PLAIN
};
static ENDPOINTS: Kind = Kind {
    creates_on_update: true,
    defaults: services::endpoints,
    validate: validate::network::endpoints,
    ..Kind::PLAIN
};
static ENDPOINT_SLICES: Kind = Kind {
    generation: Generation::Spec,
    defaults: services::endpoint_slice,
    validate: validate::network::slice,
    validate_update: validate::network::update_slice,
    ..Kind::PLAIN
};

static DEPLOYMENTS: Kind = Kind {
    generation: Generation::SpecOrAnnotations,
    defaults: apps::deployment,
    prepare_create: apps::deployment,
    validate: validate::apps::deployment,
    validate_update: validate::apps::update_deployment,
    ..Kind::SPECIFIED
};
static STATEFUL_SETS: Kind = Kind {
    defaults: apps::stateful_set,
    prepare_create: apps::stateful_set,
    validate: validate::apps::new_stateful_set,
    validate_update: validate::apps::update_stateful_set,
    ..Kind::SPECIFIED
};
static DAEMON_SETS: Kind = Kind {
    defaults: apps::daemon_set,
    prepare_create: apps::create_daemon_set,
    prepare_update: apps::update_daemon_set,
    validate: validate::apps::daemon_set,
    validate_update: validate::apps::update_deployment,
    ..Kind::SPECIFIED
};
static REPLICA_SETS: Kind = Kind {
    defaults: apps::replica_set,
    prepare_create: apps::replica_set,
    validate: validate::apps::replica_set,
    validate_update: validate::apps::update_deployment,
    ..Kind::SPECIFIED
};
static CONTROLLER_REVISIONS: Kind = Kind {
    validate: validate::apps::controller_revision,
    validate_update: validate::apps::update_controller_revision,
    ..Kind::PLAIN
};
static JOBS: Kind = Kind {
    defaults: batch::job,
    prepare_create: batch::create_job,
    validate: validate::batch::job,
    validate_update: validate::batch::update_job,
    ..Kind::SPECIFIED
};
static CRON_JOBS: Kind = Kind {
    name: validate::batch::cron_name,
    defaults: batch::cron_job,
    prepare_create: batch::cron_job,
    validate: validate::batch::cron_job,
    ..Kind::SPECIFIED
};

static AUTOSCALERS: Kind = Kind {
    defaults: policies::autoscaler,
    prepare_create: policies::autoscaler,
    validate: validate::policies::autoscaler,
    ..Kind::SPECIFIED
};
static DISRUPTION_BUDGETS: Kind = Kind {
    unconditional_update: false,
    defaults: policies::disruption_budget,
    prepare_create: policies::disruption_budget,
    validate: validate::policies::disruption_budget,
    ..Kind::SPECIFIED
};
static INGRESSES: Kind = Kind {
    defaults: policies::ingress,
    prepare_create: policies::ingress,
    validate: validate::network::ingress,
    ..Kind::SPECIFIED
};
static INGRESS_CLASSES: Kind = Kind {
    generation: Generation::Spec,
    defaults: policies::ingress_class,
    validate: validate::network::ingress_class,
    validate_update: validate::network::update_ingress_class,
    ..Kind::PLAIN
};
static NETWORK_POLICIES: Kind = Kind {
    generation: Generation::Spec,
    defaults: policies::network_policy,
    validate: validate::network::policy,
    ..Kind::PLAIN
};

static ROLES: Kind = Kind {
    name: names::path_segment,
    creates_on_update: true,
    defaults: config::role,
    validate: validate::rbac::role,
    ..Kind::PLAIN
};
static CLUSTER_ROLES: Kind = Kind {
    name: names::path_segment,
    creates_on_update: true,
    defaults: config::role,
    validate: validate::rbac::cluster_role,
    ..Kind::PLAIN
};
static ROLE_BINDINGS: Kind = Kind {
    name: names::path_segment,
    creates_on_update: true,
    defaults: config::binding,
    validate: validate::rbac::role_binding,
    validate_update: validate::rbac::update_binding,
    ..Kind::PLAIN
};
static CLUSTER_ROLE_BINDINGS: Kind = Kind {
    name: names::path_segment,
    creates_on_update: true,
    defaults: config::binding,
    validate: validate::rbac::cluster_role_binding,
    validate_update: validate::rbac::update_binding,
    ..Kind::PLAIN
};

static STORAGE_CLASSES: Kind = Kind {
    defaults: storage::class,
    validate: validate::storage::class,
    validate_update: validate::storage::update_class,
    ..Kind::PLAIN
};
static CSI_DRIVERS: Kind = Kind {
    unconditional_update: false,
    generation: Generation::Spec,
    defaults: storage::driver,
    prepare_create: storage::create_driver,
    validate: validate::storage::driver,
    validate_update: validate::storage::update_driver,
    ..Kind::PLAIN
};
static PRIORITY_CLASSES: Kind = Kind {
    defaults: policies::priority_class,
    prepare_create: policies::create_priority_class,
    validate: validate::config::priority_class,
    validate_update: validate::config::update_priority_class,
    ..Kind::PLAIN
};
static LEASES: Kind = Kind {
    creates_on_update: true,
    unconditional_update: false,
    defaults: policies::lease,
    validate: validate::config::lease,
    ..Kind::PLAIN
};

static MUTATING_WEBHOOKS: Kind = Kind {
    unconditional_update: false,
    generation: Generation::Spec,
    defaults: policies::mutating_webhooks,
    validate: validate::policies::webhooks,
    ..Kind::PLAIN
};
static VALIDATING_WEBHOOKS: Kind = Kind {
    unconditional_update: false,
    generation: Generation::Spec,
    defaults: policies::webhooks,
    validate: validate::policies::webhooks,
    ..Kind::PLAIN
};
static ADMISSION_POLICIES: Kind = Kind {
    unconditional_update: false,
    defaults: policies::admission_policy,
    prepare_create: policies::admission_policy,
    validate: validate::policies::admission_policy,
    ..Kind::SPECIFIED
};
static ADMISSION_BINDINGS: Kind = Kind {
    unconditional_update: false,
    generation: Generation::Spec,
    defaults: policies::admission_binding,
    validate: validate::policies::admission_binding,
    ..Kind::PLAIN
};
static DEFINITIONS: Kind = Kind {
    unconditional_update: false,
    defaults: policies::definition,
    prepare_create: policies::definition,
    validate: validate::policies::definition,
    validate_update: validate::policies::update_definition,
    ..Kind::SPECIFIED
};
