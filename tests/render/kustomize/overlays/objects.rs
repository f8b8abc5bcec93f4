//! Objects with references to each other, as YAML.

use super::random::Random;

/// Kind and name of an object that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) namespace: Option<&'static str>,
}

/// Names of everything: few, so that references meet.
pub(super) const NAMES: [&str; 5] = ["web", "db", "api", "conf", "key-1"];

const KINDS: [(&str, &str); 21] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("v1", "Pod"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Namespace"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ("example.com/v1", "Widget"),
];

/// One object of a random kind that isn't in `there`, and its text.
pub(super) fn object(random: &mut Random, there: &[Made]) -> Option<(Made, String)> {
    let (api_version, kind) = KINDS[random.below(KINDS.len())];
    let name = random.of(&NAMES).to_owned();
    let namespaced = !matches!(kind, "Namespace" | "ClusterRoleBinding" | "ValidatingWebhookConfiguration");
    let namespace = (namespaced && random.chance(12)).then(|| random.of(&["one", "two", "default"]));
    let made = Made { api_version, kind, name, namespace };
    if there.iter().any(|other| other.kind == made.kind && other.name == made.name) {
        return None;
    }
    let mut text = format!("apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: {}\n", made.name);
    if let Some(namespace) = namespace {
        text += &format!("  namespace: {namespace}\n");
    }
    if random.chance(40) {
        text += &format!("  labels: {{app: {}, extra: {}}}\n", made.name, random.value());
    }
    if random.chance(25) {
        text += &format!("  annotations: {{note: {}}}\n", random.value());
    }
    text += &body(random, kind);
    if random.chance(3) {
        // Kustomize takes a list apart.
        let items: String = text.lines().map(|line| format!("  {line}\n")).collect();
        text = format!("apiVersion: v1\nkind: List\nitems:\n-{}", items.strip_prefix(' ').unwrap_or(&items));
    }
    Some((made, text))
}

/// Everything below the metadata, by kind.
fn body(random: &mut Random, kind: &str) -> String {
    let name = random.of(&NAMES);
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" => workload(random, kind),
        "Job" => format!("spec:\n  template:\n{}", template(random, 4)),
        "CronJob" => {
            format!(
                "spec:\n  schedule: {}\n  jobTemplate:\n    spec:\n      template:\n{}",
                random.value(),
                template(random, 8)
            )
        }
        "Pod" => format!("spec:\n{}", pod(random, 2)),
        "Service" => format!(
            "spec:\n  selector: {{app: {name}}}\n  ports:\n  - {{port: 80, targetPort: {}}}\n  - {{port: 53, protocol: UDP}}\n",
            random.of(&["http", "8080"])
        ),
        "ConfigMap" => config_map(random),
        "Secret" => "type: Opaque\ndata:\n  password: c2VjcmV0\n".to_owned(),
        "ServiceAccount" => format!("imagePullSecrets:\n- name: {name}\n"),
        "PersistentVolumeClaim" => "spec:\n  accessModes: [ReadWriteOnce]\n".to_owned(),
        "Role" => format!(
            "rules:\n- {{apiGroups: [''], resources: [configmaps], resourceNames: [{name}, other], verbs: [get]}}\n"
        ),
        "RoleBinding" | "ClusterRoleBinding" => binding(random),
        "Ingress" => format!(
            "spec:\n  tls: [{{hosts: [a.example], secretName: {name}}}]\n  rules:\n  - host: a.example\n    http: {{paths: [{{path: /, backend: {{service: {{name: {}, port: {{number: 80}}}}}}}}]}}\n",
            random.of(&NAMES)
        ),
        "NetworkPolicy" => format!(
            "spec:\n  podSelector: {{matchLabels: {{app: {name}}}}}\n  ingress: [{{from: [{{podSelector: {{matchLabels: {{app: {name}}}}}}}]}}]\n"
        ),
        "HorizontalPodAutoscaler" => format!(
            "spec:\n  maxReplicas: 5\n  scaleTargetRef: {{apiVersion: apps/v1, kind: {}, name: {name}}}\n",
            random.of(&["Deployment", "StatefulSet"])
        ),
        "ValidatingWebhookConfiguration" => {
            format!("webhooks:\n- name: a.example.com\n  clientConfig: {{service: {{name: {name}, namespace: one}}}}\n")
        }
        "Widget" => widget(random),
        _ => String::new(),
    }
}

fn config_map(random: &mut Random) -> String {
    let mut text = format!("data:\n  a: {}\n  b: {}\n", random.value(), random.value());
    if random.chance(30) {
        text += random.of(&[
            "  config.json: '{\"deep\": {\"host\": \"a\", \"n\": 1.50}, \"list\": [\"x-y\", \"z\"]}'\n",
            "  config.json: |\n    {\n      \"deep\": {\"host\": \"<a>\"},\n      \"list\": [\"x-y\", \"\"]\n    }\n",
        ]);
    }
    if random.chance(30) {
        text += &format!(
            "  config.yaml: |\n    server:\n        port: 80\n        host: {}\n        names:\n          - {}\n          - 'b'\n    flow: {{x: [1, {}], y: }}\n\n    other: \"{}\"\n",
            random.of(&["a", "'a'", "\"a\"", "|-\n          a\n           b"]),
            random.of(&["plain", "{name: n}", "[x]", "- y"]),
            random.scalar(),
            random.of(&["x", "\\t", ""]),
        );
    }
    text
}

fn binding(random: &mut Random) -> String {
    let mut text = format!(
        "roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {}}}\nsubjects:\n",
        random.of(&NAMES)
    );
    for _ in 0..=random.below(2) {
        let namespace = random.of(&["", ", namespace: one", ", namespace: default"]);
        text += &format!("- {{kind: ServiceAccount, name: {}{namespace}}}\n", random.of(&["web", "db", "default"]));
    }
    text
}

fn widget(random: &mut Random) -> String {
    let mut text =
        format!("spec:\n  configRef: {{name: {}}}\n  image: {}\n  values:\n", random.of(&NAMES), image(random));
    for at in 0..random.below(4) {
        text += &format!("    v{at}: {}\n", random.scalar());
    }
    text += &format!("    text: {}\n  parts:\n", random.value());
    for at in 0..=random.below(3) {
        text += &format!("  - {{name: p{at}, weight: {}}}\n", random.scalar());
    }
    text
}

fn workload(random: &mut Random, kind: &str) -> String {
    let app = random.of(&NAMES);
    let mut text = String::from("spec:\n");
    if kind != "DaemonSet" && random.chance(70) {
        text += &format!("  replicas: {}\n", random.below(5));
    }
    if kind == "StatefulSet" {
        text += &format!("  serviceName: {}\n", random.of(&NAMES));
        if random.chance(50) {
            text += "  volumeClaimTemplates:\n  - metadata: {name: data}\n    spec: {accessModes: [ReadWriteOnce]}\n";
        }
    }
    text += &format!(
        "  selector:\n    matchLabels: {{app: {app}}}\n  template:\n    metadata:\n      labels: {{app: {app}}}\n"
    );
    text + &template(random, 4)
}

/// The content of a pod template.
fn template(random: &mut Random, indent: usize) -> String {
    format!("{}spec:\n{}", " ".repeat(indent), pod(random, indent + 2))
}

/// The content of a pod's specification.
fn pod(random: &mut Random, indent: usize) -> String {
    let mut lines = Vec::new();
    if random.chance(40) {
        lines.push(format!("serviceAccountName: {}", random.of(&NAMES)));
    }
    if random.chance(20) {
        lines.push(format!("imagePullSecrets: [{{name: {}}}]", random.of(&NAMES)));
    }
    if random.chance(20) {
        lines.push(format!("initContainers: [{{name: init, image: {}}}]", image(random)));
    }
    lines.push("containers:".to_owned());
    for name in ["main", "side", "third"].iter().take(1 + random.below(3)) {
        lines.push(format!("- name: {name}"));
        lines.push(format!("  image: {}", image(random)));
        if random.chance(40) {
            lines.push(format!(
                "  env: [{{name: A, value: {}}}, {{name: B, valueFrom: {{configMapKeyRef: {{name: {}, key: a}}}}}}]",
                random.value(),
                random.of(&NAMES)
            ));
        }
        if random.chance(40) {
            lines.push(format!(
                "  envFrom: [{{configMapRef: {{name: {}}}}}, {{secretRef: {{name: {}}}}}]",
                random.of(&NAMES),
                random.of(&NAMES)
            ));
        }
        if random.chance(30) {
            lines.push("  ports: [{containerPort: 8080, name: http}, {containerPort: 53, protocol: UDP}]".to_owned());
        }
        if random.chance(30) {
            lines.push(format!("  args: [{}, {}]", random.value(), random.value()));
        }
    }
    if random.chance(50) {
        lines.push("volumes:".to_owned());
        lines.push(format!("- {{name: c, configMap: {{name: {}}}}}", random.of(&NAMES)));
        lines.push(format!("- {{name: s, secret: {{secretName: {}}}}}", random.of(&NAMES)));
        lines.push(format!("- {{name: p, persistentVolumeClaim: {{claimName: {}}}}}", random.of(&NAMES)));
    }
    lines.iter().map(|line| format!("{}{line}\n", " ".repeat(indent))).collect()
}

/// An image reference.
pub(super) fn image(random: &mut Random) -> &'static str {
    random.of(&["app", "app:1.0", "host.example:5000/team/app:2", "app@sha256:0123", "side:1", "team/side"])
}
