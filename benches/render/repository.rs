//! The repositories that are built.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Files by path, and the folders to build.
pub(crate) struct Repository {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) builds: Vec<String>,
}

/// An application of six workloads with what belongs to them, in so many overlays that share two components.
pub(crate) fn overlays(count: usize) -> Repository {
    let mut files = BTreeMap::new();
    let mut put = |path: String, text: String| drop(files.insert(path, text.into_bytes()));
    let names = ["web", "api", "worker", "mail", "search", "billing"];
    let mut generators = String::new();
    for name in names {
        put(format!("base/{name}.yaml"), application(name));
        writeln!(generators, "- {{name: {name}-env, literals: [LOG=info, NAME={name}], files: [{name}.conf]}}")
            .unwrap();
        put(format!("base/{name}.conf"), format!("[server]\nname = {name}\n").repeat(20));
    }
    let resources: Vec<_> = names.iter().map(|name| format!("{name}.yaml")).collect();
    put(
        "base/kustomization.yaml".to_owned(),
        format!(
            "resources: [{}]\nlabels: [{{pairs: {{app.kubernetes.io/part-of: shop}}, includeTemplates: true}}]\nconfigMapGenerator:\n{generators}",
            resources.join(", ")
        ),
    );
    put(
        "components/scrape/kustomization.yaml".to_owned(),
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n- target: {kind: Service}\n  patch: |-\n    - {op: add, path: /metadata/annotations, value: {prometheus.io/scrape: 'true'}}\n".to_owned(),
    );
    put(
        "components/limits/kustomization.yaml".to_owned(),
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n- target: {kind: Deployment}\n  patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: any}\n    spec: {template: {spec: {containers: [{name: main, resources: {limits: {memory: 256Mi}}}]}}}\n".to_owned(),
    );
    let mut builds = Vec::new();
    for at in 0..count {
        let folder = format!("overlays/o{at:02}");
        put(
            format!("{folder}/kustomization.yaml"),
            format!(
                "resources: [../../base]\ncomponents: [../../components/scrape, ../../components/limits]\nnamespace: shop-{at}\nnamePrefix: o{at}-\ncommonAnnotations: {{overlay: 'o{at}'}}\nimages: [{{name: registry.example/web, newTag: v{at}}}]\nreplicas: [{{name: web, count: {at}}}, {{name: api, count: 2}}]\nconfigMapGenerator:\n- {{name: web-env, behavior: merge, literals: [STAGE=s{at}]}}\npatches: [{{path: patch.yaml}}]\n"
            ),
        );
        put(
            format!("{folder}/patch.yaml"),
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: api}}\nspec:\n  template:\n    spec:\n      nodeSelector: {{pool: p{at}}}\n      containers:\n      - name: main\n        env: [{{name: STAGE, value: s{at}}}]\n"
            ),
        );
        builds.push(folder);
    }
    Repository { files, builds }
}

/// Workload, service, account, role and disruption budget of one name.
fn application(name: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: {{app: {name}}}
spec:
  replicas: 1
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      serviceAccountName: {name}
      containers:
      - name: main
        image: registry.example/{name}:1.0
        envFrom:
        - configMapRef: {{name: {name}-env}}
        ports:
        - {{name: http, containerPort: 8080}}
        readinessProbe:
          httpGet: {{path: /ready, port: http}}
        volumeMounts:
        - {{name: conf, mountPath: /etc/{name}}}
      volumes:
      - name: conf
        configMap: {{name: {name}-env}}
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  selector: {{app: {name}}}
  ports:
  - {{name: http, port: 80, targetPort: http}}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {name}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {name}
rules: [{{apiGroups: [''], resources: [configmaps], resourceNames: [{name}-env], verbs: [get]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {name}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {name}}}
subjects:
- {{kind: ServiceAccount, name: {name}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: {name}}}
spec:
  minAvailable: 1
  selector:
    matchLabels: {{app: {name}}}
"
    )
}

/// Definitions of custom resources of some megabytes, with a patch and labels over them.
pub(crate) fn large() -> Repository {
    let mut files = BTreeMap::new();
    let mut text = String::new();
    for name in ["Certificate", "Issuer", "Order", "Challenge", "Request"] {
        write!(
            text,
            "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: {name}s.example.com\nspec:\n  group: example.com\n  versions:\n  - name: v1\n    schema:\n      openAPIV3Schema:\n        type: object\n        properties:\n"
        )
        .unwrap();
        for at in 0..1200 {
            writeln!(
                text,
                "          field{at}:\n            description: >-\n              Field {at} says what it is for, in a text that is long enough to go over the end of the line.\n            type: object\n            required: [name]\n            properties:\n              name: {{type: string, maxLength: 253, description: 'Name: required.'}}\n              count: {{type: integer, format: int32, default: {at}}}"
            )
            .unwrap();
        }
    }
    files.insert("top/crds.yaml".to_owned(), text.into_bytes());
    files.insert(
        "top/kustomization.yaml".to_owned(),
        b"resources: [crds.yaml]\ncommonLabels: {app: certs}\nnamespace: certs\n".to_vec(),
    );
    Repository { files, builds: vec!["top".to_owned()] }
}
