//! The fields in which `$(NAME)` stands for a variable without being told so.

use super::field_spec::FieldSpec;

/// Kinds that hold pods, with the path to the pod's spec.
const PODS: [(&str, &str); 7] = [
    ("CronJob", "spec/jobTemplate/spec/template/spec"),
    ("DaemonSet", "spec/template/spec"),
    ("Deployment", "spec/template/spec"),
    ("Job", "spec/template/spec"),
    ("Pod", "spec"),
    ("ReplicaSet", "spec/template/spec"),
    ("StatefulSet", "spec/template/spec"),
];
const IN_PODS: [&str; 8] = [
    "containers/args",
    "containers/command",
    "containers/env/value",
    "containers/volumeMounts/mountPath",
    "initContainers/args",
    "initContainers/command",
    "initContainers/env/value",
    "initContainers/volumeMounts/mountPath",
];
const OTHERS: [(&str, &str); 16] = [
    // Neither of these two is where Kubernetes has the field, but they are where kustomize looks.
    ("CronJob", "spec/jobTemplate/spec/template/volumes/nfs/server"),
    ("StatefulSet", "spec/volumeClaimTemplates/spec/nfs/server"),
    ("DaemonSet", "spec/template/spec/volumes/nfs/server"),
    ("Deployment", "spec/template/spec/volumes/nfs/server"),
    ("Job", "spec/template/spec/volumes/nfs/server"),
    ("Pod", "spec/volumes/nfs/server"),
    ("ReplicaSet", "spec/template/spec/volumes/nfs/server"),
    ("Deployment", "spec/template/metadata/annotations"),
    ("Ingress", "spec/rules/host"),
    ("Ingress", "spec/tls/hosts"),
    ("Ingress", "spec/tls/secretName"),
    ("Service", "spec/ports/port"),
    ("Service", "spec/ports/targetPort"),
    ("PersistentVolume", "spec/nfs/server"),
    ("", "metadata/labels"),
    ("", "metadata/annotations"),
];

/// The fields.
pub(super) fn var_references() -> Vec<FieldSpec> {
    let in_pods = PODS.iter().flat_map(|(kind, pod)| {
        IN_PODS.iter().map(move |path| FieldSpec::new("", "", kind, &format!("{pod}/{path}"), false))
    });
    in_pods.chain(OTHERS.iter().map(|(kind, path)| FieldSpec::new("", "", kind, path, false))).collect()
}
