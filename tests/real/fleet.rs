//! Two hundred objects of fourteen kinds in five folders of one repository.

use std::fmt::Write as _;

/// A folder of the repository, and the namespace that its application is deployed to.
pub(super) struct Part {
    pub(super) folder: &'static str,
    pub(super) destination: &'static str,
    /// How many objects of which kinds it holds.
    pub(super) kinds: &'static [(&'static str, usize)],
}

/// The values of the Secrets begin like this.
pub(super) const SECRET: &str = "tell-nobody-";

/// All parts. The kinds of one folder are in an order in which nothing could be created: what is needed comes last.
pub(super) const PARTS: [Part; 5] = [
    Part {
        folder: "guestbook",
        destination: "guestbook",
        kinds: &[
            ("HorizontalPodAutoscaler", 5),
            ("Ingress", 1),
            ("Deployment", 15),
            ("Service", 15),
            ("ConfigMap", 15),
        ],
    },
    Part {
        folder: "platform",
        destination: "platform-0",
        kinds: &[("Widget", 20), ("ConfigMap", 16), ("Namespace", 4), ("CustomResourceDefinition", 1)],
    },
    Part {
        folder: "access",
        destination: "access",
        kinds: &[("RoleBinding", 10), ("Role", 10), ("ServiceAccount", 15)],
    },
    Part { folder: "jobs", destination: "jobs", kinds: &[("CronJob", 10), ("Job", 10), ("Secret", 20)] },
    Part {
        folder: "edge",
        destination: "edge",
        kinds: &[("HorizontalPodAutoscaler", 10), ("Ingress", 5), ("Deployment", 10), ("Service", 10)],
    },
];

/// How many objects there are.
pub(super) fn total() -> usize {
    PARTS.iter().flat_map(|part| part.kinds).map(|(_, count)| count).sum()
}

/// The files of the repository: one for each kind of each part, with many documents. `colour` is in the ConfigMaps.
pub(super) fn files(colour: &str) -> Vec<(String, String)> {
    let of_part = |part: &'static Part| {
        part.kinds.iter().map(move |(kind, count)| {
            let documents: String = (0..*count).map(|number| document(part, kind, number, colour)).collect();
            (format!("{}/{}.yaml", part.folder, kind.to_lowercase()), documents)
        })
    };
    PARTS.iter().flat_map(of_part).collect()
}

/// Name of an object.
pub(super) fn name(folder: &str, kind: &str, number: usize) -> String {
    match kind {
        // What a part's own namespaces hold is spread over them.
        "Namespace" => format!("{folder}-{number}"),
        "CustomResourceDefinition" => "widgets.fleet.example.com".to_owned(),
        _ => format!("{folder}-{}-{number}", kind.to_lowercase()),
    }
}

fn document(part: &Part, kind: &str, number: usize, colour: &str) -> String {
    let Part { folder, destination, .. } = part;
    let own = name(folder, kind, number);
    let target = name(folder, "Deployment", number);
    let namespace = match (*folder, kind) {
        ("platform", "Widget" | "ConfigMap") => format!(", namespace: platform-{}", number % 4),
        _ => String::new(),
    };
    let pod = "{restartPolicy: Never, containers: [{name: main, image: \"example.com/run:1\"}]}";
    let body = match kind {
        "ConfigMap" => format!("data: {{colour: {colour}, number: \"{number}\"}}"),
        "Secret" => format!("stringData: {{password: {SECRET}{number}}}"),
        "Namespace" | "ServiceAccount" => "".to_owned(),
        "Deployment" => format!(
            "spec: {{replicas: 1, selector: {{matchLabels: {{app: {own}}}}}, template: {{metadata: {{labels: {{app: \
             {own}}}}}, spec: {{containers: [{{name: web, image: \"example.com/web:1\", ports: [{{containerPort: \
             8080}}]}}]}}}}}}"
        ),
        "Service" => format!("spec: {{selector: {{app: {target}}}, ports: [{{port: 80, targetPort: 8080}}]}}"),
        "Ingress" => format!(
            "spec: {{rules: [{{host: {own}.example.com, http: {{paths: [{{path: /, pathType: Prefix, backend: \
             {{service: {{name: {}, port: {{number: 80}}}}}}}}]}}}}]}}",
            name(folder, "Service", number)
        ),
        "HorizontalPodAutoscaler" => format!(
            "spec: {{minReplicas: 1, maxReplicas: 3, scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: \
             {target}}}}}"
        ),
        "Role" => "rules: [{apiGroups: [\"\"], resources: [configmaps], verbs: [get, list]}]".to_owned(),
        "RoleBinding" => format!(
            "roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {}}}\nsubjects: [{{kind: \
             ServiceAccount, name: {}, namespace: {destination}}}]",
            name(folder, "Role", number),
            name(folder, "ServiceAccount", number)
        ),
        "Job" => format!("spec: {{template: {{spec: {pod}}}}}"),
        "CronJob" => {
            format!("spec: {{schedule: \"0 3 * * *\", jobTemplate: {{spec: {{template: {{spec: {pod}}}}}}}}}")
        }
        "Widget" => format!("spec: {{size: {number}}}"),
        "CustomResourceDefinition" => {
            "spec:\n  group: fleet.example.com\n  scope: Namespaced\n  names: {kind: Widget, \
             plural: widgets, singular: widget}\n  versions:\n  - name: v1\n    served: true\n    storage: true\n    \
             schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: \
             integer}}}}}}"
                .to_owned()
        }
        other => panic!("no manifest for {other}"),
    };
    format!("---\napiVersion: {}\nkind: {kind}\nmetadata: {{name: {own}{namespace}}}\n{body}\n", api_version(kind))
}

fn api_version(kind: &str) -> &'static str {
    match kind {
        "Deployment" => "apps/v1",
        "Ingress" => "networking.k8s.io/v1",
        "HorizontalPodAutoscaler" => "autoscaling/v2",
        "Role" | "RoleBinding" => "rbac.authorization.k8s.io/v1",
        "Job" | "CronJob" => "batch/v1",
        "Widget" => "fleet.example.com/v1",
        "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
        _ => "v1",
    }
}

/// What controllers and kubelets would write through `/status`, for everything that is not healthy without.
pub(super) fn statuses() -> String {
    let mut text = String::new();
    for part in &PARTS {
        for (kind, count) in part.kinds {
            let Some(status) = status(kind) else { continue };
            for number in 0..*count {
                let (version, name) = (api_version(kind), name(part.folder, kind, number));
                let _ = write!(
                    text,
                    "---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {}}}\nstatus: \
                     {status}\n",
                    part.destination
                );
            }
        }
    }
    text
}

fn status(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Deployment" => {
            "{observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1}"
        }
        "Ingress" => "{loadBalancer: {ingress: [{ip: 192.0.2.1}]}}",
        "HorizontalPodAutoscaler" => {
            "{currentReplicas: 1, desiredReplicas: 1, conditions: [{type: AbleToScale, status: \"True\", reason: \
             ReadyForNewScale, lastTransitionTime: \"2026-01-01T00:00:00Z\"}]}"
        }
        "Job" => {
            "{startTime: \"2026-01-01T00:00:00Z\", completionTime: \"2026-01-01T00:01:00Z\", succeeded: 1, ready: 0, \
             uncountedTerminatedPods: {}, conditions: [{type: SuccessCriteriaMet, status: \"True\", \
             lastTransitionTime: \"2026-01-01T00:01:00Z\"}, {type: Complete, status: \"True\", lastTransitionTime: \
             \"2026-01-01T00:01:00Z\"}]}"
        }
        _ => return None,
    })
}
