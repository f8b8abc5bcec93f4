//! The fields that kustomize knows without being told: where names, labels, namespaces, images and numbers of replicas
//! stand in the kinds of Kubernetes, and which fields refer to which kinds by name.

use super::config::{Config, NameReference};
use super::field_spec::FieldSpec;

/// Kinds that hold the template of a pod, with their group, version and the path to the pod's spec.
struct Pods(&'static [(&'static str, &'static str, &'static str)]);

/// All kinds that hold pods, for references to ConfigMaps and Secrets.
const ALL_PODS: Pods = Pods(&[
    ("v1", "Pod", "spec"),
    ("", "PodTemplate", "template/spec"),
    ("", "Deployment", "spec/template/spec"),
    ("", "ReplicaSet", "spec/template/spec"),
    ("", "DaemonSet", "spec/template/spec"),
    ("", "StatefulSet", "spec/template/spec"),
    ("", "Job", "spec/template/spec"),
    ("", "CronJob", "spec/jobTemplate/spec/template/spec"),
]);
/// Kinds that hold pods, for references to everything else.
const PODS: Pods = Pods(&[
    ("", "Pod", "spec"),
    ("", "StatefulSet", "spec/template/spec"),
    ("", "Deployment", "spec/template/spec"),
    ("", "ReplicationController", "spec/template/spec"),
    ("", "CronJob", "spec/jobTemplate/spec/template/spec"),
    ("", "Job", "spec/template/spec"),
    ("", "DaemonSet", "spec/template/spec"),
]);

const CONFIG_MAP_IN_PODS: [&str; 6] = [
    "volumes/configMap/name",
    "containers/env/valueFrom/configMapKeyRef/name",
    "initContainers/env/valueFrom/configMapKeyRef/name",
    "containers/envFrom/configMapRef/name",
    "initContainers/envFrom/configMapRef/name",
    "volumes/projected/sources/configMap/name",
];
const SECRET_IN_PODS: [&str; 7] = [
    "volumes/secret/secretName",
    "containers/env/valueFrom/secretKeyRef/name",
    "initContainers/env/valueFrom/secretKeyRef/name",
    "containers/envFrom/secretRef/name",
    "initContainers/envFrom/secretRef/name",
    "imagePullSecrets/name",
    "volumes/projected/sources/secret/name",
];

/// Group, version, kind and path of fields that refer to something.
type Referrers = &'static [(&'static str, &'static str, &'static str, &'static str)];

/// Group, version and kind of something that fields refer to, the pods with the paths in them, and other fields.
type Reference = (&'static str, &'static str, &'static str, Pods, &'static [&'static str], Referrers);

const NO_PODS: Pods = Pods(&[]);
const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";
const SCALED: Referrers = &[("", "", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name")];

const REFERENCES: [Reference; 16] = [
    ("", "", "Deployment", NO_PODS, &[], SCALED),
    ("", "", "ReplicationController", NO_PODS, &[], SCALED),
    ("", "", "ReplicaSet", NO_PODS, &[], SCALED),
    ("", "", "StatefulSet", NO_PODS, &[], SCALED),
    (
        "",
        "v1",
        "ConfigMap",
        ALL_PODS,
        &CONFIG_MAP_IN_PODS,
        &[
            ("", "", "Node", "spec/configSource/configMap"),
            ("", "", "Role", "rules/resourceNames"),
            ("", "", "ClusterRole", "rules/resourceNames"),
            ("", "", "Ingress", r"metadata/annotations/nginx.ingress.kubernetes.io\/fastcgi-params-configmap"),
        ],
    ),
    (
        "",
        "v1",
        "Secret",
        ALL_PODS,
        &SECRET_IN_PODS,
        &[
            ("", "", "Ingress", "spec/tls/secretName"),
            ("", "", "Ingress", r"metadata/annotations/ingress.kubernetes.io\/auth-secret"),
            ("", "", "Ingress", r"metadata/annotations/nginx.ingress.kubernetes.io\/auth-secret"),
            ("", "", "Ingress", r"metadata/annotations/nginx.ingress.kubernetes.io\/auth-tls-secret"),
            ("", "", "ServiceAccount", "imagePullSecrets/name"),
            ("", "", "StorageClass", "parameters/secretName"),
            ("", "", "StorageClass", "parameters/adminSecretName"),
            ("", "", "StorageClass", "parameters/userSecretName"),
            ("", "", "StorageClass", "parameters/secretRef"),
            ("", "", "Role", "rules/resourceNames"),
            ("", "", "ClusterRole", "rules/resourceNames"),
            ("serving.knative.dev", "v1", "Service", "spec/template/spec/containers/env/valueFrom/secretKeyRef/name"),
            ("", "", "PersistentVolume", "spec/azureFile/secretName"),
        ],
    ),
    (
        "",
        "v1",
        "Service",
        NO_PODS,
        &[],
        &[
            ("apps", "", "StatefulSet", "spec/serviceName"),
            ("", "", "Ingress", "spec/rules/http/paths/backend/serviceName"),
            ("", "", "Ingress", "spec/backend/serviceName"),
            ("", "", "Ingress", "spec/rules/http/paths/backend/service/name"),
            ("", "", "Ingress", "spec/defaultBackend/service/name"),
            ("apiregistration.k8s.io", "", "APIService", "spec/service/name"),
            (ADMISSION, "", "ValidatingWebhookConfiguration", "webhooks/clientConfig/service"),
            (ADMISSION, "", "MutatingWebhookConfiguration", "webhooks/clientConfig/service"),
        ],
    ),
    (RBAC, "", "Role", NO_PODS, &[], &[(RBAC, "", "RoleBinding", "roleRef/name")]),
    (
        RBAC,
        "",
        "ClusterRole",
        NO_PODS,
        &[],
        &[(RBAC, "", "RoleBinding", "roleRef/name"), (RBAC, "", "ClusterRoleBinding", "roleRef/name")],
    ),
    (
        "",
        "v1",
        "ServiceAccount",
        PODS,
        &["serviceAccountName"],
        &[(RBAC, "", "RoleBinding", "subjects"), (RBAC, "", "ClusterRoleBinding", "subjects")],
    ),
    ("", "v1", "PersistentVolumeClaim", PODS, &["volumes/persistentVolumeClaim/claimName"], &[]),
    (
        "",
        "v1",
        "PersistentVolume",
        NO_PODS,
        &[],
        &[("", "", "PersistentVolumeClaim", "spec/volumeName"), ("", "", "ClusterRole", "rules/resourceNames")],
    ),
    (
        "storage.k8s.io",
        "v1",
        "StorageClass",
        NO_PODS,
        &[],
        &[
            ("", "", "PersistentVolume", "spec/storageClassName"),
            ("", "", "PersistentVolumeClaim", "spec/storageClassName"),
            ("", "", "StatefulSet", "spec/volumeClaimTemplates/spec/storageClassName"),
        ],
    ),
    ("scheduling.k8s.io", "v1", "PriorityClass", PODS, &["priorityClassName"], &[]),
    // The version in the group is kustomize's own: no IngressClass has this group, so the reference is never followed.
    ("networking.k8s.io/v1", "v1", "IngressClass", NO_PODS, &[], &[("", "", "Ingress", "spec/ingressClassName")]),
    (
        ADMISSION,
        "",
        "ValidatingAdmissionPolicy",
        NO_PODS,
        &[],
        &[(ADMISSION, "", "ValidatingAdmissionPolicyBinding", "spec/policyName")],
    ),
];

/// Group, version, kind and path of fields, each made where it is missing.
type Fields = &'static [(&'static str, &'static str, &'static str, &'static str)];

/// Labels of resources and of the templates of pods.
const TEMPLATE_LABELS: Fields = &[
    ("", "", "", "metadata/labels"),
    ("", "v1", "ReplicationController", "spec/template/metadata/labels"),
    ("", "", "Deployment", "spec/template/metadata/labels"),
    ("", "", "ReplicaSet", "spec/template/metadata/labels"),
    ("", "", "DaemonSet", "spec/template/metadata/labels"),
    ("apps", "", "StatefulSet", "spec/template/metadata/labels"),
    ("batch", "", "Job", "spec/template/metadata/labels"),
    ("batch", "", "CronJob", "spec/jobTemplate/metadata/labels"),
    ("batch", "", "CronJob", "spec/jobTemplate/spec/template/metadata/labels"),
];
const VOLUME_CLAIM_LABELS: Fields = &[("apps", "", "StatefulSet", "spec/volumeClaimTemplates[]/metadata/labels")];
/// Selectors that a label is added to, and that are made for it.
const SELECTORS: Fields = &[
    ("", "v1", "Service", "spec/selector"),
    ("", "v1", "ReplicationController", "spec/selector"),
    ("", "", "Deployment", "spec/selector/matchLabels"),
    ("", "", "ReplicaSet", "spec/selector/matchLabels"),
    ("", "", "DaemonSet", "spec/selector/matchLabels"),
    ("apps", "", "StatefulSet", "spec/selector/matchLabels"),
];
/// Selectors that a label is added to where they are given.
const GIVEN_SELECTORS: Fields = &[
    ("batch", "", "Job", "spec/selector/matchLabels"),
    ("batch", "", "CronJob", "spec/jobTemplate/spec/selector/matchLabels"),
    ("policy", "", "PodDisruptionBudget", "spec/selector/matchLabels"),
    ("networking.k8s.io", "", "NetworkPolicy", "spec/podSelector/matchLabels"),
    ("networking.k8s.io", "", "NetworkPolicy", "spec/ingress/from/podSelector/matchLabels"),
    ("networking.k8s.io", "", "NetworkPolicy", "spec/egress/to/podSelector/matchLabels"),
];
/// Selectors in the pods of Deployments and StatefulSets.
const POD_SELECTORS: [&str; 5] = [
    "affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels",
    "affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels",
    "topologySpreadConstraints/labelSelector/matchLabels",
];
const ANNOTATIONS: Fields = &[
    ("", "", "", "metadata/annotations"),
    ("", "v1", "ReplicationController", "spec/template/metadata/annotations"),
    ("", "", "Deployment", "spec/template/metadata/annotations"),
    ("", "", "ReplicaSet", "spec/template/metadata/annotations"),
    ("", "", "DaemonSet", "spec/template/metadata/annotations"),
    ("", "", "StatefulSet", "spec/template/metadata/annotations"),
    ("batch", "", "Job", "spec/template/metadata/annotations"),
    ("batch", "", "CronJob", "spec/jobTemplate/metadata/annotations"),
    ("batch", "", "CronJob", "spec/jobTemplate/spec/template/metadata/annotations"),
];
const IMAGES: Fields = &[
    ("", "", "", "spec/containers[]/image"),
    ("", "", "", "spec/initContainers[]/image"),
    ("", "", "", "spec/volumes[]/image/reference"),
    ("", "", "", "spec/template/spec/containers[]/image"),
    ("", "", "", "spec/template/spec/initContainers[]/image"),
    ("", "", "", "spec/template/spec/volumes[]/image/reference"),
    ("", "", "", "spec/jobTemplate/spec/template/spec/volumes[]/image/reference"),
];
const REPLICAS: Fields = &[
    ("", "", "Deployment", "spec/replicas"),
    ("", "", "ReplicationController", "spec/replicas"),
    ("", "", "ReplicaSet", "spec/replicas"),
    ("", "", "StatefulSet", "spec/replicas"),
];
const NAMESPACES: Fields =
    &[("", "", "Namespace", "metadata/name"), ("apiregistration.k8s.io", "", "APIService", "spec/service/namespace")];
const GIVEN_NAMESPACES: Fields = &[(
    "apiextensions.k8s.io",
    "",
    "CustomResourceDefinition",
    "spec/conversion/webhook/clientConfig/service/namespace",
)];

fn specs(fields: Fields, create: bool) -> impl Iterator<Item = FieldSpec> {
    fields.iter().map(move |(group, version, kind, path)| FieldSpec::new(group, version, kind, path, create))
}

impl Pods {
    /// The fields at `paths` below the specs of pods.
    fn fields(&self, paths: &[&str]) -> Vec<FieldSpec> {
        let mut fields = Vec::new();
        for path in paths {
            for (version, kind, pod) in self.0 {
                fields.push(FieldSpec::new("", version, kind, &format!("{pod}/{path}"), false));
            }
        }
        fields
    }
}

/// What kustomize knows without being told.
pub(super) fn defaults() -> Config {
    let selectors_of = |kind: &'static str| {
        POD_SELECTORS
            .iter()
            .map(move |path| FieldSpec::new("apps", "", kind, &format!("spec/template/spec/{path}"), false))
    };
    let name = || vec![FieldSpec::new("", "", "", "metadata/name", false)];
    let name_reference = |(group, version, kind, pods, paths, others): &Reference| NameReference {
        group: (*group).to_owned(),
        version: (*version).to_owned(),
        kind: (*kind).to_owned(),
        referrers: pods.fields(paths).into_iter().chain(specs(others, false)).collect(),
    };
    let mut config = Config {
        name_prefix: name(),
        name_suffix: name(),
        namespace: specs(NAMESPACES, true).chain(specs(GIVEN_NAMESPACES, false)).collect(),
        common_labels: specs(SELECTORS, true)
            .chain(specs(GIVEN_SELECTORS, false))
            .chain(selectors_of("Deployment"))
            .chain(selectors_of("StatefulSet"))
            .chain(specs(TEMPLATE_LABELS, true))
            .chain(specs(VOLUME_CLAIM_LABELS, true))
            .collect(),
        labels: Vec::new(),
        template_labels: specs(TEMPLATE_LABELS, true).collect(),
        volume_claim_template_labels: specs(VOLUME_CLAIM_LABELS, true).collect(),
        common_annotations: specs(ANNOTATIONS, true).collect(),
        name_reference: REFERENCES.iter().map(name_reference).collect(),
        var_reference: super::var_references::var_references(),
        images: specs(IMAGES, true).collect(),
        replicas: specs(REPLICAS, true).collect(),
    };
    config.sort();
    config
}
